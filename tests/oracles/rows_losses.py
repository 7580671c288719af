"""Rows of the table: losses.

Next: `offered.py`.
"""

from __future__ import annotations

from typing import Any

from kedja.nn import functional as F  # noqa: N812  as its users write it
from tests.oracles.comparison import Row, torch
from tests.oracles.rows_functional import functional


def broadcasts(s: Any) -> bool:
    """Nothing is broadcast in losses: it hides mistakes."""
    return any(x.shape != s.input.shape for x in s.args[:1])


def one_label(s: Any) -> bool:
    """A scalar for one class, or labels with an axis of 1 for one example."""
    x, y = s.input, s.args[0]
    return x.ndim == 0 or (x.ndim == 1 and y.ndim == 1 and y.shape != x.shape)


def with_distance(anchor, positive, negative, distance_function, **options):
    return F.triplet_margin_with_distance_loss(anchor, positive, negative, **options)


def ctc(f: Any, log_softmax: Any) -> Any:
    """Of logits: PyTorch's gradient is right behind a log_softmax only, so says its reference."""
    return lambda x, *rest, **options: f(log_softmax(x, -1), *rest, **options)


ROWS = {
    **functional(
        "mse_loss l1_loss smooth_l1_loss huber_loss poisson_nll_loss binary_cross_entropy "
        "binary_cross_entropy_with_logits soft_margin_loss multilabel_soft_margin_loss "
        "hinge_embedding_loss cosine_embedding_loss margin_ranking_loss triplet_margin_loss "
        "kl_div cross_entropy nll_loss"
    ),
    **functional("gaussian_nll_loss", {"targets that are broadcast": broadcasts}),
    **functional("multi_margin_loss multilabel_margin_loss", {"labels of a scalar": one_label}),
    "nn.functional.triplet_margin_with_distance_loss": Row(with_distance),
    "nn.functional.ctc_loss": Row(
        ctc(F.ctc_loss, F.log_softmax),
        theirs=ctc(torch.nn.functional.ctc_loss, torch.log_softmax),
        double=True,
        why="sums of hundreds of small probabilities",
    ),
}
