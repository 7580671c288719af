"""A report as one HTML file that needs nothing else: findings, columns with histograms, checks.

No script, no font and no picture comes from elsewhere, and everything that comes from the data is
escaped. Not here: the report on a terminal (`kedja/cli/inspect.py`). Next: `groups_page.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from kedja.inspection.finding import Bars, Finding, Report, Summary

MOST_PLACES = 200
_WIDTH, _HEIGHT = 160, 32

STYLE = """
:root{color-scheme:light dark;--line:#8886;--defect:#b3261e;--notice:#8a6d00;--bar:#3b6ea5}
@media(prefers-color-scheme:dark){:root{--defect:#ff8a80;--notice:#e0c060;--bar:#7fb0e0}}
body{font:15px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem}
table{border-collapse:collapse;font-size:.9rem}
th,td{text-align:left;padding:.2rem .8rem .2rem 0;border-bottom:1px solid var(--line)}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}
article{border-left:4px solid var(--line);padding:.1rem 0 .1rem .9rem;margin:1rem 0}
article.defect{border-color:var(--defect)}article.notice{border-color:var(--notice)}
.defect b{color:var(--defect)}.notice b{color:var(--notice)}
p{margin:.25rem 0}details{margin:.25rem 0}summary{cursor:pointer}
code{font-size:.85rem;overflow-wrap:anywhere}.wide{overflow-x:auto}
svg rect{fill:var(--bar)}
"""


def html(report: Report) -> str:
    """A report as one page, in which nothing comes from elsewhere and data are escaped."""
    title = f"{escape(report.name)}: {len(report.defects)} defects, {len(report.notices)} notices"
    parts = [
        f"<h1>{escape(report.name)}</h1><p>{_facts(report)}</p>",
        *_findings("Defects", report.defects),
        *_findings("Notices", report.notices),
        *_columns(report.summaries),
        f"<h2>What was checked</h2><p>{escape('; '.join(report.checks))}.</p>",
    ]
    return whole(title, parts)


def whole(title: str, parts: Iterable[str]) -> str:
    """A page of these parts; they and the title are escaped already."""
    head = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{title}</title><style>{STYLE}</style></head><body>",
    ]
    return "\n".join([*head, *parts, "</body></html>\n"])


def _facts(report: Report) -> str:
    facts = [f"{report.facts['examples']:,} {EXAMPLES[report.kind]}"]
    if report.facts["test_examples"]:
        facts.append(f"{report.facts['test_examples']:,} to test on")
    if report.facts["label"]:
        facts.append(f"label {report.facts['label']}")
    facts += [f"{name} {value}" for name, value in report.facts["about"].items()]
    return escape(", ".join(facts))


EXAMPLES = {"table": "rows", "texts": "texts", "pictures": "pictures", "recordings": "recordings"}


def _findings(title: str, found: Sequence[Finding]) -> Iterable[str]:
    yield f"<h2>{title}</h2>"
    if not found:
        yield "<p>None.</p>"
    for each in found:
        yield f'<article class="{each.severity}"><p><b>{escape(each.check)}</b>: '
        yield f"{escape(each.what)}</p><p>How sure: {escape(each.sure)}.</p>"
        yield f"<p>To do: {escape(each.fix)}.</p>{_places(each.where)}</article>"


def _places(where: Sequence[str]) -> str:
    if len(where) < 2:
        return ""
    rest = len(where) - MOST_PLACES
    shown = escape("\n".join(where[:MOST_PLACES])) + (f"\nand {rest:,} more" if rest > 0 else "")
    body = f"<pre><code>{shown}</code></pre>"
    return f"<details><summary>{len(where):,} places</summary>{body}</details>"


def _columns(summaries: Sequence[Summary]) -> Iterable[str]:
    if not summaries:
        return
    names = ("distinct", "missing", "mean", "std", "min", "median", "max")
    head = "".join(f'<th class="n">{name}</th>' for name in names)
    yield f'<h2>Columns</h2><div class="wide"><table><tr><th>column</th><th>kind</th>{head}'
    yield "<th>values</th></tr>"
    for each in summaries:
        dates = {"min": each.figures.get("first"), "max": each.figures.get("last")}
        figures: dict[str, Any] = {**dates, **each.figures}
        cells = "".join(f'<td class="n">{escape(_number(figures.get(n)))}</td>' for n in names)
        yield f"<tr><td>{escape(each.name)}</td><td>{escape(each.kind)}</td>{cells}"
        yield f"<td>{histogram(each.bars)}</td></tr>"
    yield "</table></div>"


def _number(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.5g}"
    return "" if value is None else f"{value:,}" if isinstance(value, int) else str(value)


def histogram(bars: Bars) -> str:
    """Counts as an SVG of bars, each with its name and count as a tooltip."""
    top = max(bars.counts, default=0)
    if not top:
        return ""
    step = _WIDTH / len(bars.counts)
    parts = [f'<svg width="{_WIDTH}" height="{_HEIGHT}" role="img" aria-label="histogram">']
    for place, count in enumerate(bars.counts):
        height = _HEIGHT * count / top
        name = escape(bars.names[place]) if place < len(bars.names) else ""
        parts.append(
            f'<rect x="{place * step:.1f}" y="{_HEIGHT - height:.1f}" width="{step - 1:.1f}" '
            f'height="{height:.1f}"><title>{name}: {count:,}</title></rect>'
        )
    return "".join([*parts, "</svg>"])
