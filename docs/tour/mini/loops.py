"""From a graph to loops: which values are kept in memory, and how each is computed.

Not here: machine code. Next: `machine.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod

from mini.graph import Node, topological
from mini.printing import SIGNS

CHEAP = 4  # operations for each element that are done again rather than kept
COST = {"exp": 20, "divide": 4}  # all others count as one; moving elements costs nothing
FOLDS, MOVES = ("sum", "matmul"), ("number", "broadcast", "transpose")


def kept(outputs: Sequence[Node]) -> list[Node]:
    """The nodes whose values go to memory, in the order in which they are computed."""
    order = topological(outputs)
    users = {node: [u for u in order if node in u.inputs] for node in order}
    cost: dict[Node, int] = {}
    found = []
    for node in order:
        cost[node] = own_cost(node) + sum(cost[x] for x in node.inputs)
        repeats = any(user.op in ("broadcast", "matmul") for user in users[node])
        wanted_again = repeats or len(users[node]) > 1
        if node.inputs and (node in outputs or (wanted_again and cost[node] > CHEAP)):
            found.append(node)
            cost[node] = 0
    return found


def own_cost(node: Node) -> int:
    """Operations for one element of a node, its inputs given."""
    if node.op in FOLDS:
        return prod(node.inputs[0].shape) + CHEAP
    return 0 if node.op in MOVES or not node.inputs else COST.get(node.op, 1)


@dataclass(frozen=True)
class Variable:
    """What a loop counts from 0 to its extent."""

    name: str
    extent: int


Index = tuple[Variable | None, ...]  # None: the one element of an axis


@dataclass(frozen=True, eq=False)
class Load:
    """An element of a value in memory."""

    node: Node
    index: Index

    def step(self, variable: Variable) -> int:
        """How many elements further the next turn of a loop reads."""
        places = [axis for axis, each in enumerate(self.index) if each == variable]
        return sum(prod(self.node.shape[axis + 1 :]) for axis in places)


@dataclass(frozen=True, eq=False)
class Number:
    """A constant."""

    value: float


@dataclass(frozen=True, eq=False)
class Apply:
    """An operation on elements."""

    op: str
    args: tuple[Expr, ...]


@dataclass(frozen=True, eq=False)
class Fold:
    """The sum of its body over variables of its own."""

    over: tuple[Variable, ...]
    body: Expr


Expr = Load | Number | Apply | Fold


@dataclass(frozen=True)
class Nest:
    """Loops that compute every element of one value."""

    node: Node
    variables: tuple[Variable, ...]
    index: Index
    value: Expr


class Lowering:
    """Writes elements of nodes as expressions over what is in memory."""

    def __init__(self, memory: set[Node]) -> None:
        self.memory = memory
        self.known: dict[tuple[Node, Index], Expr] = {}
        self.folds = 0

    def nest(self, node: Node) -> Nest:
        """The loops for a value that is kept."""
        index = tuple(
            None if extent == 1 else Variable(f"i{axis}", extent)
            for axis, extent in enumerate(node.shape)
        )
        self.known, self.folds = {}, 0
        variables = tuple(each for each in index if each is not None)
        return Nest(node, variables, index, self.computed(node, index))

    def element(self, node: Node, index: Index) -> Expr:
        """An element: read from memory, or computed on the spot, once in each nest."""
        if node in self.memory:
            return Load(node, index)
        if (node, index) not in self.known:
            self.known[node, index] = self.computed(node, index)
        return self.known[node, index]

    def computed(self, node: Node, index: Index) -> Expr:
        """The element of a node by what its operation means."""
        match node.op:
            case "number":
                return Number(float(node.label))
            case "broadcast":
                return self.element(node.inputs[0], self.narrowed(node.inputs[0], index))
            case "transpose":
                return self.element(node.inputs[0], index[::-1])
            case "sum":
                return self.summed(node.inputs[0], index)
            case "matmul":
                return self.product(*node.inputs, *index)
        return Apply(node.op, tuple(self.element(x, index) for x in node.inputs))
