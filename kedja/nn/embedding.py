"""Embeddings: a learned vector for each of a number of things, looked up by their numbers.

Not here: positions in a sequence (`positions.py`). Next: `positions.py`.
Dimensions: V things, D numbers for each, B bags, L things in a bag.
"""

from __future__ import annotations

from typing import Any, Self

from kedja.front import functions, random
from kedja.front.arithmetic import call, cast, reshape, where
from kedja.front.tensor import Tensor, as_tensor
from kedja.ground.dtypes import int64, is_integer
from kedja.ground.errors import DtypeError, ShapeError, UsageError
from kedja.ir.graph import locating
from kedja.nn import init as initializers
from kedja.nn.checks import require_positive
from kedja.nn.module import Module

# -------------------------------------------------------------------------------- functions


def embedding(
    indices: Any, weight: Any, padding_idx: int | None = None, scale_grad_by_freq: bool = False
) -> Tensor:
    """y_i = weight[index_i]: the row of each number.

    Shapes: indices (…), whole numbers from 0 to V − 1; `weight` (V, D) → (…, D). The row
    `padding_idx` gets no gradient. With `scale_grad_by_freq` each row's gradient is divided by how
    often it is looked up. Raises DtypeError for indices that are no whole numbers, and UsageError
    for numbers outside where they are known.
    """
    index, weight = _indices("embedding", indices), as_tensor(weight)
    rows: Tensor = call("take", weight, index, axis=0)  # (… D)
    if scale_grad_by_freq:
        ones = functions.ones(index.size, weight.dtype)
        flat = reshape(index, (-1,))
        counts = functions.scatter_add(functions.zeros(weight.shape[0], weight.dtype), flat, ones)
        often = functions.expand_dims(call("take", counts, index, axis=0), -1)
        shared = rows / often
        rows = shared + functions.stop_gradient(rows - shared)
    if padding_idx is None:
        return rows
    place = _row("embedding", padding_idx, weight.shape[0])
    padding = functions.expand_dims(index == place, -1)
    return where(padding, functions.stop_gradient(rows), rows)


def one_hot(indices: Any, num_classes: int = -1) -> Tensor:
    """1 at each number's place along a new last axis, 0 elsewhere: (…) → (…, C), whole numbers.

    C is the largest number and one more, unless `num_classes` is given (as inside `jit` it must).

    >>> one_hot([0, 2]).tolist()
    [[1, 0, 0], [0, 0, 1]]
    """
    index = _indices("one_hot", indices)
    count = int(functions.max(index)) + 1 if num_classes == -1 else num_classes
    return functions.one_hot(index, count, int64)


def embedding_bag(
    indices: Any,
    weight: Any,
    offsets: Any = None,
    mode: str = "mean",
    per_sample_weights: Any = None,
    padding_idx: int | None = None,
) -> Tensor:
    """The sum, mean or largest of the rows in each bag; 0 for an empty bag.

    Shapes: indices (B, L), or all bags one after the other (N,) with `offsets` (B,), the place at
    which each begins; `weight` (V, D) → (B, D). `per_sample_weights`, of the shape of the indices,
    multiply the rows (mode "sum" alone). Rows at `padding_idx` do not count.
    Raises UsageError for another mode, ShapeError where the shapes do not fit.
    """
    index, weight = _indices("embedding_bag", indices), as_tensor(weight)
    with locating():
        _require_bags(index, offsets, mode, per_sample_weights)
    rows = embedding(index, weight)  # (B L D) or (N D)
    counted = functions.ones(index.shape, weight.dtype)
    if padding_idx is not None:
        counted = cast(index != _row("embedding_bag", padding_idx, weight.shape[0]), weight.dtype)
    factor = counted if per_sample_weights is None else counted * as_tensor(per_sample_weights)
    if offsets is None:
        return _pooled(rows, factor, counted, mode)
    return _pooled_flat(rows, factor, counted, as_tensor(offsets), mode)


