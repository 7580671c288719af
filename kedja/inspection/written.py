"""How cells are written: numbers and dates among others, one thing in several ways, damage.

Not here: what is missing, columns that tell nothing (`columns.py`). Next: `columns.py`.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from kedja.ground.suggest import counted, listed
from kedja.inspection.cells import WORDS, is_number, plain_number
from kedja.inspection.finding import Finding
from kedja.inspection.look import Look
from kedja.inspection.subject import Column

_SHARE = 0.95  # so many of the cells make a column one of numbers
_MOSTLY = 0.5  # so many make it one that seems to be meant as numbers
_FEW = 5  # words among numbers that are a code and no names
_DIFFERENT = 10  # numbers; of fewer, words beside them may be classes like them

_BLANKS = re.compile(r"\s+")
_INVISIBLE = re.compile("[\u200b-\u200d\u2060\ufeff\u00ad]")
# UTF-8 that was read as Latin-1 or Windows-1252: a first byte, and the bytes that belong to it, of
# the letters of Europe, punctuation and emoji. ("ß“" would be one, too, but is German.)
_NEXT = "[\u0080-\u00bf\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u0192\u02c6\u02dc\u2013-\u2122]"
_TWICE = re.compile(
    f"[\u00c2\u00c3\u00c5\u00ce-\u00d1]{_NEXT}|\u00e2{_NEXT}{{2}}|\u00f0{_NEXT}{{3}}"
)
_LOST = "\ufffd"  # what is written for bytes that are no letter
Named = tuple[str, str, Sequence[str]]
_FULL = {"y": "yes", "n": "no", "t": "true", "f": "false", "m": "male"}


def types(look: Look) -> Iterator[Finding]:
    """Cells of another type than their column's; dates and categories in several ways."""
    for column in look.data.columns:
        wrong = [(row, cell) for row, cell in column.bad if cell.strip().lower() not in WORDS]
        if wrong:
            yield _mixed(look, column, wrong)
        if column.kind == "date":
            yield from _forms(look, column)
        if column.unclear:
            yield _unclear(column)
        if column.kind in ("category", "text"):
            yield from _numbers_as_texts(look, column)
    for who, name, cells in _categories(look):
        yield from _spellings(look, who, name, cells)


def headless(look: Look) -> Iterator[Finding]:
    """Names of columns that are values of them: the file has no line of names."""
    columns = [each for each in look.data.columns if each.kind in ("number", "category")]
    numbers = [float(each.name) for each in columns if is_number(each.name)]
    counted_up = len(numbers) > 1 and bool((np.diff(numbers) > 0).all())  # as years and pixels are
    if look.data.kind != "table" or len(columns) < 2 or counted_up:
        return
    if all(_is_value(each) for each in columns):
        shown = listed([repr(each.name) for each in columns], 3)
        yield Finding(
            "reading",
            "defect",
            f"the first line seems to hold values, not names of columns: {shown}",
            "write a line with the names of the columns above it",
            ["line 1"],
            sure="every name is a value that its column might have",
        )


def _is_value(column: Column) -> bool:
    """Whether the name of a column of numbers or of a category might be one of its cells."""
    if column.kind == "category":
        return column.name.strip() in {cell.strip() for cell in column.cells}
    known = column.known
    return is_number(column.name) and bool(known.min() <= float(column.name) <= known.max())


def _categories(look: Look, kinds: Sequence[str] = ("category",)) -> Iterator[Named]:
    """What to call each column of these kinds and the labels, their name, and their cells."""
    for column in look.data.columns:
        if column.kind in kinds:
            yield f"column {column.name!r}", column.name, column.cells
    labels = look.data.labels
    if labels is not None and labels.are_classes and look.data.kind in ("table", "texts"):
        names = ["", *labels.classes]
        yield f"the label {labels.name!r}", labels.name, [names[code + 1] for code in labels.codes]


def _mixed(look: Look, column: Column, wrong: Sequence[tuple[int, str]]) -> Finding:
    kind = "dates" if column.kind == "date" else "numbers"
    rows = [row for row, _ in wrong]
    shown = listed([repr(cell[:30]) for _, cell in wrong], 3)
    some = "one of its cells does not" if len(rows) == 1 else f"{len(rows):,} of its cells do not"
    what = f"column {column.name!r} holds {kind}, but {some}: {shown}"
    where = look.data.named(rows)
    fix = "correct these cells, or leave them empty"
    return Finding("types", "defect", what, fix, where, rows, figures={"column": column.name})


