"""Models that PyTorch's exporter writes, read and compared with PyTorch.

Not here: operators by themselves (`test_io_onnx_operators.py`).
"""

from __future__ import annotations

import io
import warnings

import numpy as np
import pytest

import kedja as kj
from kedja.io.onnx import load

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")


def exported(module, *inputs):
    """A module as PyTorch writes it, with the batch (axis 0) of each input left open."""
    names = [f"x{place}" for place in range(len(inputs))]
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns of itself
        torch.onnx.export(
            module.eval(),
            inputs,
            file,
            dynamo=False,
            input_names=names,
            dynamic_axes={name: {0: "batch"} for name in names},
        )
    return load(file.getvalue())


def require_equal(module, *inputs, compiled=True):
    model = exported(module, *inputs)
    with torch.no_grad():
        expected = [each.numpy() for each in torch.utils._pytree.tree_leaves(module(*inputs))]
    arrays = [each.numpy() for each in inputs]
    runs = [model, kj.jit(lambda *given: model(*given))] if compiled else [model]
    for run in runs:
        found = [leaf.numpy() for leaf in kj.tree.leaves(run(*arrays))]
        for value, wanted in zip(found, expected, strict=True):
            np.testing.assert_allclose(value, wanted, rtol=1e-4, atol=1e-5)
    return model


def test_a_convolutional_network_and_its_names():
    torch.manual_seed(0)
    module = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.PReLU(4), torch.nn.GroupNorm(2, 4),
        torch.nn.MaxPool2d(2), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(),
        torch.nn.Linear(4, 2),
    )  # fmt: skip
    model = require_equal(module, torch.randn(2, 3, 8, 8))
    assert {"0.weight", "6.weight", "6.bias"} <= {name for name, _ in model.parameters()}


def test_recurrent_networks():
    torch.manual_seed(1)
    require_equal(
        torch.nn.LSTM(3, 4, 2, bidirectional=True, batch_first=True), torch.randn(2, 5, 3)
    )
    require_equal(torch.nn.GRU(3, 4, batch_first=True), torch.randn(2, 5, 3))


class Attending(torch.nn.Module):
    """Embeddings that attend to one another, and shapes that are computed from shapes."""

    def __init__(self):
        super().__init__()
        self.embed = torch.nn.Embedding(10, 4)
        self.weight = torch.nn.Parameter(torch.randn(4, 4))

    def forward(self, tokens):
        x = self.embed(tokens)
        mask = torch.triu(torch.full((tokens.size(1),) * 2, float("-inf")), 1)
        weights = torch.softmax(x @ self.weight @ x.transpose(1, 2) + mask, -1)
        y = (weights @ x).view(x.size(0), -1, 2).transpose(1, 2).contiguous()
        return y.view(x.size(0), -1) * x.shape[1], x.argmax(-1), x.topk(2).values


def test_shapes_that_follow_from_shapes():
    torch.manual_seed(2)
    model = require_equal(Attending(), torch.randint(0, 10, (2, 5)))
    assert {name for name, _ in model.parameters()} == {"embed.weight", "weight"}
    assert model.known_inputs == ()


def test_gradients_equal_those_of_pytorch():
    torch.manual_seed(3)
    module = torch.nn.Sequential(
        torch.nn.Linear(4, 5), torch.nn.LayerNorm(5), torch.nn.GELU(), torch.nn.Linear(5, 2)
    )
    x = torch.randn(3, 4)
    model = exported(module, x)
    grads = kj.grad(lambda net: kj.sum(net(x.numpy()) ** 2))(model)
    module(x).square().sum().backward()
    for name, parameter in module.named_parameters():
        if name in grads.weights:
            expected = parameter.grad.numpy()
            np.testing.assert_allclose(grads.weights[name].numpy(), expected, rtol=1e-3, atol=1e-5)
    assert {"0.bias", "1.weight", "3.bias"} <= set(grads.weights)
