"""Gradients of weights over two halves of the rows: when, the same values, the same bits."""

from __future__ import annotations

import numpy as np
import pytest

import kedja as kj
from kedja.compiler.halves import halved
from kedja.front import functions  # noqa: F401  fills the table of ops
from kedja.ground.dtypes import bfloat16
from kedja.ir.graph import Node, apply, topological, variable
from kedja.ir.op import Type

FLOAT = np.dtype(np.float32)


def gradient(k: int, m: int, n: int, dtype: np.dtype = FLOAT, computed: bool = True) -> Node:
    """xᵀ g, of values that the program has computed or was given."""
    given = (variable(name, Type((k, size), dtype)) for name, size in (("x", m), ("g", n)))
    x, g = (apply("tanh", each) if computed else each for each in given)
    if dtype != FLOAT:
        x, g = (apply("cast", each, dtype=FLOAT) for each in (x, g))
    return apply("matmul", apply("transpose", x, axes=(1, 0)), g)


def products(outputs: list[Node]) -> list[tuple[int, ...]]:
    return [node.shape for node in topological(outputs) if node.op.name == "matmul"]


@pytest.mark.parametrize("k, m, n", [(768, 128, 512), (256, 64, 64), (300, 10, 65)])
def test_gradients_become_two_products(k, m, n):
    (found,) = halved([gradient(k, m, n)])
    assert found.shape == (m, n) and found.op.name == "add"
    assert products([found]) == [(2, m, n)]


@pytest.mark.parametrize(
    "whole",
    [
        gradient(254, 64, 64),  # few rows
        gradient(301, 64, 64),  # an odd number of them
        gradient(256, 512, 512),  # more to write than to read
        gradient(4096, 128, 512),  # rows that no cache holds
        gradient(768, 128, 512, computed=False),  # rows that no thread has written
        gradient(768, 128, 512, dtype=bfloat16),  # multiplied in pairs
    ],
)
def test_others_stay_whole(whole):
    assert halved([whole]) == [whole]


def test_the_gradient_of_a_batch_of_examples():
    """Against float64, and the same bits with any number of threads."""
    random = np.random.default_rng(0)
    w, x, y = (
        random.standard_normal(s).astype(np.float32) for s in ((48, 80), (512, 48), (512, 80))
    )

    def loss(w, x, y):
        return kj.mean((kj.tanh(kj.sin(x) @ w) - y) ** 2)

    found = []
    for threads in (1, 2, 5):
        with kj.scope(tier="compile", threads=threads):
            found.append(kj.jit(kj.grad(loss))(*map(kj.tensor, (w, x, y))).numpy())
    assert all(np.array_equal(found[0], each) for each in found)
    exact = kj.grad(loss)(*(kj.tensor(each.astype(np.float64)) for each in (w, x, y))).numpy()
    np.testing.assert_allclose(found[0], exact, atol=2e-6)
