"""LoRA: adapters beside linear layers start at nothing, are learned alone, saved apart, merged."""

from __future__ import annotations

import json

import numpy as np
import pytest

import kedja as kj
from kedja import nn, optim
from kedja.data.tokenizer import Characters
from kedja.ground.errors import CheckpointError, UnsupportedError, UsageError
from kedja.io import weights
from kedja.models import GPT2, GPT2Config, lora

CONFIG = GPT2Config(vocab_size=11, n_positions=8, n_embd=12, n_layer=2, n_head=3, dropout=0.0)
TOKENS = np.arange(16).reshape(2, 8) % 11


@pytest.fixture(scope="module")
def model():
    kj.random.seed(1)
    return GPT2(CONFIG)


@pytest.fixture(scope="module")
def adapted(model):
    """Adapters that change something."""
    new = lora.adapt(model, 3, key=kj.random.key(2))
    for path, each in list(lora._adapters(new)):
        noise = kj.random.normal(kj.random.key(len(path)), each.lora_b.shape) * 0.1
        new = new.at(path).replace(lora_b=noise)
    return new


def logits(model):
    return model(kj.asarray(TOKENS)).numpy()


def test_adapters_start_at_nothing(model):
    new = lora.adapt(model, 4)
    np.testing.assert_array_equal(logits(new), logits(model))
    assert lora.count(new) == 4 * 2 * ((12 + 36) + (12 + 12) + (12 + 48) + (48 + 12))


def test_the_formula():
    layer = nn.Linear(3, 2)
    one = lora.LoRA(layer, 1, alpha=0.5, key=kj.random.key(0))
    one = one.replace(lora_b=kj.asarray([[2.0], [3.0]]))
    x = np.array([1.0, -1.0, 2.0], np.float32)
    w, a, b = layer.weight.numpy(), one.lora_a.numpy(), one.lora_b.numpy()
    expected = (w + 0.5 * b @ a) @ x + layer.bias.numpy()
    np.testing.assert_allclose(one(kj.asarray(x)).numpy(), expected, rtol=1e-6)
    np.testing.assert_allclose(one.merged()(kj.asarray(x)).numpy(), expected, rtol=1e-6)


def test_adapters_alone_are_learned(model):
    new = lora.adapt(model, 2, layers=["c_attn"], key=kj.random.key(0))

    def loss(model):
        return nn.functional.cross_entropy(model(kj.asarray(TOKENS)).reshape(-1, 11), target)

    target = kj.asarray((TOKENS.reshape(-1) + 1) % 11)
    opt = optim.AdamW(1e-2, weight_decay=0.1)
    state = opt.init(new)
    before = loss(new).item()
    step = kj.jit(lambda m, s: opt.update(m, kj.grad(loss)(m), s))
    for _ in range(20):
        new, state = step(new, state)
    assert loss(new).item() < before - 0.05
    for name, array in lora.stripped(new).state_dict().items():
        np.testing.assert_array_equal(array, model.state_dict()[name])


def test_merged_is_unmerged_up_to_rounding(model, adapted):
    merged = lora.merge(adapted)
    assert abs(logits(adapted) - logits(model)).max() > 0.01
    np.testing.assert_allclose(logits(merged), logits(adapted), atol=1e-5)
    assert merged.state_dict().keys() == model.state_dict().keys()
    assert not any(each.is_frozen for _, each in merged.modules())


def test_adapters_decode(adapted):
    """With kept keys and values, a token at a time: the same as the whole."""
    state, found = adapted.new_state(2, 8), []
    for place in range(8):
        one, state = adapted.decode(kj.asarray(TOKENS[:, place : place + 1]), state)
        found.append(one.numpy())
    np.testing.assert_allclose(np.concatenate(found, 1), logits(adapted), atol=1e-5)


def test_saved_apart_and_loaded(model, adapted, tmp_path):
    lora.save(tmp_path / "adapters", adapted, base="runs/base")
    arrays, _ = weights.load(tmp_path / "adapters" / "adapter_model.safetensors")
    assert sum(array.size for array in arrays.values()) == lora.count(adapted)
    again = lora.load(tmp_path / "adapters", model)
    np.testing.assert_array_equal(logits(again), logits(adapted))
    assert lora.exists(tmp_path / "adapters")
    assert lora.read_settings(tmp_path / "adapters")["base_model_name_or_path"] == "runs/base"


def test_the_files_are_those_of_peft(adapted, tmp_path):
    """Names, shapes and keys as PEFT 0.17 writes them for a GPT2LMHeadModel."""
    lora.save(tmp_path, adapted)
    arrays, _ = weights.load(tmp_path / "adapter_model.safetensors")
    name = "base_model.model.transformer.h.0.attn.c_attn.lora_{}.weight"
    assert arrays[name.format("A")].shape == (3, 12)
    assert arrays[name.format("B")].shape == (36, 3)
    settings = json.loads((tmp_path / "adapter_config.json").read_text())
    assert settings["fan_in_fan_out"] is True  # Conv1D keeps (in, out)
    assert (settings["peft_type"], settings["r"], settings["lora_alpha"]) == ("LORA", 3, 6.0)
    assert "h.0.attn.c_attn" in settings["target_modules"]


def test_rank_stabilised_scale(model, adapted, tmp_path):
    """PEFT's use_rslora divides by the root of the rank."""
    lora.save(tmp_path, adapted)
    file = tmp_path / "adapter_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "use_rslora": True}))
    again = lora.load(tmp_path, model)
    assert again.h[0].attn.c_attn.scale == pytest.approx(6 / 3**0.5)


