"""Long reductions with few results are cut into chunks, so that threads can share them.

The chunks depend on the shape alone: the same bits with any number of threads.
Why here: after simplification the real shapes are known; fusion sees two ordinary reductions.
Next: `fuse.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from kedja.ir.graph import Node, apply, rebuild, transform
from kedja.ir.op import Fold

CHUNK = 16_384  # elements that one chunk folds: some microseconds of work
SHORT = 16  # fewer neighbours than this are not worth a fold of their own
WIDE = 64  # with so many results and more, threads share the results instead


def split(outputs: Sequence[Node]) -> list[Node]:
    """Every long reduction as a reduction of chunks."""

    def visit(node: Node, inputs: tuple[Node, ...]) -> Node:
        rebuilt = rebuild(node, inputs)
        return chunked(rebuilt) if is_long(rebuilt) else rebuilt

    return transform(outputs, visit)


def is_long(node: Node) -> bool:
    """Whether a node folds so many elements into so few that threads would stand idle."""
    if not isinstance(node.op.lowering, Fold) or node.type.size >= WIDE:
        return False
    return folded(node) >= 2 * CHUNK and node.inputs[0].type.size >= 4 * CHUNK


def last_axes(node: Node) -> tuple[int, ...]:
    """Those of the folded axes behind which no other stands."""
    rank, axes = len(node.inputs[0].shape), node.attrs["axes"]
    return tuple(axis for place, axis in enumerate(axes) if axis == rank - len(axes) + place)


def folded(node: Node) -> int:
    """How many elements make one result."""
    return math.prod(node.inputs[0].shape[axis] for axis in node.attrs["axes"])


def chunked(node: Node) -> Node:
    """fold(x) as fold(fold(chunks of x)), x padded with the identity to whole chunks.

    Where some of the axes are the last ones and others not, the last ones go first: they lie side
    by side, and chunks over both would divide at every element.
    """
    (x,), axes = node.inputs, node.attrs["axes"]
    last = last_axes(node)
    if len(last) < len(axes) and math.prod(x.shape[axis] for axis in last) >= SHORT:
        partial = apply(node.op.name, x, axes=last)
        partial = chunked(partial) if is_long(partial) else partial
        whole = apply(node.op.name, partial, axes=axes[: len(axes) - len(last)])
        return chunked(whole) if is_long(whole) else whole
    kept = tuple(axis for axis in range(len(x.shape)) if axis not in axes)
    results, length = node.type.size, folded(node)
    front = apply("transpose", x, axes=(*kept, *axes))
    lines = apply("reshape", front, shape=(results, length))
    chunks = -(-length // CHUNK)
    assert isinstance(node.op.lowering, Fold)
    padded = apply(
        "pad",
        lines,
        low=(0, 0),
        high=(0, chunks * CHUNK - length),
        interior=(0, 0),
        value=node.op.lowering.identity(node.dtype),
    )
    blocks = apply("reshape", padded, shape=(results, chunks, CHUNK))
    partial = apply(node.op.name, blocks, axes=(2,))
    return apply("reshape", apply(node.op.name, partial, axes=(1,)), shape=node.shape)
