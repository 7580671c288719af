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

PLAIN = (
    *("logsigmoid", "hardsigmoid", "hardtanh", "softsign", "tanhshrink", "relu6", "celu"),
    *("hardshrink", "softshrink", "hardswish", "mish", "rrelu"),
)
WITH_OPTIONS = [
    ("hardtanh", {"min_val": -2.0, "max_val": 0.5}),
    ("celu", {"alpha": 0.5}),
    ("threshold", {"threshold": 0.3, "value": 7.0}),
    ("hardshrink", {"lambd": 1.5}),
    ("softshrink", {"lambd": 1.5}),
    ("rrelu", {"lower": 0.2, "upper": 0.6}),
]


# PyTorch keeps the constant of this slope in float32.
ROUGH = {"hardsigmoid": 1e-7}


def of_name(name, **options):
    """Ours and PyTorch's function of one name."""
    ours = lambda x: getattr(functional, name)(x, **options)  # noqa: E731
    return ours, lambda t: lambda x: getattr(t.nn.functional, name)(x, **options)


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
    "softplus": (functional.softplus, lambda t: t.nn.functional.softplus),
    "softplus(3)": (
        lambda x: functional.softplus(x, 3.0, threshold=36),
        lambda t: lambda x: t.nn.functional.softplus(x, 3.0, threshold=36),
    ),
    "softplus(inf)": (
        lambda x: functional.softplus(x, threshold=float("inf")),
        lambda t: lambda x: t.nn.functional.softplus(x, threshold=1e9),
    ),
    **{name: of_name(name) for name in PLAIN},
    **{f"{name}{options}": of_name(name, **options) for name, options in WITH_OPTIONS},
    "softmax": (functional.softmax, lambda t: lambda x: t.softmax(x, -1)),
    "log_softmax": (functional.log_softmax, lambda t: lambda x: t.log_softmax(x, -1)),
    "softmin": (functional.softmin, lambda t: lambda x: t.nn.functional.softmin(x, -1)),
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
    assert_like_torch(torch, ours, theirs(torch), [x], rtol=ROUGH.get(name, 1e-9))


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


CORNERS = (
    *("leaky_relu", "elu", "selu", "celu", "relu", "relu6", "hardtanh", "hardsigmoid"),
    *("hardshrink", "softshrink", "hardswish", "softsign", "rrelu"),
)


@pytest.mark.parametrize("name", CORNERS)
def test_slopes_at_the_corners_are_pytorchs(name):
    torch = pytest.importorskip("torch")
    theirs = getattr(torch.nn.functional, name)
    corners = np.array([-3.0, -1.0, -0.5, -0.0, 0.0, 0.5, 1.0, 3.0, 6.0])
    assert_like_torch(
        torch, getattr(functional, name), theirs, [corners], rtol=ROUGH.get(name, 1e-9)
    )


@pytest.mark.parametrize("shape", [(3,), (4, 3), (2, 3, 5)])
@pytest.mark.parametrize("many", [False, True])
def test_prelu_equals_pytorchs(shape, many):
    torch = pytest.importorskip("torch")
    count = 3 if many and len(shape) > 1 else 1
    x = np.random.default_rng(0).standard_normal(shape)
    arrays = [x, np.linspace(-0.5, 0.5, count) + 0.1]
    assert_like_torch(torch, functional.prelu, torch.nn.functional.prelu, arrays)


def test_prelu_refuses_other_slopes():
    with pytest.raises(ShapeError, match=r"prelu of \[4, 3\] with slopes \[4\]"):
        functional.prelu(np.ones((4, 3)), np.ones(4))


@pytest.mark.parametrize("dim", [0, -1])
def test_glu_equals_pytorchs(dim):
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(0).standard_normal((4, 6))
    ours = lambda x: functional.glu(x, dim)  # noqa: E731
    assert_like_torch(torch, ours, lambda x: torch.nn.functional.glu(x, dim), [x])
    with pytest.raises(ShapeError, match="the extent must be even"):
        functional.glu(np.ones((2, 3)))


def test_rrelu_draws_slopes_in_training():
    x = -np.ones(2000)
    with nn.training(kj.random.key(0)):
        y = -nn.RReLU(0.1, 0.3)(x).numpy()
    assert 0.1 <= y.min() < 0.11
    assert 0.29 < y.max() <= 0.3
    assert y.mean() == pytest.approx(0.2, abs=0.01)
    np.testing.assert_allclose(nn.RReLU(0.1, 0.3)(x), -0.2)
    again = functional.rrelu(x, 0.1, 0.3, training=True, key=kj.random.key(1))
    assert again.numpy().std() > 0.04


def test_gumbel_softmax_draws_classes():
    logits = np.log([0.5, 0.3, 0.2]) + np.zeros((4000, 3))
    soft = functional.gumbel_softmax(logits, key=kj.random.key(0)).numpy()
    np.testing.assert_allclose(soft.sum(-1), 1)
    hard = functional.gumbel_softmax(logits, hard=True, key=kj.random.key(0)).numpy()
    np.testing.assert_array_equal(hard.argmax(-1), soft.argmax(-1))
    np.testing.assert_allclose(hard.mean(0), [0.5, 0.3, 0.2], atol=0.03)
    slope = lambda hard: kj.grad(  # noqa: E731
        lambda z: kj.sum(functional.gumbel_softmax(z, hard=hard, key=kj.random.key(0))[:, 0])
    )(logits)
    np.testing.assert_allclose(slope(True), slope(False), rtol=1e-6)


@pytest.mark.parametrize(
    "wrong", [lambda: functional.hardtanh(1.0, 2, 1), lambda: functional.softshrink(1.0, -1),
              lambda: functional.celu(1.0, 0), lambda: functional.rrelu(1.0, 2, 1)]
)  # fmt: skip
def test_options_that_make_no_sense_are_errors(wrong):
    with pytest.raises(UsageError):
        wrong()


def test_softmax2d_works_over_the_channels():
    x = np.random.default_rng(0).standard_normal((2, 3, 4, 5))
    np.testing.assert_allclose(nn.Softmax2d()(x).numpy().sum(1), 1)
    np.testing.assert_allclose(nn.Softmax2d()(x[0]).numpy().sum(0), 1)


def test_pytorchs_options_are_taken():
    for name in ("ReLU", "ELU", "SiLU", "Hardtanh", "Dropout"):
        layer = getattr(nn, name)(inplace=True)
        assert "inplace" not in repr(layer)
    nn.Identity(54, unused=True)(1.0)


def test_softmax_gives_probabilities():
    y = functional.softmax(np.random.default_rng(0).standard_normal((5, 7)), dim=0).numpy()
    np.testing.assert_allclose(y.sum(0), np.ones(7), rtol=1e-12)
    assert (y > 0).all()


def test_softmax_of_one_number_is_one():
    assert functional.softmax(3.0).item() == 1
    assert functional.log_softmax(3.0, dim=0).item() == 0


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
