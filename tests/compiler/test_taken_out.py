"""Constant factors are taken out of sums, and what a norm's way back then computes."""

import numpy as np

from kedja.autodiff.reverse import vjp
from kedja.compiler import codegen
from kedja.compiler.pipeline import compile
from kedja.compiler.taken_out import taken_out
from kedja.front import functions  # noqa: F401  fills the table of ops
from kedja.ground.dtypes import float16, float32
from kedja.ir.graph import apply, topological, variable
from kedja.ir.op import Type


def given(shape, dtype=float32, name="x"):
    return variable(name, Type(shape, dtype))


def spread(x, shape):
    return apply("broadcast", x, shape=shape)


def test_a_factor_that_is_the_same_along_the_sum_is_multiplied_after_it():
    x, c = given((4, 5, 3)), given((1, 1, 3), name="c")
    before = apply("sum", x * spread(c, x.shape) * 2.0, axes=(0, 1))
    (after,) = taken_out([before])
    (total,) = (node for node in topological([after]) if node.op.name == "sum")
    assert total.inputs == (x,)
    rng = np.random.default_rng(0)
    arrays = [rng.uniform(-1, 1, each.shape).astype(np.float32) for each in (x, c)]
    expected = 2 * (arrays[0] * arrays[1]).sum((0, 1))
    np.testing.assert_allclose(compile([before], [x, c])(*arrays)[0], expected, rtol=1e-5)


def test_a_factor_that_varies_stays():
    x, c = given((4, 5, 3)), given((1, 5, 3), name="c")
    outputs = [apply("sum", x * spread(c, x.shape), axes=(0, 1))]
    assert taken_out(outputs) == outputs


def test_halves_and_empty_sums_keep_their_factors():
    for shape, dtype in (((4, 5), float16), ((0, 5), float32)):
        x, c = given(shape, dtype), given((1, 5), dtype, "c")
        outputs = [apply("sum", x * spread(c, shape), axes=(0,))]
        assert taken_out(outputs) == outputs


def test_batch_norm_reads_its_input_by_two_sums_forward_and_two_back():
    """And what it keeps for the way back is as small as a channel."""
    shape, channels = (64, 16, 16, 32), (1, 1, 1, 32)
    x, g = given(shape), given(shape, name="g")
    w, b = given(channels, name="w"), given(channels, name="b")
    y = apply("standardize", x, axes=(0, 1, 2), epsilon=1e-5)
    y = y * spread(w, shape) + spread(b, shape)
    outputs = [y, *vjp([y], [g], [x, w, b])]
    kernels = codegen.lower(outputs, [x, g, w, b], [], {}, None).schedule.kernels
    whole = [node for kernel in kernels for node in kernel.writes if node.type.size == x.type.size]
    assert len(whole) == 2  # y and the gradient of x
    reads = [kernel for kernel in kernels if {x, g} & set(kernel.reads)]
    assert len(reads) == 4  # the mean; the variance; both sums of the way back; all else
