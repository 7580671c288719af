"""XLA rules that several records share, and those whose meaning differs from jax.numpy's.

A rule is called as `rule(x, *values, **attrs)`: `x.np` is jax.numpy, `x.lax` jax.lax, handed in by
`kedja/xla/lower.py`, so that this floor imports no JAX. Next: `elementwise.py`, which uses them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from kedja.ground.dtypes import convert, float32, is_float, is_half
from kedja.ir.op import Rule

Ints = tuple[int, ...]


def same_in_jax(name: str) -> Rule:
    """The function of jax.numpy that has this name and this meaning."""
    return lambda x, *values, **attrs: getattr(x.np, name)(*values, **attrs)


def the_value(x: Any, value: Any) -> Any:
    """The input as it is."""
    return value


# ------------------------------------------------------------------------------ elementwise


def sigmoid(x: Any, value: Any) -> Any:
    """1/(1+e^(−x)) without overflow, as in NumPy."""
    small = x.np.exp(-x.np.abs(value))
    return x.np.where(value >= 0, 1, small) / (1 + small)


def softplus(x: Any, value: Any) -> Any:
    """log(1+e^x) without overflow."""
    return x.np.maximum(value, 0) + x.np.log1p(x.np.exp(-x.np.abs(value)))


def relu(x: Any, value: Any) -> Any:
    """max(x, 0)."""
    return x.np.maximum(value, x.np.zeros_like(value))


def erf(x: Any, value: Any) -> Any:
    """The error function."""
    return x.lax.erf(value)


def sinh(x: Any, value: Any) -> Any:
    """(e^x − e^(−x))/2: from e^(x/2), which overflows where the result does; by e^x − 1 near 0."""
    size = x.np.abs(value)
    root = x.np.exp(0.5 * size)
    far = 0.5 * root * root - 0.5 / (root * root)
    less = x.np.expm1(size)
    near = 0.5 * (less + less / (less + 1))
    return x.np.copysign(x.np.where(size < 1, near, far), value)


def cosh(x: Any, value: Any) -> Any:
    """(e^x + e^(−x))/2, as sinh; XLA's own loses eight bits where e^x overflows."""
    root = x.np.exp(0.5 * x.np.abs(value))
    return 0.5 * root * root + 0.5 / (root * root)


def atanh(x: Any, value: Any) -> Any:
    """log((1+x)/(1−x))/2 by log1p, which keeps the digits of a small x."""
    size = x.np.abs(value)
    return x.np.copysign(0.5 * x.np.log1p(2 * size / (1 - size)), value)


def cast(x: Any, value: Any, *, dtype: np.dtype) -> Any:
    """A change of dtype."""
    return value.astype(dtype)


def remainder(x: Any, a: Any, b: Any) -> Any:
    """As NumPy's: the sign of the divisor; 0 where an integer is divided by 0."""
    if is_float(a.dtype):
        return x.np.remainder(a, b)
    return x.np.where(b == 0, 0, x.np.remainder(a, _divisor(x, a, b)))


def floor_divide(x: Any, a: Any, b: Any) -> Any:
    """As NumPy's: 0 where an integer is divided by 0, and the smallest integer by −1 is itself."""
    if is_float(a.dtype):
        return _float_floor_divide(x, a, b)
    quotient = x.np.floor_divide(a, _divisor(x, a, b))
    if np.issubdtype(a.dtype, np.signedinteger):
        quotient = x.np.where(b == -1, -a, quotient)
    return x.np.where(b == 0, 0, quotient)


def _divisor(x: Any, a: Any, b: Any) -> Any:
    """1 where a division of integers would be undefined: by 0, or of the smallest by −1."""
    undefined = b == 0
    if np.issubdtype(a.dtype, np.signedinteger):
        undefined = undefined | (b == -1)
    return x.np.where(undefined, 1, b)


