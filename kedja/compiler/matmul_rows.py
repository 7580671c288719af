"""Products that read an operand's rows where they stand in a table, through the index that picks
them.

A minibatch is take(data, rows): copying it takes a tenth of the step of a small perceptron, and the
copy must then travel from the core that wrote it to the others. Where products alone use it, it
is not made: each row of the operand is found by its place in the index, held inside the table.
Not here: the code (`llvm_matmul_rows.py`). Why here: `fuse.py` decides by it what is kept.
Next: `fuse.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from kedja.ground.dtypes import DType, float32, float64
from kedja.ir.graph import Node

SHORTEST = 16  # elements of a row: what is shorter is as well copied


@dataclass(frozen=True)
class Rows:
    """How an operand's rows are picked: a table of `count` rows, `stride` elements apart.

    `along_k` says whether a row is a step of the product's sum, else it is a row of the result.
    """

    count: int
    stride: int
    index: DType
    along_k: bool


class Picked(NamedTuple):
    """An operand as rows of a table: both in memory, and which axis of the operand counts rows."""

    table: Node
    places: Node
    axis: int
    take: Node

    @property
    def stride(self) -> int:
        """Elements of a row."""
        return self.take.type.size // self.places.type.size

    @property
    def steps(self) -> tuple[int, int]:
        """The operand's strides, as if its rows stood below each other."""
        return (self.stride, 1) if self.axis == 0 else (1, self.stride)

    def rows(self, along_k: bool) -> Rows:
        """What the product's plan needs to know."""
        count = self.table.type.size // self.stride
        return Rows(count, self.stride, self.places.dtype, along_k)


def picked_rows(product: Node, number: int) -> Picked | None:
    """Operand `number` of a matrix product as rows of a table that is given, if it is that.

    A right operand whose rows are columns of the result is left out: it is turned while packed.
    """
    operand = product.inputs[number]
    if product.op.name != "matmul" or operand.dtype not in (float32, float64):
        return None
    if any(len(x.shape) != 2 or min(x.shape) < 2 for x in product.inputs):
        return None
    axis, take = 0, operand
    while take.op.name == "transpose":
        axis, (take,) = 1 - axis, take.inputs
    take = _in_memory(take)
    if take.op.name != "take" or take.attrs["axis"] != 0 or (number, axis) == (1, 1):
        return None
    found = Picked(_in_memory(take.inputs[0]), _in_memory(take.inputs[1]), axis, take)
    given = found.table.op.name in ("input", "constant")
    whole = operand.shape[axis] == found.places.type.size and found.stride >= SHORTEST
    return found if given and whole else None


def _in_memory(node: Node) -> Node:
    """The value in whose memory a reshaped one stands."""
    while node.op.name == "reshape":
        (node,) = node.inputs
    return node


Users = Mapping[Node, Sequence[Node]]


def only_picked(order: Sequence[Node], users: Users, outputs: frozenset[Node]) -> frozenset[Node]:
    """The gathered values that products alone use, as rows."""

    def is_only_rows(node: Node, take: Node) -> bool:
        if node in outputs or not users[node]:
            return False
        return all(reads_rows(user, node, take) for user in users[node])

    def reads_rows(user: Node, node: Node, take: Node) -> bool:
        if user.op.name in ("transpose", "reshape"):
            return is_only_rows(user, take)
        if user.op.name != "matmul":
            return False
        views = (picked_rows(user, n) for n, each in enumerate(user.inputs) if each is node)
        return all(view is not None and view.take is take for view in views)

    takes = (node for node in order if node.op.name == "take" and node.attrs["axis"] == 0)
    return frozenset(each for each in takes if is_only_rows(each, each))
