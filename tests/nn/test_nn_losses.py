"""Losses: values and gradients against PyTorch, the lectures' numbers, stability, errors."""

from __future__ import annotations

import numpy as np
import pytest

import kedja as kj
from kedja import nn
from kedja.ground.errors import DataError, DtypeError, ShapeError, UsageError
from tests.nn.compare import assert_like_torch, deviation

RNG = np.random.default_rng(0)
LOGITS = RNG.standard_normal((6, 4)) * 3
LABELS = np.array([0, 3, 1, 1, 2, 0])
WEIGHT = np.array([0.2, 1.0, 3.0, 0.5])
REDUCTIONS = ["mean", "sum", "none"]
LECTURE = [0.54, 0.24, 0.92, 0.61, 0.51, 0.14, 0.42, 0.32, 0.51, 0.87]


# ------------------------------------------------------------------------------- of numbers


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_mse_equals_pytorchs(reduction):
    torch = pytest.importorskip("torch")
    pair = [RNG.standard_normal((3, 4)), RNG.standard_normal((3, 4))]
    theirs = lambda a, b: torch.nn.functional.mse_loss(a, b, reduction=reduction)  # noqa: E731
    assert_like_torch(torch, lambda a, b: nn.mse_loss(a, b, reduction), theirs, pair)


@pytest.mark.parametrize("label, expected", [(2, 2.3032), (9, 2.4032)])
def test_the_lectures_squared_error(label, expected):
    one_hot = np.eye(10)[label]
    outputs = np.array(LECTURE)
    assert nn.squared_error(outputs, one_hot).item() == pytest.approx(expected, abs=1e-12)
    assert nn.squared_error(outputs, label).item() == pytest.approx(expected, abs=1e-12)
    assert nn.squared_error(LECTURE, label).dtype == kj.float32


def test_squared_error_of_a_batch():
    outputs = np.stack([LECTURE, LECTURE])
    labels = np.array([2, 9], np.uint8)
    np.testing.assert_allclose(nn.squared_error(outputs, labels, "none"), [2.3032, 2.4032])
    assert nn.squared_error(outputs, labels).item() == pytest.approx(4.7064)
    assert nn.squared_error(outputs, labels, "mean").item() == pytest.approx(2.3532)


def test_nothing_is_broadcast():
    with pytest.raises(
        ShapeError, match=r"mse_loss of outputs \[3, 1\] and targets \[3\]"
    ) as error:
        nn.mse_loss(np.zeros((3, 1)), np.zeros(3))
    assert "targets.reshape(3, 1)" in error.value.fix
    with pytest.raises(ShapeError) as error:
        nn.mse_loss(LOGITS, LABELS)
    assert "kj.one_hot(targets, 4)" in error.value.fix


# ------------------------------------------------------------------------------- of classes


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("weight", [None, WEIGHT])
def test_cross_entropy_equals_pytorchs(reduction, smoothing, weight):
    torch = pytest.importorskip("torch")

    def ours(z):
        return nn.cross_entropy(z, LABELS, reduction, weight=weight, label_smoothing=smoothing)

    def theirs(z):
        return torch.nn.functional.cross_entropy(
            z,
            torch.tensor(LABELS),
            weight=None if weight is None else torch.tensor(weight),
            reduction=reduction,
            label_smoothing=smoothing,
        )

    assert_like_torch(torch, ours, theirs, [LOGITS])


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weight", [None, WEIGHT])
def test_nll_equals_pytorchs_and_cross_entropy(reduction, weight):
    torch = pytest.importorskip("torch")
    theirs_weight = None if weight is None else torch.tensor(weight)

    def theirs(p):
        labels = torch.tensor(LABELS)
        return torch.nn.functional.nll_loss(p, labels, weight=theirs_weight, reduction=reduction)

    ours = lambda p: nn.nll_loss(p, LABELS, reduction, weight=weight)  # noqa: E731
    p = kj.log_softmax(LOGITS).numpy()
    assert_like_torch(torch, ours, theirs, [p])
    np.testing.assert_allclose(ours(p), nn.cross_entropy(LOGITS, LABELS, reduction, weight=weight))


@pytest.mark.parametrize("dtype", ["uint8", "uint32", "int32", "int64"])
def test_labels_of_any_integer_dtype(dtype):
    expected = nn.cross_entropy(LOGITS, LABELS, weight=WEIGHT, label_smoothing=0.1).item()
    labels = LABELS.astype(dtype)
    found = nn.cross_entropy(LOGITS, labels, weight=WEIGHT, label_smoothing=0.1)
    assert found.item() == expected
    assert nn.nll_loss(LOGITS, labels).item() == nn.nll_loss(LOGITS, LABELS).item()
    gradient = kj.grad(lambda z: nn.cross_entropy(z, labels))(LOGITS)
    softmax = np.exp(LOGITS) / np.exp(LOGITS).sum(1, keepdims=True)
    np.testing.assert_allclose(gradient, (softmax - np.eye(4)[LABELS]) / 6, rtol=1e-12)


def test_cross_entropy_has_no_overflow():
    z = np.array([[1000.0, -1000.0], [1000.0, -1000.0]], np.float32)
    found = nn.cross_entropy(z, [0, 1], "none")
    np.testing.assert_array_equal(found, [0, 2000])
    assert np.isfinite(kj.grad(lambda z: nn.cross_entropy(z, [0, 1]))(z)).all()


def test_sequences_have_one_label_at_each_place():
    z = RNG.standard_normal((2, 3, 4))
    labels = RNG.integers(0, 4, (2, 3))
    found = nn.cross_entropy(z, labels).item()
    assert found == pytest.approx(nn.cross_entropy(z.reshape(6, 4), labels.reshape(6)).item())


