"""One row of an explanation: a node, a module or a graph inside, with value and gradient.

Not here: where the numbers come from (`explaining.py`). Next: `explanation.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kedja.ir.graph import Node
from kedja.ir.inside import types
from kedja.ir.outline import Line
from kedja.ir.show import typed_data
from kedja.ir.source import place_of, source_record
from kedja.ir.values import FEWEST, SHORT, glimpse, jsonable, summary

HEADER = ("node", "formula", "value", "gradient", "rule", "shape", "line")
STYLES = ("bold", "", "green", "red", "", "dim", "dim")
INDENT = "  "


@dataclass(frozen=True)
class Row:
    """One node; `added` are the gradients that several users give it, by their names.

    Of an op with several outputs, `value` and `gradient` are tuples. A module's row has the value
    and the gradient of what it gives, and `inside` the rows of its own nodes where it is open; so
    have ops with graphs inside. The row of such a graph has neither a value nor a gradient.
    """

    name: str
    op: str
    formula: str
    value: Any
    gradient: Any
    gate: str
    added: list[tuple[str, np.ndarray]]
    node: Node = field(repr=False)
    inside: list[Row] = field(default_factory=list, repr=False)
    line: Line | None = field(default=None, repr=False)

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

    def walk(self, level: int = 0, path: str = "") -> Iterator[tuple[int, str, Row]]:
        """This row and all inside it: how deep, and the path by which it is found."""
        own = f"{path}.{self.name}" if path else self.name
        yield level, own, self
        within = own if self.op in ("graph", *WITH_GRAPHS) else path
        for row in self.inside:
            yield from row.walk(level + 1, within)

    def cells(self, *, sources: bool, level: int = 0) -> list[str]:
        """The row of the printed table."""
        name = f"{INDENT * level}{self.name}"
        if self.op == "graph":
            return [name, self.formula, "", "", self.gate, "", ""]
        shape = ", ".join(str(each) for each in types(self.node))
        scalar = shape.endswith("[]")
        line = f"{place_of(self.node)} {self.node.scope}".strip() if sources else ""
        texts = [shown(self.value), shown(self.gradient)]
        return [name, self.formula, *texts, self.rule, "" if scalar else shape, line]

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
            **typed_data(self.node),
            "source": source_record(self.node),
            "layer": self.node.scope,
            "inside": [row.data() for row in self.inside],
        }


WITH_GRAPHS = ("scan", "while_loop", "cond", "checkpoint", "custom")


def shown(value: Any, *, brief: bool = False) -> str:
    """A value or a gradient in a few words; those of several outputs in parentheses.

    `brief` leaves out the first elements of a large array.
    """
    if value is None:
        return ""
    if isinstance(value, tuple):
        return f"({'; '.join(shown(each, brief=brief) or 'none' for each in value)})"
    return summary(value, FEWEST) if brief and value.size > SHORT else glimpse(value)
