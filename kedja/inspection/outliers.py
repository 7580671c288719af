"""Values and examples far beyond all others, judged by the data's own tail.

Beyond a high level u_k, which k values exceed, tails fall at least as fast as some power:
P(u > x) ≈ k/N · (x / u_k)^(−α), whose α the median of log(u_i / u_k) gives (ln 2 / median; of the
larger half of such values no α is bent). A value is an outlier where k (x / u_k)^(−α) is small:
how many as large would be expected. Tails that fall faster, as the normal one, make it err towards
silence. Sources: B. Hill (1975), with the median for the mean; J. Pickands (1975).

*Alone.* So do values in the end of such a tail, so a gap counts, too: of values that fall as a
power, i · log(u_i / u_(i+1)) for the i-th largest are exponential with one mean (A. Rényi, 1953),
and the ratio of one to the mean of the next 20 has an F distribution with 2 and 40 degrees of
freedom. What is beyond the gap must be twice as far out as the next value. A gap below the i-th
value may use 2^(−i) of the chance that there is, so that all gaps together use no more.

An example is as far out as its K-th nearest neighbour is away; a number to be predicted, as far as
it is from what networks answer that did not see it.

Not here: the other columns' checks (`columns.py`). Next: `wrong_labels.py`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from kedja.ground.suggest import counted, listed
from kedja.inspection.chance import LEVEL, said
from kedja.inspection.columns import codes
from kedja.inspection.finding import Finding
from kedja.inspection.look import FEWEST_ROWS, Look
from kedja.inspection.subject import Array

_SHARE = 0.05
_FEWEST = 20
_MOST_ALONE = 10  # values beyond a gap
_TWICE = 2.0


def expected_as_large(u: Array) -> Array:
    """How many of u (N,), all ≥ 0, would be as large as each by the tail of them all: (N,).

    >>> u = np.r_[np.linspace(0, 1, 999), 50.0]
    >>> bool(expected_as_large(u)[-1] < 1e-6), bool(expected_as_large(u)[-2] > 0.1)
    (True, True)
    """
    k = max(_FEWEST, round(_SHARE * len(u)))
    if len(u) <= 2 * k:
        return np.full(len(u), np.inf)
    top = np.sort(u)[::-1][: k + 1]
    level = float(top[k])
    middle = float(np.median(np.log(top[:k] / level))) if level > 0 else math.inf
    if level <= 0:
        return np.full(len(u), np.inf)
    logs = np.log(np.maximum(u, level) / level)
    alpha = math.log(2) / max(middle, 1e-3)
    found: Array = np.where(u > level, k * np.exp(-alpha * logs), np.inf)
    return found


def beyond_gap(u: Array) -> Array:
    """The chance of a gap as wide below each of u (N,), all ≥ 0; 1 for those beyond none: (N,).

    >>> u = np.r_[np.abs(np.random.default_rng(0).normal(size=500)), 30, 31]
    >>> (beyond_gap(u) < LEVEL).nonzero()[0].tolist()
    [500, 501]
    """
    chances = np.ones(len(u))
    order = np.argsort(-u, kind="stable")[: _MOST_ALONE + _FEWEST + 1]
    top = u[order]
    if len(u) < 3 * len(order) or top[-1] <= 0:
        return chances
    spacings = np.arange(1, len(top)) * np.log(top[:-1] / top[1:])
    for alone in range(_MOST_ALONE, 0, -1):
        mean = max(float(spacings[alone : alone + _FEWEST].mean()), 1e-12)
        if top[alone - 1] >= _TWICE * top[alone]:
            chance = (1 + spacings[alone - 1] / mean / _FEWEST) ** -_FEWEST
            chances[order[:alone]] = np.minimum(chances[order[:alone]], 2**alone * chance)
    return chances


def far_values(look: Look) -> Iterator[Finding]:
    """Numbers of a column, or numbers to be predicted, that are far from all others."""
    labels = look.data.labels
    columns = {each.name: each.numbers for each in look.data.columns if each.kind == "number"}
    if labels is not None and labels.values is not None:
        columns[labels.name] = labels.values
    for name, values in columns.items():
        assert values is not None
        rows = np.flatnonzero(np.isfinite(values))
        rows = rows[~np.isin(values[rows], codes(values))]  # those are told as missing
        known = values[rows]
        if len(np.unique(known)) < 2 * _FEWEST:
            continue
        middle = float(np.median(known))
        sides = [np.maximum(sign * (known - middle), 0.0) for sign in (1.0, -1.0)]
        both = [np.minimum(expected_as_large(side), beyond_gap(side)) for side in sides]
        expected = np.minimum(*both) * 2 * len(columns)
        far = rows[expected < LEVEL]
        if len(far):
            worst = far[np.argsort(-np.abs(values[far] - middle))]
            shown = [f"{values[row]:g} in {look.data.places[row]}" for row in worst]
            yield _far(look, f"column {name!r} has", worst, shown, float(expected.min()))


def _far(look: Look, who: str, rows: Array, shown: Sequence[str], chance: float) -> Finding:
    return Finding(
        "outliers",
        "notice",
        f"{who} {counted(len(rows), 'value')} far from all others: {listed(shown, 3)}",
        "check them; correct those that are mistakes",
        look.data.named(rows),
        rows.tolist(),
        chance,
        f"as far {said(chance)}, by the tail of the others",
    )


def far_examples(look: Look) -> Iterator[Finding]:
    """Examples whose nearest neighbours are far."""
    found = look.neighbours
    if found is None or len(look.firsts) < FEWEST_ROWS:
        return
    away = found.distances[:, -1]
    expected = expected_as_large(away)
    far = np.flatnonzero(expected < LEVEL)
    if len(far):
        rows = look.firsts[far[np.argsort(-away[far])]]
        shown = look.data.named(rows)
        yield Finding(
            "outliers",
            "notice",
            f"{counted(len(rows), 'example')} unlike all others: {listed(shown, 3)}",
            "look at them: do they belong to these data?",
            shown,
            rows.tolist(),
            float(expected.min()),
            f"as far from their neighbours {said(float(expected.min()))}",
        )


def doubted_numbers(look: Look) -> Iterator[Finding]:
    """Numbers to be predicted that are far from what networks answer that did not see them."""
    residuals = look.residuals
    if residuals is None or look.data.labels is None or look.data.labels.values is None:
        return
    rows = np.flatnonzero(np.isfinite(residuals))
    away = np.abs(residuals[rows])
    expected = expected_as_large(away)
    far = np.flatnonzero(expected < LEVEL)
    if len(far):
        chosen = rows[far[np.argsort(-away[far])]]
        values = look.data.labels.values
        shown = [
            f"{look.data.places[row]}: {values[row]:g}, predicted {values[row] - residuals[row]:g}"
            for row in chosen
        ]
        yield Finding(
            "doubted numbers",
            "notice",
            f"{counted(len(chosen), 'number')} far from what a model makes of the others: "
            f"{listed(shown, 3)}",
            "check them; correct those that are mistakes",
            shown,
            chosen.tolist(),
            float(expected.min()),
            f"as far from the prediction {said(float(expected.min()))}",
        )
