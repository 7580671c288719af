"""Strong Wolfe line search: a step that goes down far enough to where the slope is small.

It works on plain numbers, at once: a search decides on values. Not here: the directions
(`lbfgs.py`). Next: `schedules.py`.

Letters: t step, f value, g gradient, slope the derivative g·d along the direction d.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


class Trial(NamedTuple):
    """What was found at a step along the direction."""

    t: float
    f: float
    g: Array
    slope: float


Look = Callable[[float], Trial]

ENOUGH = 1e-4  # c₁: the share of the decrease that the slope at the start promises
FLAT = 0.9  # c₂: the share of that slope that may be left


def strong_wolfe(
    look: Look, start: Trial, t: float, size: float, tolerance: float, most: int
) -> tuple[Trial, int]:
    """A trial with f ≤ f₀ + c₁ t slope₀ and |slope| ≤ c₂ |slope₀|, and how many were looked at.

    `start` is the trial at t = 0, `t` the first guess, `size` the largest number of the direction.
    The search ends early where the bracket moves nothing by more than `tolerance`, or after about
    `most` trials; the answer is then the lowest found. It makes the same decisions as PyTorch's.
    Source: J. Nocedal, S. Wright: Numerical optimization (2006), algorithms 3.5 and 3.6.
    """
    with np.errstate(all="ignore"):
        bracket, done, count = _bracketed(look, start, np.float64(t), most)
        found, count = _zoomed(look, start, bracket, done, count, size, tolerance, most)
    return found, count + 1


def _is_too_high(now: Trial, start: Trial) -> bool:
    return bool(now.f > start.f + ENOUGH * now.t * start.slope)


def _is_flat(now: Trial, start: Trial) -> bool:
    return bool(abs(now.slope) <= -FLAT * start.slope)


def _bracketed(look: Look, start: Trial, t: Any, most: int) -> tuple[list[Trial], bool, int]:
    """Two trials with a good one between them, or one that is good; steps grow until then."""
    before, now = start, look(t)
    for count in range(most):
        if _is_too_high(now, start) or (count > 1 and now.f >= before.f):
            return [before, now], False, count
        if _is_flat(now, start):
            return [now], True, count
        if now.slope >= 0:
            return [before, now], False, count
        bounds = (now.t + 0.01 * (now.t - before.t), now.t * 10)
        before, now = now, look(interpolated(before, now, bounds))
    return [start, now], False, most


def _zoomed(
    look: Look,
    start: Trial,
    bracket: list[Trial],
    done: bool,
    count: int,
    size: float,
    tolerance: float,
    most: int,
) -> tuple[Trial, int]:
    """The bracket made smaller until a trial is good."""
    stuck = False
    low, high = _ordered(bracket)
    while not done and count < most:
        if abs(bracket[1].t - bracket[0].t) * size < tolerance:
            break
        t = interpolated(bracket[0], bracket[1])
        t, stuck = _kept_inside(t, bracket, stuck)
        now = look(t)
        count += 1
        if _is_too_high(now, start) or now.f >= bracket[low].f:
            bracket[high] = now
            low, high = _ordered(bracket)
            continue
        done = _is_flat(now, start)
        if not done and now.slope * (bracket[high].t - bracket[low].t) >= 0:
            bracket[high] = bracket[low]
        bracket[low] = now
    return bracket[low], count


def _ordered(bracket: list[Trial]) -> tuple[int, int]:
    """The places of the lower and of the higher end."""
    return (0, 1) if bracket[0].f <= bracket[-1].f else (1, 0)


def _kept_inside(t: Any, bracket: list[Trial], stuck: bool) -> tuple[Any, bool]:
    """A step near an end of the bracket, for the second time or beyond it, is moved inwards."""
    left, right = sorted((bracket[0].t, bracket[1].t))
    margin = 0.1 * (right - left)
    if not min(right - t, t - left) < margin:
        return t, False
    if not (stuck or t >= right or t <= left):
        return t, True
    nearer_right = abs(t - right) < abs(t - left)
    return (right - margin if nearer_right else left + margin), False


def interpolated(one: Trial, other: Trial, bounds: tuple[Any, Any] | None = None) -> Any:
    """The minimum of the cubic through two trials, held between bounds (the trials' own steps)."""
    left, right = sorted((one.t, other.t)) if bounds is None else bounds
    bend = one.slope + other.slope - 3 * (one.f - other.f) / np.float64(one.t - other.t)
    square = bend * bend - one.slope * other.slope
    if not square >= 0:
        return (left + right) / 2.0
    near, far = (one, other) if one.t <= other.t else (other, one)
    root = np.sqrt(square)
    share = (far.slope + root - bend) / (far.slope - near.slope + 2 * root)
    return min(max(far.t - (far.t - near.t) * share, left), right)
