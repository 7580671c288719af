"""Products of bfloat16 in pairs: generated code against exact sums, and what compiles to them.

Not here: products of float32 (`test_llvm_matmul.py`). Next: `kedja/compiler/matmul_pairs.py`.
"""

from __future__ import annotations

import itertools
import re
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kedja as kj
from kedja.compiler import llvm_ir as ir
from kedja.compiler.codegen import lower
from kedja.compiler.kernels import ProductKernel
from kedja.compiler.llvm_matmul import emit_matmul
from kedja.compiler.matmul_pairs import pays
from kedja.compiler.matmul_plan import MatmulPlan, MatmulShape, plan
from kedja.compiler.matmul_tiles import Split
from kedja.compiler.pipeline import compile
from kedja.compiler.runtime_object import assembly
from kedja.compiler.runtime_target import host_target, named_target
from kedja.ground.dtypes import bfloat16, float32
from kedja.interpret.reference import run
from kedja.ir.graph import Node, apply, variable
from kedja.ir.op import Type
from tests.compiler.test_llvm_matmul import CANARY, Product, element_strides, guarded, operand

LAYOUTS = list(itertools.product((False, True), repeat=2))
KINDS = [bfloat16, float32]
PAIRS = replace(named_target("avx512"), features="+avx512bf16")  # code for it is made anywhere
needs_instruction = pytest.mark.skipif(
    not host_target().has_bfloat16_dot, reason="this processor does not multiply bfloat16"
)


def shape_of(a: np.ndarray, b: np.ndarray) -> MatmulShape:
    """The shape of the product of two matrices, each in its own dtype."""
    (m, k), n = a.shape, b.shape[1]
    kinds = (a.dtype, b.dtype)
    strides = (element_strides(a), element_strides(b))
    return MatmulShape(1, m, n, k, float32, *strides, halves=kinds)


def multiply(
    a: np.ndarray,
    b: np.ndarray,
    backwards: bool = False,
    **changes: object,
) -> np.ndarray:
    """A B by generated code; checks that nothing around C is written."""
    m, n = a.shape[0], b.shape[1]
    made = replace(plan(shape_of(a, b), host_target()), **changes)
    around = np.full(m * n + 64, CANARY, float32)
    c = around[32 : 32 + m * n].reshape(m, n)
    product = Product(made, host_target())
    product.run(c.ctypes.data, a.ctypes.data, b.ctypes.data, backwards=backwards)
    assert (around[:32] == CANARY).all()
    assert (around[32 + m * n :] == CANARY).all()
    return c


def rounded(array: np.ndarray) -> np.ndarray:
    """The operand as it is multiplied, exactly."""
    return array.astype(bfloat16).astype(np.float64)


def assert_within_bound(c: np.ndarray, a: np.ndarray, b: np.ndarray) -> None:
    """|error| <= (k + 2) u sum |a b| for every element, as `matmul_pairs.py` promises."""
    left, right = rounded(a), rounded(b)
    bound = (a.shape[1] + 2) * 2.0**-24 * (np.abs(left) @ np.abs(right))
    assert (np.abs(c - left @ right) <= bound).all()


sizes = st.integers(1, 70)


@needs_instruction
@settings(max_examples=60, deadline=None)
@given(sizes, sizes, sizes, *[st.booleans()] * 2, *[st.sampled_from(KINDS)] * 2)
def test_odd_sizes_in_every_layout_and_dtype(m, n, k, a_t, b_t, a_kind, b_kind) -> None:
    a, b = operand(m, k, a_kind, a_t, 1), operand(k, n, b_kind, b_t, 2)
    assert_within_bound(multiply(a, b), a, b)


@needs_instruction
@pytest.mark.parametrize(("a_t", "b_t"), LAYOUTS)
@pytest.mark.parametrize(
    ("m", "n", "k"),
    [(64, 128, 784), (300, 70, 513), (130, 257, 1), (1, 300, 131), (300, 1, 131), (64, 10, 129)],
)
def test_training_shapes(m, n, k, a_t, b_t) -> None:
    a, b = operand(m, k, float32, a_t, 1), operand(k, n, bfloat16, b_t, 2)
    assert_within_bound(multiply(a, b), a, b)


@needs_instruction
def test_sums_that_nearly_cancel_stay_within_the_bound() -> None:
    rng = np.random.default_rng(4)
    a = rng.standard_normal((40, 1000)).astype(bfloat16)
    a = np.concatenate([a, -a], 1)[:, rng.permutation(2000)]
    b = (1 + np.abs(rng.standard_normal((2000, 40)))).astype(bfloat16)
    assert_within_bound(multiply(a, b), a, b)


