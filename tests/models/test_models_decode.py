"""A GPT-2 with kept keys and values: the same numbers as the whole, piece by piece."""

from __future__ import annotations

import numpy as np
import pytest

import kedja as kj
from kedja import models, nn
from kedja.ground.errors import UsageError
from kedja.models import GPT2Config

SMALL = GPT2Config(vocab_size=31, n_positions=24, n_embd=24, n_layer=3, n_head=4, dropout=0.0)


def model(dtype="float32", config=SMALL):
    kj.random.seed(3)
    return models.GPT2(config).astype(dtype)


def tokens(*shape):
    return np.random.default_rng(0).integers(0, 31, shape)


def decoded(net, whole, pieces, capacity, call):
    """The logits of a whole that is given piece by piece."""
    state, found, start = net.new_state(whole.shape[0], capacity), [], 0
    for count in pieces:
        logits, state = call(kj.tensor(whole[:, start : start + count]), state)
        found.append(logits.numpy())
        start += count
    return np.concatenate(found, axis=1)


@pytest.mark.parametrize("tier", ["interpret", "compile"])
@pytest.mark.parametrize("pieces", [[1] * 20, [7, 1, 1, 8, 3], [20]])
def test_pieces_give_the_logits_of_the_whole(tier, pieces):
    net, whole = model("float64"), tokens(2, 20)
    decode = net.decode if tier == "interpret" else kj.jit(lambda t, s: net.decode(t, s))
    found = decoded(net, whole, pieces, 24, decode)
    assert np.allclose(found, net(kj.tensor(whole)).numpy(), rtol=1e-12, atol=1e-13)


def test_room_beyond_the_context_changes_nothing():
    net, whole = model("float64"), tokens(1, 9)
    found = decoded(net, whole, [4, 5], 64, net.decode)
    assert np.allclose(found, net(kj.tensor(whole)).numpy(), rtol=1e-12, atol=1e-13)


def test_float32_is_within_rounding():
    net, whole = model(), tokens(2, 20)
    found = decoded(net, whole, [1] * 20, 24, kj.jit(lambda t, s: net.decode(t, s)))
    assert np.abs(found - net(kj.tensor(whole)).numpy()).max() < 1e-5


def test_greedy_tokens_are_those_without_a_cache():
    net = model()

    def step(carry, _):
        token, state = carry
        logits, state = net.decode(token, state)
        token = kj.argmax(logits[:, -1], -1).reshape(1, 1)
        return (token, state), token[0, 0]

    start = kj.tensor([[5]])
    run = kj.jit(lambda t, s: kj.scan(step, (t, s), length=20)[1])
    found = run(start, net.new_state(1, 24)).tolist()
    whole = [5]
    for _ in range(20):
        whole.append(kj.argmax(net(kj.tensor([whole]))[0, -1]).item())
    assert found == whole[1:]


def test_a_step_writes_one_place_of_the_cache(monkeypatch):
    """Inside a loop the cache is changed where it stands: no kernel writes all of it."""
    net = model()

    def step(carry, _):
        token, state = carry
        logits, state = net.decode(token, state)
        return (kj.argmax(logits[:, -1], -1).reshape(1, 1), state), None

    run = kj.jit(lambda t, s: kj.scan(step, (t, s), length=20)[0])
    start, state = kj.tensor([[5]]), net.new_state(1, 4096)
    run(start, state)
    with kj.profile() as profile:
        run(start, state)
    copies = [each for each in profile.kernels if each.name.startswith("copy")]
    assert sum(each.times for each in copies) <= 4 * 3 * 2  # before and after the loop


def test_the_cache_has_the_models_dtype_and_refuses_what_does_not_fit():
    net = model("bfloat16")
    state = net.new_state(2, 8)
    assert {each.key.dtype.name for each in state} == {"bfloat16"}
    with pytest.raises(UsageError, match="9 places more"):
        net.decode(kj.tensor(tokens(2, 9)), state)


def test_the_config_is_kept():
    net = model()
    assert net.config == SMALL
    assert net.context == 24
    assert net.astype("float64").config.model_type == "gpt2"
    with pytest.raises(UsageError, match="n_head divides"):
        GPT2Config(n_embd=10, n_head=3)


def test_the_widths_and_rates_of_the_config():
    config = GPT2Config(11, 8, 12, 1, 3, dropout=0.2, n_inner=20, attn_pdrop=0.0, embd_pdrop=0.1)
    net = models.GPT2(config)
    assert net.h[0].mlp.c_fc.weight.shape == (12, 20)
    assert (net.drop.p, net.h[0].attn.attn_pdrop, net.h[0].mlp.dropout.p) == (0.1, 0.0, 0.2)
    small = models.GPT2(GPT2Config(11, 8, 12, 1, 3, layer_norm_epsilon=0.5))
    assert small.ln_f.eps == small.h[0].ln_2.eps == 0.5


def test_a_full_cache_in_a_compiled_function_keeps_inside_its_room():
    cache = nn.KVCache.empty(1, 1, 4, 2)
    put = kj.jit(lambda cache, x: cache.append(x, x))
    for value in range(5):
        cache = put(cache, kj.full((1, 1, 1, 2), float(value)))
    assert cache.key[0, 0, :3, 0].tolist() == [0.0, 1.0, 2.0]
