"""A graph as text, DOT, SVG and JSON: what the terminal, a notebook and the studio show.

Text has one line for each node, in the order of evaluation:

    %3 = multiply(%1, %2)   float32[64, 128]   # model.py:12 layers.0

Not here: values and gradients beside the nodes (`kedja/front/explanation.py`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import PurePath
from typing import Any

import numpy as np

from kedja.ir.formula import attribute, leaf_names, step
from kedja.ir.graph import Node, topological
from kedja.ir.svg import Box, draw
from kedja.ir.values import SHORT, exact, jsonable, summary

FORMAT = "kedja-graph"
VERSION = 1
LEAVES = ("input", "constant", "full")


class GraphView:
    """The nodes that some outputs need; see the module's text. Made by `kj.show`.

    `names` are what inputs are called beyond their own names.
    """

    def __init__(self, outputs: Sequence[Node], names: Mapping[Node, str] | None = None) -> None:
        self.outputs = tuple(outputs)
        self.order = topological(self.outputs)
        self.numbers = {node: f"%{place}" for place, node in enumerate(self.order)}
        self.names = leaf_names(self.order, names)

    # ------------------------------------------------------------------------------ text

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        return f"<graph of {len(self.order)} nodes, {len(self.outputs)} outputs>"

    def text(self, *, sources: bool = True) -> str:
        """One line for each node; `sources=False` leaves out the user's lines."""
        rows = [(self._statement(node), str(node.type), _comment(node)) for node in self.order]
        left = max((len(row[0]) for row in rows), default=0)
        middle = max((len(row[1]) for row in rows), default=0)
        lines = []
        for statement, kind, comment in rows:
            note = f"  # {comment}" if sources and comment else ""
            lines.append(f"{statement:<{left}}  {kind:<{middle}}{note}".rstrip())
        returned = ", ".join(self.numbers[node] for node in self.outputs)
        return "\n".join([*lines, f"return {returned}"])

    def _statement(self, node: Node) -> str:
        return f"{self.numbers[node]} = {self._call(node)}"

    def _call(self, node: Node) -> str:
        if node.op.name in LEAVES:
            return f"{node.op.name} {self._leaf(node)}"
        inputs = [self.numbers[each] for each in node.inputs]
        attrs = [f"{key}={_attribute(value)}" for key, value in node.attrs.items()]
        return f"{node.op.name}({', '.join(inputs + attrs)})"

    def _leaf(self, node: Node) -> str:
        if node in self.names:
            return self.names[node]
        return _attribute(node.attrs["value"])

    # ------------------------------------------------------------------------------- DOT

    def dot(self) -> str:
        """The graph in Graphviz's language."""
        lines = [
            "digraph kedja {",
            '  node [shape=box, style=rounded, fontname="monospace"];',
        ]
        for place, node in enumerate(self.order):
            label = "\n".join([node.op.name, self._formula(node), str(node.type)])
            tip = _comment(node)
            lines.append(f"  n{place} [label={_quoted(label)}, tooltip={_quoted(tip)}];")
        at = {node: place for place, node in enumerate(self.order)}
        for node in self.order:
            lines += [f"  n{at[each]} -> n{at[node]};" for each in node.inputs]
        return "\n".join([*lines, "}"]) + "\n"

    def _formula(self, node: Node) -> str:
        """The node in terms of its inputs' numbers; the name or the value of a leaf."""
        if node.op.name in LEAVES:
            return self._leaf(node)
        return step(node, {**self.numbers, **self.names})

    # ------------------------------------------------------------------------------- SVG

    def svg(self) -> str:
        """The graph as a picture; single numbers stand in the formulas instead of boxes."""
        drawn = [node for node in self.order if node.op.name != "full" or node in self.outputs]
        boxes = {self.numbers[node]: self._box(node) for node in drawn}
        return draw(boxes, edges_between(drawn, self.numbers), repr(self)[1:-1])

    def _box(self, node: Node) -> Box:
        kind = box_kind(node, node in self.outputs)
        formula = f"{self.numbers[node]} = {self._formula(node)}"
        lines = [(node.op.name, "kj-title"), (formula, "kj-text"), (str(node.type), "kj-small")]
        if node.op.name in LEAVES:
            lines[:2] = [(self._leaf(node), "kj-title")]
        if node.scope:
            lines.append((node.scope, "kj-small"))
        return Box(tuple(lines), kind, f"{self._statement(node)}\n{_comment(node)}".strip())

    # ------------------------------------------------------------------------------ JSON

    def data(self) -> dict[str, Any]:
        """The graph as plain dicts and lists; `json()` as text."""
        at = {node: place for place, node in enumerate(self.order)}
        return {
            "format": FORMAT,
            "version": VERSION,
            "outputs": [at[node] for node in self.outputs],
            "nodes": [self._record(node, at) for node in self.order],
        }

    def _record(self, node: Node, at: Mapping[Node, int]) -> dict[str, Any]:
        return {
            "id": at[node],
            "name": self.names.get(node, self.numbers[node]),
            "op": node.op.name,
            "inputs": [at[each] for each in node.inputs],
            "attrs": jsonable(dict(node.attrs)),
            "formula": self._formula(node),
            "shape": list(node.shape),
            "dtype": node.dtype.name,
            "source": source_record(node),
            "layer": node.scope,
        }

    def json(self) -> str:
        """The graph as JSON: format, version, outputs, and the nodes in order of evaluation.

        Each node has id, name, op, inputs (ids), attrs, formula, shape, dtype, source, layer.
        """
        return json.dumps(self.data(), allow_nan=False)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/plain": str(self), "text/html": framed(self.svg())}


