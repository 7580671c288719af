"""How closely another executor must agree with NumPy, op by op, and why not more closely.

Integers, truth, comparisons, movement and IEEE 754's own operations agree exactly; NaN and the
infinities stand at the same places. Beside that, a bound is
    ulps·ε·scale + flushed
with ε the spacing of the dtype at 1, `scale` the size of the numbers that were rounded on the way,
and `flushed` what is lost where compiled programs take denormal numbers for zero. Half dtypes are
computed in float32, within its bound, and then rounded once: to the same number or its neighbour.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from kedja.ground.dtypes import is_float, is_half
from kedja.ground.limits import float_limits
from kedja.ir.op import TABLE, Case, Op
from tests.fixtures import float32
from tests.ops import walk

Scale = Callable[[Case, np.ndarray], np.ndarray]
FLUSHED = {np.dtype(np.float32): 1e-37, np.dtype(np.float64): 1e-307}


class Bound(NamedTuple):
    """The number of ulps, of what they are ulps, and the reason."""

    ulps: float
    scale: Scale
    reason: str
    times_input: bool = False  # whether a flushed value was multiplied by the input afterwards
    halves: float = 0  # roundings to a half dtype inside, where XLA's products take halves


def of_result(case: Case, expected: np.ndarray) -> np.ndarray:
    """The result itself."""
    return np.abs(expected)


def of_result_or_one(case: Case, expected: np.ndarray) -> np.ndarray:
    """The result, but at least 1: the error is absolute where the result is small."""
    return np.maximum(np.abs(expected), 1)


def of_inputs(case: Case, expected: np.ndarray) -> np.ndarray:
    """The largest finite input."""
    x = np.abs(case.inputs[0])
    return np.max(x, where=np.isfinite(x), initial=1.0) + np.abs(expected)


def of_second(case: Case, expected: np.ndarray) -> np.ndarray:
    """The largest finite element of the second input."""
    x = np.abs(case.inputs[1])
    return np.asarray(np.max(x, where=np.isfinite(x), initial=1.0))


def of_largest(case: Case, expected: np.ndarray) -> np.ndarray:
    """The largest element of the result, but at least 1."""
    return np.asarray(np.max(np.abs(expected), initial=1.0))


def of_terms(name: str) -> Scale:
    """The same op on the absolute values: the sum of the terms' sizes."""

    def scale(case: Case, expected: np.ndarray) -> np.ndarray:
        arrays = (np.abs(x) if x.dtype.kind == "f" else x for x in case.inputs)
        return np.asarray(TABLE[name].numpy(*arrays, **case.attrs))

    return scale


# fmt: off
BOUNDS: dict[str, Bound] = {
    **dict.fromkeys(
        ("exp", "expm1", "log", "log1p", "log2", "log10", "asin", "acos", "atan", "atan2", "sinh",
         "cosh", "tanh", "asinh", "acosh", "atanh", "sigmoid", "softplus", "erf"),
        Bound(6, of_result, "an approximation within 2 ulp against NumPy's within 4"),
    ),
    "sin":           Bound(6, of_result, "as above, the argument reduced with all bits"),
    "cos":           Bound(6, of_result, "as sin"),
    "tan":           Bound(8, of_result, "the quotient of two such"),
    "pow":           Bound(8, of_result, "exp of a product that is rounded once more"),
    "silu":          Bound(8, of_result, "a sigmoid and a product", True),
    "gelu":          Bound(16, of_inputs, "1 + erf cancels for negative x, times x", True),
    "sum":           Bound(40, of_terms("sum"), "terms are added in another order"),
    "prod":          Bound(60, of_result, "factors are multiplied in another order"),
    "hypot":         Bound(4, of_result, "a quotient, a root and a product"),
    "logaddexp":     Bound(8, of_inputs, "an exponential, a logarithm and a sum"),
    "matmul":        Bound(40, of_terms("matmul"), "as sum, and products are not rounded (FMA)"),
    "scatter_add":   Bound(8, of_terms("scatter_add"), "as sum"),
    "scatter_add_along_axis": Bound(8, of_terms("scatter_add_along_axis"), "as sum"),
    "scatter_multiply": Bound(8, of_result, "factors are met in the order of the updates"),
    "scatter_multiply_along_axis": Bound(8, of_result, "as scatter_multiply"),
    "logsumexp":     Bound(40, of_inputs, "a sum of exponentials, then a logarithm"),
    "softmax":       Bound(40, of_result_or_one, "x - max is rounded before it is raised"),
    "log_softmax":   Bound(40, of_inputs, "as logsumexp"),
    "standardize":   Bound(100, of_result_or_one, "its mean and variance are sums of any order"),
    "cross_entropy": Bound(40, of_inputs, "as logsumexp"),
    "scan":          Bound(8, of_largest, "XLA may leave products in its body unrounded (FMA)"),
    "unwindows":     Bound(8, of_terms("unwindows"), "as sum"),
    "attention":     Bound(60, of_largest, "sums of products of sums, in another order", False, 1),
    "attention_by_rows": Bound(60, of_largest, "as attention", False, 1),
    "attention_logsumexp": Bound(40, of_largest, "as logsumexp of such sums"),
    "attention_gradient": Bound(100, of_largest, "as attention, and through its weights", False, 2),
    "strided_product": Bound(40, of_terms("strided_product"), "as matmul"),
    "window_put":    Bound(8, of_second, "as sum: windows that overlap add up"),
    "attention_joint_gradient": Bound(100, of_largest, "as attention_gradient", False, 2),
    "convolution":   Bound(40, of_terms("convolution"), "as matmul"),
    "resample":      Bound(40, of_inputs, "as sum"),
    "cumulative_sum": Bound(40, of_terms("cumulative_sum"), "as sum"),
    "cumulative_prod": Bound(60, of_result, "as prod"),
    "cumulative_logsumexp": Bound(40, of_inputs, "as logsumexp"),
    **dict.fromkeys(
        ("cholesky", "triangular_solve", "solve", "inv", "det", "cofactor", "slogdet", "qr",
         "lu", "eigvalsh", "svdvals", "pinv"),
        Bound(200, of_largest, "sums of another order, times the condition of the matrix"),
    ),
    "eigh":          Bound(2000, of_largest, "as above, over the gap between two eigenvalues"),
    "svd":           Bound(2000, of_largest, "as eigh"),
}
# fmt: on
SIGNED_ZEROS = {  # IEEE 754 and C give these the sign of a result that is zero
    *("negative", "abs", "sqrt", "sin", "tan", "asin", "atan", "sinh", "tanh", "asinh", "atanh"),
    *("expm1", "log1p", "erf", "floor", "ceil", "round", "trunc", "copy", "multiply", "divide"),
    *("atan2", "stop_gradient", "reshape", "transpose", "broadcast", "slice", "flip"),
}
EXACT = Bound(0, of_result, "whole numbers, movement, and operations that IEEE 754 rounds")


