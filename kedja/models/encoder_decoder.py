"""The encoder–decoder transformer: one text in, another one out, token by token.

Source: A. Vaswani et al.: Attention is all you need (2017), with norms before the blocks as usual
today. Positions may be stretched by chance in training: A. Ruoss et al.: Randomized positional
encodings boost length generalization of transformers (2023).
Not here: a task to learn (`kedja/data/expressions.py`), training (`kedja/train/translation.py`).
Next: `translate.py`. Dimensions: B examples, S source tokens, T target tokens, C channels, H heads,
D = C/H, V vocabulary.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import kedja as kj
from kedja import Tensor, nn
from kedja.ground.errors import UsageError
from kedja.ground.suggest import did_you_mean
from kedja.models import registry

POSITIONS = ("rotary", "sinusoidal")

Cache = nn.KVCache | None


@dataclass(frozen=True)
class EncoderDecoderConfig:
    """Sizes, named as T5's in Hugging Face's config.json; layers of the encoder and of the decoder.

    `positions` is "rotary" (queries and keys of self-attention turned) or "sinusoidal" (waves added
    to the embeddings). In training, each token stands 1 to `stretch` places behind the one before
    it, by chance; in inference all stand at the mean distance: longer texts than those trained on
    are then less strange. Raises UsageError for other positions and widths that do not divide.
    """

    model_type: ClassVar[str] = "encoder-decoder"

    vocab_size: int
    d_model: int = 64
    d_ff: int = 256
    num_layers: int = 2
    num_heads: int = 4
    dropout: float = 0.0
    positions: str = "rotary"
    stretch: int = 3
    pad_token_id: int = 0
    bos_token_id: int = 1
    eos_token_id: int = 2

    def __post_init__(self) -> None:
        if self.positions not in POSITIONS:
            what = f"there are no positions {self.positions!r}"
            raise UsageError(what, fix=did_you_mean(self.positions, POSITIONS))
        if self.d_model % (2 * self.num_heads):
            what = f"d_model {self.d_model} in {self.num_heads} heads"
            raise UsageError(what, fix="a multiple of twice the number of heads")
        if self.stretch < 1:
            raise UsageError(f"stretch is {self.stretch}", fix="give 1 or more")


class Heads(NamedTuple):
    """Keys and values of all heads: (B, H, S, D) each."""

    key: Tensor
    value: Tensor


class Attention(nn.Module):
    """softmax(Q Kᵀ/√D) V in H ways at once."""

    q: nn.Linear
    k: nn.Linear
    v: nn.Linear
    o: nn.Linear
    heads: int

    def __init__(self, config: EncoderDecoderConfig) -> None:
        width = config.d_model
        self.q, self.k, self.v, self.o = (nn.Linear(width, width, bias=False) for _ in range(4))
        self.heads = config.num_heads

    def split(self, x: Tensor) -> Tensor:
        """(B, T, C) → (B, H, T, D)."""
        b, t, c = x.shape
        return x.reshape(b, t, self.heads, c // self.heads).transpose(0, 2, 1, 3)

    def kept(self, x: Tensor, places: Tensor | None) -> Heads:
        """What x (B, S, C) offers to those that attend to it."""
        return Heads(turned(self.split(self.k(x)), places), self.split(self.v(x)))

    def __call__(
        self, x: Tensor, seen: Heads, places: Tensor | None = None, mask: Tensor | None = None
    ) -> Tensor:
        """x (B, T, C), mask that broadcasts to (B, H, T, S), causal without → (B, T, C)."""
        b, t, c = x.shape
        q = turned(self.split(self.q(x)), places)  # (B, H, T, D)
        attend = nn.functional.scaled_dot_product_attention
        y = attend(q, seen.key, seen.value, mask, is_causal=mask is None)  # (B, H, T, D)
        return self.o(y.transpose(0, 2, 1, 3).reshape(b, t, c))


def turned(x: Tensor, places: Tensor | None) -> Tensor:
    """x (B, H, T, D) by the angles of its places (B, T); as it is where there are none."""
    return x if places is None else nn.functional.rotary(x, kj.expand_dims(places, 1))


class FeedForward(nn.Module):
    """W₂ relu(W₁ x): each place for itself."""

    wi: nn.Linear
    wo: nn.Linear
    dropout: nn.Dropout

    def __init__(self, config: EncoderDecoderConfig) -> None:
        self.wi = nn.Linear(config.d_model, config.d_ff)
        self.wo = nn.Linear(config.d_ff, config.d_model)
        self.dropout = nn.Dropout(config.dropout)

    def __call__(self, x: Tensor) -> Tensor:
        """x (B, T, C) → (B, T, C)."""
        return self.dropout(self.wo(kj.relu(self.wi(x))))


class EncoderBlock(nn.Module):
    """x + attention(norm(x)), then x + feed_forward(norm(x))."""

    norm1: nn.LayerNorm
    attention: Attention
    norm2: nn.LayerNorm
    feed_forward: FeedForward

    def __init__(self, config: EncoderDecoderConfig) -> None:
        self.norm1, self.norm2 = nn.LayerNorm(config.d_model), nn.LayerNorm(config.d_model)
        self.attention, self.feed_forward = Attention(config), FeedForward(config)

    def __call__(self, x: Tensor, mask: Tensor, places: Tensor | None) -> Tensor:
        """x (B, S, C) → (B, S, C)."""
        h = self.norm1(x)
        x = x + self.attention(h, self.attention.kept(h, places), places, mask)
        return x + self.feed_forward(self.norm2(x))


class DecoderBlock(nn.Module):
    """As the encoder's, causal, and with attention to the encoder's answer in between."""

    norm1: nn.LayerNorm
    attention: Attention
    norm2: nn.LayerNorm
    cross: Attention
    norm3: nn.LayerNorm
    feed_forward: FeedForward

    def __init__(self, config: EncoderDecoderConfig) -> None:
        self.norm1, self.norm2 = nn.LayerNorm(config.d_model), nn.LayerNorm(config.d_model)
        self.norm3 = nn.LayerNorm(config.d_model)
        self.attention, self.cross = Attention(config), Attention(config)
        self.feed_forward = FeedForward(config)

    def __call__(
        self, x: Tensor, memory: Heads, mask: Tensor, places: Tensor | None, cache: Cache = None
    ) -> tuple[Tensor, Cache]:
        """x (B, T, C) → (B, T, C), and the cache, where there is one, with T places more."""
        h = self.norm1(x)
        own, seen = self.attention.kept(h, places), None
        if cache is not None:
            cache = cache.append(*own)
            own, seen = Heads(cache.key, cache.value), cache.mask(x.shape[1])
        x = x + self.attention(h, own, places, seen)
        x = x + self.cross(self.norm2(x), memory, None, mask)
        return x + self.feed_forward(self.norm3(x)), cache


class Memory(NamedTuple):
    """What the decoder looks at: the encoder's keys and values for each block, which of them count.

    `caches` are its own keys and values so far; empty where it gets the whole target at once.
    """

    heads: list[Heads]
    mask: Tensor
    caches: list[nn.KVCache]


class EncoderDecoder(nn.Module):
    """The logits of the next target token at every place.

    >>> tiny = EncoderDecoder(EncoderDecoderConfig(11, d_model=8, d_ff=16, num_heads=2))
    >>> tiny(kj.tensor([[3, 4, 5, 0]]), kj.tensor([[1, 6]])).shape
    (1, 2, 11)
    """

    config: EncoderDecoderConfig
    shared: nn.Embedding
    encoder: list[EncoderBlock]
    encoder_norm: nn.LayerNorm
    decoder: list[DecoderBlock]
    decoder_norm: nn.LayerNorm

    def __init__(self, config: EncoderDecoderConfig) -> None:
        self.config = config
        self.shared = nn.Embedding(config.vocab_size, config.d_model)
        self.encoder = [EncoderBlock(config) for _ in range(config.num_layers)]
        self.decoder = [DecoderBlock(config) for _ in range(config.num_layers)]
        self.encoder_norm = nn.LayerNorm(config.d_model)
        self.decoder_norm = nn.LayerNorm(config.d_model)

    def __call__(self, source: Tensor, target: Tensor) -> Tensor:
        """source (B, S), target (B, T) from its beginning on → logits (B, T, V)."""
        return self.decode(target, self.encode(source), self.places(*target.shape))[0]

    def encode(self, source: Tensor, capacity: int = 0) -> Memory:
        """source (B, S), padded behind → what `decode` needs, with room for so many places."""
        config = self.config
        b, s = source.shape
        mask = (source != config.pad_token_id).reshape(b, 1, 1, s)
        x, angles = self.embedded(source, self.places(b, s))
        for block in self.encoder:
            x = block(x, mask, angles)
        x = self.encoder_norm(x)
        heads = [block.cross.kept(x, None) for block in self.decoder]
        sizes = (b, config.num_heads, capacity, config.d_model // config.num_heads)
        caches = [nn.KVCache.empty(*sizes) for _ in self.decoder] if capacity else []
        return Memory(heads, mask, caches)

    def decode(self, target: Tensor, memory: Memory, places: Tensor) -> tuple[Tensor, Memory]:
        """The next target tokens (B, T) at their places (B, T) → logits (B, T, V), the memory."""
        x, angles = self.embedded(target, places)
        caches = []
        for number, block in enumerate(self.decoder):
            cache = memory.caches[number] if memory.caches else None
            x, cache = block(x, memory.heads[number], memory.mask, angles, cache)
            caches += [] if cache is None else [cache]
        x = self.decoder_norm(x) / math.sqrt(self.config.d_model)
        return x @ self.shared.weight.T, memory._replace(caches=caches)

    def embedded(self, tokens: Tensor, places: Tensor) -> tuple[Tensor, Tensor | None]:
        """tokens (B, T) at their places → (B, T, C), and the places where attention needs them."""
        x = self.shared(tokens)
        if self.config.positions == "rotary":
            return x, places
        return x + nn.functional.sinusoidal(places, self.config.d_model), None

    def places(self, batch: int, count: int, start: Any = 0) -> Tensor:
        """Where `count` tokens stand: (B, T)."""
        stretch = self.config.stretch
        if nn.is_training() and stretch > 1:
            drawn = kj.random.uniform(nn.next_key(), (batch, count)) * stretch
            return kj.cumulative_sum(kj.floor(drawn) + 1.0, axis=1)
        row = (kj.arange(count).astype(kj.float32) + start) * ((1 + stretch) / 2)
        return kj.broadcast_to(row, (batch, count))


registry.add("encoder-decoder", EncoderDecoderConfig, EncoderDecoder)
