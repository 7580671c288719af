"""The operators of Python on tensors: a + b, a @ b, ~a, a < b, a += b …

They bring their operands together and apply ops (`arithmetic.py`). A tensor cannot be written to:
`a += b` binds the name to a new tensor of the same shape and dtype. Not here: `t[key]`
(`index.py`). Next: `methods.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kedja.front import arithmetic
from kedja.front import tensor as front
from kedja.ground.dtypes import bool_, is_float, is_integer
from kedja.ground.errors import DtypeError, ShapeError
from kedja.ir.graph import locating

if TYPE_CHECKING:
    from kedja.front.tensor import Tensor

PLAIN = (bool, int, float, complex, np.ndarray, np.generic, list, tuple)


def binary(name: str, a: Any, b: Any, other: Any) -> Tensor:
    """The op on both; NotImplemented where `other` (one of them) is nothing like an array."""
    if isinstance(other, (Operators, *PLAIN)) or hasattr(other, "__array__"):
        return arithmetic.binary(name, a, b)
    return NotImplemented  # type: ignore[no-any-return]


class Operators:
    """What makes `Tensor` answer to operators."""

    __slots__ = ()

    # ------------------------------------------------------------------ arithmetic

    def __add__(self, other: Any) -> Tensor:
        return binary("add", self, other, other)

    def __radd__(self, other: Any) -> Tensor:
        return binary("add", other, self, other)

    def __sub__(self, other: Any) -> Tensor:
        return binary("subtract", self, other, other)

    def __rsub__(self, other: Any) -> Tensor:
        return binary("subtract", other, self, other)

    def __mul__(self, other: Any) -> Tensor:
        return binary("multiply", self, other, other)

    def __rmul__(self, other: Any) -> Tensor:
        return binary("multiply", other, self, other)

    def __truediv__(self, other: Any) -> Tensor:
        return binary("divide", self, other, other)

    def __rtruediv__(self, other: Any) -> Tensor:
        return binary("divide", other, self, other)

    def __floordiv__(self, other: Any) -> Tensor:
        return binary("floor_divide", self, other, other)

    def __rfloordiv__(self, other: Any) -> Tensor:
        return binary("floor_divide", other, self, other)

    def __mod__(self, other: Any) -> Tensor:
        return binary("remainder", self, other, other)

    def __rmod__(self, other: Any) -> Tensor:
        return binary("remainder", other, self, other)

    def __pow__(self, other: Any) -> Tensor:
        return arithmetic.power(self, other)

    def __rpow__(self, other: Any) -> Tensor:
        return arithmetic.power(other, self)

    def __matmul__(self, other: Any) -> Tensor:
        return arithmetic.matmul(self, other)

    def __rmatmul__(self, other: Any) -> Tensor:
        return arithmetic.matmul(other, self)

    def __neg__(self) -> Tensor:
        return arithmetic.unary("negative", self)

    def __pos__(self) -> Tensor:
        return front.as_tensor(self)

    def __abs__(self) -> Tensor:
        return arithmetic.unary("abs", self)

    # ------------------------------------------------------------------ bits

    def __invert__(self: Any) -> Tensor:
        return arithmetic.unary("logical_not" if self.dtype == bool_ else "invert", self)

    def __and__(self, other: Any) -> Tensor:
        return binary("bitwise_and", self, other, other)

    def __rand__(self, other: Any) -> Tensor:
        return binary("bitwise_and", other, self, other)

    def __or__(self, other: Any) -> Tensor:
        return binary("bitwise_or", self, other, other)

    def __ror__(self, other: Any) -> Tensor:
        return binary("bitwise_or", other, self, other)

    def __xor__(self, other: Any) -> Tensor:
        return binary("bitwise_xor", self, other, other)

    def __rxor__(self, other: Any) -> Tensor:
        return binary("bitwise_xor", other, self, other)

    def __lshift__(self, other: Any) -> Tensor:
        return binary("left_shift", self, other, other)

    def __rlshift__(self, other: Any) -> Tensor:
        return binary("left_shift", other, self, other)

    def __rshift__(self, other: Any) -> Tensor:
        return binary("right_shift", self, other, other)

    def __rrshift__(self, other: Any) -> Tensor:
        return binary("right_shift", other, self, other)

    # ------------------------------------------------------------------ comparison

    def __lt__(self, other: Any) -> Tensor:
        return binary("less", self, other, other)

    def __le__(self, other: Any) -> Tensor:
        return binary("less_equal", self, other, other)

    def __gt__(self, other: Any) -> Tensor:
        return binary("greater", self, other, other)

    def __ge__(self, other: Any) -> Tensor:
        return binary("greater_equal", self, other, other)

    def __eq__(self, other: Any) -> Tensor:  # type: ignore[override]
        return binary("equal", self, other, other)

    def __ne__(self, other: Any) -> Tensor:  # type: ignore[override]
        return binary("not_equal", self, other, other)

    __hash__ = object.__hash__

    # ------------------------------------------------------------------ in place

    def __iadd__(self, other: Any) -> Tensor:
        return updated(self, self + other)

    def __isub__(self, other: Any) -> Tensor:
        return updated(self, self - other)

    def __imul__(self, other: Any) -> Tensor:
        return updated(self, self * other)

    def __itruediv__(self, other: Any) -> Tensor:
        return updated(self, self / other)

    def __ifloordiv__(self, other: Any) -> Tensor:
        return updated(self, self // other)

    def __imod__(self, other: Any) -> Tensor:
        return updated(self, self % other)

    def __ipow__(self, other: Any) -> Tensor:  # type: ignore[misc]
        return updated(self, self**other)

    def __imatmul__(self, other: Any) -> Tensor:
        return updated(self, self @ other)

    def __iand__(self, other: Any) -> Tensor:
        return updated(self, self & other)

    def __ior__(self, other: Any) -> Tensor:
        return updated(self, self | other)

    def __ixor__(self, other: Any) -> Tensor:
        return updated(self, self ^ other)

    def __ilshift__(self, other: Any) -> Tensor:
        return updated(self, self << other)

    def __irshift__(self, other: Any) -> Tensor:
        return updated(self, self >> other)


def updated(x: Any, result: Tensor) -> Tensor:
    """What the name is bound to after `x += …`: a tensor of x's shape and dtype.

    An update of a marked leaf starts a fresh leaf: `w -= rate * w.grad`.
    """
    with locating():
        result = _as_before(x, result)
    if not x.requires_grad:
        if result.is_known and not result.tracks:
            result.numpy()  # `total += loss` in a loop does not grow a graph
        return result
    name = x.node.attrs.get("name", "")
    return front.Tensor(result.numpy(), requires_grad=True, name=name)


def _as_before(x: Any, result: Tensor) -> Tensor:
    if result.shape != x.shape:
        raise ShapeError(
            f"an update in place would change the shape {list(x.shape)} to {list(result.shape)}",
            fix="write x = x + y instead of x += y",
        )
    if result.dtype == x.dtype:
        return result
    kinds = (is_float, is_integer)
    if any(kind(x.dtype) and kind(result.dtype) for kind in kinds):
        return arithmetic.cast(result, x.dtype)
    raise DtypeError(
        f"an update in place would change the dtype {x.dtype.name} to {result.dtype.name}",
        fix="write x = x + y instead of x += y, or cast one of them with astype",
    )