@needs_instruction
@pytest.mark.parametrize("b_t", [False, True])
@pytest.mark.parametrize("kinds", list(itertools.product(KINDS, KINDS)))
@pytest.mark.parametrize("shared", ["neither", "A", "B"])
def test_batches_and_shared_operands(b_t, kinds, shared) -> None:
    batch, m, n, k = 5, 20, 37, 32
    rng = np.random.default_rng(5)
    a = rng.standard_normal((batch, m, k)).astype(kinds[0])
    b = rng.standard_normal((batch, n, k) if b_t else (batch, k, n)).astype(kinds[1])
    steps = (0 if shared == "A" else m * k, 0 if shared == "B" else n * k)
    strides = ((k, 1), (1, k) if b_t else (n, 1))
    shape = MatmulShape(batch, m, n, k, float32, *strides, *steps, halves=kinds)
    c = np.empty((batch, m, n), float32)
    product = Product(plan(shape, host_target()), host_target())
    product.run(c.ctypes.data, a.ctypes.data, b.ctypes.data)
    right = np.swapaxes(b, 1, 2) if b_t else b
    for z in range(batch):
        x, y = a[z if steps[0] else 0], right[z if steps[1] else 0]
        assert_within_bound(c[z], x, y)


@needs_instruction
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("a_t", "b_t"), LAYOUTS)
def test_nan_and_infinity_propagate_as_in_numpy(a_t, b_t, kind) -> None:
    a, b = operand(9, 37, kind, a_t, 1), operand(37, 19, kind, b_t, 2)
    a[0, 3], a[1, 36], b[5, 0], b[35, 18] = np.nan, np.inf, -np.inf, 0.0
    with np.errstate(invalid="ignore"):
        wanted = rounded(a) @ rounded(b)
    c = multiply(a, b)
    np.testing.assert_array_equal(np.isnan(c), np.isnan(wanted))
    np.testing.assert_array_equal(np.isposinf(c), np.isposinf(wanted))
    np.testing.assert_array_equal(np.isneginf(c), np.isneginf(wanted))


@needs_instruction
def test_bits_do_not_depend_on_tiles_tasks_and_layout() -> None:
    a, b = operand(75, 129, float32, False, 1), operand(129, 150, float32, False, 2)
    first = multiply(a, b).view(np.uint32)
    tilings = [{"rows": Split(75, 11), "vectors": 3}, {"row_blocks": 3, "column_blocks": 1}]
    for changes in tilings:
        np.testing.assert_array_equal(first, multiply(a, b, True, **changes).view(np.uint32))
    turned = (np.asfortranarray(a), np.asfortranarray(b), a.astype(bfloat16), b.astype(bfloat16))
    for left, right in itertools.product((a, *turned[::2]), (b, *turned[1::2])):
        np.testing.assert_array_equal(first, multiply(left, right).view(np.uint32))


@needs_instruction
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("b_t", [False, True])
@pytest.mark.parametrize(("m", "n", "k"), [(64, 128, 784), (40, 397, 50), (130, 75, 64)])
def test_who_packs_changes_no_bit(m, n, k, b_t, kind) -> None:
    a, b = operand(m, k, bfloat16, False, 1), operand(k, n, kind, b_t, 2)
    a = np.ascontiguousarray(a)  # an even stride: its rows are read where they stand
    first = multiply(a, b, packing="phase").view(np.uint32)
    for rows, columns in [(1, 1), (1, 2), (2, 3)]:
        blocks = {"row_blocks": rows, "column_blocks": columns}
        found = multiply(a, b, True, packing="task", **blocks)
        np.testing.assert_array_equal(first, found.view(np.uint32))


@pytest.mark.parametrize(
    ("m", "n", "k", "phases"),
    [(64, 128, 784, 1), (256, 256, 256, 1), (1024, 1024, 1024, 1), (2048, 65, 384, 2)],
)
def test_columns_that_a_task_owns_are_packed_by_it(m, n, k, phases) -> None:
    shape = MatmulShape(1, m, n, k, float32, (k, 1), (n, 1), halves=(bfloat16, bfloat16))
    made = plan(shape, PAIRS)
    assert len(made.phases) == phases
    assert made.packs_block == (phases == 1)
    if made.packs_block:
        assert made.row_blocks == 1
        assert made.tasks >= 4


