"""Cumulative functions by name: y[i] combines x[0] … x[i] along one axis.

cumulative_sum and cumulative_prod are the Python Array API standard's (2024.12); cumsum and cumprod
NumPy's; cummax, cummin and logcumsumexp PyTorch's. Not here: what they mean
(`kedja/ops/cumulative.py`). Next: `sorting.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from kedja.front import arithmetic
from kedja.front import tensor as front
from kedja.front.arithmetic import call
from kedja.front.movement import flatten
from kedja.front.reductions import floating
from kedja.ground.dtypes import DType, as_dtype, bool_, int64, is_integer, uint64
from kedja.ground.errors import UsageError
from kedja.ir.graph import full, locating
from kedja.ops.cumulative import extremum_place
from kedja.ops.types import normal_axis

if TYPE_CHECKING:
    from kedja.front.tensor import Tensor

# ------------------------------------------------------------------------- sum and product


def cumulative_sum(
    x: Any, axis: int | None = None, *, dtype: Any = None, include_initial: bool = False
) -> Tensor:
    """y[i] = x[0] + … + x[i] along an axis, which may be left out where there is only one.

    Without a `dtype` floats keep theirs, integers become int64 or uint64, bools int64. With
    `include_initial` the sum of nothing, 0, stands in front: one element more.

    >>> cumulative_sum([1, 2, 3], include_initial=True).tolist()
    [0, 1, 3, 6]
    """
    return _accumulated("cumulative_sum", x, axis, dtype, 0 if include_initial else None)


def cumulative_prod(
    x: Any, axis: int | None = None, *, dtype: Any = None, include_initial: bool = False
) -> Tensor:
    """y[i] = x[0] · … · x[i] along an axis; all else as `cumulative_sum`, with 1 in front.

    >>> cumulative_prod([1, 2, 3]).tolist()
    [1, 2, 6]
    """
    return _accumulated("cumulative_prod", x, axis, dtype, 1 if include_initial else None)


def cumsum(x: Any, axis: int | None = None, dtype: Any = None) -> Tensor:
    """`cumulative_sum`; without an axis, of the flattened array, as in NumPy."""
    x = front.as_tensor(x)
    return cumulative_sum(flatten(x) if axis is None else x, axis, dtype=dtype)


def cumprod(x: Any, axis: int | None = None, dtype: Any = None) -> Tensor:
    """`cumulative_prod`; without an axis, of the flattened array, as in NumPy."""
    x = front.as_tensor(x)
    return cumulative_prod(flatten(x) if axis is None else x, axis, dtype=dtype)


def _accumulated(name: str, x: Any, axis: int | None, dtype: Any, initial: int | None) -> Tensor:
    with locating():
        line, along, scalar = _line(name, x, axis)
        kind = _wide(line.dtype) if dtype is None else as_dtype(dtype)
        attrs = {"reverse": False} if name == "cumulative_sum" else {}
        result = call(name, arithmetic.cast(line, kind), axis=along, **attrs)
        if initial is None:
            return arithmetic.reshape(result, ()) if scalar else result
        shape = (*line.shape[:along], 1, *line.shape[along + 1 :])
        return arithmetic.concatenate([front.from_node(full(initial, shape, kind)), result], along)


def _line(name: str, x: Any, axis: int | None) -> tuple[Tensor, int, bool]:
    """x and the axis; a scalar (the last answer) counts as one element along axis 0, if named."""
    x = front.as_tensor(x)
    if axis is None and x.ndim != 1:
        raise UsageError(f"{name} over {x.ndim} axes without `axis`", fix="say along which: axis=0")
    scalar = x.ndim == 0
    line = arithmetic.reshape(x, (1,)) if scalar else x
    return line, normal_axis(name, 0 if axis is None else axis, line.ndim), scalar


def _wide(dtype: DType) -> DType:
    """Integers narrower than 64 bits are added up in 64."""
    if dtype == bool_:
        return int64
    if not is_integer(dtype):
        return dtype
    return uint64 if dtype.kind == "u" else int64


# --------------------------------------------------------------------- extremes, log-sum-exp


class Extremes(NamedTuple):
    """The extremes so far, and where along the axis they stand (the latest of several)."""

    values: Tensor
    indices: Tensor


def cumulative_max(x: Any, axis: int | None = None) -> Tensor:
    """y[i] = the largest of x[0] … x[i]; the gradient goes to the latest of several.

    >>> cumulative_max([1, 3, 2, 5]).tolist()
    [1, 3, 3, 5]
    """
    return _extreme("cumulative_max", x, axis)


def cumulative_min(x: Any, axis: int | None = None) -> Tensor:
    """y[i] = the smallest of x[0] … x[i]; the gradient goes to the latest of several."""
    return _extreme("cumulative_min", x, axis)


def _extreme(name: str, x: Any, axis: int | None) -> Tensor:
    with locating():
        line, along, scalar = _line(name, x, axis)
        result = call(name, line, axis=along)
        return arithmetic.reshape(result, ()) if scalar else result


def cummax(x: Any, axis: int | None = None) -> Extremes:
    """`cumulative_max` with the places of the maxima, as in PyTorch.

    >>> values, indices = cummax([1, 3, 3, 2])
    >>> indices.tolist()
    [0, 1, 2, 2]
    """
    return _extremes("cumulative_max", x, axis)


def cummin(x: Any, axis: int | None = None) -> Extremes:
    """`cumulative_min` with the places of the minima, as in PyTorch."""
    return _extremes("cumulative_min", x, axis)


def _extremes(name: str, x: Any, axis: int | None) -> Extremes:
    with locating():
        line, along, scalar = _line(name, x, axis)
        values = call(name, line, axis=along)
        places = front.from_node(extremum_place(line.node, values.node, along))
        shape = () if scalar else line.shape
        return Extremes(*(arithmetic.reshape(each, shape) for each in (values, places)))


def cumulative_logsumexp(x: Any, axis: int | None = None) -> Tensor:
    """y[i] = log(e^x[0] + … + e^x[i]), without overflow."""
    return _extreme("cumulative_logsumexp", floating(x), axis)
