"""The cases' networks in plain `jax.numpy`: functions of a dictionary of PyTorch's names.

Not here: their steps. Next: `optimizers.py`. Dimensions: B batch, C channels, H W height and
width, T positions, V vocabulary.

A network is a function (parameters, buffers, x, training) → (prediction, buffers).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

Options = Mapping[str, Any]
Arrays = Mapping[str, Any]
Network = Callable[..., Any]

BUFFERS = ("running_mean", "running_var", "num_batches_tracked")
NORM_EPS = 1e-5
MOMENTUM = 0.1


def split(arrays: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Parameters and buffers, by the names that follow `model.`."""
    names = [name.removeprefix("model.") for name in arrays if name.startswith("model.")]
    found = {name: jnp.array(arrays[f"model.{name}"]) for name in names}  # own memory
    buffers = {name: found.pop(name) for name in names if name.endswith(BUFFERS)}
    return found, buffers


def network(options: Options) -> Network:
    """The case's network."""
    return FAMILIES[options["family"]](options)


def linear(p: Arrays, name: str, x: Any) -> Any:
    """y = x Wᵀ + b."""
    return x @ p[f"{name}.weight"].T + p[f"{name}.bias"]


def plain(function: Callable[[Arrays, Any], Any]) -> Network:
    """A network without buffers."""

    def run(p: Arrays, buffers: Arrays, x: Any, training: bool) -> Any:
        return function(p, x), buffers

    return run


# ------------------------------------------------------------------------------ feed-forward


def mlp(options: Options) -> Network:
    """Linear layers with activations between them."""
    layers = len(options["sizes"]) - 1
    activation = {"relu": jax.nn.relu, "sigmoid": jax.nn.sigmoid}[options["activation"]]

    def run(p: Arrays, x: Any) -> Any:
        for layer in range(layers):
            x = linear(p, str(2 * layer), x)
            x = activation(x) if layer < layers - 1 else x
        return x

    return plain(run)


def residual(options: Options) -> Network:
    """Many layers x + relu(W x + b), then a linear one."""

    def run(p: Arrays, x: Any) -> Any:
        for layer in range(options["depth"]):
            x = x + jax.nn.relu(linear(p, f"layers.{layer}", x))
        return linear(p, "head", x)

    return plain(run)


# ------------------------------------------------------------------------------ convolutions


def conv(x: Any, weight: Any, stride: int = 1) -> Any:
    """x (B, C, H, W), weight (out, in, h, w), as much padding as keeps the sides."""
    border = weight.shape[-1] // 2
    return lax.conv_general_dilated(
        x,
        weight,
        (stride, stride),
        [(border, border)] * 2,
        dimension_numbers=("NCHW", "OIHW", "NCHW"),
    )


def max_pool(x: Any) -> Any:
    """The largest of each 2 × 2 pixels."""
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")


def cnn(options: Options) -> Network:
    """Twice convolution, relu and pooling, then a linear layer."""

    def run(p: Arrays, x: Any) -> Any:
        for place in "03":
            x = conv(x, p[f"{place}.weight"]) + p[f"{place}.bias"][:, None, None]
            x = max_pool(jax.nn.relu(x))
        return linear(p, "7", x.reshape(len(x), -1))

    return plain(run)


class Norms:
    """Batch norm in one forward run; `buffers` are those after it."""

    def __init__(self, p: Arrays, buffers: Arrays, training: bool) -> None:
        self.p, self.buffers, self.training = p, dict(buffers), training

    def __call__(self, name: str, x: Any) -> Any:
        """x (B, C, H, W) → the same, with one mean and variance for each channel."""
        mean, var = self._moments(name, x) if self.training else self._running(name)
        scale = self.p[f"{name}.weight"] * lax.rsqrt(var + NORM_EPS)
        shift = self.p[f"{name}.bias"] - mean * scale
        return x * scale[:, None, None] + shift[:, None, None]

    def _running(self, name: str) -> tuple[Any, Any]:
        return self.buffers[f"{name}.running_mean"], self.buffers[f"{name}.running_var"]

    def _moments(self, name: str, x: Any) -> tuple[Any, Any]:
        mean, var = jnp.mean(x, (0, 2, 3)), jnp.var(x, (0, 2, 3))
        count = x.size // x.shape[1]
        self._record(f"{name}.running_mean", mean)
        self._record(f"{name}.running_var", var * (count / (count - 1)))
        self.buffers[f"{name}.num_batches_tracked"] += 1
        return mean, var

    def _record(self, name: str, new: Any) -> None:
        old = self.buffers[name]
        self.buffers[name] = old + MOMENTUM * (lax.stop_gradient(new) - old)


