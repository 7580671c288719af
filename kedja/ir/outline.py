"""Which rows a graph is shown by: modules as one row each, opened as far as somebody wants.

An outline is a tree of lines. A line shows a node, a block (the call of a module), a run of blocks
that repeat, or a graph inside a node. Text and pictures are made of the same lines. Not here: what
the lines say (`text.py`, `picture.py`). Next: `labels.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from kedja.ground.errors import UsageError
from kedja.ground.suggest import did_you_mean
from kedja.ir.fold import Block, Item, is_leaf, seen
from kedja.ir.frame import Frame, Inner
from kedja.ir.graph import Node
from kedja.ir.runs import Run, Shown, with_runs

SMALL = 60  # a graph of at most so many nodes is shown whole,
FEW = 48  # a larger one as deep as so many lines allow
DEEPEST = 64


@dataclass(eq=False)
class Line:
    """One row, and the rows inside it where it is open."""

    what: Shown | Inner
    frame: Frame
    level: int
    inside: list[Line] = field(default_factory=list)
    open: bool = False
    hidden: int = 0  # how many nodes are not shown, where it is closed
    whole: bool = False  # whether every node of the graph has a line

    @property
    def count(self) -> int:
        """How many rows it takes."""
        return 1 + sum(line.count for line in self.inside)


class Choice(NamedTuple):
    """How deep modules are opened, and which are opened beyond that, by their paths.

    `outer` leaves those closed that have no modules inside.
    """

    depth: int
    expand: tuple[str, ...] = ()
    outer: bool = False

    def opens(self, level: int, *paths: str) -> bool:
        """Whether something of these paths is shown open."""
        return level < self.depth or any(self.asks_for(path) for path in paths)

    def asks_for(self, path: str) -> bool:
        """Whether a path, or something inside it, is asked for by name."""
        return any(
            wanted == path or wanted.startswith(f"{path}.") or not path for wanted in self.expand
        )


def outline(frame: Frame, depth: int | None = None, expand: Iterable[str] = ()) -> list[Line]:
    """The lines of a graph.

    Without a depth, modules that hold others are opened as deep as gives few lines (the outermost
    in any case). Raises UsageError for a path of `expand` that is not there.
    """
    wanted = tuple(expand)
    _require_paths(frame, wanted)
    if depth is not None:
        return _lines(frame, Choice(depth, wanted))
    found = _lines(frame, Choice(1, wanted, outer=True))
    for deeper in range(2, DEEPEST):
        more = _lines(frame, Choice(deeper, wanted, outer=True))
        if not FEW >= _count(more) > _count(found):
            break
        found = more
    return found


def flat(frame: Frame, *, numbers: bool = False) -> list[Line]:
    """One line for each node, with the graphs inside it open; for numbers only where wanted."""
    return [
        Line(
            node, frame, 0, [_opened(each, numbers) for each in frame.inner(node)], True, whole=True
        )
        for node in frame.order
        if numbers or node.op.name != "full" or node in frame.outputs
    ]


def _opened(inner: Inner, numbers: bool) -> Line:
    return Line(inner, inner.frame, 0, flat(inner.frame, numbers=numbers), True)


def _count(lines: Iterable[Line]) -> int:
    return sum(line.count for line in lines)


def is_small(frame: Frame) -> bool:
    """Whether a graph is shown node by node unless somebody chooses."""
    return len(frame.order) <= SMALL


# ----------------------------------------------------------------------------------- the tree


def _lines(frame: Frame, choice: Choice, level: int = 0) -> list[Line]:
    """The lines of a whole graph."""
    homes = _homes(frame)
    return _of_block(frame, frame.root, homes, choice, level)


Homes = dict[Block, list[Node]]


def _of_block(frame: Frame, block: Block, homes: Homes, choice: Choice, level: int) -> list[Line]:
    leaves = [Line(node, frame, level) for node in homes.get(block, ())]
    shown = _repeated(block.items, choice)
    return [*leaves, *(_line(frame, each, homes, choice, level) for each in shown)]


def _repeated(items: Sequence[Item], choice: Choice) -> list[Shown]:
    """Runs taken together, but for blocks that are asked for by name."""
    found: list[Shown] = []
    waiting: list[Item] = []
    for item in items:
        if isinstance(item, Block) and item.layer and choice.asks_for(item.layer):
            found += [*with_runs(waiting), item]
            waiting = []
        else:
            waiting.append(item)
    return [*found, *with_runs(waiting)]


def _line(frame: Frame, what: Shown, homes: Homes, choice: Choice, level: int) -> Line:
    if isinstance(what, Node):
        inside = [_inner(each, choice, level) for each in frame.inner(what)]
        return Line(what, frame, level, inside, open=any(each.open for each in inside))
    block = what.first if isinstance(what, Run) else what
    line = Line(what, frame, level)
    by_depth = level < choice.depth and not (choice.outer and not block.blocks)
    if by_depth or choice.asks_for(block.layer):
        line.inside = _of_block(frame, block, homes, choice, level + 1)
        line.open = True
    else:
        line.hidden = len(block.nodes)
    return line


def _inner(inner: Inner, choice: Choice, level: int) -> Line:
    line = Line(inner, inner.frame, level + 1)
    if choice.opens(level, inner.path, inner.owner.op.name):
        line.inside = _lines(inner.frame, choice, level + 1)
        line.open = True
    else:
        line.hidden = len(inner.frame.root.nodes)
    return line


# ------------------------------------------------------------------------------------- leaves


def _homes(frame: Frame) -> Homes:
    """The block that each leaf is shown in.

    Inputs and the user's arrays stand in the outermost, those of modules in the innermost that has
    all their uses on the way there.
    """
    users: dict[Node, list[Node]] = {}
    for node in frame.root.nodes:
        for each in node.inputs:
            if is_leaf(seen(each)):
                users.setdefault(seen(each), []).append(node)
    above = dict(_above(frame.root, (frame.root,)))
    homes: Homes = {}
    for leaf in (node for node in frame.order if is_leaf(node)):
        if leaf in frame.weights or (leaf.op.name == "constant" and leaf not in frame.names):
            block = _common([above[user] for user in _first(users.get(leaf, []))])
        else:
            block = frame.root
        if frame.shown_names[leaf] in (frame.names.get(leaf), frame.numbers[leaf]):
            homes.setdefault(block or frame.root, []).append(leaf)
    return homes


def _above(block: Block, path: tuple[Block, ...]) -> Iterable[tuple[Node, tuple[Block, ...]]]:
    """Each node with the blocks that it stands in, the outermost first."""
    for item in block.items:
        if isinstance(item, Block):
            yield from _above(item, (*path, item))
        else:
            yield item, path


def _first(users: Sequence[Node]) -> list[Node]:
    least = min((user.back for user in users), default=0)
    return [user for user in users if user.back == least]


def _common(paths: Sequence[tuple[Block, ...]]) -> Block | None:
    """The innermost block that all paths share."""
    found = None
    for blocks in zip(*paths, strict=False):
        if len(set(blocks)) > 1:
            break
        found = blocks[0]
    return found


# ------------------------------------------------------------------------------------- paths


def _require_paths(frame: Frame, wanted: Sequence[str]) -> None:
    known = set(known_paths(frame))
    for path in wanted:
        if path not in known:
            listed = sorted(each for each in known if each and not each.startswith("%"))
            fix = did_you_mean(path, listed, otherwise=_some(listed))
            raise UsageError(f"nothing is called {path!r} in this graph", fix=fix)


def _some(paths: Sequence[str]) -> str:
    if not paths:
        return "it has no layers; use depth="
    return f"its parts are {', '.join(paths[:8])}{' …' if len(paths) > 8 else ''}"


def known_paths(frame: Frame) -> Iterable[str]:
    """The paths of all modules and of all graphs inside nodes."""
    todo = [frame.root]
    while todo:
        block = todo.pop()
        yield block.layer
        todo += block.blocks
    for node in frame.root.nodes:
        for inner in frame.inner(node):
            yield from (inner.path, inner.owner.op.name)
            yield from known_paths(inner.frame)
