"""Rows of the table: what layers compute (`kj.nn.functional`), losses in `rows_losses.py`.

Random answers differ by their bits: only what does not depend on them is compared.
"""

from __future__ import annotations

from typing import Any

import kedja as kj
from kedja.nn import functional as F
from tests.oracles.comparison import Row, same


def is_random(s: Any) -> bool:
    """Dropout that drops some."""
    p = s.kwargs.get("p", s.kwargs.get("dropout_p", 0.5))
    return s.kwargs.get("training", True) and p not in (0.0, 1.0)


RANDOM = {"random bits": is_random}


def functional(names: str, **options: Any) -> dict[str, Row]:
    """Rows of functions of the same name and arguments."""
    return {f"nn.functional.{n}": Row(getattr(F, n), **options) for n in names.split()}


def dropout(f: Any) -> Row:
    def ours(x, p=0.5, training=True, inplace=False):
        return f(x, p, training, key=kj.random.key(0))

    return Row(ours, RANDOM)


def in_double(f: Any) -> Row:
    """A softmax whose samples ask for a wider dtype."""
    return Row(lambda x, dim, dtype=None: f(x if dtype is None else kj.astype(x, dtype), dim))


def attention(q, k, v, attn_mask=None, dropout_p=0.0, is_causal=False, enable_gqa=False):
    return F.scaled_dot_product_attention(q, k, v, attn_mask, dropout_p, is_causal, enable_gqa=enable_gqa)


def embedding_bag(weight, places, *, mode, **o):
    return F.embedding_bag(places, weight, mode=mode, **o)


# fmt: off
ROWS = {
    **functional(
        "relu relu6 elu celu selu silu mish gelu glu leaky_relu prelu hardshrink hardsigmoid hardswish "
        "hardtanh logsigmoid softplus softshrink softsign tanhshrink threshold"
    ),
    "nn.functional.rrelu": Row(lambda x, lower=1/8, upper=1/3, training=False: F.rrelu(x, lower, upper, training), {"random bits": lambda s: s.kwargs.get("training", False)}),
    "softmax": in_double(F.softmax),
    "softmax.with_dtype": in_double(F.softmax),
    "log_softmax": in_double(F.log_softmax),
    "log_softmax.with_dtype": in_double(F.log_softmax),
    "nn.functional.softmin": in_double(F.softmin),
    "nn.functional.softmin.with_dtype": in_double(F.softmin),
    **functional("linear bilinear normalize cosine_similarity pairwise_distance"),
    **functional("conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d"),
    **functional("avg_pool1d avg_pool2d avg_pool3d max_pool1d max_pool2d max_pool3d"),
    **functional("adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d"),
    **functional("adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d"),
    **functional("batch_norm instance_norm layer_norm group_norm rms_norm local_response_norm"),
    **functional("unfold pixel_shuffle pixel_unshuffle channel_shuffle upsample_nearest upsample_bilinear"),
    **{f"nn.functional.interpolate.{m}": Row(F.interpolate) for m in "nearest nearest-exact linear bilinear bicubic trilinear area".split()},
    **{f"nn.functional.pad.{m}": Row(F.pad) for m in "constant reflect replicate replicate_negative circular".split()},
    "nn.functional.embedding": Row(lambda weight, places, **o: F.embedding(places, weight, **o)),
    "nn.functional.embedding_bag": Row(embedding_bag),
    "nn.functional.scaled_dot_product_attention": Row(attention, RANDOM),
    "nn.functional.dropout": dropout(F.dropout),
    "nn.functional.dropout2d": dropout(F.feature_dropout),
    "nn.functional.dropout3d": dropout(F.feature_dropout),
    "nn.functional.alpha_dropout": dropout(F.alpha_dropout),
    "nn.functional.feature_alpha_dropout.with_train": dropout(F.feature_alpha_dropout),
    "nn.functional.feature_alpha_dropout.without_train": dropout(F.feature_alpha_dropout),

    # --------------------------------------------------------------------------- losses
    **functional(
        "mse_loss l1_loss smooth_l1_loss huber_loss poisson_nll_loss gaussian_nll_loss "
        "binary_cross_entropy binary_cross_entropy_with_logits soft_margin_loss "
        "multilabel_soft_margin_loss hinge_embedding_loss multi_margin_loss multilabel_margin_loss "
        "cosine_embedding_loss margin_ranking_loss triplet_margin_loss "
        "triplet_margin_with_distance_loss kl_div cross_entropy nll_loss ctc_loss"
    ),
}
# fmt: on
