"""Texts from a GPT with PyTorch: keys and values are kept in tensors with room for the text.

Not here: training. Next: `networks.py`.
"""

from __future__ import annotations

import time
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.side import Runner, Spec, Timed
from benchmarks.torch_side.networks import GPT2, Attention, Block, network

FIRST = 0  # the token with which every text begins


class Cache:
    """Keys and values of one layer, (1, H, T, D) each."""

    def __init__(self, model: GPT2, attention: Attention, room: int) -> None:
        width = model.wte.weight.shape[1]
        shape = (1, attention.heads, room, width // attention.heads)
        self.key, self.value = (torch.zeros(shape, dtype=model.wte.weight.dtype) for _ in range(2))


def attended(attention: Attention, x: Tensor, cache: Cache, place: int) -> Any:
    """The next place x (1, 1, C), which looks at all before it and at itself."""
    width = x.shape[2]
    parts = attention.c_attn(x).split(width, dim=2)
    heads = attention.heads
    q, k, v = (y.view(1, 1, heads, width // heads).transpose(1, 2) for y in parts)
    cache.key[:, :, place : place + 1] = k
    cache.value[:, :, place : place + 1] = v
    keys, values = (kept[:, :, : place + 1] for kept in (cache.key, cache.value))
    y = functional.scaled_dot_product_attention(q, keys, values)
    return attention.c_proj(y.transpose(1, 2).reshape(1, 1, width))


def next_of(block: Block, x: Tensor, cache: Cache, place: int) -> Tensor:
    """One block for one place."""
    x = x + attended(block.attn, block.ln_1(x), cache, place)
    found: Tensor = x + block.mlp(block.ln_2(x))
    return found


class Generate(Runner):
    """A loop over the tokens in Python."""

    version = torch.__version__

    def __init__(self, spec: Spec) -> None:
        model = network(spec.options["network"], spec.arrays).eval()
        self.model: Any = model.to(getattr(torch, spec.options["dtype"]))
        self.tokens: int = spec.options["tokens"]
        self.caches: list[Cache] = []
        self.token = torch.tensor([[FIRST]])

    def logits(self, place: int) -> Tensor:
        """Those of the token after the present one, (1, V)."""
        model = self.model
        if place == 0:
            self.caches = [Cache(model, block.attn, self.tokens) for block in model.h]
            self.token = torch.tensor([[FIRST]])
        x = model.wte(self.token) + model.wpe.weight[place]
        for block, cache in zip(model.h, self.caches, strict=True):
            x = next_of(block, x, cache, place)
        found: Tensor = functional.linear(model.ln_f(x), model.wte.weight)[:, 0]
        return found

    @torch.inference_mode()
    def losses(self, mode: str, steps: int) -> list[float]:
        """The surprise of each of the most probable tokens."""
        found = []
        for number in range(steps):
            logits = self.logits(number).double()
            self.token = logits.argmax(1, keepdim=True)
            best = logits.log_softmax(1)[0, self.token[0, 0]]
            found.append(-best.item() / torch.log(torch.tensor(2.0)).item())
        return found

    @torch.inference_mode()
    def run(self, mode: str, steps: int) -> Timed:
        """See `Runner`."""
        start = time.perf_counter()
        for number in range(steps):
            logits = self.logits(number % self.tokens)
            self.token = torch.multinomial(logits.float().softmax(1), 1)
        return Timed(time.perf_counter() - start, steps)
