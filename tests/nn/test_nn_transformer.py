"""Transformers against PyTorch: layers and stacks, both orders of norms, masks, decoding."""

from __future__ import annotations

import numpy as np
import pytest

import kedja as kj
from kedja import nn
from kedja.ground.errors import UsageError
from tests.nn.layers import assert_like, assert_same_compiled, normal, trained

N, T, S, E, H, F = 2, 4, 5, 8, 2, 12

# PyTorch's encoder warns about its own fast path, and of masks of different kinds.
pytestmark = [
    pytest.mark.filterwarnings("ignore:enable_nested_tensor"),
    pytest.mark.filterwarnings("ignore:Support for mismatched"),
]

OPTIONS = {
    "plain": {},
    "norm first": {"norm_first": True},
    "gelu": {"activation": "gelu", "batch_first": True},
    "without bias": {"bias": False, "norm_first": True, "layer_norm_eps": 1e-2},
}


def scramble(torch, module):
    with torch.no_grad():
        for place, each in enumerate(module.parameters()):
            each.add_(torch.tensor(normal(*each.shape, seed=place) / 4))
    return module


def sequence(length, options, seed=0):
    first = options.get("batch_first")
    return normal(*((N, length) if first else (length, N)), E, seed=seed)


PADDING = np.array([[False] * S, [False, False, False, True, True]])
LATER = np.triu(np.ones((T, T), bool), 1)


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("masked", [False, True])
def test_an_encoder_layer_equals_pytorchs(name, masked):
    torch = pytest.importorskip("torch")
    options = OPTIONS[name]
    theirs = scramble(torch, torch.nn.TransformerEncoderLayer(E, H, F, **options))
    ours = nn.TransformerEncoderLayer(E, H, F, **options)
    given = {"src_key_padding_mask": PADDING} if masked else {}
    assert_like(torch, ours, theirs, sequence(S, options), **given)


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("masked", [False, True])
def test_a_decoder_layer_equals_pytorchs(name, masked):
    torch = pytest.importorskip("torch")
    options = OPTIONS[name]
    theirs = scramble(torch, torch.nn.TransformerDecoderLayer(E, H, F, **options))
    ours = nn.TransformerDecoderLayer(E, H, F, **options)
    given = {"tgt_mask": LATER, "memory_key_padding_mask": PADDING} if masked else {}
    x = sequence(T, options), sequence(S, options, seed=1)
    assert_like(torch, ours, theirs, *x, **given)


@pytest.mark.parametrize("normed", [False, True])
def test_an_encoder_equals_pytorchs(normed):
    torch = pytest.importorskip("torch")

    def make(lib):
        layer = lib.TransformerEncoderLayer(E, H, F)
        return lib.TransformerEncoder(layer, 2, norm=lib.LayerNorm(E) if normed else None)

    assert_like(torch, make(nn), scramble(torch, make(torch.nn)), normal(S, N, E))


def test_a_transformer_equals_pytorchs():
    torch = pytest.importorskip("torch")
    sizes = (E, H, 2, 1, F)
    ours, theirs = nn.Transformer(*sizes), scramble(torch, torch.nn.Transformer(*sizes))
    masks = {"tgt_mask": LATER, "src_key_padding_mask": PADDING, "memory_key_padding_mask": PADDING}
    assert_like(torch, ours, theirs, normal(S, N, E), normal(T, N, E, seed=1), **masks)
    mask = nn.Transformer.generate_square_subsequent_mask(3).numpy()
    np.testing.assert_array_equal(mask, torch.nn.Transformer.generate_square_subsequent_mask(3))


def test_layers_of_a_stack_are_copies_that_are_trained_apart():
    stack = nn.TransformerEncoder(nn.TransformerEncoderLayer(E, H, F), 3)
    first, second = (stack.layers[i].linear1.weight for i in (0, 1))
    np.testing.assert_array_equal(first, second)
    assert stack.num_parameters == 3 * nn.TransformerEncoderLayer(E, H, F).num_parameters
    loss = lambda m: kj.sum(m(normal(S, N, E)) ** 3)  # noqa: E731
    slopes = kj.grad(loss)(stack)
    assert not np.allclose(slopes.layers[0].linear1.weight, slopes.layers[1].linear1.weight)
    drawn = nn.Transformer(E, H, 2, 2, F)
    assert not np.allclose(
        drawn.encoder.layers[0].linear1.weight, drawn.encoder.layers[1].linear1.weight
    )


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("norm_first", [False, True])
def test_decoding_step_by_step_equals_the_whole(batch_first, norm_first):
    options = {"batch_first": batch_first, "norm_first": norm_first}
    layer = nn.TransformerEncoderLayer(E, H, F, **options)
    model = nn.TransformerEncoder(layer, 2, norm=nn.LayerNorm(E)).astype(kj.float64)
    x = kj.tensor(sequence(T, options))
    expected = model(x, is_causal=True)
    caches, axis, found = model.new_caches(N, T), int(batch_first), []
    step = kj.jit(lambda m, x, caches: m.decode(x, caches))
    for place in range(T):
        y, caches = step(model, kj.take(x, [place], axis=axis), caches)
        found.append(y)
    np.testing.assert_allclose(kj.concat(found, axis), expected, rtol=1e-9)


def test_a_decoder_with_memory_decodes_step_by_step():
    decoder = nn.TransformerDecoder(nn.TransformerDecoderLayer(E, H, F), 2).astype(kj.float64)
    x, memory = kj.tensor(normal(T, N, E)), kj.tensor(normal(S, N, E, seed=1))
    masks = {"memory_key_padding_mask": PADDING}
    expected = decoder(x, memory, tgt_is_causal=True, **masks)
    caches, found = decoder.new_caches(N, T), []
    for place in range(T):
        y, caches = decoder.decode(x[place : place + 1], memory, caches, **masks)
        found.append(y)
    np.testing.assert_allclose(kj.concat(found, 0), expected, rtol=1e-9)


def test_compiled_equals_interpreted():
    model = nn.Transformer(E, H, 1, 1, F, dropout=0.2).astype(kj.float64)
    x = normal(S, N, E), normal(T, N, E, seed=1)
    assert_same_compiled(trained(lambda m, *x: m(*x, tgt_is_causal=True)), model, *x)


def test_an_unknown_activation_is_an_error():
    with pytest.raises(UsageError, match="activation 'swish'"):
        nn.TransformerEncoderLayer(E, H, F, activation="swish")
