"""Gradients of gradients of each layer, in its input and its parameters, by finite differences."""

from __future__ import annotations

import numpy as np
import pytest

import kedja as kj
from kedja import nn
from kedja.front import tree
from tests.nn.compare import deviation
from tests.nn.layers import flat, normal, weighted

KEY = kj.random.key(0)
LAYERS = {
    "Bilinear": (lambda: nn.Bilinear(3, 2, 2), [(2, 3), (2, 2)]),
    "BatchNorm1d": (lambda: nn.BatchNorm1d(2), [(4, 2)]),
    "InstanceNorm1d": (lambda: nn.InstanceNorm1d(2, affine=True), [(2, 2, 3)]),
    "LayerNorm": (lambda: nn.LayerNorm(3), [(2, 3)]),
    "RMSNorm": (lambda: nn.RMSNorm(3), [(2, 3)]),
    "GroupNorm": (lambda: nn.GroupNorm(2, 4), [(2, 4)]),
    "LocalResponseNorm": (lambda: nn.LocalResponseNorm(3, 0.5), [(1, 4, 2)]),
    "Dropout": (lambda: nn.Sequential(nn.Dropout(0.5), nn.Tanh()), [(3, 3)]),
    "AlphaDropout": (lambda: nn.Sequential(nn.AlphaDropout(0.5), nn.SELU()), [(3, 3)]),
    "RNN": (lambda: nn.RNN(2, 2, bidirectional=True), [(3, 2, 2)]),
    "LSTM": (lambda: nn.LSTM(2, 2, num_layers=2), [(3, 1, 2)]),
    "GRU": (lambda: nn.GRU(2, 2), [(3, 2, 2)]),
    "LSTMCell": (lambda: nn.LSTMCell(2, 2), [(2, 2)]),
    "MultiheadAttention": (lambda: nn.MultiheadAttention(4, 2), [(3, 1, 4)] * 3),
    "TransformerEncoderLayer": (
        lambda: nn.TransformerEncoderLayer(4, 2, 3, activation=kj.tanh), [(3, 1, 4)]
    ),
    "LearnedPositions": (lambda: nn.Sequential(nn.LearnedPositions(4, 2), nn.Tanh()), [(3, 2)]),
    "RotaryEmbedding": (lambda: nn.Sequential(nn.RotaryEmbedding(), nn.Tanh()), [(3, 4)]),
    "CosineSimilarity": (lambda: nn.CosineSimilarity(), [(2, 3), (2, 3)]),
    "PairwiseDistance": (lambda: nn.PairwiseDistance(3.0), [(2, 3), (2, 3)]),
    "PReLU": (lambda: nn.Sequential(nn.PReLU(), nn.Tanh()), [(2, 3)]),
    "GLU": (lambda: nn.GLU(), [(2, 4)]),
    **{
        name: (getattr(nn, name), [(2, 3)])
        for name in ("LogSigmoid", "Softsign", "Tanhshrink", "CELU", "Mish", "Softplus", "Softmin")
    },
}  # fmt: skip


@pytest.mark.parametrize("name", LAYERS)
def test_gradients_to_second_order(name):
    make, shapes = LAYERS[name]
    kj.random.seed(3)
    leaves, structure = tree.flatten(make().astype(kj.float64))
    learned = [i for i, free in enumerate(tree.trainable(structure)) if free]
    arrays = [leaves[i].numpy() for i in learned]
    arrays += [normal(*shape, seed=place) for place, shape in enumerate(shapes)]

    def loss(*given):
        filled = list(leaves)
        for place, leaf in zip(learned, given, strict=False):
            filled[place] = leaf
        with nn.training(KEY):
            outputs = flat(tree.unflatten(structure, filled)(*given[len(learned) :]))
        return sum(kj.sum(y * weighted(y, place)) for place, y in enumerate(outputs))

    def slope(*given):
        """The first derivative, weighted so that one number comes of it."""
        found = kj.grad(loss, range(len(given)))(*given)
        return sum(kj.sum(g * g + g) for g in found)

    assert deviation(loss, *arrays) < 1e-6
    assert deviation(slope, *arrays) < 1e-6
    assert all(np.isfinite(each).all() for each in arrays)
