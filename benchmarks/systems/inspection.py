"""`kedja inspect` on data with planted defects, and on the same data clean.

Bases: scikit-learn's digits as pictures, and a generated table of numbers and categories with
three classes that overlap a little. Ten seeds each draw what is planted, and where:

| defect             | what is planted                                                           |
|--------------------|---------------------------------------------------------------------------|
| duplicates         | 10 examples again, with their labels                                      |
| near-duplicates    | 10 examples again, with a little noise                                    |
| conflicting labels | 8 examples again, with another label, which is a wrong one, too           |
| wrong labels       | 2 % of the labels replaced by another class                               |
| leaks              | 10 training examples in the test data; in the table, a column made of the |
|                    | label, too                                                                |
| broken column      | by turns: stuck for 12 rows, a unit changed from a row on, −999 here and  |
|                    | there; of pictures: 3 are blank                                           |

Not here: the checks (`kedja/inspection`). Next: `__main__.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.systems.results import Chosen, Result
from kedja.data import digits
from kedja.inspection import Report, checks, inspect_arrays, label_noise, wrong_labels
from kedja.inspection.arrays import pictures
from kedja.inspection.look import Look
from kedja.inspection.subject import Labels, Subject
from kedja.inspection.tables import table

TITLE = "The data itself: planted defects found by `kedja inspect`"

SEEDS = 10
NOISE = 0.02
COLUMNS = 7
COLOURS = ("red", "green", "blue")
Array = np.ndarray[Any, np.dtype[Any]]


@dataclass
class Plan:
    """Examples with labels, and what was planted: rows by the name of the check."""

    x: Array
    y: Array
    test_x: Array
    test_y: Array
    planted: dict[str, set[int]]


# ----------------------------------------------------------------------------------------- bases


def clean_digits(seed: int) -> Plan:
    """The digits, in an order drawn by the seed."""
    found = digits.load()
    x = np.concatenate([found.train.inputs, found.test.inputs])
    y = np.concatenate([found.train.targets, found.test.targets])
    order = np.random.default_rng(seed).permutation(len(y))
    train, test = order[:1440], order[1440:]
    return Plan(x[train], y[train], x[test], y[test], {})


def clean_table(seed: int, count: int = 1500) -> Plan:
    """Six numbers (one with a long tail) and a category, of three classes."""
    rng = np.random.default_rng(seed)
    total = count + count // 4
    y = rng.integers(0, 3, total)
    centres = rng.normal(size=(3, 5)) * 2.2
    x = np.column_stack([centres[y] + rng.normal(size=(total, 5)), rng.lognormal(3, 0.8, total)])
    x = np.column_stack([x * (1, 10, 3, 0.5, 7, 1) + (40, 200, 40, 5, 70, 0), y])
    x[:, 6] = np.where(rng.random(total) < 0.6, y, rng.integers(0, 3, total))  # the category
    return Plan(x[:count].round(3), y[:count], x[count:].round(3), y[count:], {})


# -------------------------------------------------------------------------------------- planting


def plant(plan: Plan, seed: int, noise: float = NOISE) -> Plan:
    """All defects at once."""
    rng = np.random.default_rng(1000 + seed)
    count, classes = len(plan.y), int(plan.y.max()) + 1
    rows = rng.permutation(count)
    wrong, rest = rows[: round(noise * count)], rows[round(noise * count) :]
    again, near, other, leaked, broken = np.split(rest[:200], (10, 20, 28, 38))
    broken_rows = _break(plan, broken[:3], seed)
    y = plan.y.copy()
    y[wrong] = (y[wrong] + rng.integers(1, classes, len(wrong))) % classes
    if plan.x.ndim == 2:
        plan = _given_away(plan, y, rng)
    noisy = _noisy(plan.x[near], rng)
    x = np.concatenate([plan.x, plan.x[again], noisy, plan.x[other]])
    labels = np.concatenate([y, y[again], y[near], (plan.y[other] + 1) % classes])
    test_x = np.concatenate([plan.test_x, plan.x[leaked]])
    planted = {
        "wrong labels": {*wrong.tolist(), *range(count + 20, count + 28)},
        "duplicates": {*range(count, count + 10)},
        "near-duplicates": {*range(count + 10, count + 20)},
        "conflicting labels": {*range(count + 20, count + 28)},
        "leaks": {*range(len(plan.test_y), len(test_x))},
        **broken_rows,
    }
    return Plan(x, labels, test_x, np.concatenate([plan.test_y, plan.y[leaked]]), planted)


def _given_away(plan: Plan, y: Array, rng: np.random.Generator) -> Plan:
    """With one column more, which is made of the label."""
    columns = [labels * 10 + rng.normal(size=len(labels)) for labels in (y, plan.test_y)]
    x, test_x = (
        np.column_stack([old, new.round(3)])
        for old, new in zip((plan.x, plan.test_x), columns, strict=True)
    )
    return Plan(x, plan.y, test_x, plan.test_y, {})


def _noisy(x: Array, rng: np.random.Generator) -> Array:
    """A little noise: one grey level in a few pixels, a thousandth in the numbers of a table."""
    if x.ndim == 3:
        changed = x.astype(np.int64)
        changed[rng.random(x.shape) < 0.1] += 1
        return changed.clip(0, 16).astype(x.dtype)
    out = x.copy()
    out[:, :6] *= 1 + 0.0005 * rng.normal(size=(len(x), 6))
    return out.round(3)


def _break(plan: Plan, rows: Array, seed: int) -> dict[str, set[int]]:
    """Break a column of a table, or some pictures; what was broken, by the name of the check."""
    if plan.x.ndim == 3:
        plan.x[rows] = 0
        return {"blank pictures": {*rows.tolist()}}
    kind = seed % 3
    if kind == 0:
        plan.x[300:312, 1] = plan.x[300, 1]
        return {"broken columns": {*range(300, 312)}}
    if kind == 1:
        plan.x[1100:, 2] = (plan.x[1100:, 2] * 1000).round(3)
        return {"broken columns": {*range(1100, len(plan.x))}}
    plan.x[rows, 4] = -999
    return {"missing values": {*rows.tolist()}}


# --------------------------------------------------------------------------------------- looking


def look(plan: Plan) -> Look:
    """The data and its test data, as `kedja inspect` looks at them."""
    if plan.x.ndim == 3:
        parts = (
            pictures("digits", x, Labels("digit", tuple("0123456789"), y))
            for x, y in ((plan.x, plan.y), (plan.test_x, plan.test_y))
        )
        return Look(*parts)
    return Look(_table("table", plan.x, plan.y), _table("test", plan.test_x, plan.test_y))


def report(plan: Plan) -> Report:
    """What `kedja inspect` says of the data and its test data."""
    return checks.of(look(plan))


def at_half(of: Look, planted: set[int]) -> float:
    """The recall of the ranking by doubt, as deep as half of those above are wrong labels."""
    assert of.probabilities is not None
    assert of.data.labels is not None
    p, y = of.probabilities, of.data.labels.codes[of.labelled]
    order = of.labelled[wrong_labels.ranked(label_noise.noise(p, y))]
    right = np.cumsum(np.isin(order, list(planted)))
    deep = right[right >= 0.5 * np.arange(1, len(order) + 1)]
    return float(deep[-1]) / len(planted) if len(deep) else 0.0


def _table(name: str, x: Array, y: Array) -> Subject:
    columns = {f"measure {place}": [f"{v:.10g}" for v in x[:, place]] for place in range(6)}
    columns["colour"] = [COLOURS[int(code)] for code in x[:, 6]]
    if x.shape[1] > COLUMNS:
        columns["booked"] = [f"{v:.3f}" for v in x[:, COLUMNS]]
    columns["class"] = ["abc"[code] for code in y]
    places = [f"line {number}" for number in range(2, len(y) + 2)]
    return table(name, columns, places, "class")


@dataclass
class Score:
    """How many of the planted examples were found, how many of those found were planted, by set."""

    counts: list[tuple[int, int, int]] = field(default_factory=list)  # planted, found, right

    def add(self, planted: set[int], found: set[int]) -> None:
        """Count one data set."""
        self.counts.append((len(planted), len(found), len(planted & found)))

    @property
    def recalls(self) -> list[float]:
        """Of each set, the share of the planted ones that were found."""
        return [right / max(planted, 1) for planted, _, right in self.counts]

    @property
    def precisions(self) -> list[float]:
        """Of each set, the share of the found ones that were planted."""
        return [right / max(found, 1) for _, found, right in self.counts]

    @property
    def recall(self) -> float:
        """The share of the planted ones of all sets that were found."""
        return sum(right for *_, right in self.counts) / max(sum(n for n, *_ in self.counts), 1)

    @property
    def precision(self) -> float:
        """The share of the found ones of all sets that were planted."""
        return sum(right for *_, right in self.counts) / max(sum(n for _, n, _ in self.counts), 1)

    @property
    def missed(self) -> int:
        """The sets in which nothing that was planted was found."""
        return sum(right == 0 for *_, right in self.counts)


def run(chosen: Chosen) -> Iterator[Result]:
    """A row for each kind of defect and base, and one for the clean data."""
    seeds = 2 if chosen.quick else SEEDS
    for name, base in (("digits", clean_digits), ("table", clean_table)):
        scores: dict[str, Score] = {}
        ranked: list[float] = []
        alarms, giveaways = 0, 0
        for seed in range(seeds):
            alarms += len(report(base(seed)).defects)
            plan = plant(base(seed), seed)
            looked = look(plan)
            found = checks.of(looked)
            ranked.append(at_half(looked, plan.planted["wrong labels"]))
            giveaways += any("gives the target away" in each.what for each in found.defects)
            for check, rows in plan.planted.items():
                scores.setdefault(check, Score()).add(rows, _rows(found, check))
        yield from (_row(name, check, score) for check, score in scores.items())
        yield _ranked(name, ranked)
        if name == "table":
            text = f"{giveaways} of {seeds}"
            yield Result("table: column made of the label", text, "all", giveaways == seeds)
        text = f"{alarms} in {seeds} data sets"
        yield Result(f"{name}, clean: defects reported", text, "none", alarms == 0)
    yield _real()


REAL = ("iris", "wine", "breast_cancer", "digits", "diabetes")


def _real() -> Result:
    """Scikit-learn's bundled tables as they are, in which nobody planted anything."""
    from sklearn import datasets

    alarms = []
    for name in REAL:
        found = getattr(datasets, f"load_{name}")()
        names = [str(each) for each in found.feature_names]
        defects = inspect_arrays(found.data, found.target, names=names).defects
        alarms += [f"{name}: {each.check}" for each in defects]
    text = f"{len(alarms)} in {len(REAL)} data sets"
    note = "; ".join(alarms) or ", ".join(REAL)
    return Result("scikit-learn's tables: defects reported", text, "none", not alarms, note=note)


