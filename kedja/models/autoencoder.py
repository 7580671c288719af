"""An autoencoder: a picture through a few numbers and back, so that these must say what matters.

    code = encoder(x),  x̂ = σ(decoder(code)),  x from 0 to 1

Source: G. Hinton, R. Salakhutdinov: Reducing the dimensionality of data with neural networks
(2006). Not here: training (`kedja/train/autoencoding.py`), pictures as inputs (`pictures.py`).
Next: `clip.py`.
Dimensions: B pictures, C channels, H W height and width, D numbers of a code.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np

import kedja as kj
from kedja import Tensor, nn
from kedja.ground.errors import UsageError
from kedja.models import pictures, registry
from kedja.models.cnn import ConvLayer
from kedja.models.pictures import Maps, PictureConfig

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class AutoencoderConfig(PictureConfig):
    """Sizes: `widths` of the encoder's convolutions, the decoder's reversed; `width` D of a code.

    Each convolution halves the picture, so its sides are rounded up to what can be halved.
    """

    model_type: ClassVar[str] = "autoencoder"

    widths: tuple[int, ...] = (16, 32)
    width: int = 32

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "widths", tuple(self.widths))
        if not self.widths or min(self.shape[1:]) >> len(self.widths) < 1 or self.width < 1:
            what = f"{len(self.widths)} stages, a code of {self.width}"
            size = f"{self.shape[1]} × {self.shape[2]}"
            raise UsageError(what, fix=f"fewer stages for {size} pixels, a code from 1")

    @property
    def smallest(self) -> tuple[int, int]:
        """Height and width behind the last convolution."""
        height, width = (-(-side >> len(self.widths)) for side in self.shape[1:])  # rounded up
        return height, width


class Autoencoder(nn.Module):
    """Convolutions down to a code, and up again.

    >>> net = Autoencoder(AutoencoderConfig((1, 10, 8), (), widths=(4, 8), width=5))
    >>> x = kj.ones((2, 1, 10, 8))
    >>> net.codes(x).shape, net(x).shape
    ((2, 5), (2, 1, 10, 8))
    """

    config: AutoencoderConfig
    down: list[ConvLayer]
    pool: nn.AvgPool2d
    to_code: nn.Linear
    from_code: nn.Linear
    up: list[ConvLayer]
    grow: nn.Upsample
    output: nn.Conv2d

    def __init__(self, config: AutoencoderConfig) -> None:
        self.config = config
        channels, widths = config.shape[0], config.widths
        self.down = [ConvLayer(a, b, 3, norm=True) for a, b in pairwise([channels, *widths])]
        self.pool = nn.AvgPool2d(2)
        height, width = config.smallest
        flat = widths[-1] * height * width
        self.to_code = nn.Linear(flat, config.width)
        self.from_code = nn.Linear(config.width, flat)
        back = [*reversed(widths), widths[0]]
        self.up = [ConvLayer(a, b, 3, norm=True) for a, b in pairwise(back)]
        self.grow = nn.Upsample(scale_factor=2, mode="nearest")
        self.output = nn.Conv2d(widths[0], channels, 3, padding=1)

    def codes(self, x: Tensor) -> Tensor:
        """x (B, C, H, W), standardised → (B, D)."""
        last = list(self.maps(x).values())[-1]
        y = self.pool(last)  # (B, widths[-1], H/2ⁿ, W/2ⁿ)
        return self.to_code(y.reshape(y.shape[0], -1))

    def maps(self, x: Tensor) -> Maps:
        """x (B, C, H, W) → each convolution's maps on the way down, before the pooling."""
        x = kj.pad(x, _missing(self.config))
        found: Maps = {}
        for place, conv in enumerate(self.down):
            x = found[f"down.{place}"] = conv(self.pool(x) if place else x)
        return found

    def decode(self, code: Tensor) -> Tensor:
        """code (B, D) → the logits of a picture from 0 to 1, (B, C, H, W)."""
        height, width = self.config.smallest
        y = kj.relu(self.from_code(code)).reshape(-1, self.config.widths[-1], height, width)
        for conv in self.up:
            y = self.grow(conv(y))
        _, height, width = self.config.shape
        return self.output(y)[:, :, :height, :width]

    def __call__(self, x: Tensor) -> Tensor:
        """x (B, C, H, W), standardised → logits of the picture, (B, C, H, W)."""
        return self.decode(self.codes(x))


def _missing(config: AutoencoderConfig) -> list[tuple[int, int]]:
    """How many rows and columns are added, so that the sides can be halved."""
    whole = (side << len(config.widths) for side in config.smallest)
    more = (large - side for large, side in zip(whole, config.shape[1:], strict=True))
    return [(0, 0), (0, 0), *((0, each) for each in more)]


def encode_pictures(model: Autoencoder, given: Any) -> Array:
    """The codes of bytes (B, H, W) or (B, H, W, C): float32 (B, D)."""

    def of(model: Autoencoder, x: Tensor) -> Tensor:
        return model.codes(pictures.inputs(model.config, x))

    return pictures.in_batches(of, model, given, model.config.width)


def decode_pictures(model: Autoencoder, codes: Any) -> Array:
    """Pictures from 0 to 1 of codes (B, D): float32 (B, H, W) or (B, H, W, C)."""

    def of(model: Autoencoder, code: Tensor) -> Tensor:
        return kj.sigmoid(model.decode(kj.asarray(code)))

    found = pictures.in_batches(of, model, np.asarray(codes, np.float32), 1)
    shown: Array = found[:, 0] if model.config.shape[0] == 1 else np.moveaxis(found, 1, -1)
    return shown


registry.add(AutoencoderConfig.model_type, AutoencoderConfig, Autoencoder)
