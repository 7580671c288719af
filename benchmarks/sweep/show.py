"""The sweep's table and chart. Not here: the figures (`run.py`). This is the end."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.report.chart import new_figure, plain_ticks, save
from benchmarks.report.layout import table
from benchmarks.report.words import apart, seconds, times
from benchmarks.sweep.run import CLIFF, Json

COLUMNS = 5
PANEL_INCHES = 2.2
LINES = {"kedja": "#1f6f8b", "torch": "#b0b0b0"}
MARK = {"marker": "o", "markersize": 9, "markerfacecolor": "none", "markeredgecolor": "#c0392b"}


def show(data: Json, console: Console) -> None:
    """Time per example at every point, what it gains on PyTorch eager, and the cliffs."""
    widths = sorted({each["width"] for each in data["points"]})
    by_place = {(each["width"], each["batch"]): each for each in data["points"]}
    batches = sorted({batch for _, batch in by_place})
    for title, cell in (
        ("kedja's time for one example, in fit, by width and batch", per_example),
        ("PyTorch eager's time ÷ kedja's", ratio),
    ):
        console.print(title, highlight=False)
        rows = [
            (str(batch), *(cell(by_place[width, batch]) for width in widths)) for batch in batches
        ]
        table(console, ("batch", *(str(width) for width in widths)), rows)
    for line in lines(data):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def per_example(point: Json) -> str:
    """kedja's seconds for one example."""
    return seconds(point["seconds"]["kedja"] / point["batch"])


def ratio(point: Json) -> str:
    """PyTorch's time ÷ kedja's."""
    its = point["seconds"].get("torch")
    return "" if its is None else times(its / point["seconds"]["kedja"])


def lines(data: Json) -> list[str]:
    """What must not be overlooked."""
    machine, settings = data["machine"], data["settings"]
    found = [
        f"{machine['cpu']}, {machine['cores']} cores, {settings['threads']} threads; perceptrons "
        f"width-width-width-10, ReLU, SGD; medians of {settings['rounds']} rounds"
    ]
    found += [
        f"CLIFF at width {each['width']}, batch {each['batch']}: {times(each['height'])} times "
        f"what its neighbours let expect{', but DISTURBED' if each['disturbed'] else ''}"
        f"{', but the cores were FAR' if each.get('far') else ''}"
        for each in data["cliffs"]
    ]
    if not data["cliffs"]:
        found.append(f"no cliff: no point takes {CLIFF:g} times what its neighbours let expect")
    slower = [
        p for p in data["points"] if p["seconds"].get("torch", math.inf) < p["seconds"]["kedja"]
    ]
    found += [f"kedja LOSES at width {p['width']}, batch {p['batch']}: {ratio(p)}" for p in slower]
    disturbed = sum(each["disturbed"] for each in data["points"])
    if disturbed:
        found.append(f"DISTURBED by other work: {disturbed} of {len(data['points'])} points")
    return [*found, *apart(data.get("distance"))]


# ------------------------------------------------------------------------------------ chart


def draw(data: Json, path: Path) -> None:
    """Time per example against the batch size, a panel for each width, as SVG.

    Raises MissingExtra without matplotlib.
    """
    widths = sorted({each["width"] for each in data["points"]})
    rows = -(-len(widths) // COLUMNS)
    figure = new_figure(1.0 + PANEL_INCHES * rows)
    grid = figure.subplots(rows, COLUMNS, squeeze=False, sharex=True, sharey=True)
    panels = list(grid.flat)
    for axes, width in zip(panels, widths, strict=False):
        _panel(axes, width, [each for each in data["points"] if each["width"] == width], data)
    for axes in panels[len(widths) :]:
        axes.set_visible(False)
    panels[0].legend(fontsize=6, frameon=False)
    machine, threads = data["machine"], data["settings"]["threads"]
    figure.suptitle(f"{machine['cpu']}, {threads} threads, {data['date'][:10]}", fontsize=10)
    figure.supxlabel("batch size", fontsize=8)
    figure.supylabel("seconds for one example", fontsize=8)
    save(figure, path)


def _panel(axes: Any, width: int, points: Sequence[Json], data: Json) -> None:
    for side, colour in LINES.items():
        line = [each for each in points if side in each["seconds"]]
        batches = [each["batch"] for each in line]
        times_each = [each["seconds"][side] / each["batch"] for each in line]
        label = "PyTorch eager" if side == "torch" else "kedja in fit"
        axes.plot(batches, times_each, color=colour, marker=".", markersize=3, label=label)
    found = {each["batch"] for each in data["cliffs"] if each["width"] == width}
    for each in points:
        if each["batch"] in found:
            axes.plot([each["batch"]], [each["seconds"]["kedja"] / each["batch"]], **MARK)
    axes.set_xscale("log")
    axes.set_yscale("log")
    plain_ticks(axes.xaxis)
    axes.set_title(f"width {width}", fontsize=8)
    axes.tick_params(labelsize=6)
