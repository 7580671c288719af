"""How labels came about: each example has a class, which a network tells by probabilities, and
some labels were replaced by another one.

Probabilities of a network are p_T = softmax(log p / T) for an unknown temperature T. The classes j
of the examples are labelled k as the rows of a matrix N say:

    P(label = k | x) = Σ_j p_T(j | x) N_jk

| explanation | N                                        | why not by chance                       |
|-------------|------------------------------------------|-----------------------------------------|
| nothing     | I: hard examples are hard                |                                         |
| any class   | (1 − η) I + η / K: replaced by one drawn | twice the difference of log-likelihoods |
|             | from all classes                         | is 0 or χ² of one degree of freedom, by |
|             |                                          | halves (S. Self, K.-Y. Liang, 1987)     |
| pairs       | any: some classes are taken for certain  | the same difference, where labels are   |
|             | others, by expectation and maximisation  | drawn from p_T with no mistake in them, |
|             | (A. Dawid, A. Skene, 1979)               | by 20 such draws (G. McLachlan, 1987)   |

All are of the largest likelihood. The explanation that chance explains least is taken. The
probability that a label was replaced, 1 − p_T(k | x) N_kk / P(label = k | x), is what makes a
doubt. With `any class` alone, a tenth of one class called another is not seen: the network learns
it, and p_T explains it.

Not here: the network (`model.py`), what is listed (`wrong_labels.py`). Next: `wrong_labels.py`.
Dimensions: N examples, K classes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from kedja.inspection.chance import chi2_tail, gamma_tail
from kedja.inspection.subject import Array

TEMPERATURES = np.geomspace(0.1, 6, 47)
SHARES = np.r_[0, np.geomspace(1e-4, 0.6, 60)]
# Pairs are asked for less finely: each temperature takes an expectation and maximisation.
_FEW_TEMPERATURES = np.geomspace(0.25, 3, 12)
_STEPS, _ENOUGH = 40, 1e-4  # of it, at most; and the change of N at which it ends
_COUNTED = 0.01  # labels that each row of N is taken to have been seen to have, in all
# So many examples tell the matrix; of more, its finest features would be those of the network.
MOST = 5_000
_DRAWS, _DRAWN = 20, 2_000  # draws without mistakes, of so many examples
# A number at its bound adds 0 or χ² of one degree of freedom: mean 1/2, variance 5/4.
_SPREAD = 2.5
# Of the chance of speaking of nothing, pairs may use this part: a matrix fits a network's own
# mistakes sooner than one share does.
_OF_PAIRS = 0.1
_LEAST = 1e-12


@dataclass(frozen=True)
class Noise:
    """How the labels are explained, and how sure it is that any was replaced.

    `temperature` is T, `share` that of replaced labels; `replaced` (N,) is the probability that an
    example's was; `classes` (N, K) are the probabilities of its class, given its label.
    """

    temperature: float
    share: float
    chance: float
    replaced: Array
    classes: Array


def noise(p: Array, y: Array) -> Noise:
    """The explanation of labels y int (N,), given out-of-fold probabilities p (N, K)."""
    logs = np.log(np.maximum(p, _LEAST))
    asked = ((_any_class(logs, y), 1 - _OF_PAIRS), (_pairs(logs, y), _OF_PAIRS))
    weighed = [replace(each, chance=min(1.0, each.chance / part)) for each, part in asked]
    return min(weighed, key=lambda each: each.chance)


def _tempered(logs: Array, temperature: float) -> Array:
    """p_T, (N, K)."""
    scaled = logs / temperature
    powers = np.exp(scaled - scaled.max(1, keepdims=True))
    answers: Array = powers / powers.sum(1, keepdims=True)
    return answers


def _own(values: Array, y: Array) -> Array:
    """Of values (N, K) those of the labels, (N,)."""
    found: Array = values[np.arange(len(y)), y]
    return found


# -------------------------------------------------------------------------------------- any class


def _any_class(logs: Array, y: Array) -> Noise:
    count = logs.shape[1]
    own = [_own(_tempered(logs, t), y)[:, None] for t in TEMPERATURES]  # each (N, 1)
    likely = np.array([np.log((1 - SHARES) * p + SHARES / count + 1e-300).sum(0) for p in own])
    t, e = np.unravel_index(int(likely.argmax()), likely.shape)
    gain = 2 * float(likely[t, e] - likely[:, 0].max())
    share, temperature = float(SHARES[e]), float(TEMPERATURES[t])
    matrix = (1 - share) * np.eye(count) + share / count
    classes, _ = _classes(_tempered(logs, temperature), matrix, y)
    chance = chi2_tail(gain) / 2 if gain > 0 else 1.0
    # A replacement may draw the class that the example has: that one is no wrong label.
    return Noise(temperature, share * (1 - 1 / count), chance, 1 - _own(classes, y), classes)


def _classes(p: Array, matrix: Array, y: Array) -> tuple[Array, Array]:
    """The probabilities of the examples' classes, given their labels (N, K); of the labels (N,)."""
    joint = p * matrix[:, y].T  # (N, K)
    labels = joint.sum(1) + 1e-300
    return joint / labels[:, None], labels


