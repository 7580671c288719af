"""Augmentation: each picture a little different in every epoch, drawn inside the compiled step.

Not here: reading pictures (`pictures.py`), the step (`kedja/train`). Next: `dataset.py`.
Dimensions: B pictures, H W height and width, C channels.

All that moves pixels (shifts, turns, zooms, shears, flips) is one map of places, so the picture is
resampled once; a shift or a flip alone moves whole pixels and blurs nothing. The random numbers
come from the key of `nn.training`: the same seed gives the same pictures, with any number of
threads, interrupted or not. Outside of training nothing is changed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import kedja.front.functions as kj
from kedja import nn
from kedja.data.changes import parsed, require_within, written
from kedja.front import random
from kedja.front.tensor import Tensor
from kedja.ground.dtypes import float32, int32

# The columns of the uniform numbers that each picture draws.
DOWN, RIGHT, ANGLE, ZOOM, SHEAR, FLIP, BRIGHT, CONTRAST, TOP, LEFT = range(10)


@dataclass(frozen=True)
class Augment:
    """By how much pictures are changed; each number is the largest change, 0 for none.

    - `shift`: down and right, in shares of height and width; what comes in is black (0).
    - `rotate`: degrees to either side. `zoom`: 0.1 is from 0.9 to 1.1 times. `shear`: by how much
      of its height a picture leans.
    - `flip`: left and right change places in half of the pictures.
    - `brightness`: added to values from 0 to 1. `contrast`: 0.2 is from 0.8 to 1.2 times as far
      from the middle grey.
    - `cutout`: the side of a square at a random place that is made grey, as a share of the
      picture's side (T. DeVries, G. Taylor: Improved regularization with cutout, 2017).
    """

    shift: float = 0.0
    rotate: float = 0.0
    zoom: float = 0.0
    shear: float = 0.0
    flip: bool = False
    brightness: float = 0.0
    contrast: float = 0.0
    cutout: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "flip", bool(self.flip))
        shares = dict.fromkeys(("shift", "shear", "brightness", "contrast", "cutout"), 1.0)
        require_within(self, {**shares, "rotate": 180, "zoom": 0.9})

    def __str__(self) -> str:
        return written(self)

    @property
    def changes(self) -> bool:
        """Whether anything is changed at all."""
        return self != Augment()

    def __call__(self, x: Tensor) -> Tensor:
        """x (B, H, W) or (B, H, W, C), from 0 to 1 → the same shape; in training alone changed.

        Raises UsageError where `nn.training` has no key.
        """
        if not self.changes or not nn.is_training():
            return x
        u = random.uniform(nn.next_key(), (10, x.shape[0]))  # a row for each change
        signed = [2 * u[place] - 1 for place in range(10)]  # (B,), from −1 to 1
        return self._cut(self._lit(self._moved(x, signed), signed), u)

    # ------------------------------------------------------------------------------ places

    def _moved(self, x: Tensor, signed: list[Tensor]) -> Tensor:
        if self.rotate or self.zoom or self.shear:
            return self._resampled(x, signed)
        if self.shift or self.flip:
            return self._stepped(x, signed)
        return x

    def _stepped(self, x: Tensor, signed: list[Tensor]) -> Tensor:
        """Whole pixels."""
        height, width = x.shape[1:3]
        down = kj.round(signed[DOWN] * (self.shift * height)).astype(int32)
        right = kj.round(signed[RIGHT] * (self.shift * width)).astype(int32)
        rows = _axis(height, 1).astype(int32) + _per_picture(down)  # (B, H, 1)
        columns = _axis(width, 2).astype(int32) + _per_picture(right)  # (B, 1, W)
        if self.flip:
            turned = _per_picture(signed[FLIP] > 0)
            columns = kj.where(turned, width - 1 - columns, columns)
        return _picked(x, rows, columns)

    def _resampled(self, x: Tensor, signed: list[Tensor]) -> Tensor:
        """Between pixels: each is the mean of the four around its place, by how near they are."""
        rows, columns = self._places(x.shape[1], x.shape[2], signed)  # (B, H, W)
        top, left = kj.floor(rows), kj.floor(columns)
        low, right = rows - top, columns - left  # shares of the row below, the column behind
        above, before = top.astype(int32), left.astype(int32)
        if x.ndim == 4:
            low, right = kj.expand_dims(low, -1), kj.expand_dims(right, -1)
        upper = _between(_picked(x, above, before), _picked(x, above, before + 1), right)
        lower = _between(_picked(x, above + 1, before), _picked(x, above + 1, before + 1), right)
        return _between(upper, lower, low)

    def _places(self, height: int, width: int, signed: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Where each pixel comes from: rows and columns, (B, H, W) each."""
        angle = signed[ANGLE] * (self.rotate * math.pi / 180)
        scale = 1 / (1 + signed[ZOOM] * self.zoom)
        cos, sin = kj.cos(angle) * scale, kj.sin(angle) * scale
        lean = signed[SHEAR] * self.shear
        side = kj.where(signed[FLIP] > 0, -1.0, 1.0) if self.flip else 1.0
        y = _axis(height, 1) - (height - 1) / 2  # from the middle, (1, H, 1)
        z = _axis(width, 2) - (width - 1) / 2  # (1, 1, W)
        down = signed[DOWN] * (self.shift * height) + (height - 1) / 2
        right = signed[RIGHT] * (self.shift * width) + (width - 1) / 2
        rows = _per_picture(cos) * y + _per_picture(sin) * z + _per_picture(down)
        turned = _per_picture((cos * lean - sin) * side) * y + _per_picture(cos * side) * z
        return rows, turned + _per_picture(right)

    # ------------------------------------------------------------------------------ values

    def _lit(self, x: Tensor, signed: list[Tensor]) -> Tensor:
        if not self.brightness and not self.contrast:
            return x
        more = _like(x, signed[BRIGHT] * self.brightness)
        times = _like(x, 1 + signed[CONTRAST] * self.contrast)
        return kj.clip((x - 0.5) * times + (more + 0.5), 0.0, 1.0)

    def _cut(self, x: Tensor, u: Tensor) -> Tensor:
        """A square of middle grey, which may lie half outside of the picture."""
        if not self.cutout:
            return x
        half = max(x.shape[1:3]) * self.cutout / 2
        near_row = abs(_axis(x.shape[1], 1) - _per_picture(u[TOP] * x.shape[1])) <= half
        near_column = abs(_axis(x.shape[2], 2) - _per_picture(u[LEFT] * x.shape[2])) <= half
        inside = near_row & near_column  # (B, H, W)
        return kj.where(kj.expand_dims(inside, -1) if x.ndim == 4 else inside, 0.5, x)