@needs_instruction
@pytest.mark.skipif(sys.platform != "linux", reason="needs mprotect with Linux's constants")
@pytest.mark.parametrize(("a_t", "b_t"), LAYOUTS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("m", "n", "k"), [(13, 45, 23), (8, 16, 32), (40, 9, 70), (1, 21, 45), (21, 1, 32)]
)
def test_nothing_is_touched_behind_the_operands(m, n, k, a_t, b_t, kind) -> None:
    """A read or write behind an operand ends the test run with a segmentation fault."""
    a = guarded((k, m) if a_t else (m, k), kind)
    b = guarded((n, k) if b_t else (k, n), kind)
    c = guarded((m, n), float32)
    left, right = a.array.T if a_t else a.array, b.array.T if b_t else b.array
    product = Product(plan(shape_of(left, right), host_target()), host_target())
    product.run(c.array.ctypes.data, left.ctypes.data, right.ctypes.data)
    assert_within_bound(c.array, left, right)


@pytest.mark.parametrize("b_t", [False, True])
@pytest.mark.parametrize(("m", "n"), [(64, 128), (48, 48), (64, 16), (1000, 999)])
def test_sums_stay_in_registers(m, n, b_t) -> None:
    strides = ((784, 1), (1, 784) if b_t else (n, 1))
    shape = MatmulShape(1, m, n, 784, float32, *strides, halves=(bfloat16, float32))
    text = product_assembly(plan(shape, PAIRS))
    assert "vdpbf16ps" in text
    tiles = re.findall(r"\.size\s+kedja_mm_tile.*", text)
    assert tiles
    assert not re.search(r"zmm\d+, .*\(%rsp\)|\(%rsp\), %zmm", text)


def product_assembly(made: MatmulPlan) -> str:
    module = ir.Module("product")
    emit_matmul(module, "kedja_mm", made)
    return assembly(module, PAIRS)


# --- in programs ---------------------------------------------------------------------------------


def inputs_of(*kinds: tuple[tuple[int, ...], np.dtype]) -> list[Node]:
    return [variable(f"x{i}", Type(*kind)) for i, kind in enumerate(kinds)]


def cast(x: Node, dtype: np.dtype = bfloat16) -> Node:
    return apply("cast", x, dtype=dtype)


def transposed(x: Node) -> Node:
    rank = len(x.shape)
    return apply("transpose", x, axes=(*range(rank - 2), rank - 1, rank - 2))


def agree(node: Node, inputs: list[Node]) -> None:
    """Compiled = interpreted: all but the order of the sums is the same, so a sum may fall on the
    other side of a rounding to bfloat16, which moves it by one of its last places (2⁻⁸)."""
    rng = np.random.default_rng(7)
    arrays = [rng.standard_normal(x.shape).astype(x.dtype) for x in inputs]
    (wanted,) = run([node], dict(zip(inputs, arrays, strict=True)))
    (found,) = compile([node], inputs)(*arrays)
    assert found.dtype == wanted.dtype
    found, wanted = found.astype(np.float64), wanted.astype(np.float64)
    k = max(1, inputs[0].shape[-1])
    np.testing.assert_allclose(found, wanted, rtol=2.0**-7, atol=1e-5 * k)
    assert np.mean(np.abs(found - wanted) > 1e-6 * k) < 0.01


@pytest.mark.parametrize("k", [0, 1, 7, 8, 65])
@pytest.mark.parametrize(("m", "n"), [(1, 9), (9, 1), (7, 8), (33, 47)])
def test_halves_of_any_size(m, n, k) -> None:
    a, b = inputs_of(((m, k), bfloat16), ((k, n), bfloat16))
    agree(apply("matmul", a, b), [a, b])


@pytest.mark.parametrize(("a_t", "b_t"), LAYOUTS)
@pytest.mark.parametrize("batch", [(), (2, 3)])
def test_float32_that_is_rounded_on_the_way(a_t, b_t, batch) -> None:
    m, n, k = 20, 36, 33
    kinds = ((k, m) if a_t else (m, k), (n, k) if b_t else (k, n))
    a, b = inputs_of(*[((*batch, *kind), float32) for kind in kinds])
    left = transposed(cast(a)) if a_t else cast(a)
    right = cast(transposed(b)) if b_t else cast(b)
    agree(cast(apply("matmul", left, right), float32), [a, b])


