"""Dropout: how often, how much, whole channels, and its mean and variance."""

from __future__ import annotations

import numpy as np
import pytest

import kedja as kj
from kedja import nn
from kedja.ground.errors import ShapeError, UsageError
from kedja.nn import functional
from tests.nn.layers import assert_same_compiled, normal

KEY = kj.random.key(0)
LAYERS = ("Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout", "FeatureAlphaDropout")
SHAPES = {"Dropout1d": (2, 3, 4), "Dropout2d": (2, 3, 4, 5), "Dropout3d": (2, 3, 2, 2, 2)}


@pytest.mark.parametrize("name", LAYERS)
def test_inference_and_p_zero_change_nothing(name):
    x = normal(*SHAPES.get(name, (4, 6)))
    layer = getattr(nn, name)
    np.testing.assert_array_equal(layer(0.7)(x), x)
    with nn.training():  # without a key, for none is needed
        np.testing.assert_array_equal(layer(0.0)(x), x)
        assert not layer(1.0)(x).numpy().any()


@pytest.mark.parametrize("p", [0.1, 0.5, 0.8])
def test_each_number_is_dropped_or_grows(p):
    with nn.training(KEY):
        y = nn.Dropout(p)(np.ones(20_000)).numpy()
    assert set(np.unique(y).round(9)) == {0.0, round(1 / (1 - p), 9)}
    assert (y == 0).mean() == pytest.approx(p, abs=0.015)


def test_the_gradient_passes_where_nothing_was_dropped():
    x = normal(50)
    with nn.training(KEY):
        y = functional.dropout(x)
    with nn.training(KEY):
        slope = kj.grad(lambda x: kj.sum(functional.dropout(x)))(x)
    np.testing.assert_allclose(slope.numpy() * x, y, rtol=1e-12)


@pytest.mark.parametrize("name", SHAPES)
def test_whole_channels_are_dropped(name):
    shape = (40, *SHAPES[name][1:])
    lone = (4, 10, 5) if name == "Dropout2d" else (40, *shape[2:])  # PyTorch's exception
    with nn.training(KEY):
        y = getattr(nn, name)(0.5)(np.ones(shape)).numpy()
        alone = getattr(nn, name)(0.5)(np.ones(lone)).numpy()
    flat = y.reshape(shape[0] * shape[1], -1)
    assert set(np.unique(flat)) == {0.0, 2.0}
    assert (flat == flat[:, :1]).all()
    assert 0.3 < (flat == 0).mean() < 0.7
    rows = alone.reshape(40, -1)
    assert (rows == rows[:, :1]).all() and set(np.unique(rows)) == {0.0, 2.0}


@pytest.mark.parametrize("p", [0.1, 0.4])
def test_alpha_dropout_keeps_mean_and_variance(p):
    x = normal(200_000)
    with nn.training(KEY):
        y = nn.AlphaDropout(p)(x).numpy()
        channels = nn.FeatureAlphaDropout(p)(normal(2000, 50, 2)).numpy()
    for each in (y, channels):
        assert each.mean() == pytest.approx(0, abs=0.02)
        assert each.std() == pytest.approx(1, abs=0.02)
    low = np.unique(y.round(9), return_counts=True)
    assert low[1].max() / y.size == pytest.approx(p, abs=0.01)


def test_a_key_may_be_given_to_the_function():
    x = np.ones(100)
    one = functional.dropout(x, training=True, key=KEY)
    np.testing.assert_array_equal(one, functional.dropout(x, training=True, key=KEY))
    np.testing.assert_array_equal(functional.dropout(x, training=False), x)
    with nn.training(KEY):
        np.testing.assert_array_equal(functional.dropout(x, training=False), x)


def test_half_dtypes_stay_what_they_are():
    with nn.training(KEY):
        assert nn.Dropout()(kj.ones(4, kj.bfloat16)).dtype == kj.bfloat16
        assert nn.AlphaDropout()(kj.ones(4, kj.float16)).dtype == kj.float16


@pytest.mark.parametrize("name", LAYERS)
def test_compiled_equals_interpreted(name):
    layer, x = getattr(nn, name)(0.3), normal(*SHAPES.get(name, (4, 6)))

    def run(x, key):
        with nn.training(key):
            return layer(x)

    assert_same_compiled(run, x, KEY)


def test_wrong_use_is_an_error():
    with pytest.raises(UsageError, match=r"Dropout with p=1\.5"):
        nn.Dropout(1.5)
    with pytest.raises(ShapeError, match=r"expects \(N, C, H, W\) or \(N, C, L\)"):
        nn.Dropout2d()(np.ones((2, 3)))