# ------------------------------------------------------------------------------------------ dates


def _unclear(column: Column) -> Finding:
    """Dates of which days and months, or zones, cannot be told: a guess, or none at all."""
    guessed = column.kind == "date"
    return Finding(
        "types",
        "notice" if guessed else "defect",
        f"column {column.name!r} holds dates that are not clear: {column.unclear}",
        "write all of them as 2024-12-31",
        [column.name],
        sure="days are taken to come first" if guessed else "certain",
        figures={"column": column.name},
    )


def _forms(look: Look, column: Column) -> Iterator[Finding]:
    """Dates in several ways of writing, each of which is clear."""
    rows: dict[str, list[int]] = defaultdict(list)
    for row in np.flatnonzero(np.isfinite(column.numbers)).tolist():  # type: ignore[arg-type]
        rows[date_form(column.cells[row])].append(row)
    if len(rows) < 2:
        return
    ordered = sorted(rows.values(), key=len, reverse=True)
    shown = [f"{column.cells[each[0]].strip()!r} ({len(each):,})" for each in ordered]
    rare = sorted(row for each in ordered[1:] for row in each)
    yield Finding(
        "types",
        "notice",
        f"column {column.name!r} writes dates in {len(rows)} ways: {listed(shown, 3)}",
        "write all of them as 2024-12-31: other programs read some ways otherwise, or not at all",
        look.data.named(rare),
        rare,
        figures={"column": column.name, "ways": len(rows)},
    )


def date_form(cell: str) -> str:
    """A date without its numbers and names; its time, if there is one, is left out.

    >>> date_form("2024-03-01 10:15"), date_form("1 Mar 2024"), date_form("01/03/2024")
    ('Y-9-9', '9 a Y', '9/9/Y')
    """
    day = re.split(r"(?:T| +|, *)\d{1,2}:\d{2}", cell.strip(), maxsplit=1)[0]
    names = re.sub(r"[^\W\d]+", "a", day)
    return re.sub(r"\d+", "9", re.sub(r"\d{4}", "Y", names))


# ------------------------------------------------------------------------------------ numbers


def _numbers_as_texts(look: Look, column: Column) -> Iterator[Finding]:
    """Numbers with units or marks; numbers in most cells and words in the others."""
    known = np.flatnonzero(~column.missing).tolist()
    cells = [column.cells[row] for row in known]
    good = sum(plain_number(cell) is not None for cell in cells)
    if good >= _SHARE * len(known):
        yield _with_marks(column, cells, good)
        return
    others = [row for row, cell in zip(known, cells, strict=True) if not is_number(cell)]
    numbers = {cell for cell in cells if is_number(cell)}
    if len(others) <= (1 - _MOSTLY) * len(known) and len(numbers) >= _DIFFERENT:
        yield _with_words(look, column, others)


def _with_marks(column: Column, cells: Sequence[str], good: int) -> Finding:
    shown = listed([repr(cell) for cell in dict.fromkeys(cells)], 3)
    units = Counter(unit for unit in map(_unit, cells) if unit)
    several = f", in {len(units)} units: " if len(units) > 1 else ""
    several += listed(
        [f"{unit} ({count:,})" for unit, count in units.most_common()] * bool(several)
    )
    return Finding(
        "types",
        "defect",
        f"column {column.name!r} holds numbers that are written as texts: {shown}{several}",
        "write plain numbers, 1234.5, with the unit in the column's name",
        [column.name],
        figures={"column": column.name, "cells": good, "units": dict(units.most_common(10))},
    )


def _unit(cell: str) -> str:
    return re.sub(r"[-+\d\s,.'’]", "", cell)


def _with_words(look: Look, column: Column, rows: Sequence[int]) -> Finding:
    """Numbers and words: a defect where the words are few ones, else perhaps names in digits."""
    words = Counter(column.cells[row].strip() for row in rows)
    shown = listed([f"{word[:30]!r} ({count:,})" for word, count in words.most_common()], 3)
    count = int((~column.missing).sum())
    return Finding(
        "types",
        "defect" if len(words) <= _FEW else "notice",
        f"column {column.name!r} holds numbers in {1 - len(rows) / count:.0%} of its cells, and "
        f"in the others: {shown}",
        "if it is meant as numbers, correct these cells or leave them empty",
        look.data.named(rows),
        rows,
        figures={"column": column.name, "cells": len(rows)},
    )


