"""Labels that a cross-validated model doubts: which, how sure, and whether there are any at all.

How likely it is that a label was replaced, and whether any was, says the model of the labels
(`label_noise.py`). Listed are the surest first, down to where overlooking a wrong label costs less
than looking at right ones. Beside it stands the count by confident learning: an example labelled i
counts as one of class j where the out-of-fold probability of j is at least what it is on average
for examples labelled j. Source: C. Northcutt, L. Jiang, I. Chuang, "Confident Learning: Estimating
Uncertainty in Dataset Labels", JAIR 70 (2021).

Not here: the network (`model.py`), numbers as labels (`outliers.py`). Next: `leaks.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from kedja.ground.suggest import listed
from kedja.inspection.chance import LEVEL, said
from kedja.inspection.finding import Finding, Severity
from kedja.inspection.label_noise import Noise, noise
from kedja.inspection.look import Look
from kedja.inspection.subject import Array, Labels

# To overlook a wrong label costs as much as to look at nine right ones, so an example is worth a
# look from a probability of 1 / (1 + 9) on; but two of three that are listed should be wrong.
WORTH_A_LOOK = 0.1
EXPECTED_RIGHT = 2 / 3
# Fewer wrong labels change no accuracy that is worth reporting; and so few may be what the model of
# the labels leaves out, which many examples make sure of.
MEANINGFUL = 0.002
# Of the examples that a model takes for others, so many must be wrong ones: where nearly all of
# them are hard, a small flaw in what is made of those would look the same.
AMONG_HARD = 0.15
# Of fewer examples that a model takes for others nothing is said, where they may be hard.
FEWEST_HARD = 5


def confident(p: Array, y: Array) -> Array:
    """The class that each example counts as by confident learning, int (N,): y where not in doubt.

    >>> p = np.array([[0.9, 0.1], [0.8, 0.2], [0.2, 0.8], [0.1, 0.9], [0.05, 0.95]])
    >>> confident(p, np.array([0, 0, 1, 1, 0])).tolist()
    [0, 0, 1, 1, 1]
    """
    classes = p.shape[1]
    averages = [p[y == k, k].mean() if (y == k).any() else np.inf for k in range(classes)]
    counted = np.where(p >= np.array(averages), p, -1.0)
    best = counted.argmax(1)
    found: Array = np.where(counted.max(1) >= 0, best, y)
    return found


def ranked(found: Noise) -> Array:
    """The examples, the most doubtful first."""
    order: Array = np.argsort(-found.replaced, kind="stable")
    return order


def doubts(found: Noise) -> Array:
    """The examples in doubt, the surest first: those `WORTH_A_LOOK`, as many as keep
    `EXPECTED_RIGHT` of them right.
    """
    order = ranked(found)
    right = np.cumsum(found.replaced[order]) / np.arange(1, len(order) + 1)
    worth = (right >= EXPECTED_RIGHT) & (found.replaced[order] >= WORTH_A_LOOK)
    chosen: Array = order[: int(worth.sum())]
    return chosen


def doubted_labels(look: Look) -> Iterator[Finding]:
    """Labels that are probably wrong, where chance does not explain that there are any; otherwise
    those that are hard or wrong, which cannot be told apart.
    """
    p, labels = look.probabilities, look.data.labels
    if p is None or labels is None or look.data.items is not None:
        return
    y = labels.codes[look.labelled]
    found = noise(p, y)
    chosen, counted = doubts(found), confident(p, y)
    if found.chance <= LEVEL and len(chosen):
        classes = found.classes[chosen]
        classes[np.arange(len(chosen)), y[chosen]] = 0
        better = _Better.of(look, labels, chosen, classes.argmax(1))
        severity = _severity(found.share, float((p.argmax(1) != y).mean()))
        count = int((counted != y).sum())
        yield _wrong(severity, better, found, found.replaced[chosen], count)
    elif (counted != y).sum() >= FEWEST_HARD:
        margin = p[np.arange(len(y)), counted] - p[np.arange(len(y)), y]
        hard = np.flatnonzero(counted != y)
        hard = hard[np.argsort(-margin[hard], kind="stable")]
        yield _hard(_Better.of(look, labels, hard, counted[hard]), margin[hard])


class _Better(NamedTuple):
    """Examples with their labels and the classes that seem better, the surest first."""

    rows: list[int]
    places: Sequence[str]
    given: list[str]
    better: list[str]

    @staticmethod
    def of(look: Look, labels: Labels, chosen: Array, codes: Array) -> _Better:
        """Of the `chosen` (n,) of those that have a label, and the better classes (n,)."""
        rows = look.labelled[chosen].tolist()
        given = [labels.text(row) for row in rows]
        return _Better(rows, look.data.named(rows), given, [labels.classes[c] for c in codes])

    @property
    def where(self) -> list[str]:
        """Each example as it is listed."""
        each = zip(self.places, self.given, self.better, strict=True)
        return [f"{place}: {old}, rather {new}" for place, old, new in each]

    @property
    def confusions(self) -> dict[str, int]:
        """How often which label should be which other one, the commonest first."""
        pairs = zip(self.given, self.better, strict=True)
        return dict(Counter(f"{old} → {new}" for old, new in pairs).most_common(10))


def _severity(share: float, error: float) -> Severity:
    """Of a share of wrong labels, beside that of the examples that a model takes for others.

    >>> _severity(0.02, 0.08), _severity(0.02, 0.2), _severity(0.001, 0.001)
    ('defect', 'notice', 'notice')
    """
    return "defect" if share >= max(MEANINGFUL, AMONG_HARD * error) else "notice"


def _wrong(
    severity: Severity, doubted: _Better, found: Noise, probable: Array, counted: int
) -> Finding:
    return Finding(
        "wrong labels",
        severity,
        f"about {100 * found.share:.2g} % of the labels are wrong; "
        f"{_in_doubt(len(doubted.rows))}, first {listed(doubted.where, 3)}",
        "look at them, the surest come first, and correct or remove those that are wrong",
        doubted.where,
        doubted.rows,
        found.chance,
        f"{probable.mean():.0%} of them are expected to be wrong; any at all {said(found.chance)}",
        {
            "share": found.share,
            "confident_learning": counted,
            "suggested": doubted.better,
            "probability_wrong": [round(float(each), 4) for each in probable],
            "confusions": doubted.confusions,
        },
    )


def _in_doubt(count: int) -> str:
    return "1 example is in doubt" if count == 1 else f"{count:,} examples are in doubt"


def _hard(doubted: _Better, margin: Array) -> Finding:
    return Finding(
        "hard labels",
        "notice",
        f"{len(doubted.rows):,} labels are not what a model makes of the others, first "
        f"{listed(doubted.where, 3)}",
        "look at the first: if they are wrong, so are others of them; if right, they are hard",
        doubted.where,
        doubted.rows,
        sure="wrong labels and hard examples look the same here",
        figures={
            "suggested": doubted.better,
            "margin": [round(float(each), 4) for each in margin],
            "confusions": doubted.confusions,
        },
    )
