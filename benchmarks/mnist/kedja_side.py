"""The recipe in kedja. Next: `torch_side.py`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import kedja as kj
from benchmarks.handed import side
from benchmarks.mnist.recipe import Handed, Recipe
from kedja.data.augment import Augment
from kedja.data.dataset import Split
from kedja.data.pictures import Pictures
from kedja.models.cnn import CNNConfig
from kedja.train import pictures as training


def config(recipe: Recipe) -> CNNConfig:
    """The network's sizes."""
    return CNNConfig(
        (1, recipe.side, recipe.side),
        tuple(map(str, range(recipe.classes))),
        (recipe.mean,),
        (recipe.std,),
        widths=recipe.widths,
        hidden=(recipe.hidden,),
        dropout=recipe.dropout,
    )


def weights(recipe: Recipe) -> Mapping[str, Any]:
    """The first weights, under PyTorch's names of `torch_side.Network`."""
    return training.network(config(recipe), recipe.seed).state_dict()


def run(handed: Handed) -> Mapping[str, Any]:
    """Train, then test; seconds are those of both, with what is compiled on the way."""
    recipe = handed.recipe
    train, test = Split(handed.train_x, handed.train_y), Split(handed.test_x, handed.test_y)
    sizes = config(recipe)
    pictures = Pictures("mnist", sizes.classes, sizes.shape, train, test, drawn=True)
    start = time.perf_counter()
    history = training.fit_pictures(
        pictures,
        config=sizes,
        augment=Augment(recipe.shift, recipe.rotate, recipe.zoom),
        epochs=recipe.epochs,
        batch_size=recipe.batch,
        validation=False,
        seed=recipe.seed,
        optimizer=kj.optim.AdamW(recipe.lr, weight_decay=recipe.weight_decay),
        warmup=recipe.warmup,
        threads=recipe.threads,
        progress=False,
    )
    with kj.scope(threads=recipe.threads):
        found = training.evaluate_pictures(history.model, test)
    return {
        "accuracy": found.accuracy,
        "parameters": history.model.num_parameters,
        "seconds": time.perf_counter() - start,
        "compile_seconds": history.compile_seconds,
        "step_seconds": 1 / history.steps_per_second,
        "losses": [float(each) for each in history.losses[:10]],
    }


if __name__ == "__main__":
    side(run, Handed)
