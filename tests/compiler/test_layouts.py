"""Convolutions and pooling with the channels last: the same values, and no copies in between."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import kedja as kj
from kedja.autodiff.reverse import vjp
from kedja.compiler import layouts
from kedja.compiler.codegen import lower
from kedja.compiler.kernels import LoopKernel, StridedKernel
from kedja.compiler.pipeline import compile as compiled
from kedja.compiler.runtime_target import named_target
from kedja.compiler.simplify import simplify
from kedja.compiler.strided_plan import plan, shape_of
from kedja.ground.dtypes import bfloat16, float32, float64
from kedja.ground.errors import ShapeError
from kedja.interpret.reference import run
from kedja.ir.graph import Node, apply, full, topological, variable
from kedja.ir.op import Type
from kedja.ops.convolution import plain
from kedja.ops.strided_product import Depth, Row
from tests.fixtures import needs_compiler

FEW = settings(max_examples=40, suppress_health_check=list(HealthCheck), deadline=None)


def numbers(low: int, high: int, count: int) -> st.SearchStrategy[tuple[int, ...]]:
    return st.tuples(*[st.integers(low, high)] * count)


@st.composite
def convolutions(
    draw: st.DrawFn, groups: int = 1
) -> tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]:
    """Shapes of an input and a weight, and the attributes."""
    count = draw(st.integers(1, 3))
    outs, channels, images = draw(numbers(1, 18, 2)) + draw(numbers(1, 4, 1))
    ones = (1,) * count
    attrs = plain(
        count,
        strides=draw(st.one_of(st.just(ones), numbers(1, 3, count))),
        dilation=draw(numbers(1, 2, count)),
        input_dilation=draw(st.one_of(st.just(ones), numbers(1, 3, count))),
        padding=tuple(draw(numbers(-1, 3, 2)) for _ in ones),
        groups=groups,
    )
    extents, kernel = draw(numbers(1, 9 if count < 3 else 4, count)), draw(numbers(1, 5, count))
    return (images, groups * channels, *extents), (groups * outs, channels, *kernel), attrs


def agree(outputs: list[Node], inputs: list[Node], digits: float = 2e-5) -> None:
    """Compiled and interpreted values, with whole numbers in so that maxima are the same."""
    rng = np.random.default_rng(0)
    arrays = [np.round(rng.standard_normal(x.shape) * 2).astype(x.dtype) for x in inputs]
    expected = run(outputs, dict(zip(inputs, arrays, strict=True)))
    for mine, right in zip(compiled(outputs, inputs)(*arrays), expected, strict=True):
        scale = max(1.0, float(np.abs(right).max(initial=0)))
        np.testing.assert_allclose(
            mine.astype(float) / scale, right.astype(float) / scale, atol=digits
        )


@needs_compiler
@FEW
@given(st.one_of(convolutions(), convolutions(groups=2), convolutions(groups=3)))
def test_convolutions_and_their_gradients_agree_with_the_interpreter(case):
    shape, kernel, attrs = case
    x, w = variable("x", Type(shape, float32)), variable("w", Type(kernel, float32))
    try:
        y = apply("convolution", x, w, **attrs)
    except ShapeError:
        assume(False)
    g = variable("g", y.type)
    agree([y, *vjp([y], [g], [x, w])], [x, w, g])


def test_few_groups_are_products_of_their_own_that_read_what_is_stored():
    """Between layers nothing is brought into another order, on the way back neither."""
    x, w = variable("x", Type((4, 32, 9, 9), float32)), variable("w", Type((32, 8, 3, 3), float32))
    v = variable("v", Type((32, 32, 1, 1), float32))
    first = apply("relu", apply("convolution", x, v, **plain(2)))
    y = apply("convolution", first, w, **plain(2, padding=((1, 1), (1, 1)), groups=4))
    last = apply("convolution", apply("relu", y), v, **plain(2))
    outputs = vjp([last], [last], [v, w])
    kernels = lower(outputs, [x, w, v], [], {}, None).schedule.kernels
    products = [kernel for kernel in kernels if isinstance(kernel, StridedKernel)]
    assert len(products) == 3 * 4 + 2 * 2 + 1  # groups thrice; the others thrice and twice
    copies = [node for kernel in kernels for node in kernel.writes if node.op.name == "transpose"]
    assert all(node.type.size < x.type.size for node in copies if node.inputs[0] is not x)


@needs_compiler
@FEW
@given(st.data(), st.integers(1, 3), st.integers(1, 18))
def test_pooling_behind_a_convolution_agrees_with_the_interpreter(data, count, channels):
    attrs = {
        "kernel": data.draw(numbers(1, 3, count)),
        "strides": data.draw(numbers(1, 3, count)),
        "dilation": data.draw(numbers(1, 2, count)),
    }
    extents = data.draw(numbers(5, 9, count))
    x = variable("x", Type((2, 3, *extents), float32))
    w = variable("w", Type((channels, 3, *(1,) * count), float32))
    y = apply("window_max", apply("relu", apply("convolution", x, w, **plain(count))), **attrs)
    g = variable("g", y.type)
    agree([y, *vjp([y], [g], [x, w])], [x, w, g])


@needs_compiler
@pytest.mark.parametrize("dtype", [float64, bfloat16])
def test_other_dtypes(dtype):
    x, w = variable("x", Type((2, 5, 9, 7), dtype)), variable("w", Type((6, 5, 3, 3), dtype))
    y = apply("convolution", x, w, **plain(2, padding=((1, 1), (1, 1)), strides=(2, 1)))
    g = variable("g", y.type)
    agree([y, *vjp([y], [g], [x, w])], [x, w, g], digits=1e-12 if dtype == float64 else 1e-2)


def network() -> tuple[list[Node], list[Node]]:
    """Convolution, bias, relu, twice, pooled; and all gradients."""
    x = variable("x", Type((4, 8, 12, 12), float32))
    weights = [variable(n, Type((8, 8, 3, 3), float32)) for n in ("v", "w")]
    bias, y = variable("b", Type((8,), float32)), x
    for weight in weights:
        y = apply("convolution", y, weight, **plain(2, padding=((1, 1), (1, 1))))
        column = apply("reshape", bias, shape=(8, 1, 1))
        y = apply("relu", y + apply("broadcast", column, shape=y.shape))
    y = apply("window_max", y, kernel=(2, 2), strides=(2, 2), dilation=(1, 1))
    inputs = [x, *weights, bias]
    return vjp([y], [full(1.0, y.shape, float32)], inputs), inputs


def test_activations_are_nowhere_transposed_between_layers():
    outputs, inputs = network()
    graph = layouts.channels_last(simplify(outputs, closed=layouts.KNOWN))
    whole = [n for n in topological(simplify(graph)) if n.op.name == "transpose"]
    large = [n for n in whole if n.type.size == inputs[0].type.size]
    assert len(large) == 2  # the input on its way in, its gradient on its way out


def test_bias_and_activation_are_the_epilogue_of_the_product():
    outputs, inputs = network()
    kernels = lower(outputs, inputs, [], {}, None).schedule.kernels
    strided = [kernel for kernel in kernels if isinstance(kernel, StridedKernel)]
    assert len(strided) == 6
    assert sum(kernel.root.op.name in ("relu", "add") for kernel in strided) >= 2
    assert all(k.label != "reshape" for k in kernels if isinstance(k, LoopKernel))


@needs_compiler
def test_any_number_of_threads_gives_the_same_bits():
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((16, 8, 20, 20)), rng.standard_normal((24, 8, 3, 3))
    found = []
    for threads in (1, 2, 3):
        with kj.scope(threads=threads):
            step = kj.jit(kj.grad(lambda x, w: kj.sum(kj.conv(x, w, padding=1) ** 2), (0, 1)))
            found.append([g.numpy() for g in step(x.astype(float32), w.astype(float32))])
    for other in found[1:]:
        for one, two in zip(found[0], other, strict=True):
            assert one.tobytes() == two.tobytes()


@pytest.mark.parametrize("columns", [1, 4, 9, 16, 33, 100])
def test_plans_cover_every_row_and_column_once(columns):
    attrs = {
        "rows": (Row(3, 1000), Row(7, 100), Row(5, 10)),
        "depth": (Depth(9, 3, columns),),
        "columns": columns,
        "starts": (0, 0),
        "pieces": 2,
    }
    for name in ("avx512", "avx2", "neon"):
        found = plan(shape_of(attrs, float32), named_target(name))
        heights = [found.cut.base + 1] * found.cut.longer
        heights += [found.cut.base] * (found.cut.count - found.cut.longer)
        outside = found.tiles // found.cut.count
        assert outside * sum(heights) * found.unit == 3 * 7 * 5
        assert (found.panels - 1) * found.vectors + found.last_vectors == found.width
        assert 1 <= found.tasks <= 2 * found.tiles * found.panels
        assert max(found.heights) * found.unit * found.vectors <= 26


@needs_compiler
@pytest.mark.parametrize("axes", [(2, 3, 1, 0), (1, 0, 2, 3), (3, 0, 1, 2), (0, 2, 3, 1)])
def test_large_values_are_turned_round_block_by_block(axes):
    w = variable("w", Type((32, 48, 3, 16), float32))
    one = apply("transpose", w, axes=axes)
    other = apply("flip", apply("transpose", w, axes=(2, 3, 0, 1)), axes=(0,))
    agree([one, other], [w], digits=0)
    agree([apply("transpose", apply("tanh", w) * w, axes=axes)], [w])
