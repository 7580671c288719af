"""Elementwise functions by name: kj.exp, kj.add, kj.logical_and, kj.clip …

Names follow the Python Array API standard 2024.12; what it does not have (sigmoid, erf, relu …)
follows PyTorch. Arrays that meet are broadcast and promoted; Python scalars take the array's dtype.
Next: `reductions.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kedja.front import arithmetic
from kedja.front import tensor as front
from kedja.front.arithmetic import binary, call, unary
from kedja.ground.dtypes import as_dtype, bool_, is_float

if TYPE_CHECKING:
    from kedja.front.tensor import Tensor


def _unary(name: str, text: str) -> Callable[[Any], Tensor]:
    def function(x: Any) -> Tensor:
        return unary(name, x)

    _document(function, name, text)
    return function


def _binary(name: str, text: str, op: str = "") -> Callable[[Any, Any], Tensor]:
    def function(a: Any, b: Any) -> Tensor:
        return binary(op or name, a, b)

    _document(function, name, text)
    return function


def _logical(name: str, text: str, op: str) -> Callable[[Any, Any], Tensor]:
    def function(a: Any, b: Any) -> Tensor:
        return binary(op, truth(a), truth(b))

    _document(function, name, text)
    return function


def _document(function: Any, name: str, text: str) -> None:
    function.__name__ = function.__qualname__ = name
    function.__doc__ = text


def truth(x: Any) -> Tensor:
    """x as bool: whether each element is anything but 0."""
    return arithmetic.cast(front.as_tensor(x), bool_)


# --------------------------------------------------------------------------- of one array

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
silu = _unary("silu", "x·sigmoid(x).")
floor = _unary("floor", "The largest whole number not above x.")
ceil = _unary("ceil", "The smallest whole number not below x.")
trunc = _unary("trunc", "x without its fraction.")
isnan = _unary("isnan", "Whether x is NaN.")
isinf = _unary("isinf", "Whether x is +∞ or −∞.")
isfinite = _unary("isfinite", "Whether x is neither NaN nor infinite.")


def round(x: Any, decimals: int = 0) -> Tensor:
    """The nearest whole number, the even one of two; or the nearest with so many decimals.

    >>> round([1.5, 2.5]).tolist(), round([12.35], -1).tolist()
    ([2.0, 2.0], [10.0])
    """
    x = front.as_tensor(x)
    if decimals == 0 or (decimals > 0 and not is_float(x.dtype)):
        return unary("round", x)
    up, down = ("multiply", "divide") if decimals > 0 else ("divide", "multiply")
    scale = 10.0 ** (decimals if decimals > 0 else -decimals)
    return arithmetic.cast(binary(down, unary("round", binary(up, x, scale)), scale), x.dtype)


def positive(x: Any) -> Tensor:
    """+x, which is x."""
    return front.as_tensor(x)


def square(x: Any) -> Tensor:
    """x², element by element."""
    return binary("multiply", x, x)


def reciprocal(x: Any) -> Tensor:
    """1/x, element by element; integers become float32."""
    return binary("divide", 1, x)


def signbit(x: Any) -> Tensor:
    """Whether x is negative, −0 and NaN with a minus sign included."""
    x = front.as_tensor(x)
    return unary("signbit", x) if is_float(x.dtype) else binary("less", x, 0)


def logical_not(x: Any) -> Tensor:
    """not x."""
    return call("logical_not", truth(x))


def bitwise_invert(x: Any) -> Tensor:
    """All bits turned; of bool, not x."""
    x = front.as_tensor(x)
    return call("logical_not" if x.dtype == bool_ else "invert", x)


# -------------------------------------------------------------------------- of two arrays

add = _binary("add", "a + b; of bools, a or b.")
subtract = _binary("subtract", "a − b.")
multiply = _binary("multiply", "a·b, element by element; of bools, a and b.")
divide = _binary("divide", "a/b; integers become float32.")
maximum = _binary("maximum", "The larger of both; NaN where either is.")
minimum = _binary("minimum", "The smaller of both; NaN where either is.")
atan2 = _binary("atan2", "The angle of the point (b, a) in radians.")
hypot = _binary("hypot", "√(a² + b²), without overflow.")
logaddexp = _binary("logaddexp", "log(e^a + e^b), without overflow.")
copysign = _binary("copysign", "|a| with the sign of b.")
nextafter = _binary("nextafter", "The next float after a on the way to b (float32 and float64).")
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
bitwise_left_shift = _binary("bitwise_left_shift", "a·2^b on integers.", "left_shift")
bitwise_right_shift = _binary("bitwise_right_shift", "⌊a/2^b⌋ on integers.", "right_shift")
left_shift, right_shift = bitwise_left_shift, bitwise_right_shift  # NumPy's names
logical_and = _logical("logical_and", "a and b.", "bitwise_and")
logical_or = _logical("logical_or", "a or b.", "bitwise_or")
logical_xor = _logical("logical_xor", "Either a or b, not both.", "bitwise_xor")

pow = arithmetic.power
stop_gradient = arithmetic.stop_gradient


def clip(x: Any, min: Any = None, max: Any = None) -> Tensor:
    """x held between two bounds, each a number, an array or None; the dtype stays that of x.

    Bounds of another kind (floats for integers) are promoted with x instead.
    """
    x = front.as_tensor(x)
    held = x if min is None else maximum(x, min)
    held = held if max is None else minimum(held, max)
    same_kind = is_float(held.dtype) == is_float(x.dtype)
    return arithmetic.cast(held, x.dtype) if same_kind and x.dtype != bool_ else held


def astype(x: Any, dtype: Any, *, copy: bool = True, device: Any = None) -> Tensor:
    """The values in another dtype. A tensor cannot be written to, so `copy` changes nothing."""
    return front.as_tensor(x).astype(as_dtype(dtype), copy=copy, device=device)
