"""A convolutional network for pictures, from LeNet to a small modern one.

Not here: ResNets (`resnet.py`), pictures as inputs (`pictures.py`). Next: `resnet.py`.
Dimensions: B pictures, C channels, H W height and width, D numbers of a code.
Source: Y. LeCun, L. Bottou, Y. Bengio, P. Haffner: Gradient-based learning applied to document
recognition (1998); batch norm: S. Ioffe, C. Szegedy (2015).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import kedja as kj
from kedja import Tensor, nn
from kedja.ground.errors import UsageError
from kedja.models import registry
from kedja.models.pictures import Maps, PictureConfig


@dataclass(frozen=True)
class CNNConfig(PictureConfig):
    """Sizes: stages of `widths` channels, in each `depth` convolutions, then a pooling by two.

    `norm` puts batch norm behind each convolution. With `average` the last maps are averaged over
    the picture, else taken as they are. `hidden` are the layers between them and the last one.
    """

    model_type: ClassVar[str] = "cnn"

    widths: tuple[int, ...] = (16, 32, 64)
    depth: int = 1
    kernel: int = 3
    norm: bool = False
    average: bool = False
    hidden: tuple[int, ...] = (64,)
    dropout: float = 0.25

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("widths", "hidden"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        side, most = min(self.shape[1:]), len(self.widths)
        if not self.widths or side >> most < 1:
            what = f"{most} stages for pictures of {self.shape[1]} × {self.shape[2]} pixels"
            raise UsageError(what, fix=f"each halves the picture: 1 to {side.bit_length() - 1}")
        if self.depth < 1 or self.kernel % 2 == 0:
            what = f"depth {self.depth}, kernel {self.kernel}"
            raise UsageError(what, fix="a depth from 1, an odd kernel")

    @property
    def flat(self) -> int:
        """How many numbers of a picture leave the convolutions."""
        _, height, width = self.shape
        stages = len(self.widths)
        places = 1 if self.average else (height >> stages) * (width >> stages)
        return self.widths[-1] * places


def lenet(shape: tuple[int, int, int], classes: tuple[str, ...]) -> CNNConfig:
    """LeNet-5's sizes: 5 × 5 convolutions of 6 and 16 channels, layers of 120 and 84."""
    return CNNConfig(shape, classes, widths=(6, 16), kernel=5, hidden=(120, 84), dropout=0.0)


class ConvLayer(nn.Module):
    """relu(norm(conv(x))), height and width kept."""

    conv: nn.Conv2d
    norm: nn.BatchNorm2d | None

    def __init__(self, channels: int, width: int, kernel: int, norm: bool) -> None:
        self.conv = nn.Conv2d(channels, width, kernel, padding=kernel // 2, bias=not norm)
        self.norm = nn.BatchNorm2d(width) if norm else None

    def __call__(self, x: Tensor) -> Tensor:
        """x (B, C, H, W) → (B, width, H, W)."""
        y = self.conv(x)
        return kj.relu(y if self.norm is None else self.norm(y))


class CNN(nn.Module):
    """Stages of convolutions and pooling, then linear layers: logits of the classes of pictures.

    >>> net = CNN(CNNConfig((1, 8, 8), ("cat", "dog", "owl"), widths=(4, 8), hidden=(5,)))
    >>> net(kj.ones((2, 1, 8, 8))).shape, net.codes(kj.ones((2, 1, 8, 8))).shape
    ((2, 3), (2, 5))
    >>> {name: each.shape for name, each in net.maps(kj.ones((2, 1, 8, 8))).items()}
    {'convs.0': (2, 4, 8, 8), 'convs.1': (2, 8, 4, 4)}
    """

    config: CNNConfig
    convs: list[ConvLayer]
    pool: nn.MaxPool2d
    hidden: list[nn.Linear]
    dropout: nn.Dropout
    output: nn.Linear

    def __init__(self, config: CNNConfig) -> None:
        self.config = config
        repeated = [width for width in config.widths for _ in range(config.depth)]
        pairs = pairwise([config.shape[0], *repeated])
        self.convs = [ConvLayer(a, b, config.kernel, config.norm) for a, b in pairs]
        self.pool = nn.MaxPool2d(2)
        sizes = [config.flat, *config.hidden]
        self.hidden = [nn.Linear(a, b) for a, b in pairwise(sizes)]
        self.dropout = nn.Dropout(config.dropout)
        self.output = nn.Linear(sizes[-1], len(config.classes))

    def __call__(self, x: Tensor) -> Tensor:
        """x (B, C, H, W), standardised → logits (B, classes)."""
        return self.output(self.dropout(self.codes(x)))

    def codes(self, x: Tensor) -> Tensor:
        """x (B, C, H, W) → what the last layer sees, (B, D)."""
        last = list(self.maps(x).values())[-1]
        y = self.pool(last)  # (B, widths[-1], H/2ⁿ, W/2ⁿ)
        y = kj.mean(y, axis=(2, 3)) if self.config.average else y.reshape(y.shape[0], -1)
        for layer in self.hidden:
            y = kj.relu(layer(self.dropout(y)))
        return y

    def maps(self, x: Tensor) -> Maps:
        """x (B, C, H, W) → each convolution's maps, before the pooling that may follow."""
        found: Maps = {}
        for place, conv in enumerate(self.convs):
            if place and place % self.config.depth == 0:
                x = self.pool(x)
            x = found[f"convs.{place}"] = conv(x)
        return found


registry.add("cnn", CNNConfig, CNN)
