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


@pytest.mark.parametrize("size", [65_536, 65_537, 81_919, 98_305, 99_999, 131_072, 200_003])
@pytest.mark.parametrize("name", ["sum", "prod", "max", "min"])
def test_padding_is_not_met(name, size):
    """Loops end where padding begins; every element before is met once."""
    random = np.random.default_rng(size)
    x = 1 + random.integers(-64, 65, size).astype(np.float32) / 2**16
    with kj.scope(tier="compile"):
        found = getattr(kj, name)(kj.tensor(x)).numpy()
        last = getattr(kj, name)(kj.tensor(np.append(x[:-1], np.float32(3)))).numpy()
    wanted = getattr(x.astype(np.float64), name)()
    rounding = 1e-4 if name == "prod" else 1e-5  # each factor of a product rounds once
    np.testing.assert_allclose(found, wanted, rtol=rounding)
    changed = wanted + 3 - x[-1] if name == "sum" else wanted * 3 / x[-1]
    assert last == pytest.approx({"max": 3, "min": x[:-1].min()}.get(name, changed), rel=rounding)


def test_a_chunk_is_read_without_conditions():
    """Of the last chunk only the end is masked: one masked load where each vector had one."""
    x = variable("x", Type((99_999,), FLOAT))
    order = codegen.lower([apply("sum", x, axes=(0,))], [x], [], {}, None).schedule
    emitter = codegen.Emitter(host_target())
    emitter.uses(order)
    calls = [line for line in emitter.text().splitlines() if "call" in line and "masked" in line]
    assert len([line for line in calls if "masked.load" in line]) <= 2


@pytest.mark.parametrize("size", [100_000, 1_000_001])
def test_sums_are_as_good_as_pairwise(size):
    """64 partial sums in each chunk, halves first: better than one after the other by far."""
    x = np.random.default_rng(1).random(size, np.float32)
    exact = x.astype(np.float64).sum()
    with kj.scope(tier="compile"):
        found = kj.sum(kj.tensor(x)).item()
    assert abs(found - exact) <= 4 * np.spacing(np.float32(exact))


@pytest.mark.parametrize("operation", ["sum", "max", "argmax", "logsumexp", "var"])
def test_bits_do_not_depend_on_threads(operation):
    x = kj.tensor(np.random.default_rng(2).standard_normal(300_001, np.float32))
    found = set()
    for threads in (1, 2, 3, 5):
        with kj.scope(tier="compile", threads=threads):
            found.add(kj.jit(lambda x: getattr(kj, operation)(x))(x).numpy().tobytes())
    assert len(found) == 1


def require_columns(name: str, shape: tuple[int, int], *, seed: int, atol: float) -> None:
    """A reduction over the rows of random numbers is that of NumPy in float64."""
    given = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
    with kj.scope(tier="compile"):
        found = getattr(kj, name)(kj.tensor(given), axis=0).numpy()
    wanted = getattr(given.astype(np.float64), name)(axis=0)
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=atol)


@pytest.mark.parametrize("shape", [(700, 130), (33, 65), (2000, 63), (5, 257), (300, 1000)])
@pytest.mark.parametrize("name", ["sum", "max"])
def test_columns(name, shape):
    """Several vectors of columns at once, then one, then the masked rest."""
    require_columns(name, shape, seed=3, atol=1e-3)


@pytest.mark.parametrize(
    "shape", [(4096, 100), (5000, 64), (700, 1000), (293, 2048), (64, 4096), (31, 65_536)]
)
@pytest.mark.parametrize("name", ["sum", "max"])
def test_tall_columns_go_by_blocks_of_rows(name, shape):
    """Blocks of at least 16 rows, equal or with the last one filled; every row is met once."""
    require_columns(name, shape, seed=4, atol=1e-4)


def test_blocks_of_tall_columns_fit_a_cache():
    x = variable("x", Type((8192, 768), FLOAT))
    (made,) = split([apply("sum", x, axes=(0,))])
    blocks = made.inputs[0].inputs[0].inputs[0]
    assert made.op.name == "reshape"
    assert blocks.shape == (64, 128, 768)
