"""Pictures and captions in one space: those that belong together point the same way.

    u = f(picture)/|f(picture)|,  v = g(caption)/|g(caption)|,  logit = exp(s) · u·v

f is a convolutional network, g a bag of words behind a layer, or a transformer; s is learned.
Source: A. Radford et al.: Learning transferable visual models from natural language supervision
(2021). Not here: training (`kedja/train/contrastive.py`), pictures as inputs (`pictures.py`).
Next: `caption_classes.py`.
Dimensions: B pictures, N captions, C channels, H W height and width, L words, D numbers in common.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np

import kedja as kj
from kedja import Tensor, nn
from kedja.data.tokens import Tokenizer
from kedja.data.words import UNKNOWN
from kedja.ground.errors import UsageError
from kedja.models import pictures, registry
from kedja.models.cnn import ConvLayer
from kedja.models.pictures import Maps, PictureConfig

Array = np.ndarray[Any, np.dtype[Any]]

HOTTEST = math.log(100)  # the largest s, as in the paper


@dataclass(frozen=True)
class ClipConfig(PictureConfig):
    """Sizes: stages of `widths` channels, in each `depth` convolutions, then a pooling by two.

    With `average` the last maps' means and largest values over the picture are taken, so that a
    thing is the same at any place; else the maps as they are. `width` is D, `words` are known.
    Without `layers` of attention a caption is the mean of its words' vectors. `classes` are of no
    use here.
    """

    model_type: ClassVar[str] = "clip"

    words: int = 0
    widths: tuple[int, ...] = (16, 32, 64)
    depth: int = 1
    average: bool = True
    width: int = 64
    layers: int = 0
    heads: int = 4
    context: int = 64
    dropout: float = 0.0
    pad_token_id: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "widths", tuple(self.widths))
        if min(self.shape[1:]) >> len(self.widths) < 1:
            what = f"{len(self.widths)} poolings of {self.shape[1]} × {self.shape[2]} pixels"
            raise UsageError(what, fix="give fewer widths")


class ImageEncoder(nn.Module):
    """Convolutions with batch norm and pooling, then one layer: a picture's vector."""

    config: ClipConfig
    convs: list[ConvLayer]
    pool: nn.MaxPool2d
    proj: nn.Linear

    def __init__(self, config: ClipConfig) -> None:
        self.config = config
        channels, height, width = config.shape
        repeated = [width for width in config.widths for _ in range(config.depth)]
        self.convs = [ConvLayer(a, b, 3, norm=True) for a, b in pairwise([channels, *repeated])]
        self.pool = nn.MaxPool2d(2)
        halved = len(config.widths)
        places = 2 if config.average else (height >> halved) * (width >> halved)
        self.proj = nn.Linear(config.widths[-1] * places, config.width)

    def __call__(self, x: Tensor) -> Tensor:
        """x (B, C, H, W), standardised → (B, D)."""
        x = self.pool(list(self.maps(x).values())[-1])
        if self.config.average:
            x = kj.concat([kj.mean(x, axis=(2, 3)), kj.max(x, axis=(2, 3))], 1)  # (B, 2 C)
        return self.proj(x.reshape(x.shape[0], -1))

    def maps(self, x: Tensor) -> Maps:
        """x (B, C, H, W) → each convolution's maps, before the pooling."""
        found: Maps = {}
        for place, conv in enumerate(self.convs):
            ended = place > 0 and place % self.config.depth == 0  # a stage, before this one
            x = found[f"convs.{place}"] = conv(self.pool(x) if ended else x)
        return found


class TextEncoder(nn.Module):
    """Words' vectors, perhaps after attention among them, averaged, then one layer."""

    embedding: nn.Embedding
    position: nn.Embedding
    blocks: list[nn.TransformerEncoderLayer]
    proj: nn.Linear
    pad: int

    def __init__(self, config: ClipConfig) -> None:
        self.embedding = nn.Embedding(config.words, config.width)
        self.position = nn.Embedding(config.context, config.width)
        self.blocks = [
            nn.TransformerEncoderLayer(
                config.width,
                config.heads,
                4 * config.width,
                config.dropout,
                batch_first=True,
                norm_first=True,
            )
            for _ in range(config.layers)
        ]
        self.proj = nn.Linear(config.width, config.width)
        self.pad = config.pad_token_id

    def __call__(self, tokens: Tensor) -> Tensor:
        """tokens (N, L), padded behind → (N, D)."""
        empty = tokens == self.pad  # (N, L)
        x = self.embedding(tokens)  # (N, L, D)
        if self.blocks:
            x = x + self.position(kj.arange(tokens.shape[1]))
        hidden = empty & kj.any(~empty, axis=1, keepdims=True)  # of no words, all are looked at
        for block in self.blocks:
            x = block(x, src_key_padding_mask=hidden)
        there = kj.expand_dims((~empty).astype(x.dtype), -1)
        mean = kj.sum(x * there, 1) / kj.maximum(kj.sum(there, 1), 1.0)
        return self.proj(mean)


