"""What a block is called, what it takes and gives, and how much it learns: words for all views.

Not here: how rows (`text.py`) and boxes (`picture.py`) are set. Next: `text.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kedja.ir.fold import Block
from kedja.ir.frame import Frame
from kedja.ir.graph import Node
from kedja.ir.inside import types
from kedja.ir.op import Type
from kedja.ir.outline import Line
from kedja.ir.runs import Run

MANY = 3  # inputs and outputs beyond so many are counted, not listed


def label(line: Line) -> str:
    """The path of a module, or of the first and last of a run; a class where there is no path."""
    block = block_of(line)
    if isinstance(line.what, Run):
        return f"({line.what.label}){way(block)}" if block.back else line.what.label
    return f"{block.layer or block.kind or 'layer'}{way(block)}"


def way(block: Block) -> str:
    """Nothing on the way there, `.backward` on the way back, once for each way back."""
    return ".backward" * block.back


def block_of(line: Line) -> Block:
    """The block that a line shows; of a run the first."""
    block = line.what.first if isinstance(line.what, Run) else line.what
    assert isinstance(block, Block)
    return block


def last_of(line: Line) -> Block:
    """The block whose outputs a line gives."""
    block = line.what.blocks[-1] if isinstance(line.what, Run) else line.what
    assert isinstance(block, Block)
    return block


# ------------------------------------------------------------------------- inputs and outputs


def taken(block: Block, frame: Frame) -> list[Node]:
    """What a block works on: no arrays of modules, and on the way back the gradients alone."""
    values = [node for node in block.inputs if node not in frame.weights]
    if not block.back:
        return values
    return [node for node in values if node.back] or values


def looked_at(block: Block, frame: Frame) -> int:
    """How many values of the way there a block on the way back looks at."""
    return len(block.inputs) - len(taken(block, frame)) if block.back else 0


def given(block: Block, frame: Frame) -> list[Node]:
    """What a block is there for: what others use, not what it only keeps for the way back.

    Where nobody uses anything, its results.
    """
    inside = set(block.nodes)
    found = [
        node
        for node in block.outputs
        if any(each.back <= block.back and each not in inside for each in frame.users[node])
    ]
    return found or [node for node in block.outputs if node in frame.results] or block.outputs


def results(block: Block, frame: Frame) -> int:
    """How many results of the whole graph a block gives besides: gradients, new buffers."""
    known = set(given(block, frame))
    return sum(node in frame.results and node not in known for node in block.outputs)


def parameters(block: Block, frame: Frame) -> int:
    """How many learned numbers a block uses."""
    if block.back:
        return 0
    if id(block.layer) in frame.counts:
        return frame.counts[id(block.layer)]
    return sum(node.type.size for node in block.inputs if frame.weights.get(node))


# ------------------------------------------------------------------------------------- words


def listed(names: Sequence[str]) -> str:
    """A list of a few names, the others counted."""
    if len(names) <= MANY:
        return ", ".join(names)
    return f"{', '.join(names[: MANY - 1])}, … {len(names) - MANY + 1} more"


def typed(nodes: Iterable[Node]) -> str:
    """The types of some values, those of a bundle each for itself."""
    found: list[Type] = [kind for node in nodes for kind in types(node)]
    return listed([str(each) for each in found])


def note(line: Line) -> str:
    """What is said beside a block: its class, how much it learns, how many repeat."""
    block, frame = block_of(line), line.frame
    count = f"{len(line.what.blocks)} × " if isinstance(line.what, Run) else ""
    kind = block.kind if block.layer not in ("", block.kind) else ""
    words = [f"{count}{kind}".strip()]
    learned = parameters(block, frame)
    if learned:
        words.append(f"{learned:,} parameters{' each' if count else ''}")
    if looked_at(block, frame):
        words.append(f"uses {_counted(looked_at(block, frame), 'saved value')}")
    if results(block, frame):
        words.append(f"{_counted(results(block, frame), 'result')}{' each' if count else ''}")
    if isinstance(line.what, Run) and not line.what.is_chain:
        words.append("side by side")
    if line.open and count:
        words.append(f"here {block.layer}")
    return ", ".join(word for word in words if word)


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def nodes_inside(count: int) -> str:
    """How much a closed row hides."""
    return _counted(count, "node")
