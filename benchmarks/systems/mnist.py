"""MNIST: a conv net of 60,874 parameters by kedja and by PyTorch, beside two simple classifiers.

It takes some thirteen minutes on two cores with PyTorch, three without. Not here: the
recipe and its two programs (`benchmarks/mnist`). Next: `results.py`.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec

import numpy as np

from benchmarks import machine
from benchmarks.handed import Figures, measured
from benchmarks.mnist import kedja_side
from benchmarks.mnist.recipe import Handed, Recipe
from benchmarks.systems.results import Chosen, Result
from kedja.data import batches, mnist, pictures
from kedja.data.dataset import Split
from kedja.data.pictures import Pictures
from kedja.train import pictures as training

TITLE = "Pictures: handwritten digits (MNIST)"
SEEDS = (1, 2, 3)
GOAL, MOST, TIMES = 0.992, 100_000, 0.5


def run(chosen: Chosen) -> Iterator[Result]:
    """Both sides of each seed in turns, then the rows."""
    found = _pictures(chosen)
    rows = list(_rows(found, chosen))
    yield from _of_accuracy(rows, found)
    if "torch" in rows[0]:
        yield _of_time(rows)


def _pictures(chosen: Chosen) -> Pictures:
    folder = None if chosen.data is None else chosen.data / "mnist"
    found = pictures.of_dataset(mnist.load() if folder is None else mnist.from_folder(folder))
    if not chosen.quick:
        return found
    parts = (
        Split(each.inputs[:count], each.targets[:count])
        for each, count in ((found.train, 2000), (found.test, 500))
    )
    return Pictures(found.name, found.classes, found.shape, *parts, drawn=True)


def _rows(found: Pictures, chosen: Chosen) -> Iterator[dict[str, Figures]]:
    """What each side reached from each seed; the first side changes."""
    program = chosen.python or (sys.executable if find_spec("torch") else None)
    sides = ["kedja", "torch"] if program else ["kedja"]
    for place, seed in enumerate(SEEDS[: 1 if chosen.quick else None]):
        order = sides if place % 2 else sides[::-1]
        yield measured("benchmarks.mnist", handed(found, chosen, seed), order, program)


def handed(found: Pictures, chosen: Chosen, seed: int) -> Handed:
    """What both sides are given of a seed."""
    mean, std = found.moments()
    threads = chosen.threads or machine.usable_cores()
    recipe = Recipe(
        found.shape[1],
        len(found.classes),
        mean[0],
        std[0],
        seed=seed,
        threads=threads,
        epochs=1 if chosen.quick else Recipe.epochs,
        warmup=10 if chosen.quick else Recipe.warmup,
    )
    train, test = found.train, found.test
    orders = [batches.epoch_order(len(train), each, seed) for each in range(recipe.epochs)]
    order = np.stack(orders).astype(np.uint32)
    arrays = (train.inputs, train.targets, test.inputs, test.targets)
    return Handed(recipe, kedja_side.weights(recipe), *arrays, order)


def _of_accuracy(rows: Sequence[Mapping[str, Figures]], found: Pictures) -> Iterator[Result]:
    parameters = rows[0]["kedja"]["parameters"]
    yield Result("parameters", f"{parameters:,}", f"at most {MOST:,}", parameters <= MOST)
    mine = [row["kedja"]["accuracy"] for row in rows]
    peer = [row["torch"]["accuracy"] for row in rows if "torch" in row]
    near, asked = training.nearest(found.train, found.test)
    plain = [
        f"nearest neighbour on pixels {near:.1%} (of {asked:,})",
        f"logistic regression {training.pixels_logistic(found):.1%}",
    ]
    beside = [f"PyTorch, the same network: {_each(peer)}"] if peer else []
    yield Result(
        f"accuracy on the {len(found.test):,} test pictures",
        f"{_each(mine)}; mean {statistics.mean(mine):.2%}",
        f"{GOAL:.1%} from every seed",
        min(mine) >= GOAL,
        "; ".join([*beside, *plain]),
        "recipe chosen on 5,000 of the training pictures",
    )


def _of_time(rows: Sequence[Mapping[str, Figures]]) -> Result:
    ratios = [row["kedja"]["seconds"] / row["torch"]["seconds"] for row in rows]
    mine, peer = (_seconds(rows, side) for side in ("kedja", "torch"))
    ratio = statistics.median(ratios)
    return Result(
        "time of training and testing, kedja / PyTorch",
        f"{ratio:.2f} ({mine[0]:.1f} s, {mine[1] * 1e3:.2f} ms a step)",
        f"at most {TIMES}",
        ratio <= TIMES,
        f"PyTorch, eager: {peer[0]:.1f} s, {peer[1] * 1e3:.2f} ms a step",
        f"median of {len(rows)} seeds, in turns; kedja's compiling counts",
    )


def _seconds(rows: Sequence[Mapping[str, Figures]], side: str) -> tuple[float, float]:
    return (
        statistics.median(row[side]["seconds"] for row in rows),
        statistics.median(row[side]["step_seconds"] for row in rows),
    )


def _each(shares: Sequence[float]) -> str:
    return ", ".join(f"{each:.2%}" for each in shares)
