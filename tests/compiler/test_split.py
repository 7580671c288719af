"""Long reductions in chunks: the same values, and tasks for threads, from the shape alone."""

from __future__ import annotations

import numpy as np
import pytest

import kedja as kj
from kedja.compiler import codegen
from kedja.compiler.runtime_target import host_target
from kedja.compiler.split import split
from kedja.front import functions  # noqa: F401  fills the table of ops
from kedja.ir.graph import apply, variable
from kedja.ir.op import Type

FLOAT = np.dtype(np.float32)

# shape, folded axes, at least so many tasks in the longest kernel
CASES = [
    ((64, 32, 14, 14), (0, 2, 3), 8),  # the bias of a convolution
    ((32, 64, 8, 8), (0, 2, 3), 4),
    ((70_001,), (0,), 2),
    ((4096, 64), (0,), 4),  # the bias of a layer, more examples than tasks of columns
    ((4099, 40), (0,), 2),
    ((3, 50_000), (1,), 3),
    ((16, 40, 300), (0, 2), 8),
    ((300, 7, 64), (0, 1), 2),
]


@pytest.mark.parametrize(("shape", "axes", "tasks"), CASES)
def test_long_reductions_are_shared(shape, axes, tasks):
    x = variable("x", Type(shape, FLOAT))
    outputs = [apply("sum", x, axes=axes)]
    order = codegen.lower(outputs, [x], [], {}, None).schedule
    uses = codegen.Emitter(host_target()).uses(order)
    assert max(use.tasks for use in uses) >= tasks


@pytest.mark.parametrize(("shape", "axes", "tasks"), CASES)
@pytest.mark.parametrize("name", ["sum", "max"])
def test_values_stay(name, shape, axes, tasks):
    given = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    with kj.scope(tier="compile"):
        found = getattr(kj, name)(kj.tensor(given), axis=axes).numpy()
    wanted = getattr(given.astype(np.float64), name)(axis=axes)
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=2e-3)


def test_short_ones_stay_whole():
    x = variable("x", Type((30, 30), FLOAT))
    whole = apply("sum", x, axes=(0, 1))
    assert split([whole]) == [whole]
