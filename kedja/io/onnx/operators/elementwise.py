"""Elementwise operators: arithmetic, comparisons, logic, bits, casts.

Not here: activations (`activations.py`). Next: `activations.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import numpy as np

from kedja.front import functions
from kedja.front.arithmetic import cast, power
from kedja.front.tensor import Tensor
from kedja.ground.dtypes import DType, float64, is_float, is_integer
from kedja.io.onnx import elements
from kedja.io.onnx.call import Call, Value, tensor_of
from kedja.io.onnx.plan import Operator, Rule

# ------------------------------------------------------------------------ one and two inputs


def one(function: Callable[[Any], Tensor]) -> Rule:
    """A function of one tensor."""
    return lambda call, x: function(x)


def two(function: Callable[[Any, Any], Any]) -> Rule:
    """A function of two tensors, which are broadcast."""

    def rule(call: Call, a: Tensor, b: Tensor) -> Tensor:
        result: Tensor = function(a, beside(call, a, b))
        return result

    return rule


def beside(call: Call, a: Tensor, b: Tensor) -> Tensor:
    """b as it broadcasts over a; up to version 6 from the axis that an attribute names."""
    axis = call.get("axis")
    if call.version >= 7 or axis is None:
        return b
    after = a.ndim - axis % a.ndim - b.ndim
    return functions.reshape(b, (*b.shape, *(1,) * after))


def several(function: Callable[[Any, Any], Tensor]) -> Rule:
    """A function of two tensors over any number of them."""
    return lambda call, *xs: reduce(function, xs)


def mean(call: Call, *xs: Tensor) -> Tensor:
    """(x0 + x1 + …)/n."""
    return reduce(functions.add, xs) / len(xs)


# -------------------------------------------------------------------------------- arithmetic


def divide(a: Tensor, b: Tensor) -> Tensor:
    """a/b; whole numbers are cut off towards zero, as in C."""
    if is_float(a.dtype):
        return functions.divide(a, b)
    quotient = functions.floor_divide(a, b)
    if a.dtype.kind == "u":
        return quotient
    rest = a - quotient * b
    upwards = functions.logical_and(functions.not_equal(rest, 0), functions.less(quotient, 0))
    return quotient + cast(upwards, a.dtype)


def modulo(call: Call, a: Tensor, b: Tensor) -> Tensor:
    """The rest of a division, with the sign of the divisor, or with `fmod` of the dividend."""
    if not call.get("fmod", 0):
        return functions.remainder(a, b)
    rest = functions.remainder(functions.abs(a), functions.abs(b))
    return functions.where(functions.less(a, 0), functions.negative(rest), rest)


def raised(call: Call, base: Tensor, exponent: Tensor) -> Tensor:
    """base^exponent in the dtype of the base."""
    exponent = beside(call, base, exponent)
    if is_float(base.dtype):
        return power(base, cast(exponent, base.dtype))
    if is_integer(exponent.dtype):
        return power(base, cast(exponent, base.dtype))
    return cast(power(cast(base, float64), cast(exponent, float64)), base.dtype)


def clip(call: Call, x: Tensor, low: Value = None, high: Value = None) -> Tensor:
    """min(max(x, low), high); the bounds are attributes before version 11."""
    if call.version < 11:
        low, high = call.get("min"), call.get("max")
    x = x if low is None else functions.maximum(x, _like(low, x))
    return x if high is None else functions.minimum(x, _like(high, x))


def _like(bound: Any, x: Tensor) -> Any:
    return bound if isinstance(bound, Tensor) else tensor_of(np.asarray(bound, x.dtype))


def shifted(call: Call, x: Tensor, by: Tensor) -> Tensor:
    """x·2^by or ⌊x/2^by⌋."""
    direction = call.choice("direction", "", ("LEFT", "RIGHT"))
    left = direction == "LEFT"
    return (functions.bitwise_left_shift if left else functions.bitwise_right_shift)(x, by)


def is_infinite(call: Call, x: Tensor) -> Tensor:
    """Whether x is infinite, of either sign or of one."""
    found = functions.isinf(x)
    if not call.get("detect_positive", 1):
        found = functions.logical_and(found, functions.less(x, 0))
    if not call.get("detect_negative", 1):
        found = functions.logical_and(found, functions.greater(x, 0))
    return found


def inverted(call: Call, x: Tensor) -> Tensor:
    """1/x."""
    return functions.reciprocal(x)


# ------------------------------------------------------------------------------------ types


def converted(call: Call, x: Tensor) -> Tensor:
    """x in the element type that an attribute names."""
    return cast(x, elements.dtype_of(_code(call.need("to"))))


def _code(given: int | str) -> int:
    """The number of an element type, which was a word before version 6."""
    words = {"FLOAT": 1, "INT32": 6, "INT64": 7, "BOOL": 9, "FLOAT16": 10, "DOUBLE": 11}
    return words.get(given, 0) if isinstance(given, str) else given


def converted_like(call: Call, x: Tensor, other: Tensor) -> Tensor:
    """x in the dtype of another tensor."""
    return cast(x, other.dtype)


def reinterpreted(call: Call, x: Tensor) -> Tensor:
    """The same bits as another type; only of a value that is known."""
    dtype = elements.dtype_of(call.need("to"))
    return tensor_of(_as_bits(call, call.array(x, "the input"), dtype))


def _as_bits(call: Call, array: np.ndarray, dtype: DType) -> np.ndarray:
    if array.dtype.itemsize != dtype.itemsize:
        call.wrong(f"{array.dtype.name} and {dtype.name} are not of the same size")
    return np.ascontiguousarray(array).view(dtype).reshape(array.shape)


def chosen(call: Call, condition: Tensor, yes: Tensor, no: Tensor) -> Tensor:
    """`yes` where the condition holds, else `no`."""
    return functions.where(condition, yes, no)


def identity(call: Call, x: Value) -> Value:
    """x itself, also a sequence or nothing."""
    return (x,)


def table(
    kind: Callable[..., Rule], pairs: Sequence[tuple[str, Callable[..., Any]]]
) -> list[Operator]:
    """Operators that are one of our functions each."""
    return [Operator(name, kind(function)) for name, function in pairs]


# fmt: off
OPERATORS = (
    *table(one, (
        ("Abs",     functions.abs),
        ("Acos",    functions.acos),
        ("Acosh",   functions.acosh),
        ("Asin",    functions.asin),
        ("Asinh",   functions.asinh),
        ("Atan",    functions.atan),
        ("Atanh",   functions.atanh),
        ("BitwiseNot", functions.bitwise_invert),
        ("Ceil",    functions.ceil),
        ("Cos",     functions.cos),
        ("Cosh",    functions.cosh),
        ("Erf",     functions.erf),
        ("Exp",     functions.exp),
        ("Floor",   functions.floor),
        ("IsNaN",   functions.isnan),
        ("Log",     functions.log),
        ("Neg",     functions.negative),
        ("Not",     functions.logical_not),
        ("Reciprocal", functions.reciprocal),
        ("Round",   functions.round),
        ("Sign",    functions.sign),
        ("Sin",     functions.sin),
        ("Sinh",    functions.sinh),
        ("Sqrt",    functions.sqrt),
        ("Tan",     functions.tan),
        ("Tanh",    functions.tanh),
    )),
    *table(two, (
        ("Add",            functions.add),
        ("And",            functions.logical_and),
        ("BitwiseAnd",     functions.bitwise_and),
        ("BitwiseOr",      functions.bitwise_or),
        ("BitwiseXor",     functions.bitwise_xor),
        ("Div",            divide),
        ("Equal",          functions.equal),
        ("Greater",        functions.greater),
        ("GreaterOrEqual", functions.greater_equal),
        ("Less",           functions.less),
        ("LessOrEqual",    functions.less_equal),
        ("Mul",            functions.multiply),
        ("Or",             functions.logical_or),
        ("Sub",            functions.subtract),
        ("Xor",            functions.logical_xor),
    )),
    *table(several, (
        ("Max", functions.maximum),
        ("Min", functions.minimum),
        ("Sum", functions.add),
    )),
    Operator("BitCast",  reinterpreted, known=(0,)),
    Operator("BitShift", shifted),
    Operator("Cast",     converted),
    Operator("CastLike", converted_like),
    Operator("Clip",     clip),
    Operator("Identity", identity),
    Operator("IsInf",    is_infinite),
    Operator("Mean",     mean),
    Operator("Mod",      modulo),
    Operator("Pow",      raised),
    Operator("Where",    chosen),
)
# fmt: on
