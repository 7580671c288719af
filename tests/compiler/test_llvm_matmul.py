"""Generated matrix products against NumPy: layouts, odd sizes, epilogues, tasks, other targets.

Not here: speed. Next: `kedja/compiler/llvm_matmul.py`.
"""

from __future__ import annotations

import ctypes
import itertools
import mmap
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kedja.compiler import llvm_ir as ir
from kedja.compiler.llvm_matmul import FIRST_EXTRA, Epilogue, EpilogueSite, emit_matmul
from kedja.compiler.matmul_plan import MatmulPlan, MatmulShape, Split, plan
from kedja.compiler.matmul_tiles import tallest_tiles
from kedja.compiler.runtime_object import Library, assembly, compile_module
from kedja.compiler.runtime_target import Target, host_target, named_target
from kedja.ground.errors import DtypeError, ShapeError

F32, F64 = np.dtype(np.float32), np.dtype(np.float64)
CANARY = 12345.0


def targets_that_run_here() -> list[Target]:
    """The host and those named targets with other vectors that it can execute."""
    host = host_target()
    named = [named_target(name) for name in ("avx512", "avx2", "neon")]
    others = [target for target in named if target.vector_bits != host.vector_bits]
    return [host, *(target for target in others if target.runs_here())]


RUNNABLE = targets_that_run_here()


