"""Losses of classes against PyTorch: layouts, ignored labels, probabilities, weights; CTC."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kedja as kj
from kedja import nn
from kedja.ground.errors import DataError, DtypeError, ShapeError, UsageError
from tests.nn.compare import assert_like_torch, deviation

torch = pytest.importorskip("torch")
F = torch.nn.functional

REDUCTIONS = st.sampled_from(["mean", "sum", "none"])
PLACES = st.sampled_from([(), (5,), (2, 3)])  # the trailing axes of PyTorch's layout
CLASSES = 4


def case(seed, places, ignored):
    """Logits (3, C, …) and labels (3, …), some of them ignored."""
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((3, CLASSES, *places)) * 3
    label = rng.integers(0, CLASSES, (3, *places))
    if ignored is not None:
        label[rng.random(label.shape) < 0.4] = ignored
    return z, label


@settings(max_examples=60)
@given(
    seed=st.integers(0, 5),
    places=PLACES,
    reduction=REDUCTIONS,
    weighted=st.booleans(),
    ignored=st.sampled_from([None, -100, 2]),
    smoothing=st.sampled_from([0.0, 0.2, 1.0]),
    nll=st.booleans(),
)
def test_all_options_together_equal_pytorchs(
    seed, places, reduction, weighted, ignored, smoothing, nll
):
    z, label = case(seed, places, ignored)
    weight = np.random.default_rng(seed).uniform(0.2, 3, CLASSES) if weighted else None
    options = {"ignore_index": -100 if ignored is None else ignored}
    if not nll:
        options["label_smoothing"] = smoothing
    name = "nll_loss" if nll else "cross_entropy"

    def theirs(z):
        scale = None if weight is None else torch.tensor(weight)
        f = getattr(F, name)
        return f(z, torch.tensor(label), weight=scale, reduction=reduction, **options)

    def ours(z):
        return getattr(nn, name)(z, label, reduction, weight=weight, axis=1, **options)

    def functional(z):
        f = getattr(nn.functional, name)
        return f(z, label, weight, reduction=reduction, **options)

    def last(z):
        moved = kj.moveaxis(z, 1, -1)
        return getattr(nn, name)(moved, label, reduction, weight=weight, **options)

    def layer(z):
        kind = nn.NLLLoss if nll else nn.CrossEntropyLoss
        scale = None if weight is None else kj.tensor(weight)
        return kind(weight=scale, reduction=reduction, **options)(z, label)

    if weight is not None and (label == options["ignore_index"]).all() and reduction == "mean":
        return  # 0/0 in both
    for mine in (ours, functional, last, layer):
        assert_like_torch(torch, mine, theirs, [z])


@settings(max_examples=30)
@given(
    seed=st.integers(0, 5),
    places=PLACES,
    reduction=REDUCTIONS,
    weighted=st.booleans(),
    smoothing=st.sampled_from([0.0, 0.2]),
)
def test_probabilities_as_answers_equal_pytorchs(seed, places, reduction, weighted, smoothing):
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((3, CLASSES, *places)) * 3
    y = rng.dirichlet(np.ones(CLASSES), (3, *places))
    y = np.ascontiguousarray(np.moveaxis(y, -1, 1))
    weight = rng.uniform(0.2, 3, CLASSES) if weighted else None

    def theirs(z, y):
        scale = None if weight is None else torch.tensor(weight)
        options = {"reduction": reduction, "label_smoothing": smoothing}
        return F.cross_entropy(z, y, weight=scale, **options)

    def ours(z, y):
        options = {"weight": weight, "label_smoothing": smoothing, "axis": 1}
        return nn.cross_entropy(z, y, reduction, **options)

    assert_like_torch(torch, ours, theirs, [z, y])


def test_a_single_example_and_none_at_all():
    z = np.array([0.3, -1.0, 2.0])
    assert_like_torch(
        torch,
        lambda z: nn.CrossEntropyLoss()(z, np.int64(1)),
        lambda z: F.cross_entropy(z, torch.tensor(1)),
        [z],
    )
    empty = np.zeros((0, 3))
    none = np.zeros(0, int)
    assert nn.cross_entropy(empty, none, "sum").item() == 0
    assert nn.cross_entropy(empty, none, "none").shape == (0,)
    with np.errstate(all="ignore"):
        assert np.isnan(nn.cross_entropy(empty, none).item())


def test_nothing_but_ignored_labels():
    z, label = np.zeros((2, 3)), np.full(2, -100)
    assert nn.cross_entropy(z, label, "sum").item() == 0
    with np.errstate(all="ignore"):
        assert np.isnan(nn.cross_entropy(z, label).item())  # as PyTorch's: the mean of none
    gradient = kj.grad(lambda z: nn.cross_entropy(z, label, "sum"))(z)
    np.testing.assert_array_equal(gradient, 0)


@pytest.mark.parametrize("tier", ["interpret", "compile"])
def test_ignored_labels_inside_jit(tier):
    z = np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32)
    label = np.array([0, -100, 2, -100])
    expected = F.cross_entropy(torch.tensor(z), torch.tensor(label)).item()
    with kj.scope(tier=tier):
        found = kj.jit(lambda z, y: nn.cross_entropy(z, y, label_smoothing=0.0))(z, label)
    assert found.item() == pytest.approx(expected, rel=1e-6)


def test_no_label_is_ignored_where_that_is_asked_for():
    with pytest.raises(DataError, match="label -100 with 3 classes"):
        nn.cross_entropy(np.zeros((1, 3)), [-100], ignore_index=None)
    with pytest.raises(DataError, match="label 7 with 3 classes"):
        nn.cross_entropy(np.zeros((2, 3)), [-100, 7])


def test_pytorchs_layout_is_offered_where_it_would_fit():
    with pytest.raises(ShapeError) as error:
        nn.cross_entropy(np.zeros((2, 3, 5)), np.zeros((2, 5), int))
    assert "axis=1" in error.value.fix
    with pytest.raises(ShapeError, match="a single number"):
        nn.cross_entropy(np.float32(1), 0)


def test_half_dtypes_are_computed_in_float32():
    z = kj.tensor(np.random.default_rng(0).standard_normal((5, 3)), "bfloat16")
    found = nn.cross_entropy(z, [0, 1, 2, 1, 0])
    assert found.dtype == kj.float32
    assert found.item() == nn.cross_entropy(z.astype("float32"), [0, 1, 2, 1, 0]).item()
    assert kj.grad(lambda z: nn.cross_entropy(z, [0, 1, 2, 1, 0]))(z).dtype == kj.bfloat16


@pytest.mark.filterwarnings("ignore:reduction")  # PyTorch warns of its own "mean"
@pytest.mark.parametrize("reduction", ["mean", "sum", "none", "batchmean"])
@pytest.mark.parametrize("log_target", [False, True])
def test_divergence_equals_pytorchs(reduction, log_target):
    rng = np.random.default_rng(0)
    p = np.log(rng.dirichlet(np.ones(4), 5))
    y = rng.dirichlet(np.ones(4), 5)
    y = np.log(y) if log_target else y
    assert_like_torch(
        torch,
        lambda p, y: nn.kl_div(p, y, reduction, log_target),
        lambda p, y: F.kl_div(p, y, reduction=reduction, log_target=log_target),
        [p, y],
    )


def test_divergence_where_the_answer_is_zero():
    p, y = np.log([0.25, 0.75]), np.array([0.0, 1.0])
    found = nn.kl_div(p, y, "none")
    np.testing.assert_allclose(found, F.kl_div(torch.tensor(p), torch.tensor(y), reduction="none"))
    assert np.isfinite(kj.grad(lambda y: nn.kl_div(p, y))(y)).all()


# ------------------------------------------------------------------------------------- CTC


@settings(max_examples=15)
@given(
    seed=st.integers(0, 20),
    reduction=REDUCTIONS,
    blank=st.sampled_from([0, 2]),
    zero_infinity=st.booleans(),
)
def test_ctc_equals_pytorchs(seed, reduction, blank, zero_infinity):
    rng = np.random.default_rng(seed)
    steps, count, classes, longest = 7, 3, 5, 3
    z = rng.standard_normal((steps, count, classes))
    words = [each for each in range(classes) if each != blank]
    label = rng.choice(words, (count, longest))
    lengths = np.array([7, 6, 7]), rng.integers(0, longest + 1, count)
    options = {"blank": blank, "reduction": reduction, "zero_infinity": zero_infinity}

    def theirs(z):
        given = (torch.tensor(each) for each in (label, *lengths))
        return F.ctc_loss(F.log_softmax(z, -1), *given, **options)

    def ours(z):
        return nn.ctc_loss(kj.log_softmax(z, -1), label, *lengths, **options)

    assert_like_torch(torch, ours, theirs, [z])


def test_ctc_of_a_sequence_that_is_too_short():
    p = kj.log_softmax(np.zeros((2, 1, 3)), -1)
    assert nn.ctc_loss(p, [[1, 1]], [2], [2]).item() == np.inf  # needs 1, blank, 1
    assert nn.ctc_loss(p, [[1, 1]], [2], [2], zero_infinity=True).item() == 0
    assert nn.CTCLoss(reduction="none")(p[:, 0], [1, 2], 2, 2).shape == ()
    gradient = kj.grad(lambda p: nn.ctc_loss(p, [[1, 1]], [2], [2], zero_infinity=True))(p)
    np.testing.assert_array_equal(gradient, 0)


@pytest.mark.parametrize(
    "call, error, what",
    [
        (lambda p: nn.ctc_loss(p, [[1.0]], [2], [1]), DtypeError, "labels of float32"),
        (lambda p: nn.ctc_loss(p, [[1]], [2, 2], [1]), ShapeError, "lengths [2] and [1]"),
        (lambda p: nn.ctc_loss(p, [[1]], [3], [1]), DataError, "input_lengths [3]"),
        (lambda p: nn.ctc_loss(p, [[1]], [2], [2]), DataError, "label_lengths [2]"),
        (lambda p: nn.ctc_loss(p, [[1]], [2], [1], blank=3), DataError, "blank=3"),
    ],
)
def test_wrong_use_of_ctc_is_named(call, error, what):
    with pytest.raises(error) as caught:
        call(np.zeros((2, 1, 3)))
    assert what in str(caught.value)


def test_options_out_of_range():
    with pytest.raises(UsageError, match="reduction 'batchmean'"):
        nn.cross_entropy(np.zeros((1, 3)), [0], "batchmean")
    with pytest.raises(UsageError, match="label_smoothing 1"):
        nn.cross_entropy(np.zeros((1, 3)), [0], label_smoothing=1.5)
    with pytest.raises(ShapeError, match=r"weights \[3\] for 4 classes"):
        nn.CrossEntropyLoss(weight=kj.ones(3))(np.zeros((2, 4, 5)), np.zeros((2, 5), int))


def test_derivatives_equal_finite_differences():
    rng = np.random.default_rng(0)
    z = rng.standard_normal((4, 1, 3))
    losses = [
        lambda z: nn.cross_entropy(z[:, 0], [0, -100, 1, 2], label_smoothing=0.1),
        lambda z: nn.kl_div(kj.log_softmax(z), kj.softmax(2 * z)),
        lambda z: nn.ctc_loss(kj.log_softmax(z), [[1, 2]], [4], [2]),
    ]
    for loss in losses:
        assert deviation(loss, z) < 1e-6
