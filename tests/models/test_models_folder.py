"""Folders of models: what is saved is loaded, and what does not fit is told in one message.

The oracle for GPT-2 is the library `transformers`.
"""

from __future__ import annotations

import json

import numpy as np
import pytest

import kedja as kj
from kedja import models
from kedja.data.tokenizer import Bytes, Characters
from kedja.ground.errors import CheckpointError, UsageError
from kedja.io import weights
from kedja.models import GPT2Config

SMALL = GPT2Config(vocab_size=5, n_positions=12, n_embd=16, n_layer=2, n_head=2, dropout=0.0)
LETTERS = Characters("abcd", ["<end>"])


def net(config=SMALL):
    kj.random.seed(1)
    return models.GPT2(config)


def changed(folder, **keys):
    """The folder with other values in its config.json."""
    file = folder / "config.json"
    content = json.loads(file.read_text()) | keys
    file.write_text(json.dumps(content))


# ------------------------------------------------------------------------------- there and back


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float64"])
def test_saved_is_loaded(tmp_path, dtype):
    ours = net().astype(dtype)
    models.save(tmp_path / "run", ours, LETTERS)
    again, tokenizer = models.load(tmp_path / "run")
    assert again.config == GPT2Config(5, 12, 16, 2, 2, 0.0, None, 1e-5, 0.0, 0.0)
    assert tokenizer == LETTERS
    theirs = again.state_dict()
    for name, array in ours.state_dict().items():
        assert theirs[name].dtype == array.dtype, name
        assert np.array_equal(theirs[name], array), name


def test_another_dtype_is_chosen(tmp_path):
    models.save(tmp_path, net())
    model, tokenizer = models.load(tmp_path, dtype="bfloat16")
    assert model.wte.weight.dtype.name == "bfloat16"
    assert tokenizer is None


def test_an_interrupted_run_gives_its_checkpoint(tmp_path):
    ours = net()
    models.save(tmp_path, ours)
    (tmp_path / "model.safetensors").unlink()
    state = {f"model.{name}": array for name, array in ours.state_dict().items()}
    weights.save(tmp_path / "weights.safetensors", state | {"step": np.array(3)})
    again = models.load(tmp_path).model
    assert np.array_equal(again.wte.weight.numpy(), ours.wte.weight.numpy())


# ------------------------------------------------------------------------------------ the oracle


