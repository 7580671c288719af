"""A graph as text, DOT, SVG and JSON: the golden text, and what each format demands."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import kedja as kj
from kedja.autodiff.reverse import gradient
from kedja.front.tensor import Tensor
from kedja.ground.dtypes import HALVES
from kedja.ir.graph import scope, variable
from kedja.ir.op import Type
from kedja.ir.show import GraphView
from kedja.ir.svg import Box, draw
from kedja.ir.values import exact, jsonable, rounded, summary

SVG = "{http://www.w3.org/2000/svg}"
PROGRAM = """\
import kedja as kj

x = kj.tensor([[1.0, 2.0], [3.0, 4.0]], name="x")
w = kj.tensor([0.5, -1.0], requires_grad=True, name="w")
with scope("layers.0"):
    hidden = kj.tanh(x @ w + 0.25)
loss = kj.mean(hidden)
"""


def program() -> dict[str, Any]:
    """The program above, run under a file name that never changes."""
    found: dict[str, Any] = {"scope": scope}
    exec(compile(PROGRAM, "model.py", "exec"), found)
    return found


@pytest.fixture
def view() -> GraphView:
    """The graph of the program's loss."""
    return GraphView([program()["loss"].node])


def test_the_text_has_one_line_for_each_node(
    view: GraphView, golden: Callable[[str, str], None]
) -> None:
    golden("graph_text", f"{view}\n")
    assert len(str(view).splitlines()) == len(view.order) + 1
    assert "# model.py:6 layers.0" in str(view)


def test_sources_can_be_left_out(view: GraphView) -> None:
    assert "model.py" not in view.text(sources=False)


def test_dot_is_golden_and_has_an_edge_for_each_input(
    view: GraphView, golden: Callable[[str, str], None]
) -> None:
    golden("graph_dot", view.dot())
    assert view.dot().count(" -> ") == sum(len(node.inputs) for node in view.order)


def test_json_holds_every_node_in_order(view: GraphView) -> None:
    data = json.loads(view.json())
    assert data["format"] == "kedja-graph"
    assert [node["id"] for node in data["nodes"]] == list(range(len(view.order)))
    for node in data["nodes"]:
        assert all(each < node["id"] for each in node["inputs"])
    assert data["outputs"] == [len(view.order) - 1]
    tanh = next(node for node in data["nodes"] if node["op"] == "tanh")
    assert (tanh["shape"], tanh["dtype"], tanh["layer"]) == ([2], "float32", "layers.0")
    assert tanh["source"]["line"] == 6


def test_json_has_null_for_nan_and_infinity() -> None:
    odd = kj.tensor([np.nan, np.inf, 1.0], name="odd") * float("inf")
    text = GraphView([odd.node]).json()
    assert "NaN" not in text and "Infinity" not in text
    values = [node["attrs"].get("value") for node in json.loads(text)["nodes"]]
    assert [None, None, 1.0] in values


def test_large_arrays_are_summarised_in_json() -> None:
    big = kj.tensor(np.arange(1000.0))
    [node] = GraphView([big.node]).data()["nodes"]
    assert node["attrs"]["value"] == {
        "shape": [1000], "dtype": "float64", "min": 0.0, "mean": 499.5, "max": 999.0,
    }  # fmt: skip


def texts(picture: str) -> list[str]:
    """Every line of text in a picture."""
    root = ElementTree.fromstring(picture)
    return ["".join(each.itertext()) for each in root.iter(f"{SVG}text")]


def test_the_picture_has_a_box_for_each_node_and_numbers_in_formulas(view: GraphView) -> None:
    found = texts(view.svg())
    assert "x" in found and "tanh" in found and "layers.0" in found
    assert any("+ 0.25" in each for each in found)
    assert len(re.findall("<rect class=.kj-box", view.svg())) == sum(
        node.op.name != "full" for node in view.order
    )


def test_the_picture_needs_nothing_from_outside(view: GraphView) -> None:
    picture = view.svg()
    assert "prefers-color-scheme:dark" in picture
    assert picture.count("http") == 1  # the namespace
    for word in ("<script", "url(", "@import", "href"):
        assert word not in picture


NAMES = st.text(min_size=1, max_size=20)


