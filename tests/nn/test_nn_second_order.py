"""Every layer and loss: gradients to second order against finite differences, in float64.

The table names them all; a test fails when a new one has no row. Layers run as in training where
they have no randomness.
"""

from __future__ import annotations

import inspect

import numpy as np
import pytest

import kedja as kj
from kedja import nn
from kedja.autodiff.check import check
from kedja.front.tensor import from_node

RNG = np.random.default_rng(5)
STEP, BOUND = 1e-4, 2e-6


def x(*shape):
    """Numbers that no kink is near: apart from each other, and from whole numbers and halves."""
    count = int(np.prod(shape))
    places = RNG.permutation(count) + 0.3
    return (places / count * 3.9137 - 1.9431).reshape(shape)


def positive(*shape):
    return np.abs(x(*shape)) + 0.2


def labels(count, *shape):
    return RNG.integers(0, count, shape)


def signs(*shape):
    return RNG.choice([-1.0, 1.0], shape)


SEQUENCE, PICTURE = x(2, 3, 9), x(2, 3, 6, 6)
SPACE = x(1, 2, 4, 4, 4)
A, B = x(4, 5), x(4, 5)[::-1].copy()
INDICES = labels(7, 3, 4)

LAYERS = {  # layer, inputs
    **{
        name: (getattr(nn, name), (x(3, 4),))
        for name in (
            *("CELU", "ELU", "GELU", "GLU", "Hardshrink", "Hardsigmoid", "Hardswish", "Hardtanh"),
            *("LeakyReLU", "LogSigmoid", "LogSoftmax", "Mish", "PReLU", "ReLU", "ReLU6"),
            *("SELU", "SiLU", "Sigmoid", "Softmax", "Softmin", "Softplus", "Softshrink"),
            *("Softsign", "Tanh", "Tanhshrink", "Identity", "Flatten"),
        )
    },
    "Softmax2d": (nn.Softmax2d, (PICTURE,)),
    "Threshold": (lambda: nn.Threshold(0.1, 20.0), (x(3, 4),)),
    "Linear": (lambda: nn.Linear(4, 3), (x(2, 4),)),
    "Bilinear": (lambda: nn.Bilinear(3, 4, 2), (x(2, 3), x(2, 4))),
    "Maxout": (lambda: nn.Maxout(4, 3, 2), (x(2, 4),)),
    "Conv1d": (lambda: nn.Conv1d(3, 4, 3, padding=1, stride=2), (SEQUENCE,)),
    "Conv2d": (lambda: nn.Conv2d(3, 6, 3, groups=3, dilation=2), (PICTURE,)),
    "Conv3d": (lambda: nn.Conv3d(2, 2, 2), (SPACE,)),
    "ConvTranspose1d": (lambda: nn.ConvTranspose1d(3, 2, 3, stride=2), (SEQUENCE,)),
    "ConvTranspose2d": (lambda: nn.ConvTranspose2d(3, 2, 2, stride=2), (x(1, 3, 3, 3),)),
    "ConvTranspose3d": (lambda: nn.ConvTranspose3d(2, 1, 2), (x(1, 2, 2, 2, 2),)),
    "MaxPool1d": (lambda: nn.MaxPool1d(2), (SEQUENCE,)),
    "MaxPool2d": (lambda: nn.MaxPool2d(3, 2, 1), (PICTURE,)),
    "MaxPool3d": (lambda: nn.MaxPool3d(2), (SPACE,)),
    "AvgPool1d": (lambda: nn.AvgPool1d(2), (SEQUENCE,)),
    "AvgPool2d": (lambda: nn.AvgPool2d(3, 2, 1), (PICTURE,)),
    "AvgPool3d": (lambda: nn.AvgPool3d(2), (SPACE,)),
    "LPPool1d": (lambda: nn.LPPool1d(2, 3), (positive(2, 3, 9),)),
    "LPPool2d": (lambda: nn.LPPool2d(3, 2), (positive(2, 3, 6, 6),)),
    "LPPool3d": (lambda: nn.LPPool3d(2, 2), (positive(1, 2, 4, 4, 4),)),
    "AdaptiveAvgPool1d": (lambda: nn.AdaptiveAvgPool1d(4), (SEQUENCE,)),
    "AdaptiveAvgPool2d": (lambda: nn.AdaptiveAvgPool2d((4, 3)), (PICTURE,)),
    "AdaptiveAvgPool3d": (lambda: nn.AdaptiveAvgPool3d(3), (SPACE,)),
    "AdaptiveMaxPool1d": (lambda: nn.AdaptiveMaxPool1d(4), (SEQUENCE,)),
    "AdaptiveMaxPool2d": (lambda: nn.AdaptiveMaxPool2d((4, 3)), (PICTURE,)),
    "AdaptiveMaxPool3d": (lambda: nn.AdaptiveMaxPool3d(3), (SPACE,)),
    "Upsample": (lambda: nn.Upsample(scale_factor=2, mode="bicubic"), (x(1, 2, 3, 3),)),
    "UpsamplingNearest2d": (lambda: nn.UpsamplingNearest2d(scale_factor=2), (x(1, 2, 3, 3),)),
    "UpsamplingBilinear2d": (lambda: nn.UpsamplingBilinear2d(scale_factor=2), (x(1, 2, 3, 3),)),
    "PixelShuffle": (lambda: nn.PixelShuffle(2), (x(1, 4, 3, 3),)),
    "PixelUnshuffle": (lambda: nn.PixelUnshuffle(2), (x(1, 1, 4, 4),)),
    "ChannelShuffle": (lambda: nn.ChannelShuffle(2), (x(1, 4, 3, 3),)),
    "Unfold": (lambda: nn.Unfold(2), (x(1, 2, 3, 3),)),
    "Fold": (lambda: nn.Fold((3, 3), 2), (x(1, 8, 4),)),
    "Unflatten": (lambda: nn.Unflatten(1, (2, 3)), (x(2, 6),)),
    **{
        f"{kind}Pad{d}d": (
            lambda kind=kind, d=d: getattr(nn, f"{kind}Pad{d}d")(
                *((1, 0.5) if kind == "Constant" else (1,))
            ),
            (x(1, 2, *(3,) * d),),
        )
        for kind in ("Constant", "Zero", "Reflection", "Replication", "Circular")
        for d in (1, 2, 3)
    },
    **{
        f"{kind}Norm{d}d": (
            lambda kind=kind, d=d: getattr(nn, f"{kind}Norm{d}d")(2),
            (x(3, 2, *(3,) * d),),
        )
        for kind in ("Batch", "Instance")
        for d in (1, 2, 3)
    },
    "LayerNorm": (lambda: nn.LayerNorm((3, 4)), (x(2, 3, 4),)),
    "GroupNorm": (lambda: nn.GroupNorm(2, 4), (x(2, 4, 3),)),
    "RMSNorm": (lambda: nn.RMSNorm(4), (x(3, 4),)),
    "LocalResponseNorm": (lambda: nn.LocalResponseNorm(3), (x(2, 4, 3),)),
    "Embedding": (lambda: nn.Embedding(7, 3), (INDICES,)),
    "EmbeddingBag": (lambda: nn.EmbeddingBag(7, 3), (INDICES,)),
    "LearnedPositions": (lambda: nn.LearnedPositions(9, 4), (x(2, 3, 4),)),
    "SinusoidalPositions": (lambda: nn.SinusoidalPositions(4), (x(2, 3, 4),)),
    "RotaryEmbedding": (lambda: nn.RotaryEmbedding(4), (x(2, 3, 4),)),
    "RNN": (lambda: nn.RNN(3, 4), (x(3, 2, 3),)),
    "LSTM": (lambda: nn.LSTM(3, 4, proj_size=2), (x(3, 2, 3),)),
    "GRU": (lambda: nn.GRU(3, 4, bidirectional=True), (x(3, 2, 3),)),
    "RNNCell": (lambda: nn.RNNCell(3, 4), (x(2, 3),)),
    "LSTMCell": (lambda: nn.LSTMCell(3, 4), (x(2, 3),)),
    "GRUCell": (lambda: nn.GRUCell(3, 4), (x(2, 3),)),
    "MultiheadAttention": (lambda: nn.MultiheadAttention(4, 2), (x(3, 2, 4),) * 3),
    "TransformerEncoderLayer": (
        lambda: nn.TransformerEncoderLayer(4, 2, 5, dropout=0.0, activation="gelu"),
        (x(3, 2, 4),),
    ),
    "TransformerDecoderLayer": (
        lambda: nn.TransformerDecoderLayer(4, 2, 5, dropout=0.0, activation="gelu"),
        (x(3, 2, 4), x(2, 2, 4)),
    ),
    "CosineSimilarity": (nn.CosineSimilarity, (A, B)),
    "PairwiseDistance": (nn.PairwiseDistance, (A, B)),
}
LOSSES = {
    **{
        name: (getattr(nn, name), (A, B))
        for name in ("MSELoss", "L1Loss", "SmoothL1Loss", "HuberLoss", "PoissonNLLLoss")
    },
    "GaussianNLLLoss": (nn.GaussianNLLLoss, (A, B, positive(4, 5))),
    "CrossEntropyLoss": (nn.CrossEntropyLoss, (A, labels(5, 4))),
    "NLLLoss": (nn.NLLLoss, (A, labels(5, 4))),
    "KLDivLoss": (lambda: nn.KLDivLoss(reduction="batchmean"), (A, positive(4, 5))),
    "BCELoss": (nn.BCELoss, (positive(4, 5) / 3, positive(4, 5) / 3)),
    "BCEWithLogitsLoss": (nn.BCEWithLogitsLoss, (A, positive(4, 5) / 3)),
    "HingeLoss": (nn.HingeLoss, (A, signs(4, 5))),
    "HingeEmbeddingLoss": (nn.HingeEmbeddingLoss, (A, signs(4, 5).astype(int))),
    "SoftMarginLoss": (nn.SoftMarginLoss, (A, signs(4, 5))),
    "MultiMarginLoss": (nn.MultiMarginLoss, (A, labels(5, 4))),
    "MultiLabelMarginLoss": (nn.MultiLabelMarginLoss, (A, np.array([[3, 0, -1, 1, 4]] * 4))),
    "MultiLabelSoftMarginLoss": (nn.MultiLabelSoftMarginLoss, (A, (B > 0).astype(float))),
    "CosineEmbeddingLoss": (nn.CosineEmbeddingLoss, (A, B, signs(4).astype(int))),
    "MarginRankingLoss": (nn.MarginRankingLoss, (A[0], B[0], signs(5))),
    "TripletMarginLoss": (nn.TripletMarginLoss, (A, B, x(4, 5))),
    "TripletMarginWithDistanceLoss": (nn.TripletMarginWithDistanceLoss, (A, B, x(4, 5))),
    "InfoNCELoss": (nn.InfoNCELoss, (A, B)),
    "CTCLoss": (
        nn.CTCLoss,
        (x(6, 2, 5), np.array([[1, 2], [3, 1]]), np.array([6, 5]), np.array([2, 1])),
    ),
}
TABLE = {**LAYERS, **LOSSES}
ELSEWHERE = {  # no mathematics of their own, or random, or without a gradient
    *("Module", "Sequential", "ModuleList", "ModuleDict", "ParameterList", "ParameterDict"),
    *("Lambda", "Perceptron", "KVCache", "Transformer", "TransformerEncoder"),
    *("TransformerDecoder", "MaxUnpool1d", "MaxUnpool2d", "MaxUnpool3d"),
    *("Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout", "FeatureAlphaDropout"),
    *("RReLU", "MixedPrecision"),
}


