"""The lines of an outline as boxes for `svg.py`.

A module that is open is a box around a drawing of its own, in which small boxes name what comes
from outside. Not here: which lines there are (`outline.py`). Next: `dot.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Sequence

from kedja.ir import labels
from kedja.ir.fold import is_inline
from kedja.ir.frame import Frame, Inner
from kedja.ir.graph import Node
from kedja.ir.outline import Line
from kedja.ir.runs import Run
from kedja.ir.svg import Box, Drawing, port
from kedja.ir.text import comment

Words = Callable[[Line], Box]
LEAVES = ("input", "constant", "full")


def drawing(
    lines: Sequence[Line], frame: Frame, title: str = "", words: Words | None = None
) -> Drawing:
    """The lines as boxes: what they use from outside as small boxes with names.

    `words(line)` is what the box of a line says, by default what `box` says.
    """
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
        boxes[keys[line]] = (words or box)(line)
    return Drawing(boxes, list(dict.fromkeys(edges)), title)


def _is_named(node: Node, line: Line) -> bool:
    """Whether a value from outside the drawing is named in it: what a module works on, and all
    that a single node uses."""
    if isinstance(line.what, Node):
        return True
    return node in labels.taken(labels.block_of(line), line.frame)


def key(line: Line) -> str:
    """A name for the box of a line that no other box has: that of its last node."""
    if isinstance(line.what, Inner):
        return line.what.path
    node = line.what if isinstance(line.what, Node) else labels.last_of(line).nodes[-1]
    if line.whole:
        return line.frame.names.get(node, line.frame.numbers[node])
    return line.frame.shown_names[node]


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
        return node_box(line)
    outputs = labels.given(labels.last_of(line), line.frame)
    rows = [(labels.label(line), "kj-title"), (labels.note(line), "kj-small")]
    taken = labels.taken(labels.block_of(line), line.frame)
    rows.append((f"{labels.typed(taken) or 'nothing'} → {labels.typed(outputs)}", "kj-small"))
    inside = (drawing(line.inside, line.frame),) if line.open else ()
    kind = "open" if line.open else "module"
    tip = "" if line.open else labels.nodes_inside(line.hidden)
    return Box(_told(rows), kind, tip, inside, stacked=isinstance(line.what, Run) and not line.open)


def node_box(line: Line) -> Box:
    """The box of a node, with the graphs inside it that are open."""
    node, frame, inner = line.what, line.frame, line.inside
    assert isinstance(node, Node)
    kind = box_kind(node, node in frame.results)
    formula = frame.formula(node, None if line.whole else frame.shown_names)
    rows = [(node.op.name, "kj-title"), (f"{frame.numbers[node]} = {formula}", "kj-text")]
    if node.op.name in LEAVES:
        rows = [(frame.leaf(node), "kj-title")]
    rows.append((str(node.type), "kj-small"))
    rows.append((str(node.scope) if line.whole else "", "kj-small"))
    tip = f"{frame.statement(node)}\n{comment(node)}".strip()
    for each in inner:
        if not each.open:
            hidden = labels.nodes_inside(each.hidden)
            rows.append((f"{head_of(each)}: {hidden}", "kj-small"))
    shown = [each for each in inner if each.open]
    inside = tuple(drawing(each.inside, each.frame, head_of(each)) for each in shown)
    return Box(_told(rows), "open" if inside else kind, tip, inside)


def head_of(line: Line) -> str:
    """What a graph inside a node is called, with its inputs."""
    assert isinstance(line.what, Inner)
    return line.what.head


def _told(rows: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple(row for row in rows if row[0])


def box_kind(node: Node, is_output: bool) -> str:
    """The style of a node's box."""
    if node.op.name in LEAVES:
        return "input" if node.op.name == "input" or node.attrs.get("name") else "constant"
    return "output" if is_output else "op"
