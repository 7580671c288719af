"""Leaves: values that are given. Inputs, arrays, one scalar everywhere, and counting.

Next: `elementwise.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kedja.ground.dtypes import ALL, NUMBERS, convert, float32, int64, is_integer
from kedja.ground.errors import DtypeError
from kedja.ir.op import Leaf, NoDerivative, NotBatched, Op, Rule, Shape, Type, register
from kedja.ops.samples import nothing
from kedja.ops.types import require_dtype

GIVEN = NoDerivative("it is given, not computed")


def full_type(*, value: Any, shape: Shape, dtype: np.dtype) -> Type:
    """Any shape of one number; an integer dtype must hold it."""
    _require_number(value)
    if is_integer(dtype) and not np.iinfo(dtype).min <= value <= np.iinfo(dtype).max:
        raise DtypeError(f"{dtype.name} does not hold {value}", fix="cast to a wider dtype first")
    return Type(tuple(shape), dtype)


def _require_number(value: object) -> None:
    if not isinstance(value, (bool, int, float, np.generic)):
        raise DtypeError(f"full of a {type(value).__name__}", fix="broadcast_to repeats an array")


def iota_type(*, shape: Shape, axis: int, dtype: np.dtype) -> Type:
    """The index along one axis."""
    require_dtype("iota", dtype, NUMBERS)
    return Type(tuple(shape), dtype)


def numpy_iota(*, shape: Shape, axis: int, dtype: np.dtype) -> np.ndarray:
    """np.arange along one axis, repeated along the others."""
    line = np.arange(shape[axis], dtype=dtype)
    return np.broadcast_to(line.reshape([-1 if a == axis else 1 for a in range(len(shape))]), shape)


def unbound(*, name: str, **attrs: Any) -> np.ndarray:
    """An input has no meaning of its own: the executor binds it."""
    raise KeyError(f"the input {name!r} is not bound")


def numpy_full(*, value: Any, shape: Shape, dtype: np.dtype) -> np.ndarray:
    """One element, repeated without copies."""
    return np.broadcast_to(convert(np.asarray(value), dtype), shape)


def xla_full(x: Any, *, value: Any, shape: Shape, dtype: np.dtype) -> Any:
    """A literal of one element, repeated."""
    return x.np.broadcast_to(convert(np.asarray(value), dtype), shape)


def xla_iota(x: Any, *, shape: Shape, axis: int, dtype: np.dtype) -> Any:
    """XLA's own."""
    return x.lax.broadcasted_iota(dtype, shape, axis)


def leaf(name: str, type: Rule, numpy: Rule, xla: Rule, formula: str, attrs: dict[str, Any]) -> Op:
    """One entry of the table below; `attrs` are those of its sample."""
    return Op(
        name,
        type=type,
        numpy=numpy,
        derivative=GIVEN,
        lowering=Leaf(),
        batch=NotBatched(),
        xla=xla,
        formula=formula,
        sample=nothing(attrs),
        dtypes=ALL,
        flops=0,
    )


register(
    (
        leaf(
            "input",
            lambda *, name, shape, dtype: Type(tuple(shape), dtype),
            unbound,
            lambda x, **attrs: unbound(**attrs),
            "{name}",
            {"name": "x", "shape": (2, 3), "dtype": float32},
        ),
        leaf(
            "constant",
            lambda *, value, name="": Type(value.shape, value.dtype),
            lambda *, value, name="": value,
            lambda x, *, value, name="": x.np.asarray(value),
            "{value}",
            {"value": np.arange(6, dtype=np.float32).reshape(2, 3)},
        ),
        leaf(
            "full",
            full_type,
            numpy_full,
            xla_full,
            "{value}",
            {"value": 1.5, "shape": (2, 3), "dtype": float32},
        ),
        leaf(
            "iota",
            iota_type,
            numpy_iota,
            xla_iota,
            "iota({shape}, axis={axis})",
            {"shape": (2, 3), "axis": 1, "dtype": int64},
        ),
    ),
    "leaves",
)