def _rows(found: Report, check: str) -> set[int]:
    """The rows that defects of a check name."""
    return {row for each in found.defects if each.check == check for row in each.rows}


def _ranked(name: str, recalls: list[float]) -> Result:
    figure = f"{np.mean(recalls):.1%}, least of all sets {min(recalls):.1%}"
    note = f"by set: {', '.join(f'{each:.0%}' for each in recalls)}"
    what = f"{name}: 2 % wrong labels, recall at 50 % precision"
    return Result(what, figure, "80 % in each set", min(recalls) >= 0.8, note=note)


def _row(name: str, check: str, score: Score) -> Result:
    figure = f"recall {score.recall:.1%}, precision {score.precision:.1%}"
    if check == "wrong labels":
        least = f"least of all sets {min(score.recalls):.1%} and {min(score.precisions):.1%}"
        met = min(score.recalls) >= 0.8 and min(score.precisions) >= 0.5
        goal = "recall 80 %, precision 50 %, in each set"
        note = f"recall by set: {', '.join(f'{each:.0%}' for each in score.recalls)}"
        return Result(
            f"{name}: 2 % wrong labels, listed", f"{figure}; {least}", goal, met, note=note
        )
    note = "" if check != "conflicting labels" else "both examples of a pair are named"
    sets = len(score.counts)
    text = f"in {sets - score.missed} of {sets}; {figure}"
    return Result(f"{name}: {check}", text, "in all", not score.missed, note=note)
