"""Examples that are there more than once, exactly or nearly; and equal inputs with other labels.

In a table of few different values rows meet by chance. How often: let D_j be the pairs of rows
that agree in all columns but j, and q_j the share of all pairs that agree in column j. If j is by
chance, D_j · q_j / (1 − q_j) pairs agree in all columns. The largest of these over j is what chance
explains (with a Poisson bound); whatever is beyond was copied. Of texts, chance is that of their
words: n²/2 · Π p(w). Nearly equal ones: `neighbours.py` for rows and pictures, `shingles.py` for
texts.

Not here: copies between training and test data (`leaks.py`). Next: `shingles.py`.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from kedja.ground.suggest import counted, listed
from kedja.inspection.chance import LEVEL, poisson_tail, said
from kedja.inspection.finding import Finding
from kedja.inspection.look import Look
from kedja.inspection.subject import Array, Column, Subject
from kedja.inspection.tables import numbers_rows
from kedja.inspection.texts import folded

_FEWEST_WORDS = 5  # shorter texts are said again


# ------------------------------------------------------------------------------------ equal ones


def sets_of(groups: Array) -> list[Array]:
    """The rows of each group that has several, in the order of the data."""
    order = np.argsort(groups, kind="stable")
    cuts = np.flatnonzero(np.diff(groups[order])) + 1
    return sorted((each for each in np.split(order, cuts) if len(each) > 1), key=lambda s: s[0])


def exact_duplicates(look: Look) -> Iterator[Finding]:
    """Examples whose inputs are equal: a defect where there are more than chance explains."""
    sets = sets_of(look.groups)
    if not sets or look.data.items is not None:
        return
    pairs = _pairs_in(sets)
    expected = by_chance(look.data)
    chance = poisson_tail(pairs, expected)
    found = [each for each in sets if chance >= LEVEL or not _conflict(look.data, each)]
    if not found:
        return
    beyond = chance < LEVEL and _is_long(look.data, found)
    again = [int(row) for each in found for row in each[1:]]
    yield Finding(
        "duplicates",
        "defect" if beyond else "notice",
        f"{len(again):,} {'example stands' if len(again) == 1 else 'examples stand'} in the data "
        f"already, such as {_pair(look.data, found[0])}",
        "remove all but one of each"
        if beyond
        else "nothing, if such examples are met again; else remove all but one of each",
        [_set(look.data, each) for each in found],
        again,
        chance,
        said(chance)
        if beyond
        else f"{expected:,.1f} pairs are expected by chance, {pairs:,} found",
        {"sets": len(found), "pairs": pairs, "expected_pairs": expected},
    )


def _pair(data: Subject, rows: Array) -> str:
    return " and ".join(data.named(rows[:2]))


def _set(data: Subject, rows: Array) -> str:
    return " = ".join(data.named(rows))


def _is_long(data: Subject, found: Sequence[Array]) -> bool:
    """Whether most of the repeated texts are long enough to have been copied; others always."""
    if data.kind != "texts":
        return True
    long = sum(len(data.texts[int(rows[0])].split()) >= _FEWEST_WORDS for rows in found)
    return 2 * long > len(found) and data.labels is not None


def by_chance(data: Subject) -> float:
    """How many pairs of equal inputs chance explains."""
    if data.kind == "table":
        return _equal_rows([each for each in data.columns if not numbers_rows(each)])
    return _equal_texts(data.texts) if data.kind == "texts" else 0.0


def _equal_rows(columns: Sequence[Column]) -> float:
    codes = [_codes(column) for column in columns if column.kind != "empty"]
    if not codes:
        return 0.0
    count = len(codes[0])
    whole = _mixed(codes)
    equal = _pairs(whole)
    expected = 0.0
    total = count * (count - 1) / 2
    for code in codes:
        share = _pairs(code) / total
        others = _pairs(whole - _spread(code)) - equal
        if share < 1:
            expected = max(expected, others * share / (1 - share))
    return expected


def _codes(column: Column) -> Array:
    return np.unique([cell.strip() for cell in column.cells], return_inverse=True)[1]


def _mixed(codes: Sequence[Array]) -> Array:
    """A number for each row, equal where all codes are: the sum of one for each column."""
    total = np.zeros(len(codes[0]), np.uint64)
    for code in codes:
        total += _spread(code)
    return total


def _spread(code: Array) -> Array:
    """Codes as random numbers of 64 bits, the same for the same column each time."""
    seed = hashlib.blake2b(np.ascontiguousarray(code).tobytes(), digest_size=8).digest()
    draw = np.random.default_rng(int.from_bytes(seed))
    numbers: Array = draw.integers(0, 2**64, int(code.max()) + 1, np.uint64)[code]
    return numbers


def _pairs(numbers: Array) -> float:
    counts = np.unique(numbers, return_counts=True)[1].astype(np.float64)
    return float((counts * (counts - 1) / 2).sum())


def _equal_texts(texts: Sequence[str]) -> float:
    """Expected pairs of equal texts if each word was drawn by itself, as often as it is used."""
    counts = Counter(word for text in texts for word in folded(text).split())
    total = sum(counts.values())
    expected = 0.0
    for text in texts:
        words = folded(text).split()
        expected += math.exp(sum(math.log(counts[word] / total) for word in words))
    return expected * (len(texts) - 1) / 2


# ----------------------------------------------------------------------------- nearly equal ones


def near_duplicates(look: Look) -> Iterator[Finding]:
    """Examples that differ too little to be two."""
    pairs, measures = look.near
    if not pairs or look.data.items is not None:
        return
    texts = look.data.kind == "texts"
    where = [" ≈ ".join(look.data.named(pair)) for pair in pairs]
    defect = not texts or look.data.labels is not None
    chance = None if texts else LEVEL
    yield Finding(
        "near-duplicates",
        "defect" if defect else "notice",
        f"{counted(len(pairs), 'pair')} of examples nearly the same: {listed(where, 3)}",
        "keep one of each, or both on the same side of training and test data",
        where,
        sorted({max(pair) for pair in pairs}),
        chance,
        f"{measures.max():.0%} of the words differ at most"
        if texts
        else "1 in 1,000 data sets would have any by chance",
        {"pairs": [list(pair) for pair in pairs]},
    )


# ---------------------------------------------------------------------- equal with other labels


def conflicts(look: Look) -> Iterator[Finding]:
    """Equal or nearly equal inputs whose labels differ."""
    labels = look.data.labels
    if labels is None or not labels.are_classes or look.data.items is not None:
        return
    equal = [each for each in sets_of(look.groups) if _conflict(look.data, each)]
    near = [rows for rows in map(np.array, look.near[0]) if _conflict(look.data, rows)]
    found = equal + near
    if not found:
        return
    natural = (
        not near and poisson_tail(_pairs_in(sets_of(look.groups)), by_chance(look.data)) > LEVEL
    )
    wrong = sum(len(each) - np.bincount(labels.codes[each].clip(0)).max() for each in equal)
    yield Finding(
        "conflicting labels",
        "notice" if natural else "defect",
        f"{counted(len(found), 'input has', 'inputs have')} different labels: "
        f"{listed([_with_labels(look.data, each) for each in found], 2)}",
        f"no model gets more than {1 - wrong / len(look.data):.1%} of these labels right; add what "
        "tells such examples apart"
        if natural
        else "decide on one label for each, or remove them",
        [_with_labels(look.data, each) for each in found],
        sorted({int(row) for each in found for row in each}),
        sure="certain" if equal else "as sure as that they are nearly the same",
        figures={
            "equal": len(equal),
            "nearly_equal": len(near),
            "highest_accuracy": float(1 - wrong / len(look.data)),
        },
    )


def _conflict(data: Subject, rows: Array) -> bool:
    """Whether the classes of these rows differ."""
    labels = data.labels
    if labels is None or not labels.are_classes:
        return False
    return len({int(code) for code in labels.codes[rows] if code >= 0}) > 1


def _pairs_in(sets: Sequence[Array]) -> int:
    return sum(len(each) * (len(each) - 1) // 2 for each in sets)


def _with_labels(data: Subject, rows: Array) -> str:
    assert data.labels is not None
    return ", ".join(f"{data.places[int(row)]}: {data.labels.text(int(row))}" for row in rows)
