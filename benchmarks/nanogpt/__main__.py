"""`python -m benchmarks.nanogpt TEXT`: losses and times of both sides, from several seeds.

    python -m benchmarks.nanogpt shakespeare.txt
    python -m benchmarks.nanogpt shakespeare.txt --seeds 1 --steps 100      a look
    python -m benchmarks.nanogpt shakespeare.txt --python PATH              where PyTorch is

Each side runs in a process of its own, one after the other, the first one in turns. Seconds are
those of training and of the evaluation on the whole held-out text (a tenth of it, its end), with
everything that is compiled on the way; imports do not count. The goal: losses within 0.02 of each
other, kedja in at most half of the time.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import machine
from benchmarks.handed import Figures, measured
from benchmarks.nanogpt.kedja_side import network
from benchmarks.nanogpt.recipe import Handed, Recipe
from kedja.compiler.runtime_threads import usable_cores
from kedja.data import batches
from kedja.data.corpus import Corpus
from kedja.data.text import read
from kedja.data.tokenizer import Characters

SIDES = ("kedja", "torch")
NEAR, TIMES = 0.02, 0.5  # the goal


def options(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.nanogpt",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("text", help="a text file, for instance Shakespeare's plays")
    add("--seeds", type=int, default=3, help="how many (3)")
    add("--steps", type=int, default=Recipe.steps, help=f"of training ({Recipe.steps})")
    add("--threads", type=int, default=usable_cores(), help="of either side (all cores)")
    add("--precision", choices=("bfloat16",), help="of products, on both sides")
    add("--sides", default=",".join(SIDES), help="both, or one")
    add("--python", default=sys.executable, help="the interpreter that has PyTorch")
    add("--out", type=Path, help="write the figures as JSON")
    return parser.parse_args(arguments)  # fmt: skip


def handed(chosen: argparse.Namespace, seed: int) -> Handed:
    """Text, windows and first weights of a seed."""
    text = read(chosen.text)
    corpus = Corpus.of(text, Characters.of(text))
    train, held = corpus.split(0.1)
    base = Recipe(corpus.tokenizer.size, steps=chosen.steps, seed=seed, threads=chosen.threads)
    warmup = min(base.warmup, base.steps // 2)
    recipe = replace(base, warmup=warmup, precision=chosen.precision)
    places = len(train.tokens) - recipe.context
    starts = batches.window_starts(recipe.steps * recipe.batch, places, 0, seed)
    weights = network(recipe).state_dict()
    shape = (recipe.steps, recipe.batch)
    return Handed(recipe, weights, train.tokens, held.tokens, starts.reshape(shape))


def rows(chosen: argparse.Namespace) -> list[dict[str, Any]]:
    """Both sides' figures of each seed, told as they come."""
    found = []
    sides = [side for side in SIDES if side in chosen.sides.split(",")]
    for seed in range(1, chosen.seeds + 1):
        order = sides if seed % 2 else sides[::-1]
        row = measured("benchmarks.nanogpt", handed(chosen, seed), order, chosen.python)
        found.append({"seed": seed, **row})
        for side in sides:
            print(line(f"seed {seed}  {side}", row[side]), flush=True)
    return found


def line(name: str, figures: Figures) -> str:
    """A side's figures of one seed."""
    return (
        f"{name:14} loss {figures['loss']:.4f}  {figures['seconds']:7.2f} s "
        f"({figures['compile_seconds']:.2f} s of compiling, "
        f"{figures['step_seconds'] * 1e3:.2f} ms a step)"
    )


def summary(found: Sequence[Mapping[str, Any]]) -> list[str]:
    """How far the losses are apart and how the times compare, beside the goal."""
    apart = [row["kedja"]["loss"] - row["torch"]["loss"] for row in found]
    times = [row["kedja"]["seconds"] / row["torch"]["seconds"] for row in found]
    first = max(
        float(np.abs(np.subtract(*(row[side]["first_losses"] for side in SIDES))).max())
        for row in found
    )
    return [
        f"losses apart: {', '.join(f'{each:+.4f}' for each in apart)}; mean "
        f"{statistics.mean(apart):+.4f} (goal: within {NEAR}); first steps within {first:.1e}",
        f"time, kedja / torch: {', '.join(f'{each:.2f}' for each in times)}; median "
        f"{statistics.median(times):.2f} (goal: {TIMES})",
    ]


def main(arguments: Sequence[str]) -> None:
    """Run what the command line asks for."""
    chosen = options(arguments)
    about = machine.describe()
    print(f"{about['cpu']}, {chosen.threads} threads", flush=True)
    found = rows(chosen)
    if all(side in found[0] for side in SIDES):
        print("\n".join(summary(found)))
    if chosen.out is not None:
        chosen.out.write_text(json.dumps({"machine": about, "runs": found}, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
