"""The array functions by name, as `import kedja as kj` offers them: kj.exp, kj.sum, kj.where …

Names follow the Python Array API standard; what it does not have follows PyTorch.
Next: `random.py`.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kedja.front import arithmetic, index
from kedja.front.arithmetic import binary, call, unary
from kedja.front.tensor import Tensor, as_tensor, from_node
from kedja.ground.dtypes import DType, as_dtype, float32, int64, is_float
from kedja.ground.errors import DtypeError, ShapeError
from kedja.ir.graph import Scalar, apply, locating
from kedja.ir.graph import full as full_node
from kedja.ops.reduce import kept_shape
from kedja.ops.types import extents, normal_axes, normal_axis

# ---------------------------------------------------------------------------------- making


def tensor(data: Any, dtype: Any = None, *, requires_grad: bool = False, name: str = "") -> Tensor:
    """A tensor of an array, a (nested) list or a number.

    >>> tensor([1, 2, 3]) * 2
    Tensor([2, 4, 6], int64)
    """
    return Tensor(data, dtype, requires_grad=requires_grad, name=name)


def asarray(data: Any, dtype: Any = None) -> Tensor:
    """`data` itself where it is a tensor of that dtype, else a new one."""
    if isinstance(data, Tensor):
        return data if dtype is None else data.astype(dtype)
    return Tensor(data, dtype)


def full(shape: int | Sequence[int], value: Scalar | np.generic, dtype: Any = None) -> Tensor:
    """One scalar at every index."""
    with locating():
        kind = None if dtype is None else as_dtype(dtype)
        number = value.item() if isinstance(value, np.generic) else value
        return from_node(full_node(number, extents(shape), kind))


def zeros(shape: int | Sequence[int], dtype: Any = float32) -> Tensor:
    """Zeros."""
    return full(shape, 0, dtype)


def ones(shape: int | Sequence[int], dtype: Any = float32) -> Tensor:
    """Ones."""
    return full(shape, 1, dtype)


def zeros_like(x: Any) -> Tensor:
    """Zeros of the shape and dtype of x."""
    x = as_tensor(x)
    return full(x.shape, 0, x.dtype)


def ones_like(x: Any) -> Tensor:
    """Ones of the shape and dtype of x."""
    x = as_tensor(x)
    return full(x.shape, 1, x.dtype)


def arange(start: int, stop: int | None = None, step: int = 1, dtype: Any = None) -> Tensor:
    """start, start + step … before stop.

    >>> arange(1, 10, 3)
    Tensor([1, 4, 7], int64)
    """
    low, high = (0, start) if stop is None else (start, stop)
    kind = as_dtype(dtype) if dtype is not None else int64
    count = math.ceil((high - low) / step)
    place = from_node(apply("iota", shape=(count if count > 0 else 0,), axis=0, dtype=kind))
    return place * step + low


def linspace(start: float, stop: float, count: int, dtype: Any = float32) -> Tensor:
    """`count` numbers from start to stop, both included."""
    return Tensor(np.linspace(start, stop, count), dtype)


def eye(rows: int, columns: int | None = None, dtype: Any = float32) -> Tensor:
    """Ones on the diagonal, zeros elsewhere."""
    return Tensor(np.eye(rows, columns), dtype)


# ----------------------------------------------------------------------------- elementwise


def _unary(name: str, text: str) -> Callable[[Any], Tensor]:
    def function(x: Any) -> Tensor:
        return unary(name, x)

    _document(function, name, text)
    return function


def _binary(name: str, text: str) -> Callable[[Any, Any], Tensor]:
    def function(a: Any, b: Any) -> Tensor:
        return binary(name, a, b)

    _document(function, name, text)
    return function


def _document(function: Any, name: str, text: str) -> None:
    function.__name__ = function.__qualname__ = name
    function.__doc__ = text


negative = _unary("negative", "−x, element by element.")
abs = _unary("abs", "|x|, element by element.")
sign = _unary("sign", "−1, 0 or 1, element by element.")
sqrt = _unary("sqrt", "√x; NaN below 0.")
exp = _unary("exp", "e^x.")
expm1 = _unary("expm1", "e^x − 1, exact for small x.")
log = _unary("log", "The natural logarithm; −∞ at 0, NaN below.")
log1p = _unary("log1p", "log(1 + x), exact for small x.")
log2 = _unary("log2", "The logarithm to base 2.")
log10 = _unary("log10", "The logarithm to base 10.")
sin = _unary("sin", "The sine of x in radians.")
cos = _unary("cos", "The cosine of x in radians.")
tan = _unary("tan", "The tangent of x in radians.")
asin = _unary("asin", "The arc sine in radians; NaN outside −1 … 1.")
acos = _unary("acos", "The arc cosine in radians; NaN outside −1 … 1.")
atan = _unary("atan", "The arc tangent in radians.")
sinh = _unary("sinh", "(e^x − e^−x)/2.")
cosh = _unary("cosh", "(e^x + e^−x)/2.")
tanh = _unary("tanh", "sinh(x)/cosh(x), in −1 … 1.")
asinh = _unary("asinh", "The inverse of sinh.")
acosh = _unary("acosh", "The inverse of cosh; NaN below 1.")
atanh = _unary("atanh", "The inverse of tanh; NaN outside −1 … 1.")
sigmoid = _unary("sigmoid", "1/(1 + e^−x), in 0 … 1.")
softplus = _unary("softplus", "log(1 + e^x), without overflow.")
erf = _unary("erf", "The error function 2/√π ∫₀ˣ e^(−t²) dt.")
relu = _unary("relu", "max(x, 0); its derivative at 0 is 0.")
floor = _unary("floor", "The largest whole number not above x.")
ceil = _unary("ceil", "The smallest whole number not below x.")
round = _unary("round", "The nearest whole number, the even one of two.")
trunc = _unary("trunc", "x without its fraction.")
isnan = _unary("isnan", "Whether x is NaN.")
isinf = _unary("isinf", "Whether x is +∞ or −∞.")
isfinite = _unary("isfinite", "Whether x is neither NaN nor infinite.")
logical_not = _unary("logical_not", "not x.")
silu = _unary("silu", "x·sigmoid(x).")

add = _binary("add", "a + b.")
subtract = _binary("subtract", "a − b.")
multiply = _binary("multiply", "a·b, element by element.")
divide = _binary("divide", "a/b; integers become float32.")
maximum = _binary("maximum", "The larger of both; NaN where either is.")
minimum = _binary("minimum", "The smaller of both; NaN where either is.")
atan2 = _binary("atan2", "The angle of the point (b, a) in radians.")
remainder = _binary("remainder", "a − b·⌊a/b⌋, of b's sign.")
floor_divide = _binary("floor_divide", "⌊a/b⌋.")
equal = _binary("equal", "a == b.")
not_equal = _binary("not_equal", "a != b.")
less = _binary("less", "a < b.")
less_equal = _binary("less_equal", "a <= b.")
greater = _binary("greater", "a > b.")
greater_equal = _binary("greater_equal", "a >= b.")
bitwise_and = _binary("bitwise_and", "a & b, bit by bit.")
bitwise_or = _binary("bitwise_or", "a | b, bit by bit.")
bitwise_xor = _binary("bitwise_xor", "a ^ b, bit by bit.")
left_shift = _binary("left_shift", "a·2^b on integers.")
right_shift = _binary("right_shift", "⌊a/2^b⌋ on integers.")

pow = arithmetic.power
matmul = arithmetic.matmul
stop_gradient = arithmetic.stop_gradient


def square(x: Any) -> Tensor:
    """x², element by element."""
    return binary("multiply", x, x)


def clip(x: Any, low: Any = None, high: Any = None) -> Tensor:
    """x held between two bounds."""
    x = as_tensor(x)
    x = x if low is None else maximum(x, low)
    return x if high is None else minimum(x, high)


def gelu(x: Any, approximate: str = "none") -> Tensor:
    """x·Φ(x), Φ the normal distribution function; `approximate="tanh"` as GPT-2 has it.

    Source: D. Hendrycks, K. Gimpel: Gaussian error linear units (2016).
    """
    return call("gelu", _floating(x), approximate=approximate)


def _floating(x: Any) -> Tensor:
    x = as_tensor(x)
    return x if is_float(x.dtype) else arithmetic.cast(x, float32)


# ------------------------------------------------------------------------------- reductions


def sum(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Σ over some axes or all; small integers are summed in int64."""
    return arithmetic.reduce("sum", x, axis, keepdims)