def _pooled(rows: Tensor, factor: Tensor, counted: Tensor, mode: str) -> Tensor:
    """(B L D) and (B L) → (B D)."""
    if mode == "max":
        return _largest(rows, functions.expand_dims(counted > 0, -1), 1)
    total = functions.sum(rows * functions.expand_dims(factor, -1), 1)
    if mode == "sum":
        return total
    return total / functions.expand_dims(functions.maximum(functions.sum(counted, 1), 1), -1)


def _pooled_flat(
    rows: Tensor, factor: Tensor, counted: Tensor, offsets: Tensor, mode: str
) -> Tensor:
    """(N D), (N) and (B) → (B D)."""
    bags = offsets.shape[0]
    place = reshape(functions.arange(rows.shape[0], dtype=offsets.dtype), (-1, 1))
    begun = functions.sum(cast(place >= offsets, offsets.dtype), 1)  # how many bags have begun
    bag = begun - 1  # (N)
    if mode == "max":
        mine = reshape(bag, (1, -1)) == reshape(functions.arange(bags), (-1, 1))  # (B N)
        inside = functions.expand_dims(functions.logical_and(mine, counted > 0), -1)
        return _largest(functions.expand_dims(rows, 0), inside, 1)
    zeros = functions.zeros((bags, rows.shape[1]), rows.dtype)
    total = functions.scatter_add(zeros, bag, rows * functions.expand_dims(factor, -1))
    if mode == "sum":
        return total
    counts = functions.scatter_add(functions.zeros(bags, rows.dtype), bag, counted)
    return total / functions.expand_dims(functions.maximum(counts, 1), -1)


def _largest(rows: Tensor, inside: Tensor, axis: int) -> Tensor:
    """The largest along an axis of what is inside; 0 where nothing is."""
    kept = where(inside, rows, float("-inf"))
    some = functions.any(inside, axis)
    return where(some, functions.max(kept, axis), 0.0)


def _indices(name: str, indices: Any) -> Tensor:
    index = as_tensor(indices)
    with locating():
        if not is_integer(index.dtype):
            raise DtypeError(
                f"{name} with indices of {index.dtype.name}", fix="whole numbers: astype(kj.int64)"
            )
    return index


def _row(name: str, place: int, rows: int) -> int:
    if not -rows <= place < rows:
        raise UsageError(f"{name} with padding_idx={place}", fix=f"from 0 to {rows - 1}")
    return place % rows


def _require_bags(index: Tensor, offsets: Any, mode: str, weights: Any) -> None:
    if mode not in ("sum", "mean", "max"):
        raise UsageError(f"embedding_bag with mode={mode!r}", fix="'sum', 'mean' or 'max'")
    if index.ndim != (2 if offsets is None else 1):
        raise ShapeError(
            f"embedding_bag of indices {list(index.shape)}",
            fix="bags of equal length (B, L) without offsets, or (N,) with offsets (B,)",
        )
    if weights is None:
        return
    if mode != "sum":
        raise UsageError(f"per_sample_weights with mode={mode!r}", fix="mode='sum' takes them")
    if as_tensor(weights).shape != index.shape:
        raise ShapeError(
            f"per_sample_weights {list(as_tensor(weights).shape)} of {list(index.shape)}",
            fix="one for each index",
        )


# ----------------------------------------------------------------------------------- layers


