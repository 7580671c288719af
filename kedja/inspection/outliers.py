"""Values and examples far beyond all others, judged by the data's own tail.

Beyond a high level u_k, which k values exceed, tails fall at least as fast as some power:
P(u > x) ≈ k/N · (x / u_k)^(−α), whose α the median of log(u_i / u_k) gives (ln 2 / median; of the
larger half of such values no α is bent). A value is an outlier where k (x / u_k)^(−α) is small:
how many as large would be expected. Tails that fall faster, as the normal one, make it err towards
silence. Sources: B. Hill (1975), with the median for the mean; J. Pickands (1975).

An example is as far out as its K-th nearest neighbour is away; a number to be predicted, as far as
it is from what networks answer that did not see it.

Not here: the other columns' checks (`columns.py`). Next: `wrong_labels.py`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from kedja.ground.suggest import listed
from kedja.inspection.chance import LEVEL, said
from kedja.inspection.finding import Finding
from kedja.inspection.look import FEWEST_ROWS, Look
from kedja.inspection.subject import Array

_SHARE = 0.05
_FEWEST = 20


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


def far_values(look: Look) -> Iterator[Finding]:
    """Numbers of a column, or numbers to be predicted, that are far from all others."""
    labels = look.data.labels
    columns = {each.name: each.numbers for each in look.data.columns if each.kind == "number"}
    if labels is not None and labels.values is not None:
        columns[labels.name] = labels.values
    for name, values in columns.items():
        assert values is not None
        rows = np.flatnonzero(np.isfinite(values))
        known = values[rows]
        if len(np.unique(known)) < 2 * _FEWEST:
            continue
        middle = float(np.median(known))
        both = [expected_as_large(np.maximum(sign * (known - middle), 0.0)) for sign in (1.0, -1.0)]
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
        f"{who} {len(rows):,} values far from all others: {listed(shown, 3)}",
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
            f"{len(rows):,} examples are unlike all others: {listed(shown, 3)}",
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
            f"{len(chosen):,} numbers are far from what a model makes of the others: "
            f"{listed(shown, 3)}",
            "check them; correct those that are mistakes",
            shown,
            chosen.tolist(),
            float(expected.min()),
            f"as far from the prediction {said(float(expected.min()))}",
        )
