"""The lines of an outline as text: aligned columns, what is inside a module indented below it.

    %113 = h.0(%9):            float32[1, 4, 12]   # Block, 2,004 parameters
      %36 = h.0.ln_1(%9)       float32[1, 4, 12]   # LayerNorm, 24 parameters

Not here: which lines there are (`outline.py`). Next: `picture.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from kedja.ir import labels
from kedja.ir.fold import is_leaf
from kedja.ir.frame import Frame, Inner
from kedja.ir.graph import Node
from kedja.ir.outline import Line
from kedja.ir.source import place_of

INDENT = "  "
WIDEST = 64  # columns of a statement that others are aligned with


class Words(NamedTuple):
    """One row: what it computes, of which type, and what there is to say."""

    statement: str
    kind: str = ""
    note: str = ""


def words(line: Line) -> Words:
    """What a line says, without indentation."""
    match line.what:
        case Node() as node:
            return _of_node(node, line.frame)
        case Inner() as inner:
            hidden = "" if line.open else labels.nodes_inside(line.hidden)
            return Words(f"{inner.head}{':' if line.open else ''}", "", hidden)
    outputs = labels.given(labels.last_of(line), line.frame)
    taken = labels.taken(labels.block_of(line), line.frame)
    names = line.frame.shown_names
    targets = labels.listed([names[node] for node in outputs])
    call = f"{labels.label(line)}({labels.listed([names[node] for node in taken])})"
    statement = f"{targets} = {call}{':' if line.open else ''}"
    return Words(statement, labels.typed(outputs), labels.note(line))


def _of_node(node: Node, frame: Frame) -> Words:
    if is_leaf(node):
        name = frame.shown_names[node]
        statement = frame.call(node, frame.shown_names)
        if node not in frame.names:
            statement = f"{name} = {statement}"
        return Words(statement, str(node.type), "")
    call = frame.call(node, frame.shown_names)
    return Words(f"{frame.numbers[node]} = {call}", str(node.type), place_of(node))


def outlined(lines: Sequence[Line], frame: Frame, *, sources: bool = True) -> str:
    """The lines as text; `sources=False` leaves out the places in the user's files."""
    rows = [*_rows(lines, 0, sources), (0, Words(returned(frame)))]
    return aligned(rows)


def _rows(lines: Iterable[Line], level: int, sources: bool) -> Iterator[tuple[int, Words]]:
    for line in lines:
        row = words(line)
        if isinstance(line.what, Node) and not sources:
            row = row._replace(note="")
        yield level, row
        yield from _rows(line.inside, level + 1, sources)
        if isinstance(line.what, Inner) and line.open:
            yield level + 1, Words(_returned(line.what))


def returned(frame: Frame) -> str:
    """The last row: what the graph gives."""
    return f"return {labels.listed([frame.shown_names[node] for node in frame.outputs])}"


def _returned(inner: Inner) -> str:
    pairs = zip(inner.returns, inner.returned, strict=True)
    return f"return {', '.join(f'{name}: {value}' if name else value for name, value in pairs)}"


def aligned(rows: Sequence[tuple[int, Words]]) -> str:
    """Rows in columns, each row indented by its level."""
    texts = [(f"{INDENT * level}{row.statement}", row.kind, row.note) for level, row in rows]
    left = max((len(text) for text, kind, note in texts if kind or note), default=0)
    middle = max((len(kind) for _, kind, _ in texts), default=0)
    lines = []
    for text, kind, note in texts:
        comment = f"  # {note}" if note else ""
        lines.append(f"{text:<{min(left, WIDEST)}}  {kind:<{middle}}{comment}".rstrip())
    return "\n".join(lines)


# ------------------------------------------------------------------------------- all the nodes


def listing(frame: Frame, *, sources: bool = True) -> str:
    """One row for each node, and below it those of the graphs inside it."""
    rows = [*_listed(frame, 0, sources)]
    numbers = ", ".join(frame.numbers[node] for node in frame.outputs)
    return aligned([*rows, (0, Words(f"return {numbers}"))])


def _listed(frame: Frame, level: int, sources: bool) -> Iterator[tuple[int, Words]]:
    for node in frame.order:
        note = comment(node) if sources else ""
        yield level, Words(frame.statement(node), str(node.type), note)
        for inner in frame.inner(node):
            yield level + 1, Words(f"{inner.head}:")
            yield from _listed(inner.frame, level + 2, sources)
            yield level + 2, Words(_returned_numbers(inner))


def _returned_numbers(inner: Inner) -> str:
    numbers = [inner.frame.numbers[node] for node in inner.graph.outputs]
    pairs = zip(inner.returns, numbers, strict=True)
    return f"return {', '.join(f'{name}: {value}' if name else value for name, value in pairs)}"


def comment(node: Node) -> str:
    """The user's line, and the layer."""
    return " ".join(part for part in (place_of(node), node.scope) if part)