# ------------------------------------------------------------------------------- several spellings


def _spellings(look: Look, who: str, name: str, cells: Sequence[str]) -> Iterator[Finding]:
    """One category in several spellings, which models take for several; blanks around some."""
    counts = Counter(cell.strip() for cell in cells)
    alike = [names for names in spelled_alike(counts) if len(names) > 1]
    if alike:
        rare = {each for names in alike for each in names[1:]}
        rows = [row for row, cell in enumerate(cells) if cell.strip() in rare]
        shown = [" = ".join(map(repr, names)) for names in alike]
        yield Finding(
            "types",
            "defect",
            f"{who} spells the same differently: {listed(shown, 3)}",
            "choose one spelling",
            look.data.named(rows),
            rows,
            figures={"column": name, "spellings": alike},
        )
    bare = {cell for cell in cells if cell == cell.strip()}
    rows = [row for row, cell in enumerate(cells) if cell != cell.strip() and cell.strip() in bare]
    if rows:
        yield Finding(
            "types",
            "notice",
            f"{who} has blanks around {counted(len(rows), 'cell')}, such as {cells[rows[0]]!r}",
            "remove them: kedja takes no notice of them, other programs take two categories",
            look.data.named(rows),
            rows,
            figures={"column": name},
        )


def spelled_alike(counts: Mapping[str, int]) -> list[list[str]]:
    """Names that differ in capitals, blanks, hyphens or as y and yes; the commonest ones first.

    >>> spelled_alike({"Lund": 5, "LUND": 1, "New York": 1, "new-york": 3, "Ystad": 1})
    [['Lund', 'LUND'], ['new-york', 'New York'], ['Ystad']]
    """
    keys = {name: _key(name) for name in counts if name}
    there = set(keys.values())
    found: dict[str, list[str]] = defaultdict(list)
    for name, key in keys.items():
        full = _FULL.get(key, key)
        found[full if full in there else key].append(name)
    return [sorted(names, key=lambda each: -counts[each]) for names in found.values()]


def _key(name: str) -> str:
    plain = _INVISIBLE.sub("", unicodedata.normalize("NFKC", name))
    return _BLANKS.sub(" ", re.sub(r"(?<=\w)[-_](?=\w)", " ", plain)).strip().casefold()


# ------------------------------------------------------------------------------- damaged letters


def damaged(look: Look) -> Iterator[Finding]:
    """Letters that were lost or read in another encoding: Ã¶ for ö, � for anything."""
    named = list(_categories(look, ("category", "text")))
    if look.data.texts:
        named.append(("the text", "text", look.data.texts))
    for who, name, cells in named:
        words = {cell: meant(cell) for cell in set(cells)}
        rows = [row for row, cell in enumerate(cells) if words[cell]]
        if rows:
            pairs = list(dict.fromkeys(words[cells[row]] for row in rows))
            yield Finding(
                "damaged letters",
                "defect",
                f"{who} has damaged letters in {counted(len(rows), 'cell')}: {listed(pairs, 3)}",
                "read the source again in its own encoding, and save it as UTF-8",
                look.data.named(rows),
                rows,
                figures={"column": name},
            )


def meant(text: str) -> str:
    """The first damaged word and what it was, as far as that can be told; empty if all are whole.

    >>> meant("from MalmÃ¶"), meant("\u00c2ge"), meant("Malm\ufffd")
    ("'MalmÃ¶' for 'Malmö'", '', "'Malm�'")
    """
    if text.isascii():
        return ""
    for word in text.split():
        better = _TWICE.sub(_read_again, word)
        if better != word or _LOST in word:
            return repr(word) if better == word else f"{word!r} for {better!r}"
    return ""


def _read_again(match: re.Match[str]) -> str:
    """Letters as they were before they were read in another encoding; if they were, else as is."""
    try:
        return b"".join(map(_byte, match.group())).decode("utf-8")
    except UnicodeError:
        return match.group()


def _byte(letter: str) -> bytes:
    """A letter's byte in Windows-1252, or in Latin-1 where that has none."""
    return letter.encode("latin-1" if ord(letter) < 256 else "cp1252")