class Embedding(Module):
    """y_i = weight[index_i]; see `functional.embedding`.

    Shapes: indices (…) → y (…, D); `weight` (V, D), V = `num_embeddings`, D = `embedding_dim`.
    Starts normal with variance 1 (or as `init(key, shape)` draws it), the row `padding_idx` 0: that
    row gets no gradient. `max_norm` is refused, since it would change the weight in a forward pass.
    Raises UsageError for options that do not fit.

    >>> Embedding(10, 3)([[1, 2], [3, 4]]).shape
    (2, 2, 3)
    """

    weight: Tensor
    padding_idx: int | None
    scale_grad_by_freq: bool

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        *,
        key: Tensor | None = None,
        init: initializers.Initializer | None = None,
    ) -> None:
        name = type(self).__name__
        require_positive(name, num_embeddings=num_embeddings, embedding_dim=embedding_dim)
        _require_offered(name, max_norm, sparse)
        key = random.next_key() if key is None else key
        weight = (init or initializers.normal)(key, (num_embeddings, embedding_dim))
        self.weight, self.padding_idx = _padded(name, weight, padding_idx)
        self.scale_grad_by_freq = scale_grad_by_freq

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Any,
        freeze: bool = True,
        padding_idx: int | None = None,
        **options: Any,
    ) -> Self:
        """A layer of given vectors (V, D), frozen unless `freeze` is false."""
        weight = as_tensor(embeddings)
        rows, columns = weight.shape
        made = cls(rows, columns, padding_idx, **options).replace(weight=weight)
        return made.freeze() if freeze else made

    @property
    def num_embeddings(self) -> int:
        """V, how many things there are."""
        return self.weight.shape[0]

    @property
    def embedding_dim(self) -> int:
        """D, how many numbers each has."""
        return self.weight.shape[1]

    def __call__(self, indices: Any) -> Tensor:
        """(…) → (…, D)."""
        return embedding(indices, self.weight, self.padding_idx, self.scale_grad_by_freq)

    def extra_repr(self) -> str:
        """The extents, as PyTorch prints them."""
        return _sizes(self.weight, self.padding_idx)


class EmbeddingBag(Module):
    """The sum, mean or largest of the vectors in each bag; see `functional.embedding_bag`.

    Shapes: indices (B, L), or (N,) with `offsets` (B,) → (B, D); `weight` (V, D), which starts
    normal with variance 1. With `include_last_offset` the offsets are B + 1, the last one N.

    >>> EmbeddingBag(10, 3)([1, 2, 4, 5], offsets=[0, 3]).shape
    (2, 3)
    """

    weight: Tensor
    mode: str
    padding_idx: int | None
    include_last_offset: bool

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
        *,
        key: Tensor | None = None,
    ) -> None:
        name = "EmbeddingBag"
        require_positive(name, num_embeddings=num_embeddings, embedding_dim=embedding_dim)
        _require_offered(name, max_norm, sparse or scale_grad_by_freq)
        key = random.next_key() if key is None else key
        weight = initializers.normal(key, (num_embeddings, embedding_dim))
        self.weight, self.padding_idx = _padded(name, weight, padding_idx)
        self.mode, self.include_last_offset = mode, include_last_offset

    def __call__(self, indices: Any, offsets: Any = None, per_sample_weights: Any = None) -> Tensor:
        """(B, L), or (N,) and (B,) → (B, D)."""
        if offsets is not None and self.include_last_offset:
            offsets = as_tensor(offsets)[:-1]
        return embedding_bag(
            indices, self.weight, offsets, self.mode, per_sample_weights, self.padding_idx
        )

    def extra_repr(self) -> str:
        """The extents, as PyTorch prints them."""
        return f"{_sizes(self.weight, self.padding_idx)}, mode={self.mode!r}"


def _require_offered(name: str, max_norm: float | None, sparse: bool) -> None:
    if max_norm is not None:
        raise UsageError(
            f"{name} with max_norm: a forward pass does not change weights",
            fix="shorten the rows after each update: nn.functional.normalize(weight) · max_norm",
        )
    if sparse:
        raise UsageError(
            f"{name} with sparse gradients, or scaled ones", fix="leave these options out"
        )


def _padded(name: str, weight: Tensor, padding_idx: int | None) -> tuple[Tensor, int | None]:
    """The weight with a row of zeros, and that row's number from the front."""
    if padding_idx is None:
        return weight, None
    place = _row(name, padding_idx, weight.shape[0])
    kept = reshape(functions.arange(weight.shape[0]) != place, (-1, 1))
    padded = weight * cast(kept, weight.dtype)
    padded.numpy()
    return padded, place


def _sizes(weight: Tensor, padding_idx: int | None) -> str:
    rows, columns = weight.shape
    return f"{rows}, {columns}" + ("" if padding_idx is None else f", padding_idx={padding_idx}")
