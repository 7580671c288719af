"""The cases' networks in kedja. Not here: their steps. Next: `train.py`.

Dimensions: B batch, C channels, H W height and width, T positions, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import kedja as kj
from benchmarks.cases import Array
from kedja import nn
from kedja.models.gpt2 import GPT2, GPT2Config
from kedja.models.resnet import conv3x3, stage

Options = Mapping[str, Any]


def network(options: Options, arrays: Mapping[str, Array]) -> Any:
    """The case's network with the case's weights."""
    model = FAMILIES[options["family"]](options)
    names = [name for name in arrays if name.startswith("model.")]
    return model.load_state_dict({name.removeprefix("model."): arrays[name] for name in names})


def mlp(options: Options) -> nn.Module:
    """Linear layers with activations between them."""
    return nn.mlp(options["sizes"], options["activation"], init="default")


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


class SmallResNet(nn.Module):
    """The ResNet of pictures of 32 × 32: three stages, no pooling before them."""

    conv1: nn.Conv2d
    bn1: nn.BatchNorm2d
    layer1: nn.Sequential
    layer2: nn.Sequential
    layer3: nn.Sequential
    fc: nn.Linear

    def __init__(self, options: Options) -> None:
        (a, b, c), blocks = options["widths"], options["blocks"]
        self.conv1, self.bn1 = conv3x3(3, a), nn.BatchNorm2d(a)
        self.layer1 = stage(a, a, blocks, 1)
        self.layer2 = stage(a, b, blocks, 2)
        self.layer3 = stage(b, c, blocks, 2)
        self.fc = nn.Linear(c, options["classes"])

    def __call__(self, x: kj.Tensor) -> kj.Tensor:
        """x (B, 3, H, W) → (B, classes)."""
        x = kj.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))  # (B, C, H/4, W/4)
        return self.fc(kj.mean(x, axis=(2, 3)))


class Residual(nn.Module):
    """Many layers x + relu(W x + b), then a linear one."""

    layers: list[nn.Linear]
    head: nn.Linear

    def __init__(self, options: Options) -> None:
        width = options["width"]
        self.layers = [nn.Linear(width, width) for _ in range(options["depth"])]
        self.head = nn.Linear(width, options["classes"])

    def __call__(self, x: kj.Tensor) -> kj.Tensor:
        """x (B, C) → (B, classes)."""
        for layer in self.layers:
            x = x + kj.relu(layer(x))
        return self.head(x)


class Characters(nn.Module):
    """Embedding, LSTM, logits of the next token."""

    encoder: nn.Embedding
    rnn: nn.LSTM
    decoder: nn.Linear

    def __init__(self, options: Options) -> None:
        vocabulary, width = options["vocabulary"], options["width"]
        self.encoder = nn.Embedding(vocabulary, width)
        self.rnn = nn.LSTM(width, width, batch_first=True)
        self.decoder = nn.Linear(width, vocabulary)

    def __call__(self, tokens: kj.Tensor) -> kj.Tensor:
        """tokens (B, T) → (B, T, V)."""
        return self.decoder(self.rnn(self.encoder(tokens))[0])


def gpt(options: Options) -> nn.Module:
    """GPT-2 without dropout."""
    config = GPT2Config(
        vocab_size=options["vocabulary"],
        n_positions=options["context"],
        n_embd=options["width"],
        n_layer=options["layers"],
        n_head=options["heads"],
        dropout=0.0,
    )
    return GPT2(config)


FAMILIES: dict[str, Callable[[Options], nn.Module]] = {
    "mlp": mlp,
    "cnn": cnn,
    "resnet": SmallResNet,
    "residual": Residual,
    "lstm": Characters,
    "gpt": gpt,
}
