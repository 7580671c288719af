"""The lines of an outline as boxes for `svg.py`.

A module that is open is a box around a drawing of its own, in which small boxes name what comes from
outside. Not here: which lines there are (`outline.py`). Next: `dot.py`.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence

from kedja.ir import labels
from kedja.ir.fold import is_inline
from kedja.ir.frame import Frame, Inner
from kedja.ir.graph import Node
from kedja.ir.outline import Line
from kedja.ir.runs import Run
from kedja.ir.svg import Box, Drawing, port
from kedja.ir.text import comment

LEAVES = ("input", "constant", "full")


def drawing(lines: Sequence[Line], frame: Frame, title: str = "") -> Drawing:
    """The lines as boxes: what they use from outside as small boxes with names."""
    keys = {line: key(line) for line in lines}
    home = {node: keys[line] for line in lines for node in covered(line)}
    boxes: dict[str, Box] = {}
    edges: list[tuple[str, str]] = []
    for line in lines:
        for node in needed(line, home):
            if node in home:
                edges.append((home[node], keys[line]))
            elif _is_named(node, line):
                name = frame.shown_names[node]
                boxes.setdefault(f"from {name}", port(name))
                edges.append((f"from {name}", keys[line]))
        boxes[keys[line]] = box(line)
    return Drawing(boxes, list(dict.fromkeys(edges)), title)


def _is_named(node: Node, line: Line) -> bool:
    """Whether a value from outside the drawing is named in it: what a module works on, and all
    that a single node uses."""
    if isinstance(line.what, Node):
        return True
    return node in labels.taken(labels.block_of(line), line.frame)


def key(line: Line) -> str:
    """A name for the box of a line that no other box has: the number of its last node."""
    if isinstance(line.what, Node):
        return line.frame.names.get(line.what, line.frame.numbers[line.what])
    if isinstance(line.what, Inner):
        return line.what.path
    return line.frame.numbers[labels.last_of(line).nodes[-1]]


def covered(line: Line) -> list[Node]:
    """The nodes that the box of a line stands for."""
    if isinstance(line.what, Node):
        return [line.what]
    if isinstance(line.what, Run):
        return [node for block in line.what.blocks for node in block.nodes]
    return [] if isinstance(line.what, Inner) else line.what.nodes


def needed(line: Line, shown: Container[Node]) -> list[Node]:
    """The nodes outside that the box of a line uses, of which those of `shown` have a box."""
    inside = set(covered(line))
    if isinstance(line.what, Node):
        inputs = [node for each in line.what.inputs if (node := _through(each, shown)) is not None]
    elif isinstance(line.what, Run):
        inputs = [node for block in line.what.blocks for node in block.inputs]
    else:
        inputs = [] if isinstance(line.what, Inner) else line.what.inputs
    return [node for node in dict.fromkeys(inputs) if node not in inside]


def _through(node: Node, shown: Container[Node]) -> Node | None:
    """The node, or that of which it is a copy or a part; None for a number in a formula."""
    while node not in shown and is_inline(node) and node.inputs:
        node = node.inputs[0]
    return None if node.op.name == "full" and node not in shown else node


# -------------------------------------------------------------------------------------- boxes


def box(line: Line) -> Box:
    """The box of a line."""
    if isinstance(line.what, Node):
        return node_box(line.what, line.frame, line.inside)
    outputs = labels.given(labels.last_of(line), line.frame)
    rows = [(labels.label(line), "kj-title"), (labels.note(line), "kj-small")]
    taken = labels.taken(labels.block_of(line), line.frame)
    rows.append((f"{labels.typed(taken) or 'nothing'} → {labels.typed(outputs)}", "kj-small"))
    inside = (drawing(line.inside, line.frame),) if line.open else ()
    kind = "open" if line.open else "module"
    tip = "" if line.open else labels.nodes_inside(line.hidden)
    return Box(_told(rows), kind, tip, inside, stacked=isinstance(line.what, Run) and not line.open)


def node_box(node: Node, frame: Frame, inner: Sequence[Line] = ()) -> Box:
    """The box of a node, with the graphs inside it that are open."""
    kind = box_kind(node, node in frame.results)
    name = frame.numbers[node]
    formula = frame.formula(node)
    rows = [(node.op.name, "kj-title"), (f"{name} = {formula}", "kj-text")]
    if node.op.name in LEAVES:
        rows = [(frame.leaf(node), "kj-title")]
    rows.append((str(node.type), "kj-small"))
    tip = f"{frame.statement(node)}\n{comment(node)}".strip()
    shown = [line for line in inner if line.open]
    closed = [line for line in inner if not line.open]
    rows += [(f"{_inner(line).head}: {labels.nodes_inside(line.hidden)}", "kj-small") for line in closed]
    inside = tuple(drawing(line.inside, line.frame, _inner(line).head) for line in shown)
    return Box(_told(rows), "open" if inside else kind, tip, inside)


def _inner(line: Line) -> Inner:
    assert isinstance(line.what, Inner)
    return line.what


def _told(rows: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple(row for row in rows if row[0])


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
