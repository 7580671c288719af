"""Dear values of a row are computed once: the same bits as twice."""

from __future__ import annotations

import numpy as np
import pytest

import kedja as kj
from kedja.compiler import codegen, llvm_rows
from kedja.compiler.kernels import LoopKernel
from kedja.compiler.llvm_rows import rows_of
from kedja.compiler.loops import Nest
from kedja.front import functions  # noqa: F401  fills the table of ops
from kedja.ir.graph import Node, apply, variable
from kedja.ir.op import Type

SHAPES = [(5, 1000), (3, 17), (4, 64), (7, 9), (2, 3, 130), (3, 4), (2, 9000), (1, 50)]


def nest_of(*outputs: Node) -> Nest:
    inputs = [variable("x", Type((4, 40), np.dtype(np.float32)))]
    (kernel,) = codegen.lower(outputs, inputs, [], {}, None).schedule.kernels
    assert isinstance(kernel, LoopKernel)
    return kernel.nest


def test_the_exponentials_of_softmax_are_shared():
    x = variable("x", Type((4, 40), np.dtype(np.float32)))
    rows = rows_of(nest_of(apply("softmax", x, axes=(1,))))
    assert sorted(expr.op.name for expr in rows) == ["exp", "exp"]
    assert len({row.key for row in rows.values()}) == 1
    assert len({row.variable for row in rows.values()}) == 2


def test_other_arguments_are_not_the_same():
    x = variable("x", Type((4, 40), np.dtype(np.float32)))
    total = apply("broadcast", apply("sum", apply("exp", x + x), axes=(1,)), shape=(40, 4))
    other = apply("transpose", total, axes=(1, 0))
    assert rows_of(nest_of(other * apply("exp", x))) == {}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_the_bits_are_those_of_two_computations(name, shape, monkeypatch):
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32) * 3
    found = []
    with kj.scope(use_cache=False, tier="compile"):
        found.append(kj.jit(lambda x: getattr(kj, name)(x, axis=-1))(x).numpy())
        monkeypatch.setattr(llvm_rows, "rows_of", lambda nest: {})
        found.append(kj.jit(lambda x: getattr(kj, name)(x, axis=-1) + 0)(x).numpy())
    np.testing.assert_array_equal(*found)
