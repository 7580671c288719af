"""The U-Net: down to small and deep, up again, with what was seen on the way down beside it.

Source: O. Ronneberger, P. Fischer, T. Brox: U-Net, convolutional networks for biomedical image
segmentation (2015); padded and normalised as is usual today. Dimensions: B batch, C channels,
H W height and width. Next: `kedja/train`.
"""

from __future__ import annotations

import kedja as kj
from kedja import Tensor, nn


def double_conv(channels: int, planes: int) -> nn.Sequential:
    """Twice: convolution, normalisation, relu."""
    return nn.Sequential(
        nn.Conv2d(channels, planes, 3, padding=1, bias=False),
        nn.BatchNorm2d(planes),
        nn.ReLU(),
        nn.Conv2d(planes, planes, 3, padding=1, bias=False),
        nn.BatchNorm2d(planes),
        nn.ReLU(),
    )


class Up(nn.Module):
    """Twice the height and width, and what was there on the way down beside it."""

    up: nn.ConvTranspose2d
    conv: nn.Sequential

    def __init__(self, channels: int) -> None:
        self.up = nn.ConvTranspose2d(channels, channels // 2, 2, stride=2)
        self.conv = double_conv(channels, channels // 2)

    def __call__(self, x: Tensor, beside: Tensor) -> Tensor:
        """x (B, C, H, W), beside (B, C/2, 2H, 2W) → (B, C/2, 2H, 2W)."""
        return self.conv(kj.concat([beside, self.up(x)], axis=1))


class UNet(nn.Module):
    """Logits of the classes at every pixel; height and width are divisible by 2^depth.

    >>> net = UNet(channels=1, classes=3, width=4, depth=2)
    >>> net(kj.ones((2, 1, 16, 16))).shape
    (2, 3, 16, 16)
    """

    inc: nn.Sequential
    pool: nn.MaxPool2d
    downs: list[nn.Sequential]
    ups: list[Up]
    outc: nn.Conv2d

    def __init__(
        self, channels: int = 3, classes: int = 2, width: int = 64, depth: int = 4
    ) -> None:
        widths = [width * 2**level for level in range(depth + 1)]
        self.inc, self.pool = double_conv(channels, width), nn.MaxPool2d(2)
        self.downs = [double_conv(c, 2 * c) for c in widths[:-1]]
        self.ups = [Up(c) for c in reversed(widths[1:])]
        self.outc = nn.Conv2d(width, classes, 1)

    def __call__(self, x: Tensor) -> Tensor:
        """x (B, channels, H, W) → (B, classes, H, W)."""
        levels = [self.inc(x)]
        for down in self.downs:
            levels.append(down(self.pool(levels[-1])))
        x = levels.pop()
        for up in self.ups:
            x = up(x, levels.pop())
        return self.outc(x)
