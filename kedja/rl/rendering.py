"""Pictures of carts, and animations of any environment's pictures, by Pillow.

Not here: what moves (`physics.py`). Next: `environments/cart.py`.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from kedja.ground.errors import MissingExtra, StorageError, UsageError
from kedja.rl import physics
from kedja.rl.physics import Pole

Picture = np.ndarray[Any, np.dtype[np.uint8]]

WIDTH, HEIGHT = 600, 300  # pixels
GROUND = 230  # the height of the track, from above
SCALE = 110.0  # pixels for a metre
CART = (60, 26)
SKY, TRACK, BODY, PUSH = (250, 250, 247), (90, 90, 90), (52, 73, 94), (231, 126, 35)
POLES = ((192, 57, 43), (41, 128, 185))
THICK = (9, 6)
THINNEST = 0.3  # m; a shorter pole is drawn as if it were three times as long


def picture(state: Sequence[float], poles: Sequence[Pole], force: float = 0.0) -> Picture:
    """A cart seen from the side, (300, 600, 3) bytes; an arrow below shows the force.

    Raises MissingExtra without Pillow.
    """
    image = _pillow().new("RGB", (WIDTH, HEIGHT), SKY)
    draw = _pillow("ImageDraw").Draw(image)
    middle = WIDTH / 2 + SCALE * min(max(state[0], -2.6), 2.6)
    _track(draw)
    _push(draw, middle, force)
    left, top = middle - CART[0] / 2, GROUND - CART[1]
    draw.rounded_rectangle((left, top, left + CART[0], GROUND), radius=5, fill=BODY)
    for place, (pole, angle) in enumerate(zip(poles, state[2::2], strict=True)):
        _pole(draw, (middle, top), pole, angle, place)
    return np.asarray(image, dtype=np.uint8).copy()


def _track(draw: Any) -> None:
    draw.line((0, GROUND, WIDTH, GROUND), fill=TRACK, width=2)
    for side in (-1, 1):
        end = WIDTH / 2 + side * SCALE * physics.TRACK
        draw.line((end, GROUND - 12, end, GROUND + 12), fill=TRACK, width=3)


def _push(draw: Any, middle: float, force: float) -> None:
    """An arrow as long as the force is large."""
    tip = middle + 7 * force
    y, back = GROUND + 25, math.copysign(8, force)
    if abs(force) < 0.05:
        return
    draw.line((middle, y, tip, y), fill=PUSH, width=4)
    draw.polygon([(tip + back, y), (tip, y - 7), (tip, y + 7)], fill=PUSH)


def _pole(draw: Any, foot: tuple[float, float], pole: Pole, angle: float, place: int) -> None:
    length = 2 * pole.half_length
    pixels = SCALE * (length if length >= THINNEST else 3 * length)
    x, y = foot
    tip = (x + pixels * math.sin(angle), y - pixels * math.cos(angle))
    color, width = POLES[place % len(POLES)], THICK[place % len(THICK)]
    draw.line((*foot, *tip), fill=color, width=width)
    draw.ellipse((x - 4, y - 4, x + 4, y + 4), fill=TRACK)


def write_gif(file: str | os.PathLike[str], pictures: Sequence[Any], seconds: float = 0.04) -> None:
    """Pictures (height, width, 3) of bytes as an animation; `seconds` is the time of each.

    Raises UsageError where there are no pictures, StorageError where the file cannot be written,
    MissingExtra without Pillow.
    """
    if not len(pictures):
        raise UsageError("an animation without pictures", fix="play at least one step")
    frames = [_pillow().fromarray(np.asarray(each)) for each in pictures]
    time = max(20, round(1000 * seconds))
    _write(frames[0], file, "GIF", save_all=True, append_images=frames[1:], duration=time, loop=0)


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