def parse(text: str) -> Augment:
    """What `str` of an `Augment` gives, back: `shift=0.1,rotate=10,flip`, or `none`.

    Raises UsageError for anything else.

    >>> parse("shift=0.1, flip")
    Augment(shift=0.1, rotate=0.0, zoom=0.0, shear=0.0, flip=True, brightness=0.0, contrast=0.0, \
cutout=0.0)
    >>> str(parse("shift=0.1, flip"))
    'shift=0.1,flip'
    """
    return parsed(text, Augment)


def _axis(size: int, axis: int) -> Tensor:
    """0, 1, … along one axis of three, float32."""
    shape = [1, 1, 1]
    shape[axis] = size
    return kj.arange(size).astype(float32).reshape(*shape)


def _per_picture(values: Tensor) -> Tensor:
    """(B,) → (B, 1, 1)."""
    return values.reshape(-1, 1, 1)


def _like(x: Tensor, values: Tensor) -> Tensor:
    """(B,) → (B, 1, 1) or (B, 1, 1, 1), as x has axes."""
    return values.reshape(-1, *([1] * (x.ndim - 1)))


def _between(one: Tensor, other: Tensor, share: Tensor) -> Tensor:
    return one + (other - one) * share


def _picked(x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """The pixels at these places, int32 and broadcast to (B, H, W); 0 outside of the picture."""
    count, height, width = x.shape[:3]
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    place = kj.clip(rows, 0, height - 1) * width + kj.clip(columns, 0, width - 1)
    first = kj.arange(count).astype(int32).reshape(-1, 1, 1) * (height * width)
    flat = x.reshape(count * height * width, *x.shape[3:])
    found = kj.take(flat, place + first, axis=0)  # (B, H, W) or (B, H, W, C)
    return kj.where(kj.expand_dims(inside, -1) if x.ndim == 4 else inside, found, 0)
