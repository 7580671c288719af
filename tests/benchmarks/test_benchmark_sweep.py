"""The sweep finds cliffs and only cliffs, and shows them. Not here: its sides
(`test_benchmark_sides.py`).
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks.sweep.points import BATCHES, WIDTHS, Point, grid
from benchmarks.sweep.run import Json, cliffs
from benchmarks.sweep.show import draw, show

Golden = Callable[[str, str], None]


def point(width: int, batch: int, factor: float = 1.0) -> Json:
    """A point whose time grows smoothly with width and batch."""
    own = factor * 1e-9 * width**1.6 * (batch + 3)
    return {
        "width": width,
        "batch": batch,
        "flops": Point(width, batch).case().flops,
        "seconds": {"kedja": own, "torch": 3e-9 * width**1.6 * (batch + 3)},
        "disturbed": False,
    }


def points(**factors: float) -> list[Json]:
    """The whole grid; `w64_b33=2` makes one point twice as slow as is natural."""
    return [point(w, b, factors.get(f"w{w}_b{b}", 1.0)) for w, b in grid()]


def test_a_smooth_growth_has_no_cliff() -> None:
    assert cliffs(points()) == []


@pytest.mark.parametrize(("width", "batch"), [(64, 33), (45, 4), (257, 12), (100, 128), (100, 1)])
def test_a_point_that_stands_out_is_a_cliff(width: int, batch: int) -> None:
    (found,) = cliffs(points(**{f"w{width}_b{batch}": 2.0}))
    assert (found["width"], found["batch"]) == (width, batch)
    assert found["height"] == pytest.approx(2.0, rel=0.15)


def test_a_point_that_is_faster_is_no_cliff() -> None:
    assert cliffs(points(w64_b33=0.5)) == []


def test_the_grid_has_odd_widths_and_all_sizes_of_batches() -> None:
    assert {45, 46, 47} <= set(WIDTHS)
    assert (min(BATCHES), max(BATCHES)) == (1, 128)
    assert len(grid()) == len(WIDTHS) * len(BATCHES)


def run_of(found: list[Json]) -> Json:
    return {
        "date": "2025-01-01T00:00:00+00:00",
        "machine": {"cpu": "a processor", "cores": 2},
        "settings": {"rounds": 3, "threads": 2},
        "points": found,
        "cliffs": cliffs(found),
    }


def test_the_table_is_as_before(golden: Golden) -> None:
    text = io.StringIO()
    show(run_of(points(w64_b33=4.0)), Console(file=text, width=250))
    assert "CLIFF at width 64, batch 33" in text.getvalue()
    assert "kedja LOSES at width 64, batch 33" in text.getvalue()
    golden("benchmark_sweep", text.getvalue())


def test_the_chart_has_a_panel_for_each_width(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    draw(run_of(points(w64_b33=4.0)), tmp_path / "sweep.svg")
    text = (tmp_path / "sweep.svg").read_text("utf-8")
    assert re.findall(r">width (\d+)<", text) == [str(width) for width in WIDTHS]
