"""Losses of how alike vectors are: pairs, triplets, contrasts. Next: `modules.py`.

Letters: q queries, k keys, τ temperature. Dimensions: N examples, D features, M negatives.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kedja.front import functions
from kedja.front.arithmetic import where
from kedja.front.tensor import Tensor, as_tensor
from kedja.ground.errors import ShapeError, UsageError
from kedja.ir.graph import locating
from kedja.nn.distance import normalize, pairwise_distance
from kedja.nn.losses.binary import require_signs
from kedja.nn.losses.reduction import reduced, wide

_SMALL = 1e-12  # is added to squared lengths, as in PyTorch


def _together(name: str, *given: Any) -> list[Tensor]:
    """Vectors as floats of shapes that broadcast."""
    tensors = [wide(each) for each in given]
    with locating():
        return list(functions.broadcast_arrays(*tensors))


def cosine_embedding_loss(
    x1: Any, x2: Any, targets: Any, margin: float = 0.0, reduction: str = "mean"
) -> Tensor:
    """1 − cos(x1, x2) where y is 1, max(0, cos(x1, x2) − margin) where it is −1.

    Shapes: x1, x2 (…, D), targets (…). Raises DataError for given targets other than −1 and 1.

    >>> cosine_embedding_loss([[1.0, 0.0]], [[2.0, 0.0]], [-1], margin=0.25).item()
    0.75
    """
    require_signs("cosine_embedding_loss", targets)
    a, b = _together("cosine_embedding_loss", x1, x2)
    y = as_tensor(targets)
    _require_one_each("cosine_embedding_loss", a, y)
    lengths = [functions.sum(each * each, axis=-1) + _SMALL for each in (a, b)]
    cosine = functions.sum(a * b, axis=-1) / functions.sqrt(lengths[0] * lengths[1])
    near = where(y == 1, 1 - cosine, 0.0)
    far = where(y == -1, functions.relu(cosine - margin), 0.0)
    return reduced(near + far, reduction)


def _require_one_each(name: str, x: Tensor, y: Tensor) -> None:
    with locating():
        if x.shape[:-1] != y.shape or not x.shape:
            raise ShapeError(
                f"{name} of vectors {list(x.shape)} and targets {list(y.shape)}",
                fix="one target for each pair of vectors",
            )


def margin_ranking_loss(
    x1: Any, x2: Any, targets: Any, margin: float = 0.0, reduction: str = "mean"
) -> Tensor:
    """max(0, −y (x1 − x2) + margin): where y is 1, x1 should be larger, where it is −1, x2.

    Shapes: all (…), or such that they broadcast.

    >>> margin_ranking_loss([1.0, 1.0], [2.0, 2.0], [1, -1], reduction="none").tolist()
    [1.0, 0.0]
    """
    a, b, y = _together("margin_ranking_loss", x1, x2, targets)
    return reduced(functions.relu(margin - y * (a - b)), reduction)


def triplet_margin_loss(
    anchor: Any,
    positive: Any,
    negative: Any,
    margin: float = 1.0,
    p: float = 2.0,
    eps: float = 1e-6,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """max(0, |a − p| − |a − n| + margin): an anchor lies nearer to its like than to another.

    The distance is the `p`-norm of the difference plus `eps`. With `swap`, |p − n| stands for
    |a − n| where it is smaller. Shapes: all (…, D), or such that they broadcast.
    Sources: F. Schroff et al.: FaceNet (2015); swap: V. Balntas et al.: Learning local feature
    descriptors with triplets and shallow convolutional neural networks (2016).

    >>> triplet_margin_loss([[0.0, 0.0]], [[3.0, 4.0]], [[0.0, 5.0]], eps=0.0).item()
    1.0
    """

    def distance(one: Tensor, other: Tensor) -> Tensor:
        return pairwise_distance(one, other, p, eps)

    return triplet_margin_with_distance_loss(
        anchor,
        positive,
        negative,
        distance_function=distance,
        margin=margin,
        swap=swap,
        reduction=reduction,
    )


def triplet_margin_with_distance_loss(
    anchor: Any,
    positive: Any,
    negative: Any,
    *,
    distance_function: Callable[[Tensor, Tensor], Tensor] = pairwise_distance,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """As `triplet_margin_loss`, with any distance of two arrays (…, D) → (…)."""
    if not margin > 0:
        raise UsageError(f"a triplet loss with margin={margin!r}", fix="a number above 0")
    a, near, far = _together("triplet_margin_loss", anchor, positive, negative)
    beyond = distance_function(a, far)
    if swap:
        beyond = functions.minimum(beyond, distance_function(near, far))
    return reduced(functions.relu(distance_function(a, near) - beyond + margin), reduction)


def info_nce(
    queries: Any,
    keys: Any,
    temperature: Any = 0.1,
    reduction: str = "mean",
    *,
    negatives: Any = None,
    symmetric: bool = False,
    normalized: bool = True,
) -> Tensor:
    """−log of the share that the right key has: softmax over all keys of q·k/τ.

    Shapes: queries and keys (N, D); key i belongs to query i, the other N − 1 are its negatives.
    With `negatives` (M, D) these are the negatives of every query, and no other key is. With
    `symmetric`, keys look for their queries too and the mean of both losses is taken, as CLIP does.
    Vectors are scaled to length 1 unless `normalized` is False. `temperature` may be a tensor that
    is learned. Raises ShapeError where the shapes do not fit.
    Sources: A. van den Oord et al.: Representation learning with contrastive predictive coding
    (2018); A. Radford et al.: Learning transferable visual models from natural language
    supervision (2021).

    >>> corners = [[1.0, 0.0], [0.0, 1.0]]
    >>> round(info_nce(corners, corners, temperature=1.0).item(), 5)
    0.31326
    """
    q, k = wide(queries), wide(keys)
    others = None if negatives is None else wide(negatives)
    _require_rows(q, k, others, symmetric)
    if normalized:
        q, k = normalize(q), normalize(k)
        others = None if others is None else normalize(others)
    if others is not None:
        right = functions.sum(q * k, axis=-1, keepdims=True)  # (N, 1)
        scores = functions.concat([right, q @ others.mT], axis=1) / temperature  # (N, 1 + M)
        return reduced(functions.logsumexp(scores, -1) - scores[:, 0], reduction)
    scores = (q @ k.mT) / temperature  # (N, N)
    place = functions.arange(q.shape[0])
    each = functions.cross_entropy_each(scores, place)
    if symmetric:
        each = (each + functions.cross_entropy_each(scores.mT, place)) / 2
    return reduced(each, reduction)


def _require_rows(q: Tensor, k: Tensor, others: Tensor | None, symmetric: bool) -> None:
    with locating():
        if q.ndim != 2 or q.shape != k.shape:
            raise ShapeError(
                f"info_nce of queries {list(q.shape)} and keys {list(k.shape)}",
                fix="both (N, D), row i of one belonging to row i of the other",
            )
        if others is not None and (others.ndim != 2 or others.shape[1] != q.shape[1]):
            raise ShapeError(
                f"info_nce of queries {list(q.shape)} and negatives {list(others.shape)}",
                fix="negatives (M, D), with as many features as the queries",
            )
        if others is not None and symmetric:
            raise UsageError(
                "info_nce with negatives of its own, symmetric",
                fix="negatives are for queries alone: leave one of both out",
            )
