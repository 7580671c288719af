"""What the functions over spatial axes share: their arguments as one number for each axis.

Not here: the functions (`convolution.py`, `pooling.py`, `resampling.py`). Next: `convolution.py`.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kedja.front import arithmetic
from kedja.front.arithmetic import call
from kedja.ground.errors import ShapeError, UsageError

if TYPE_CHECKING:
    from kedja.front.tensor import Tensor

Ints = tuple[int, ...]
Pairs = tuple[tuple[int, int], ...]
LAYOUTS = {1: "C, L", 2: "C, H, W", 3: "C, D, H, W"}  # the axes of one example


def numbers(name: str, what: str, given: Any, count: int, low: int = 1) -> Ints:
    """One whole number for each of `count` spatial axes; a single one serves all of them.

    >>> numbers("conv", "stride", 2, 3), numbers("conv", "stride", (1, 2), 2)
    ((2, 2, 2), (1, 2))
    """
    try:
        found = tuple(operator.index(each) for each in several(given))
    except TypeError:
        raise UsageError(
            f"{name} with {what}={given!r}", fix="a whole number, or several"
        ) from None
    found = found * count if len(found) == 1 else found
    if len(found) != count:
        raise UsageError(
            f"{name} over {count} spatial axes with {what}={given!r}",
            fix=f"one number, or {count} of them",
        )
    if min(found) < low:
        raise UsageError(f"{name} with {what}={given!r}", fix=f"{what} is {low} or more")
    return found


def several(given: Any) -> Sequence[Any]:
    """A sequence as it is, anything else as one of one element."""
    return given if isinstance(given, (tuple, list)) else (given,)


def spatial_count(name: str, x: Tensor, least: int = 1) -> int:
    """How many spatial axes x (N, C, …) has; ShapeError where there are fewer than `least`."""
    if x.ndim < 2 + least:
        raise ShapeError(
            f"{name} of shape {list(x.shape)}",
            fix="the axes are examples, channels, then the spatial ones: (N, C, …)",
        )
    return x.ndim - 2


def bordered(x: Tensor, pads: Sequence[tuple[int, int]], value: Any = 0) -> Tensor:
    """x with fill values around its last axes, cropped where a number is negative."""
    ahead = ((0, 0),) * (x.ndim - len(pads))
    pairs = (*ahead, *pads)
    low, high = (tuple(max(pair[side], 0) for pair in pairs) for side in (0, 1))
    if max((*low, *high), default=0):
        x = call("pad", x, low=low, high=high, interior=(0,) * x.ndim, value=value)
    starts = tuple(max(-a, 0) for a, _ in pairs)
    stops = tuple(n - max(-b, 0) for n, (_, b) in zip(x.shape, pairs, strict=True))
    if starts == (0,) * x.ndim and stops == x.shape:
        return x
    _require_left(x, starts, stops)
    return call("slice", x, starts=starts, stops=stops, steps=(1,) * x.ndim)


def _require_left(x: Tensor, starts: Ints, stops: Ints) -> None:
    if any(start > stop for start, stop in zip(starts, stops, strict=True)):
        raise ShapeError(
            f"padding takes more than there is of {list(x.shape)}",
            fix="negative padding crops; leave something",
        )


def batched(x: Tensor, rank: int) -> tuple[Tensor, bool]:
    """x with an axis of examples in front, if it has one axis less than `rank`."""
    if x.ndim != rank - 1:
        return x, False
    return arithmetic.reshape(x, (1, *x.shape)), True


def unbatched(x: Tensor, single: bool) -> Tensor:
    """The one example again, where `batched` has put an axis in front."""
    return arithmetic.reshape(x, x.shape[1:]) if single else x
