"""The lines of an outline in Graphviz's language: modules that are open are clusters.

Not here: which lines there are (`outline.py`). Next: `show.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from kedja.ir import labels
from kedja.ir.frame import Frame, Inner
from kedja.ir.graph import Node
from kedja.ir.outline import Line
from kedja.ir.picture import covered, needed
from kedja.ir.text import comment

HEAD = ["digraph kedja {", '  node [shape=box, style=rounded, fontname="monospace"];']


def dot(lines: Sequence[Line]) -> str:
    """The whole graph."""
    drawn = _Drawn()
    rows = [*drawn.boxes(lines, 1)]
    rows += drawn.edges(lines)
    return "\n".join([*HEAD, *rows, "}"]) + "\n"


class _Drawn:
    """The boxes that were written so far, by the nodes that they stand for."""

    def __init__(self) -> None:
        self._ids: dict[Node, str] = {}
        self._count = 0

    def _new(self, line: Line) -> str:
        name = f"n{self._count}"
        self._count += 1
        self._ids |= dict.fromkeys(covered(line), name)
        return name

    def boxes(self, lines: Iterable[Line], level: int) -> Iterator[str]:
        """Boxes, and clusters around those of modules and graphs inside."""
        space = "  " * level
        for line in lines:
            if isinstance(line.what, Node):
                yield f"{space}{self._new(line)} {_described(line.what, line.frame)};"
                yield from self.boxes(line.inside, level)
            elif line.open:
                yield from self._cluster(line, level)
            else:
                text = "\n".join(_words(line))
                yield f"{space}{self._new(line)} [label={quoted(text)}, shape=box3d];"

    def _cluster(self, line: Line, level: int) -> Iterator[str]:
        space = "  " * level
        yield f"{space}subgraph cluster_{self._count} {{"
        yield f"{space}  label={quoted(' '.join(_words(line)))};"
        yield from self.boxes(line.inside, level + 1)
        yield f"{space}}}"

    def edges(self, lines: Iterable[Line]) -> Iterator[str]:
        """An edge for each input of a node, one for each value that a closed module uses."""
        for line in lines:
            if isinstance(line.what, Node):
                target = self._ids[line.what]
                for each in line.what.inputs:
                    yield from self._edge(each, target)
            elif not line.open and not isinstance(line.what, Inner):
                target = self._ids[covered(line)[0]]
                for each in needed(line, self._ids):
                    yield from self._edge(each, target)
            yield from self.edges(line.inside)

    def _edge(self, node: Node, target: str) -> Iterator[str]:
        while node not in self._ids and node.inputs:
            node = node.inputs[0]  # a copy, or one of several outputs
        if node in self._ids:
            yield f"  {self._ids[node]} -> {target};"


def _described(node: Node, frame: Frame) -> str:
    text = "\n".join([node.op.name, frame.formula(node), str(node.type)])
    return f"[label={quoted(text)}, tooltip={quoted(comment(node))}]"


def _words(line: Line) -> list[str]:
    if isinstance(line.what, Inner):
        return [line.what.head]
    outputs = labels.given(labels.last_of(line), line.frame)
    words = (labels.label(line), labels.note(line), labels.typed(outputs))
    return [word for word in words if word]


def quoted(text: str) -> str:
    """A string of the DOT language: quotes and backslashes escaped, line ends as \\n."""
    inside = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(_characters(inside)) + '"'


def _characters(text: str) -> Iterator[str]:
    for each in text:
        if each in "\r\n":
            yield "\\n"
        else:
            yield each if each >= " " else " "