# ------------------------------------------------------------------------------------------ pairs


def _pairs(logs: Array, y: Array) -> Noise:
    draw = np.random.default_rng(0)
    rows = draw.permutation(len(y))
    gain, temperature, matrix = _gain(logs[rows[:MOST]], y[rows[:MOST]], _FEW_TEMPERATURES)
    chance = gamma_tail(gain, _usual(logs[rows[:_DRAWN]], y[rows[:_DRAWN]], draw), _SPREAD)
    classes, _ = _classes(_tempered(logs, temperature), matrix, y)
    replaced = 1 - _own(classes, y)
    return Noise(temperature, float(replaced.mean()), chance, replaced, classes)


def _gain(logs: Array, y: Array, temperatures: Array) -> tuple[float, float, Array]:
    """Twice the log-likelihood that a matrix gains, with its temperature and itself."""
    tempered = [_tempered(logs, t) for t in temperatures]
    without = max(float(np.log(_own(p, y) + 1e-300).sum()) for p in tempered)
    fitted = [_fit(p, y) for p in tempered]
    best = max(range(len(fitted)), key=lambda place: fitted[place][0])
    return 2 * max(0.0, fitted[best][0] - without), float(temperatures[best]), fitted[best][1]


def _fit(p: Array, y: Array) -> tuple[float, Array]:
    """The log-likelihood with the likeliest matrix, and this (K, K)."""
    count = p.shape[1]
    labels = np.eye(count)[y]  # (N, K)
    matrix = 0.9 * np.eye(count) + 0.1 / count
    for _ in range(_STEPS):
        seen = _classes(p, matrix, y)[0].T @ labels + _COUNTED / count  # (K, K)
        old, matrix = matrix, seen / seen.sum(1, keepdims=True)
        if np.abs(matrix - old).max() < _ENOUGH:
            break
    return float(np.log(_classes(p, matrix, y)[1]).sum()), matrix


def _usual(logs: Array, y: Array, draw: np.random.Generator) -> float:
    """The mean gain by a matrix where labels are drawn from p_T, and none was replaced."""
    likely = [float(np.log(_own(_tempered(logs, t), y) + 1e-300).sum()) for t in TEMPERATURES]
    temperature = float(TEMPERATURES[int(np.argmax(likely))])
    sums = _tempered(logs, temperature).cumsum(1)
    near = np.abs(np.log(_FEW_TEMPERATURES / temperature)) < np.log(3)
    asked = _FEW_TEMPERATURES[near][::2] if near.any() else _FEW_TEMPERATURES[-1:]
    gains = []
    for _ in range(_DRAWS):
        drawn = (sums / sums[:, -1:] > draw.random((len(y), 1))).argmax(1)
        gains.append(_gain(logs, drawn, asked)[0])
    return max(1.0, float(np.mean(gains)))
