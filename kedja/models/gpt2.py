"""GPT-2: a decoder of masked multi-head self-attention, with Hugging Face's tensor names.

Source: A. Radford et al.: Language models are unsupervised multitask learners (2019).
Dimensions: B batch, T positions, C channels, H heads, V vocabulary. Not here: its sizes
(`gpt2_config.py`), files (`folder.py`), generation (`generate.py`). Next: `recurrent.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import kedja as kj
from kedja import Tensor, nn
from kedja.models.gpt2_config import GPT2Config


class Conv1D(nn.Module):
    """y = x W + b with the weight laid out (in, out), as GPT-2's files have it."""

    weight: Tensor
    bias: Tensor

    def __init__(self, features_in: int, features_out: int, std: float = 0.02) -> None:
        self.weight = nn.init.normal(kj.random.next_key(), (features_in, features_out), 0.0, std)
        self.bias = kj.zeros(features_out)

    def __call__(self, x: Tensor) -> Tensor:
        """x (…, in) → (…, out)."""
        return x @ self.weight + self.bias


class Attention(nn.Module):
    """Each position looks at itself and at those before it, in H ways at once."""

    c_attn: Conv1D
    c_proj: Conv1D
    dropout: nn.Dropout
    heads: int

    def __init__(self, config: GPT2Config) -> None:
        width = config.n_embd
        self.c_attn = Conv1D(width, 3 * width)
        self.c_proj = Conv1D(width, width, 0.02 / (2 * config.n_layer) ** 0.5)
        self.dropout = nn.Dropout(config.dropout)
        self.heads = config.n_head
        self.attn_pdrop = config.dropout if config.attn_pdrop is None else config.attn_pdrop

    def __call__(self, x: Tensor) -> Tensor:
        """x (B, T, C) → (B, T, C)."""
        attend = nn.functional.scaled_dot_product_attention
        q, k, v = self._heads(x)
        y = attend(q, k, v, dropout_p=self.attn_pdrop, is_causal=True)  # (B, H, T, C/H)
        return self._joined(y)

    def decode(self, x: Tensor, cache: nn.KVCache) -> tuple[Tensor, nn.KVCache]:
        """The next L places x (B, L, C), which look at those kept in the cache → (B, L, C)."""
        q, k, v = self._heads(x)
        cache = cache.append(k, v)
        attend = nn.functional.scaled_dot_product_attention
        y = attend(q, cache.key, cache.value, cache.mask(x.shape[1]))  # (B, H, L, C/H)
        return self._joined(y), cache

    def _heads(self, x: Tensor) -> list[Tensor]:
        """Queries, keys and values of all heads: (B, T, C) → three of (B, H, T, C/H)."""
        b, t, c = x.shape
        qkv = self.c_attn(x).reshape(b, t, 3, self.heads, c // self.heads)
        return [qkv[:, :, i].transpose(0, 2, 1, 3) for i in range(3)]

    def _joined(self, y: Tensor) -> Tensor:
        """(B, H, T, C/H) → (B, T, C)."""
        b, h, t, d = y.shape
        return self.dropout(self.c_proj(y.transpose(0, 2, 1, 3).reshape(b, t, h * d)))


class MLP(nn.Module):
    """Two layers, four times as wide in between unless the configuration says else."""

    c_fc: Conv1D
    c_proj: Conv1D
    dropout: nn.Dropout

    def __init__(self, config: GPT2Config) -> None:
        inner = config.n_inner or 4 * config.n_embd
        self.c_fc = Conv1D(config.n_embd, inner)
        self.c_proj = Conv1D(inner, config.n_embd, 0.02 / (2 * config.n_layer) ** 0.5)
        self.dropout = nn.Dropout(config.dropout)

    def __call__(self, x: Tensor) -> Tensor:
        """x (B, T, C) → (B, T, C)."""
        return self.dropout(self.c_proj(kj.gelu(self.c_fc(x), approximate="tanh")))


class Block(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x))."""

    ln_1: nn.LayerNorm
    attn: Attention
    ln_2: nn.LayerNorm
    mlp: MLP

    def __init__(self, config: GPT2Config) -> None:
        self.ln_1, self.ln_2 = (_norm(config) for _ in range(2))
        self.attn, self.mlp = Attention(config), MLP(config)

    def __call__(self, x: Tensor) -> Tensor:
        """x (B, T, C) → (B, T, C)."""
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))

    def decode(self, x: Tensor, cache: nn.KVCache) -> tuple[Tensor, nn.KVCache]:
        """The same for the next L places of a sequence: x (B, L, C) → (B, L, C)."""
        y, cache = self.attn.decode(self.ln_1(x), cache)
        x = x + y
        return x + self.mlp(self.ln_2(x)), cache


def _norm(config: GPT2Config) -> nn.LayerNorm:
    return nn.LayerNorm(config.n_embd, eps=config.layer_norm_epsilon)


class GPT2(nn.Module):
    """The logits of the next token at every position; the embedding's weight is the head's too.

    >>> tiny = GPT2(GPT2Config(vocab_size=11, n_positions=8, n_embd=12, n_layer=2, n_head=3))
    >>> tiny(kj.tensor([[1, 2, 3]])).shape
    (1, 3, 11)
    """

    wte: nn.Embedding
    wpe: nn.Embedding
    drop: nn.Dropout
    h: list[Block]
    ln_f: nn.LayerNorm
    config: GPT2Config

    def __init__(self, config: GPT2Config | None = None) -> None:
        self.config = config = config or GPT2Config()
        small = partial(nn.init.normal, std=0.02)
        self.wte = nn.Embedding(config.vocab_size, config.n_embd, init=small)
        self.wpe = nn.Embedding(config.n_positions, config.n_embd, init=small)
        self.drop = nn.Dropout(config.dropout if config.embd_pdrop is None else config.embd_pdrop)
        self.h = [Block(config) for _ in range(config.n_layer)]
        self.ln_f = _norm(config)

    @property
    def context(self) -> int:
        """The longest sequence that it takes."""
        return self.config.n_positions

    def __call__(self, tokens: Tensor) -> Tensor:
        """tokens (B, T) integers → logits (B, T, V)."""
        x = self._embedded(tokens, kj.arange(tokens.shape[-1]))
        for block in self.h:
            x = block(x)
        return self.logits(x)

    def new_state(self, batch: int, capacity: int) -> list[nn.KVCache]:
        """Empty keys and values for `decode`: one cache for each block, room for `capacity`."""
        width, heads = self.config.n_embd, self.config.n_head
        kind = self.wte.weight.dtype
        empty = partial(nn.KVCache.empty, batch, heads, capacity, width // heads, dtype=kind)
        return [empty() for _ in self.h]

    def decode(
        self, tokens: Tensor, state: Sequence[nn.KVCache]
    ) -> tuple[Tensor, list[nn.KVCache]]:
        """The next L tokens (B, L) of sequences that are known up to here → logits (B, L, V).

        Piece by piece it gives what one call on the whole gives, and computes no place twice.
        """
        start = state[0].length if state else 0
        x = self._embedded(tokens, kj.arange(tokens.shape[-1]) + start)
        after = []
        for block, cache in zip(self.h, state, strict=True):
            x, cache = block.decode(x, cache)
            after.append(cache)
        return self.logits(x), after

    def _embedded(self, tokens: Tensor, places: Tensor) -> Tensor:
        return self.drop(self.wte(tokens) + self.wpe(places))  # (B, T, C)

    def logits(self, x: Tensor) -> Tensor:
        """What the state x (B, T, C) after a block says of the next token: (B, T, V)."""
        return self.ln_f(x) @ self.wte.weight.T  # (B, T, V)
