"""`kedja explain`: the lecture's table, choices of variables, pictures, JSON, wrong input."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.cli.terminal import Terminal

LECTURE = ("explain", "1 + exp(w0 + w1*x)", "--at", "w0=-1,w1=0.5,x=2")


def test_the_table_of_the_lecture(terminal: Terminal, golden: Callable[[str, str], None]) -> None:
    found = terminal(*LECTURE)
    assert (found.code, found.err) == (0, "")
    golden("cli_explain", found.out)


def test_the_reciprocal_of_the_lecture(
    terminal: Terminal, golden: Callable[[str, str], None]
) -> None:
    golden("cli_explain_reciprocal", terminal("explain", "1/(1 - e^(-x))", "--at", "x=1").out)


def test_json_is_one_object(terminal: Terminal) -> None:
    data = json.loads(terminal(*LECTURE, "--json").out)
    assert data["expression"] == "1 + exp(w0 + w1*x)"
    assert data["at"] == {"w0": -1, "w1": 0.5, "x": 2}
    assert data["value"] == 2
    assert data["gradients"] == {"w0": 1, "w1": 2, "x": 0.5}
    assert data["derivatives"]["w1"] == "x * exp(w0 + w1 * x)"
    assert [node["name"] for node in data["nodes"]] == ["w0", "w1", "x", "a", "b", "c", "f"]
    assert all(node["source"] is None for node in data["nodes"])


def test_only_the_chosen_variables_have_gradients(terminal: Terminal) -> None:
    data = json.loads(terminal(*LECTURE, "--wrt", "w1", "--json").out)
    assert data["gradients"] == {"w1": 2}
    nodes = {node["name"]: node["gradient"] for node in data["nodes"]}
    assert nodes["w0"] is None and nodes["x"] is None and nodes["a"] == 1


def test_values_are_float64(terminal: Terminal) -> None:
    data = json.loads(terminal("explain", "exp(x)", "--at", "x=0.1", "--json").out)
    assert data["value"] == math.exp(0.1)


def test_infinity_is_null(terminal: Terminal) -> None:
    data = json.loads(terminal("explain", "log(x)", "--at", "x=0", "--json").out)
    assert data["value"] is None and data["gradients"] == {"x": None}


def test_the_picture_is_written(terminal: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "graph.svg"
    assert terminal(*LECTURE, "--svg", str(file)).code == 0
    root = ElementTree.fromstring(file.read_text(encoding="utf-8"))
    assert root.tag.endswith("svg")


def test_a_number_has_no_variables(terminal: Terminal) -> None:
    found = terminal("explain", "2^10")
    assert found.code == 0 and "1024" in found.out


def test_no_gradient_arrives_through_a_step(terminal: Terminal) -> None:
    found = terminal("explain", "floor(x)", "--at", "x=1.5")
    assert found.code == 0
    assert "no gradient arrives" in found.err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("explain", "x"), 2, "no value for x"),
        (("explain", "x", "--at", "x=1,y=2"), 2, "no variable 'y'"),
        (("explain", "x", "--at", "x"), 2, "is not name=value"),
        (("explain", "x", "--at", "x=one"), 2, "'one' is not a number"),
        (("explain", "x", "--at", "x=1", "--wrt", "z"), 2, "no variable 'z'"),
        (("explain", "1 + 1", "--wrt", "z"), 2, "has no variables"),
        (("explain", "2x", "--at", "x=1"), 2, "stand side by side"),
        (("explain", "x", "--at", "x=1", "--svg", "/nowhere/at/all.svg"), 1, "cannot write"),
    ],
)
def test_wrong_input_gives_one_message(
    terminal: Terminal, arguments: tuple[str, ...], code: int, message: str
) -> None:
    found = terminal(*arguments)
    assert (found.code, found.out) == (code, "")
    assert found.err.startswith("error: ") and message in found.err
