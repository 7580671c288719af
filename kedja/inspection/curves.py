"""How much data does this take? The error of networks trained on 100, 300, 1,000, … examples.

For each size several networks are trained, each on examples and from weights of its own draw, and
all are tested on the same held-out examples. What is measured is kept in a JSON file at once, so
that an interrupted curve goes on where it stopped.

Not here: the law that is fitted (`power_law.py`), the network (`model.py`). Next: `power_law.py`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kedja.data.batches import split_order
from kedja.data.dataset import divide
from kedja.ground.errors import DataError, Interrupted, MissingExtra, UsageError
from kedja.inspection import features, model, power_law, reading
from kedja.inspection.subject import Array, Subject
from kedja.io import atomic

FILE = "learning-curve.json"
SEEDS = 5
_STEPS = (1, 3)  # times the powers of ten
_SMALLEST = 30

Told = Callable[[int, int, float], None]


@dataclass(frozen=True)
class LearningCurve:
    """Errors by size: `errors[i]` are those of the networks trained on `sizes[i]` examples.

    `measure` is `wrong` (the share of wrong classes) or `rmse` (in the label's own units), on
    `tested` held-out examples.
    """

    name: str
    measure: str
    tested: int
    sizes: tuple[int, ...]
    errors: tuple[tuple[float, ...], ...]

    @property
    def means(self) -> tuple[float, ...]:
        """The mean error of each size."""
        return tuple(float(np.mean(each)) for each in self.errors)

    def interval(self, place: int) -> tuple[float, float]:
        """The 95 % interval of the mean error at a size: draws of examples and weights (t).

        The held-out examples are the same for all, and their own chance is not in it.
        """
        found = self.errors[place]
        if len(found) < 2:
            return float("nan"), float("nan")
        half = _T[min(len(found) - 1, len(_T) - 1)] * float(np.std(found, ddof=1))
        half /= len(found) ** 0.5
        return self.means[place] - half, self.means[place] + half

    @property
    def law(self) -> power_law.Law | None:
        """error(n) = a · n^(−b) + c; None for fewer than four sizes or where an error is 0."""
        if len(self.sizes) < power_law.FEWEST_SIZES or min(self.means) <= 0:
            return None
        return power_law.fit(self.sizes, self.means)

    def expected(self, n: float) -> tuple[float, float, float]:
        """The error at n examples by the law, and its interval: see `power_law.carried_on`."""
        return power_law.carried_on(self.sizes, self.errors, n)

    def to_json(self) -> dict[str, Any]:
        """A dictionary of JSON's types."""
        law = self.law
        return {
            "data": self.name,
            "measure": self.measure,
            "test_examples": self.tested,
            "sizes": list(self.sizes),
            "errors": [list(each) for each in self.errors],
            "means": list(self.means),
            "intervals": [list(self.interval(place)) for place in range(len(self.sizes))],
            "law": None if law is None else {"a": law.a, "b": law.b, "c": law.c},
        }

    def plot(self, ax: Any = None) -> Any:
        """The curve with intervals and the law, both axes logarithmic; matplotlib's axes."""
        try:
            from matplotlib.figure import Figure
        except ImportError:
            raise MissingExtra("matplotlib", "plots", "a picture of the curve") from None
        ax = Figure(figsize=(6, 4), layout="constrained").add_subplot() if ax is None else ax
        spans = np.abs([np.subtract(self.interval(i), m) for i, m in enumerate(self.means)])
        spans = np.nan_to_num(spans)
        ax.errorbar(self.sizes, self.means, yerr=spans.T, fmt="o", capsize=3, label="measured")
        if self.law is not None:
            n = np.geomspace(self.sizes[0], self.sizes[-1] * power_law.FARTHEST, 100)
            inside = n <= self.sizes[-1]
            line = ax.plot(n[inside], self.law(n[inside]), label="a · n^(−b) + c")[0]
            ax.plot(n[~inside], self.law(n[~inside]), "--", color=line.get_color())
        ax.set(
            xscale="log", yscale="log", xlabel="examples to train on", ylabel=_AXES[self.measure]
        )
        ax.legend()
        return ax


_AXES = {"wrong": "share of wrong answers", "rmse": "error (root of the mean square)"}
# Student's t for 97.5 % by degrees of freedom, from 0 (which is none).
_T = (np.nan, 12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 1.96)


def usual_sizes(count: int) -> tuple[int, ...]:
    """30, 100, 300, … up to all there are.

    >>> usual_sizes(1150)
    (30, 100, 300, 1000, 1150)
    """
    powers = (step * 10**power for power in range(1, 9) for step in _STEPS)
    sizes = [size for size in powers if _SMALLEST <= size < count]
    return (*sizes, count)


def learning_curve(
    data: str | os.PathLike[str] | Subject,
    *,
    label: str | None = None,
    sizes: Sequence[int] | None = None,
    seeds: int = SEEDS,
    folder: str | os.PathLike[str] | None = None,
    progress: Told | None = None,
) -> LearningCurve:
    """Train networks on growing parts of a data set, and test them on the same fifth.

    `sizes` are how many examples to train on (30, 100, 300, … and all, if None), `seeds` how many
    networks each. What is measured is kept in a file in `folder`; the same call goes on from there.
    `progress` is called with a size, a seed and the error. The same call gives the same errors.

    Raises UsageError for sizes that there are not, DataError for data without labels or features,
    Interrupted on Ctrl-C, whose `checkpoint` is the folder.
    """
    found = data if isinstance(data, Subject) else reading.load(data, label=label)[0]
    task = _task(found)
    chosen = _sizes(sizes, len(task.train))
    if seeds < 1:
        raise UsageError(f"seeds={seeds}", fix="give 1 or more")
    file = None if folder is None else Path(folder) / FILE
    done = _read(file, task.mark)
    try:
        for size in chosen:
            for seed in range(seeds):
                key = f"{size}/{seed}"
                if key not in done:
                    done[key] = task.error(size, seed)
                    _write(file, task.mark, done)
                if progress is not None:
                    progress(size, seed, done[key])
    except KeyboardInterrupt:
        kept = f"{len(done)} of {len(chosen) * seeds} networks are measured"
        raise Interrupted(kept, None if folder is None else str(folder)) from None
    errors = tuple(tuple(done[f"{size}/{seed}"] for seed in range(seeds)) for size in chosen)
    return LearningCurve(found.name, task.measure, len(task.test), chosen, errors)


@dataclass(frozen=True)
class _Task:
    """Features and labels, divided into rows to train on and rows to test on."""

    x: Array
    y: Array
    classes: int
    train: Array
    test: Array
    mark: str

    @property
    def measure(self) -> str:
        return "wrong" if self.classes else "rmse"

    def error(self, size: int, seed: int) -> float:
        """The error of a network trained on so many examples."""
        rows = self.train[split_order(len(self.train), seed)[:size]]
        asked = self.x[self.test]
        if self.classes:
            found = model.outputs(self.x[rows], self.y[rows], asked, self.classes, seed)
            return float((found.argmax(1) != self.y[self.test]).mean())
        mean, spread = float(self.y[rows].mean()), float(self.y[rows].std()) or 1.0
        targets = ((self.y[rows] - mean) / spread).astype(np.float32)[:, None]
        guess = model.outputs(self.x[rows], targets, asked, 1, seed)[:, 0] * spread + mean
        return float(np.sqrt(np.mean((guess - self.y[self.test]) ** 2)))


def _task(data: Subject) -> _Task:
    labels = data.labels
    if labels is None:
        raise DataError("there are no labels to learn", where=data.name, fix="name the column")
    x = features.encoder(data)(data)
    if not x.shape[1]:
        raise DataError("there is nothing to learn from", where=data.name)
    values = labels.codes if labels.values is None else labels.values
    known = np.flatnonzero(values >= 0 if labels.values is None else np.isfinite(values))
    classes = len(labels.classes)
    train, test = divide(len(known), 0, values[known] if classes else None)
    mark = f"{data.name}: {len(known)} examples, {x.shape[1]} features, {classes} classes"
    return _Task(x, values, classes, known[train], known[test], mark)


def _sizes(given: Sequence[int] | None, count: int) -> tuple[int, ...]:
    if given is None:
        return usual_sizes(count)
    chosen = tuple(sorted(set(given)))
    if not chosen or chosen[0] < 2 or chosen[-1] > count:
        what = f"sizes {', '.join(map(str, given))}"
        raise UsageError(what, fix=f"from 2 to {count:,}, the examples there are to train on")
    return chosen


def _read(file: Path | None, mark: str) -> dict[str, float]:
    """What a former call measured; UsageError where that was of other data."""
    if file is None or not file.exists():
        return {}
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
        of, errors = kept["of"], {str(key): float(value) for key, value in kept["errors"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError("no learning curve", where=str(file), fix="remove the file") from error
    if of != mark:
        what = f"the folder holds the curve of other data ({of})"
        raise UsageError(what, where=str(file), fix="name another folder")
    return errors


def _write(file: Path | None, mark: str, done: dict[str, float]) -> None:
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        content = json.dumps({"of": mark, "errors": done}, indent=1)
        atomic.write_bytes(file, f"{content}\n".encode())