@given(NAMES, NAMES)
def test_any_name_gives_a_picture_that_is_well_formed(name: str, title: str) -> None:
    node = variable(name, Type((2,), np.dtype(np.float32)))
    ElementTree.fromstring(GraphView([node]).svg())
    ElementTree.fromstring(draw({"a": Box(((name, "kj-text"),), "op", name)}, [], title))


@given(NAMES)
def test_any_name_is_escaped_in_dot(name: str) -> None:
    node = variable(name, Type((2,), np.dtype(np.float32)))
    [line] = [each for each in GraphView([node]).dot().split("\n") if each.startswith("  n0")]
    body = re.fullmatch(r'  n0 \[label="(.*)", tooltip="(.*)"\];', line)
    assert body is not None
    for text in body.groups():
        assert '"' not in re.sub(r"\\.", "", text)  # no quote that is not escaped
        assert not re.sub(r"\\.", "", text).endswith("\\")


def test_graphs_of_some_hundreds_of_nodes_are_drawn() -> None:
    x = kj.tensor(np.ones((4, 4), np.float32), requires_grad=True, name="x")
    value = x
    for _ in range(40):
        value = kj.tanh(value @ x) + x
    grads = gradient(kj.sum(value).node, [x.node])
    view = GraphView([each for each in grads if each is not None])
    assert len(view.order) > 200
    ElementTree.fromstring(view.svg())


def test_a_notebook_gets_text_and_html(view: GraphView) -> None:
    bundle = view._repr_mimebundle_(include=None, exclude=None)
    assert bundle["text/plain"] == str(view)
    assert "<svg" in bundle["text/html"]


# ------------------------------------------------------------------------------------ values


@pytest.mark.parametrize(
    ("array", "text"),
    [
        (np.float64(2.0), "2"),
        (np.float32(0.1), "0.1"),
        (np.array([0.5, -1.0]), "[0.5, -1]"),
        (np.arange(100.0), "min 0, mean 49.5, max 99"),
        (np.array([[1.0, np.nan, 3.0]]), "min 1, mean 2, max 3, 1 nan"),
        (np.full((2, 3), np.nan), "min nan, mean nan, max nan, 6 nan"),
        (np.array([[True, False], [True, True]]), "3 of 4 true"),
        (np.zeros((0, 3)), "no elements"),
        (np.array([np.inf, 1, 2, 3, 4.0]), "min 1, mean inf, max inf"),
        (np.array(7), "7"),
    ],
)
def test_arrays_are_summarised(array: np.ndarray, text: str) -> None:
    assert summary(np.asarray(array)) == text


def test_numbers_are_exact_or_rounded_as_wanted() -> None:
    assert exact(np.float32(0.1)) == "0.1"
    assert exact(0.1 + 0.2) == "0.30000000000000004"
    assert rounded(0.1 + 0.2) == "0.3"
    assert rounded(-0.0) == "0"
    assert exact(1e300) == "1e+300"


@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_half_numbers_have_as_few_digits_as_name_them(dtype):
    tenth, third = np.array([0.1, 1 / 3], dtype)
    assert (exact(tenth), rounded(tenth), exact(dtype.type(2))) == ("0.1", "0.1", "2")
    assert len(exact(third)) <= 6
    for number in np.arange(0, 2**15, 97, dtype=np.uint16).view(dtype):
        if abs(float(number)) < np.inf:
            assert dtype.type(exact(number)) == number
    several = np.array([1.1, np.nan, -np.inf], dtype)
    assert summary(several) == "[1.1, nan, -inf]"
    assert summary(np.tile(several[:2], 5)).endswith(", 5 nan")
    assert jsonable(several) == [float(several[0]), None, None]


def test_anything_becomes_json() -> None:
    value = {"a": (1, np.int32(2), np.float32(0.5)), 3: np.dtype("float32"), "s": {True}}
    assert jsonable(value) == {"a": [1, 2, 0.5], "3": "float32", "s": [True]}


def test_two_outputs_are_both_returned() -> None:
    t = kj.tensor(2.0, name="t")
    two: list[Tensor] = [t * t, t + 1]
    assert str(GraphView([each.node for each in two])).endswith("return %1, %3")