@pytest.mark.parametrize("loss", [nn.cross_entropy, nn.nll_loss])
@pytest.mark.parametrize(
    "labels, error, what, fix",
    [
        (np.zeros((6, 4), bool), DtypeError, "labels of bool", "one-hot: kj.argmax"),
        (np.zeros(6), DtypeError, "labels of float64", "labels.astype(kj.int64)"),
        (np.zeros(6, bool), DtypeError, "labels of bool", "labels.astype(kj.int64)"),
        (np.zeros((6, 1), int), ShapeError, "[6, 4] and labels [6, 1]", "labels.reshape(-1)"),
        (np.zeros((6, 4), int), ShapeError, "[6, 4] and labels [6, 4]", "one-hot: kj.argmax"),
        (np.zeros(5, int), ShapeError, "[6, 4] and labels [5]", "one label for each example"),
        (np.full(6, 4), DataError, "label 4 with 4 classes", "labels go from 0 to 3"),
        (np.full(6, -1), DataError, "label -1 with 4 classes", "labels go from 0 to 3"),
    ],
)
def test_labels_that_do_not_fit_are_named(loss, labels, error, what, fix):
    with pytest.raises(error) as caught:
        loss(LOGITS, labels)
    assert what in str(caught.value)
    assert fix in caught.value.fix
    assert "test_nn_losses.py" in str(caught.value)


def test_options_out_of_range():
    with pytest.raises(UsageError, match="label_smoothing 2"):
        nn.cross_entropy(LOGITS, LABELS, label_smoothing=2)
    with pytest.raises(UsageError, match="reduction 'average'"):
        nn.cross_entropy(LOGITS, LABELS, "average")
    with pytest.raises(ShapeError, match=r"weights \[3\] for 4 classes"):
        nn.cross_entropy(LOGITS, LABELS, weight=[1, 2, 3])


# ----------------------------------------------------------------------------- of yes and no

P = RNG.uniform(0.02, 0.98, (3, 4))
Y = RNG.integers(0, 2, (3, 4)).astype(float)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_binary_cross_entropy_equals_pytorchs(reduction):
    torch = pytest.importorskip("torch")
    theirs = torch.nn.functional.binary_cross_entropy
    assert_like_torch(
        torch,
        lambda p: nn.binary_cross_entropy(p, Y, reduction),
        lambda p: theirs(p, torch.tensor(Y), reduction=reduction),
        [P],
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_binary_cross_entropy_is_held_as_pytorchs(dtype):
    torch = pytest.importorskip("torch")
    p = np.array([0, 0, 1, 1, 1e-30, 1e-7], dtype)
    y = np.array([0, 1, 0, 1, 0, 0], dtype)
    theirs = torch.nn.functional.binary_cross_entropy
    expected = theirs(torch.tensor(p), torch.tensor(y), reduction="none")
    np.testing.assert_allclose(nn.binary_cross_entropy(p, y, "none"), expected, rtol=1e-6)
    gradient = kj.grad(lambda p: nn.binary_cross_entropy(p, y))(p)
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("value", [np.nan, -0.5, 1.5])
@pytest.mark.parametrize("answer", [0, 1])
def test_computed_values_that_are_no_probabilities_give_nan(value, answer):
    found = nn.binary_cross_entropy(kj.tensor([value]) * 1.0, [answer])
    assert np.isnan(found.item())


def test_binary_cross_entropy_of_logits_is_refused():
    with pytest.raises(DataError, match="outside 0 … 1") as error:
        nn.binary_cross_entropy([3.0], [1])
    assert "binary_cross_entropy_with_logits" in error.value.fix


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("pos_weight", [None, 3.0])
def test_binary_cross_entropy_with_logits_equals_pytorchs(reduction, pos_weight):
    torch = pytest.importorskip("torch")
    z = np.concatenate([LOGITS[:3], [[-30, 30, 0, 1e-3]]])
    y = RNG.uniform(0, 1, z.shape)
    theirs = torch.nn.functional.binary_cross_entropy_with_logits
    scale = None if pos_weight is None else torch.tensor(pos_weight)
    assert_like_torch(
        torch,
        lambda z: nn.binary_cross_entropy_with_logits(z, y, reduction, pos_weight=pos_weight),
        lambda z: theirs(z, torch.tensor(y), reduction=reduction, pos_weight=scale),
        [z],
    )


def test_binary_cross_entropy_with_logits_is_exact_far_out():
    z = np.array([-1000, 1000, 40, -40], np.float32)
    found = nn.binary_cross_entropy_with_logits(z, [1, 1, 1, 0], "none")
    np.testing.assert_allclose(found, [1000, 0, np.exp(-40.0), np.exp(-40.0)], rtol=1e-6)
    gradient = kj.grad(lambda z: nn.binary_cross_entropy_with_logits(z, [1, 1, 1, 0], "sum"))(z)
    np.testing.assert_allclose(gradient, [-1, 0, -np.exp(-40.0), np.exp(-40.0)], rtol=1e-6)


@pytest.mark.parametrize(
    "loss, x",
    [
        (lambda z: nn.cross_entropy(z, LABELS, weight=WEIGHT, label_smoothing=0.2), LOGITS),
        (lambda p: nn.binary_cross_entropy(p, Y), P),
        (lambda z: nn.binary_cross_entropy_with_logits(z, Y, pos_weight=2.0), P),
        (lambda z: nn.squared_error(z, LABELS), LOGITS),
    ],
)
def test_derivatives_equal_finite_differences(loss, x):
    assert deviation(loss, x) < 1e-7
