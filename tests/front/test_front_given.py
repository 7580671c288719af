"""Tensors in lists are tensors still: gradients reach them, traces see them, dtypes are theirs.

Not here: lists of numbers alone, and arrays (`tests/array_api`).
"""

from __future__ import annotations

import numpy as np
import pytest

import kedja as kj
from kedja import nn
from kedja.ground.errors import ShapeError


def squares(parts):
    return kj.sum(kj.square(parts))


@pytest.mark.parametrize("made", [kj.tensor, kj.asarray, list], ids=["tensor", "asarray", "list"])
def test_gradients_go_through_a_list(made):
    assert kj.grad(lambda a: squares(made([a, 2 * a])))(1.0).item() == 10
    assert kj.grad(lambda a: squares(made([[a, 1.0], [2.0, 3 * a]])))(2.0).item() == 40
    w = kj.tensor(3.0, requires_grad=True)
    squares(made([w, w, 1.0])).backward()
    assert w.grad.item() == 12


def test_a_tensor_of_a_tensor_keeps_its_history():
    assert kj.grad(lambda a: kj.square(kj.tensor(a)))(3.0).item() == 6
    assert kj.grad(lambda a: kj.square(kj.tensor(a, kj.float64)))(3.0).item() == 6
    w = kj.tensor(2.0, requires_grad=True)
    leaf = kj.tensor(w * 3, requires_grad=True)
    (leaf * leaf).backward()
    assert (w.grad, leaf.grad.item()) == (None, 12)


def test_a_list_is_seen_by_every_trace():
    net = nn.Linear(3, 2, key=kj.random.key(0))
    x = [1.0, 0.5, -1.0]
    np.testing.assert_allclose(kj.jit(net)(x).numpy(), net(x).numpy(), rtol=1e-6)
    assert kj.vmap(lambda a: net([a, a, 0.0]))(kj.ones(4)).shape == (4, 2)
    last, _ = kj.scan(lambda c, _: (kj.tensor([c[0] + c[1], c[0]]), None), kj.ones(2), length=4)
    assert last.tolist() == [8, 5]
    found = kj.grad(lambda x: kj.sum(net(x)))(x)
    expected = net.weight.numpy().sum(axis=0)
    np.testing.assert_allclose([each.item() for each in found], expected, rtol=1e-6)
    assert kj.explain(net, at={"x": x}).rows


def test_dtypes_are_those_of_the_tensors():
    wide = kj.tensor(1.0, kj.float64)
    assert kj.tensor([wide, wide]).dtype == kj.float64
    assert kj.tensor([kj.tensor(1), 2]).dtype == kj.int64
    assert kj.tensor([kj.tensor(1), 2.5]).tolist() == [1, 2.5]
    assert kj.tensor([wide, 1], kj.float32).dtype == kj.float32
    assert kj.tensor([kj.ones(2), np.zeros(2)]).shape == (2, 2)


def test_parts_of_different_shapes_are_named():
    with pytest.raises(ShapeError, match=r"parts of shapes \(\), \(2,\)"):
        kj.tensor([kj.tensor(1.0), kj.ones(2)])
