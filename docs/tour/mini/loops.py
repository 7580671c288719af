"""How each value that is kept is computed: loops, with one expression inside. Next: `emit.py`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod

from mini.fuse import kept
from mini.graph import Node
from mini.printing import leaf, written


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

    def step(self, variable: Variable) -> int:
        """How many elements further the next turn of a loop reads."""
        axes = [axis for axis, each in enumerate(self.index) if each == variable]
        return sum(prod(self.node.shape[axis + 1 :]) for axis in axes)


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


def folded(over: Index, body: Expr) -> Expr:
    """The sum over the axes that have a variable; of one term, that term."""
    return Fold(over, body) if any(over) else body


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
        """An element: read from memory, or computed on the spot; the same one when asked again."""
        if (node, index) not in self.known:
            stored = node in self.memory or node.op == "input"
            made = Load(node, index) if stored else self.computed(node, index)
            self.known[node, index] = made
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
                return folded(over, self.element(x, place))
            case "matmul", (a, b):
                over = numbered(next(self.letters), a.shape[1:])
                pair = self.element(a, index[:1] + over), self.element(b, over + index[1:])
                return folded(over, Apply("multiply", pair))
        return Apply(node.op, tuple(self.element(x, index) for x in node.inputs))


def text(order: Sequence[Nest]) -> str:
    """The loops as one would write them in Python."""
    names = {nest.node: f"v{number}" for number, nest in enumerate(order)}
    lines = []
    for nest in order:
        depth = 0
        for v in filter(None, nest.index):
            lines.append(f"{'    ' * depth}for {v.name} in range({v.extent}):")
            depth += 1
        target = written_out(Load(nest.node, nest.index), names)
        lines.append(f"{'    ' * depth}{target} = {written_out(nest.value, names)}")
    return "\n".join(lines)


def written_out(expr: Expr, names: Mapping[Node, str]) -> str:
    """An expression, with brackets around whatever has two operands."""
    match expr:
        case Load(node, index):
            places = ", ".join("0" if v is None else v.name for v in index)
            name = names.get(node) or leaf(node)
            return f"{name}[{places}]" if places else name
        case Fold(over, body):
            turns = "".join(f" for {v.name} in range({v.extent})" for v in filter(None, over))
            return f"sum({written_out(body, names)}{turns})"
        case Apply("number", _, number):
            return f"{number:g}"
        case Apply(op, args):
            parts = [(x.op if isinstance(x, Apply) else "", written_out(x, names)) for x in args]
            return written(op, parts)
