"""Whole networks against PyTorch: the same weights give the same outputs, gradients, statistics.

Weights travel as safetensors files. The four of full size: `pytest -m slow tests/models`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest

import kedja as kj
from kedja import models, nn
from kedja.io import weights
from kedja.models import GPT2Config

torch = pytest.importorskip("torch", reason="PyTorch is the oracle")
safetensors_torch = pytest.importorskip("safetensors.torch")
from torch_peers import GPT2, RecurrentLM, ResNet, UNet  # noqa: E402

SMALL_GPT = GPT2Config(vocab_size=61, n_positions=16, n_embd=24, n_layer=3, n_head=4, dropout=0.0)


class Pair(NamedTuple):
    """One network twice, and what it is given."""

    ours: Any
    theirs: Any
    x: np.ndarray


def tokens(vocabulary, *shape):
    return np.random.default_rng(1).integers(0, vocabulary, shape)


def pictures(*shape):
    return np.random.default_rng(1).standard_normal(shape)


def recurrent(cell, vocabulary, width, batch=3, length=7):
    config = models.RecurrentConfig(vocabulary, width, 2, cell)
    kind = {"rnn": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[cell]
    theirs = RecurrentLM(vocabulary, width, 2, kind)
    return Pair(models.RecurrentLM(config), theirs, tokens(vocabulary, batch, length))


SMALL = {
    "gpt2": lambda: Pair(models.GPT2(SMALL_GPT), GPT2(SMALL_GPT), tokens(61, 2, 9)),
    "rnn": lambda: recurrent("rnn", 29, 16),
    "lstm": lambda: recurrent("lstm", 29, 16),
    "gru": lambda: recurrent("gru", 29, 16),
    "resnet": lambda: Pair(
        models.ResNet([2, 1, 1, 1], 7, 8), ResNet([2, 1, 1, 1], 7, 8), pictures(3, 3, 40, 40)
    ),
    "unet": lambda: Pair(models.UNet(2, 3, 4, 3), UNet(2, 3, 4, 3), pictures(2, 2, 16, 24)),
}
FULL = {
    "gpt2-small": lambda: Pair(
        models.GPT2(GPT2Config(dropout=0.0)), GPT2(GPT2Config()), tokens(50257, 1, 32)
    ),
    "lstm": lambda: recurrent("lstm", 10_000, 256, 4, 35),
    "resnet18": lambda: Pair(models.resnet18(), ResNet([2, 2, 2, 2]), pictures(2, 3, 96, 96)),
    "unet": lambda: Pair(models.UNet(width=32), UNet(width=32), pictures(1, 3, 64, 64)),
}


def exchanged(pair, folder, dtype):
    """The PyTorch network's weights in ours, by a file, and the input in the dtype."""
    pair.theirs.to(getattr(torch, dtype))
    file = folder / "model.safetensors"
    safetensors_torch.save_file(pair.theirs.state_dict(), file)
    ours = pair.ours.astype(dtype).load_state_dict(weights.load(file)[0])
    x = pair.x.astype(dtype) if pair.x.dtype.kind == "f" else pair.x
    return ours, x


def logits(result):
    return result[0] if isinstance(result, tuple) else result


def training_step(model, x):
    """A loss with all outputs in it, the model after the step's statistics, and the gradient."""

    def loss(model, x):
        with nn.training(kj.random.key(0)) as state:
            y = logits(model(x))
        return kj.sum(kj.sin(y)), (y, state.updated(model))

    (_, aux), grads = kj.value_and_grad(loss, has_aux=True)(model, x)
    return aux, grads


def compare(pair, folder, dtype, tolerance, run):
    ours, x = exchanged(pair, folder, dtype)
    given = torch.from_numpy(x)
    pair.theirs.eval()
    with torch.no_grad():
        expected = pair.theirs(given).numpy()
    close(logits(run(lambda m, v: logits(m(v)))(ours, kj.tensor(x))), expected, tolerance)

    pair.theirs.train()
    y = pair.theirs(given)
    torch.sin(y).sum().backward()
    (mine, after), grads = run(training_step)(ours, kj.tensor(x))
    close(mine, y.detach().numpy(), tolerance)
    found = grads.state_dict()
    for name, parameter in pair.theirs.named_parameters():
        close(found[name], parameter.grad.numpy(), tolerance, name)
    buffers = {name: value.numpy() for name, value in pair.theirs.state_dict().items()}
    for name, value in after.state_dict().items():
        close(value, buffers[name], tolerance, name)
    returned(after, pair.theirs, folder)


def returned(ours, theirs, folder):
    """PyTorch takes our weights as they are."""
    file = folder / "ours.safetensors"
    weights.save(file, ours.state_dict())
    theirs.load_state_dict(safetensors_torch.load_file(file), strict=True)


def close(found, expected, tolerance, name=""):
    found = np.asarray(found)
    assert found.shape == expected.shape, name
    scale = np.max(np.abs(expected), initial=1e-3)
    np.testing.assert_allclose(found / scale, expected / scale, atol=tolerance, err_msg=name)


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("run", [lambda f: f, kj.jit], ids=["eager", "jit"])
def test_a_small_network_equals_pytorchs(name, run, tmp_path):
    torch.manual_seed(0)
    compare(SMALL[name](), tmp_path, "float64", 1e-9, run)


@pytest.mark.slow
@pytest.mark.parametrize("name", FULL)
def test_a_network_of_full_size_equals_pytorchs(name, tmp_path):
    """Relu and max pooling turn roundings of float32 into jumps of the gradient: float64 there."""
    torch.manual_seed(0)
    dtype, tolerance = ("float64", 1e-8) if name in ("resnet18", "unet") else ("float32", 2e-4)
    compare(FULL[name](), tmp_path, dtype, tolerance, kj.jit)