class Clip(nn.Module):
    """Two encoders and how hot their logits are.

    >>> model = Clip(ClipConfig((1, 8, 8), (), words=9, widths=(4, 8), width=4))
    >>> model(kj.ones((2, 1, 8, 8)), kj.tensor([[3, 4, 0], [5, 0, 0], [6, 7, 8]])).shape
    (2, 3)
    """

    config: ClipConfig
    image: ImageEncoder
    text: TextEncoder
    scale: Tensor

    def __init__(self, config: ClipConfig) -> None:
        self.config = config
        self.image, self.text = ImageEncoder(config), TextEncoder(config)
        self.scale = kj.tensor(math.log(1 / 0.07), kj.float32)

    def pictures(self, x: Tensor) -> Tensor:
        """x (B, C, H, W), standardised → vectors of length 1, (B, D)."""
        return nn.functional.normalize(self.image(x), dim=-1)

    def captions(self, tokens: Tensor) -> Tensor:
        """tokens (N, L) → vectors of length 1, (N, D)."""
        return nn.functional.normalize(self.text(tokens), dim=-1)

    def __call__(self, x: Tensor, tokens: Tensor) -> Tensor:
        """x (B, C, H, W), tokens (N, L) → logits (B, N)."""
        return self.heat() * (self.pictures(x) @ self.captions(tokens).T)

    def heat(self) -> Tensor:
        """By what cosines are multiplied, exp(s)."""
        return kj.exp(kj.minimum(self.scale, HOTTEST))

    def codes(self, x: Tensor) -> Tensor:
        """x (B, C, H, W), standardised → vectors of length 1, (B, D), as `pictures`."""
        return self.pictures(x)

    def maps(self, x: Tensor) -> Maps:
        """x (B, C, H, W), standardised → the maps of the pictures' network by their names."""
        return self.image.maps(x)


# -------------------------------------------------------------------------------- its use


def caption_rows(captions: Sequence[str], tokenizer: Tokenizer, config: ClipConfig) -> Array:
    """The captions' words as int32 (N, L), padded behind; L is the longest's, at most `context`.

    Words that the tokenizer does not know are passed over: nothing was learned of them.
    """
    unknown = tokenizer.specials.get(UNKNOWN)
    given = [tokenizer.encode(caption) for caption in captions]
    rows = [row[row != unknown][: config.context] for row in given]
    longest = max([1, *map(len, rows)])
    table = np.full((len(rows), longest), config.pad_token_id, np.int32)
    for place, row in enumerate(rows):
        table[place, : len(row)] = row
    return table


def picture_vectors(model: Clip, given: Any) -> Array:
    """Vectors of bytes (B, H, W) or (B, H, W, C): float32 (B, D), each of length 1."""

    def of(model: Clip, x: Tensor) -> Tensor:
        return model.pictures(pictures.inputs(model.config, x))

    return pictures.in_batches(of, model, given, model.config.width)


def caption_vectors(model: Clip, captions: Sequence[str], tokenizer: Tokenizer) -> Array:
    """Vectors of captions: float32 (N, D), each of length 1."""
    rows = caption_rows(captions, tokenizer, model.config)
    return pictures.in_batches(Clip.captions, model, rows, model.config.width)


def cosines(model: Clip, given: Any, captions: Sequence[str], tokenizer: Tokenizer) -> Array:
    """Of the angles between pictures and captions, float32 (B, N): 1 for the same direction."""
    found: Array = picture_vectors(model, given) @ caption_vectors(model, captions, tokenizer).T
    return found


def choose(model: Clip, given: Any, captions: Sequence[str], tokenizer: Tokenizer) -> Array:
    """How well each caption fits each picture, as shares: float64 (B, N), rows add up to 1.

    Which class a picture belongs to is asked without any class having been trained: zero-shot.
    """
    if not captions:
        raise UsageError("no captions to choose from", fix="give at least one")
    return shares_of(model, cosines(model, given, captions, tokenizer))


def shares_of(model: Clip, angles: Array) -> Array:
    """Cosines (B, N) as shares of each row: softmax(exp(s) cosine), float64."""
    heat = float(np.exp(min(float(model.scale.numpy()), HOTTEST)))
    logits = heat * angles.astype(np.float64)
    weights = np.exp(logits - logits.max(1, keepdims=True))
    shares: Array = weights / weights.sum(1, keepdims=True)
    return shares


registry.add(ClipConfig.model_type, ClipConfig, Clip)
