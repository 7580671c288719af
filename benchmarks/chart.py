"""One chart of all cases, for the README. Not here: the figures (`report.py`). It is the end."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from benchmarks.report import GOALS, JUDGE, WAYS, Json, times
from kedja.ground.errors import MissingExtra

COLOURS = {"loop": "#1f6f8b", "step": "#99c5d3"}
SLOWER = "#c0392b"
GOAL = {"color": "#e08a00", "linewidth": 2}
ROW_INCHES = 0.42


def draw(data: Json, path: Path) -> None:
    """Write an SVG: PyTorch eager's time ÷ kedja's, a row for each case.

    Raises MissingExtra without matplotlib.
    """
    rows = [case for case in data["cases"] if _ratios(case)]
    figure = _figure(len(rows))
    axes = figure.add_subplot()
    for place, case in enumerate(reversed(rows)):
        _bars(axes, place, _ratios(case), case)
    axes.set_yticks(range(len(rows)), [case["name"] for case in reversed(rows)])
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,g}")
    axes.margins(x=0.12)
    axes.axvline(1, color="black", linewidth=1)
    axes.set_xlabel(f"PyTorch's time ÷ kedja's, {data['settings']['threads']} threads")
    axes.set_title(_title(data), loc="left", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    _legend(axes)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, format="svg", metadata={"Date": None})


def _ratios(case: Json) -> dict[str, float]:
    """How much faster kedja is than PyTorch eager, in each way of running."""
    against = [each for each in case["comparisons"] if each["peer"] == JUDGE]
    return {each["mode"]: each["ratio"] for each in against}


def _title(data: Json) -> str:
    machine, cases = data["machine"], data["cases"]
    disturbed = any(each["disturbed"] for case in cases for each in case["comparisons"])
    words = f"{machine['cpu']}, {machine['cores']} cores, {data['date'][:10]}"
    return f"{words}: DISTURBED by other work" if disturbed else words


def _figure(rows: int) -> Any:
    try:
        matplotlib = importlib.import_module("matplotlib")
        figure = importlib.import_module("matplotlib.figure")
    except ImportError:
        raise MissingExtra("matplotlib", "plots", "the chart") from None
    # The same figures give the same file, and letters stay letters.
    matplotlib.rcParams.update({"svg.hashsalt": "kedja", "svg.fonttype": "none"})
    return figure.Figure(figsize=(8, 1.6 + ROW_INCHES * rows), layout="constrained")


def _bars(axes: Any, place: int, ratios: dict[str, float], case: Json) -> None:
    """A case's bars, each with its figure, and with its goal as a line across it."""
    height = 0.8 / max(1, len(ratios))
    for number, (mode, ratio) in enumerate(ratios.items()):
        y, ahead = place + 0.4 - height * (number + 0.5), ratio >= 1
        axes.barh(y, ratio - 1, height * 0.9, left=1, color=COLOURS[mode] if ahead else SLOWER)
        axes.annotate(
            times(ratio),
            (ratio, y),
            (3 if ahead else -3, 0),
            textcoords="offset points",
            ha="left" if ahead else "right",
            va="center",
            fontsize=8,
        )
        if (goal := case[GOALS[mode]]) is not None:
            axes.plot([goal, goal], [y - height / 2, y + height / 2], **GOAL)


def _legend(axes: Any) -> None:
    """What the colours mean, by bars that are not seen."""
    for mode, colour in COLOURS.items():
        axes.barh(0, 0, color=colour, label=WAYS[mode])
    axes.barh(0, 0, color=SLOWER, label="kedja is slower")
    axes.plot([], [], **GOAL, label="goal")
    axes.legend(loc="lower right", fontsize=8, frameon=False)
