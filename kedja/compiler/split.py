"""Long reductions with few results are cut into chunks, so that threads can share them.

The chunks depend on the shape alone: the same bits with any number of threads.
Why here: after simplification the real shapes are known; fusion sees two ordinary reductions.
Next: `fuse.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from kedja.ir.graph import Node, apply, edited
from kedja.ir.op import Fold

CHUNK = 16_384  # elements that one chunk folds: some microseconds of work
WHOLE = 256  # elements of which a chunk is a multiple: several whole vectors
SHORT = 16  # fewer neighbours than this are not worth a fold of their own
COLUMNS = 64  # results side by side that one task takes
BLOCK = 1 << 16  # elements of whole rows that stay in a core's cache
FEWEST_ROWS = 16  # of a block: a few more results than rows are added up in the end
PIECES = 16  # tasks that a long reduction should have


def split(outputs: Sequence[Node]) -> list[Node]:
    """Every long reduction as a reduction of chunks."""
    return edited(outputs, shared)


def shared(node: Node) -> Node:
    """A reduction in two steps where one would leave threads idle; else as it is.

    Where some of the axes are the last ones and others not, the last ones go first: they lie side
    by side, and chunks over both would divide at every element.
    """
    if not isinstance(node.op.lowering, Fold) or node.inputs[0].type.size < 2 * CHUNK:
        return node
    (x,), axes, last = node.inputs, node.attrs["axes"], last_axes(node)
    if 0 < len(last) < len(axes) and math.prod(x.shape[axis] for axis in last) >= SHORT:
        partial = shared(apply(node.op.name, x, axes=last))
        return shared(apply(node.op.name, partial, axes=axes[: len(axes) - len(last)]))
    if not last and is_leading(node) and (is_long(node) or is_tall(node)):
        return folded_tall(node)
    return folded_lines(node) if is_long(node) else node


def is_long(node: Node) -> bool:
    """Whether a node folds so many elements into so few that threads would stand idle."""
    size, results = node.inputs[0].type.size, node.type.size
    tasks = results if last_axes(node) else -(-results // COLUMNS)
    return size >= 4 * CHUNK and size // results >= 2 * SHORT and 2 * tasks <= wanted(size)


def is_tall(node: Node) -> bool:
    """Whether columns are so long that one after the other would meet every page of memory anew.

    In blocks of some rows, which stay in a core's cache, they are met once.
    """
    size, results = node.inputs[0].type.size, node.type.size
    return results >= COLUMNS and size >= 4 * BLOCK and size // results >= 2 * FEWEST_ROWS


def wanted(size: int) -> int:
    """How many tasks a reduction of so many elements should have."""
    return min(PIECES, size // (2 * CHUNK))


def is_leading(node: Node) -> bool:
    """Whether the first axes are folded, and no others."""
    axes = node.attrs["axes"]
    return tuple(axes) == tuple(range(len(axes)))


def last_axes(node: Node) -> tuple[int, ...]:
    """Those of the folded axes behind which no other stands."""
    rank, axes = len(node.inputs[0].shape), node.attrs["axes"]
    return tuple(axis for place, axis in enumerate(axes) if axis == rank - len(axes) + place)


def folded_tall(node: Node) -> Node:
    """fold(x) over the first axes, as fold(fold(blocks of whole rows))."""
    (x,), results = node.inputs, node.type.size
    rows = apply("reshape", x, shape=(x.type.size // results, results))
    count = most = max(PIECES, min(x.type.size // BLOCK, rows.shape[0] // FEWEST_ROWS))
    while rows.shape[0] % count and count > most // 2:
        count -= 1  # blocks without padding, if there are any
    count = most if rows.shape[0] % count else count
    blocks = in_blocks(node, rows, 0, -(-rows.shape[0] // count))
    partial = apply(node.op.name, blocks, axes=(1,))
    return apply("reshape", apply(node.op.name, partial, axes=(0,)), shape=node.shape)


def folded_lines(node: Node) -> Node:
    """fold(x) as fold(fold(chunks of the lines that make one result each))."""
    (x,), axes, results = node.inputs, node.attrs["axes"], node.type.size
    kept = tuple(axis for axis in range(len(x.shape)) if axis not in axes)
    front = apply("transpose", x, axes=(*kept, *axes))
    lines = apply("reshape", front, shape=(results, x.type.size // results))
    blocks = in_blocks(node, lines, 1, chunk_of(lines.shape[1]))
    partial = apply(node.op.name, blocks, axes=(2,))
    return apply("reshape", apply(node.op.name, partial, axes=(1,)), shape=node.shape)


def chunk_of(length: int) -> int:
    """The length of equal chunks, at most CHUNK, of which there is an even number."""
    chunks = 2 * -(-length // (2 * CHUNK))
    return -(-length // (chunks * WHOLE)) * WHOLE


def in_blocks(node: Node, x: Node, axis: int, length: int) -> Node:
    """An axis cut into blocks, the last one filled with the identity of the node's reduction."""
    blocks = -(-x.shape[axis] // length)
    high = tuple(blocks * length - x.shape[n] if n == axis else 0 for n in range(2))
    assert isinstance(node.op.lowering, Fold)
    value = node.op.lowering.identity(node.dtype)
    padded = apply("pad", x, low=(0, 0), high=high, interior=(0, 0), value=value)
    shape = (*x.shape[:axis], blocks, length, *x.shape[axis + 1 :])
    return apply("reshape", padded if any(high) else x, shape=shape)