def prepared(name):
    """The layer and its float inputs as arrays, and the function of them that is checked."""
    kj.random.seed(1)
    make, given = TABLE[name]
    layer = make()
    layer = layer.astype("float64") if isinstance(layer, nn.Module) else layer
    leaves, structure = kj.tree.flatten(layer)
    moving = [p for p, leaf in enumerate(leaves) if np.asarray(leaf).dtype == np.float64]
    inputs = [p for p, each in enumerate(given) if each.dtype.kind == "f"]
    arrays = [np.asarray(leaves[p]) for p in moving] + [given[p] for p in inputs]

    def value(*tensors):
        filled, args = list(leaves), [kj.asarray(each) for each in given]
        for place, each in zip(moving, tensors, strict=False):
            filled[place] = each
        for place, each in zip(inputs, tensors[len(moving) :], strict=True):
            args[place] = each
        with nn.training():
            result = kj.tree.unflatten(structure, filled)(*args)
        floats = [y for y in kj.tree.leaves(result) if y.dtype == np.float64]
        return sum(kj.sum(kj.sin(y * (1.0 + 0.1 * i))) for i, y in enumerate(floats))

    return value, arrays


def on_nodes(function):
    return lambda *nodes: function(*(from_node(node) for node in nodes)).node


@pytest.mark.parametrize("name", TABLE)
def test_gradients_to_second_order(name):
    value, arrays = prepared(name)
    assert check(on_nodes(value), arrays, step=STEP).worst() < BOUND
    weights = [kj.tensor(RNG.uniform(0.5, 1.5, a.shape)) for a in arrays]

    def slope(*tensors):
        grads = kj.grad(value, tuple(range(len(tensors))))(*tensors)
        return sum(kj.sum(g * w) for g, w in zip(grads, weights, strict=True))

    assert check(on_nodes(slope), arrays, step=STEP).worst() < 50 * BOUND


def test_every_layer_and_loss_has_a_row():
    classes = {n for n, c in vars(nn).items() if inspect.isclass(c) and issubclass(c, nn.Module)}
    missing = classes - set(TABLE) - ELSEWHERE
    assert not missing, f"add a row for {sorted(missing)}"
    assert classes >= set(LAYERS)