def resnet(options: Options) -> Network:
    """The ResNet of pictures of 32 × 32: three stages, no pooling before them."""

    def block(p: Arrays, norm: Norms, name: str, x: Any, stride: int) -> Any:
        y = conv(x, p[f"{name}.conv1.weight"], stride)
        y = conv(jax.nn.relu(norm(f"{name}.bn1", y)), p[f"{name}.conv2.weight"])
        short = f"{name}.downsample"
        if f"{short}.0.weight" in p:
            x = norm(f"{short}.1", conv(x, p[f"{short}.0.weight"], stride))
        return jax.nn.relu(norm(f"{name}.bn2", y) + x)

    def run(p: Arrays, buffers: Arrays, x: Any, training: bool) -> Any:
        norm = Norms(p, buffers, training)
        x = jax.nn.relu(norm("bn1", conv(x, p["conv1.weight"])))
        for level in range(len(options["widths"])):
            for number in range(options["blocks"]):
                stride = 2 if level and not number else 1
                x = block(p, norm, f"layer{level + 1}.{number}", x, stride)
        return linear(p, "fc", jnp.mean(x, (2, 3))), norm.buffers

    return run


# --------------------------------------------------------------------------------- sequences


def lstm(options: Options) -> Network:
    """Embedding, LSTM, logits of the next token; gates i, f, g, o."""

    def run(p: Arrays, tokens: Any) -> Any:
        x = p["encoder.weight"][tokens]  # (B, T, C)
        gates = x @ p["rnn.weight_ih_l0"].T + p["rnn.bias_ih_l0"] + p["rnn.bias_hh_l0"]
        start = jnp.zeros((len(tokens), options["width"]))

        def step(state: Any, now: Any) -> Any:
            h, c = state
            i, f, g, o = jnp.split(now + h @ p["rnn.weight_hh_l0"].T, 4, axis=1)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            h = jax.nn.sigmoid(o) * jnp.tanh(c)
            return (h, c), h

        _, h = lax.scan(step, (start, start), jnp.swapaxes(gates, 0, 1))  # (T, B, C)
        return linear(p, "decoder", jnp.swapaxes(h, 0, 1))

    return plain(run)


def layer_norm(p: Arrays, name: str, x: Any) -> Any:
    """Over the last axis."""
    apart = x - jnp.mean(x, -1, keepdims=True)
    scale = lax.rsqrt(jnp.mean(apart * apart, -1, keepdims=True) + NORM_EPS)
    return apart * scale * p[f"{name}.weight"] + p[f"{name}.bias"]


def conv1d(p: Arrays, name: str, x: Any) -> Any:
    """y = x W + b with GPT-2's layout (in, out)."""
    return x @ p[f"{name}.weight"] + p[f"{name}.bias"]


def attention(p: Arrays, name: str, x: Any, heads: int) -> Any:
    """Masked self-attention: (B, T, C) → (B, T, C)."""
    b, t, c = x.shape
    qkv = conv1d(p, f"{name}.c_attn", x).reshape(b, t, 3, heads, c // heads)
    q, k, v = (qkv[:, :, i] for i in range(3))  # (B, T, H, C/H)
    y = jax.nn.dot_product_attention(q, k, v, is_causal=True)
    return conv1d(p, f"{name}.c_proj", y.reshape(b, t, c))


def gpt(options: Options) -> Network:
    """GPT-2 without dropout; the embedding's weight is the head's too."""

    def run(p: Arrays, tokens: Any) -> Any:
        x = p["wte.weight"][tokens] + p["wpe.weight"][: tokens.shape[1]]
        for layer in range(options["layers"]):
            name = f"h.{layer}"
            x = x + attention(p, f"{name}.attn", layer_norm(p, f"{name}.ln_1", x), options["heads"])
            y = conv1d(p, f"{name}.mlp.c_fc", layer_norm(p, f"{name}.ln_2", x))
            x = x + conv1d(p, f"{name}.mlp.c_proj", jax.nn.gelu(y, approximate=True))
        return layer_norm(p, "ln_f", x) @ p["wte.weight"].T

    return plain(run)


FAMILIES: Mapping[str, Callable[[Options], Network]] = {
    "mlp": mlp,
    "cnn": cnn,
    "resnet": resnet,
    "residual": residual,
    "lstm": lstm,
    "gpt": gpt,
}
