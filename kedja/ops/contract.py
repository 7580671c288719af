"""Contractions: the matrix product.

Dimension letters: M rows, K the axis that is summed, N columns; leading axes are batches.
Next: `indexing.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kedja.ground.dtypes import NUMBERS
from kedja.ground.errors import DtypeError, ShapeError
from kedja.ir.graph import Node, apply
from kedja.ir.op import BatchRule, Case, Kernel, Multilinear, Op, Type, register
from kedja.ops import xla_rules
from kedja.ops.batching import in_front
from kedja.ops.types import require_dtype
from kedja.ops.xla_rules import TakesHalves


def matmul_type(a: Type, b: Type) -> Type:
    """(… M K), (… K N) -> (… M N), with equal batch axes."""
    require_dtype("matmul", a.dtype, NUMBERS)
    if a.dtype != b.dtype:
        raise DtypeError(f"matmul of {a.dtype.name} and {b.dtype.name}", fix="cast one of them")
    if min(len(a.shape), len(b.shape)) < 2 or a.shape[-1] != b.shape[-2]:
        raise ShapeError(
            f"matmul of shapes {list(a.shape)} and {list(b.shape)}",
            fix="the last axis of the first must equal the second-last axis of the second",
        )
    if a.shape[:-2] != b.shape[:-2]:
        raise ShapeError(f"matmul of batches {list(a.shape[:-2])} and {list(b.shape[:-2])}")
    return Type((*a.shape[:-1], b.shape[-1]), a.dtype)


def swapped(x: Node) -> Node:
    """The last two axes exchanged."""
    rank = len(x.shape)
    return apply("transpose", x, axes=(*range(rank - 2), rank - 1, rank - 2))


def batch_matmul(
    b: Any, node: Node, inputs: Sequence[Node], batched: Sequence[bool], size: int
) -> Node:
    """One product of a matrix that all examples share, with their rows below each other."""
    left, right = inputs
    shared = len(node.shape) == 2
    if shared and not batched[1]:
        rows = apply("reshape", left, shape=(size * left.shape[1], left.shape[2]))
        product = apply("matmul", rows, right)
    elif shared and not batched[0] and right.shape[2] == 1:  # a column of each example is a row
        rows = apply("reshape", right, shape=right.shape[:2])
        product = apply("matmul", rows, swapped(left))
    else:
        return apply("matmul", *in_front(b, inputs, batched, size))
    return apply("reshape", product, shape=(size, *node.shape))


def sample_matmul(rng: np.random.Generator) -> Sequence[Case]:
    """Plain, batched, one-element and empty products."""
    shapes = (
        ((3, 4), (4, 5)),
        ((2, 3, 4), (2, 4, 2)),
        ((1, 1), (1, 1)),
        ((3, 0), (0, 2)),
        ((1, 7), (7, 3)),
        ((5, 7), (7, 1)),
    )
    return [Case((rng.uniform(-1, 1, a), rng.uniform(-1, 1, b))) for a, b in shapes]


def numpy_matmul(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """NumPy's matmul, silent about NaN and infinity."""
    with np.errstate(all="ignore"):
        return np.asarray(np.matmul(a, b))


register(
    (
        Op(
            "matmul",
            type=matmul_type,
            numpy=numpy_matmul,
            derivative=Multilinear(
                (
                    lambda g, node: apply("matmul", g, swapped(node.inputs[1])),
                    lambda g, node: apply("matmul", swapped(node.inputs[0]), g),
                )
            ),
            lowering=Kernel("matmul"),
            batch=BatchRule(batch_matmul),
            xla=TakesHalves(xla_rules.matmul),
            formula="{0} @ {1}",
            sample=sample_matmul,
            dtypes=NUMBERS,
            precedence=5,
            flops=2,  # for each element of the output and each of K
            gate="multiply swaps: each input gets the gradient times the other, transposed",
        ),
    ),
    "contract",
)
