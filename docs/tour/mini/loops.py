"""From a graph to loops: which values are kept in memory, and how each of them is computed.

Not here: machine code. Next: `machine.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod

from mini.graph import Node, topological
from mini.printing import leaf, written

CHEAP = 4  # operations for each element that are done again rather than kept in memory
COST = {"input": 0, "number": 0, "broadcast": 0, "transpose": 0}  # only other places to read
COST |= {"divide": 4, "exp": 20, "sum": 100, "matmul": 100}  # all others count as one


def kept(outputs: Sequence[Node]) -> list[Node]:
    """The nodes whose values go to memory, in the order in which they are computed."""
    order = topological(outputs)
    users = {node: [user for user in order if node in user.inputs] for node in order}
    cost: dict[Node, int] = {}
    found = []
    for node in order:
        cost[node] = COST.get(node.op, 1) + sum(cost[x] for x in node.inputs)
        repeats = any(user.op in ("broadcast", "matmul") for user in users[node])
        dear = cost[node] > CHEAP and (repeats or len(users[node]) > 1)
        if node.op != "input" and (dear or node in outputs):
            found.append(node)
            cost[node] = 0
    return found


@dataclass(frozen=True)
class Variable:
    """What a loop counts, from 0 to below its extent."""

    name: str
    extent: int


Index = tuple[Variable | None, ...]  # one entry for each axis; None: its only element


def numbered(letter: str, shape: Sequence[int]) -> Index:
    """A variable for each axis; none where the extent is 1."""
    return tuple(None if n == 1 else Variable(f"{letter}{i}", n) for i, n in enumerate(shape))


@dataclass(frozen=True, eq=False)
class Load:
    """An element of a value in memory."""

    node: Node
    index: Index

    def step(self, variable: Variable | None) -> int:
        """How many elements further the next turn of a loop reads."""
        return sum(
            prod(self.node.shape[axis + 1 :])
            for axis, each in enumerate(self.index)
            if each is not None and each == variable
        )


@dataclass(frozen=True, eq=False)
class Apply:
    """An operation on elements; a number is an operation on none."""

    op: str
    args: tuple[Expr, ...]
    number: float = 0.0


@dataclass(frozen=True, eq=False)
class Fold:
    """The sum of an expression over variables of its own."""

    over: Index
    body: Expr


Expr = Load | Apply | Fold


def loads(expr: Expr) -> Iterator[Load]:
    """Everything that an expression reads."""
    if isinstance(expr, Load):
        yield expr
    for part in expr.args if isinstance(expr, Apply) else ():
        yield from loads(part)
    if isinstance(expr, Fold):
        yield from loads(expr.body)


@dataclass(frozen=True)
class Nest:
    """Loops that compute every element of one value and store it."""

    node: Node
    index: Index
    value: Expr


def nests(outputs: Sequence[Node]) -> list[Nest]:
    """The loops for a whole graph, one nest for each value that is kept."""
    order = kept(outputs)
    return [Lowering(set(order)).nest(node) for node in order]


class Lowering:
    """Writes the elements of nodes as expressions over what is in memory."""

    def __init__(self, memory: set[Node]) -> None:
        self.memory = memory
        self.known: dict[tuple[Node, Index], Expr] = {}
        self.letters = iter("rstuvwxyz")  # of the variables of folds; one nest seldom has three

    def nest(self, node: Node) -> Nest:
        """The loops for a value that is kept."""
        index = numbered("i", node.shape)
        return Nest(node, index, self.computed(node, index))

    def element(self, node: Node, index: Index) -> Expr:
        """An element: read from memory, or computed on the spot."""
        if node in self.memory or node.op == "input":
            return Load(node, index)
        if (node, index) not in self.known:
            self.known[node, index] = self.computed(node, index)
        return self.known[node, index]

    def computed(self, node: Node, index: Index) -> Expr:
        """An element by what the operation means."""
        match node.op, node.inputs:
            case "number", ():
                return Apply("number", (), float(node.label))
            case "broadcast", (x,):
                last = index[len(index) - len(x.shape) :]
                own = [None if n == 1 else v for v, n in zip(last, x.shape, strict=True)]
                return self.element(x, tuple(own))
            case "transpose", (x,):
                return self.element(x, index[::-1])
            case "sum", (x,):
                index = (None,) * (len(x.shape) - len(index)) + index
                gone = [n if v is None else 1 for v, n in zip(index, x.shape, strict=True)]
                over = numbered(next(self.letters), gone)
                place = tuple(r or v for r, v in zip(over, index, strict=True))
                return Fold(over, self.element(x, place))
            case "matmul", (a, b):
                over = numbered(next(self.letters), a.shape[1:])
                pair = self.element(a, index[:1] + over), self.element(b, over + index[1:])
                return Fold(over, Apply("multiply", pair))
        return Apply(node.op, tuple(self.element(x, index) for x in node.inputs))


def text(order: Sequence[Nest]) -> str:
    """The loops as one would write them in Python."""
    names: dict[Node, str] = {}
    lines = []
    for nest in order:
        names[nest.node] = f"v{len(names)}"
        loops = [v for v in nest.index if v is not None]
        for depth, v in enumerate(loops):
            lines.append(f"{'    ' * depth}for {v.name} in range({v.extent}):")
        target = place(nest.node, nest.index, names)
        lines.append(f"{'    ' * len(loops)}{target} = {expression(nest.value, names)}")
    return "\n".join(lines)


def place(node: Node, index: Index, names: Mapping[Node, str]) -> str:
    """An element in memory: name[i0, i1]."""
    axes = ", ".join("0" if v is None else v.name for v in index)
    name = names.get(node) or leaf(node)
    return f"{name}[{axes}]" if axes else name


def expression(expr: Expr, names: Mapping[Node, str]) -> str:
    """An expression with brackets around whatever has two operands."""
    match expr:
        case Load(node, index):
            return place(node, index, names)
        case Fold(over, body):
            turns = "".join(f" for {v.name} in range({v.extent})" for v in over if v is not None)
            return f"sum({expression(body, names)}{turns})"
        case Apply("number", _, number):
            return f"{number:g}"
        case Apply(op, args):
            parts = [(x.op if isinstance(x, Apply) else "", expression(x, names)) for x in args]
            return written(op, parts)
