"""Gradients of weights as two products, each over half of the rows: C = AᵀB = A₁ᵀB₁ + A₂ᵀB₂.

Rows of activations belong to threads: who computes them in one product meets them again in the
next. The gradient of a weight sums over all rows, so that of a product as a whole each of two
threads reads half of both operands out of the other's cache, or across, where cores share none.
Of two products each thread has one, over rows that it has written itself; what the other must
fetch are the sums, which are added where they are used. The halves depend on the shape alone.
Why here: operands are final, and fusion sees two sums as it sees any values.
Not here: long sums along one axis (`split.py`). Next: `fuse.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

from kedja.compiler.fuse import flat_base, is_stored
from kedja.compiler.matmul_pairs import is_widened
from kedja.compiler.matmul_rows import picked_rows
from kedja.ground.dtypes import float32, float64
from kedja.ir.graph import Node, apply, edited

STEPS = 256  # fewer rows than this are not worth two products
# Numbers that one half reads, at most: its thread's cache still holds what it has written of them.
HALF = 1 << 18


def halved(outputs: Sequence[Node]) -> list[Node]:
    """Every gradient of a weight whose rows stay with their threads as the sum of two products."""
    return edited(outputs, in_halves)


def in_halves(node: Node) -> Node:
    """Aᵀ B over both halves of the rows, added up; else the node as it is."""
    if not _pays(node):
        return node
    turned, right = node.inputs
    (left,) = turned.inputs
    (k, m), n = left.shape, right.shape[1]
    first, second = (
        apply("reshape", each, shape=(2, k // 2, each.shape[1])) for each in (left, right)
    )
    both = apply("matmul", apply("transpose", first, axes=(0, 2, 1)), second)
    return apply("add", *(_part(both, number, (m, n)) for number in range(2)))


def _part(both: Node, number: int, shape: tuple[int, int]) -> Node:
    """One of the two sums."""
    starts, stops = (number, 0, 0), (number + 1, *shape)
    part = apply("slice", both, starts=starts, stops=stops, steps=(1, 1, 1))
    return apply("reshape", part, shape=shape)


def _pays(node: Node) -> bool:
    """Whether a node is such a product, of few enough rows, with more to read than to write."""
    if node.op.name != "matmul" or len(node.shape) != 2 or node.dtype not in (float32, float64):
        return False
    turned, right = node.inputs
    if turned.op.name != "transpose" or right.op.name == "transpose":
        return False
    (m, k), n = turned.shape, right.shape[1]
    if k % 2 or k < STEPS or k * (m + n) < 4 * m * n or k // 2 * (m + n) > HALF:
        return False
    return not any(map(_is_elsewhere, node.inputs)) and not any(
        picked_rows(node, number) for number in range(2)
    )


def _is_elsewhere(operand: Node) -> bool:
    """Whether no thread has written an operand's rows, or they are multiplied in pairs."""
    base = operand.inputs[0] if operand.op.name == "transpose" else operand
    return is_stored(flat_base(base)) or is_widened(operand)
