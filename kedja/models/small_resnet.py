"""A ResNet for small pictures, of as many stages as are asked for.

Source: K. He et al.: Deep residual learning for image recognition (2015), section 4.2. Not here:
its blocks, and ResNets for large pictures (`resnet.py`). Next: `resnet.py`.
Dimensions: B batch, C channels, H W height and width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import kedja as kj
from kedja import Tensor, nn
from kedja.ground.errors import UsageError
from kedja.models import registry
from kedja.models.pictures import Maps, PictureConfig
from kedja.models.resnet import conv3x3, stage


@dataclass(frozen=True)
class ResNetConfig(PictureConfig):
    """Sizes of a ResNet for small pictures: stages of `widths` channels, each of `depth` blocks."""

    model_type: ClassVar[str] = "resnet"

    widths: tuple[int, ...] = (16, 32, 64)
    depth: int = 2
    dropout: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "widths", tuple(self.widths))
        if not self.widths or min(*self.widths, self.depth) < 1:
            what = f"widths {self.widths}, depth {self.depth}"
            raise UsageError(what, fix="at least one stage of at least one block")


class SmallResNet(nn.Module):
    """The ResNet of pictures of 32 × 32 (section 4.2 of the paper): no pooling before the stages.

    >>> net = SmallResNet(ResNetConfig((3, 16, 16), ("cat", "dog"), widths=(4, 8), depth=1))
    >>> net(kj.ones((2, 3, 16, 16))).shape
    (2, 2)
    >>> {name: each.shape for name, each in net.maps(kj.ones((2, 3, 16, 16))).items()}
    {'conv1': (2, 4, 16, 16), 'stages.0.0': (2, 4, 16, 16), 'stages.1.0': (2, 8, 8, 8)}
    """

    config: ResNetConfig
    conv1: nn.Conv2d
    bn1: nn.BatchNorm2d
    stages: list[nn.Sequential]
    dropout: nn.Dropout
    fc: nn.Linear

    def __init__(self, config: ResNetConfig) -> None:
        self.config = config
        widths = config.widths
        self.conv1, self.bn1 = conv3x3(config.shape[0], widths[0]), nn.BatchNorm2d(widths[0])
        before = (widths[0], *widths)
        self.stages = [
            stage(before[place], width, config.depth, 2 if place else 1)
            for place, width in enumerate(widths)
        ]
        self.dropout = nn.Dropout(config.dropout)
        self.fc = nn.Linear(widths[-1], len(config.classes))

    def __call__(self, x: Tensor) -> Tensor:
        """x (B, C, H, W), standardised → logits (B, classes)."""
        return self.fc(self.dropout(self.codes(x)))

    def codes(self, x: Tensor) -> Tensor:
        """x (B, C, H, W) → what the last layer sees, (B, widths[-1])."""
        last = list(self.maps(x).values())[-1]
        return kj.mean(last, axis=(2, 3))

    def maps(self, x: Tensor) -> Maps:
        """x (B, C, H, W) → what leaves the first convolution and each block."""
        x = kj.relu(self.bn1(self.conv1(x)))  # (B, widths[0], H, W)
        found: Maps = {"conv1": x}
        for number, blocks in enumerate(self.stages):
            for place, block in enumerate(blocks):
                x = found[f"stages.{number}.{place}"] = block(x)
        return found


registry.add("resnet", ResNetConfig, SmallResNet)
