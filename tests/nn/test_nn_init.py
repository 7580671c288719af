"""Initialisers: the spread of what they draw, PyTorch's gains, orthogonality."""

from __future__ import annotations

import math

import numpy as np
import pytest

import kedja as kj
from kedja import nn
from kedja.ground.errors import ShapeError, UsageError
from kedja.nn import init

KEY = kj.random.key(0)
SHAPE = (200, 300)

UNIFORM = {
    "xavier_uniform": (lambda: init.xavier_uniform(KEY, SHAPE, gain=2), 2 * math.sqrt(6 / 500)),
    "kaiming_uniform": (lambda: init.kaiming_uniform(KEY, SHAPE), math.sqrt(2 * 3 / 300)),
    "fan_out": (
        lambda: init.kaiming_uniform(KEY, SHAPE, a=1, mode="fan_out"),
        math.sqrt(3 / 200),
    ),
    "uniform": (lambda: init.uniform(KEY, SHAPE, -0.5, 0.5), 0.5),
}
NORMAL = {
    "xavier_normal": (lambda: init.xavier_normal(KEY, SHAPE), math.sqrt(2 / 500)),
    "kaiming_normal": (
        lambda: init.kaiming_normal(KEY, SHAPE, nonlinearity="tanh"),
        5 / 3 / math.sqrt(300),
    ),
    "lecun_normal": (lambda: init.lecun_normal(KEY, SHAPE), 1 / math.sqrt(300)),
    "normal": (lambda: init.normal(KEY, SHAPE, std=0.3), 0.3),
}


@pytest.mark.parametrize("name", UNIFORM)
def test_uniform_ones_fill_their_interval(name):
    draw, bound = UNIFORM[name]
    values = draw().numpy()
    assert np.abs(values).max() <= bound
    assert np.abs(values).max() > 0.999 * bound
    assert values.std() == pytest.approx(bound / math.sqrt(3), rel=0.01)
    assert abs(values.mean()) < 0.02 * bound


@pytest.mark.parametrize("name", NORMAL)
def test_normal_ones_have_their_deviation(name):
    draw, std = NORMAL[name]
    values = draw().numpy()
    assert values.std() == pytest.approx(std, rel=0.01)
    assert abs(values.mean()) < 0.02 * std
    assert np.abs(values).max() > 3.5 * std


def test_normal_has_its_mean():
    assert init.normal(KEY, SHAPE, mean=2.0).numpy().mean() == pytest.approx(2.0, abs=0.02)


def test_constants():
    np.testing.assert_array_equal(init.zeros(None, (2,)), [0, 0])
    np.testing.assert_array_equal(init.ones(None, (2,)), [1, 1])
    np.testing.assert_array_equal(init.constant(None, (2,), 0.5), [0.5, 0.5])


@pytest.mark.parametrize("draw", [init.uniform, init.normal, init.xavier_normal, init.orthogonal])
def test_dtype_and_key(draw):
    first = draw(KEY, (3, 4), dtype=kj.float64)
    assert first.dtype == kj.float64
    np.testing.assert_array_equal(first, draw(KEY, (3, 4), dtype=kj.float64))
    assert not np.array_equal(first, draw(kj.random.key(1), (3, 4), dtype=kj.float64))


@pytest.mark.parametrize("shape", [(5, 5), (7, 3), (3, 7), (4, 3, 2)])
def test_orthogonal_rows_or_columns(shape):
    q = init.orthogonal(KEY, shape, gain=2.0, dtype=kj.float64).numpy().reshape(shape[0], -1)
    small = q @ q.T if q.shape[0] <= q.shape[1] else q.T @ q
    np.testing.assert_allclose(small, 4 * np.eye(len(small)), atol=1e-12)


@pytest.mark.parametrize(
    "name, param", [("linear", None), ("sigmoid", None), ("tanh", None), ("relu", None),
                    ("leaky_relu", None), ("leaky_relu", 0.3), ("selu", None)],
)  # fmt: skip
def test_gains_are_pytorchs(name, param):
    torch = pytest.importorskip("torch")
    expected = torch.nn.init.calculate_gain(name, param)
    assert init.calculate_gain(name, param) == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize("name", ["kaiming_normal", "xavier_uniform", "lecun_normal"])
def test_weights_have_two_axes(name):
    with pytest.raises(ShapeError, match=r"fan-in and fan-out of shape \[3\]"):
        getattr(init, name)(KEY, (3,))


def test_unknown_names():
    with pytest.raises(UsageError, match="no gain is known for 'rulu'"):
        init.calculate_gain("rulu")
    with pytest.raises(UsageError, match="mode 'fan'"):
        init.kaiming_normal(KEY, (2, 2), mode="fan")
    with pytest.raises(UsageError, match="no initialiser is known for 'rulu'"):
        init.for_activation("rulu")


@pytest.mark.parametrize("name", nn.ACTIVATIONS)
def test_every_activation_has_an_initialiser(name):
    assert init.for_activation(name)(KEY, (3, 2)).shape == (3, 2)


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "tanh", "selu"])
def test_signals_keep_their_size_through_many_layers(name):
    net = nn.mlp([256] * 11, name, key=KEY)
    x = np.random.default_rng(0).standard_normal((64, 256)).astype(np.float32)
    sizes = [net[:n](x).numpy().std() for n in (2, 18)]
    assert 0.4 < sizes[1] / sizes[0] < 2.5


def test_a_sigmoid_network_starts_as_the_tanh_network():
    tanh = nn.mlp([5, 8, 8, 3], "tanh", key=KEY)
    sigmoid = nn.mlp([5, 8, 8, 3], "sigmoid", key=KEY)
    x = np.random.default_rng(0).standard_normal((6, 5)).astype(np.float32)
    np.testing.assert_allclose(sigmoid(x), tanh(x), rtol=1e-4, atol=1e-5)
