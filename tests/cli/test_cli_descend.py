"""`kedja descend`: the lecture's descent, boxes, plots, JSON, and what goes wrong."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from kedja.cli.descent import BLOCK, descend
from kedja.cli.expression import parse
from kedja.ground.errors import NonFiniteError
from kedja.ground.flags import scope
from kedja.views import figures
from tests.cli.terminal import Terminal
from tests.fixtures import TIERS

F = "sin(0.8*x1) * sin(0.6*x2) * exp(0.1*x1)"
LECTURE = ("descend", F, "--start", "2,2", "--box=-2:3,-2:2")


@pytest.mark.parametrize("tier", TIERS)
def test_the_descent_of_the_lecture(terminal: Terminal, tier: str) -> None:
    found = terminal(*LECTURE, "--rate", "0.1", "--steps", "300", "--json", tier=tier)
    assert found.code == 0, found.err
    data = json.loads(found.out)
    assert data["end"]["x1"] == pytest.approx(2.11894, abs=5e-6)
    assert data["end"]["x2"] == -2.0
    assert data["value"] == pytest.approx(-1.14312, abs=5e-6)
    assert data["path"][0] == {"step": 0, "at": [2.0, 2.0], "value": pytest.approx(1.137909711)}
    assert len(data["path"]) == 301


def test_the_table_of_the_lecture(terminal: Terminal, golden: Callable[[str, str], None]) -> None:
    found = terminal(*LECTURE)
    golden("cli_descend", found.out)


def test_the_path_is_that_of_plain_numpy() -> None:
    low, high, rate = np.array([-2.0, -2.0]), np.array([3.0, 2.0]), 0.1

    def gradient(x: np.ndarray) -> np.ndarray:
        a, b, c = np.sin(0.8 * x[0]), np.sin(0.6 * x[1]), np.exp(0.1 * x[0])
        first = 0.8 * np.cos(0.8 * x[0]) * b * c + 0.1 * a * b * c
        return np.array([first, a * 0.6 * np.cos(0.6 * x[1]) * c])

    point, path = np.array([2.0, 2.0]), [np.array([2.0, 2.0])]
    for _ in range(60):
        point = np.clip(point - rate * gradient(point), low, high)
        path.append(point)
    with scope(tier="interpret"):
        found = descend(parse(F), {"x1": 2, "x2": 2}, rate, 60, {"x1": (-2, 3), "x2": (-2, 2)})
    np.testing.assert_allclose(found.path, path, rtol=1e-12)


@pytest.mark.parametrize("steps", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 3])
def test_every_point_of_the_path_is_kept(steps: int) -> None:
    with scope(tier="interpret"):
        found = descend(parse("x^2"), {"x": 1.0}, 0.01, steps)
    assert found.path.shape == (steps + 1, 1)
    expected = (1 - 2 * 0.01) ** np.arange(steps + 1)
    np.testing.assert_allclose(found.path[:, 0], expected, rtol=1e-9)
    np.testing.assert_allclose(found.values, found.path[:, 0] ** 2, rtol=1e-12)


def test_one_and_three_variables(terminal: Terminal) -> None:
    one = json.loads(terminal("descend", "(x-1)^2", "--start", "x=5", "--json").out)
    assert one["end"]["x"] == pytest.approx(1.0)
    three = terminal(
        "descend", "(a-1)^2 + (b+2)^2 + c^2", "--start", "c=3,a=0,b=0", "--rate", "0.3", "--json"
    )
    assert json.loads(three.out)["end"] == pytest.approx({"a": 1.0, "b": -2.0, "c": 0.0}, abs=1e-9)


def test_a_start_outside_the_box_is_moved_into_it(terminal: Terminal) -> None:
    found = terminal("descend", "x", "--start", "9", "--box=0:1", "--steps", "0", "--json")
    assert json.loads(found.out)["path"][0]["at"] == [1.0]


def test_long_paths_are_thinned_in_json(terminal: Terminal) -> None:
    found = terminal("descend", "x^2", "--start", "1", "--steps", "2500", "--json")
    path = json.loads(found.out)["path"]
    assert len(path) <= 1002
    assert (path[0]["step"], path[-1]["step"]) == (0, 2500)


@pytest.mark.parametrize("name", ["path.png", "path.svg"])
def test_the_plot_is_drawn(terminal: Terminal, tmp_path: Path, name: str) -> None:
    pytest.importorskip("matplotlib")
    file = tmp_path / name
    found = terminal(*LECTURE, "--plot", str(file))
    assert found.code == 0 and file.stat().st_size > 10_000
    assert found.err == f"wrote {file}\n"
    assert terminal(*LECTURE[:4], "--plot", str(file)).code == 0  # without a box
    assert terminal("descend", "x - log(x) + y^2", "--start", "1,1", "--plot", str(file)).code == 0


def test_a_plot_needs_matplotlib(
    terminal: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.setattr(figures, "_class", figures._class.__wrapped__)  # not the one made before
    found = terminal(*LECTURE, "--plot", str(tmp_path / "a.png"))
    assert (found.code, found.out) == (1, "")
    assert "pip install 'kedja[plots]'" in found.err


def test_a_point_where_f_stops_being_finite_is_named() -> None:
    with scope(tier="interpret"), pytest.raises(NonFiniteError, match=r"after \d+ steps, at x="):
        descend(parse("x^3 - x"), {"x": -2.0}, 0.9, 100)
    with scope(tier="interpret"), pytest.raises(NonFiniteError, match="after 0 steps, at x=0"):
        descend(parse("1/x"), {"x": 0.0}, 0.1, 10)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("descend", "x^2", "--start", "1,2"), 2, "gives 2 for 1 variables"),
        (("descend", "x^2", "--start", "y=1"), 2, "no value for x"),
        (("descend", "3", "--start", "1"), 2, "no variables"),
        (("descend", "x^2", "--start", "1", "--box", "3:1"), 2, "is empty"),
        (("descend", "x^2", "--start", "1", "--rate", "nan"), 2, "not a number"),
        (("descend", "x^2", "--start", "1", "--plot", "a.png"), 2, "two variables"),
        (("descend", "x*y", "--start", "1,1", "--plot", "a.txt"), 2, "no picture"),
        (("descend", "x*y", "--start", "1,1", "--plot", "/nowhere/a.png"), 1, "cannot write"),
        (("descend", "log(x)", "--start", "-1"), 1, "f is nan after 0 steps"),
    ],
)
def test_wrong_input_gives_one_message(
    terminal: Terminal, arguments: tuple[str, ...], code: int, message: str
) -> None:
    found = terminal(*arguments)
    assert (found.code, found.out) == (code, ""), found.err
    assert found.err.startswith("error: ") and message in found.err
