"""ResNets of basic blocks, with torchvision's names: ResNet-18, ResNet-34.

Source: K. He et al.: Deep residual learning for image recognition (2015). Dimensions: B batch,
C channels, H W height and width. Not here: those of small pictures (`small_resnet.py`).
Next: `unet.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

import kedja as kj
from kedja import Tensor, nn


def conv3x3(channels: int, planes: int, stride: int = 1) -> nn.Conv2d:
    """A 3 × 3 convolution that keeps height and width (or divides them by the stride)."""
    return nn.Conv2d(channels, planes, 3, stride=stride, padding=1, bias=False)


class BasicBlock(nn.Module):
    """relu(x + norm(conv(relu(norm(conv(x)))))), where x is brought to the new shape."""

    conv1: nn.Conv2d
    bn1: nn.BatchNorm2d
    conv2: nn.Conv2d
    bn2: nn.BatchNorm2d
    downsample: nn.Sequential | None

    def __init__(self, channels: int, planes: int, stride: int = 1) -> None:
        self.conv1, self.bn1 = conv3x3(channels, planes, stride), nn.BatchNorm2d(planes)
        self.conv2, self.bn2 = conv3x3(planes, planes), nn.BatchNorm2d(planes)
        same = stride == 1 and channels == planes
        shortcut = nn.Conv2d(channels, planes, 1, stride=stride, bias=False)
        self.downsample = None if same else nn.Sequential(shortcut, nn.BatchNorm2d(planes))

    def __call__(self, x: Tensor) -> Tensor:
        """x (B, C, H, W) → (B, planes, H/stride, W/stride)."""
        y = kj.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return kj.relu(y + (x if self.downsample is None else self.downsample(x)))


def stage(channels: int, planes: int, blocks: int, stride: int) -> nn.Sequential:
    """Blocks of one width, the first of which changes the shape."""
    first = BasicBlock(channels, planes, stride)
    return nn.Sequential(first, *(BasicBlock(planes, planes) for _ in range(blocks - 1)))


class ResNet(nn.Module):
    """Logits of the classes of pictures.

    >>> net = ResNet([1, 1, 1, 1], classes=5, width=4)
    >>> net(kj.ones((2, 3, 32, 32))).shape
    (2, 5)
    """

    conv1: nn.Conv2d
    bn1: nn.BatchNorm2d
    maxpool: nn.MaxPool2d
    layer1: nn.Sequential
    layer2: nn.Sequential
    layer3: nn.Sequential
    layer4: nn.Sequential
    fc: nn.Linear

    def __init__(self, blocks: Sequence[int], classes: int = 1000, width: int = 64) -> None:
        self.conv1 = nn.Conv2d(3, width, 7, stride=2, padding=3, bias=False)
        self.bn1, self.maxpool = nn.BatchNorm2d(width), nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = stage(width, width, blocks[0], 1)
        self.layer2 = stage(width, 2 * width, blocks[1], 2)
        self.layer3 = stage(2 * width, 4 * width, blocks[2], 2)
        self.layer4 = stage(4 * width, 8 * width, blocks[3], 2)
        self.fc = nn.Linear(8 * width, classes)

    def __call__(self, x: Tensor) -> Tensor:
        """x (B, 3, H, W) → (B, classes)."""
        x = self.maxpool(kj.relu(self.bn1(self.conv1(x))))  # (B, 64, H/4, W/4)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))  # (B, 512, H/32, W/32)
        return self.fc(kj.mean(x, axis=(2, 3)))


def resnet18(classes: int = 1000) -> ResNet:
    """Two blocks in each of four stages: 11.7 million parameters for 1,000 classes."""
    return ResNet([2, 2, 2, 2], classes)


def resnet34(classes: int = 1000) -> ResNet:
    """3, 4, 6 and 3 blocks: 21.8 million parameters for 1,000 classes."""
    return ResNet([3, 4, 6, 3], classes)