@pytest.fixture
def theirs(tmp_path):
    """A folder that `transformers` has written, and the model in it."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        vocab_size=41, n_positions=32, n_embd=24, n_layer=3, n_head=4, initializer_range=0.2
    )
    model = transformers.GPT2LMHeadModel(config).eval()
    model.save_pretrained(tmp_path / "theirs")
    return tmp_path / "theirs", model, torch, transformers


def test_gpt2_of_transformers_loads(theirs):
    folder, model, torch, _ = theirs
    ours = models.load(folder).model
    tokens = np.random.default_rng(0).integers(0, 41, (2, 20))
    with torch.no_grad():
        expected = model(torch.tensor(tokens)).logits.numpy()
    assert np.abs(ours(kj.tensor(tokens)).numpy() - expected).max() < 1e-4


def test_transformers_loads_what_is_saved(theirs, tmp_path):
    folder, model, torch, transformers = theirs
    models.save(tmp_path / "ours", models.load(folder).model)
    again = transformers.GPT2LMHeadModel.from_pretrained(tmp_path / "ours").eval()
    tokens = torch.tensor(np.random.default_rng(0).integers(0, 41, (2, 20)))
    with torch.no_grad():
        assert torch.equal(again(tokens).logits, model(tokens).logits)
    for key in ("n_embd", "n_layer", "activation_function", "resid_pdrop", "attn_pdrop"):
        assert getattr(again.config, key) == getattr(model.config, key)


# -------------------------------------------------------------------- other ways of writing them


def renamed(folder, change):
    arrays, _ = weights.load(folder / "model.safetensors")
    weights.save(folder / "model.safetensors", change(arrays))


def test_older_files_are_read(tmp_path):
    """No prefix, the masks as arrays, the head beside its table, n_ctx for n_positions."""
    models.save(tmp_path, net())
    mask = np.tril(np.ones((1, 1, 12, 12), np.float32))

    def older(arrays):
        plain = {name.removeprefix("transformer."): each for name, each in arrays.items()}
        masks = {f"h.{i}.attn.bias": mask for i in (0, 1)}
        return plain | masks | {"lm_head.weight": plain["wte.weight"]}

    renamed(tmp_path, older)
    content = json.loads((tmp_path / "config.json").read_text())
    content["n_ctx"] = content.pop("n_positions")
    (tmp_path / "config.json").write_text(json.dumps(content))
    again = models.load(tmp_path).model
    assert again.context == 12
    assert np.array_equal(again.wte.weight.numpy(), net().wte.weight.numpy())


def test_a_head_of_its_own_is_an_error(tmp_path):
    models.save(tmp_path, net())
    renamed(tmp_path, lambda a: a | {"lm_head.weight": a["transformer.wte.weight"] + 1})
    with pytest.raises(CheckpointError, match="head has weights of its own"):
        models.load(tmp_path)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("activation_function", "relu"),
        ("scale_attn_weights", False),
        ("scale_attn_by_inverse_layer_idx", True),
        ("add_cross_attention", True),
        ("tie_word_embeddings", False),
    ],
)
def test_what_would_compute_something_else_is_an_error(tmp_path, key, value):
    models.save(tmp_path, net())
    changed(tmp_path, **{key: value})
    with pytest.raises(UsageError, match=key) as caught:
        models.load(tmp_path)
    assert str(tmp_path) in str(caught.value)


# ---------------------------------------------------------------------------------------- errors


def test_no_folder(tmp_path):
    with pytest.raises(CheckpointError, match=r"holds no model: it has no config\.json"):
        models.load(tmp_path / "none")


@pytest.mark.parametrize("text", ["{", "[]", '{"model_type": "gpt2", "n_embd": "many"}', "\x00"])
def test_damaged_config(tmp_path, text):
    models.save(tmp_path, net())
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(CheckpointError, match="damaged"):
        models.load(tmp_path)


@pytest.mark.parametrize("where", [-1, 100])
def test_damaged_weights(tmp_path, where):
    models.save(tmp_path, net())
    file = tmp_path / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[where] ^= 0xFF
    file.write_bytes(bytes(content))
    with pytest.raises(CheckpointError, match=r"damaged|not safetensors"):
        models.load(tmp_path)


def test_cut_weights(tmp_path):
    models.save(tmp_path, net())
    file = tmp_path / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-50])
    with pytest.raises(CheckpointError):
        models.load(tmp_path)


def test_no_weights(tmp_path):
    models.save(tmp_path, net())
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="nor a checkpoint"):
        models.load(tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(UsageError, match=r"pytorch_model\.bin"):
        models.load(tmp_path)


def test_weights_of_another_model(tmp_path):
    models.save(tmp_path, net())
    changed(tmp_path, n_layer=1)
    with pytest.raises(CheckpointError, match=r"unexpected: h\.1"):
        models.load(tmp_path)


def test_an_unknown_kind_of_model(tmp_path):
    models.save(tmp_path, net())
    changed(tmp_path, model_type="gpt3")
    with pytest.raises(UsageError, match=r"'gpt3' is not known"):
        models.load(tmp_path)


@pytest.mark.parametrize("tokenizer", [Bytes(), Characters("abc"), Characters("abcdefg")])
def test_a_tokenizer_that_does_not_fit(tmp_path, tokenizer):
    models.save(tmp_path, net())
    with pytest.raises(UsageError, match=r"the tokenizer has \d+ tokens, the model 5"):
        models.save(tmp_path, net(), tokenizer)
    tokenizer.save(tmp_path)
    with pytest.raises(CheckpointError, match=r"the tokenizer has \d+ tokens, the model 5"):
        models.load(tmp_path)


def test_a_model_without_a_configuration(tmp_path):
    with pytest.raises(UsageError, match="has no config"):
        models.save(tmp_path, kj.nn.Linear(2, 2))
