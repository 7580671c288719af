"""How alike or far apart vectors are; lengths made one. Next: `losses`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from kedja.front import functions
from kedja.front.arithmetic import cast, reshape, where
from kedja.front.tensor import Tensor
from kedja.ground.errors import ShapeError
from kedja.ir.graph import locating
from kedja.nn.activation_functions import floating
from kedja.nn.module import Module


def length(x: Tensor, p: float, dim: int, keepdims: bool = False) -> Tensor:
    """(Σ |x|^p)^(1/p) along an axis; the largest |x| for p = ∞, how many are not 0 for p = 0.

    Its slope at 0 is 0.
    """
    size = abs(x)
    if p == 0:
        return functions.sum(cast(x != 0, x.dtype), dim, keepdims)
    if p == math.inf:
        return functions.max(size, dim, keepdims)
    if p == 1:
        return functions.sum(size, dim, keepdims)
    powers = x * x if p == 2 else where(size > 0, size, 1.0) ** p * (size > 0)
    total = functions.sum(powers, dim, keepdims)
    some = where(total > 0, total, 1.0)  # a root has no slope at 0
    root = functions.sqrt(some) if p == 2 else some ** (1 / p)
    return where(total > 0, root, 0.0 * total)


def normalize(x: Any, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Tensor:
    """y = x/max(‖x‖_p, eps) along an axis: the same direction, of length one.

    >>> normalize([[3.0, 4.0]])
    Tensor([[0.6, 0.8]], float32)
    """
    vector = _with_axis(floating(x))
    y = vector / functions.maximum(length(vector, p, dim, keepdims=True), eps)
    return y if floating(x).ndim else reshape(y, ())


def _with_axis(x: Tensor) -> Tensor:
    """A number without axes as a vector of one."""
    return x if x.ndim else reshape(x, (1,))


def cosine_similarity(x1: Any, x2: Any, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """y = Σ x1·x2/(max(‖x1‖, eps)·max(‖x2‖, eps)) along an axis, in −1 … 1.

    Shapes: x1, x2 that broadcast → theirs without the axis.
    """
    a, b = functions.broadcast_arrays(*(_with_axis(floating(each)) for each in (x1, x2)))
    units = (each / functions.maximum(length(each, 2, dim, True), eps) for each in (a, b))
    return functions.sum(functions.multiply(*units), dim)


def pairwise_distance(
    x1: Any, x2: Any, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False
) -> Tensor:
    """y = ‖x1 − x2 + eps‖_p along the last axis.

    Shapes: x1, x2 (…, D) that broadcast → (…). `eps` keeps the slope finite, as in PyTorch.
    """
    apart = floating(x1) - floating(x2) + eps
    return length(apart, p, -1, keepdim)


def pdist(x: Any, p: float = 2.0) -> Tensor:
    """‖x_i − x_j‖_p of all pairs of rows i < j, one after the other: (N, D) → (N·(N − 1)/2,).

    >>> pdist([[0.0, 0.0], [3.0, 4.0], [0.0, 4.0]]).tolist()
    [5.0, 4.0, 3.0]
    """
    x = floating(x)
    with locating():
        if x.ndim != 2:
            raise ShapeError(f"pdist of shape {list(x.shape)}", fix="rows of numbers: (N, D)")
    first, second = np.triu_indices(x.shape[0], 1)
    return length(functions.take(x, first, axis=0) - functions.take(x, second, axis=0), p, -1)


class CosineSimilarity(Module):
    """The cosine of the angle between two vectors; see `functional.cosine_similarity`.

    Shapes: x1, x2 (…, D, …) → (…), D along `dim`.

    >>> CosineSimilarity(dim=0)([1.0, 0.0], [1.0, 0.0]).item()
    1.0
    """

    dim: int = 1
    eps: float = 1e-8

    def __call__(self, x1: Any, x2: Any) -> Tensor:
        """Two arrays that broadcast → one without the axis."""
        return cosine_similarity(x1, x2, self.dim, self.eps)


class PairwiseDistance(Module):
    """How far two vectors are apart, in the p-norm; see `functional.pairwise_distance`.

    Shapes: x1, x2 (…, D) → (…).
    """

    p: float = 2.0
    eps: float = 1e-6
    keepdim: bool = False

    def __call__(self, x1: Any, x2: Any) -> Tensor:
        """Two arrays that broadcast → one without the last axis."""
        return pairwise_distance(x1, x2, self.p, self.eps, self.keepdim)
