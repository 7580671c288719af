"""What networks for pictures have in common: bytes to inputs, classes by name, answers.

A network for pictures has a `config` that says the pictures' shape, how bytes are standardised
and what the classes are called; `codes(x)`, the numbers before the last layer; and `maps(x)`, the
feature maps of each layer by name. Not here: the networks (`cnn.py`, `resnet.py`), reading files
(`kedja/data/pictures.py`), training (`kedja/train/pictures.py`). Next: `cnn.py`.
Dimensions: B pictures, C channels, H W height and width, D numbers of a code.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

import kedja as kj
from kedja import Tensor
from kedja.ground.errors import ShapeError, UsageError

Array = np.ndarray[Any, np.dtype[Any]]
Maps = dict[str, Tensor]
BATCH = 256
COMPILED = 1024  # from so many pictures on, compiling costs less than it saves


@dataclass(frozen=True)
class PictureConfig:
    """`shape` of a picture (channels, height, width), the classes' names, and the bytes' moments.

    A network sees (byte/255 − mean)/std, channel by channel; none given means 0 and 1.
    """

    shape: tuple[int, int, int]
    classes: tuple[str, ...]
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        for name in ("shape", "classes", "mean", "std"):  # JSON has lists
            object.__setattr__(self, name, tuple(getattr(self, name)))
        channels, height, width = self.shape
        if channels not in (1, 3) or min(height, width) < 1:
            what = f"pictures of shape {self.shape}"
            raise UsageError(what, fix="1 or 3 channels, then height and width")
        for name, empty in (("mean", 0.0), ("std", 1.0)):
            given = getattr(self, name) or (empty,) * channels
            if len(given) != channels:
                what = f"{name} has {len(given)} numbers for {channels} channels"
                raise UsageError(what, fix="one for each channel")
            object.__setattr__(self, name, given)

    @property
    def stored(self) -> tuple[int, ...]:
        """The shape of one picture as bytes: (H, W), or (H, W, 3)."""
        channels, height, width = self.shape
        return (height, width) if channels == 1 else (height, width, channels)


class PictureNet(Protocol):
    """What `classify_pictures` and the views ask of a network."""

    config: Any

    def __call__(self, x: Tensor) -> Tensor:
        """x (B, C, H, W), standardised → logits (B, classes)."""

    def codes(self, x: Tensor) -> Tensor:
        """x (B, C, H, W) → what the last layer sees, (B, D)."""

    def maps(self, x: Tensor) -> Maps:
        """x (B, C, H, W) → each layer's feature maps by its name, (B, channels, height, width)."""


def inputs(config: PictureConfig, x: Any) -> Tensor:
    """Bytes (B, H, W) or (B, H, W, C) as a network's inputs: float32 (B, C, H, W), standardised.

    Floats are taken for bytes/255. Raises ShapeError for pictures of another shape.
    """
    x = kj.asarray(x)
    if tuple(x.shape) == config.stored:
        raise ShapeError("one picture, expected several", fix="give a row of them: picture[None]")
    if tuple(x.shape[1:]) != config.stored:
        what = f"pictures of shape {list(x.shape[1:])}, expected {list(config.stored)}"
        raise ShapeError(what, fix="resize them: kedja.io.photos.read(file, config.shape)")
    return standardised(config, unit(x))


def unit(x: Tensor) -> Tensor:
    """Bytes as float32 from 0 to 1; floats as they are."""
    return x if x.dtype == kj.float32 else x.astype(kj.float32) * (1 / 255)


def standardised(config: PictureConfig, x: Tensor) -> Tensor:
    """Floats (B, H, W) or (B, H, W, C) from 0 to 1 → (x − mean)/std, (B, C, H, W)."""
    if x.ndim == 3:
        x = kj.expand_dims(x, -1)  # (B, H, W, 1)
    mean, scale = (np.array(each, np.float32) for each in (config.mean, config.std))
    y = (x - mean) * (1 / scale)  # (B, H, W, C)
    return kj.permute_dims(y, (0, 3, 1, 2))


# -------------------------------------------------------------------------------- its use


class PictureLabel(NamedTuple):
    """A picture's class and the probability of every class."""

    label: str
    probabilities: dict[str, float]


def classify_pictures(model: PictureNet, pictures: Any) -> list[PictureLabel]:
    """Each picture's class, of bytes (B, H, W) or (B, H, W, C)."""
    classes = model.config.classes
    return [
        PictureLabel(
            classes[int(shares.argmax())], dict(zip(classes, map(float, shares), strict=True))
        )
        for shares in probabilities(model, pictures)
    ]


def probabilities(model: PictureNet, pictures: Any) -> Array:
    """The classes' probabilities of bytes (B, H, W) or (B, H, W, C): float64 (B, classes)."""
    found: Array = in_batches(answer, model, pictures, len(model.config.classes))
    return found.astype(np.float64)


def logits(model: PictureNet, pictures: Any) -> Array:
    """What the last layer says of bytes (B, H, W) or (B, H, W, C): float32 (B, classes)."""

    def of(model: Any, x: Any) -> Tensor:
        return model(inputs(model.config, x))

    return in_batches(of, model, pictures, len(model.config.classes))


def in_batches(function: Callable[[Any, Any], Tensor], model: Any, given: Any, width: int) -> Array:
    """`function(model, rows)`, (B, width) each, of many rows: batch by batch, compiled if many."""
    if not len(given):
        return np.zeros((0, width), np.float32)
    run = kj.jit(function) if len(given) >= COMPILED else function
    starts = range(0, len(given), BATCH)
    return np.concatenate([run(model, given[start : start + BATCH]).numpy() for start in starts])


def answer(model: Any, pictures: Any) -> Tensor:
    """The classes' probabilities of one batch of bytes: float64 (B, classes)."""
    return kj.softmax(model(inputs(model.config, pictures)).astype(kj.float64))