# ------------------------------------------------------------------- shared with explanations


def box_kind(node: Node, is_output: bool) -> str:
    """The style of a node's box."""
    if node.op.name in LEAVES:
        return "input" if node.op.name == "input" or node.attrs.get("name") else "constant"
    return "output" if is_output else "op"


def edges_between(drawn: Sequence[Node], keys: Mapping[Node, str]) -> list[tuple[str, str]]:
    """The edges among the drawn nodes, once each, also where an input is used twice."""
    known = set(drawn)
    pairs = ((keys[each], keys[node]) for node in drawn for each in node.inputs if each in known)
    return list(dict.fromkeys(pairs))


def source_record(node: Node) -> dict[str, Any] | None:
    """The user's line as JSON, or None."""
    if node.source is None:
        return None
    return {
        "file": node.source.file,
        "line": node.source.line,
        "function": node.source.function,
        "text": node.source.text,
    }


def place_of(node: Node) -> str:
    """The file (without its folder) and line where the user made a node; empty if unknown."""
    if node.source is None:
        return ""
    return f"{PurePath(node.source.file).name}:{node.source.line}"


def framed(picture: str) -> str:
    """A picture that a notebook can scroll sideways."""
    return f'<div style="overflow:auto">{picture}</div>'


def preformatted(text: str) -> str:
    """Text as HTML that keeps its columns."""
    return f"<pre>{escape(text)}</pre>"


def _comment(node: Node) -> str:
    return " ".join(part for part in (place_of(node), node.scope) if part)


def _attribute(value: Any) -> str:
    """An attribute on one line: arrays by their elements where they are few."""
    if not isinstance(value, np.ndarray):
        return attribute(value)
    if value.ndim <= 1 and 0 < value.size <= SHORT:
        listed = ", ".join(exact(each) for each in value.ravel())
        return f"[{listed}]" if value.ndim else listed
    return f"({summary(value)})"


def _quoted(text: str) -> str:
    """A string of the DOT language: quotes and backslashes escaped, line ends as \\n."""
    inside = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(_dot_characters(inside)) + '"'


def _dot_characters(text: str) -> Iterator[str]:
    for each in text:
        if each in "\r\n":
            yield "\\n"
        else:
            yield each if each >= " " else " "