def mean(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The mean over some axes or all."""
    return arithmetic.mean(x, axis, keepdims)


def max(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The largest element over some axes or all; NaN where there is one."""
    return arithmetic.reduce("max", x, axis, keepdims)


def min(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The smallest element over some axes or all; NaN where there is one."""
    return arithmetic.reduce("min", x, axis, keepdims)


def any(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Whether any element is true."""
    return arithmetic.reduce("any", x, axis, keepdims)


def all(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Whether all elements are true."""
    return arithmetic.reduce("all", x, axis, keepdims)


def var(x: Any, axis: Any = None, correction: int = 0, keepdims: bool = False) -> Tensor:
    """Σ(x − mean)²/(n − correction)."""
    values = _floating(x)
    with locating():
        axes = normal_axes("var", axis, values.ndim)
    apart = values - arithmetic.mean(values, axes, keepdims=True)
    count = math.prod(values.shape[each] for each in axes)
    return arithmetic.reduce("sum", apart * apart, axes, keepdims) / (count - correction)


def std(x: Any, axis: Any = None, correction: int = 0, keepdims: bool = False) -> Tensor:
    """The square root of `var`."""
    return sqrt(var(x, axis, correction, keepdims))


def _over_axes(name: str, x: Any, axis: Any) -> Tensor:
    x = _floating(x)
    with locating():
        return call(name, x, axes=normal_axes(name, axis, x.ndim))


def logsumexp(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """log Σ e^x, without overflow."""
    x = _floating(x)
    result = _over_axes("logsumexp", x, axis)
    if not keepdims:
        return result
    return arithmetic.reshape(result, kept_shape(x.shape, normal_axes("", axis, x.ndim)))


def softmax(x: Any, axis: Any = -1) -> Tensor:
    """e^x / Σ e^x: positive numbers of sum 1 along the axis."""
    return _over_axes("softmax", x, axis)


def log_softmax(x: Any, axis: Any = -1) -> Tensor:
    """x − logsumexp(x)."""
    return _over_axes("log_softmax", x, axis)


def _arg(name: str, x: Any, axis: int | None) -> Tensor:
    x = as_tensor(x)
    if axis is None:
        x, axis = arithmetic.reshape(x, (-1,)), 0
    with locating():
        return call(name, x, axis=normal_axis(name, axis, x.ndim))


def argmax(x: Any, axis: int | None = None) -> Tensor:
    """The place of the largest element (the first of several; a NaN counts as largest)."""
    return _arg("argmax", x, axis)


def argmin(x: Any, axis: int | None = None) -> Tensor:
    """The place of the smallest element (the first of several; a NaN counts as smallest)."""
    return _arg("argmin", x, axis)


# ---------------------------------------------------------------------------------- moving


def reshape(x: Any, shape: Sequence[int]) -> Tensor:
    """The same elements under another shape; one extent may be −1."""
    return arithmetic.reshape(x, shape)


def permute_dims(x: Any, axes: Sequence[int]) -> Tensor:
    """The axes in another order."""
    return arithmetic.transpose(x, axes)


def matrix_transpose(x: Any) -> Tensor:
    """The last two axes exchanged."""
    return arithmetic.swap_last_axes(as_tensor(x))


def broadcast_to(x: Any, shape: Sequence[int]) -> Tensor:
    """x repeated to a shape."""
    with locating():
        return arithmetic.broadcast(as_tensor(x), extents(shape))


def flip(x: Any, axis: Any = None) -> Tensor:
    """Some axes (or all) turned round."""
    x = as_tensor(x)
    with locating():
        return call("flip", x, axes=normal_axes("flip", axis, x.ndim))


def expand_dims(x: Any, axis: int = 0) -> Tensor:
    """A new axis of extent 1."""
    x = as_tensor(x)
    with locating():
        place = normal_axis("expand_dims", axis, x.ndim + 1)
    return arithmetic.reshape(x, (*x.shape[:place], 1, *x.shape[place:]))


def squeeze(x: Any, axis: Any) -> Tensor:
    """Axes of extent 1 dropped."""
    x = as_tensor(x)
    with locating():
        axes = normal_axes("squeeze", axis, x.ndim)
        wrong = [each for each in axes if x.shape[each] != 1]
        if wrong:
            raise ShapeError(f"squeeze of axis {wrong[0]} of {list(x.shape)}", fix="extent 1 only")
    return arithmetic.reshape(x, [n for each, n in enumerate(x.shape) if each not in axes])


def pad(x: Any, widths: Sequence[tuple[int, int]], value: Scalar = 0) -> Tensor:
    """`widths[i] = (before, after)` fill values along axis i."""
    x = as_tensor(x)
    low = tuple(operator.index(before) for before, _ in widths)
    high = tuple(operator.index(after) for _, after in widths)
    with locating():
        return call("pad", x, low=low, high=high, interior=(0,) * x.ndim, value=value)


def concat(parts: Sequence[Any], axis: int = 0) -> Tensor:
    """Arrays one after the other along an axis."""
    return arithmetic.concatenate(parts, axis)


def stack(parts: Sequence[Any], axis: int = 0) -> Tensor:
    """Arrays of one shape side by side along a new axis."""
    return arithmetic.concatenate([expand_dims(each, axis) for each in parts], axis)


# -------------------------------------------------------------------------------- indexing


def take(x: Any, indices: Any, axis: int = 0) -> Tensor:
    """Elements of an axis by their places."""
    return index.take(x, indices, axis)


def take_along_axis(x: Any, indices: Any, axis: int = -1) -> Tensor:
    """y[i, j] = x[i, indices[i, j]] (for axis 1)."""
    x, place = as_tensor(x), as_tensor(indices)
    with locating():
        axis = normal_axis("take_along_axis", axis, x.ndim)
        return call("take_along_axis", x, index.from_front(place, x.shape[axis]), axis=axis)


def scatter_add(x: Any, indices: Any, updates: Any, axis: int = 0) -> Tensor:
    """x with `updates` added at the places of an axis, repeated places adding up."""
    x, place = as_tensor(x), as_tensor(indices)
    with locating():
        axis = normal_axis("scatter_add", axis, x.ndim)
        place = index.from_front(place, x.shape[axis])
        return call("scatter_add", x, place, as_tensor(updates, x), axis=axis)


def one_hot(indices: Any, count: int, dtype: Any = float32) -> Tensor:
    """1 at the class along a new last axis of `count` classes, 0 elsewhere."""
    place = as_tensor(indices)
    with locating():
        (extent,) = extents(count)
        return call("one_hot", place, count=extent, dtype=as_dtype(dtype))


def cross_entropy_each(logits: Any, labels: Any) -> Tensor:
    """logsumexp(z) − z[label] for each example: −log softmax(z)[label], stable.

    logits (… C) float, labels (…) any integers.
    """
    z, label = as_tensor(logits), as_tensor(labels)
    with locating():
        if is_float(label.dtype):
            raise DtypeError(
                f"labels of {label.dtype.name}", fix="labels are whole numbers: labels.astype(int)"
            )
        return call("cross_entropy", z, label)


def astype(x: Any, dtype: DType) -> Tensor:
    """The values in another dtype."""
    return as_tensor(x).astype(dtype)
