"""The recipe in PyTorch, eager, as nanoGPT's `train.py` has it; AdamW updates fused.

The windows are gathered from one tensor, which is faster than nanoGPT's stack of slices. Next:
`__main__.py`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from benchmarks.handed import side
from benchmarks.nanogpt.recipe import Handed, Recipe
from benchmarks.torch_side.networks import GPT2

EVALUATED = 32  # windows in a batch of the evaluation
FIRST = 10  # losses that are compared


def network(handed: Handed) -> GPT2:
    """The model with the weights that both begin with; PyTorch's linear layers have them turned."""
    recipe = handed.recipe
    names = ("vocabulary", "layers", "heads", "width", "context")
    model = GPT2({name: getattr(recipe, name) for name in names})
    turned = (".c_attn.weight", ".c_fc.weight", ".c_proj.weight")
    found = {
        name: torch.from_numpy(array.T.copy() if name.endswith(turned) else array)
        for name, array in handed.weights.items()
    }
    model.load_state_dict(found)
    return model


def optimizer(model: GPT2, recipe: Recipe) -> torch.optim.Optimizer:
    """AdamW, decay on matrices alone."""
    parameters = list(model.parameters())
    groups = [
        {"params": [p for p in parameters if p.dim() > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in parameters if p.dim() <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=recipe.lr, betas=recipe.betas, fused=True)


def loss_of(model: GPT2, tokens: torch.Tensor, recipe: Recipe) -> Any:
    """Nats per token of windows (B, T + 1)."""
    with autocast(recipe):
        logits = model(tokens[:, :-1])
        y = tokens[:, 1:].reshape(-1)
        return functional.cross_entropy(logits.reshape(-1, logits.shape[-1]), y)


def autocast(recipe: Recipe) -> AbstractContextManager[Any]:
    """Half products, where the recipe asks for them."""
    if recipe.precision is None:
        return nullcontext()
    found: AbstractContextManager[Any] = torch.autocast("cpu", getattr(torch, recipe.precision))
    return found


def train(model: GPT2, handed: Handed) -> list[float]:
    """All steps; the losses of the first ones."""
    recipe, opt = handed.recipe, optimizer(model, handed.recipe)
    tokens = torch.from_numpy(handed.train.astype(np.int64))
    starts = torch.from_numpy(handed.starts.astype(np.int64))
    reach = torch.arange(recipe.context + 1)
    first = []
    for step in range(recipe.steps):
        for group in opt.param_groups:
            group["lr"] = recipe.rate(step)
        loss = loss_of(model, tokens[starts[step][:, None] + reach], recipe)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
        opt.step()
        opt.zero_grad(set_to_none=True)
        if step < FIRST:
            first.append(loss.item())
    return first


@torch.no_grad()
def evaluate(model: GPT2, handed: Handed) -> float:
    """Nats per token of the whole held-out text, window after window, each token once."""
    size = handed.recipe.context
    tokens = torch.from_numpy(handed.held.astype(np.int64))
    whole = (len(tokens) - 1) // size
    starts = torch.arange(whole)[:, None] * size
    parts = [
        *tokens[starts + torch.arange(size + 1)].split(EVALUATED),
        tokens[None, whole * size :],
    ]
    counts = [len(part) * (part.shape[1] - 1) for part in parts]
    total = sum(
        loss_of(model, part, handed.recipe).item() * count
        for part, count in zip(parts, counts, strict=True)
        if count
    )
    return float(total / (len(tokens) - 1))


def run(handed: Handed) -> Mapping[str, Any]:
    """Train, then evaluate on the whole held-out text."""
    torch.set_num_threads(handed.recipe.threads)
    model = network(handed)
    start = time.perf_counter()
    first = train(model, handed)
    trained = time.perf_counter() - start
    loss = evaluate(model, handed)
    return {
        "loss": loss,
        "first_losses": first,
        "seconds": time.perf_counter() - start,
        "compile_seconds": 0.0,
        "step_seconds": trained / handed.recipe.steps,
    }


if __name__ == "__main__":
    side(run, Handed)
