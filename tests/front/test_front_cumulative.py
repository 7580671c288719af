"""Cumulative functions against NumPy and PyTorch: values, dtypes, gradients at zeros and ties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kedja as kj
from kedja.ground.errors import UsageError
from tests.nn.compare import assert_like_torch

RNG = np.random.default_rng(0)
PAIRS = [  # ours, NumPy's
    (kj.cumulative_sum, np.cumsum),
    (kj.cumulative_prod, np.cumprod),
    (kj.cumulative_max, np.maximum.accumulate),
    (kj.cumulative_min, np.minimum.accumulate),
    (kj.cumulative_logsumexp, np.logaddexp.accumulate),
]


@pytest.mark.parametrize(("ours", "theirs"), PAIRS, ids=lambda f: f.__name__)
@settings(max_examples=25)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=3), st.integers(-3, 2), st.booleans())
def test_values_are_numpys(ours, theirs, shape, axis, compiled):
    axis = axis % len(shape)
    x = np.random.default_rng(sum(shape)).standard_normal(shape)
    function = kj.jit(lambda v: ours(v, axis)) if compiled else lambda v: ours(v, axis)
    np.testing.assert_allclose(function(kj.tensor(x)), theirs(x, axis=axis), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", ["sum", "prod"])
@pytest.mark.parametrize(
    ("dtype", "wide"),
    [("bool", "int64"), ("uint8", "uint64"), ("int16", "int64"), ("float32", "float32"),
     ("bfloat16", "bfloat16"), ("uint64", "uint64")],
)  # fmt: skip
def test_the_dtypes_are_the_standards(name, dtype, wide):
    function = getattr(kj, f"cumulative_{name}")
    x = kj.asarray([1, 1, 1], dtype=dtype)
    assert function(x).dtype.name == wide
    assert function(x, dtype="float64").dtype.name == "float64"
    assert function(x, include_initial=True).dtype.name == wide


def test_small_integers_do_not_overflow():
    x = kj.tensor(np.full(300, 200, np.uint8))
    assert kj.cumulative_sum(x)[-1].item() == 60_000


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_the_initial_value_stands_in_front(axis):
    x = RNG.standard_normal((3, 4))
    for function, first in ((kj.cumulative_sum, 0), (kj.cumulative_prod, 1)):
        longer = function(x, axis, include_initial=True).numpy()
        start, rest = np.split(longer, [1], axis=axis)
        assert (start == first).all()
        np.testing.assert_array_equal(rest, function(x, axis))


def test_without_an_axis_numpys_names_flatten():
    x = np.arange(6).reshape(2, 3)
    np.testing.assert_array_equal(kj.cumsum(x), np.cumsum(x))
    np.testing.assert_array_equal(kj.cumprod(x + 1), np.cumprod(x + 1))
    with pytest.raises(UsageError, match="cumulative_sum over 2 axes without `axis`"):
        kj.cumulative_sum(x)
    with pytest.raises(UsageError, match="axis 2 of an array with 2 axes"):
        kj.cumulative_sum(x, axis=2)


def test_a_scalar_is_one_element():
    assert kj.cumsum(3.0, 0).shape == ()
    assert kj.cumsum(3.0).shape == (1,)
    assert [each.item() for each in kj.cummax(3.0, 0)] == [3.0, 0]
    assert kj.logcumsumexp(3.0, -1).item() == 3.0


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("zeros", [0, 1, 2, 5])
def test_gradients_are_pytorchs_also_at_zeros(axis, zeros):
    torch = pytest.importorskip("torch")
    x = RNG.standard_normal((5, 6))
    x.reshape(-1)[RNG.permutation(30)[:zeros]] = 0
    for name in ("cumsum", "cumprod", "logcumsumexp"):
        ours, theirs = getattr(kj, name), getattr(torch, name)
        assert_like_torch(torch, lambda v, f=ours: f(v, axis), lambda v, f=theirs: f(v, axis), [x])


@pytest.mark.parametrize("name", ["cummax", "cummin"])
def test_extremes_are_pytorchs_also_at_ties(name):
    torch = pytest.importorskip("torch")
    x = RNG.integers(-2, 3, (7, 40)).astype(float)
    ours, theirs = getattr(kj, name)(x, 1), getattr(torch, name)(torch.tensor(x), 1)
    np.testing.assert_array_equal(ours.values, theirs.values)
    np.testing.assert_array_equal(ours.indices, theirs.indices)
    values = lambda lib: lambda v: getattr(lib, name)(v, 1)[0]  # noqa: E731
    assert_like_torch(torch, values(kj), values(torch), [x])


def test_nan_stays_and_infinities_cancel_to_nan():
    x = np.array([1.0, np.nan, 2.0])
    np.testing.assert_array_equal(kj.cumulative_max(x), [1.0, np.nan, np.nan])
    np.testing.assert_array_equal(kj.cumsum([1.0, np.inf, -np.inf, 1.0])[1:3], [np.inf, np.nan])
    low = kj.cumulative_logsumexp([-np.inf, 0.0, 1000.0])
    np.testing.assert_array_equal(low, np.float32([-np.inf, 0.0, 1000.0]))


def test_they_batch_and_differentiate_twice():
    x = RNG.standard_normal((4, 5))
    each = kj.vmap(lambda row: kj.cumulative_prod(row))(kj.tensor(x))
    np.testing.assert_allclose(each, np.cumprod(x, axis=1))
    hessian = kj.hessian(lambda v: kj.cumulative_prod(v)[-1])(kj.tensor([2.0, 0.0, 3.0]))
    np.testing.assert_allclose(hessian, [[0, 3, 0], [3, 0, 2], [0, 2, 0]])
