"""A graph taken apart into blocks: one for each call of a layer, nested as the layers are.

What reverse mode made of a layer stands in a block of its own. A block is one step of what
surrounds it: nothing that it needs depends on it. A layer whose nodes cannot stand together so (one
that a rewriting has torn apart) becomes several blocks.
Not here: which blocks are shown open (`outline.py`). Next: `runs.py`, blocks that repeat.
"""

from __future__ import annotations

import heapq
from collections.abc import Hashable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field

from kedja.ir.graph import Layer, Node, topological

Key = Hashable
ALIASES = ("copy",)  # ops whose output is their input


@dataclass(eq=False)
class Block:
    """The nodes of one call of a layer, in order; `back` counts reverse modes, as in `Node`.

    `items` are nodes and blocks in the order of evaluation; `inputs` the values from outside that
    it uses, leaves among them; `outputs` those of its nodes that are used outside.
    """

    layer: str
    back: int
    items: list[Item] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)
    inputs: list[Node] = field(default_factory=list)
    outputs: list[Node] = field(default_factory=list)

    @property
    def kind(self) -> str:
        """The class of the module; empty where there is none."""
        return self.layer.kind if isinstance(self.layer, Layer) else ""

    @property
    def blocks(self) -> list[Block]:
        """The blocks directly inside."""
        return [each for each in self.items if isinstance(each, Block)]


Item = Node | Block


def seen(node: Node) -> Node:
    """The node itself, or that of which it is a copy."""
    while node.op.name in ALIASES:
        node = node.inputs[0]
    return node


def is_leaf(node: Node) -> bool:
    """Whether a node is given from outside: an input or an array."""
    return node.op.name in ("input", "constant")


def is_inline(node: Node) -> bool:
    """Whether a node is written where it is used: a number, a copy, one of several outputs."""
    return node.op.name in ("full", "part", *ALIASES)


def folded(outputs: Sequence[Node], around: str = "") -> Block:
    """The graph of some outputs as one block; `around` is the layer that it stands in.

    Numbers, copies, and leaves stand in no block: they are shown where they are used.
    """
    order = [node for node in topological(outputs) if not (is_leaf(node) or is_inline(node))]
    outer = len(chain(around))
    paths = {node: _keys(node, outer) for node in order}
    root = Block(around, 0, nodes=order)
    place = {node: number for number, node in enumerate(order)}
    _fill(root, 0, paths, place)
    _connect(root, users_of(order), set(apart(outputs)))
    return root


def chain(scope: str) -> list[str]:
    """A layer with those around it, the outermost first."""
    found: list[str] = []
    layer: str | None = scope
    while layer is not None and (layer or isinstance(layer, Layer)):
        found.append(layer)
        layer = layer.outer if isinstance(layer, Layer) else None
    return found[::-1]


def _keys(node: Node, outer: int) -> list[tuple[Key, str]]:
    """What tells the layer of a node from others, level by level, and the layer itself."""
    return [
        ((id(layer) if isinstance(layer, Layer) else layer, node.back), layer)
        for layer in chain(node.scope)[outer:]
    ]


# ---------------------------------------------------------------------------------- grouping


class _Part:
    """A block that is being gathered, or a single node; `before` are the parts that it uses."""

    def __init__(self, layer: str | None) -> None:
        self.layer = layer
        self.nodes: list[Node] = []
        self.before: set[_Part] = set()

    def depends_on(self, other: _Part) -> bool:
        """Whether this part needs another one, directly or through others."""
        todo, met = [self], {self}
        while todo:
            part = todo.pop()
            if part is other:
                return True
            todo += part.before - met
            met |= part.before
        return False


def _fill(
    block: Block,
    level: int,
    paths: Mapping[Node, list[tuple[Key, str]]],
    place: Mapping[Node, int],
) -> None:
    """Sort the nodes of a block into those that stand in it and those of blocks inside."""
    for part in _ordered(_parts(block.nodes, level, paths), place):
        if part.layer is None:
            block.items.append(part.nodes[0])
            continue
        inner = Block(part.layer, part.nodes[0].back, nodes=part.nodes)
        _fill(inner, level + 1, paths, place)
        block.items.append(inner)


def _parts(
    nodes: Sequence[Node], level: int, paths: Mapping[Node, list[tuple[Key, str]]]
) -> list[_Part]:
    """Nodes of one layer together, unless something between them needs to stand outside."""
    found: list[_Part] = []
    latest: dict[Key, _Part] = {}
    part_of: dict[Node, _Part] = {}
    for node in nodes:
        path = paths[node][level:]
        before = {part_of[each] for each in _needed(node) if each in part_of}
        part = latest.get(path[0][0]) if path else None
        if part is None or not _can_join(part, before):
            part = _Part(path[0][1] if path else None)
            found.append(part)
        if path:
            latest[path[0][0]] = part
        part.nodes.append(node)
        part.before |= before - {part}
        part_of[node] = part
    return found


def _needed(node: Node) -> Iterable[Node]:
    """The nodes that a node uses, through what is written inline."""
    for each in node.inputs:
        below = each
        while is_inline(below) and below.inputs:
            below = below.inputs[0]
        yield below


def _can_join(part: _Part, before: Iterable[_Part]) -> bool:
    new = (each for each in before if each is not part and each not in part.before)
    return not any(each.depends_on(part) for each in new)


def _ordered(parts: Sequence[_Part], place: Mapping[Node, int]) -> list[_Part]:
    """Parts after those that they use, else in the order in which they are finished."""
    users: dict[_Part, list[_Part]] = {part: [] for part in parts}
    missing = {part: len(part.before) for part in parts}
    for part in parts:
        for each in part.before:
            users[each].append(part)
    last = {place[part.nodes[-1]]: part for part in parts}  # no two end with the same node
    heap = [number for number, part in last.items() if not missing[part]]
    heapq.heapify(heap)
    found = []
    while heap:
        part = last[heapq.heappop(heap)]
        found.append(part)
        for user in users[part]:
            missing[user] -= 1
            if not missing[user]:
                heapq.heappush(heap, place[user.nodes[-1]])
    return found


# ------------------------------------------------------------------------ inputs and outputs


def users_of(order: Iterable[Node]) -> dict[Node, list[Node]]:
    """The nodes that use each node, through what is written inline."""
    found: dict[Node, list[Node]] = {}
    for node in order:
        found.setdefault(node, [])
        for each in _needed(node):
            found.setdefault(each, []).append(node)
    return found


def apart(outputs: Iterable[Node]) -> list[Node]:
    """The outputs without copies and parts: the nodes that stand for them."""
    found = []
    for node in outputs:
        while is_inline(node) and node.inputs:
            node = node.inputs[0]
        found.append(node)
    return found


def _connect(block: Block, users: Mapping[Node, list[Node]], final: Set[Node]) -> None:
    """Note what goes into a block and what comes out of it, for it and all inside."""
    inside = set(block.nodes)
    block.inputs = list(
        dict.fromkeys(
            each
            for node in block.nodes
            for each in _needed(node)
            if each not in inside and each.op.name != "full"
        )
    )
    block.outputs = [
        node
        for node in block.nodes
        if node in final or any(user not in inside for user in users[node])
    ]
    for inner in block.blocks:
        _connect(inner, users, final)
