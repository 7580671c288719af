"""The lectures on learning: descent in a box, the zig-zag, stochastic gradients, saturation.

Next: `test_lectures_pages.py`.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

import kedja as kj
from docs.lectures.figures import run_page
from kedja import nn

TIERS = ("interpret", "compile")


# ------------------------------------------------------------------------------------ descent


def height(x):
    return math.sin(0.8 * x[0]) * math.sin(0.6 * x[1]) * math.exp(0.1 * x[0])


def slope(x):
    """∂f/∂x₁ and ∂f/∂x₂ by hand."""
    s1, c1 = math.sin(0.8 * x[0]), math.cos(0.8 * x[0])
    s2, c2 = math.sin(0.6 * x[1]), math.cos(0.6 * x[1])
    grown = math.exp(0.1 * x[0])
    return np.array([(0.8 * c1 + 0.1 * s1) * s2 * grown, 0.6 * s1 * c2 * grown])


def test_descent_reaches_the_lowest_point_of_the_box():
    page = run_page("06-descent")
    end = page["path"][-1]
    assert end == pytest.approx([2.11894, -2], abs=5e-6)
    assert end[0] == pytest.approx((math.pi - math.atan(8)) / 0.8, abs=1e-6)
    assert page["f"](*end).item() == pytest.approx(-1.14312, abs=5e-6)
    grid = [(x1, x2) for x1 in np.linspace(-2, 3, 101) for x2 in np.linspace(-2, 2, 81)]
    assert height(end) <= min(map(height, grid))


@pytest.mark.parametrize("tier", TIERS)
def test_each_step_follows_the_gradient_by_hand_and_stays_inside(tier):
    page = run_page("06-descent")
    x = np.array([2.0, 2.0])
    with kj.scope(tier=tier):
        for _ in range(100):
            expected = np.clip(x - 0.1 * slope(x), [-2, -2], [3, 2])
            x = page["step"](x).numpy()
            np.testing.assert_allclose(x, expected, rtol=1e-12)
    assert x[1] == -2


# ------------------------------------------------------------------------------- the zig-zag


@pytest.mark.parametrize("seed", range(5))
def test_behind_a_sigmoid_the_gradients_of_a_units_weights_share_one_sign(seed):
    net = nn.mlp([4, 5, 5, 3, 2], "sigmoid", key=kj.random.key(seed)).astype(kj.float64)
    x, y = np.random.default_rng(seed).normal(size=4), np.array([1.0, 0.0])
    gradient = kj.grad(lambda net: nn.squared_error(net(x), y))(net)
    for place in (2, 4, 6):
        signs = np.sign(gradient[place].weight.numpy())
        assert (signs == np.sign(gradient[place].bias.numpy())[:, None]).all()


def test_behind_tanh_they_do_not():
    net = nn.mlp([4, 5, 5, 3, 2], "tanh", key=kj.random.key(1))
    gradient = kj.grad(lambda net: nn.squared_error(net([1.0, 0.5, -1.0, 2.0]), 0))(net)
    signs = np.sign(gradient[2].weight.numpy())
    assert (abs(signs.sum(axis=1)) < 5).all()


def test_the_zig_zag_costs_steps():
    page = run_page("09-zig-zag")
    until = page["examples_until_near"]
    assert page["together"](page["paths"]["sigmoid"]) == 1
    assert page["together"](page["paths"]["tanh"]) < 0.7
    assert until(page["paths"]["sigmoid"]) > 3 * until(page["paths"]["tanh"])
    rates = (0.5, 0.7, 1.0, 1.2, 1.5)
    best = {
        name: min(until(page["learned"](f, rate)) for rate in rates)
        for name, f in (("sigmoid", kj.sigmoid), ("tanh", kj.tanh))
    }
    assert best["sigmoid"] > 2 * best["tanh"]


# ----------------------------------------------------------------------- stochastic gradients


def test_the_mean_of_the_single_gradients_is_the_full_one():
    page = run_page("10-stochastic")
    x, y = page["x"], page["y"]
    by_hand = 2 * x.T @ (x @ page["start"] - y) / len(x)
    np.testing.assert_allclose(page["singles"].mean(axis=0), by_hand, rtol=1e-12)
    assert page["singles"].std(axis=0).min() > abs(by_hand).mean()  # and they scatter widely


def test_small_steps_go_further_for_the_same_number_of_examples():
    page = run_page("10-stochastic")
    best = page["best"]
    assert np.linalg.norm(page["single"][-1] - best) < np.linalg.norm(page["full"][-1] - best) / 4
    curves = page["curves"]
    for epoch in range(10):
        assert curves[16][epoch] < curves[128][epoch] < curves[1438][epoch]
    assert curves[16][-1] < 0.2 < 1 < curves[1438][-1]


@pytest.mark.parametrize("rate", [0.2, 1.0])
def test_the_full_gradient_was_given_its_best_rate(rate):
    page = run_page("10-stochastic")
    assert page["losses"](1438, rate)[-1] > page["curves"][1438][-1]


# --------------------------------------------------------------------------------- saturation


def test_the_slope_of_the_sigmoid_vanishes_at_both_ends():
    page = run_page("11-saturation")
    by_hand = 1 / (2 * np.cosh(page["z"] / 2)) ** 2
    np.testing.assert_allclose(page["slope"], by_hand, rtol=1e-9)
    assert page["slope"].max() == page["slope"][100] == 0.25
    assert page["slope"][[50, 150]].max() < 0.007


def test_a_saturated_unit_learns_slowly_from_the_squared_error():
    page = run_page("11-saturation")
    w, b = 2.0, 2.0
    for step in range(200):  # the same by hand
        p = 1 / (1 + math.exp(-w - b))
        assert page["squared"][step] == pytest.approx(p, rel=1e-9)
        w, b = w - 0.15 * p * p * (1 - p), b - 0.15 * p * p * (1 - p)
    assert page["squared"][100] > 0.95
    assert page["entropy"][30] < 0.25


def test_deep_in_a_sigmoid_network_almost_nothing_arrives():
    sizes = run_page("11-saturation")["sizes"]
    assert sizes["sigmoid"][0] < 1e-4 * sizes["sigmoid"][-1]
    assert (np.diff(sizes["sigmoid"]) > 0).all()
    assert sizes["tanh"][0] > 0.1 * sizes["tanh"][-1]
    assert sizes["sigmoid, chosen weights"][0] > 0.1 * sizes["sigmoid, chosen weights"][-1]


def test_a_dead_relu_stays_dead_and_a_leaky_one_comes_back():
    answers = run_page("11-saturation")["answers"]
    relu, leaky = nn.functional.relu, nn.functional.leaky_relu
    assert answers(relu, 0.5).tolist() == [0, 0]
    assert answers(relu, 0.1) == pytest.approx([0.5, 0.5], abs=0.01)
    assert answers(leaky, 0.5) == pytest.approx([0.5, 0.5], abs=0.01)


def test_a_dead_unit_gets_no_gradient_at_all():
    net = nn.mlp([3, 4, 2], "relu", key=kj.random.key(0))
    dead = net[0].replace(bias=kj.tensor([-100.0, 0.0, 0.0, 0.0]))
    net = nn.Sequential(dead, *net[1:])
    x, y = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32), np.arange(50) % 2
    gradient = kj.grad(lambda net: nn.cross_entropy(net(x), y))(net)
    still = (gradient[0].weight.numpy() == 0).all(axis=1)
    assert still.tolist() == [True, False, False, False]


def test_long_steps_kill_relus_but_no_leaky_ones():
    page = run_page("11-saturation")
    assert page["dead"]["leaky_relu"] == [0] * len(page["rates"])
    assert page["dead"]["relu"][:3] == [0, 0, 0]
    assert min(page["dead"]["relu"][-3:]) > 16
