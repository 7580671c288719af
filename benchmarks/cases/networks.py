"""The networks of the cases: first weights by PyTorch's names, and what one example costs.

Not here: how a library writes them (`kedja_side/networks.py` …). Next: `training.py`.

A network is its options, which are JSON: `family` names one of the table at the end of this file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from benchmarks.cases.case import Array, Arrays

Options = Mapping[str, Any]
Random = np.random.Generator

PREFIX = "model."


class Cost(NamedTuple):
    """Multiply-adds of one example going forward; `first` need no gradient of their input."""

    forward: int
    first: int

    @property
    def training(self) -> int:
        """Those of forward, gradient of the weights, gradient of the inputs."""
        return 3 * self.forward - self.first


class Family(NamedTuple):
    """How a network's options become weights, costs, words and the shape of an example."""

    weights: Callable[[Options, Random], Arrays]
    cost: Callable[[Options], Cost]
    words: Callable[[Options], str]
    shape: Callable[[Options], tuple[int, ...]]


def first_weights(network: Options) -> Arrays:
    """The arrays of a network before its first step, under `model.` and their names."""
    found = FAMILIES[network["family"]].weights(network, np.random.default_rng(1))
    return {PREFIX + name: array for name, array in found.items()}


def cost(network: Options) -> Cost:
    """What one example costs."""
    return FAMILIES[network["family"]].cost(network)


def words(network: Options) -> str:
    """The network in a few words."""
    return FAMILIES[network["family"]].words(network)


def shape(network: Options) -> tuple[int, ...]:
    """The shape of one example."""
    return FAMILIES[network["family"]].shape(network)


# ------------------------------------------------------------------------------ first arrays


def uniform(random: Random, bound: float, *shape: int) -> Array:
    """Uniform in ±bound."""
    return random.uniform(-bound, bound, shape).astype(np.float32)


def normal(random: Random, deviation: float, *shape: int) -> Array:
    """Normal around 0."""
    return (deviation * random.standard_normal(shape)).astype(np.float32)


def zeros(*shape: int) -> Array:
    """Zeros."""
    return np.zeros(shape, np.float32)


def ones(*shape: int) -> Array:
    """Ones."""
    return np.ones(shape, np.float32)


# ---------------------------------------------------------------------- multilayer perceptron


def _mlp(network: Options, random: Random) -> Arrays:
    """Glorot's uniform weights and zero biases; activations stand between the layers."""
    gain = 4.0 if network["activation"] == "sigmoid" else 1.0  # its slope is 1/4 at most
    found: Arrays = {}
    for place, (inputs, outputs) in enumerate(pairwise(network["sizes"])):
        bound = gain * (6 / (inputs + outputs)) ** 0.5
        found[f"{2 * place}.weight"] = uniform(random, bound, outputs, inputs)
        found[f"{2 * place}.bias"] = zeros(outputs)
    return found


def _mlp_cost(network: Options) -> Cost:
    sizes = network["sizes"]
    return Cost(sum(a * b for a, b in pairwise(sizes)), sizes[0] * sizes[1])


def _mlp_words(network: Options) -> str:
    return f"{'-'.join(map(str, network['sizes']))} {network['activation']}"


# -------------------------------------------------------------------------------- convolutions


def _conv(random: Random, inputs: int, outputs: int, size: int) -> Array:
    """He's normal weights of a convolution: (out, in, size, size)."""
    return normal(random, (2 / (inputs * size * size)) ** 0.5, outputs, inputs, size, size)


def _linear(random: Random, inputs: int, outputs: int, name: str) -> Arrays:
    """A linear layer's arrays as PyTorch draws them, with zero bias."""
    return {
        f"{name}.weight": uniform(random, inputs**-0.5, outputs, inputs),
        f"{name}.bias": zeros(outputs),
    }


