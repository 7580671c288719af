"""What stands around an array: a constant, its mirror image, its edge, or its other end.

`pad` takes its arguments as `torch.nn.functional.pad` does. Not here: `kj.pad`, one pair for each
axis (`movement.py`), layers (`kedja/nn/padding.py`). Next: `cumulative.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from kedja.front import arithmetic
from kedja.front.arithmetic import call
from kedja.front.spatial import bordered, numbers
from kedja.front.tensor import Tensor, as_tensor
from kedja.ground.errors import ShapeError, UsageError
from kedja.ground.suggest import did_you_mean
from kedja.ir.graph import locating


def pad(x: Any, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Tensor:
    """x with more around its last axes.

    `pad` holds (before, behind) for the last axis, then for the one before it, and so on; negative
    numbers crop. Modes: "constant" (`value`, 0 unless given), "reflect" (mirrored at the outer
    element, which stands once), "replicate" (the outer element repeated), "circular" (the other
    end of what is not cropped). Raises ShapeError where a mode needs more elements than there are.

    >>> pad([1, 2, 3], (1, 2), "reflect").tolist(), pad([1, 2, 3], (1, 0), "circular").tolist()
    ([2, 1, 2, 3, 2, 1], [3, 1, 2, 3])
    """
    x = as_tensor(x)
    with locating():
        pairs = _pairs(x, pad)
        if mode == "constant":
            return bordered(x, pairs, 0 if value is None else value)
        if mode not in BORDERS:
            raise UsageError(
                f"pad with mode={mode!r}", fix=did_you_mean(mode, ("constant", *BORDERS))
            )
        if value is not None:
            what = f"pad with mode={mode!r} and value={value}"
            raise UsageError(what, fix="a value belongs to mode='constant'")
        return around(x, pairs, mode)


def _pairs(x: Tensor, given: Sequence[int]) -> list[tuple[int, int]]:
    """(before, behind) for the last axes, in their order."""
    flat = numbers("pad", "pad", tuple(given), len(given), low=-(2**62)) if given else ()
    if len(flat) % 2 or len(flat) > 2 * x.ndim:
        raise UsageError(
            f"pad of shape {list(x.shape)} by {list(flat)}",
            fix="(before, behind) for the last axis, then for the one before it",
        )
    return [(flat[i], flat[i + 1]) for i in reversed(range(0, len(flat), 2))]


def around(x: Tensor, pairs: Sequence[tuple[int, int]], mode: str) -> Tensor:
    """x with more around its last axes, one axis after the other."""
    if mode == "constant":
        return bordered(x, pairs)
    cropped = [(min(low, 0), min(high, 0)) for low, high in pairs]
    if mode == "circular":  # what is cropped does not come back at the other end
        x = bordered(x, cropped)
    for axis, (low, high) in enumerate(pairs, start=x.ndim - len(pairs)):
        if max(low, high) > 0:
            x = _widened(x, axis, max(low, 0), max(high, 0), mode)
    return x if mode == "circular" else bordered(x, cropped)


def _widened(x: Tensor, axis: int, low: int, high: int, mode: str) -> Tensor:
    least, before, behind = BORDERS[mode]
    if max(low, high) > least(x.shape[axis]):
        raise ShapeError(
            f"{mode} padding of axis {axis} of {list(x.shape)} by {low} and {high}",
            fix=f"at most {max(0, least(x.shape[axis]))} on each side",
        )
    parts = [before(x, axis, low), x, behind(x, axis, high)]
    return arithmetic.concatenate([each for each in parts if each.shape[axis]], axis)


def _cut(x: Tensor, axis: int, start: int, stop: int) -> Tensor:
    return x[(*(slice(None),) * axis, slice(start, stop))]


def _turned(x: Tensor, axis: int, start: int, stop: int) -> Tensor:
    return call("flip", _cut(x, axis, start, stop), axes=(axis,))


def _repeated(x: Tensor, axis: int, place: int, times: int) -> Tensor:
    one = _cut(x, axis, place, place + 1)
    return arithmetic.broadcast(one, (*x.shape[:axis], times, *x.shape[axis + 1 :]))


Part = Callable[[Tensor, int, int], Tensor]
BORDERS: dict[str, tuple[Callable[[int], int], Part, Part]] = {  # most, before, behind
    "reflect": (
        lambda n: n - 1,
        lambda x, axis, width: _turned(x, axis, 1, 1 + width),
        lambda x, axis, width: _turned(x, axis, x.shape[axis] - 1 - width, x.shape[axis] - 1),
    ),
    "replicate": (
        lambda n: 2**62 if n else 0,
        lambda x, axis, width: _repeated(x, axis, 0, width),
        lambda x, axis, width: _repeated(x, axis, x.shape[axis] - 1, width),
    ),
    "circular": (
        lambda n: n,
        lambda x, axis, width: _cut(x, axis, x.shape[axis] - width, x.shape[axis]),
        lambda x, axis, width: _cut(x, axis, 0, width),
    ),
}
