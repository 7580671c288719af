"""Tables of weights as pictures: characters for a terminal, SVG for a notebook or a file.

Not here: whose weights they are (`looking.py`). Next: `reading.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import zip_longest
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

SHADES = " ·░▒▓█"  # from 0 to 1
LABEL = 12  # columns of a token's text in front of its row
CELL = 12  # units of a picture
GAP = 28
TITLE = 18
LEVELS = 12  # of darkness
MOST_LABELS = 80  # tokens; the texts of more are left out
STYLE = """
.paper{fill:#fbfbfa}.frame{fill:none;stroke:#c9c8c3}.ink{fill:#17508a}
text{fill:#1d1d1b;font:9px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
.title{font-weight:600;font-size:11px}
@media (prefers-color-scheme:dark){
.paper{fill:#17181a}.frame{stroke:#4a4d52}.ink{fill:#7db2e8}text{fill:#ececea}}
"""
NAMED = {" ": "␣", "\n": "⏎", "\t": "⇥", "": "∅"}


def shown(token: str) -> str:
    """A token as one visible word.

    >>> shown(" to"), shown("\\n")
    ('␣to', '⏎')
    """
    if token in NAMED:
        return NAMED[token]
    return "".join(NAMED.get(each, each) for each in token)


# ------------------------------------------------------------------------------- characters


def shade(weight: float) -> str:
    """The character for a weight from 0 to 1; the steps are those of its square root.

    >>> "".join(map(shade, (0, 0.01, 0.1, 0.3, 0.6, 1)))
    ' ·░▒▓█'
    """
    if not weight > 0:
        return SHADES[0]
    return SHADES[max(1, min(len(SHADES) - 1, round(float(weight) ** 0.5 * (len(SHADES) - 1))))]


def text(
    queries: Sequence[str], keys: Sequence[str], panels: Sequence[Array], titles: Sequence[str]
) -> str:
    """A row for each query, a column for each key; panels side by side, under their titles."""
    width = len(keys)
    heads = "   ".join(title[:width].ljust(width) for title in titles)
    tops = "   ".join("".join(shown(key)[0] for key in keys) for _ in panels)
    lines = [" " * (LABEL + 1) + line for line in ([heads] if any(titles) else []) + [tops]]
    for place, query in enumerate(queries):
        cells = "   ".join("".join(map(shade, panel[place])) for panel in panels)
        lines.append(f"{shown(query)[:LABEL]:>{LABEL}} {cells}")
    return "\n".join(line.rstrip() for line in lines)


# ---------------------------------------------------------------------------------- picture


class Panel(NamedTuple):
    """One table (L, S) of weights from 0 to 1, and what stands above it."""

    title: str
    weights: Array


def svg(queries: Sequence[str], keys: Sequence[str], grid: Sequence[Sequence[Panel]]) -> str:
    """Self-contained SVG: the panels in rows, queries downwards, keys to the right."""
    labelled = max(len(queries), len(keys)) <= MOST_LABELS
    left = 6 * max(len(shown(each)) for each in queries) + 8 if labelled else 8
    below = 6 * max(len(shown(each)) for each in keys) + 8 if labelled else 8
    step = (left + CELL * len(keys) + GAP, TITLE + CELL * len(queries) + below + GAP)
    columns = max(map(len, grid))
    width, height = GAP + columns * step[0], GAP + len(grid) * step[1]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" role="img" aria-label="attention">',
        f'<style>{STYLE}</style><rect class="paper" width="100%" height="100%"/>',
    ]
    for row, panels in enumerate(grid):
        for column, panel in enumerate(panels):
            x, y = GAP + column * step[0] + left, GAP + row * step[1]
            parts.append(f'<g transform="translate({x} {y})">')
            parts += _panel(panel, queries if labelled else (), keys if labelled else ())
            parts.append("</g>")
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panel(panel: Panel, queries: Sequence[str], keys: Sequence[str]) -> list[str]:
    rows, columns = panel.weights.shape
    size = f'width="{CELL * columns}" height="{CELL * rows}"'
    parts = [f'<text class="title" y="-6">{escape(panel.title)}</text>']
    parts += _cells(panel.weights)
    parts.append(f'<rect class="frame" {size}/>')
    for place, (query, key) in enumerate(zip_longest(queries, keys)):
        middle = place * CELL + CELL * 0.75
        if query is not None:
            label = escape(shown(query))
            parts.append(f'<text x="-4" y="{middle:.0f}" text-anchor="end">{label}</text>')
        if key is not None:
            turned = f"translate({middle:.0f} {CELL * rows + 4}) rotate(90)"
            parts.append(f'<text transform="{turned}">{escape(shown(key))}</text>')
    return parts


def _cells(weights: Array) -> list[str]:
    """The cells of each darkness as one path; those of (almost) nothing are left out."""
    levels = np.rint(np.sqrt(np.clip(np.nan_to_num(weights), 0, 1)) * LEVELS).astype(int)
    parts = []
    for level in range(1, LEVELS + 1):
        places = np.argwhere(levels == level)
        if len(places):
            square = f"h{CELL}v{CELL}h-{CELL}z"
            path = "".join(f"M{CELL * x} {CELL * y}{square}" for y, x in places)
            parts.append(f'<path class="ink" fill-opacity="{level / LEVELS:.2f}" d="{path}"/>')
    return parts