def _norm(name: str, width: int) -> Arrays:
    """A batch norm's arrays before the first batch."""
    return {
        f"{name}.weight": ones(width),
        f"{name}.bias": zeros(width),
        f"{name}.running_mean": zeros(width),
        f"{name}.running_var": ones(width),
        f"{name}.num_batches_tracked": np.zeros((), np.int64),
    }


def _cnn(network: Options, random: Random) -> Arrays:
    """Places 0, 3 and 7 of a sequence: conv, relu, pool, conv, relu, pool, flatten, linear."""
    channels, classes, side = network["channels"], network["classes"], network["side"]
    found: Arrays = {}
    for place, (inputs, outputs) in zip((0, 3), pairwise(channels), strict=True):
        found[f"{place}.weight"] = _conv(random, inputs, outputs, 3)
        found[f"{place}.bias"] = zeros(outputs)
    return found | _linear(random, channels[-1] * (side // 4) ** 2, classes, "7")


def _cnn_cost(network: Options) -> Cost:
    (a, b, c), side = network["channels"], network["side"]
    first = 9 * a * b * side**2
    second = 9 * b * c * (side // 2) ** 2
    return Cost(first + second + c * (side // 4) ** 2 * network["classes"], first)


def _cnn_words(network: Options) -> str:
    a, b, c = network["channels"]
    return f"conv 3×3 {a}→{b}, {b}→{c}, relu and max pool after each, linear"


class Block(NamedTuple):
    """A residual block: where it stands, its channels, and by what it divides the sides."""

    name: str
    inputs: int
    outputs: int
    stride: int

    @property
    def is_changing(self) -> bool:
        """Whether the shortcut needs a convolution."""
        return self.stride != 1 or self.inputs != self.outputs


def blocks(network: Options) -> Iterator[Block]:
    """The blocks of a residual network, in order."""
    inputs = network["widths"][0]
    for level, width in enumerate(network["widths"]):
        for number in range(network["blocks"]):
            stride = 2 if level and not number else 1
            yield Block(f"layer{level + 1}.{number}", inputs, width, stride)
            inputs = width


def _resnet(network: Options, random: Random) -> Arrays:
    first, last = network["widths"][0], network["widths"][-1]
    found = {"conv1.weight": _conv(random, 3, first, 3), **_norm("bn1", first)}
    for each in blocks(network):
        found[f"{each.name}.conv1.weight"] = _conv(random, each.inputs, each.outputs, 3)
        found[f"{each.name}.conv2.weight"] = _conv(random, each.outputs, each.outputs, 3)
        found |= _norm(f"{each.name}.bn1", each.outputs) | _norm(f"{each.name}.bn2", each.outputs)
        if each.is_changing:
            short = f"{each.name}.downsample"
            found[f"{short}.0.weight"] = _conv(random, each.inputs, each.outputs, 1)
            found |= _norm(f"{short}.1", each.outputs)
    return found | _linear(random, last, network["classes"], "fc")


def _resnet_cost(network: Options) -> Cost:
    side, last = network["side"], network["widths"][-1]
    first = 9 * 3 * network["widths"][0] * side**2
    total = first + last * network["classes"]
    for each in blocks(network):
        side //= each.stride
        taps = 9 * each.inputs + 9 * each.outputs + each.inputs * each.is_changing
        total += taps * each.outputs * side**2
    return Cost(total, first)


def _resnet_words(network: Options) -> str:
    layers = 2 * network["blocks"] * len(network["widths"]) + 2
    return f"ResNet-{layers} {'-'.join(map(str, network['widths']))} with batch norm"


# ----------------------------------------------------------------------------- deep residual


def _residual(network: Options, random: Random) -> Arrays:
    """He's weights over the depth: what all layers add together is as large as their input."""
    width, depth = network["width"], network["depth"]
    deviation = (2 / width) ** 0.5 / depth
    found: Arrays = {}
    for layer in range(depth):
        found[f"layers.{layer}.weight"] = normal(random, deviation, width, width)
        found[f"layers.{layer}.bias"] = zeros(width)
    return found | _linear(random, width, network["classes"], "head")


def _residual_cost(network: Options) -> Cost:
    each = network["width"] ** 2
    return Cost(network["depth"] * each + network["width"] * network["classes"], each)


def _residual_words(network: Options) -> str:
    return f"{network['depth']} layers x + relu(W x + b) of {network['width']}"


# ---------------------------------------------------------------------------------- sequences


def _lstm(network: Options, random: Random) -> Arrays:
    vocabulary, width = network["vocabulary"], network["width"]
    bound = width**-0.5
    return {
        "encoder.weight": normal(random, 1.0, vocabulary, width),
        "rnn.weight_ih_l0": uniform(random, bound, 4 * width, width),
        "rnn.weight_hh_l0": uniform(random, bound, 4 * width, width),
        "rnn.bias_ih_l0": uniform(random, bound, 4 * width),
        "rnn.bias_hh_l0": uniform(random, bound, 4 * width),
        **_linear(random, width, vocabulary, "decoder"),
    }


def _lstm_cost(network: Options) -> Cost:
    width, steps = network["width"], network["context"]
    return Cost(steps * (8 * width**2 + width * network["vocabulary"]), 0)


def _lstm_words(network: Options) -> str:
    width, vocabulary = network["width"], network["vocabulary"]
    return f"LSTM of {width}, {vocabulary} characters, context {network['context']}"


def _gpt(network: Options, random: Random) -> Arrays:
    """GPT-2's arrays by Hugging Face's names; its matrices are laid out (in, out)."""
    width, layers = network["width"], network["layers"]
    small, smaller = 0.02, 0.02 / (2 * layers) ** 0.5
    found = {
        "wte.weight": normal(random, small, network["vocabulary"], width),
        "wpe.weight": normal(random, small, network["context"], width),
    }
    shapes = (
        ("attn.c_attn", width, 3 * width, small),
        ("attn.c_proj", width, width, smaller),
        ("mlp.c_fc", width, 4 * width, small),
        ("mlp.c_proj", 4 * width, width, smaller),
    )
    norms = [f"h.{layer}.ln_{number}" for layer in range(layers) for number in (1, 2)]
    for name in (*norms, "ln_f"):
        found |= {f"{name}.weight": ones(width), f"{name}.bias": zeros(width)}
    for layer in range(layers):
        for name, inputs, outputs, deviation in shapes:
            found[f"h.{layer}.{name}.weight"] = normal(random, deviation, inputs, outputs)
            found[f"h.{layer}.{name}.bias"] = zeros(outputs)
    return found


def _gpt_cost(network: Options) -> Cost:
    """Of attention what a causal mask leaves is counted: T (T + 1)/2 pairs, twice C each."""
    width, steps, layers = network["width"], network["context"], network["layers"]
    matrices = steps * (12 * layers * width**2 + width * network["vocabulary"])
    return Cost(matrices + layers * steps * (steps + 1) * width, 0)


def _gpt_words(network: Options) -> str:
    layers, heads, width = (network[name] for name in ("layers", "heads", "width"))
    return f"GPT-2 of {layers} layers, {heads} heads, {width} wide, context {network['context']}"


def _picture(channels: int, side: int) -> tuple[int, int, int]:
    return channels, side, side


FAMILIES = {
    "mlp": Family(_mlp, _mlp_cost, _mlp_words, lambda network: (network["sizes"][0],)),
    "cnn": Family(_cnn, _cnn_cost, _cnn_words, lambda n: _picture(n["channels"][0], n["side"])),
    "resnet": Family(_resnet, _resnet_cost, _resnet_words, lambda n: _picture(3, n["side"])),
    "residual": Family(
        _residual, _residual_cost, _residual_words, lambda network: (network["width"],)
    ),
    "lstm": Family(_lstm, _lstm_cost, _lstm_words, lambda network: (network["context"],)),
    "gpt": Family(_gpt, _gpt_cost, _gpt_words, lambda network: (network["context"],)),
}