def require(op: Op, case: Case, expected: np.ndarray, found: np.ndarray, where: str = "") -> None:
    """Raise AssertionError, with the worst element, unless both results agree."""
    call = walk.describe(op, case) + where
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape), call
    if not is_float(expected.dtype):
        np.testing.assert_array_equal(found, expected, err_msg=call)
        return
    bound, rounding = BOUNDS.get(op.name, EXACT), 0.0
    if is_half(expected.dtype):
        rounding = _rounding(expected) if bound.ulps else 0.0
        if bound.halves:
            inside = bound.halves * float_limits(expected.dtype).eps
            rounding = rounding + inside * bound.scale(case, expected.astype(float32))
        case, expected, found = _widened(case), expected.astype(float32), found.astype(float32)
    finite = np.isfinite(expected)
    np.testing.assert_array_equal(found[~finite], expected[~finite], err_msg=call)
    with np.errstate(all="ignore"):
        scale = np.broadcast_to(bound.scale(case, expected), expected.shape)
        limit = bound.ulps * np.finfo(expected.dtype).eps * scale + FLUSHED[expected.dtype]
        if bound.times_input:
            limit = limit + FLUSHED[expected.dtype] * np.abs(np.nan_to_num(case.inputs[0]))
        limit, apart = limit + rounding, np.abs(found - expected)
    wrong = finite & ~(apart <= limit)
    if op.name in SIGNED_ZEROS:
        wrong |= (expected == 0) & (found == 0) & (np.signbit(expected) != np.signbit(found))
    if wrong.any():
        raise AssertionError(f"{call}\n{_worst(case, expected, found, apart, limit, wrong)}")


def _rounding(halves: np.ndarray) -> np.ndarray:
    """How far the next half is from each number."""
    facts = float_limits(halves.dtype)
    return facts.eps * np.maximum(np.abs(halves.astype(float32)), facts.smallest_normal)


def _widened(case: Case) -> Case:
    """The half inputs in float32, as they are computed."""
    inputs = (x.astype(float32) if is_half(x.dtype) else x for x in case.inputs)
    return Case(tuple(inputs), case.attrs)


def _worst(
    case: Case,
    expected: np.ndarray,
    found: np.ndarray,
    apart: np.ndarray,
    limit: np.ndarray,
    wrong: np.ndarray,
) -> str:
    place = np.unravel_index(np.argmax(np.where(wrong, apart / limit, -1)), expected.shape)
    same = [x[place] for x in case.inputs if x.shape == expected.shape]
    return (
        f"{wrong.sum()} of {wrong.size} differ; at {[int(i) for i in place]}: "
        f"{found[place]} instead of {expected[place]}, "
        f"apart {apart[place]:.3g} > {limit[place]:.3g}" + (f", inputs {same}" if same else "")
    )
