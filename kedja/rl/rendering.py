"""Pictures of carts, and animations of any environment's pictures, by Pillow.

Not here: what moves (`physics.py`). Next: `environments/cart.py`.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kedja.ground.errors import MissingExtra, StorageError, UsageError
from kedja.rl import physics
from kedja.rl.physics import Pole

Picture = np.ndarray[Any, np.dtype[np.uint8]]

WIDTH, HEIGHT = 600, 300  # pixels
FINER = 2  # drawn so many times larger, then made smaller: smooth edges
GROUND = 236  # the height of the track, from above
SCALE = 110.0  # pixels for a metre
CART = (72, 26)
WHEEL = 6  # its radius
APART = 26  # between the hinges of two poles, so that neither hides the other
SKY, TRACK, BODY, PUSH = (250, 250, 247), (90, 90, 90), (52, 73, 94), (231, 126, 35)
POLES = ((192, 57, 43), (41, 128, 185))
THICK = (8, 6)
LOOKED_AT = 8  # pictures, for the colours of an animation
THINNEST = 0.3  # m; a shorter pole is drawn as if it were three times as long


def picture(state: Sequence[float], poles: Sequence[Pole], force: float = 0.0) -> Picture:
    """A cart seen from the side, (300, 600, 3) bytes; an arrow below shows the force.

    The hinges stand side by side, though the equations have them in one place. Raises MissingExtra
    without Pillow.
    """
    image = _pillow().new("RGB", (WIDTH * FINER, HEIGHT * FINER), SKY)
    draw = _Pen(_pillow("ImageDraw").Draw(image))
    middle = WIDTH / 2 + SCALE * min(max(state[0], -2.6), 2.6)
    _track(draw)
    _push(draw, middle, force)
    top = GROUND - 2 * WHEEL - CART[1]
    _cart(draw, middle, top)
    first = middle - APART * (len(poles) - 1) / 2
    for place, (pole, angle) in enumerate(zip(poles, state[2::2], strict=True)):
        _pole(draw, (first + APART * place, top), pole, angle, place)
    return np.asarray(image.reduce(FINER), dtype=np.uint8).copy()


class _Pen:
    """Draws in pixels of the picture on one that is FINER times larger."""

    def __init__(self, draw: Any) -> None:
        self._draw = draw

    def line(self, *points: tuple[float, float], fill: Any, width: float) -> None:
        self._draw.line([_finer(each) for each in points], fill=fill, width=round(FINER * width))

    def disc(self, centre: tuple[float, float], radius: float, fill: Any) -> None:
        (x, y), r = _finer(centre), FINER * radius
        self._draw.ellipse((x - r, y - r, x + r, y + r), fill=fill)

    def box(self, corner: tuple[float, float], size: tuple[float, float], fill: Any) -> None:
        (x, y), (width, height) = _finer(corner), _finer(size)
        self._draw.rounded_rectangle((x, y, x + width, y + height), radius=5 * FINER, fill=fill)

    def polygon(self, *points: tuple[float, float], fill: Any) -> None:
        self._draw.polygon([_finer(each) for each in points], fill=fill)


def _finer(point: tuple[float, float]) -> tuple[float, float]:
    return FINER * point[0], FINER * point[1]


def _track(draw: _Pen) -> None:
    draw.line((0, GROUND), (WIDTH, GROUND), fill=TRACK, width=2)
    for side in (-1, 1):
        end = WIDTH / 2 + side * SCALE * physics.TRACK
        draw.line((end, GROUND - 12), (end, GROUND + 12), fill=TRACK, width=3)


def _push(draw: _Pen, middle: float, force: float) -> None:
    """An arrow as long as the force is large."""
    tip = middle + 7 * force
    y, back = GROUND + 25, math.copysign(8, force)
    if abs(force) < 0.05:
        return
    draw.line((middle, y), (tip, y), fill=PUSH, width=4)
    draw.polygon((tip + back, y), (tip, y - 7), (tip, y + 7), fill=PUSH)


def _cart(draw: _Pen, middle: float, top: float) -> None:
    draw.box((middle - CART[0] / 2, top), CART, fill=BODY)
    for side in (-1, 1):
        draw.disc((middle + side * CART[0] / 3, GROUND - WHEEL), WHEEL, fill=TRACK)


def _pole(draw: _Pen, foot: tuple[float, float], pole: Pole, angle: float, place: int) -> None:
    length = 2 * pole.half_length
    pixels = SCALE * (length if length >= THINNEST else 3 * length)
    x, y = foot
    tip = (x + pixels * math.sin(angle), y - pixels * math.cos(angle))
    color, width = POLES[place % len(POLES)], THICK[place % len(THICK)]
    draw.line(foot, tip, fill=color, width=width)
    draw.disc(tip, width / 2, fill=color)
    draw.disc(foot, 5, fill=TRACK)


def write_gif(file: str | os.PathLike[str], pictures: Sequence[Any], seconds: float = 0.04) -> None:
    """Pictures (height, width, 3) of bytes as an animation; `seconds` is the time of each.

    Raises UsageError where there are no pictures or the file has another ending than .gif,
    StorageError where it cannot be written, MissingExtra without Pillow.
    """
    require_gif(file)
    if not len(pictures):
        raise UsageError("an animation without pictures", fix="play at least one step")
    frames = _same_colors([_pillow().fromarray(np.asarray(each)) for each in pictures])
    time = max(20, round(1000 * seconds))
    _write(frames[0], file, "GIF", save_all=True, append_images=frames[1:], duration=time, loop=0)


def _same_colors(images: Sequence[Any]) -> list[Any]:
    """Images with one table of 256 colours, taken from some of them: quick, and none flickers."""
    some = [np.asarray(each) for each in images[:: 1 + len(images) // LOOKED_AT]]
    table = _pillow().fromarray(np.concatenate(some)).quantize(256)
    return [each.quantize(palette=table, dither=0) for each in images]


def require_gif(file: Any) -> None:
    """Raise UsageError where a file's name does not end in .gif, or its folder is not there."""
    if not isinstance(file, str | os.PathLike):
        return
    path = Path(file)
    if path.suffix.lower() != ".gif":
        raise UsageError(f"{path} is not the name of a GIF", fix=f"{path.with_suffix('.gif')}")
    if not path.parent.is_dir():
        raise UsageError(f"there is no folder {path.parent}", fix="make it, or name another file")


def write_png(file: str | os.PathLike[str], picture: Any) -> None:
    """A picture (height, width, 3) of bytes as a file; raises as `write_gif` does."""
    _write(_pillow().fromarray(np.asarray(picture)).quantize(64), file, "PNG")


def _write(image: Any, file: Any, format: str, **options: Any) -> None:
    try:
        image.save(file, format=format, **options)
    except OSError as problem:
        reason = problem.strerror or str(problem)
        raise StorageError(f"cannot write {file}: {reason}", fix="choose another file") from None


def strip(pictures: Sequence[Any], columns: int = 4) -> Picture:
    """Pictures of one size side by side, row after row."""
    rows = [list(pictures[at : at + columns]) for at in range(0, len(pictures), columns)]
    blank = np.full_like(np.asarray(pictures[0]), 255)
    filled = [np.concatenate([*row, *[blank] * (columns - len(row))], axis=1) for row in rows]
    return np.concatenate(filled, axis=0)


def _pillow(module: str = "Image") -> Any:
    try:
        from PIL import Image, ImageDraw
    except ImportError:
        raise MissingExtra("Pillow", "vision", "drawing") from None
    return {"Image": Image, "ImageDraw": ImageDraw}[module]
