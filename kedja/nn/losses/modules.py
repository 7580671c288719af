"""Losses as layers, with PyTorch's names, options, defaults and layout: classes on axis 1.

Each is called with outputs and targets and says which function it applies, where formula, shapes
and source stand. Weights are buffers: part of a checkpoint, not learned. Next: `ctc.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kedja.front.tensor import Tensor
from kedja.nn.distance import pairwise_distance
from kedja.nn.losses import binary, classes, margins, pairs, regression
from kedja.nn.losses.reduction import IGNORED
from kedja.nn.module import Buffer, Module


class MSELoss(Module):
    """The mean squared error; see `nn.mse_loss`.

    >>> MSELoss()([1.0, 2.0], [1.0, 4.0]).item()
    2.0
    """

    reduction: str = "mean"

    def __call__(self, outputs: Any, targets: Any) -> Tensor:
        """Two arrays (…) → a scalar, or (…)."""
        return regression.mse_loss(outputs, targets, self.reduction)


class L1Loss(Module):
    """The mean absolute error; see `nn.l1_loss`."""

    reduction: str = "mean"

    def __call__(self, outputs: Any, targets: Any) -> Tensor:
        """Two arrays (…) → a scalar, or (…)."""
        return regression.l1_loss(outputs, targets, self.reduction)


class SmoothL1Loss(Module):
    """Squares near 0, absolute values far out; see `nn.smooth_l1_loss`."""

    reduction: str = "mean"
    beta: float = 1.0

    def __call__(self, outputs: Any, targets: Any) -> Tensor:
        """Two arrays (…) → a scalar, or (…)."""
        return regression.smooth_l1_loss(outputs, targets, self.reduction, self.beta)


class HuberLoss(Module):
    """Squares near 0, lines far out; see `nn.huber_loss`."""

    reduction: str = "mean"
    delta: float = 1.0

    def __call__(self, outputs: Any, targets: Any) -> Tensor:
        """Two arrays (…) → a scalar, or (…)."""
        return regression.huber_loss(outputs, targets, self.reduction, self.delta)


class PoissonNLLLoss(Module):
    """The likelihood of counts; see `nn.poisson_nll_loss`."""

    log_input: bool = True
    full: bool = False
    eps: float = 1e-8
    reduction: str = "mean"

    def __call__(self, outputs: Any, targets: Any) -> Tensor:
        """Two arrays (…) → a scalar, or (…)."""
        return regression.poisson_nll_loss(
            outputs, targets, self.log_input, self.full, self.eps, self.reduction
        )


class GaussianNLLLoss(Module):
    """The likelihood of normal errors; see `nn.gaussian_nll_loss`."""

    full: bool = False
    eps: float = 1e-6
    reduction: str = "mean"

    def __call__(self, outputs: Any, targets: Any, var: Any) -> Tensor:
        """Outputs and targets (…), variances that broadcast → a scalar, or (…)."""
        return regression.gaussian_nll_loss(
            outputs, targets, var, self.full, self.eps, self.reduction
        )


# --------------------------------------------------------------------------------- classes


class CrossEntropyLoss(Module):
    """−log softmax(z)[label]; see `nn.cross_entropy`.

    Shapes: logits (C,), (N, C) or (N, C, d₁ …), labels without the C; or probabilities of the
    logits' shape. `axis=-1` takes logits (…, C), as `nn.cross_entropy` does.

    >>> CrossEntropyLoss()([[0.0, 0.0]], [1]).item()
    0.6931471824645996
    """

    weight: Buffer | None = None
    ignore_index: int | None = IGNORED
    reduction: str = "mean"
    label_smoothing: float = 0.0
    axis: int = 1

    def __call__(self, logits: Any, labels: Any) -> Tensor:
        """Logits (N, C, …) and labels (N, …) → a scalar, or (N, …)."""
        return classes.cross_entropy(
            logits,
            labels,
            self.reduction,
            weight=self.weight,
            ignore_index=self.ignore_index,
            label_smoothing=self.label_smoothing,
            axis=self.axis,
        )


class NLLLoss(Module):
    """−p[label] of log-probabilities; see `nn.nll_loss`. Shapes as `CrossEntropyLoss`."""

    weight: Buffer | None = None
    ignore_index: int | None = IGNORED
    reduction: str = "mean"
    axis: int = 1

    def __call__(self, log_probabilities: Any, labels: Any) -> Tensor:
        """Log-probabilities (N, C, …) and labels (N, …) → a scalar, or (N, …)."""
        return classes.nll_loss(
            log_probabilities,
            labels,
            self.reduction,
            weight=self.weight,
            ignore_index=self.ignore_index,
            axis=self.axis,
        )


class KLDivLoss(Module):
    """The divergence of distributions; see `nn.kl_div`."""

    reduction: str = "mean"
    log_target: bool = False

    def __call__(self, log_probabilities: Any, targets: Any) -> Tensor:
        """Two arrays (…) → a scalar, or (…)."""
        return classes.kl_div(log_probabilities, targets, self.reduction, self.log_target)


# ------------------------------------------------------------------------------ yes and no


class BCELoss(Module):
    """Binary cross-entropy of probabilities; see `nn.binary_cross_entropy`."""

    weight: Buffer | None = None
    reduction: str = "mean"

    def __call__(self, probabilities: Any, targets: Any) -> Tensor:
        """Two arrays (…) → a scalar, or (…)."""
        return binary.binary_cross_entropy(
            probabilities, targets, self.reduction, weight=self.weight
        )


class BCEWithLogitsLoss(Module):
    """Binary cross-entropy of logits; see `nn.binary_cross_entropy_with_logits`."""

    weight: Buffer | None = None
    reduction: str = "mean"
    pos_weight: Buffer | None = None

    def __call__(self, logits: Any, targets: Any) -> Tensor:
        """Two arrays (…) → a scalar, or (…)."""
        return binary.binary_cross_entropy_with_logits(
            logits, targets, self.reduction, weight=self.weight, pos_weight=self.pos_weight
        )


class SoftMarginLoss(Module):
    """log(1 + e^(−y·z)); see `nn.soft_margin_loss`."""

    reduction: str = "mean"

    def __call__(self, outputs: Any, targets: Any) -> Tensor:
        """Two arrays (…) → a scalar, or (…)."""
        return binary.soft_margin_loss(outputs, targets, self.reduction)


class MultiLabelSoftMarginLoss(Module):
    """Several questions side by side; see `nn.multilabel_soft_margin_loss`."""

    weight: Buffer | None = None
    reduction: str = "mean"

    def __call__(self, outputs: Any, targets: Any) -> Tensor:
        """Two arrays (…, C) → a scalar, or (…)."""
        return binary.multilabel_soft_margin_loss(
            outputs, targets, self.reduction, weight=self.weight
        )


# --------------------------------------------------------------------------------- margins


class HingeLoss(Module):
    """The loss of support vector machines; see `nn.hinge_loss`. PyTorch has no such layer."""

    margin: float = 1.0
    squared: bool = False
    reduction: str = "mean"

    def __call__(self, outputs: Any, targets: Any) -> Tensor:
        """Two arrays (…) → a scalar, or (…)."""
        return margins.hinge_loss(
            outputs, targets, self.reduction, margin=self.margin, squared=self.squared
        )


class HingeEmbeddingLoss(Module):
    """Distances of like and unlike things; see `nn.hinge_embedding_loss`."""

    margin: float = 1.0
    reduction: str = "mean"

    def __call__(self, outputs: Any, targets: Any) -> Tensor:
        """Two arrays (…) → a scalar, or (…)."""
        return margins.hinge_embedding_loss(outputs, targets, self.margin, self.reduction)


class MultiMarginLoss(Module):
    """The hinge loss of several classes; see `nn.multi_margin_loss`."""

    p: int = 1
    margin: float = 1.0
    weight: Buffer | None = None
    reduction: str = "mean"

    def __call__(self, outputs: Any, labels: Any) -> Tensor:
        """Outputs (…, C) and labels (…) → a scalar, or (…)."""
        return margins.multi_margin_loss(
            outputs, labels, self.p, self.margin, self.weight, self.reduction
        )


class MultiLabelMarginLoss(Module):
    """The hinge loss of several right classes; see `nn.multilabel_margin_loss`."""

    reduction: str = "mean"

    def __call__(self, outputs: Any, labels: Any) -> Tensor:
        """Two arrays (…, C) → a scalar, or (…)."""
        return margins.multilabel_margin_loss(outputs, labels, self.reduction)


# ----------------------------------------------------------------------------------- pairs


class CosineEmbeddingLoss(Module):
    """Angles of like and unlike vectors; see `nn.cosine_embedding_loss`."""

    margin: float = 0.0
    reduction: str = "mean"

    def __call__(self, x1: Any, x2: Any, targets: Any) -> Tensor:
        """Vectors (…, D) twice and targets (…) → a scalar, or (…)."""
        return pairs.cosine_embedding_loss(x1, x2, targets, self.margin, self.reduction)


class MarginRankingLoss(Module):
    """Which of two numbers is larger; see `nn.margin_ranking_loss`."""

    margin: float = 0.0
    reduction: str = "mean"

    def __call__(self, x1: Any, x2: Any, targets: Any) -> Tensor:
        """Three arrays (…) → a scalar, or (…)."""
        return pairs.margin_ranking_loss(x1, x2, targets, self.margin, self.reduction)


class TripletMarginLoss(Module):
    """An anchor is nearer to its like than to another; see `nn.triplet_margin_loss`."""

    margin: float = 1.0
    p: float = 2.0
    eps: float = 1e-6
    swap: bool = False
    reduction: str = "mean"

    def __call__(self, anchor: Any, positive: Any, negative: Any) -> Tensor:
        """Three arrays (…, D) → a scalar, or (…)."""
        return pairs.triplet_margin_loss(
            anchor, positive, negative, self.margin, self.p, self.eps, self.swap, self.reduction
        )


class TripletMarginWithDistanceLoss(Module):
    """The same with any distance; see `nn.triplet_margin_with_distance_loss`."""

    distance_function: Callable[..., Tensor] = pairwise_distance
    margin: float = 1.0
    swap: bool = False
    reduction: str = "mean"

    def __call__(self, anchor: Any, positive: Any, negative: Any) -> Tensor:
        """Three arrays (…, D) → a scalar, or (…)."""
        return pairs.triplet_margin_with_distance_loss(
            anchor,
            positive,
            negative,
            distance_function=self.distance_function,
            margin=self.margin,
            swap=self.swap,
            reduction=self.reduction,
        )


class InfoNCELoss(Module):
    """The right key among all; see `nn.info_nce`. A `temperature` that is a tensor is learned."""

    temperature: Any = 0.1
    symmetric: bool = False
    normalized: bool = True
    reduction: str = "mean"

    def __call__(self, queries: Any, keys: Any, negatives: Any = None) -> Tensor:
        """Queries and keys (N, D) → a scalar, or (N,)."""
        return pairs.info_nce(
            queries,
            keys,
            self.temperature,
            self.reduction,
            negatives=negatives,
            symmetric=self.symmetric,
            normalized=self.normalized,
        )
