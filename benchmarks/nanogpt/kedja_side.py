"""The recipe in kedja. Next: `torch_side.py`."""

from __future__ import annotations

import time
from collections.abc import Mapping

import kedja as kj
from benchmarks.handed import side
from benchmarks.nanogpt.recipe import Handed, Recipe
from kedja.data.corpus import Corpus
from kedja.data.tokenizer import Characters
from kedja.models import GPT2, GPT2Config
from kedja.train import fit_language


def network(recipe: Recipe) -> GPT2:
    """The model, with weights drawn by the recipe's seed."""
    kj.random.seed(recipe.seed)
    config = GPT2Config(
        vocab_size=recipe.vocabulary,
        n_positions=recipe.context,
        n_embd=recipe.width,
        n_layer=recipe.layers,
        n_head=recipe.heads,
        dropout=0.0,
    )
    return GPT2(config)


def optimizer(recipe: Recipe) -> kj.optim.Optimizer:
    """AdamW with its schedule, decay on matrices alone."""
    rate = kj.optim.WarmupCosineLR(recipe.lr, recipe.warmup, recipe.steps, recipe.final)
    return kj.optim.no_decay(
        kj.optim.AdamW(rate, betas=recipe.betas, weight_decay=recipe.weight_decay)
    )


def run(handed: Handed) -> Mapping[str, float]:
    """Train, then evaluate on the whole held-out text."""
    recipe = handed.recipe
    letters = Characters("".join(chr(0x100 + i) for i in range(recipe.vocabulary)))
    model = network(recipe)
    start = time.perf_counter()
    history = fit_language(
        model,
        Corpus(handed.train, letters),
        Corpus(handed.held, letters),
        steps=recipe.steps,
        batch_size=recipe.batch,
        optimizer=optimizer(recipe),
        clip_norm=recipe.clip,
        seed=recipe.seed,
        threads=recipe.threads,
        precision=recipe.precision,
        progress=False,
    )
    return {
        "loss": history.validation["loss"],
        "first_losses": [float(each) for each in history.losses[:10]],
        "seconds": time.perf_counter() - start,
        "compile_seconds": history.compile_seconds,
        "step_seconds": 1 / history.steps_per_second,
    }


if __name__ == "__main__":
    side(run, Handed)
