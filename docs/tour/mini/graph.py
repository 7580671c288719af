"""Nodes and the graph that they form. Not here: what an operation means. Next: `meaning.py`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

Shape = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Node:
    """An operation applied to nodes. It never changes, and equals nothing but itself."""

    op: str
    inputs: tuple[Node, ...]
    shape: Shape
    label: str | float = ""  # the name of an input, the value of a number

    def __repr__(self) -> str:
        return f"<{self.op} {list(self.shape)}>"

    def __add__(self, other: Node | float) -> Node:
        return pointwise("add", self, other)

    def __sub__(self, other: Node | float) -> Node:
        return pointwise("subtract", self, other)

    def __rsub__(self, other: float) -> Node:
        return pointwise("subtract", other, self)

    def __mul__(self, other: Node | float) -> Node:
        return pointwise("multiply", self, other)

    def __truediv__(self, other: Node | float) -> Node:
        return pointwise("divide", self, other)

    def __rtruediv__(self, other: float) -> Node:
        return pointwise("divide", other, self)

    def __neg__(self) -> Node:
        return pointwise("negative", self)

    def __matmul__(self, other: Node) -> Node:
        (m, k), (rows, n) = self.shape, other.shape
        if k != rows:
            raise ValueError(f"no product of shapes {self.shape} and {other.shape}")
        return Node("matmul", (self, other), (m, n))

    @property
    def T(self) -> Node:  # noqa: N802  the name that NumPy gives it
        return Node("transpose", (self,), self.shape[::-1])

    __radd__, __rmul__ = __add__, __mul__


def variable(name: str, *shape: int) -> Node:
    """A leaf whose value is given later."""
    return Node("input", (), shape, name)


def pointwise(op: str, *operands: Node | float) -> Node:
    """An operation element by element; operands of other shapes are broadcast first."""
    shape = joint([x.shape for x in operands if isinstance(x, Node)])
    return Node(op, tuple(broadcast(x, shape) for x in operands), shape)


def exp(x: Node) -> Node:
    """e to the power of x."""
    return pointwise("exp", x)


def maximum(a: Node | float, b: Node | float) -> Node:
    """The larger of two."""
    return pointwise("maximum", a, b)


def greater(a: Node | float, b: Node | float) -> Node:
    """1 where a > b, else 0."""
    return pointwise("greater", a, b)


def joint(shapes: list[Shape]) -> Shape:
    """The shape to which all can be stretched: missing axes come first, and 1 fits any extent."""
    rank = max(map(len, shapes))
    axes = zip(*((1,) * (rank - len(shape)) + shape for shape in shapes), strict=True)
    wide = [set(extents) - {1} for extents in axes]
    if any(len(extents) > 1 for extents in wide):
        raise ValueError(f"shapes that do not fit: {', '.join(map(str, shapes))}")
    return tuple(min(extents, default=1) for extents in wide)


def broadcast(x: Node | float, shape: Shape) -> Node:
    """The same elements, repeated to fill a larger shape."""
    if not isinstance(x, Node):
        return Node("number", (), shape, float(x))
    return x if x.shape == shape else Node("broadcast", (x,), shape)


def total(x: Node, shape: Shape = ()) -> Node:
    """The elements added up to a smaller shape: what `broadcast` repeats, this adds."""
    return x if x.shape == shape else Node("sum", (x,), shape)


def topological(outputs: Iterable[Node]) -> list[Node]:
    """Every node that the outputs need, inputs before users."""
    order: dict[Node, None] = {}

    def visit(node: Node) -> None:
        if node not in order:
            for x in node.inputs:
                visit(x)
            order[node] = None

    for node in outputs:
        visit(node)
    return list(order)