def _float_floor_divide(x: Any, a: Any, b: Any) -> Any:
    """NumPy's rule: from the exact remainder, so that the quotient is whole and never too large."""
    rest = x.lax.rem(a, b)
    quotient = (a - rest) / b
    quotient = x.np.where((rest != 0) & ((b < 0) != (rest < 0)), quotient - 1, quotient)
    whole = x.np.floor(quotient)
    whole = x.np.where(quotient - whole > 0.5, whole + 1, whole)
    whole = x.np.where(quotient == 0, x.np.copysign(x.np.zeros_like(a), a / b), whole)
    return x.np.where(b == 0, a / b, whole)


# ------------------------------------------------------------------------------- reductions


def over_axes(name: str) -> Rule:
    """A reduction of jax.numpy over the attribute `axes`."""
    return lambda x, value, *, axes: getattr(x.np, name)(value, axis=axes)


def total(x: Any, value: Any, *, axes: Ints) -> Any:
    """The sum in the input's own dtype, which wraps for integers."""
    return x.np.sum(value, axis=axes, dtype=value.dtype)


def product(x: Any, value: Any, *, axes: Ints) -> Any:
    """The product in the input's own dtype, which wraps for integers."""
    return x.np.prod(value, axis=axes, dtype=value.dtype)


# --------------------------------------------------------------------------------- movement


def cut(x: Any, value: Any, *, starts: Ints, stops: Ints, steps: Ints) -> Any:
    """lax.slice, which wants no stop before its start."""
    ends = tuple(max(start, stop) for start, stop in zip(starts, stops, strict=True))
    return x.lax.slice(value, starts, ends, steps)


def pad(x: Any, y: Any, *, low: Ints, high: Ints, interior: Ints, value: Any) -> Any:
    """lax.pad."""
    fill = convert(np.asarray(value), y.dtype)
    return x.lax.pad(y, fill, tuple(zip(low, high, interior, strict=True)))


# -------------------------------------------------------------------------------- products


@dataclass(frozen=True)
class TakesHalves:
    """A rule that is given halves as they are and gives float32, as matrix units compute them."""

    rule: Rule

    def __call__(self, x: Any, *values: Any, **attrs: Any) -> Any:
        """The rule's value."""
        return self.rule(x, *values, **attrs)


def exactly(x: Any, dtype: np.dtype) -> dict[str, Any]:
    """A product's settings: all bits of its factors, halves summed in float32.

    On GPUs and TPUs XLA's default would round float32 factors.
    """
    total = float32 if is_half(dtype) else dtype
    return {"precision": x.lax.Precision.HIGHEST, "preferred_element_type": total}


def matmul(x: Any, a: Any, b: Any) -> Any:
    """The matrix product."""
    return x.np.matmul(a, b, **exactly(x, a.dtype))


# --------------------------------------------------------------------------------- indexing


def inside(x: Any, index: Any, extent: int) -> Any:
    """The index, held inside the axis; in compiled programs as here, out of range is no error."""
    return x.np.clip(index.astype(np.int64), 0, max(extent - 1, 0))


def take(x: Any, value: Any, index: Any, *, axis: int) -> Any:
    """Elements by their place along an axis."""
    place = inside(x, index, value.shape[axis])
    return value.at[(*(slice(None),) * axis, place)].get(mode="promise_in_bounds")


def scatter_add(x: Any, value: Any, index: Any, updates: Any, *, axis: int) -> Any:
    """Updates added at their places; in their order on a CPU, in any order on a GPU."""
    place = inside(x, index, value.shape[axis])
    return value.at[(*(slice(None),) * axis, place)].add(updates, mode="promise_in_bounds")


def take_along(x: Any, value: Any, index: Any, *, axis: int) -> Any:
    """As `take`, element by element."""
    return value.at[_along(x, value, index, axis)].get(mode="promise_in_bounds")


def scatter_along(x: Any, value: Any, index: Any, updates: Any, *, axis: int) -> Any:
    """As `scatter_add`, element by element."""
    return value.at[_along(x, value, index, axis)].add(updates, mode="promise_in_bounds")


def _along(x: Any, value: Any, index: Any, axis: int) -> tuple[Any, ...]:
    place: list[Any] = list(np.indices(index.shape, sparse=True))
    place[axis] = inside(x, index, value.shape[axis])
    return tuple(place)
