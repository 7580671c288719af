"""`python -m benchmarks.names LIST…`: names that RNN, LSTM, GRU and GPT invent, side by side.

    python -m benchmarks.names spells.txt
    python -m benchmarks.names names.txt --steps 500 --models gru,gpt

Each model is trained by `kedja train` with what that chooses, on nine tenths of the list (of
several lists together), and asked for 200 names that are not in it. Bits per character are those of
the tenth that was held out: the mean of −log₂ P over letters and ends of names. Not here: the
training (`kedja/cli/language`). Next: `nanogpt/__main__.py`.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from kedja import models
from kedja.data import text as textfile

MODELS = ("rnn", "lstm", "gru", "gpt")
WANTED = 200
AT_ONCE = 100
MOST = 50  # times so many are asked for before a model is given up
LONGEST = 64


class Found(NamedTuple):
    """A model's figures, its new names, and how many of all that it invented were in the list."""

    results: dict[str, Any]
    names: list[str]
    copies: int
    drawn: int

    @property
    def bits(self) -> float:
        """Bits per character of the held-out names."""
        return float(self.results["test_loss"]) / math.log(2)


def trained(model: str, chosen: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """What `kedja train` reports of a run in a process of its own."""
    run = ["train", *chosen.lists, "--model", model, "--samples", "0", "--json"]
    run += ["--out", str(folder), "--seed", str(chosen.seed), "--lines"]
    run += [] if chosen.steps is None else ["--steps", str(chosen.steps)]
    command = [sys.executable, "-m", "kedja", *run]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def invented(folder: Path, prompt: str, seed: int) -> Iterator[str]:
    """Names without an end, in the order of drawing."""
    saved = models.load(folder)
    for turn in range(MOST):
        samples = models.generate(
            saved.model,
            prompt,
            saved.tokenizer,
            tokens=LONGEST,
            stop="\n",
            count=AT_ONCE,
            seed=seed + turn,
        )
        yield from (sample.text for sample in samples)


def new_names(names: Iterator[str], known: set[str]) -> tuple[list[str], int, int]:
    """The first 200 different ones that are not known; how many copies came, how many in all.

    >>> new_names(iter(["ada", "bea", "zoa", "zoa"]), {"ada"})
    (['bea', 'zoa'], 1, 4)
    """
    found: dict[str, None] = {}
    copies = drawn = 0
    for name in names:
        drawn += 1
        copies += name in known
        if name.strip() and name not in known:
            found.setdefault(name)
        if len(found) == WANTED:
            break
    return list(found), copies, drawn


def measured(model: str, chosen: argparse.Namespace, known: set[str]) -> Found:
    """One model: trained, evaluated, asked."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / model
        results = trained(model, chosen, folder)
        prompt = results["tags"][0] if results["tags"] else ""
        return Found(results, *new_names(invented(folder, prompt, chosen.seed), known))


def line(found: Found) -> str:
    """The row of a model."""
    results = found.results
    return (
        f"{results['model']:5} {results['parameters']:>9,} parameters  {found.bits:.3f} bits per "
        f"character  {results['train_seconds']:6.1f} s  {len(found.names)} new names, "
        f"{found.copies / found.drawn:.1%} of {found.drawn} were copies"
    )


def options(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.names",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("lists", nargs="+", help="text files of a name in each line")
    add("--models", default=",".join(MODELS), help="all, or some, with commas")
    add("--steps", type=int, help="of training, unless as kedja chooses")
    add("--seed", type=int, default=0)
    add("--show", type=int, default=12, help="how many of the new names are shown (12)")
    return parser.parse_args(arguments)  # fmt: skip


def main(arguments: Sequence[str]) -> None:
    """Train, evaluate and ask each model; one row each, and some of its names."""
    chosen = options(arguments)
    known = {text.strip() for file in chosen.lists for _, text in textfile.lines(file)}
    print(f"{len(known):,} names in {', '.join(Path(file).name for file in chosen.lists)}")
    for model in chosen.models.split(","):
        found = measured(model, chosen, known)
        print(line(found), flush=True)
        print(f"      {', '.join(found.names[: chosen.show])}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