def test_epilogues_see_the_rounded_product() -> None:
    a, b, bias, more = inputs_of(
        ((40, 33), float32), ((33, 50), float32), ((50,), float32), ((40, 50), bfloat16)
    )
    product = cast(apply("matmul", cast(a), cast(b)), float32)
    shifted = product + apply("broadcast", bias, shape=(40, 50)) + cast(more, float32)
    agree(apply("tanh", shifted), [a, b, bias, more])
    agree(cast(apply("relu", shifted)), [a, b, bias, more])


def product_kernels(node: Node, inputs: list[Node], target=PAIRS) -> list[object]:
    return kernels_of([node], inputs, target)


def kernels_of(nodes: list[Node], inputs: list[Node], target=PAIRS) -> list[object]:
    return list(lower(nodes, inputs, [], {}, None, target).schedule.kernels)


def test_a_rounded_weight_never_goes_to_memory() -> None:
    a, b = inputs_of(((40, 64), float32), ((50, 64), float32))
    (kernel,) = product_kernels(apply("matmul", cast(a), transposed(cast(b))), [a, b])
    assert isinstance(kernel, ProductKernel)
    assert kernel.paired
    assert [kernel.a.base, kernel.b.base, kernel.root.dtype] == [a, b, bfloat16]


def test_what_is_computed_for_products_alone_is_stored_rounded() -> None:
    a, b = inputs_of(((40, 64), float32), ((64, 50), float32))
    first, product = product_kernels(apply("matmul", cast(apply("tanh", a)), cast(b)), [a, b])
    assert [node.dtype for node in first.writes] == [bfloat16]
    assert product.a.base is first.writes[0]


def test_what_others_read_too_is_rounded_in_packing() -> None:
    a, b = inputs_of(((40, 64), float32), ((64, 64), float32))
    x = apply("tanh", a)
    product = cast(apply("matmul", cast(x), cast(b)), float32)
    made = lower([product, x], [a, b], [], {}, None, PAIRS).schedule.kernels
    (kernel,) = [each for each in made if isinstance(each, ProductKernel)]
    assert kernel.a.base is x


@pytest.mark.parametrize("target", ["avx512", "avx2", "neon"])
def test_other_processors_multiply_float32(target) -> None:
    a, b = inputs_of(((40, 64), bfloat16), ((64, 50), bfloat16))
    made = product_kernels(apply("matmul", a, b), [a, b], named_target(target))
    assert not any(each.paired for each in made if isinstance(each, ProductKernel))


def test_tiny_products_stay_in_float32() -> None:
    assert pays(1, 8, 8)
    assert pays(8, 1, 8)
    assert not any(pays(*size) for size in [(7, 7, 99), (99, 99, 7)])


@pytest.mark.parametrize("dtype", [kj.bfloat16, kj.float16])
@pytest.mark.parametrize("columns", [1, 2, 15, 17, 33, 65, 81])
@pytest.mark.parametrize("rows", [1, 4, 16])
def test_halves_are_stored_up_to_the_last_column_and_no_further(rows, columns, dtype):
    random = np.random.default_rng(rows + columns)
    x = kj.tensor(random.standard_normal((rows, 32)).astype(np.float32))
    w = kj.tensor(random.standard_normal((columns, 32)).astype(np.float32))
    for product in (
        lambda x, w: (x @ w.T).astype(dtype),
        lambda x, w: x.astype(dtype) @ w.T.astype(dtype),
    ):
        with kj.scope(tier="interpret"):
            expected = product(x, w).astype(kj.float32).numpy()
        found = kj.jit(product)(x, w).astype(kj.float32).numpy()
        np.testing.assert_allclose(found, expected, rtol=1e-2, atol=1e-3)


def test_long_operands_are_stored_rounded_once_for_both_ways_round() -> None:
    """However long both operands are together, no widened or turned copy of them is made."""
    a, b, c = inputs_of(((40, 64), float32), ((40, 50), float32), ((64, 50), float32))
    x, y = cast(long_expression(a)), cast(long_expression(b))
    nodes = [apply("matmul", x, cast(c)), apply("matmul", transposed(x), y)]
    made = kernels_of(nodes, [a, b, c])
    products = [each for each in made if isinstance(each, ProductKernel)]
    (left,) = {each.a.base for each in products}
    assert left.dtype == bfloat16
    assert left.shape == x.shape


def long_expression(x: Node) -> Node:
    """Some 50 operations, which one kernel can still hold; twice as many it cannot."""
    made = x
    for _ in range(25):
        made = apply("tanh", made) + x
    return made
