"""What layers compute, as functions of tensors: `nn.functional.relu`, `.layer_norm` and so on.

An index: the functions stand beside the layers that use them, with formula, shapes and source.
Names and arguments are those of `torch.nn.functional`. Next: `activation_functions.py`.
"""

from __future__ import annotations

from kedja.nn.activation_functions import (
    celu,
    elu,
    floating,
    gelu,
    glu,
    gumbel_softmax,
    hardshrink,
    hardsigmoid,
    hardswish,
    hardtanh,
    identity,
    leaky_relu,
    log_softmax,
    logsigmoid,
    maxout,
    mish,
    prelu,
    relu,
    relu6,
    rrelu,
    selu,
    sigmoid,
    silu,
    softmax,
    softmin,
    softplus,
    softshrink,
    softsign,
    tanh,
    tanhshrink,
    threshold,
)
from kedja.nn.attention import scaled_dot_product_attention
from kedja.nn.batch_norm import batch_norm, instance_norm
from kedja.nn.distance import cosine_similarity, normalize, pairwise_distance
from kedja.nn.dropout import alpha_dropout, dropout, feature_alpha_dropout, feature_dropout
from kedja.nn.embedding import embedding, embedding_bag
from kedja.nn.linear import bilinear, linear
from kedja.nn.norm import group_norm, layer_norm, local_response_norm, rms_norm
from kedja.nn.positions import rotary, sinusoidal

__all__ = [
    "alpha_dropout",
    "batch_norm",
    "bilinear",
    "celu",
    "cosine_similarity",
    "dropout",
    "elu",
    "embedding",
    "embedding_bag",
    "feature_alpha_dropout",
    "feature_dropout",
    "floating",
    "gelu",
    "glu",
    "group_norm",
    "gumbel_softmax",
    "hardshrink",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "identity",
    "instance_norm",
    "layer_norm",
    "leaky_relu",
    "linear",
    "local_response_norm",
    "log_softmax",
    "logsigmoid",
    "maxout",
    "mish",
    "normalize",
    "pairwise_distance",
    "prelu",
    "relu",
    "relu6",
    "rms_norm",
    "rotary",
    "rrelu",
    "scaled_dot_product_attention",
    "selu",
    "sigmoid",
    "silu",
    "sinusoidal",
    "softmax",
    "softmin",
    "softplus",
    "softshrink",
    "softsign",
    "tanh",
    "tanhshrink",
    "threshold",
]
