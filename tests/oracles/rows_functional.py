"""Rows of the table: what layers compute, `kj.nn.functional`.

Random answers differ by their bits: what does not depend on them is compared. Next:
`rows_losses.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import kedja as kj
from kedja.nn import functional as F  # noqa: N812  as its users write it
from tests.oracles.comparison import Row, same


def functional(names: str, *options: Any, **others: Any) -> dict[str, Row]:
    """Rows of functions of the same name and arguments."""
    rows = same(F, names, *options, **others)
    return {f"nn.functional.{name}": row for name, row in rows.items()}


# ----------------------------------------------------------------------------- activations


def softmax(f: Any) -> Row:
    """A softmax whose samples may ask for a wider dtype."""
    return Row(lambda x, dim, dtype=None: f(x if dtype is None else kj.astype(x, dtype), dim))


def rrelu(x, lower=1 / 8, upper=1 / 3, training=False):
    return F.rrelu(x, lower, upper, training)


ACTIVATIONS = {
    **functional(
        "relu relu6 elu celu selu silu mish gelu glu leaky_relu prelu hardshrink hardsigmoid "
        "hardswish hardtanh logsigmoid softplus softshrink softsign tanhshrink threshold"
    ),
    "nn.functional.rrelu": Row(rrelu, {"random bits": lambda s: s.kwargs.get("training", False)}),
    "softmax": softmax(F.softmax),
    "softmax.with_dtype": softmax(F.softmax),
    "log_softmax": softmax(F.log_softmax),
    "log_softmax.with_dtype": softmax(F.log_softmax),
    "nn.functional.softmin": softmax(F.softmin),
    "nn.functional.softmin.with_dtype": softmax(F.softmin),
}

# ------------------------------------------------------------------- layers without weights


def is_random(s: Any) -> bool:
    """Dropout that drops some, not none or all."""
    p = s.kwargs.get("p", s.kwargs.get("dropout_p", 0.5))
    return s.kwargs.get("training", True) and p not in (0.0, 1.0)


RANDOM = {"random bits": is_random}


def dropout(f: Any) -> Row:
    def ours(x, p=0.5, training=True, inplace=False):
        return f(x, p, training, key=kj.random.key(0))

    return Row(ours, RANDOM)


def negative_divisor(s: Any) -> bool:
    return -2 in (*s.args, s.kwargs.get("divisor_override"))


def unpool(f: Any) -> Callable[..., Any]:
    """PyTorch takes the output's whole shape too."""
    return lambda x, places, output_size, **o: f(x, places, output_size=output_size[2:], **o)


TWICE = "of maxima at one place the last one stays; PyTorch gives a gradient to all of them"
UNPOOLINGS = {f"max_unpool{n}d": unpool(getattr(F, f"max_unpool{n}d")) for n in (1, 2, 3)}
MODES = "nearest nearest-exact linear bilinear bicubic trilinear area"
PADDINGS = "constant reflect replicate replicate_negative circular"
NO_DIVISOR = {"a negative divisor": negative_divisor}

SHAPES = {
    **functional("avg_pool1d"),
    **functional("avg_pool2d avg_pool3d", NO_DIVISOR),
    **functional("max_pool1d max_pool2d max_pool3d"),
    **functional("adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d"),
    **functional("adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d"),
    **{
        f"nn.functional.{name}": Row(f, gradients=False, why=TWICE)
        for name, f in UNPOOLINGS.items()
    },
    **{f"nn.functional.{name}.grad": Row(f) for name, f in UNPOOLINGS.items()},
    **functional("unfold pixel_shuffle pixel_unshuffle channel_shuffle"),
    **functional("upsample_nearest upsample_bilinear"),
    **{f"nn.functional.interpolate.{mode}": Row(F.interpolate) for mode in MODES.split()},
    **{f"nn.functional.pad.{mode}": Row(F.pad) for mode in PADDINGS.split()},
    "constant_pad_nd": Row(lambda x, pad, value=0: F.pad(x, pad, value=value)),
    "nn.functional.dropout": dropout(F.dropout),
    "nn.functional.dropout2d": dropout(F.feature_dropout),
    "nn.functional.dropout3d": dropout(F.feature_dropout),
    "nn.functional.alpha_dropout": dropout(F.alpha_dropout),
    "nn.functional.feature_alpha_dropout.with_train": dropout(F.feature_alpha_dropout),
    "nn.functional.feature_alpha_dropout.without_train": dropout(F.feature_alpha_dropout),
}

# ---------------------------------------------------------------------- layers with weights


def attention(q, k, v, attn_mask=None, dropout_p=0.0, is_causal=False, enable_gqa=False):
    return F.scaled_dot_product_attention(
        q, k, v, attn_mask, dropout_p, is_causal, enable_gqa=enable_gqa
    )


def embedding(weight, places, *, max_norm=None, norm_type=2.0, sparse=False, **options):
    return F.embedding(places, weight, **options)


def embedding_bag(weight, places, **options):
    return F.embedding_bag(places, weight, **options)


CANCELS = "gradients that cancel: PyTorch's own float32 is as far from its float64 as ours"
LAYERS = {
    **functional("linear bilinear normalize cosine_similarity pairwise_distance pdist"),
    **functional("conv1d conv2d conv3d conv_transpose1d conv_transpose2d"),
    **functional("conv_transpose3d", double=True, why=CANCELS),
    **functional("batch_norm", {"an array with one axis": lambda s: s.input.ndim < 2}),
    **functional("instance_norm group_norm rms_norm local_response_norm"),
    **functional("layer_norm", double=True, why=CANCELS),
    "nn.functional.embedding": Row(embedding),
    "nn.functional.embedding_bag": Row(
        embedding_bag, {"include_last_offset": lambda s: s.kwargs.get("include_last_offset")}
    ),
    "nn.functional.scaled_dot_product_attention": Row(attention, RANDOM, double=True, why=CANCELS),
}
ROWS = {**ACTIVATIONS, **SHAPES, **LAYERS}