def test_linear_layers_have_adapters_too(tmp_path):
    net = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 2))
    new = lora.adapt(net, 2, layers=["2"])
    assert [path for path, _ in lora._adapters(new)] == ["2"]
    lora.save(tmp_path, new)
    assert json.loads((tmp_path / "adapter_config.json").read_text())["fan_in_fan_out"] is False
    x = kj.asarray(np.ones((1, 4), np.float32))
    np.testing.assert_array_equal(lora.load(tmp_path, net)(x).numpy(), new(x).numpy())


def test_bfloat16_stays(model):
    new = lora.adapt(model.astype(kj.bfloat16), 2)
    assert new.h[0].mlp.c_fc.lora_a.dtype.name == "bfloat16"
    assert lora.merge(new).h[0].mlp.c_fc.weight.dtype.name == "bfloat16"


def test_a_folder_of_adapters_is_one_of_a_model(model, adapted, tmp_path, monkeypatch):
    """Its model is found from the folder, also when both are moved, or from where one stands."""
    letters = Characters("abcdefghijk")
    kj.models.save(tmp_path / "runs" / "base", model, letters)
    lora.save(tmp_path / "runs" / "tuned", adapted, base="../base")
    for home in ("runs", "moved"):
        if home == "moved":
            (tmp_path / "runs").rename(tmp_path / "moved")
        found = kj.models.load(tmp_path / home / "tuned")
        np.testing.assert_allclose(logits(found.model), logits(adapted), atol=1e-5)
        assert found.tokenizer == letters
    lora.save(tmp_path / "elsewhere", adapted, base="moved/base")
    monkeypatch.chdir(tmp_path)
    assert kj.models.load("elsewhere", dtype="bfloat16").model.wte.weight.dtype.name == "bfloat16"


@pytest.mark.parametrize("base", ["", "../gone", "."])
def test_a_folder_of_adapters_without_its_model(adapted, tmp_path, base):
    lora.save(tmp_path / "tuned", adapted, base=base)
    with pytest.raises(CheckpointError, match="is not there") as caught:
        kj.models.load(tmp_path / "tuned")
    assert caught.value.fix


# ----------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("act", "reason"),
    [
        (lambda m, a: lora.adapt(m, 0), "rank 0"),
        (lambda m, a: lora.adapt(a, 2), "adapters already"),
        (lambda m, a: lora.adapt(m, 2, layers=["c_atn"]), "no linear layer 'c_atn'"),
        (lambda m, a: lora.adapt(nn.ReLU(), 2), "no linear layer"),
        (lambda m, a: lora.merge(m), "no adapters"),
        (lambda m, a: lora.stripped(m), "no adapters"),
        (lambda m, a: lora.save("nowhere", m), "no adapters"),
        (lambda m, a: lora.LoRA(nn.ReLU(), 2, 1.0), "no linear layer"),
    ],
)
def test_wrong_uses(model, adapted, act, reason):
    with pytest.raises(UsageError, match=reason) as caught:
        act(model, adapted)
    assert caught.value.fix


def test_other_weights_are_refused(model, adapted, tmp_path):
    lora.save(tmp_path, adapted)
    with pytest.raises(CheckpointError, match="other weights"):
        lora.load(tmp_path, model.at("ln_f.bias").apply(lambda bias: bias + 1))


@pytest.mark.parametrize(
    ("change", "kind", "reason"),
    [
        ({"use_dora": True}, UnsupportedError, "use_dora is True"),
        ({"peft_type": "IA3"}, UnsupportedError, "peft_type is 'IA3'"),
        ({"r": "many"}, CheckpointError, "damaged"),
        ({"r": 0}, CheckpointError, "damaged"),
        (None, CheckpointError, "damaged"),
    ],
)
def test_settings_that_mean_something_else(model, adapted, tmp_path, change, kind, reason):
    lora.save(tmp_path, adapted)
    file = tmp_path / "adapter_config.json"
    content = json.loads(file.read_text())
    file.write_text("{" if change is None else json.dumps({**content, **change}))
    with pytest.raises(kind, match=reason) as caught:
        lora.load(tmp_path, model)
    assert caught.value.where == str(file)


@pytest.mark.parametrize(
    ("arrays", "reason"),
    [
        ({"h.9.attn.c_attn.lora_A.weight": (2, 12)}, "no layer"),
        ({"h.0.attn.c_attn.weight": (12, 36)}, "no layer"),
        ({"h.0.attn.c_attn.lora_A.weight": (2, 12)}, "takes 12 and gives 36"),
        (
            {"h.0.attn.c_attn.lora_A.weight": (2, 12), "h.0.attn.c_attn.lora_B.weight": (35, 2)},
            "takes 12 and gives 36",
        ),
    ],
)
def test_matrices_that_do_not_fit(model, adapted, tmp_path, arrays, reason):
    lora.save(tmp_path, adapted)
    before = "base_model.model.transformer."
    found = {before + name: np.zeros(shape, np.float32) for name, shape in arrays.items()}
    weights.save(tmp_path / "adapter_model.safetensors", found)
    with pytest.raises(CheckpointError, match=reason):
        lora.load(tmp_path, model)


def test_no_adapters_there(model, tmp_path):
    with pytest.raises(CheckpointError, match="cannot read"):
        lora.load(tmp_path, model)
