"""The cases' networks in PyTorch, written as its users write them.

Not here: their steps. Next: `train.py`. Dimensions: B batch, C channels, H W height and width,
T positions, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.cases import Array

Options = Mapping[str, Any]
ACTIVATIONS = {"relu": nn.ReLU, "sigmoid": nn.Sigmoid}
TRANSPOSED = ("c_attn.weight", "c_proj.weight", "c_fc.weight")  # (in, out) in GPT-2's files


def network(options: Options, arrays: Mapping[str, Array]) -> Any:
    """The case's network with the case's weights."""
    model = FAMILIES[options["family"]](options)
    names = [name for name in arrays if name.startswith("model.")]
    state = {name.removeprefix("model."): torch.from_numpy(arrays[name].copy()) for name in names}
    for name in state:
        if name.endswith(TRANSPOSED):
            state[name] = state[name].T.contiguous()
    model.load_state_dict(state)
    return model


def mlp(options: Options) -> nn.Module:
    """Linear layers with activations between them."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(options["sizes"]):
        layers += [nn.Linear(inputs, outputs), ACTIVATIONS[options["activation"]]()]
    return nn.Sequential(*layers[:-1])


def cnn(options: Options) -> nn.Module:
    """Twice convolution, relu and pooling, then a linear layer."""
    a, b, c = options["channels"]
    return nn.Sequential(
        nn.Conv2d(a, b, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(b, c, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(c * (options["side"] // 4) ** 2, options["classes"]),
    )


# ---------------------------------------------------------------------------------- residual


class BasicBlock(nn.Module):
    """relu(x + norm(conv(relu(norm(conv(x)))))), where x is brought to the new shape."""

    def __init__(self, channels: int, planes: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, planes, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.downsample: nn.Module | None = None
        if stride != 1 or channels != planes:
            self.downsample = nn.Sequential(
                nn.Conv2d(channels, planes, 1, stride, bias=False), nn.BatchNorm2d(planes)
            )

    def forward(self, x: Tensor) -> Tensor:
        """x (B, C, H, W) → (B, planes, H/stride, W/stride)."""
        y = functional.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return functional.relu(y + (x if self.downsample is None else self.downsample(x)))


class SmallResNet(nn.Module):
    """The ResNet of pictures of 32 × 32: three stages, no pooling before them."""

    def __init__(self, options: Options) -> None:
        super().__init__()
        widths, blocks = options["widths"], options["blocks"]
        self.conv1 = nn.Conv2d(3, widths[0], 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        channels = widths[0]
        for level, planes in enumerate(widths):
            layers = [BasicBlock(channels, planes, 2 if level else 1)]
            layers += [BasicBlock(planes, planes, 1) for _ in range(blocks - 1)]
            setattr(self, f"layer{level + 1}", nn.Sequential(*layers))
            channels = planes
        self.fc = nn.Linear(channels, options["classes"])

    def forward(self, x: Tensor) -> Any:
        """x (B, 3, H, W) → (B, classes)."""
        x = functional.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))  # type: ignore[operator]
        return self.fc(x.mean((2, 3)))


class Residual(nn.Module):
    """Many layers x + relu(W x + b), then a linear one."""

    def __init__(self, options: Options) -> None:
        super().__init__()
        width = options["width"]
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(options["depth"]))
        self.head = nn.Linear(width, options["classes"])

    def forward(self, x: Tensor) -> Any:
        """x (B, C) → (B, classes)."""
        for layer in self.layers:
            x = x + functional.relu(layer(x))
        return self.head(x)


# --------------------------------------------------------------------------------- sequences


class Characters(nn.Module):
    """Embedding, LSTM, logits of the next token."""

    def __init__(self, options: Options) -> None:
        super().__init__()
        vocabulary, width = options["vocabulary"], options["width"]
        self.encoder = nn.Embedding(vocabulary, width)
        self.rnn = nn.LSTM(width, width, batch_first=True)
        self.decoder = nn.Linear(width, vocabulary)

    def forward(self, tokens: Tensor) -> Any:
        """tokens (B, T) → (B, T, V)."""
        return self.decoder(self.rnn(self.encoder(tokens))[0])


class Attention(nn.Module):
    """Masked self-attention in several heads."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.c_attn = nn.Linear(width, 3 * width)
        self.c_proj = nn.Linear(width, width)
        self.heads = heads

    def forward(self, x: Tensor) -> Any:
        """x (B, T, C) → (B, T, C)."""
        b, t, c = x.shape
        q, k, v = self.c_attn(x).split(c, dim=2)
        q, k, v = (y.view(b, t, self.heads, c // self.heads).transpose(1, 2) for y in (q, k, v))
        y = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.c_proj(y.transpose(1, 2).contiguous().view(b, t, c))


class MLP(nn.Module):
    """Two layers, four times as wide in between."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.c_fc = nn.Linear(width, 4 * width)
        self.c_proj = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Any:
        """x (B, T, C) → (B, T, C)."""
        return self.c_proj(functional.gelu(self.c_fc(x), approximate="tanh"))


class Block(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x))."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn, self.mlp = Attention(width, heads), MLP(width)

    def forward(self, x: Tensor) -> Any:
        """x (B, T, C) → (B, T, C)."""
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class GPT2(nn.Module):
    """Logits of the next token; the embedding's weight is the head's too."""

    def __init__(self, options: Options) -> None:
        super().__init__()
        width = options["width"]
        self.wte = nn.Embedding(options["vocabulary"], width)
        self.wpe = nn.Embedding(options["context"], width)
        self.h = nn.ModuleList(Block(width, options["heads"]) for _ in range(options["layers"]))
        self.ln_f = nn.LayerNorm(width)

    def forward(self, tokens: Tensor) -> Any:
        """tokens (B, T) → (B, T, V)."""
        x = self.wte(tokens) + self.wpe(torch.arange(tokens.shape[1]))
        for block in self.h:
            x = block(x)
        return functional.linear(self.ln_f(x), self.wte.weight)


FAMILIES: dict[str, Callable[[Options], nn.Module]] = {
    "mlp": mlp,
    "cnn": cnn,
    "resnet": SmallResNet,
    "residual": Residual,
    "lstm": Characters,
    "gpt": GPT2,
}
