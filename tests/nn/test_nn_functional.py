"""Activations: values and gradients against PyTorch and finite differences, and the lookup."""

from __future__ import annotations

import numpy as np
import pytest

import kedja as kj
from kedja import nn
from kedja.ground.errors import ShapeError, UsageError
from kedja.nn import functional
from tests.nn.compare import assert_like_torch, deviation

X = np.concatenate([np.linspace(-6, 6, 41), [-800.0, -40.0, 40.0, 800.0, 1e-9, -1e-9]])

CASES = {
    "sigmoid": (functional.sigmoid, lambda t: t.sigmoid),
    "tanh": (functional.tanh, lambda t: t.tanh),
    "relu": (functional.relu, lambda t: t.nn.functional.relu),
    "leaky_relu": (functional.leaky_relu, lambda t: t.nn.functional.leaky_relu),
    "leaky_relu(0.2)": (
        lambda x: functional.leaky_relu(x, 0.2),
        lambda t: lambda x: t.nn.functional.leaky_relu(x, 0.2),
    ),
    "elu": (functional.elu, lambda t: t.nn.functional.elu),
    "elu(0.3)": (lambda x: functional.elu(x, 0.3), lambda t: lambda x: t.nn.functional.elu(x, 0.3)),
    "selu": (functional.selu, lambda t: t.nn.functional.selu),
    "gelu": (functional.gelu, lambda t: t.nn.functional.gelu),
    "gelu(tanh)": (
        lambda x: functional.gelu(x, "tanh"),
        lambda t: lambda x: t.nn.functional.gelu(x, approximate="tanh"),
    ),
    "silu": (functional.silu, lambda t: t.nn.functional.silu),
    "softplus": (
        functional.softplus,
        lambda t: lambda x: t.nn.functional.softplus(x, threshold=1e9),
    ),
    "softplus(3)": (
        lambda x: functional.softplus(x, 3.0),
        lambda t: lambda x: t.nn.functional.softplus(x, 3.0, threshold=36),
    ),
    "softmax": (functional.softmax, lambda t: lambda x: t.softmax(x, -1)),
    "log_softmax": (functional.log_softmax, lambda t: lambda x: t.log_softmax(x, -1)),
    "maxout": (
        lambda x: functional.maxout(x, 2),
        lambda t: lambda x: x.reshape(*x.shape[:-1], -1, 2).max(-1).values,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients_equal_pytorchs(name):
    torch = pytest.importorskip("torch")
    ours, theirs = CASES[name]
    x = np.linspace(-3, 3, 24).reshape(4, 6) if "max" in name else X[np.abs(X) < 300]
    assert_like_torch(torch, ours, theirs(torch), [x])


@pytest.mark.parametrize("name", CASES)
def test_derivatives_equal_finite_differences(name):
    x = np.random.default_rng(0).uniform(0.1, 2, (3, 4)) * np.array([1, -1, 1, -1])
    assert deviation(CASES[name][0], x) < 1e-7


@pytest.mark.parametrize("name", [each for each in CASES if each != "log_softmax"])
def test_values_and_slopes_stay_finite_far_out(name):
    x = X[:46].reshape(23, 2)
    ours = CASES[name][0]
    assert np.isfinite(ours(x)).all()
    assert np.isfinite(kj.grad(lambda x: kj.sum(ours(x)))(x)).all()


@pytest.mark.parametrize("name", CASES)
def test_a_nan_stays_one(name):
    x = np.array([[1.0, np.nan], [2.0, 3.0]])
    assert np.isnan(CASES[name][0](x)).any(axis=-1).tolist() == [True, False]


@pytest.mark.parametrize("name", CASES)
def test_whole_numbers_become_float32(name):
    found = CASES[name][0](kj.tensor([[-1, 2]]))
    assert found.dtype == (kj.int64 if name == "maxout" else kj.float32)


@pytest.mark.parametrize("function", [functional.leaky_relu, functional.elu, functional.selu])
def test_slopes_at_zero_are_pytorchs(function):
    torch = pytest.importorskip("torch")
    theirs = getattr(torch.nn.functional, function.__name__)
    assert_like_torch(torch, function, theirs, [np.zeros(1)])


def test_softmax_gives_probabilities():
    y = functional.softmax(np.random.default_rng(0).standard_normal((5, 7)), dim=0).numpy()
    np.testing.assert_allclose(y.sum(0), np.ones(7), rtol=1e-12)
    assert (y > 0).all()


def test_maxout_along_another_axis():
    x = np.random.default_rng(0).standard_normal((6, 4))
    np.testing.assert_array_equal(functional.maxout(x, 3, dim=0), x.reshape(2, 3, 4).max(1))
    with pytest.raises(ShapeError, match=r"maxout of 4 pieces over axis 0 of shape \[6, 4\]"):
        functional.maxout(x, 4, dim=0)


def test_gelu_refuses_another_formula():
    with pytest.raises(UsageError, match="approximate='erf'"):
        functional.gelu(1.0, "erf")


# ------------------------------------------------------------------------------------ by name

X32 = np.linspace(-3, 3, 12).astype(np.float32).reshape(2, 6)


@pytest.mark.parametrize("name", nn.ACTIVATIONS)
def test_each_layer_computes_its_function(name):
    layer = nn.activation(name)
    slopes = [leaf for _, leaf in layer.parameters()]
    np.testing.assert_array_equal(layer(X32), getattr(functional, name)(X32, *slopes))
    assert len(slopes) == (name == "prelu")


@pytest.mark.parametrize("spelling", ["leaky_relu", "leaky-relu", "LeakyReLU", "LEAKY_RELU"])
def test_names_may_be_spelled_in_several_ways(spelling):
    assert isinstance(nn.activation(spelling), nn.LeakyReLU)
    assert nn.activation_name(spelling) == "leaky_relu"


def test_options_reach_the_layer():
    expected = np.where(X32 > 0, X32, np.float32(0.3) * X32)
    np.testing.assert_array_equal(nn.activation("leaky_relu", negative_slope=0.3)(X32), expected)


def test_unknown_names_get_the_close_ones():
    with pytest.raises(UsageError, match="unknown activation 'sigmoied'") as error:
        nn.activation("sigmoied")
    assert "did you mean 'sigmoid'" in error.value.fix
    with pytest.raises(UsageError) as error:
        nn.activation("qqqq")
    assert "one of: identity, sigmoid" in error.value.fix
