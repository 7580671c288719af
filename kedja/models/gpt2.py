"""GPT-2: a decoder of masked multi-head self-attention, with Hugging Face's tensor names.

Source: A. Radford et al.: Language models are unsupervised multitask learners (2019).
Dimensions: B batch, T positions, C channels, H heads, V vocabulary. Next: `lstm.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import kedja as kj
from kedja import Tensor, nn


@dataclass(frozen=True)
class GPT2Config:
    """Sizes, named as in Hugging Face's config.json; the defaults are GPT-2 small's."""

    vocab_size: int = 50257
    n_positions: int = 1024
    n_embd: int = 768
    n_layer: int = 12
    n_head: int = 12
    dropout: float = 0.1


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

    def __call__(self, x: Tensor) -> Tensor:
        """x (B, T, C) → (B, T, C)."""
        b, t, c = x.shape
        qkv = self.c_attn(x).reshape(b, t, 3, self.heads, c // self.heads)
        q, k, v = (qkv[:, :, i].transpose(0, 2, 1, 3) for i in range(3))  # (B, H, T, C/H)
        attend = nn.functional.scaled_dot_product_attention
        y = attend(q, k, v, dropout_p=self.dropout.p, is_causal=True)  # (B, H, T, C/H)
        return self.dropout(self.c_proj(y.transpose(0, 2, 1, 3).reshape(b, t, c)))


class MLP(nn.Module):
    """Two layers, four times as wide in between."""

    c_fc: Conv1D
    c_proj: Conv1D
    dropout: nn.Dropout

    def __init__(self, config: GPT2Config) -> None:
        self.c_fc = Conv1D(config.n_embd, 4 * config.n_embd)
        self.c_proj = Conv1D(4 * config.n_embd, config.n_embd, 0.02 / (2 * config.n_layer) ** 0.5)
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
        self.ln_1, self.ln_2 = nn.LayerNorm(config.n_embd), nn.LayerNorm(config.n_embd)
        self.attn, self.mlp = Attention(config), MLP(config)

    def __call__(self, x: Tensor) -> Tensor:
        """x (B, T, C) → (B, T, C)."""
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


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

    def __init__(self, config: GPT2Config | None = None) -> None:
        config = config or GPT2Config()
        small = partial(nn.init.normal, std=0.02)
        self.wte = nn.Embedding(config.vocab_size, config.n_embd, init=small)
        self.wpe = nn.Embedding(config.n_positions, config.n_embd, init=small)
        self.drop = nn.Dropout(config.dropout)
        self.h = [Block(config) for _ in range(config.n_layer)]
        self.ln_f = nn.LayerNorm(config.n_embd)

    def __call__(self, tokens: Tensor) -> Tensor:
        """tokens (B, T) integers → logits (B, T, V)."""
        places = kj.arange(tokens.shape[-1])
        x = self.drop(self.wte(tokens) + self.wpe(places))
        for block in self.h:
            x = block(x)
        return self.ln_f(x) @ self.wte.weight.T
