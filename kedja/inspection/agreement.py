"""Agreement between annotators where several labelled the same thing.

The interval of alpha is that of 500 samples of items with replacement (B. Efron, 1979). An
annotator's agreement is that of the own labels with the others', pair by pair; whoever agrees
less than the others do is found by a test of the two shares.

Not here: the measures (`kappa.py`). Next: `checks.py`.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

import numpy as np

from kedja.ground.suggest import listed
from kedja.inspection.chance import LEVEL, chi2_tail, said
from kedja.inspection.finding import Finding
from kedja.inspection.kappa import alpha_of_items, cohen_kappa, fleiss_kappa
from kedja.inspection.look import Look

# Below it conclusions should not be drawn, says Krippendorff (Content Analysis, 2004, p. 241).
ENOUGH = 0.667
_SAMPLES = 500

Items = Mapping[str, Mapping[str, str]]  # item: annotator: label


def agreement(look: Look) -> Iterator[Finding]:
    """How far the annotators agree, items on which they do not, and who agrees least."""
    items = by_item(look)
    shared = {item: given for item, given in items.items() if len(given) > 1}
    if not shared:
        return
    labels = [list(given.values()) for given in shared.values()]
    alpha, interval = alpha_of_items(labels), _interval(labels)
    yield _overall(shared, alpha, interval)
    yield from _least(shared)
    split = [item for item, given in shared.items() if len(set(given.values())) > 1]
    if split and alpha >= ENOUGH:
        yield Finding(
            "agreement",
            "notice",
            f"{len(split):,} of {len(shared):,} items have different labels: {listed(split, 3)}",
            "decide on each together; where that is hard, the guidelines are not clear",
            split,
        )


def by_item(look: Look) -> Items:
    """The label that each annotator gave each item; the last, where one gave several."""
    data = look.data
    found: dict[str, dict[str, str]] = defaultdict(dict)
    if data.items is None or data.annotators is None or data.labels is None:
        return found
    for row, (item, who) in enumerate(zip(data.items, data.annotators, strict=True)):
        label = data.labels.text(row)
        if label != "none":
            found[item][who] = label
    return found


def _interval(labels: Sequence[Sequence[str]]) -> tuple[float, float]:
    draw = np.random.default_rng(0)
    found = []
    for _ in range(_SAMPLES if len(labels) < 20_000 else 50):
        rows = draw.integers(0, len(labels), len(labels))
        found.append(alpha_of_items([labels[row] for row in rows.tolist()]))
    known = np.array([each for each in found if not math.isnan(each)] or [math.nan])
    low, high = np.percentile(known, (2.5, 97.5))
    return float(low), float(high)


def _overall(shared: Items, alpha: float, interval: tuple[float, float]) -> Finding:
    low, high = interval
    poor = low < ENOUGH
    which, kappa = _kappa(shared)
    beside = f", {which} kappa {kappa:.3f}" if which else ""
    people = {who for given in shared.values() for who in given}
    return Finding(
        "agreement",
        "defect" if high < ENOUGH else "notice",
        f"{len(people):,} annotators labelled {len(shared):,} items together: Krippendorff's "
        f"alpha {alpha:.3f}{beside}",
        "make the guidelines clearer and label again: what people do not agree on is not learned"
        if poor
        else f"nothing: above {ENOUGH} labels can be relied on",
        sorted(people),
        sure=f"95 % interval {low:.3f} to {high:.3f}, by samples of the items",
        figures={"alpha": alpha, "interval": [low, high], which or "kappa": kappa},
    )


def _kappa(shared: Items) -> tuple[str, float | None]:
    """Cohen's kappa of two, Fleiss' of several with equally many labels on each item."""
    people = sorted({who for given in shared.values() for who in given})
    if len(people) == 2:
        pairs = [(given[people[0]], given[people[1]]) for given in shared.values()]
        return "Cohen's", cohen_kappa(*zip(*pairs, strict=True))
    classes = sorted({label for given in shared.values() for label in given.values()})
    table = [[list(given.values()).count(name) for name in classes] for given in shared.values()]
    if len({sum(row) for row in table}) > 1:
        return "", None
    return "Fleiss'", fleiss_kappa(table)


def _least(shared: Items) -> Iterator[Finding]:
    """Annotators who agree with the others less than the others do with each other."""
    pairs = _pairs(shared)
    people = sorted({who for pair in pairs for who in pair})
    if len(people) < 3:
        return
    for who in people:
        own = np.sum([count for pair, count in pairs.items() if who in pair], axis=0)
        rest = np.sum([count for pair, count in pairs.items() if who not in pair], axis=0)
        mine, others, chance = _compared(own, rest)
        if mine < others and chance < LEVEL / len(people):
            yield Finding(
                "agreement",
                "defect",
                f"{who!r} agrees with the others on {mine:.0%} of the common items, the others "
                f"with each other on {others:.0%}",
                "look at these labels; leave them out, or label the items again",
                [who],
                chance=chance,
                sure=said(chance),
                figures={"annotator": who, "agreement": mine, "others": others},
            )


def _pairs(shared: Items) -> dict[tuple[str, str], list[int]]:
    """For each two annotators: how many items they labelled alike, and how many at all."""
    found: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    for given in shared.values():
        for a, b in combinations(sorted(given), 2):
            found[a, b][0] += given[a] == given[b]
            found[a, b][1] += 1
    return found


def _compared(own: Sequence[int], rest: Sequence[int]) -> tuple[float, float, float]:
    """Two shares (hits, of) and the chance of such a difference if they are one (χ²)."""
    mine, others = own[0] / max(own[1], 1), rest[0] / max(rest[1], 1)
    both = (own[0] + rest[0]) / max(own[1] + rest[1], 1)
    variance = both * (1 - both) * (1 / max(own[1], 1) + 1 / max(rest[1], 1))
    chance = chi2_tail((mine - others) ** 2 / variance) if variance > 0 else 1.0
    return float(mine), float(others), chance
