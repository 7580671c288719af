"""Pictures and captions that found each other: bars of captions, or rows of pictures.

Not here: what fits what (`kedja/models/clip.py`). Needs matplotlib. Next: `pictures.py`.
Dimensions: B pictures, N captions.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from kedja.ground.errors import UsageError
from kedja.views import figures
from kedja.views.pictures import show

Array = np.ndarray[Any, np.dtype[Any]]

ROWS, COLUMNS, BARS = 8, 10, 5
WIDTH = 34  # characters of a caption in a line
RIGHT, OTHER = "#2a9d5c", "#9db4c8"


def plot_chosen(
    pictures: Array,
    captions: Sequence[str],
    chosen: Iterable[tuple[int, int]],
    shares: Array,
    true: Sequence[int] | None = None,
) -> Any:
    """Pictures, each beside bars of the captions chosen for it; the figure.

    `chosen` are numbers of pictures and captions, the best first; `shares` (B, N) how well they
    fit. The first eight pictures are drawn with five captions each; where the `true` ones are known
    (B,), their bars are green, else the highest. Raises UsageError for none.
    """
    bars = _grouped(chosen)
    if not bars:
        raise UsageError("no pictures to draw", fix="give some")
    shown = list(bars.items())[:ROWS]
    across = 2 if len(shown) > 2 else 1
    down = -(-len(shown) // across)
    figure = figures.figure(figsize=(5.6 * across, 0.3 + 1.55 * down))
    panels = figure.subplots(down, 2 * across, squeeze=False, width_ratios=[1, 1.8] * across)
    for panel in panels.ravel():
        panel.set_axis_off()
    for place, (picture, numbers) in enumerate(shown):
        row, column = place // across, 2 * (place % across)
        show(panels[row, column], pictures[picture], "")
        right = numbers[0] if true is None else true[picture]
        _bars(panels[row, column + 1], captions, numbers[:BARS], shares[picture], right)
    return figure


def _bars(
    panel: Any, captions: Sequence[str], numbers: Sequence[int], row: Array, right: int
) -> None:
    """Horizontal bars from 0 to 1, the captions written on them."""
    values = row[list(numbers)]
    colours = [RIGHT if number == right else OTHER for number in numbers]
    places = np.arange(len(numbers))[::-1]
    panel.barh(places, values, color=colours, height=0.86)
    for place, number, value in zip(places, numbers, values, strict=True):
        text = textwrap.shorten(captions[number], WIDTH, placeholder=" …")
        panel.text(0.02, place, f"{text}  {value:.0%}", va="center", fontsize=8.5)
    middle, high = (len(numbers) - 1) / 2, max(BARS, len(numbers)) / 2 + 0.1
    panel.set(xlim=(0, 1), ylim=(middle - high, middle + high))


def plot_found(pictures: Array, captions: Sequence[str], chosen: Iterable[tuple[int, int]]) -> Any:
    """Captions, each beside the pictures found for it, the best first; the figure.

    `chosen` are numbers of pictures and captions. The first eight captions are drawn with ten
    pictures each. Raises UsageError for none.
    """
    found = _grouped(((number, place) for place, number in chosen))
    if not found:
        raise UsageError("no captions to draw", fix="give some")
    shown = list(found.items())[:ROWS]
    across = max(len(places[:COLUMNS]) for _, places in shown)
    figure = figures.figure(figsize=(2.2 + 1.0 * across, 0.2 + 1.1 * len(shown)))
    panels = figure.subplots(
        len(shown), across + 1, squeeze=False, width_ratios=[2.2, *[1.0] * across]
    )
    for panel in panels.ravel():
        panel.set_axis_off()
    for row, (number, places) in zip(panels, shown, strict=True):
        text = textwrap.fill(captions[number], 20, max_lines=4, placeholder=" …")
        row[0].text(1, 0.5, text, ha="right", va="center", fontsize=9)
        for panel, place in zip(row[1:], places, strict=False):
            show(panel, pictures[place], "")
    return figure


def _grouped(pairs: Iterable[tuple[int, int]]) -> dict[int, list[int]]:
    """The second numbers by the first, in their order."""
    found: dict[int, list[int]] = {}
    for first, second in pairs:
        found.setdefault(first, []).append(second)
    return found
