"""What operators do before an op is applied: scalars, dtypes and shapes are brought together.

Broadcasts and casts become nodes of their own here, so that every rule further down sees inputs
of one shape and dtype. Next: `functions.py`, the same by name.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kedja.front import tensor as front
from kedja.front.precision import PRODUCTS, narrower
from kedja.ground.dtypes import (
    FLOATS,
    UNSIGNED,
    DType,
    bool_,
    float32,
    int64,
    is_float,
    is_half,
    is_integer,
    of_scalar,
    promote,
    uint8,
    uint64,
)
from kedja.ground.errors import DtypeError, ShapeError, UsageError
from kedja.ir.graph import Node, apply, full, locating
from kedja.ir.op import lookup
from kedja.ops.reduce import kept_shape
from kedja.ops.types import broadcast_shapes, normal_axes, normal_axis

if TYPE_CHECKING:
    from kedja.front.tensor import Tensor

PLAIN = (bool, int, float)
FLOAT_ONLY = {"divide", "atan2", "hypot", "logaddexp", "copysign", "nextafter"}
ORDER = {"less", "less_equal", "greater", "greater_equal"}
ROUNDINGS = {"floor", "ceil", "round", "trunc"}
OF_BOOLS = {  # as in NumPy, PyTorch and JAX
    "add": "bitwise_or",
    "multiply": "bitwise_and",
    "maximum": "bitwise_or",
    "minimum": "bitwise_and",
}


def call(name: str, *tensors: Tensor, **attrs: Any) -> Tensor:
    """An op on tensors that already fit it; products in the dtype of `precision.products_in`."""
    narrow = narrower(tensors[0].dtype) if name in PRODUCTS else None
    if narrow is not None:
        product = call(name, *(cast(each, narrow) for each in tensors), **attrs)
        return cast(product, tensors[0].dtype)
    node = apply(name, *(each.node for each in tensors), **attrs)
    return front.from_node(node, any(each.tracks for each in tensors))


def cast(x: Tensor, dtype: DType) -> Tensor:
    """x in another dtype; x itself where it has that dtype."""
    return x if x.dtype == dtype else call("cast", x, dtype=dtype)


def broadcast(x: Tensor, shape: Sequence[int]) -> Tensor:
    """x repeated to a shape; a scalar constant simply becomes one of that shape."""
    if x.shape == tuple(shape):
        return x
    if x.node.op.name == "full":
        lookup("broadcast").type(x.node.type, shape=tuple(shape))  # raises where it does not fit
        return front.from_node(full(x.node.attrs["value"], tuple(shape), x.dtype))
    return call("broadcast", x, shape=tuple(shape))


def unary(name: str, x: Any) -> Tensor:
    """An elementwise op of one input; integers become float32 where the op is for floats."""
    given = front.as_tensor(x)
    if is_float(given.dtype):
        return call(name, given)
    if name in ROUNDINGS and is_integer(given.dtype):
        return given
    return call(name, cast(given, float32) if lookup(name).dtypes == FLOATS else given)


def together(name: str, *given: Any) -> list[Tensor]:
    """Tensors of one dtype and shape from tensors, arrays and Python scalars."""
    tensors = [front.as_tensor(each) for each in given if not isinstance(each, PLAIN)]
    dtype = promote(*(each.dtype for each in tensors)) if tensors else None
    scalars = [of_scalar(each, dtype) for each in given if isinstance(each, PLAIN)]
    common = promote(*([dtype] if dtype is not None else []), *scalars)
    common = _for_op(name, common)
    shape = broadcast_shapes(name, *(each.shape for each in tensors))
    whole = iter(tensors)
    return [
        front.from_node(full(each, shape, common))
        if isinstance(each, PLAIN)
        else broadcast(cast(next(whole), common), shape)
        for each in given
    ]


def _for_op(name: str, dtype: DType) -> DType:
    if is_float(dtype):
        return dtype
    if name in FLOAT_ONLY:
        return float32
    if dtype == bool_ and name == "subtract":
        raise DtypeError("a difference of bools", fix="a ^ b, or cast them to numbers with astype")
    return uint8 if dtype == bool_ and name in ORDER else dtype


def binary(name: str, a: Any, b: Any) -> Tensor:
    """An elementwise op of two inputs, which are brought together."""
    with locating():
        first, second = together(name, a, b)
        if first.dtype == bool_:
            name = OF_BOOLS.get(name, name)
        return call(name, first, second)


def power(a: Any, b: Any) -> Tensor:
    """a**b; small whole exponents become products. Integers to a negative power give 0, ±1."""
    with locating():
        if isinstance(b, int) and not isinstance(b, bool):
            base = _base(front.as_tensor(a))
            if b < 0 and is_integer(base.dtype):
                raise DtypeError(f"{base.dtype.name} ** {b}", fix="cast the base to a float")
            if 0 < b <= (2 if is_half(base.dtype) else 4):  # halves are to be rounded once
                return _product_of(base, b)
        first, second = together("pow", a, b)
        first, second = _base(first), _base(second)
        return call("integer_pow" if is_integer(first.dtype) else "pow", first, second)


def _base(x: Tensor) -> Tensor:
    return cast(x, int64) if x.dtype == bool_ else x


def _product_of(x: Tensor, count: int) -> Tensor:
    result = x
    for _ in range(count - 1):
        result = call("multiply", result, x)
    return result


def where(condition: Any, yes: Any, no: Any) -> Tensor:
    """`yes` where the condition holds, else `no`."""
    with locating():
        yes, no = together("where", yes, no)
        condition = cast(front.as_tensor(condition), bool_)
        shape = broadcast_shapes("where", condition.shape, yes.shape)
        parts = (broadcast(each, shape) for each in (condition, yes, no))
        return call("where", *parts)


def stop_gradient(x: Any) -> Tensor:
    """x, through which no gradient passes."""
    return call("stop_gradient", front.as_tensor(x))


# ---------------------------------------------------------------------------------- reduce


def reduce(name: str, x: Any, axis: Any, keepdims: bool) -> Tensor:
    """A reduction over `axis` (an int, several, or None for all)."""
    return _reduce(name, front.as_tensor(x), axis, keepdims)


def _reduce(name: str, x: Tensor, axis: Any, keepdims: bool) -> Tensor:
    with locating():
        axes = normal_axes(name, axis, x.ndim)
    if name in ("sum", "prod") and not is_float(x.dtype):
        x = cast(x, uint64 if x.dtype in UNSIGNED else int64)
    if x.dtype == bool_:
        name = {"max": "any", "min": "all"}.get(name, name)
    elif name in ("any", "all"):
        x = cast(x, bool_)
    if not axes:
        return x
    result = call(name, x, axes=axes)
    return reshape(result, kept_shape(x.shape, axes)) if keepdims else result


def mean(x: Any, axis: Any, keepdims: bool) -> Tensor:
    """Σx/n over some axes or all; NaN where there are no elements.

    Half dtypes are summed and divided in float32: their sum could overflow where the mean does not.
    """
    x = front.as_tensor(x)
    if is_half(x.dtype):
        return cast(mean(cast(x, float32), axis, keepdims), x.dtype)
    if not is_float(x.dtype):
        x = cast(x, float32)
    with locating():
        axes = normal_axes("mean", axis, x.ndim)
    count = math.prod(x.shape[each] for each in axes)
    total = reduce("sum", x, axes, keepdims)
    return binary("divide", total, count) if axes else total


# -------------------------------------------------------------------------------- movement


def reshape(x: Any, shape: Sequence[int]) -> Tensor:
    """The same elements under another shape; one extent may be −1."""
    x = front.as_tensor(x)
    with locating():
        extents = _resolved(x, [int(n) for n in shape])
        return x if extents == x.shape else call("reshape", x, shape=extents)


def _resolved(x: Tensor, shape: list[int]) -> tuple[int, ...]:
    if shape.count(-1) > 1 or min(shape, default=0) < -1:
        raise ShapeError(f"reshape to {shape}", fix="at most one extent may be -1")
    if -1 in shape:
        rest = math.prod(n for n in shape if n != -1)
        if rest == 0 or x.size % rest:
            raise ShapeError(f"reshape of {list(x.shape)} ({x.size} elements) to {shape}")
        shape[shape.index(-1)] = x.size // rest
    return tuple(shape)


def transpose(x: Any, axes: Sequence[int] | None) -> Tensor:
    """The axes in another order; None reverses them."""
    x = front.as_tensor(x)
    with locating():
        order = range(x.ndim)[::-1] if axes is None else axes
        places = tuple(normal_axis("transpose", axis, x.ndim) for axis in order)
        return call("transpose", x, axes=places)


def swap_last_axes(x: Tensor) -> Tensor:
    """The last two axes exchanged."""
    with locating():
        if x.ndim < 2:
            raise ShapeError(f"transpose of shape {list(x.shape)}", fix="at least two axes")
    return transpose(x, (*range(x.ndim - 2), x.ndim - 1, x.ndim - 2))


# --------------------------------------------------------------------------------- product


def matmul(a: Any, b: Any) -> Tensor:
    """The matrix product, c_mn = Σ_k a_mk b_kn; the operator `@`.

    Shapes: a (…, M, K), b (…, K, N) → (…, M, N), where … broadcast, as in NumPy; vectors count as
    rows on the left, columns on the right. Raises ShapeError where the two K differ.
    """
    with locating():
        a, b = _product_operands(a, b)
        if a.ndim == 1:
            return _without(matmul(reshape(a, (1, -1)), b), -2 if b.ndim > 1 else None)
        if b.ndim == 1:
            return _without(matmul(a, reshape(b, (-1, 1))), -1)
        if b.ndim == 2 and a.ndim > 2:
            _require_inner(a, b)
            rows = call("matmul", reshape(a, (math.prod(a.shape[:-1]), a.shape[-1])), b)
            return reshape(rows, (*a.shape[:-1], b.shape[-1]))
        _require_inner(a, b)
        batch = broadcast_shapes("matmul", a.shape[:-2], b.shape[:-2])
        parts = (broadcast(each, (*batch, *each.shape[-2:])) for each in (a, b))
        return call("matmul", *parts)


def _product_operands(a: Any, b: Any) -> tuple[Tensor, Tensor]:
    a, b = front.as_tensor(a), front.as_tensor(b)
    if not (a.ndim and b.ndim):
        raise ShapeError("matmul of a scalar", fix="use * instead of @")
    dtype = promote(a.dtype, b.dtype)
    return cast(a, dtype), cast(b, dtype)


def _require_inner(a: Tensor, b: Tensor) -> None:
    if a.shape[-1] == b.shape[-2]:
        return
    raise ShapeError(
        f"matmul of shapes {list(a.shape)} and {list(b.shape)}: {a.shape[-1]} columns on the left "
        f"meet {b.shape[-2]} rows on the right",
        fix="transpose one of them with .T" if _fits_transposed(a, b) else "these must be equal",
    )


def _fits_transposed(a: Tensor, b: Tensor) -> bool:
    return a.shape[-1] == b.shape[-1] or a.shape[-2] == b.shape[-2]


def _without(x: Tensor, axis: int | None) -> Tensor:
    if axis is None:
        return reshape(x, ())
    place = axis % x.ndim
    return reshape(x, (*x.shape[:place], *x.shape[place + 1 :]))


def concatenate(parts: Sequence[Any], axis: int) -> Tensor:
    """The parts one after the other along an axis."""
    with locating():
        tensors = [front.as_tensor(each) for each in parts]
        if not tensors:
            raise UsageError("concatenate of no arrays", fix="give at least one")
        place = normal_axis("concatenate", axis, tensors[0].ndim)
        dtype = promote(*(each.dtype for each in tensors))
        return call("concatenate", *(cast(each, dtype) for each in tensors), axis=place)


def nodes(tensors: Sequence[Tensor]) -> list[Node]:
    """The nodes of several tensors."""
    return [each.node for each in tensors]
