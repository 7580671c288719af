"""Sums taken out of scans, and products with gathered rows: the same values with less work."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

import kedja as kj
from kedja.autodiff.reverse import vjp
from kedja.compiler import carried_sums, gathers, scanned_rows
from kedja.compiler.inline import opened
from kedja.compiler.simplify import simplify
from kedja.interpret import reference
from kedja.ir.graph import Graph, apply, full, parts, topological, variable
from kedja.ir.op import Type

RNG = np.random.default_rng(5)
F64 = np.dtype(np.float64)
I64 = np.dtype(np.int64)


def var(name, *shape, dtype=F64):
    return variable(name, Type(shape, dtype))


def values_of(nodes):
    return {
        node: RNG.integers(0, 3, node.shape)
        if node.dtype == I64
        else RNG.uniform(-1, 1, node.shape)
        for node in nodes
    }


def agree(old, new, inputs):
    given = values_of(inputs)
    pairs = zip(reference.run(old, given), reference.run(new, given), strict=True)
    for a, b in pairs:
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


def named(outputs, name):
    return [node for node in topological(outputs) if node.op.name == name]


# --------------------------------------------------------------------------- sums in carries


def way_back(*, reverse=False, init=True, look=False):
    """A scan whose carry h is rewritten, and whose carries a, b and s are only added to."""
    h, a, b, s = var("h", 4, 5), var("a", 6, 5), var("b", 5), var("s", 4, 5)
    x, w = var("x", 4, 6), var("w", 5, 5)
    after = apply("tanh", apply("matmul", h, w))
    product = apply("matmul", apply("transpose", x, axes=(1, 0)), after)
    outputs = [after, product + a, b + apply("sum", after, axes=(0,)), s + after, after]
    if look:
        outputs[0] = after + apply("broadcast", b, shape=(4, 5))
    body = Graph((h, a, b, s, x, w), tuple(outputs))
    inputs = [var("i", *each.shape) for each in body.inputs]
    inputs[4] = var("xs", 7, 4, 6)
    attrs = {"carries": 4, "sequences": 1, "length": 7, "reverse": reverse}
    return parts(apply("scan", *inputs, body=body, **attrs)), inputs


@pytest.mark.parametrize("reverse", [False, True])
def test_carries_that_are_only_added_to_are_taken_out(reverse):
    outputs, inputs = way_back(reverse=reverse)
    new = carried_sums.sums_taken_out(outputs)
    (scan,) = named(new, "scan")
    assert scan.attrs["carries"] == 1
    (product,) = named(new, "matmul")
    assert product.inputs[1].shape == (28, 5)
    agree(outputs, new, inputs)


def test_a_sum_that_a_step_looks_at_stays():
    outputs, inputs = way_back(look=True)
    new = carried_sums.sums_taken_out(outputs)
    (scan,) = named(new, "scan")
    assert scan.attrs["carries"] == 2
    agree(outputs, new, inputs)


def test_a_long_product_in_each_step_is_not_stacked():
    a, x = var("a", 2, 2), var("x", 900, 2)
    body = Graph((a, x), (a + apply("matmul", apply("transpose", x, axes=(1, 0)), x),))
    xs = var("xs", 3, 900, 2)
    attrs = {"carries": 1, "sequences": 1, "length": 3, "reverse": False}
    scan = apply("scan", var("i", 2, 2), xs, body=body, **attrs)
    (kept,) = named(carried_sums.sums_taken_out(parts(scan)), "scan")
    assert kept.attrs["carries"] == 1


# ------------------------------------------------------------------------------ gathered rows

E, W, ROW = var("e", 3, 4), var("w", 4, 5), var("b", 5)
INDEX = var("index", 2, 6, dtype=I64)
G = var("g", 12, 5)


def rows(index=INDEX):
    return apply("take", E, index, axis=0)


def turned():
    """(2 6 4) -> (12 4), the second axis first."""
    return apply("reshape", apply("transpose", rows(), axes=(1, 0, 2)), shape=(12, 4))


def swapped(x):
    return apply("transpose", x, axes=(1, 0))


def zeros(width):
    return full(0, (3, width), F64)


def added(updates):
    back = apply("transpose", apply("reshape", updates, shape=(6, 2, 4)), axes=(1, 0, 2))
    return apply("scatter_add", zeros(4), INDEX, back, axis=0)


CASES = {
    "product": (lambda: apply("matmul", turned(), W), (3, 5)),
    "product and row": (
        lambda: apply("matmul", turned(), W) + apply("broadcast", ROW, shape=(12, 5)),
        (3, 5),
    ),
    "transposed": (lambda: apply("matmul", swapped(turned()), G), (4, 5)),
    "on the right": (lambda: apply("matmul", swapped(G), turned()), (5, 4)),
    "added": (lambda: added(apply("matmul", G, swapped(W))), (3, 4)),
}


@pytest.mark.parametrize("case", CASES)
def test_products_with_gathered_rows_become_products_of_the_table(case):
    make, shape = CASES[case]
    old = [make()]
    new = gathers.gathered(old)
    (product,) = named(new, "matmul")
    assert product.shape == shape
    agree(old, new, [E, W, ROW, INDEX, G])


def test_a_table_with_more_rows_than_places_is_gathered_first():
    small = var("small", 5, dtype=I64)
    old = [apply("matmul", rows(small), W)]
    assert gathers.gathered(old)[0].op.name == "matmul"


# ----------------------------------------------------------------------------------- together


def embedded(table, w, recurrent, index):
    def step(h, x):
        h = kj.tanh(x + h @ recurrent)
        return h, h

    xs = kj.take(table, index, axis=0) @ w
    return kj.sum(kj.scan(step, kj.zeros((2, 5)), xs)[1] ** 2)


def test_gradients_through_an_embedding_and_a_loop_are_the_eager_ones():
    f32 = partial(np.asarray, dtype=np.float32)
    arrays = [f32(RNG.uniform(-0.5, 0.5, shape)) for shape in ((3, 4), (4, 5), (5, 5))]
    given = [*map(kj.tensor, arrays), kj.tensor(RNG.integers(0, 3, (9, 2)))]
    derive = kj.grad(embedded, (0, 1, 2))
    for mine, theirs in zip(kj.jit(derive)(*given), derive(*given), strict=True):
        np.testing.assert_allclose(mine.numpy(), theirs.numpy(), rtol=2e-5, atol=1e-5)


def test_the_weights_gradient_of_a_recurrent_layer_is_one_product():
    w, xs = var("w", 5, 5), var("xs", 9, 2, 5)
    h, x, inner = var("h", 2, 5), var("x", 2, 5), var("inner", 5, 5)
    after = apply("tanh", x + apply("matmul", h, inner))
    body = Graph((h, x, inner), (after, after))
    attrs = {"carries": 1, "sequences": 1, "length": 9, "reverse": False}
    start = full(0, (2, 5), F64)
    loss = apply("sum", parts(apply("scan", start, xs, w, body=body, **attrs))[1], axes=(0, 1, 2))
    found = simplify(opened(vjp([loss], [full(1, (), F64)], [w])))
    scans = named(carried_sums.sums_taken_out(found), "scan")
    assert [scan.attrs["carries"] for scan in scans] == [1, 1]


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32])
@pytest.mark.parametrize("width", [5, 37, 300])
def test_rows_are_added_in_their_order_by_vectors_and_a_rest(width, dtype):
    index = RNG.integers(0, 4, 50)
    updates = RNG.uniform(-9, 9, (50, width)).astype(dtype)
    expected = np.zeros((4, width), dtype)
    for place, row in zip(index, updates, strict=True):
        expected[place] += row
    add = kj.jit(lambda i, u: kj.scatter_add(kj.zeros((4, width), u.dtype), i, u))
    np.testing.assert_array_equal(add(kj.tensor(index), kj.tensor(updates)).numpy(), expected)


# ------------------------------------------------------------------- what scans are given


def stepping(*, reverse=False):
    """A scan over gathered rows whose step turns a constant matrix and reads a repeated row."""
    h, x, w, b = var("h", 4, 5), var("x", 4, 6), var("w", 5, 5), var("b", 4, 5)
    inside = apply("matmul", h, apply("transpose", w, axes=(1, 0)))
    after = apply("tanh", inside + apply("matmul", x, var("v", 6, 5)) + b)
    (v,) = [n for n in topological([after]) if n.op.name == "input" and n.shape == (6, 5)]
    table, index = var("table", 3, 6), var("index", 7, 4, dtype=I64)
    whole, weight, other = var("row", 5), var("weight", 5, 5), var("other", 6, 5)
    start = var("start", 4, 5)
    xs = apply("take", table, index, axis=0)
    row = apply("broadcast", whole, shape=(4, 5))
    body = Graph((h, x, w, b, v), (after, after))
    attrs = {"carries": 1, "sequences": 1, "length": 7, "reverse": reverse}
    scan = apply("scan", start, xs, weight, row, other, body=body, **attrs)
    return parts(scan), [table, index, whole, weight, other, start]


@pytest.mark.parametrize("reverse", [False, True])
def test_scans_step_through_indices_and_are_given_matrices_turned(reverse):
    old, inputs = stepping(reverse=reverse)
    new = scanned_rows.stepped(old)
    (scan,) = named(new, "scan")
    assert {node.op.name for node in scan.inputs} == {"input", "transpose"}
    assert [node.op.name for node in topological(scan.attrs["body"].outputs)].count("take") == 1
    assert not named(scan.attrs["body"].outputs, "transpose")
    agree(old, new, inputs)


def test_a_scan_that_is_given_what_it_uses_stays_as_it_is():
    old, _ = stepping()
    new = scanned_rows.stepped(old)
    assert scanned_rows.stepped(new) == new


def test_few_rows_leave_a_turned_matrix_to_the_product():
    h, w, weight = var("h", 2, 5), var("w", 5, 5), var("weight", 5, 5)
    after = apply("matmul", h, apply("transpose", w, axes=(1, 0)))
    attrs = {"carries": 1, "sequences": 0, "length": 3, "reverse": False}
    scan = apply("scan", var("s", 2, 5), weight, body=Graph((h, w), (after,)), **attrs)
    old = parts(scan)
    assert scanned_rows.stepped(old) == old
