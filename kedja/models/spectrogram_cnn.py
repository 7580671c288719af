"""A classifier of sounds: a small convolutional network that looks at log-mel spectrograms.

Source: K. Simonyan, A. Zisserman: Very deep convolutional networks for large-scale image
recognition (2014), for 3 × 3 convolutions between poolings. Not here: sound as pictures
(`kedja/data/spectrogram.py`), training (`kedja/train/sounds.py`), the layers (`cnn.py`).
Next: `cnn.py`.
Dimensions: B recordings, F frames, M bands, K channels, C classes.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

import kedja as kj
from kedja import Tensor, nn
from kedja.data import sound
from kedja.data.spectrogram import LogMel
from kedja.ground.errors import UsageError
from kedja.models import registry
from kedja.models.cnn import ConvLayer

Array = np.ndarray[Any, np.dtype[Any]]

SMALLEST = 2  # frames or bands that pooling leaves
BATCH = 256


@dataclass(frozen=True)
class SpectrogramCNNConfig:
    """The classes' names, the shape of the pictures (see `LogMel`), and the network's sizes."""

    model_type: ClassVar[str] = "spectrogram-cnn"

    classes: tuple[str, ...]
    rate: int
    window: int
    hop: int
    bands: int
    frames: int
    channels: tuple[int, ...] = (16, 32, 64, 64)
    dropout: float = 0.3

    def __post_init__(self) -> None:
        for name in ("classes", "channels"):  # JSON has lists
            object.__setattr__(self, name, tuple(getattr(self, name)))
        halved = min(self.frames, self.bands) >> len(self.channels)
        if halved < 1:
            what = f"{len(self.channels)} halvings of {self.frames} frames × {self.bands} bands"
            raise UsageError(what, fix="fewer layers, longer recordings or more bands")

    @property
    def shape(self) -> LogMel:
        """What makes the pictures that the network knows."""
        return LogMel(self.rate, self.window, self.hop, self.bands, self.frames)


def config_for(
    shape: LogMel, classes: Sequence[str], width: int = 16, dropout: float = 0.3
) -> SpectrogramCNNConfig:
    """A configuration for pictures of some shape: up to four layers, the first of `width`."""
    channels, side = [], min(shape.frames, shape.bands)
    for factor in (1, 2, 4, 4):
        if side // 2 >= SMALLEST:
            channels.append(factor * width)
            side //= 2
    parts = (shape.rate, shape.window, shape.hop, shape.bands, shape.frames)
    return SpectrogramCNNConfig(tuple(classes), *parts, tuple(channels), dropout)


class SpectrogramCNN(nn.Module):
    """Per layer pool(relu(norm(conv(x)))), then dropout and one linear map to the classes.

    >>> shape = LogMel(rate=8000, window=256, hop=128, bands=8, frames=12)
    >>> tiny = SpectrogramCNN(config_for(shape, ("no", "yes"), width=2))
    >>> tiny(kj.ones((3, 12, 8))).shape
    (3, 2)
    """

    config: SpectrogramCNNConfig
    layers: nn.Sequential
    dropout: nn.Dropout
    output: nn.Linear

    def __init__(self, config: SpectrogramCNNConfig) -> None:
        self.config = config
        before = (1, *config.channels)
        self.layers = nn.Sequential(*map(layer, before, config.channels))
        self.dropout = nn.Dropout(config.dropout)
        halvings, last = len(config.channels), before[-1]
        features = last * (config.frames >> halvings) * (config.bands >> halvings)
        self.output = nn.Linear(features, len(config.classes))

    def __call__(self, x: Tensor) -> Tensor:
        """x (B, F, M) → logits (B, C)."""
        x = self.layers(kj.expand_dims(x, 1))  # (B, K, F/2ⁿ, M/2ⁿ) of n layers
        return self.output(self.dropout(x.reshape(x.shape[0], -1)))


def layer(channels: int, planes: int) -> nn.Sequential:
    """A 3 × 3 convolution, normalised, that ends in half the frames and half the bands."""
    return nn.Sequential(ConvLayer(channels, planes, 3, norm=True), nn.MaxPool2d(2))


# ------------------------------------------------------------------------------------ its use


class Heard(NamedTuple):
    """What a recording is taken for, and the probability of every class."""

    label: str
    probabilities: dict[str, float]


def hear(model: SpectrogramCNN, files: Sequence[str | os.PathLike[str]]) -> list[Heard]:
    """The class of each file of sound, brought to the model's rate and length.

    Raises DataError as `kedja.data.sound.read` does.
    """
    pictures = [picture_of(model.config.shape, each) for each in files]
    return heard(model, np.stack(pictures)) if pictures else []


def picture_of(shape: LogMel, file: str | os.PathLike[str]) -> Array:
    """The spectrogram of a file of sound, (F, M); raises DataError as `hear` does."""
    seconds = min(sound.LONGEST, shape.samples / shape.rate + 1)
    return shape(sound.read(file, shape.rate, seconds)[0])


def heard(model: SpectrogramCNN, pictures: Array) -> list[Heard]:
    """The class of each picture (N, F, M)."""
    shares = [
        kj.softmax(model(kj.tensor(pictures[start : start + BATCH])).astype(kj.float64)).numpy()
        for start in range(0, len(pictures), BATCH)
    ]
    names = model.config.classes
    return [
        Heard(names[int(row.argmax())], dict(zip(names, map(float, row), strict=True)))
        for part in shares
        for row in part
    ]


registry.add("spectrogram-cnn", SpectrogramCNNConfig, SpectrogramCNN)
