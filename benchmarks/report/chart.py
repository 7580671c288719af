"""One chart of all cases, for the README: networks on the left, arrays on the right.

Not here: the figures (`figures.py`), the sweep's chart (`benchmarks/sweep/show.py`).
Next: `layout.py`.

Everything is PyTorch eager's time ÷ a side's, on a logarithmic axis: kedja's two ways of running as
bars with their quartiles, the fastest other peer as a mark, the goal as a line.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.report.figures import JUDGE, WAYS, Json, against, best_seconds, side_of
from benchmarks.report.tables import is_disturbed
from benchmarks.report.words import times
from kedja.ground.errors import MissingExtra

COLOURS = {"loop": "#1f6f8b", "step": "#99c5d3"}
SLOWER = {"loop": "#c0392b", "step": "#e3a79f"}
GOAL = {"color": "#e08a00", "linewidth": 2}
OTHER = {"color": "black", "marker": "D", "markersize": 4, "linestyle": "none"}
NETWORKS = ("train", "forward", "descent")
WIDTH, ROW_INCHES, NARROW_INCHES, EDGE_INCHES = 11.0, 0.5, 0.21, 1.8
DENSE = 20  # rows above which letters are small and figures are left out


def draw(data: Json, path: Path) -> None:
    """Write an SVG. Raises MissingExtra without matplotlib."""
    rows = [case for case in data["cases"] if against(case, "loop") or against(case, "step")]
    networks = [case for case in rows if case["kind"] in NETWORKS]
    arrays = [case for case in rows if case["kind"] not in NETWORKS]
    panels = [each for each in (networks, arrays) if each]
    if not panels:
        panels = [[]]
    figure = new_figure(_height(panels))
    every = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, cases in zip(every, panels, strict=True):
        _panel(axes, cases, data)
    _legend(figure, every[0])
    figure.suptitle(_title(data), fontsize=10)
    save(figure, path)


def _height(panels: Sequence[Sequence[Json]]) -> float:
    """High enough for the panel with the most to show."""
    rows = [len(each) * (NARROW_INCHES if len(each) > DENSE else ROW_INCHES) for each in panels]
    return EDGE_INCHES + max(rows)


def new_figure(height: float) -> Any:
    """An empty figure that needs no screen. Raises MissingExtra without matplotlib."""
    try:
        matplotlib = importlib.import_module("matplotlib")
        figure = importlib.import_module("matplotlib.figure")
    except ImportError:
        raise MissingExtra("matplotlib", "plots", "the chart") from None
    # The same figures give the same file, and letters stay letters.
    matplotlib.rcParams.update({"svg.hashsalt": "kedja", "svg.fonttype": "none"})
    return figure.Figure(figsize=(WIDTH, height), layout="constrained")


def save(figure: Any, path: Path) -> None:
    """Write it as SVG, the same bytes for the same figure."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, format="svg", metadata={"Date": None})


def _title(data: Json) -> str:
    machine = data["machine"]
    words = f"{machine['cpu']}, {machine['cores']} cores, {data['date'][:10]}"
    disturbed = any(is_disturbed(case) for case in data["cases"])
    return f"{words}: DISTURBED by other work" if disturbed else words


def _panel(axes: Any, cases: Sequence[Json], data: Json) -> None:
    size = 7 if len(cases) > DENSE else 8
    for place, case in enumerate(reversed(cases)):
        _bars(axes, place, case, size, with_figures=len(cases) <= DENSE)
        _other(axes, place, case)
    names = [case["name"] for case in reversed(cases)]
    axes.set_yticks(range(len(cases)), names, fontsize=size)
    axes.set_ylim(-0.7, len(cases) - 0.3)
    axes.set_xscale("log")
    plain_ticks(axes.xaxis)
    axes.margins(x=0.14)
    axes.axvline(1, color="black", linewidth=1)
    threads = data["settings"]["threads"]
    axes.set_xlabel(f"PyTorch eager's time ÷ kedja's, {threads} threads", fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)


def _bars(axes: Any, place: int, case: Json, size: int, with_figures: bool) -> None:
    """A case's bars with their quartiles, each with its figure and its goal across it."""
    found = {mode: each for mode in WAYS if (each := against(case, mode)) is not None}
    height = 0.8 / max(1, len(found))
    for number, (mode, each) in enumerate(found.items()):
        y, ratio = place + 0.4 - height * (number + 0.5), each["ratio"]
        colour = (COLOURS if ratio >= 1 else SLOWER)[mode]
        axes.barh(y, ratio - 1, height * 0.9, left=1, color=colour)
        axes.plot([each["low"], each["high"]], [y, y], color="#444444", linewidth=1)
        if with_figures:
            _figure_beside(axes, each, y, size)
        if each["goal"] is not None:
            axes.plot([each["goal"]] * 2, [y - height / 2, y + height / 2], **GOAL)


def _figure_beside(axes: Any, each: Json, y: float, size: int) -> None:
    ahead = each["ratio"] >= 1
    axes.annotate(
        times(each["ratio"]),
        (max(each["ratio"], each["high"]) if ahead else min(each["ratio"], each["low"]), y),
        (3 if ahead else -3, 0),
        textcoords="offset points",
        ha="left" if ahead else "right",
        va="center",
        fontsize=size,
    )


def _other(axes: Any, place: int, case: Json) -> None:
    """The fastest peer beside PyTorch eager."""
    judge = side_of(case, JUDGE)
    others = [side for side in case["sides"] if side["name"] not in ("kedja", JUDGE)]
    if judge is not None and others:
        best = min(best_seconds(side) for side in others)
        axes.plot([best_seconds(judge) / best], [place], **OTHER)


def plain_ticks(axis: Any) -> None:
    """A logarithmic axis with 1, 2 and 5 of each power of ten, in plain figures."""
    ticker = importlib.import_module("matplotlib.ticker")
    axis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5), numticks=12))
    axis.set_minor_locator(ticker.NullLocator())
    axis.set_major_formatter(lambda value, _: f"{value:,g}")


def _legend(figure: Any, axes: Any) -> None:
    """What the colours mean, by bars that are not seen."""
    for mode, colour in COLOURS.items():
        axes.barh(0, 0, color=colour, label=f"kedja, {WAYS[mode]}")
    axes.barh(0, 0, color=SLOWER["loop"], label="kedja is slower")
    axes.plot([], [], **OTHER, label="the fastest other peer")
    axes.plot([], [], **GOAL, label="goal")
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5, fontsize=8, frameon=False)
