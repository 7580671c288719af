"""Attention's kernels: what they keep out of memory, what they read through strides, their bits.

Agreement with NumPy over many shapes is tested with all ops (`tests/ops`). Next:
`tests/nn/test_nn_attention.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

import kedja as kj
from kedja.autodiff.reverse import vjp
from kedja.compiler.attention_kernels import AttentionKernel
from kedja.compiler.codegen import lower
from kedja.compiler.kernels import KernelUnit
from kedja.compiler.pipeline import compile
from kedja.ground.dtypes import DType, bfloat16
from kedja.interpret.reference import run
from kedja.ir.graph import Node, apply, variable
from kedja.ir.op import Type
from kedja.nn.functional import scaled_dot_product_attention
from tests.fixtures import float32, float64

BATCH, HEADS, LENGTH, HEAD = 2, 3, 40, 8


def kernels(outputs: Sequence[Node], inputs: Sequence[Node]) -> tuple[KernelUnit, ...]:
    return lower(outputs, inputs, [], {}, None).schedule.kernels


def cast(x: Node, kind: DType) -> Node:
    return x if x.dtype == kind else apply("cast", x, dtype=kind)


def self_attention(x: Node, w: Node, out: Node, kind: DType = float32) -> Node:
    """x (B, L, C) times w (C, 3·C), attention in a dtype, times out (C, C)."""
    width = HEADS * HEAD
    rows = apply("reshape", x, shape=(BATCH * LENGTH, width))
    joint = apply("reshape", apply("matmul", rows, w), shape=(BATCH, LENGTH, 3, HEADS, HEAD))
    heads = []
    for part in range(3):
        starts, stops = (0, 0, part, 0, 0), (BATCH, LENGTH, part + 1, HEADS, HEAD)
        one = apply("slice", joint, starts=starts, stops=stops, steps=(1,) * 5)
        one = apply("reshape", one, shape=(BATCH, LENGTH, HEADS, HEAD))
        heads.append(cast(apply("transpose", one, axes=(0, 2, 1, 3)), kind))
    y = cast(apply("attention", *heads, scale=HEAD**-0.5, causal=True), float32)
    joined = apply("transpose", y, axes=(0, 2, 1, 3))
    return apply("matmul", apply("reshape", joined, shape=rows.shape), out)


def given() -> tuple[Node, Node, Node]:
    width = HEADS * HEAD
    shapes = ((BATCH, LENGTH, width), (width, 3 * width), (width, width))
    x, w, out = (
        variable(n, Type(s, float32)) for n, s in zip(("x", "w", "out"), shapes, strict=True)
    )
    return x, w, out


def test_nothing_is_copied_between_the_products_and_attention():
    inputs = given()
    made = kernels([self_attention(*inputs)], inputs)
    assert [kernel.label.split()[0] for kernel in made] == ["matmul", "attention", "matmul"]


def test_no_matrix_of_weights_is_in_memory():
    inputs = given()
    y = self_attention(*inputs)
    gradients = vjp([y], [apply("full", value=1, shape=y.shape, dtype=float32)], inputs)
    made = kernels([y, *(each for each in gradients if each is not None)], inputs)
    sizes = [node.type.size for kernel in made for node in kernel.writes]
    assert BATCH * HEADS * LENGTH * LENGTH not in sizes


def test_the_gradient_is_written_as_that_of_the_product_of_all_three():
    inputs = given()
    y = self_attention(*inputs)
    g = variable("g", y.type)
    gradients = [each for each in vjp([y], [g], inputs) if each is not None]
    made = kernels(gradients, (*inputs, g))
    names = sorted(kernel.label.split()[0] for kernel in made)
    assert names == ["attention", "attention_gradient", *["matmul"] * 5]


def test_gradients_of_separate_values_are_separate():
    shape = (2, 3, 9, 4)
    q, k, v = (variable(name, Type(shape, float32)) for name in "qkv")
    y = apply("attention", q, k, v, scale=1.0, causal=False)
    g = variable("g", y.type)
    gradients = [each for each in vjp([y], [g], [q, v]) if each is not None]
    made = kernels(gradients, [q, k, v, g])
    (back,) = [kernel for kernel in made if isinstance(kernel, AttentionKernel) and kernel.backward]
    assert list(back.made) == ["d_queries", "d_values"]


def test_sums_that_the_values_depend_on_are_computed_before():
    shape = (2, 9, 4)
    q, k = variable("q", Type(shape, float64)), variable("k", Type(shape, float64))
    total = apply("attention_logsumexp", q, k, scale=1.0, causal=False)
    wide = apply("broadcast", apply("reshape", total, shape=(2, 9, 1)), shape=shape)
    y = apply("attention", q, k, k * wide, scale=1.0, causal=False)
    rng = np.random.default_rng(3)
    arrays = dict(zip((q, k), rng.standard_normal((2, *shape)), strict=True))
    for outputs in ([y], [y, total]):
        expected, found = run(outputs, arrays), compile(outputs, [q, k])(*arrays.values())
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12)


def loss(q: kj.Tensor, k: kj.Tensor, v: kj.Tensor) -> kj.Tensor:
    return kj.sum(kj.square(scaled_dot_product_attention(q, k, v, is_causal=True)))


def test_any_number_of_threads_gives_the_same_bits():
    rng = np.random.default_rng(5)
    given = [rng.standard_normal((3, 7, 70, 24), np.float32) for _ in range(3)]
    found = []
    for threads in (1, 2):
        with kj.scope(threads=threads):
            found.append(kj.jit(kj.value_and_grad(loss, argnums=(0, 1, 2)))(*given))
    for one, two in zip(*map(kj.tree.leaves, found), strict=True):
        np.testing.assert_array_equal(np.asarray(one), np.asarray(two))


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize(
    ("lead", "queries", "keys", "width"),
    [
        ((2, 3), 1, 1, 16),
        ((1, 2), 65, 65, 32),
        ((2,), 33, 9, 5),
        ((2,), 9, 33, 80),
        ((0, 2), 4, 4, 8),
    ],
)
def test_values_and_gradients_are_those_of_pytorch(
    lead: tuple[int, ...], queries: int, keys: int, width: int, causal: bool
) -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(7)
    shapes = [(*lead, rows, width) for rows in (queries, keys, keys)]
    arrays = [rng.standard_normal(shape) for shape in shapes]
    g = rng.standard_normal((*lead, queries, width))

    def weighed(q: kj.Tensor, k: kj.Tensor, v: kj.Tensor) -> kj.Tensor:
        return kj.sum(scaled_dot_product_attention(q, k, v, is_causal=causal) * g)

    mine = kj.jit(kj.grad(weighed, argnums=(0, 1, 2)))(*arrays)
    theirs = [torch.tensor(each, requires_grad=True) for each in arrays]
    y = torch.nn.functional.scaled_dot_product_attention(*theirs, is_causal=causal)
    y.backward(torch.tensor(g))
    for a, b in zip(mine, theirs, strict=True):
        np.testing.assert_allclose(np.asarray(a), b.grad.numpy(), rtol=1e-11, atol=1e-12)


def widened(name: str, *shape: int) -> tuple[Node, Node]:
    """An input of bfloat16, and its float32."""
    half = variable(name, Type(shape, bfloat16))
    return half, cast(half, float32)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(
    ("rows", "keys", "width", "out"),
    [(9, 9, 4, 4), (40, 33, 7, 20), (65, 70, 64, 33), (1, 2, 1, 1)],
)
def test_scores_of_halves_are_multiplied_in_pairs_and_not_rounded(rows, keys, width, out, causal):
    sizes = ((rows, width), (keys, width), (keys, out), (rows, out))
    named = [widened(name, 3, *size) for name, size in zip("qkvg", sizes, strict=True)]
    inputs, (q, k, v, g) = [half for half, _ in named], [wide for _, wide in named]
    y = apply("attention", q, k, v, scale=width**-0.5, causal=causal)
    outputs = [y, *(each for each in vjp([y], [g], [q, k, v]) if each is not None)]
    made = [each for each in kernels(outputs, inputs) if isinstance(each, AttentionKernel)]
    assert [each.shape.rounded for each in made] == [("keys",), ("keys", "values")]
    rng = np.random.default_rng(5)
    arrays = [rng.standard_normal(each.shape).astype(bfloat16) for each in inputs]
    expected = run(outputs, dict(zip(inputs, arrays, strict=True)))
    for a, b in zip(compile(outputs, inputs)(*arrays), expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=3e-6)


def test_scores_are_in_float32_where_a_side_is_or_the_factor_is_negative():
    (half, wide), plain = widened("q", 2, 9, 4), variable("k", Type((2, 9, 4), float32))
    for k, scale in ((plain, 1.0), (wide, -1.0)):
        y = apply("attention", wide, k, k, scale=scale, causal=False)
        (made,) = kernels([y], [half, plain])[-1:]
        assert isinstance(made, AttentionKernel)
        assert made.shape.rounded == ()


def test_a_query_that_is_not_a_number_spoils_its_own_row_only():
    rng = np.random.default_rng(9)
    q, k, v = rng.standard_normal((3, 1, 20, 8))
    q[0, 3, 2] = np.nan
    y = np.asarray(kj.jit(lambda *x: scaled_dot_product_attention(*x, is_causal=True))(q, k, v))
    assert np.isnan(y[0, 3]).all()
    assert np.isfinite(np.delete(y, 3, axis=1)).all()


def test_in_mixed_precision_roundings_are_in_the_epilogues_of_products():
    x, w, out = given()
    y = self_attention(x, w, out, bfloat16)
    g = variable("g", y.type)
    gradients = [each for each in vjp([y], [g], (x, w, out)) if each is not None]
    made = kernels([y, *gradients], (x, w, out, g))
    (back,) = [kernel for kernel in made if isinstance(kernel, AttentionKernel) and kernel.backward]
    joint = {back.given[name].base for name in ("queries", "keys", "values")}
    assert [node.type.size for node in joint] == [3 * BATCH * LENGTH * HEADS * HEAD]
    assert [node.shape for node in back.writes] == [(BATCH, LENGTH, 3, HEADS, HEAD)]
    products = [kernel for kernel in made if kernel.label.startswith("matmul")]
    assert joint <= {node for kernel in products for node in kernel.writes}