class Product:
    """A compiled product; `run` calls its tasks in any order asked for."""

    def __init__(self, made: MatmulPlan, target: Target, epilogue: Epilogue | None = None) -> None:
        module = ir.Module("product")
        self.plan = made
        self.symbols = emit_matmul(module, "kedja_mm", made, epilogue)
        self.library = Library(compile_module(module, target), target)
        kind = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)
        self.functions = [kind(self.library.address(symbol)) for symbol in self.symbols]

    def run(self, *addresses: int, backwards: bool = False) -> None:
        """Run all phases; addresses of C, A, B and what the epilogue wants."""
        scratch = aligned(self.plan.scratch_bytes // 4, F32)
        scratch[:] = np.nan
        pointers = [*addresses[:3], scratch.ctypes.data, *addresses[3:]]
        args = (ctypes.c_void_p * len(pointers))(*pointers)
        for function, phase in zip(self.functions, self.plan.phases, strict=True):
            for task in reversed(range(phase.tasks)) if backwards else range(phase.tasks):
                function(ctypes.addressof(args), task)


def aligned(size: int, dtype: np.dtype) -> np.ndarray:
    """Uninitialised memory for `size` elements on a 64-byte boundary."""
    raw = np.empty(size * dtype.itemsize + 64, np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + size * dtype.itemsize].view(dtype)


def operand(rows: int, columns: int, dtype: np.dtype, transposed: bool, seed: int) -> np.ndarray:
    """A random matrix, stored row-major or transposed, inside a larger one full of NaN."""
    shape = (columns, rows) if transposed else (rows, columns)
    around = np.full((shape[0] + 1, shape[1] + 3), np.nan, dtype)
    inside = around[: shape[0], : shape[1]]
    inside[...] = np.random.default_rng(seed).standard_normal(shape)
    return inside.T if transposed else inside


def element_strides(array: np.ndarray) -> tuple[int, ...]:
    return tuple(stride // array.itemsize for stride in array.strides)


def shape_of(a: np.ndarray, b: np.ndarray) -> MatmulShape:
    """The shape of a plain product of two arrays."""
    (m, k), n = a.shape, b.shape[1]
    return MatmulShape(1, m, n, k, a.dtype, element_strides(a), element_strides(b))


def multiply(
    a: np.ndarray,
    b: np.ndarray,
    target: Target | None = None,
    changes: dict[str, object] | None = None,
    backwards: bool = False,
    **asked: object,
) -> np.ndarray:
    """A B by generated code; checks that nothing around C is written."""
    target = target or host_target()
    made = replace(plan(shape_of(a, b), target, **asked), **(changes or {}))
    m, n = a.shape[0], b.shape[1]
    around = np.full(m * n + 64, CANARY, a.dtype)
    c = around[32 : 32 + m * n].reshape(m, n)
    Product(made, target).run(c.ctypes.data, a.ctypes.data, b.ctypes.data, backwards=backwards)
    assert (around[:32] == CANARY).all()
    assert (around[32 + m * n :] == CANARY).all()
    return c


def expected(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, float]:
    """The product in twice the precision, and the tolerance that rounding allows."""
    exact = a.astype(np.longdouble) @ b.astype(np.longdouble)
    size = np.abs(a).astype(np.float64) @ np.abs(b).astype(np.float64)
    unit = np.finfo(a.dtype).eps
    return exact, float(unit * (a.shape[1] + 2) * (size.max(initial=0) + 1))


def assert_product(c: np.ndarray, a: np.ndarray, b: np.ndarray) -> None:
    exact, tolerance = expected(a, b)
    assert c.shape == exact.shape
    np.testing.assert_allclose(c, exact, rtol=0, atol=tolerance)


sizes = st.integers(1, 40)


@settings(max_examples=80, deadline=None)
@given(
    sizes,
    sizes,
    sizes,
    st.sampled_from([F32, F64]),
    st.booleans(),
    st.booleans(),
    st.sampled_from(RUNNABLE),
)
def test_odd_sizes_in_every_layout(m, n, k, dtype, a_t, b_t, target) -> None:
    a, b = operand(m, k, dtype, a_t, 1), operand(k, n, dtype, b_t, 2)
    assert_product(multiply(a, b, target), a, b)


LAYOUTS = list(itertools.product((False, True), repeat=2))


@pytest.mark.parametrize(("a_t", "b_t"), LAYOUTS)
@pytest.mark.parametrize(
    ("m", "n", "k"),
    [(64, 128, 200), (1, 257, 131), (257, 1, 131), (130, 67, 1), (3, 70, 129), (150, 10, 128)],
)
@pytest.mark.parametrize("target", RUNNABLE, ids=lambda target: target.name)
def test_training_shapes(m, n, k, a_t, b_t, target) -> None:
    a, b = operand(m, k, F32, a_t, 1), operand(k, n, F32, b_t, 2)
    assert_product(multiply(a, b, target), a, b)


@pytest.mark.parametrize(("a_t", "b_t"), LAYOUTS)
@pytest.mark.parametrize("dtype", [F32, F64], ids=str)
def test_large_products_are_packed_and_blocked(a_t, b_t, dtype) -> None:
    """Small caches make a plan with all its parts out of a size that a test can afford."""
    small = replace(host_target(), l1=4096, l2=16384)
    a, b = operand(515, 271, dtype, a_t, 1), operand(271, 331, dtype, b_t, 2)
    made = plan(shape_of(a, b), small)
    assert made.packing == "phase" and made.copy_a and made.k_blocks > 2 and made.tasks > 4
    assert_product(multiply(a, b, small), a, b)


@pytest.mark.parametrize("lead", ["A", "B"])
def test_one_column_of_a_wide_matrix(lead) -> None:
    """A vector whose elements are apart, on either side."""
    wide = np.random.default_rng(3).standard_normal((50, 6)).astype(F32)
    full = operand(20, 50, F32, False, 4)
    a, b = (wide[:, 2:3].T, full.T) if lead == "A" else (full, wide[:, 2:3])
    assert_product(multiply(a, b), a, b)


@pytest.mark.parametrize(("m", "n", "k"), [(3, 5, 0), (1, 7, 0), (7, 1, 0)])
@pytest.mark.parametrize(("a_t", "b_t"), LAYOUTS)
def test_a_sum_over_nothing_is_zero(m, n, k, a_t, b_t) -> None:
    a, b = operand(m, k, F32, a_t, 1), operand(k, n, F32, b_t, 2)
    assert (multiply(a, b) == 0).all()


@pytest.mark.parametrize(("batch", "m", "n"), [(0, 2, 3), (1, 0, 3), (1, 2, 0)])
def test_an_empty_result_has_no_tasks(batch, m, n) -> None:
    made = plan(MatmulShape(batch, m, n, 4, F32, (4, 1), (max(n, 1), 1)), host_target())
    assert made.phases == ()
    assert emit_matmul(ir.Module("empty"), "kedja_mm", made) == []


@pytest.mark.parametrize("b_t", [False, True])
@pytest.mark.parametrize("shared", ["neither", "A", "B", "both"])
def test_batches_and_shared_operands(b_t, shared) -> None:
    batch, m, n, k = 7, 20, 37, 33
    rng = np.random.default_rng(5)
    a = rng.standard_normal((batch, m, k)).astype(F32)
    b = rng.standard_normal((batch, n, k) if b_t else (batch, k, n)).astype(F32)
    b_strides = (1, k) if b_t else (n, 1)
    a_step = 0 if shared in ("A", "both") else m * k
    b_step = 0 if shared in ("B", "both") else n * k
    shape = MatmulShape(batch, m, n, k, F32, (k, 1), b_strides, a_step, b_step)
    made = plan(shape, host_target())
    assert made.groups > 1
    c = np.empty((batch, m, n), F32)
    Product(made, host_target()).run(c.ctypes.data, a.ctypes.data, b.ctypes.data)
    left = a if a_step else a[:1]
    right = np.swapaxes(b, 1, 2) if b_t else b
    wanted = left @ (right if b_step else right[:1])
    np.testing.assert_allclose(c, np.broadcast_to(wanted, c.shape), atol=1e-4)


@pytest.mark.parametrize("b_t", [False, True])
@pytest.mark.parametrize(("m", "n"), [(5, 19), (2, 19), (19, 1)])
def test_nan_and_infinity_propagate_as_in_numpy(m, n, b_t) -> None:
    a, b = operand(m, 37, F32, False, 1), operand(37, n, F32, b_t, 2)
    a[0, 3], a[1, 36], b[5, 0], b[35, n - 1] = np.nan, np.inf, -np.inf, 0.0
    with np.errstate(invalid="ignore"):
        wanted = np.asarray(a) @ np.asarray(b)
    c = multiply(a, b)
    np.testing.assert_array_equal(np.isnan(c), np.isnan(wanted))
    np.testing.assert_array_equal(np.isposinf(c), np.isposinf(wanted))
    np.testing.assert_array_equal(np.isneginf(c), np.isneginf(wanted))


# --- the same bits, however the work is cut ------------------------------------------------------


@pytest.mark.parametrize(("a_t", "b_t"), LAYOUTS)
def test_tasks_in_reverse_order_give_the_same_bits(a_t, b_t) -> None:
    a, b = operand(75, 129, F32, a_t, 1), operand(129, 150, F32, b_t, 2)
    assert plan(shape_of(a, b), host_target()).tasks >= 4
    forwards, backwards = multiply(a, b), multiply(a, b, backwards=True)
    np.testing.assert_array_equal(forwards.view(np.uint32), backwards.view(np.uint32))


@pytest.mark.parametrize("b_t", [False, True])
def test_bits_do_not_depend_on_tiles_blocks_and_packing(b_t) -> None:
    a, b = operand(75, 129, F32, False, 1), operand(129, 150, F32, b_t, 2)
    first = multiply(a, b)
    packings = ["task", "phase"] if b_t else ["none", "task", "phase"]
    for packing, k_block, vectors in itertools.product(packings, (48, 129), (1, 3)):
        changes = {
            "packing": packing,
            "rows_inner": packing == "task",
            "copy_a": packing == "phase",
            "k_block": k_block,
            "vectors": vectors,
            "rows": Split(75, 11),
            "row_blocks": 3,
            "column_blocks": 2,
        }
        again = multiply(a, b, changes=changes)
        np.testing.assert_array_equal(first.view(np.uint32), again.view(np.uint32))


def test_each_task_writes_its_own_part_of_c() -> None:
    """Running one task fills exactly what no other task fills."""
    a, b = operand(75, 129, F32, False, 1), operand(129, 150, F32, False, 2)
    product = Product(plan(shape_of(a, b), host_target()), host_target())
    (phase,) = product.plan.phases
    written = np.zeros((75, 150), int)
    for task in range(phase.tasks):
        c = np.full((75, 150), np.nan, F32)
        args = (ctypes.c_void_p * 4)(c.ctypes.data, a.ctypes.data, b.ctypes.data, None)
        product.functions[0](ctypes.addressof(args), task)
        written += ~np.isnan(c)
    assert (written == 1).all()


# --- epilogues -----------------------------------------------------------------------------------


def bias_relu(columns: int) -> Epilogue:
    """max(sum + bias[column], 0); the sum itself goes to a second result."""

    def emit(site: EpilogueSite) -> ir.Value:
        b, zero = site.builder, site.vectors.zero
        site.store(site.argument(FIRST_EXTRA + 1), site.value, 0, columns, 1)
        total = b.fadd(site.value, site.load(site.argument(FIRST_EXTRA), 0, 0, 1))
        return b.select(b.fcmp_ordered(">", total, zero), total, zero)

    return emit


@settings(max_examples=40, deadline=None)
@given(
    sizes,
    sizes,
    st.integers(0, 40),
    st.sampled_from([F32, F64]),
    st.booleans(),
    st.sampled_from(RUNNABLE),
)
def test_epilogue_with_bias_relu_and_a_second_result(m, n, k, dtype, b_t, target) -> None:
    a, b = operand(m, k, dtype, False, 1), operand(k, n, dtype, b_t, 2)
    bias = np.random.default_rng(3).standard_normal(n).astype(dtype)
    c, sums = np.full((2, m * n + 16), CANARY, dtype)
    product = Product(plan(shape_of(a, b), target), target, bias_relu(n))
    product.run(*(array.ctypes.data for array in (c, a, b, bias, sums)))
    assert (c[m * n :] == CANARY).all() and (sums[m * n :] == CANARY).all()
    sums, c = sums[: m * n].reshape(m, n), c[: m * n].reshape(m, n)
    np.testing.assert_array_equal(sums, multiply(a, b, target))
    np.testing.assert_array_equal(c, np.maximum(sums + bias, 0))


def descend(columns: int) -> Epilogue:
    """w - sum / 8, where w is what C held before."""

    def emit(site: EpilogueSite) -> ir.Value:
        w = site.load(site.argument(0), 0, columns, 1)
        eighth = ir.Constant(site.vectors.kind, [0.125] * site.lanes)
        return site.builder.fsub(w, site.builder.fmul(site.value, eighth))

    return emit


@pytest.mark.parametrize("b_t", [False, True])
def test_an_epilogue_may_read_what_c_held(b_t) -> None:
    small = replace(host_target(), l1=4096, l2=16384)
    a, b = operand(515, 271, F32, True, 1), operand(271, 331, F32, b_t, 2)
    made = plan(shape_of(a, b), small, in_place=True)
    assert made.packing == "phase" and made.k_blocks == 1
    weight = np.random.default_rng(6).standard_normal((515, 331)).astype(F32)
    c = weight.copy()
    Product(made, small, descend(331)).run(c.ctypes.data, a.ctypes.data, b.ctypes.data)
    np.testing.assert_array_equal(c, weight - multiply(a, b, small) * F32.type(0.125))


def test_epilogue_after_blocks_of_k() -> None:
    small = replace(host_target(), l1=4096, l2=16384)
    a, b = operand(515, 271, F32, False, 1), operand(271, 331, F32, False, 2)
    made = plan(shape_of(a, b), small)
    assert made.k_blocks > 1
    bias = np.random.default_rng(3).standard_normal(331).astype(F32)
    c, sums = np.empty((2, 515, 331), F32)
    Product(made, small, bias_relu(331)).run(*(x.ctypes.data for x in (c, a, b, bias, sums)))
    np.testing.assert_array_equal(sums, multiply(a, b, small))
    np.testing.assert_array_equal(c, np.maximum(sums + bias, 0))


# --- no access outside the operands --------------------------------------------------------------


@dataclass
class Guarded:
    """An array whose last byte is the last before a page that must not be touched."""

    array: np.ndarray
    pages: mmap.mmap


def guarded(shape: Sequence[int], dtype: np.dtype) -> Guarded:
    size = int(np.prod(shape)) * dtype.itemsize
    room = -(-size // mmap.PAGESIZE) * mmap.PAGESIZE
    pages = mmap.mmap(-1, room + mmap.PAGESIZE)
    raw = np.frombuffer(pages, np.uint8)
    libc = ctypes.CDLL(None, use_errno=True)
    address = ctypes.c_void_p(raw.ctypes.data + room)
    assert libc.mprotect(address, ctypes.c_size_t(mmap.PAGESIZE), 0) == 0
    array = raw[room - size : room].view(dtype).reshape(shape)
    array[...] = np.random.default_rng(size).standard_normal(shape)
    return Guarded(array, pages)


@pytest.mark.skipif(sys.platform != "linux", reason="needs mprotect with Linux's constants")
@pytest.mark.parametrize(("a_t", "b_t"), LAYOUTS)
@pytest.mark.parametrize(("m", "n", "k"), [(13, 45, 23), (2, 21, 19), (21, 1, 19), (40, 3, 70)])
@pytest.mark.parametrize("target", RUNNABLE, ids=lambda target: target.name)
def test_nothing_is_touched_behind_the_operands(m, n, k, a_t, b_t, target) -> None:
    """A read or write behind an operand ends the test run with a segmentation fault."""
    a = guarded((k, m) if a_t else (m, k), F32)
    b = guarded((n, k) if b_t else (k, n), F32)
    c = guarded((m, n), F32)
    left, right = a.array.T if a_t else a.array, b.array.T if b_t else b.array
    product = Product(plan(shape_of(left, right), target), target)
    product.run(c.array.ctypes.data, left.ctypes.data, right.ctypes.data)
    np.testing.assert_allclose(c.array, left @ right, atol=1e-4)


# --- plans and targets ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["avx512", "avx2", "neon"])
@pytest.mark.parametrize("b_t", [False, True])
@pytest.mark.parametrize("dtype", [F32, F64], ids=str)
def test_code_for_other_processors(name, b_t, dtype) -> None:
    target = named_target(name)
    shape = MatmulShape(1, 64, 45, 100, dtype, (100, 1), (1, 100) if b_t else (45, 1))
    module = ir.Module("product")
    emit_matmul(module, "kedja_mm", plan(shape, target))
    text = assembly(module, target)
    register = {"avx512": r"%zmm\d", "avx2": r"%ymm\d", "neon": r"v\d+\.(4s|2d)"}[name]
    assert re.search(r"(fmadd|fmla).*" + register, text)
    assert len(compile_module(module, target)) > 500


TILES = [
    (name, rows, vectors)
    for name in ("avx512", "avx2", "neon")
    for vectors, rows in enumerate(tallest_tiles(named_target(name)), start=1)
]


@pytest.mark.parametrize(("name", "rows", "vectors"), TILES)
def test_sums_stay_in_registers(name, rows, vectors) -> None:
    """A tile that is too large shows as vectors that are stored to and loaded from the stack."""
    target = named_target(name)
    n = vectors * target.vector_bits // 32
    shape = MatmulShape(1, rows, n, 784, F32, (784, 1), (n, 1))
    made = replace(plan(shape, target), rows=Split(rows, 1), vectors=vectors)
    module = ir.Module("product")
    emit_matmul(module, "kedja_mm", made)
    text = assembly(module, target)
    assert f"tile_{rows}x{vectors}" in text
    assert not re.search(r"[yz]mm\d+, .*\(%rsp\)|\(%rsp\), %[yz]mm|[qv]\d+, .*\[sp", text)


@pytest.mark.parametrize("b_t", [False, True])
def test_weights_are_asked_for_before_they_are_needed(b_t) -> None:
    """Both a matrix that is read where it stands and one that tasks pack; small ones are not."""
    for n, asks in ((300, True), (32, b_t)):
        shape = MatmulShape(1, 64, n, 300, F32, (300, 1), (1, 300) if b_t else (n, 1))
        made = plan(shape, named_target("avx512"))
        module = ir.Module("product")
        emit_matmul(module, "kedja_mm", made)
        assert ("prefetcht1" in assembly(module, named_target("avx512"))) == asks


def test_small_products_are_one_task_and_larger_ones_several() -> None:
    def tasks(size: int) -> int:
        shape = MatmulShape(1, size, size, size, F32, (size, 1), (size, 1))
        return plan(shape, named_target("avx512")).tasks

    assert [tasks(size) for size in (1, 16, 32, 40)] == [1, 1, 1, 1]
    assert tasks(48) >= 2
    assert tasks(64) >= 4
    assert 4 <= tasks(512) <= 64


@pytest.mark.parametrize("b_t", [False, True])
@pytest.mark.parametrize("axis", ["rows", "columns"])
def test_the_caller_can_choose_the_axis_to_share_out(axis, b_t) -> None:
    shape = MatmulShape(1, 128, 784, 64, F32, (1, 128), (1, 64) if b_t else (784, 1))
    made = plan(shape, named_target("avx512"), axis)
    other = made.column_blocks if axis == "rows" else made.row_blocks
    assert made.tasks >= 4
    assert other == 1
    a, b = operand(128, 64, F32, True, 1), operand(64, 784, F32, b_t, 2)
    assert_product(multiply(a, b, split=axis), a, b)


def test_rows_first_keeps_rows_together_where_b_stays_in_the_cache() -> None:
    shape = MatmulShape(1, 32, 512, 128, F32, (128, 1), (512, 1))
    made = plan(shape, named_target("avx512"), "rows first")
    assert made.row_blocks == made.rows.count >= 2
    assert made.tasks >= 4
    large = MatmulShape(1, 32, 2048, 2048, F32, (2048, 1), (2048, 1))
    assert plan(large, named_target("avx512"), "rows first") == plan(large, named_target("avx512"))
    a, b = operand(32, 128, F32, False, 1), operand(128, 512, F32, False, 2)
    np.testing.assert_array_equal(multiply(a, b, split="rows first"), multiply(a, b))


def test_plans_refuse_what_they_cannot_compute() -> None:
    with pytest.raises(DtypeError, match="int32"):
        MatmulShape(1, 2, 2, 2, np.dtype(np.int32), (2, 1), (2, 1))
    with pytest.raises(ShapeError, match="B has strides"):
        MatmulShape(1, 2, 2, 2, F32, (2, 1), (4, 2))
    with pytest.raises(ShapeError, match="A has strides"):
        MatmulShape(1, 2, 2, 2, F32, (4, 2), (2, 1))
    with pytest.raises(ShapeError, match="negative"):
        MatmulShape(1, 2, -2, 2, F32, (2, 1), (4, 1))
