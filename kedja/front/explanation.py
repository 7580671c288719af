"""Each node of a computation with its formula, its value going forward, its gradient coming back.

The gradient is that of the one scalar output by the node. It is None where none was computed,
which is not the same as 0. Not here: how the numbers are found (`explaining.py`).
Next: `explain.py`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kedja.front import tables
from kedja.front.explaining import Found, Options, explained
from kedja.front.gates import phrase
from kedja.front.named import Subject
from kedja.front.rows import HEADER, STYLES, Row, shown
from kedja.ground.suggest import did_you_mean
from kedja.ir.formula import INLINE, written
from kedja.ir.graph import topological
from kedja.ir.inside import types
from kedja.ir.outline import Line
from kedja.ir.picture import box_kind, drawing
from kedja.ir.show import framed, preformatted
from kedja.ir.source import place_of
from kedja.ir.svg import Box, draw
from kedja.ir.values import jsonable

FORMAT = "kedja-explanation"
VERSION = 2


@dataclass(frozen=True)
class Explanation:
    """What `kj.explain` found: the formula of the whole, and a row for each node or module.

    `explanation["w0"]` is the row of that name; rows of a graph inside an op are found by path, as
    `explanation["a.body.b"]`. `value` is that of the output, `gradients` those by each variable
    (None where the output does not depend on it), `sources` says whether lines of code are shown.
    """

    formula: str
    rows: list[Row]
    value: np.ndarray
    gradients: dict[str, np.ndarray | None]
    sources: bool = True
    _found: Found | None = field(default=None, repr=False)

    def __getitem__(self, name: str) -> Row:
        rows = list(self.walk())
        for _, path, row in rows:
            if path == name:
                return row
        names = [path for _, path, _ in rows]
        raise KeyError(f"{name}: there is no such row; {did_you_mean(name, names)}")

    @property
    def variables(self) -> tuple[str, ...]:
        """What the gradients are taken by."""
        return tuple(self.gradients)

    def walk(self) -> Iterator[tuple[int, str, Row]]:
        """Every row: how deep it stands, the path by which it is found, the row."""
        for row in self.rows:
            yield from row.walk()

    # ----------------------------------------------------------------------------- views

    def _cells(self) -> list[list[str]]:
        return [row.cells(sources=self.sources, level=level) for level, _, row in self.walk()]

    def __str__(self) -> str:
        return f"f = {self.formula}\n\n{tables.plain(HEADER, self._cells())}"

    def __repr__(self) -> str:
        return str(self)

    def table(self) -> str:
        """The table for standard output: in colours on a terminal, plain columns elsewhere."""
        return tables.rendered(HEADER, self._cells(), STYLES)

    def __rich__(self) -> Any:
        return tables.rich_table(HEADER, self._cells(), STYLES)

    def svg(self) -> str:
        """The graph as a picture with values and gradients in its boxes."""
        assert self._found is not None
        rows = {row.line: row for _, _, row in self.walk()}
        drawn = drawing(self._found.lines, self._found.frame, words=_Boxes(self, rows))
        return draw(drawn.boxes, drawn.edges, f"f = {self.formula}")

    def data(self) -> dict[str, Any]:
        """The explanation as plain dicts and lists; `json()` as text."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "formula": self.formula,
            "value": jsonable(self.value),
            "gradients": jsonable(self.gradients),
            "nodes": [self._record(row.data(), row) for row in self.rows],
        }

    def _record(self, record: dict[str, Any], row: Row) -> dict[str, Any]:
        named = {each.node: each.name for each in self.rows}
        inputs = [named[each] for each in row.node.inputs if each in named]
        return self._without_sources({**record, "inputs": inputs})

    def _without_sources(self, record: dict[str, Any]) -> dict[str, Any]:
        if self.sources:
            return record
        inside = [self._without_sources(each) for each in record["inside"]]
        return {**record, "source": None, "inside": inside}

    def json(self) -> str:
        """The explanation as JSON: formula, value, gradients by name, and the nodes."""
        return json.dumps(self.data(), allow_nan=False)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        html = preformatted(f"f = {self.formula}") + tables.html(HEADER, self._cells())
        return {"text/plain": str(self), "text/html": html + framed(self.svg())}


class _Boxes:
    """What the boxes of the picture say."""

    def __init__(self, explanation: Explanation, rows: dict[Line | None, Row]) -> None:
        self._explanation = explanation
        self._rows = rows

    def __call__(self, line: Line) -> Box:
        row = self._rows[line]
        title = f"{row.name} = {row.formula}" if row.formula else row.name
        lines = [(title, "kj-title"), (f"value {shown(row.value, brief=True)}", "kj-value")]
        if row.gradient is not None:
            lines.append((f"gradient {shown(row.gradient, brief=True)}", "kj-gradient"))
        kinds = types(row.node)
        shape = ", ".join(str(each) for each in kinds if each.shape or len(kinds) > 1)
        notes = (shape, phrase(row.gate), phrase(row.adds))
        lines += [(each, "kj-small") for each in notes if each]
        parts = (row.op, row.rule, self._line(row))
        tip = "\n".join(part for part in parts if part)
        return Box(tuple(lines), self._kind(line, row), tip, self._inside(line, row))

    def _kind(self, line: Line, row: Row) -> str:
        if line.open and line.inside and self._inside(line, row):
            return "open"
        if row.op == "module":
            return "module"
        final = row is self._explanation.rows[-1]
        named = row.name in self._explanation.gradients
        return "input" if named else box_kind(row.node, final)

    def _inside(self, line: Line, row: Row) -> tuple[Any, ...]:
        if row.op == "module":
            return (drawing(line.inside, line.frame, words=self),) if line.open else ()
        graphs = [each for each in row.inside if each.line is not None and each.inside]
        return tuple(
            drawing(each.line.inside, each.line.frame, f"{each.formula} {each.gate}", self)
            for each in graphs
            if each.line is not None
        )

    def _line(self, row: Row) -> str:
        if not self._explanation.sources or row.node.source is None:
            return ""
        return f"{place_of(row.node)}  {row.node.source.text}"


# --------------------------------------------------------------------------------- making one


def explanation(
    subject: Subject, wrt: Any, options: Options | None = None, *, sources: bool = True
) -> Explanation:
    """Values of all that is shown, and gradients of what lies between variables and output."""
    found = explained(subject, wrt, options or Options())
    return Explanation(
        _formula(subject, found),
        found.rows,
        found.value,
        found.gradients,
        sources,
        found,
    )


def _formula(subject: Subject, found: Found) -> str:
    """The whole as one formula where it is short, else that of its last row."""
    output = subject.output()
    last = found.rows[-1].formula or found.rows[-1].name
    if len(topological([output])) > INLINE:
        return last
    whole = written([output], subject.names)
    return last if whole.where else whole.formulas[0]
