"""Leaks: test examples that training has seen, and columns that give the target away.

Not here: copies within the data (`duplicates.py`), how a column is seen to give the target away
(`giveaways.py`). Next: `agreement.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from kedja.ground.suggest import listed
from kedja.inspection.chance import LEVEL, poisson_tail, said, same_distribution, unlikely
from kedja.inspection.duplicates import by_chance
from kedja.inspection.finding import Finding
from kedja.inspection.look import FEWEST_ROWS, Look, groups_of
from kedja.inspection.neighbours import nearest
from kedja.inspection.shingles import near_texts
from kedja.inspection.subject import Array, Column, Subject
from kedja.inspection.tables import counts_up, is_named_id

_GROUP = re.compile(
    r"user|patient|speaker|subject|customer|client|author|person|group|session|device|household|"
    r"family|animal|student|worker|writer|source|site|station",
    re.IGNORECASE,
)


# ------------------------------------------------------------------------------- seen in training


def seen(look: Look) -> Iterator[Finding]:
    """Test examples that stand in the training data, too: exactly, or nearly."""
    if look.test is None:
        return
    known = {key: row for row, key in reversed(list(enumerate(look.data.keys)))}
    rows = [row for row, key in enumerate(look.test.keys) if key in known]
    if rows:
        yield _exact(look, look.test, rows, [known[look.test.keys[row]] for row in rows])
    near = _near(look, look.test, set(rows))
    if near:
        yield _nearly(look, look.test, near)


def _exact(look: Look, test: Subject, rows: list[int], twins: list[int]) -> Finding:
    expected = by_chance(look.data) * 2 * len(test) / max(len(look.data), 1)
    chance = poisson_tail(len(rows), expected)
    defect = chance < LEVEL
    pairs = zip(test.named(rows), look.data.named(twins), strict=True)
    return Finding(
        "leaks",
        "defect" if defect else "notice",
        f"{len(rows):,} of {len(test):,} test examples stand in the training data, too, such as "
        f"test {test.places[rows[0]]} = {look.data.places[twins[0]]}",
        "remove them from one of both",
        [f"test {a} = {b}" for a, b in pairs],
        rows,
        chance,
        said(chance) if defect else f"{expected:,.1f} are expected by chance",
        {"share": len(rows) / len(test)},
        in_test=True,
    )


def _near(look: Look, test: Subject, exact: set[int]) -> dict[int, int]:
    """Test rows, and the training row that each is nearly equal to."""
    if test.kind == "texts":
        both = [*look.data.texts, *test.texts]
        first = len(look.data)
        pairs, _ = near_texts(both, groups_first([*look.data.keys, *test.keys]))
        return {b - first: a for a, b in pairs if a < first <= b}
    points = look.measure(test)
    if look.neighbours is None or len(look.firsts) < FEWEST_ROWS or not points.shape[1]:
        return {}
    found = nearest(points, look.measure(look.data)[look.firsts])
    if found is None:
        return {}
    chances = found.chances(look.neighbours.dimension)
    close = np.flatnonzero(unlikely(chances) & look.apart(found)).tolist()
    return {row: int(look.firsts[found.rows[row, 0]]) for row in close if row not in exact}


def groups_first(keys: list[bytes]) -> Array:
    """The first row with each key, int64 (n,)."""
    rows: Array = np.flatnonzero(groups_of(keys) == np.arange(len(keys)))
    return rows


def _nearly(look: Look, test: Subject, near: dict[int, int]) -> Finding:
    where = [f"test {test.places[a]} ≈ {look.data.places[b]}" for a, b in near.items()]
    return Finding(
        "leaks",
        "defect",
        f"{len(near):,} of {len(test):,} test examples are nearly in the training data: "
        f"{listed(where, 2)}",
        "keep such examples on one side",
        where,
        list(near),
        sure="far nearer than chance brings them",
        figures={"share": len(near) / len(test)},
        in_test=True,
    )


# -------------------------------------------------------------------------- groups, time, change


def both_sides(look: Look) -> Iterator[Finding]:
    """People, devices or other groups on both sides; test data older than training data; change."""
    if look.test is None:
        return
    held = {each.name: each for each in look.test.columns}
    pairs = [(each, held[each.name]) for each in look.data.columns if each.name in held]
    for mine, theirs in pairs:
        yield from _groups(mine, theirs)
        yield from _time(mine, theirs)
    yield from _changed([(a, b) for a, b in pairs if a.kind == b.kind == "number"])


def _groups(mine: Column, theirs: Column) -> Iterator[Finding]:
    named = is_named_id(mine.name) or _GROUP.search(mine.name)
    if not named or mine.kind == "date" or _counts(mine) or _counts(theirs):
        return
    known = {cell.strip() for cell in mine.cells}
    both = sorted({cell.strip() for cell in theirs.cells} & known - {""})
    rows = [row for row, cell in enumerate(theirs.cells) if cell.strip() in set(both)]
    if both:
        yield Finding(
            "leaks",
            "defect",
            f"{len(both):,} values of {mine.name!r} are on both sides ({listed(both, 3)}): a model "
            "may know them instead of what they have in common with others",
            f"divide by {mine.name!r}, so that each of its values is on one side",
            both,
            rows,
            figures={"column": mine.name, "share": len(rows) / len(theirs.cells)},
            in_test=True,
        )


def _counts(column: Column) -> bool:
    return column.numbers is not None and counts_up(column.numbers)


def _time(mine: Column, theirs: Column) -> Iterator[Finding]:
    if mine.kind != "date" or theirs.kind != "date" or mine.numbers is None:
        return
    assert theirs.numbers is not None
    last = float(mine.known.max())
    rows = np.flatnonzero(theirs.numbers <= last)
    if len(rows):
        yield Finding(
            "leaks",
            "notice",
            f"by {mine.name!r}, {len(rows):,} of {len(theirs.cells):,} test examples are not later "
            "than all training data",
            "for what is to be used on future data, divide by time",
            [mine.name],
            rows.tolist(),
            figures={"column": mine.name},
            in_test=True,
        )


def _changed(pairs: list[tuple[Column, Column]]) -> Iterator[Finding]:
    for mine, theirs in pairs:
        chance = same_distribution(mine.known, theirs.known)
        if chance < LEVEL / len(pairs):
            yield Finding(
                "change",
                "notice",
                f"column {mine.name!r} is distributed differently in the test data: median "
                f"{np.median(mine.known):.4g} in training, {np.median(theirs.known):.4g} there",
                "is the test data like what the model will be used on?",
                [mine.name],
                chance=chance,
                sure=said(chance),
                figures={"column": mine.name},
            )


# ------------------------------------------------------------------------------------- giveaways


def given_away(look: Look) -> Iterator[Finding]:
    """Columns that alone tell the target, which the others do not."""
    labels = look.data.labels
    for each in look.given_away:
        unit = "of the variance unexplained"
        if labels is not None and labels.are_classes:
            unit = "of the labels wrong"
        yield Finding(
            "leaks",
            "defect",
            f"column {each.column!r} gives the target away: alone it leaves {each.alone:.2%} "
            f"{unit}, the others together {each.others:.1%}",
            "is it known when the prediction is to be made? If not, leave it out",
            [each.column],
            sure="measured on examples that were left out",
            figures={"column": each.column, "alone": each.alone, "others": each.others},
        )
