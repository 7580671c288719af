"""Errors by group as one HTML file that needs nothing else: each mean and its interval, drawn.

Everything that comes from the data is escaped. Not here: the means (`groups.py`), the page's frame
(`page.py`). Next: `kedja/cli/errors.py`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape

from kedja.inspection import page
from kedja.inspection.groups import Group, Groups

_WIDTH, _HEIGHT = 320, 18


def groups_html(title: str, tables: Sequence[Groups]) -> str:
    """Tables of errors by group as one page, in which nothing comes from elsewhere."""
    parts = [f"<h1>{escape(title)}</h1>", *(part for each in tables for part in _table(each))]
    return page.whole(escape(title), parts)


def _table(found: Groups) -> Iterator[str]:
    right = _rightmost(found)
    yield f"<h2>By {escape(found.by)}</h2><p>{escape(uneven(found))}.</p>"
    head = (found.by, "count", found.what, f"{found.confidence:.0%} interval")
    first, *numbers = map(escape, head)
    cells = "".join(f'<th class="n">{each}</th>' for each in numbers)
    yield f'<div class="wide"><table><tr><th>{first}</th>{cells}<th></th><th></th></tr>'
    for row in (*found.rows, found.whole):
        name, *figures = map(escape, found.cells(row))
        cells = "".join(f'<td class="n">{each}</td>' for each in figures)
        mark = "" if row is found.whole else found.unlike(row)
        yield f"<tr><td>{name}</td>{cells}<td>{_bar(row, found.whole.value, right)}</td>"
        yield f"<td>{mark}</td></tr>"
    yield "</table></div>"


def uneven(found: Groups) -> str:
    """How probable it is that the groups differ as much by chance, as a sentence without a stop."""
    if len(found.rows) < 2:
        return "there is one group only"
    share = 100 * found.chance
    cases = f"{share:.{0 if share >= 10 else 1}f} %" if share >= 0.1 else "fewer than 0.1 %"
    return f"drawn by lot, groups would differ as much in {cases} of cases"


def _rightmost(found: Groups) -> float:
    """The end of the scale: the largest finite end of an interval, or value."""
    rows = (*found.rows, found.whole)
    ends = [each for row in rows for each in (row.value, row.high) if math.isfinite(each)]
    return max(ends, default=0.0) or 1.0


def _bar(row: Group, mean: float, right: float) -> str:
    """The interval as a line, the value as a dot, the mean of all as a thin line."""
    low, value, high, middle = (
        _WIDTH * min(max(each / right, 0.0), 1.0) for each in (row.low, row.value, row.high, mean)
    )
    half = _HEIGHT / 2
    return (
        f'<svg width="{_WIDTH}" height="{_HEIGHT}" role="img" aria-label="interval">'
        f'<rect x="{middle:.1f}" y="0" width="1" height="{_HEIGHT}" opacity="0.5"/>'
        f'<rect x="{low:.1f}" y="{half - 1:.1f}" width="{max(high - low, 1):.1f}" height="2"/>'
        f'<rect x="{value - 3:.1f}" y="{half - 3:.1f}" width="6" height="6" rx="3"/></svg>'
    )
