"""Linear, Maxout, Perceptron, Flatten, Sequential: values, starts and errors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import kedja as kj
from kedja import nn
from kedja.ground.errors import ShapeError, UsageError

RNG = np.random.default_rng(0)


# ---------------------------------------------------------------------------------- Linear


@pytest.mark.parametrize("shape", [(4,), (3, 4), (2, 3, 4), (0, 4), (1, 4)])
def test_linear_is_x_times_w_transposed_plus_b(shape):
    layer = nn.Linear(4, 5, key=kj.random.key(1))
    x = RNG.standard_normal(shape).astype(np.float32)
    expected = x @ layer.weight.numpy().T + layer.bias.numpy()
    np.testing.assert_allclose(layer(x), expected, rtol=1e-5, atol=1e-6)


def test_linear_starts_as_pytorchs():
    layer = nn.Linear(400, 300, key=kj.random.key(0))
    for values in (layer.weight.numpy(), layer.bias.numpy()):
        assert np.abs(values).max() < 0.05
        assert np.abs(values).max() > 0.048
        assert abs(values.std() - 0.05 / np.sqrt(3)) < 0.002
    assert layer.weight.shape == (300, 400)


def test_the_key_decides_the_weights():
    first, second = (nn.Linear(3, 2, key=kj.random.key(5)) for _ in range(2))
    np.testing.assert_array_equal(first.weight, second.weight)
    other = nn.Linear(3, 2, key=kj.random.key(6))
    assert not np.array_equal(first.weight, other.weight)


def test_without_a_key_the_default_sequence_is_taken():
    kj.random.seed(3)
    first, second = nn.Linear(3, 2), nn.Linear(3, 2)
    kj.random.seed(3)
    np.testing.assert_array_equal(nn.Linear(3, 2).weight, first.weight)
    assert not np.array_equal(first.weight, second.weight)


def test_an_initialiser_draws_the_weight_and_leaves_the_bias_at_zero():
    layer = nn.Linear(3, 2, init=nn.init.ones)
    np.testing.assert_array_equal(layer.weight, np.ones((2, 3)))
    np.testing.assert_array_equal(layer.bias, np.zeros(2))


def test_pictures_of_bytes_become_floats():
    layer = nn.Linear(4, 2)
    pixels = RNG.integers(0, 256, (3, 4), dtype=np.uint8)
    assert layer(pixels).dtype == kj.float32
    np.testing.assert_array_equal(layer(pixels), layer(pixels.astype(np.float32)))


def test_composed_linear_maps_are_one_linear_map():
    first, second = nn.Linear(4, 5, bias=False), nn.Linear(5, 3, bias=False)
    one = nn.Linear(4, 3, bias=False).replace(weight=second.weight @ first.weight)
    a, b = RNG.standard_normal((2, 7, 4)).astype(np.float32)
    net = nn.Sequential(first, second)
    np.testing.assert_allclose(net(a), one(a), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(net(a + b), net(a) + net(b), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "shape, fix",
    [
        ((64, 28, 28), "flatten the pictures first: nn.Flatten()"),
        ((28, 28), "flatten it first: x.reshape(-1)"),
        ((784, 60), "examples are rows, features are columns: x.T"),
        ((60, 3), "make the layer with in_features=3"),
        ((), "give at least one axis"),
    ],
)
def test_wrong_inputs_get_the_fix_that_fits(shape, fix):
    with pytest.raises(ShapeError) as error:
        nn.Linear(784, 128)(np.zeros(shape, np.float32))
    what = f"Linear: expects inputs with 784 features in the last axis, got shape {list(shape)}"
    assert what in str(error.value)
    assert fix in error.value.fix


@pytest.mark.parametrize("sizes", [(0, 2), (2, 0), (2.0, 2), (True, 2)])
def test_extents_are_positive_whole_numbers(sizes):
    with pytest.raises(UsageError, match="is 1 or more"):
        nn.Linear(*sizes)


# ---------------------------------------------------------------------------------- Maxout


def test_maxout_takes_the_largest_piece():
    layer = nn.Maxout(4, 3, pieces=2, key=kj.random.key(0))
    x = RNG.standard_normal((5, 4)).astype(np.float32)
    sums = x @ layer.weight.numpy().T + layer.bias.numpy()
    np.testing.assert_allclose(layer(x), sums.reshape(5, 3, 2).max(-1), rtol=1e-5, atol=1e-6)
    assert (layer.in_features, layer.out_features) == (4, 3)
    assert layer.num_parameters == 6 * 4 + 6
    with pytest.raises(ShapeError, match=r"Maxout: expects inputs with 4 features"):
        layer(x.T)


def test_maxout_can_be_the_absolute_value():
    layer = nn.Maxout(1, 1, pieces=2, bias=False).replace(weight=kj.tensor([[1.0], [-1.0]]))
    np.testing.assert_array_equal(layer([[-3.0], [2.0]]), [[3.0], [2.0]])


# ------------------------------------------------------------------------------ Perceptron


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6))
def test_the_perceptron_separates_what_a_plane_separates(seed):
    rng = np.random.default_rng(seed)
    normal = rng.standard_normal(3)
    x = rng.standard_normal((40, 3))
    apart = x @ normal + 0.2
    clear = np.abs(apart) > 0.3
    assume(clear.any())
    x, y = x[clear], (apart > 0)[clear].astype(int)
    model, mistakes = nn.Perceptron(3).fit(x, y, epochs=2000)
    assert mistakes[-1] == 0
    assert 0 not in mistakes[:-1]
    np.testing.assert_array_equal(model(x), y)


def test_the_perceptron_follows_its_rule_step_by_step():
    x, y = [[1.0, 2.0], [-1.0, -3.0], [3.0, -1.0], [0.0, 0.0]], [1, 0, 0, 1]
    model, mistakes = nn.Perceptron(2).fit(x, y, 1, rate=0.5)
    # the first is wrong: w = (0.5, 1), b = 0.5; the second is right; the third is wrong:
    # w = (-1, 1.5), b = 0; the fourth is wrong: b = 0.5
    np.testing.assert_allclose(model.weight, [-1.0, 1.5])
    assert model.bias.item() == 0.5
    assert mistakes == [3]


def test_the_perceptron_does_not_learn_exclusive_or():
    x, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
    _, mistakes = nn.Perceptron(2).fit(x, y, epochs=50)
    assert len(mistakes) == 50
    assert min(mistakes) > 0


def test_the_perceptron_refuses_other_answers_and_shapes():
    with pytest.raises(UsageError, match="answers other than 0 and 1"):
        nn.Perceptron(1).fit([[1.0], [2.0]], [1, -1])
    with pytest.raises(ShapeError, match=r"inputs \[2, 1\] and answers \[3\]"):
        nn.Perceptron(1).fit([[1.0], [2.0]], [1, 0, 1])
    with pytest.raises(ShapeError, match="expects inputs with 1 features"):
        nn.Perceptron(1).fit([[1.0, 2.0]], [1])


# --------------------------------------------------------------------- Flatten and Sequential


@pytest.mark.parametrize(
    "axes, shape",
    [((1, -1), (2, 60)), ((0, -1), (120,)), ((0, 1), (6, 4, 5)), ((-2, -1), (2, 3, 20))],
)
def test_flatten_merges_axes(axes, shape):
    x = np.arange(120).reshape(2, 3, 4, 5)
    np.testing.assert_array_equal(nn.Flatten(*axes)(x), x.reshape(shape))


@pytest.mark.parametrize("axes, shape", [((1, -1), (3,)), ((2, 1), (2, 3, 4)), ((1, -1), ())])
def test_flatten_says_what_it_cannot_do(axes, shape):
    with pytest.raises(ShapeError, match=r"Flatten: flattens axes"):
        nn.Flatten(*axes)(np.zeros(shape))


def test_sequential_takes_functions_and_can_be_cut():
    net = nn.Sequential(nn.Linear(4, 5), kj.tanh, lambda x: 2 * x, nn.Linear(5, 2))
    assert len(net) == 4
    assert isinstance(net[1], nn.Lambda)
    x = np.ones((1, 4), np.float32)
    np.testing.assert_allclose(net[:3](x), 2 * np.tanh(net[0](x)), rtol=1e-6)
    assert [name for name, _ in net[2:].parameters()] == ["1.weight", "1.bias"]
    assert [type(each).__name__ for each in net] == ["Linear", "Lambda", "Lambda", "Linear"]


def test_an_empty_sequential_is_the_identity():
    assert nn.Sequential()(3) == 3


@pytest.mark.parametrize(
    "wrong, text", [(nn.ReLU, "the class ReLU"), (3, "layer 1 of Sequential is 3")]
)
def test_sequential_refuses_what_cannot_be_called(wrong, text):
    with pytest.raises(UsageError, match=text):
        nn.Sequential(nn.ReLU(), wrong)
