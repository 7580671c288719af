"""Each node of a computation with its formula, its value going forward, its gradient coming back.

The gradient is that of the one scalar output by the node. It is None where none was computed,
which is not the same as 0. Next: `explain.py`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kedja.autodiff import reverse
from kedja.front import tables
from kedja.front.derivation import is_elementwise, module
from kedja.front.named import Subject, chosen, step_names
from kedja.ground.dtypes import is_float
from kedja.interpret.reference import all_values
from kedja.ir.formula import step, written
from kedja.ir.graph import Node, consumers, full, origin
from kedja.ir.op import ByExpansion, Leaf, NoDerivative, Partials
from kedja.ir.show import box_kind, edges_between, framed, place_of, preformatted, source_record
from kedja.ir.svg import Box, draw
from kedja.ir.values import jsonable, summary

HEADER = ("node", "formula", "value", "gradient", "rule", "shape", "line")
STYLES = ("bold", "", "green", "red", "", "dim", "dim")
FORMAT = "kedja-explanation"


@dataclass(frozen=True)
class Row:
    """One node; `added` are the gradients that several users give it, by their names."""

    name: str
    op: str
    formula: str
    value: np.ndarray
    gradient: np.ndarray | None
    gate: str
    added: list[tuple[str, np.ndarray]]
    node: Node = field(repr=False)

    @property
    def rule(self) -> str:
        """What the node does with the gradient, and what is added where it has several users."""
        return "; ".join(part for part in (self.gate, self.adds) if part)

    @property
    def adds(self) -> str:
        """The gradients that are added, where several users give one."""
        if len(self.added) < 2:
            return ""
        if all(each.size == 1 for _, each in self.added):
            terms = (f"{summary(each.reshape(()))} from {name}" for name, each in self.added)
            return f"copy adds: {', '.join(terms)}"
        uses = Counter(name for name, _ in self.added)
        users = (name if count == 1 else f"{name} ({count} times)" for name, count in uses.items())
        return f"copy adds: the gradients from {', '.join(users)}"

    def cells(self, *, sources: bool) -> list[str]:
        """The row of the printed table."""
        gradient = "" if self.gradient is None else summary(self.gradient)
        shape = str(self.node.type) if self.node.shape else ""
        line = f"{place_of(self.node)} {self.node.scope}".strip() if sources else ""
        return [self.name, self.formula, summary(self.value), gradient, self.rule, shape, line]

    def data(self) -> dict[str, Any]:
        """The row as plain dicts and lists."""
        return {
            "name": self.name,
            "op": self.op,
            "formula": self.formula,
            "value": jsonable(self.value),
            "gradient": jsonable(self.gradient),
            "rule": self.rule,
            "added": [{"from": name, "gradient": jsonable(each)} for name, each in self.added],
            "shape": list(self.node.shape),
            "dtype": self.node.dtype.name,
            "source": source_record(self.node),
            "layer": self.node.scope,
        }


@dataclass(frozen=True)
class Explanation:
    """What `kj.explain` found: the formula of the whole, and a row for each node.

    `explanation["w0"]` is the row of that name; `sources` says whether lines of code are shown.
    """

    formula: str
    rows: list[Row]
    variables: tuple[str, ...]
    sources: bool = True

    def __getitem__(self, name: str) -> Row:
        for row in self.rows:
            if row.name == name:
                return row
        raise KeyError(name)

    @property
    def value(self) -> np.ndarray:
        """The value of the output."""
        return self.rows[-1].value

    @property
    def gradients(self) -> dict[str, np.ndarray | None]:
        """The gradient by each variable; None where the output does not depend on it."""
        found = {row.name: row.gradient for row in self.rows}
        return {name: found.get(name) for name in self.variables}

    # ----------------------------------------------------------------------------- views

    def _cells(self) -> list[list[str]]:
        return [row.cells(sources=self.sources) for row in self.rows]

    def __str__(self) -> str:
        return f"f = {self.formula}\n\n{tables.plain(HEADER, self._cells())}"

    def table(self) -> str:
        """The table for standard output: in colours on a terminal, plain columns elsewhere."""
        return tables.rendered(HEADER, self._cells(), STYLES)

    def __rich__(self) -> Any:
        return tables.rich_table(HEADER, self._cells(), STYLES)

    def svg(self) -> str:
        """The graph as a picture with values and gradients in its boxes."""
        nodes = [row.node for row in self.rows]
        keys = {row.node: row.name for row in self.rows}
        boxes = {row.name: self._box(row, row is self.rows[-1]) for row in self.rows}
        return draw(boxes, edges_between(nodes, keys), f"f = {self.formula}")

    def _box(self, row: Row, is_output: bool) -> Box:
        title = f"{row.name} = {row.formula}" if row.formula else row.name
        lines = [(title, "kj-title"), (f"value {summary(row.value)}", "kj-value")]
        if row.gradient is not None:
            lines.append((f"gradient {summary(row.gradient)}", "kj-gradient"))
        notes = (str(row.node.type) if row.node.shape else "", _phrase(row.gate), _phrase(row.adds))
        lines += [(note, "kj-small") for note in notes if note]
        tip = "\n".join(part for part in (row.op, row.rule, self._line(row)) if part)
        kind = "input" if row.name in self.variables else box_kind(row.node, is_output)
        return Box(tuple(lines), kind, tip)

    def _line(self, row: Row) -> str:
        if not self.sources or row.node.source is None:
            return ""
        return f"{place_of(row.node)}  {row.node.source.text}"

    def data(self) -> dict[str, Any]:
        """The explanation as plain dicts and lists; `json()` as text."""
        return {
            "format": FORMAT,
            "version": 1,
            "formula": self.formula,
            "value": jsonable(self.value),
            "gradients": jsonable(self.gradients),
            "nodes": [self._record(row) for row in self.rows],
        }

    def _record(self, row: Row) -> dict[str, Any]:
        shown = {each.node: each.name for each in self.rows}
        inputs = [shown[each] for each in row.node.inputs if each in shown]
        record = {**row.data(), "inputs": inputs}
        return record if self.sources else {**record, "source": None}

    def json(self) -> str:
        """The explanation as JSON: formula, value, gradients by name, and the nodes."""
        return json.dumps(self.data(), allow_nan=False)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        html = preformatted(f"f = {self.formula}") + tables.html(HEADER, self._cells())
        return {"text/plain": str(self), "text/html": html + framed(self.svg())}


def _phrase(rule: str) -> str:
    """The rule's name without what it means: `multiply swaps`."""
    name = rule.split(":")[0].removesuffix(", the local derivative")
    return name if name.startswith("multiplies") else name.split(",")[0]


