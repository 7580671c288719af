"""Drawn shapes with captions: a large red circle, a small blue star, at any place of a picture.

What a picture shows is known, so that it can be tested whether a model composes: some pairs of
colour and shape are kept out of training and met first in the test. Not here: captions from files
(`captioned.py`). Next: `captioned.py`.
Dimensions: N pictures, S the side in pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from kedja.ground.errors import UsageError

Array = np.ndarray[Any, np.dtype[Any]]

COLOURS = {
    "red": (220, 40, 40),
    "green": (40, 180, 60),
    "blue": (50, 90, 230),
    "yellow": (240, 220, 50),
    "purple": (150, 60, 190),
    "orange": (245, 140, 30),
    "white": (240, 240, 240),
    "cyan": (60, 210, 220),
}
SIZES = {"small": (4.0, 6.0), "large": (8.0, 11.0)}  # from the middle to the edge, in pixels
SIDE = 32
EDGE = 2.0  # pixels in which a shape fades out, so that its edge is smooth
GROUND = 60  # the brightest grey behind a shape
SPREAD = 18  # standard deviation of noise in all channels
TEMPLATES = ("a {size} {colour} {shape}", "{colour} {shape}", "a {shape} in {colour}, {size}")


class Drawn(NamedTuple):
    """A shape's name, colour and size."""

    colour: str
    shape: str
    size: str

    def caption(self, template: str = TEMPLATES[0]) -> str:
        """The words for it.

        >>> Drawn("red", "ring", "small").caption()
        'a small red ring'
        """
        return template.format(**self._asdict())


def pairs() -> list[tuple[str, str]]:
    """All pairs of a colour and a shape."""
    return list(product(COLOURS, SHAPES))


def unseen(count: int = 16, seed: int = 0) -> set[tuple[str, str]]:
    """Pairs to keep out of training, such that each colour and each shape stays in others.

    They are spread: pair k is colour k with shape k + shift, along diagonals of the table. Raises
    UsageError for more than half of all pairs.

    >>> len(unseen(16)), len({colour for colour, _ in unseen(16)})
    (16, 8)
    """
    if not 0 < count <= len(pairs()) // 2:
        raise UsageError(f"{count} pairs unseen of {len(pairs())}", fix="from 1 to half of them")
    colours, found = list(COLOURS), set()
    for number in range(count):
        row, turn = number % len(colours), number // len(colours)
        found.add((colours[row], SHAPES[(row + 3 * turn + seed) % len(SHAPES)]))
    return found


def draw(
    count: int, seed: int = 0, only: Sequence[tuple[str, str]] | None = None, side: int = SIDE
) -> tuple[Array, list[Drawn]]:
    """Pictures uint8 (N, S, S, 3) and what each shows, of `only` some pairs of colour and shape."""
    draws = np.random.Generator(np.random.Philox(seed))
    chosen = pairs() if only is None else list(only)
    found, pictures = [], np.empty((count, side, side, 3), np.uint8)
    for row in range(count):
        colour, shape = chosen[int(draws.integers(len(chosen)))]
        size = tuple(SIZES)[int(draws.integers(2))]
        found.append(Drawn(colour, shape, size))
        pictures[row] = _picture(found[-1], draws, side)
    return pictures, found


def _picture(what: Drawn, draws: np.random.Generator, side: int) -> Array:
    """One shape on a dark ground with noise: uint8 (S, S, 3)."""
    radius = draws.uniform(*SIZES[what.size]) * side / SIDE
    middle = draws.uniform(radius + 1, side - 1 - radius, 2)
    y, x = np.mgrid[:side, :side] + 0.5 - middle[:, None, None]
    inside = np.clip(0.5 - OUTSIDE[what.shape](x / radius, y / radius) * radius / EDGE, 0, 1)
    ground = np.full(3, draws.uniform(0, GROUND))
    tint = np.array(COLOURS[what.colour]) * draws.uniform(0.8, 1.0)
    clean = ground + inside[..., None] * (tint - ground)  # (S, S, 3)
    noisy = clean + draws.normal(0, SPREAD, clean.shape)
    pixels: Array = np.clip(np.rint(noisy), 0, 255).astype(np.uint8)
    return pixels


# How far a place is outside of a shape of radius 1, about; negative inside.


def _circle(x: Array, y: Array) -> Array:
    return np.hypot(x, y) - 1


def _ring(x: Array, y: Array) -> Array:
    return np.abs(np.hypot(x, y) - 0.75) - 0.25


def _square(x: Array, y: Array) -> Array:
    return np.maximum(np.abs(x), np.abs(y)) - 0.85


def _diamond(x: Array, y: Array) -> Array:
    found: Array = (np.abs(x) + np.abs(y) - 1) * 0.8
    return found


def _triangle(x: Array, y: Array) -> Array:
    return np.maximum(y - 0.7, np.abs(x) * 0.87 - 0.5 * (y + 0.9))


def _bar(x: Array, y: Array) -> Array:
    found: Array = np.maximum(np.abs(y) - 0.3, np.abs(x) - 1)
    return found


def _cross(x: Array, y: Array) -> Array:
    return np.minimum(_bar(x, y), _bar(y, x))


def _star(x: Array, y: Array) -> Array:
    found: Array = np.hypot(x, y) - (0.65 + 0.35 * np.cos(5 * np.arctan2(x, -y)))
    return found


OUTSIDE: dict[str, Callable[[Array, Array], Array]] = {
    "circle": _circle,
    "square": _square,
    "triangle": _triangle,
    "diamond": _diamond,
    "cross": _cross,
    "ring": _ring,
    "bar": _bar,
    "star": _star,
}
SHAPES = tuple(OUTSIDE)
