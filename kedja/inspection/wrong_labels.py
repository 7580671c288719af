"""Labels that a cross-validated model doubts: which, how sure, and whether there are any at all.

*Which.* Confident learning: an example labelled i counts as one of class j where the out-of-fold
probability of j is at least what it is on average for examples labelled j. Source: C. Northcutt,
L. Jiang, I. Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels", JAIR 70 (2021).

*How sure.* Probabilities of a network are p_T = softmax(log p / T) for an unknown temperature T,
and a share η of the labels may have been replaced by one drawn from all K classes:

    P(label = k | x) = (1 − η) p_T(k | x) + η / K

T and η are those of the largest likelihood of the labels as they stand. The probability that an
example's label was replaced, (η/K) / P(label | x), is what makes a doubt.

*Whether at all.* Hard examples, too, are taken for others. They are if η = 0 explains the labels
as well: twice the difference of the log-likelihoods is then 0 or distributed as χ² with one degree
of freedom, each in half of the cases (S. Self, K.-Y. Liang, 1987: η on its boundary).

Not here: the model (`model.py`), numbers as labels (`outliers.py`). Next: `leaks.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from kedja.ground.suggest import listed
from kedja.inspection.chance import LEVEL, chi2_tail, said
from kedja.inspection.finding import Finding, Severity
from kedja.inspection.look import Look
from kedja.inspection.subject import Array

# To overlook a wrong label costs as much as to look at nine right ones, so an example is worth a
# look from a probability of 1 / (1 + 9) on; but two of three that are listed should be wrong.
WORTH_A_LOOK = 0.1
EXPECTED_RIGHT = 2 / 3
# Fewer wrong labels change no accuracy that is worth reporting; and so few may be what the model of
# the labels leaves out, which many examples make sure of.
MEANINGFUL = 0.002
_LEAST = 1e-12


@dataclass(frozen=True)
class Noise:
    """The model of the labels: temperature T, share η of replaced ones, and how sure η > 0 is.

    `replaced` (N,) is the probability that a label was replaced by another one.
    """

    temperature: float
    share: float
    chance: float
    replaced: Array
    probabilities: Array


def noise(p: Array, y: Array) -> Noise:
    """The model of labels y int (N,), given out-of-fold probabilities p (N, K)."""
    logs = np.log(np.maximum(p, _LEAST))
    temperatures, shares = np.geomspace(0.1, 6, 47), np.r_[0, np.geomspace(1e-4, 0.6, 60)]
    best = np.array([_likelihoods(logs, y, t, shares) for t in temperatures])  # (T, η)
    t, e = np.unravel_index(int(best.argmax()), best.shape)
    gain = 2 * float(best[t, e] - best[:, 0].max())
    tempered = _tempered(logs, float(temperatures[t]))
    other, own = float(shares[e]) / p.shape[1], tempered[np.arange(len(y)), y]
    # A replacement may draw the class that the example has: that one is no wrong label.
    wrong = other * (1 - own)
    replaced = wrong / ((1 - shares[e]) * own + other + 1e-300)
    share = float(shares[e]) * (1 - 1 / p.shape[1])
    chance = chi2_tail(gain) / 2 if gain > 0 else 1.0
    return Noise(float(temperatures[t]), share, chance, replaced, tempered)


def _tempered(logs: Array, temperature: float) -> Array:
    scaled = logs / temperature
    powers = np.exp(scaled - scaled.max(1, keepdims=True))
    answers: Array = powers / powers.sum(1, keepdims=True)
    return answers


def _likelihoods(logs: Array, y: Array, temperature: float, shares: Array) -> Array:
    """The log-likelihood for each share η: (η,)."""
    own = _tempered(logs, temperature)[np.arange(len(y)), y][:, None]  # (N, 1)
    found: Array = np.log((1 - shares) * own + shares / logs.shape[1] + 1e-300).sum(0)
    return found


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


def ranked(p: Array, found: Noise, y: Array) -> Array:
    """The examples for which the model prefers another class, the surest first."""
    order = np.argsort(-found.replaced, kind="stable")
    others: Array = order[p.argmax(1)[order] != y[order]]
    return others


def doubts(p: Array, found: Noise, y: Array) -> Array:
    """The examples in doubt, the surest first: those `WORTH_A_LOOK`, as many as keep
    `EXPECTED_RIGHT` of them right.
    """
    order = ranked(p, found, y)
    right = np.cumsum(found.replaced[order]) / np.arange(1, len(order) + 1)
    worth = (right >= EXPECTED_RIGHT) & (found.replaced[order] >= WORTH_A_LOOK)
    chosen: Array = order[: int(worth.sum())]
    return chosen


def doubted_labels(look: Look) -> Iterator[Finding]:
    """Labels that are probably wrong: a defect where chance does not explain that there are any."""
    p, labels = look.probabilities, look.data.labels
    if p is None or labels is None or look.data.items is not None:
        return
    y = labels.codes[look.labelled]
    found = noise(p, y)
    chosen = doubts(p, found, y)
    if found.chance > LEVEL or not len(chosen):
        return
    rows = look.labelled[chosen]
    better = p[chosen].argmax(1)
    pairs = Counter(
        f"{labels.classes[y[row]]} → {labels.classes[new]}"
        for row, new in zip(chosen.tolist(), better.tolist(), strict=True)
    )
    joint = int((confident(p, y) != y).sum())
    severity: Severity = "defect" if found.share >= MEANINGFUL else "notice"
    sure = f"{found.replaced[chosen].mean():.0%} of them are expected to be wrong"
    yield Finding(
        "wrong labels",
        severity,
        f"about {100 * found.share:.2g} % of the labels are wrong; {len(rows):,} examples are in "
        f"doubt, first {listed(look.data.named(rows), 3)}",
        "look at them, the surest come first, and correct or remove those that are wrong",
        [
            f"{place}: {labels.classes[y[row]]}, rather {labels.classes[new]}"
            for place, row, new in zip(
                look.data.named(rows), chosen.tolist(), better.tolist(), strict=True
            )
        ],
        rows.tolist(),
        found.chance,
        f"{sure}; any at all {said(found.chance)}",
        {
            "share": found.share,
            "confident_learning": joint,
            "suggested": [labels.classes[new] for new in better.tolist()],
            "probability_wrong": [round(float(each), 4) for each in found.replaced[chosen]],
            "confusions": dict(pairs.most_common(10)),
        },
    )