# --------------------------------------------------------------------------------- finding


def explanation(subject: Subject, wrt: Any, *, sources: bool = True) -> Explanation:
    """Values of all nodes and gradients of those between the variables and the output."""
    output = subject.output()
    variables = chosen(subject, wrt)
    names = step_names(subject)
    order = subject.order
    gradients = _cotangents(output, list(variables.values()))
    shares = {node: _shares(node, users, gradients) for node, users in consumers(order).items()}
    wanted = [output, *gradients.values(), *(g for each in shares.values() for _, g in each)]
    values = all_values(wanted, subject.values)
    rows = [
        Row(
            names[node],
            node.op.name,
            "" if isinstance(node.op.lowering, Leaf) else step(node, names),
            values[node],
            values[gradients[node]] if node in gradients else None,
            gate(node, names),
            [(names[user], values[g]) for user, g in shares[node]],
            node,
        )
        for node in order
        if node in names
    ]
    whole = written([output], subject.names)
    text = rows[-1].formula if whole.where else whole.formulas[0]
    return Explanation(text, rows, tuple(variables), sources)


def _cotangents(output: Node, variables: Sequence[Node]) -> dict[Node, Node]:
    """The gradient of each node on the way; none where the output is no float scalar."""
    if output.type.size != 1 or not is_float(output.dtype):
        return {}
    one = full(1, output.shape, output.dtype)
    return reverse.backward([output], [one], variables)


def _shares(
    node: Node, users: Sequence[Node], gradients: dict[Node, Node]
) -> list[tuple[Node, Node]]:
    """What each use of a node gives to its gradient, where there are several uses."""
    if node not in gradients or len(users) < 2:
        return []
    found = []
    for user in dict.fromkeys(users):
        if user not in gradients:
            continue
        uses = [each is node for each in user.inputs]
        with origin(user):
            back = reverse.input_cotangents(user, gradients[user], uses)
        found += [(user, g) for g, use in zip(back, uses, strict=True) if use and g is not None]
    return found


def gate(node: Node, names: Mapping[Node, str]) -> str:
    """What a node's op does with the gradient, in one phrase; empty for leaves.

    Where it multiplies by local derivatives, these are written out in the inputs' names.
    """
    op = node.op
    if isinstance(op.lowering, Leaf):
        return ""
    if isinstance(op.derivative, NoDerivative):
        return op.gate or f"no gradient: {op.derivative.reason}"
    if isinstance(op.derivative, Partials) and not any(op.derivative.rules):
        return "no gradient: it is constant almost everywhere"
    by_parts = isinstance(op.derivative, ByExpansion) and is_elementwise(node)
    if op.gate and not op.gate.startswith(LOCAL) and not by_parts:
        return op.gate
    return _by_local_derivatives(node, names)


def _by_local_derivatives(node: Node, names: Mapping[Node, str]) -> str:
    partials = module(node, names)
    if not partials.partials or not partials.elementwise:
        return node.op.gate or f"{LOCAL}s"
    if len(partials.partials) == 1:
        return f"multiplies by {next(iter(partials.partials.values()))}, the local derivative"
    return f"{LOCAL}s: {', '.join(partials.texts())}"


LOCAL = "multiplies by the local derivative"
