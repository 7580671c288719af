"""Products of few rows with a large matrix: each part of k by itself, then the sums of the parts.

Not here: other products (`test_llvm_matmul.py`). Next: `kedja/compiler/matmul_parts.py`.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import kedja as kj
from kedja.compiler.matmul_parts import PartsPlan
from kedja.compiler.matmul_plan import plan
from kedja.compiler.runtime_target import host_target, named_target
from kedja.ground.dtypes import bfloat16
from tests.compiler.test_llvm_matmul import (
    RUNNABLE,
    Product,
    assert_product,
    multiply,
    operand,
    shape_of,
)

F32, F64 = np.dtype(np.float32), np.dtype(np.float64)
ROWS = [1, 2, 3, 4]


def small(target):
    """Caches so small that matrices a test can afford count as large."""
    return replace(target, l1=4096, l2=16384)


@pytest.mark.parametrize("target", RUNNABLE, ids=lambda target: str(target.vector_bits))
@pytest.mark.parametrize("dtype", [F32, F64], ids=str)
@pytest.mark.parametrize(("k", "n"), [(192, 64), (301, 1601), (1003, 77), (777, 1040)])
def test_any_size_and_rows(k, n, dtype, target):
    target = replace(small(target), has_masked_ops=True) if n % 16 == 0 else small(target)
    for m in ROWS:
        a, b = operand(m, k, dtype, False, 1), operand(k, n, dtype, False, 2)
        made = plan(shape_of(a, b), target)
        assert isinstance(made, PartsPlan) or not target.has_masked_ops
        assert_product(multiply(a, b, target), a, b)
        assert_product(multiply(a, b, target, backwards=True), a, b)


@pytest.mark.parametrize("m", ROWS)
def test_a_whose_columns_are_contiguous(m):
    a, b = operand(m, 500, F32, True, 1), operand(500, 300, F32, False, 2)
    assert_product(multiply(a, b, small(host_target())), a, b)


def test_a_row_is_the_same_beside_others():
    a, b = operand(4, 400, F32, False, 1), operand(400, 333, F32, False, 2)
    target = small(host_target())
    whole = multiply(a, b, target)
    for row in range(4):
        np.testing.assert_array_equal(multiply(a[row : row + 1], b, target), whole[row : row + 1])


def test_every_part_is_read_by_one_task():
    shape = shape_of(np.zeros((1, 3072), F32), np.zeros((3072, 768), F32))
    made = plan(shape, named_target("avx512"))
    assert isinstance(made, PartsPlan)
    assert [phase.tasks for phase in made.phases] == [8, 1]
    assert made.scratch_bytes == 8 * 768 * 4


def test_small_and_tall_products_are_not_cut():
    target = named_target("avx512")
    for m, k, n in ((5, 3072, 768), (1, 128, 512), (1, 150, 50_000)):
        assert not isinstance(plan(shape_of(*_zeros(m, k, n)), target), PartsPlan)


def _zeros(m, k, n):
    return np.zeros((m, k), F32), np.zeros((k, n), F32)


def test_what_stands_in_c_is_there_until_the_epilogue():
    """C may be an operand of the epilogue, as in an update in place."""
    a, b = operand(1, 400, F32, False, 1), operand(400, 256, F32, False, 2)
    target = small(host_target())
    made = plan(shape_of(a, b), target, in_place=True)
    assert isinstance(made, PartsPlan)

    def added(site):
        old = site.load(site.argument(0), 256, 256, 1)
        return site.builder.fadd(site.value, old)

    c = np.ones((1, 256), F32)
    Product(made, target, added).run(c.ctypes.data, a.ctypes.data, b.ctypes.data)
    np.testing.assert_allclose(c, 1 + a.astype(F64) @ b, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("m", ROWS)
@pytest.mark.parametrize("n", [1100, 1077])
def test_bfloat16_is_widened_where_it_is_read(m, n):
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((m, 1003)), rng.standard_normal((1003, n))
    a, b = kj.tensor(a).astype(bfloat16), kj.tensor(b).astype(bfloat16)
    run = kj.jit(lambda a, b: a @ b)
    found = run(a, b).numpy().astype(F64)
    exact = a.numpy().astype(F64) @ b.numpy().astype(F64)
    bound = np.abs(a.numpy().astype(F64)) @ np.abs(b.numpy().astype(F64))
    assert (np.abs(found - exact) <= np.abs(exact) * 2.0**-8 + bound * 1005 * 2.0**-24).all()
    with kj.profile() as profile:
        run(a, b)
    assert sum(each.tasks for each in profile.kernels if "matmul" in each.name) == 8 + 1


def test_any_number_of_threads_gives_the_same_bits():
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal(shape).astype(F32) for shape in ((2, 1500), (1500, 900)))
    run = kj.jit(lambda a, b: kj.gelu(a @ b))
    found = []
    for threads in (1, 2, 3):
        with kj.scope(threads=threads):
            found.append(run(a, b).numpy())
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


@pytest.mark.parametrize("m", [1, 2, 3])
@pytest.mark.parametrize("n", [47, 160])
def test_a_large_matrix_that_is_stored_turned(m, n):
    """Its columns are read where they stand, one after the other."""
    a, b = operand(m, 517, F32, False, 1), operand(517, n, F32, True, 2)
    made = plan(shape_of(a, b), small(host_target()))
    assert made.kernel == "dot"
    assert made.columns_apart
    assert not plan(shape_of(a, b), host_target()).columns_apart
    assert_product(multiply(a, b, small(host_target())), a, b)
