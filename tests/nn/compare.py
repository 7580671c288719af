"""Values and gradients of a function, ours and PyTorch's, and finite differences of ours."""

from __future__ import annotations

from typing import Any

import numpy as np

import kedja as kj
from kedja.autodiff.check import check
from kedja.front.tensor import from_node


def assert_like_torch(torch: Any, ours: Any, theirs: Any, arrays: Any, rtol: float = 1e-9) -> None:
    """Values, and the gradients of a weighted sum of them, agree; floats are float64."""
    outputs = ours(*(kj.tensor(each) for each in arrays))
    leaves = [torch.tensor(each, requires_grad=each.dtype.kind == "f") for each in arrays]
    expected = theirs(*leaves)
    np.testing.assert_allclose(outputs, expected.detach().numpy(), rtol=rtol, atol=1e-12)
    weight = np.linspace(0.5, 1.5, outputs.size).reshape(outputs.shape)
    (expected * torch.tensor(weight)).sum().backward()
    places = [i for i, each in enumerate(arrays) if each.dtype.kind == "f"]
    found = kj.grad(lambda *xs: kj.sum(ours(*xs) * kj.tensor(weight)), places)(*arrays)
    for place, each in zip(places, found, strict=True):
        np.testing.assert_allclose(each, leaves[place].grad.numpy(), rtol=rtol, atol=1e-12)


def deviation(function: Any, *arrays: Any) -> float:
    """How far both derivatives of a function of tensors are from finite differences."""
    nodes = lambda *xs: function(*(from_node(x) for x in xs)).node  # noqa: E731
    return check(nodes, [np.asarray(each) for each in arrays]).worst()
