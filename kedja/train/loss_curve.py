"""The losses of a run by epoch, as self-contained SVG: what a notebook shows of a history.

Not here: the numbers (`history.py`), other pictures (`kedja/views`). Next: `history.py`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import NamedTuple

WIDTH, HEIGHT = 480.0, 250.0
LEFT, RIGHT, TOP, BOTTOM = 62.0, 90.0, 14.0, 42.0  # around the curves: numbers, names, the axis
COLOURS = ("#3a7fc1", "#d1495b")
STEEP = 30.0  # where the largest loss is so many times the smallest, the axis is logarithmic
DIGITS = (1, 2, 5)  # of the numbers beside an axis
FONT = 'font-family="ui-sans-serif,system-ui,Helvetica,Arial,sans-serif" font-size="11"'
Point = tuple[float, float]


class Axis(NamedTuple):
    """The numbers from `low` to `high`, evenly or by their logarithms, and those written beside."""

    low: float
    high: float
    ticks: tuple[float, ...]
    logarithmic: bool = False

    def share(self, value: float) -> float:
        """Where a number stands: 0 at `low`, 1 at `high`."""
        low, high, at = (
            (math.log(each) for each in (self.low, self.high, value))
            if self.logarithmic
            else (self.low, self.high, value)
        )
        return (at - low) / (high - low)


def svg(curves: Mapping[str, Sequence[float]], across: str = "epoch") -> str:
    """Curves by name, each a number for 1, 2, …; what is not finite leaves a gap.

    >>> text = svg({"training": [2.3, 0.4, 0.1], "validation": [1.1, 0.5, 0.6]})
    >>> text.count("<polyline"), ">validation<" in text
    (2, True)
    """
    longest = max(map(len, curves.values()), default=0)
    x, y = _counted(longest), _axis([each for curve in curves.values() for each in curve])
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH:g} {HEIGHT:g}" '
        f'width="{WIDTH:g}" height="{HEIGHT:g}" role="img" aria-label="loss by {escape(across)}" '
        f'fill="currentColor" {FONT}>',
        *_frame(x, y, across),
        *_curves(x, y, curves),
        "</svg>",
    ]
    return "".join(parts)


def _axis(values: Sequence[float]) -> Axis:
    finite = [each for each in values if math.isfinite(each)]
    low, high = min(finite, default=0.0), max(finite, default=1.0)
    if low > 0 and high / low > STEEP:
        return Axis(low, high, tuple(_powers(low, high)), logarithmic=True)
    low = min(low, 0.0)  # losses that are never negative are seen beside 0
    high = high if high > low else low + max(1.0, abs(low))
    return Axis(low, high, tuple(_even(low, high, 4)))


def _counted(longest: int) -> Axis:
    """The axis of 1, 2, … up to the longest curve."""
    high = max(longest, 2)
    ticks = (each for each in _even(0, high, 6) if each >= 1 and each == int(each))
    return Axis(1, high, tuple(ticks))


def _even(low: float, high: float, about: int) -> Iterator[float]:
    """Round numbers, as far from each other as gives at most `about` of them and one."""
    least = (high - low) / about
    power = 10.0 ** math.floor(math.log10(least))
    step = next(d * power for d in (*DIGITS, 10) if d * power >= least * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return (each * step for each in range(first, last + 1))


def _powers(low: float, high: float) -> Iterator[float]:
    """The powers of ten between two numbers; of more than six every second, third, …"""
    first, last = math.ceil(math.log10(low)), math.floor(math.log10(high))
    return (10.0**each for each in range(first, last + 1, 1 + (last - first) // 6))


# -------------------------------------------------------------------------------- drawing


def _at(x: Axis, y: Axis, point: Point) -> Point:
    right = LEFT + x.share(point[0]) * (WIDTH - LEFT - RIGHT)
    down = TOP + (1 - y.share(point[1])) * (HEIGHT - TOP - BOTTOM)
    return right, down


def _frame(x: Axis, y: Axis, across: str) -> Iterator[str]:
    """The axes, the numbers beside them, and what is counted below."""
    left, right, bottom = LEFT, WIDTH - RIGHT, HEIGHT - BOTTOM
    for each in y.ticks:
        _, down = _at(x, y, (1, each))
        yield f'<path d="M{left} {down:.1f}H{right}" stroke="currentColor" opacity="0.15"/>'
        yield f'<text x="{left - 8}" y="{down + 4:.1f}" text-anchor="end">{each:g}</text>'
    for each in x.ticks:
        across_at, _ = _at(x, y, (each, y.low))
        yield f'<text x="{across_at:.1f}" y="{bottom + 16}" text-anchor="middle">{each:g}</text>'
    yield f'<path d="M{left} {bottom}H{right}" stroke="currentColor" opacity="0.5"/>'
    middle = (left + right) / 2
    yield f'<text x="{middle}" y="{HEIGHT - 8}" text-anchor="middle">{escape(across)}</text>'
    kind = "loss, logarithmic" if y.logarithmic else "loss"
    turn = f"rotate(-90 12 {(TOP + bottom) / 2:g})"
    yield f'<text x="12" y="{(TOP + bottom) / 2:g}" text-anchor="middle" transform="{turn}">'
    yield f"{kind}</text>"


def _curves(x: Axis, y: Axis, curves: Mapping[str, Sequence[float]]) -> Iterator[str]:
    """Each curve with its name at its end; names that would cover each other stand apart."""
    ends: list[float] = []
    for colour, (name, values) in zip(COLOURS, curves.items(), strict=False):
        points = [(n, each) for n, each in enumerate(values, 1)]
        for run in _runs(points):
            yield _line([_at(x, y, each) for each in run], colour)
        finite = [_at(x, y, each) for each in points if math.isfinite(each[1])]
        if finite:
            right, down = finite[-1]
            while any(abs(down - each) < 12 for each in ends):
                down -= 1
            ends.append(down)
            yield f'<text x="{right + 8:.1f}" y="{down + 4:.1f}" fill="{colour}">'
            yield f"{escape(name)}</text>"


def _runs(points: Sequence[Point]) -> Iterator[list[Point]]:
    """The stretches of points that are finite."""
    run: list[Point] = []
    for point in points:
        if math.isfinite(point[1]):
            run.append(point)
        elif run:
            yield run
            run = []
    if run:
        yield run


def _line(points: Sequence[Point], colour: str) -> str:
    """A line through points; a dot where there is one alone."""
    if len(points) == 1:
        ((right, down),) = points
        return f'<circle cx="{right:.1f}" cy="{down:.1f}" r="3" fill="{colour}"/>'
    path = " ".join(f"{right:.1f},{down:.1f}" for right, down in points)
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>'
