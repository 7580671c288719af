"""Networks that learn scikit-learn's digits within seconds, interpreted and compiled."""

from __future__ import annotations

import math

import numpy as np
import pytest

import kedja as kj
from kedja import nn, optim

BATCH = 32


@pytest.fixture(scope="module")
def digits():
    datasets = pytest.importorskip("sklearn.datasets")
    found = datasets.load_digits()
    order = np.random.default_rng(0).permutation(len(found.target))
    x, y = (found.data[order] / 16).astype(np.float32), found.target[order]
    return x[:1400], y[:1400], x[1400:], y[1400:]


def train(model, digits, opt, epochs):
    """The model after some epochs, and the mean loss of each."""
    x, y = digits[:2]
    state = opt.init(model)
    rng = np.random.default_rng(1)

    @kj.jit
    def step(model, state, x, y):
        loss, grads = kj.value_and_grad(lambda m: nn.cross_entropy(m(x), y))(model)
        return *opt.update(model, grads, state), loss

    means = []
    for _ in range(epochs):
        order, losses = rng.permutation(len(x)), []
        for start in range(0, len(order) - BATCH + 1, BATCH):
            batch = order[start : start + BATCH]
            model, state, loss = step(model, state, x[batch], y[batch])
            losses.append(loss.item())
        means.append(np.mean(losses))
    return model, means


def accuracy(model, digits):
    return np.mean(np.argmax(model(digits[2]).numpy(), axis=1) == digits[3])


@pytest.mark.parametrize(
    "activation, opt",
    [
        ("relu", optim.SGD(0.3, momentum=0.5)),
        ("tanh", optim.AdamW(3e-3)),
        ("sigmoid", optim.RMSprop(5e-3)),
        ("gelu", optim.Adam(3e-3)),
    ],
)
def test_a_network_with_one_hidden_layer_learns(digits, activation, opt):
    with kj.scope(tier="interpret"):
        model = nn.mlp([64, 64, 10], activation, key=kj.random.key(0))
        model, _ = train(model, digits, opt, 5)
        assert accuracy(model, digits) > 0.9


def test_a_maxout_network_learns(digits):
    keys = kj.random.split(kj.random.key(0))
    with kj.scope(tier="interpret"):
        net = nn.Sequential(nn.Maxout(64, 32, 3, key=keys[0]), nn.Linear(32, 10, key=keys[1]))
        net, _ = train(net, digits, optim.SGD(0.3), 5)
        assert accuracy(net, digits) > 0.9


def deep(**options):
    """The lectures' network with five hidden sigmoid layers, for digits."""
    return nn.mlp([64, *[256] * 5, 10], "sigmoid", key=kj.random.key(0), **options)


@pytest.mark.parametrize("rate", [0.1, 0.3])
def test_five_hidden_sigmoid_layers_learn(digits, rate):
    net, losses = train(deep(), digits, optim.SGD(rate), 4)
    assert losses[-1] < 0.25 * math.log(10)
    assert accuracy(net, digits) > 0.85


def test_five_hidden_sigmoid_layers_do_not_learn_with_plain_weights(digits):
    _, losses = train(deep(init="default"), digits, optim.SGD(0.1), 4)
    assert losses[-1] > 0.95 * math.log(10)
