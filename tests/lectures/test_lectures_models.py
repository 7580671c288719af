"""The lectures on models: the perceptron, softmax and sigmoid, regression as maximum likelihood.

scikit-learn is the oracle for the coefficients. Next: `test_lectures_descent.py`.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression, LogisticRegression

import kedja as kj
from docs.lectures.figures import run_page
from kedja import nn

CORNERS = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
logits = st.lists(st.floats(-30, 30), min_size=2, max_size=8).map(np.array)


# ----------------------------------------------------------------------------- the perceptron


@pytest.mark.parametrize("wanted", range(16))
def test_of_the_sixteen_functions_all_but_xor_and_its_opposite_are_learnable(wanted):
    answers = [wanted >> i & 1 for i in range(4)]
    model, mistakes = nn.Perceptron(2).fit(CORNERS, answers, epochs=100)
    if answers in ([0, 1, 1, 0], [1, 0, 0, 1]):
        assert min(mistakes) > 0
        assert len(mistakes) == 100
    else:
        assert mistakes[-1] == 0
        assert model(CORNERS).tolist() == answers


def test_the_rule_changes_weights_by_the_example_that_was_wrong():
    start = nn.Perceptron(2)
    model, mistakes = start.fit([[2.0, -3.0]], [1], epochs=1)  # 0 is no yes: one mistake
    assert mistakes == [1]
    assert (model.weight.tolist(), model.bias.item()) == ([2.0, -3.0], 1.0)
    again, mistakes = model.fit([[2.0, -3.0]], [1], epochs=1)
    assert mistakes == [0]
    assert again.weight.tolist() == [2.0, -3.0]


def test_or_and_and_as_hidden_units_make_xor_learnable():
    page = run_page("02-perceptron")
    assert page["top"](page["hidden"]).tolist() == [0, 1, 1, 0]


# ---------------------------------------------------------------------- softmax and sigmoid


@given(logits)
def test_softmax_gives_probabilities(z):
    y = kj.softmax(z).numpy()
    assert (y > 0).all()
    assert y.sum() == pytest.approx(1, rel=1e-12)  # the notes' sum of squares is a slip …
    assert np.square(y).sum() < 1 + 1e-12
    np.testing.assert_allclose(kj.softmax(z + 500).numpy(), y, rtol=1e-9)


def test_the_squares_add_up_to_1_only_at_the_corners():
    assert np.square(kj.softmax(np.zeros(4)).numpy()).sum() == pytest.approx(0.25)
    corner = kj.softmax(np.array([800.0, 0.0, 0.0])).numpy()
    assert corner.tolist() == [1.0, 0.0, 0.0]


@given(st.floats(-30, 30))
def test_a_sigmoid_is_the_softmax_of_two_classes(z):
    p = kj.sigmoid(np.array(z)).item()
    pair = np.array([z, 0.0])
    assert p == pytest.approx(kj.softmax(pair).numpy()[0], rel=1e-12)
    assert p == pytest.approx(1 / (1 + math.exp(-z)), rel=1e-12)
    assert (p > 0.5) == (z > 2e-16) or abs(z) < 1e-15
    for label, place in ((1.0, 0), (0.0, 1)):
        binary = nn.binary_cross_entropy_with_logits(np.array(z), label).item()
        assert binary == pytest.approx(nn.cross_entropy(pair, place).item(), rel=1e-9, abs=1e-14)


@given(st.floats(-20, 20))
def test_slope_of_the_sigmoid_and_gradient_of_its_loss(z):
    p = 1 / (1 + math.exp(-z))
    at = np.array(z)
    assert kj.grad(kj.sigmoid)(at).item() == pytest.approx(p * (1 - p), rel=1e-6)
    for y in (0.0, 1.0):
        found = kj.grad(lambda z, y=y: nn.binary_cross_entropy_with_logits(z, y))(at).item()
        assert found == pytest.approx(p - y, rel=1e-6, abs=1e-12)


# ------------------------------------------------------------------------- maximum likelihood


def test_linear_regression_finds_scikit_learns_coefficients():
    page = run_page("08-likelihood")
    peer = LinearRegression().fit(page["x"], page["progress"])
    np.testing.assert_allclose(page["line"].weight.numpy()[0], peer.coef_, rtol=1e-9)
    assert page["line"].bias.item() == pytest.approx(peer.intercept_, rel=1e-9)


def test_logistic_regression_finds_scikit_learns_coefficients():
    page = run_page("08-likelihood")
    peer = LogisticRegression(C=np.inf, tol=1e-12, max_iter=1000)  # C = ∞ is no penalty
    peer.fit(page["x2"], page["malignant"])
    np.testing.assert_allclose(page["curve"].weight.numpy(), peer.coef_, rtol=1e-6)
    np.testing.assert_allclose(page["curve"].bias.numpy(), peer.intercept_, rtol=1e-6)
    ours = kj.sigmoid(page["curve"](page["x2"])[:, 0]).numpy()
    np.testing.assert_allclose(ours, peer.predict_proba(page["x2"])[:, 1], atol=1e-7)


def test_other_coefficients_are_less_likely():
    page = run_page("08-likelihood")
    x, y, best = page["x2"], page["malignant"].astype(np.float64), page["curve"]

    def log_likelihood(model):
        p = kj.sigmoid(model(x)[:, 0]).numpy()
        return np.log(np.where(y == 1, p, 1 - p)).sum()

    loss = nn.binary_cross_entropy_with_logits(best(x)[:, 0], y).item()
    assert -log_likelihood(best) / len(y) == pytest.approx(loss, rel=1e-12)
    for place in range(2):
        for change in (-0.1, 0.1):
            weight = best.weight.numpy().copy()
            weight[0, place] += change
            other = best.replace(weight=kj.Tensor(weight))
            assert log_likelihood(other) < log_likelihood(best) - 0.01


@given(st.integers(0, 1000), st.integers(1, 6), st.integers(2, 5))
def test_cross_entropy_is_the_negative_log_likelihood(seed, count, classes):
    rng = np.random.default_rng(seed)
    z, labels = 3 * rng.normal(size=(count, classes)), rng.integers(0, classes, count)
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    likelihood = math.prod(p[range(count), labels])
    found, gradient = kj.value_and_grad(nn.cross_entropy)(z, labels)
    assert found.item() == pytest.approx(-math.log(likelihood) / count, rel=1e-9)
    np.testing.assert_allclose(gradient.numpy(), (p - np.eye(classes)[labels]) / count, atol=1e-12)
