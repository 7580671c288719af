"""Sorting and counting mean what NumPy's functions mean; NaN, ties, dtypes, shapes by data."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

import kedja as kj
from kedja.ground.dtypes import ALL, NUMBERS, is_half
from kedja.ground.errors import DataError, DtypeError, ShapeError, TracingError, UsageError
from kedja.ground.flags import scope
from tests.fixtures import TIERS

RNG = np.random.default_rng(2)
X = RNG.standard_normal((3, 5, 4))
INF, NAN = np.inf, np.nan
SMALL = arrays_of.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=5)
FLOATS = st.sampled_from([-INF, -2.0, -0.5, 0.0, 0.5, 1.0, 1.5, 3.0, INF, NAN])


def same(found, expected):
    expected = np.asarray(expected)
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_array_equal(found.numpy(), expected)


def wide(x):
    return x.astype(np.float32) if is_half(x.dtype) else x


# ------------------------------------------------------------------------------------- sort


@given(x=arrays_of.arrays(np.float64, SMALL, elements=FLOATS), data=st.data())
def test_sort_and_argsort_are_stable_and_take_nan_for_the_largest(x, data):
    axis = data.draw(st.integers(-x.ndim, x.ndim - 1))
    same(kj.sort(x, axis=axis), np.sort(x, axis))
    order = np.argsort(x, axis, stable=True)
    same(kj.argsort(x, axis=axis), order)
    same(kj.sort(x, axis=axis, descending=True), np.flip(np.sort(x, axis), axis))
    down = kj.argsort(x, axis=axis, descending=True).numpy()
    ranks = np.take_along_axis(x, down, axis)
    same(kj.sort(x, axis=axis, descending=True), ranks)
    a, b, first, second = (
        np.moveaxis(each, axis, -1)[..., cut]
        for each in (ranks, down)
        for cut in (slice(None, -1), slice(1, None))
    )
    tied = (a == b) | (np.isnan(a) & np.isnan(b))
    assert (first < second)[tied].all()


@pytest.mark.parametrize("dtype", ALL, ids=str)
def test_every_dtype_is_sorted(dtype):
    x = np.array([[3, 0, 2, 1], [1, 1, 0, 2]]).astype(dtype)
    order = np.argsort(wide(x), axis=-1, stable=True)
    same(kj.sort(x), np.take_along_axis(x, order, -1))
    same(kj.argsort(x), order)
    assert kj.top_k(x, 2).values.dtype == dtype


def test_a_line_of_one_element_and_none():
    same(kj.sort(np.ones((3, 1))), np.ones((3, 1)))
    same(kj.argsort(np.ones((0, 2)), axis=0), np.zeros((0, 2), np.int64))
    with pytest.raises(UsageError, match="axis -1 of an array with 0 axes"):
        kj.sort(3.0)


@pytest.mark.parametrize("largest", [True, False])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_top_k(axis, largest):
    torch = pytest.importorskip("torch")
    found = kj.top_k(X, 3, axis, largest)
    expected = torch.topk(torch.tensor(X), 3, axis, largest)
    same(found.values, expected.values.numpy())
    same(found.indices, expected.indices.numpy())
    same(kj.topk([1.0, NAN, 2.0], 2).indices, np.array([1, 2]))
    with pytest.raises(UsageError, match="top_k of 9 from an axis of 5"):
        kj.top_k(X, 9, 1)


def test_gradients_go_back_to_where_the_elements_came_from():
    torch = pytest.importorskip("torch")
    w = RNG.standard_normal(X.shape)

    def compare(mine, theirs):
        x = torch.tensor(X, requires_grad=True)
        (expected,) = torch.autograd.grad(theirs(x), x)
        np.testing.assert_allclose(
            kj.grad(mine)(X).numpy(), expected.numpy(), rtol=1e-12, atol=1e-14
        )

    weights = torch.tensor(w)
    compare(
        lambda x: kj.sum(kj.sort(x, axis=1, descending=True) ** 2 * w),
        lambda x: (torch.sort(x, 1, descending=True).values ** 2 * weights).sum(),
    )
    compare(
        lambda x: kj.sum(kj.top_k(x, 2, axis=1).values ** 3),
        lambda x: (torch.topk(x, 2, 1).values ** 3).sum(),
    )
    for q in (0.3, 0.5, 1.0):
        compare(
            lambda x, q=q: kj.sum(kj.quantile(x, q, axis=1) ** 2),
            lambda x, q=q: (torch.quantile(x, q, 1) ** 2).sum(),
        )


# ------------------------------------------------------------------------------ searchsorted


@given(
    line=arrays_of.arrays(np.float64, st.integers(0, 9), elements=FLOATS),
    values=arrays_of.arrays(np.float64, arrays_of.array_shapes(max_side=4), elements=FLOATS),
    side=st.sampled_from(["left", "right"]),
)
def test_searchsorted(line, values, side):
    line = np.sort(line)
    same(kj.searchsorted(line, values, side=side), np.searchsorted(line, values, side))


def test_searchsorted_in_lines_of_their_own_and_by_a_sorter():
    torch = pytest.importorskip("torch")
    lines, values = np.sort(X, -1), RNG.standard_normal((3, 5, 6))
    expected = torch.searchsorted(torch.tensor(lines), torch.tensor(values), right=True)
    same(kj.searchsorted(lines, values, side="right"), expected.numpy())
    x = X[0, 0]
    same(kj.searchsorted(x, x, sorter=kj.argsort(x)), np.searchsorted(x, x, sorter=np.argsort(x)))
    same(kj.searchsorted([1.0, 2.0, 3.0], 2), np.searchsorted([1.0, 2.0, 3.0], 2))
    same(kj.searchsorted([1, 2, 3], 1.5), np.array(1))
    with pytest.raises(UsageError, match="'left' or 'right'"):
        kj.searchsorted(x, x, side="middle")
    with pytest.raises(ShapeError, match="all axes but the last"):
        kj.searchsorted(X, X[0])


# --------------------------------------------------------------------------------- quantiles


@pytest.mark.parametrize("method", ["linear", "lower", "higher", "midpoint", "nearest"])
@pytest.mark.parametrize("axis", [None, 0, -1, (0, 2)], ids=str)
def test_quantiles(axis, method):
    for q in (0.0, 0.1, 0.5, 1 / 3, 1.0, [0.25, 0.75], [[0.1], [0.9]]):
        for keepdims in (False, True):
            options = {"axis": axis, "keepdims": keepdims, "method": method}
            found, expected = kj.quantile(X, q, **options), np.quantile(X, q, **options)
            assert found.shape == expected.shape
            np.testing.assert_allclose(found.numpy(), expected, rtol=1e-14, atol=1e-15)


@given(x=arrays_of.arrays(np.float64, st.integers(1, 9), elements=FLOATS))
def test_median_of_anything(x):
    with np.errstate(all="ignore"):
        expected = np.median(x)
    found = kj.median(x).item()
    assert found == expected or np.isnan(expected) or np.isinf(expected)
    assert np.isnan(found) == np.isnan(x).any() or np.isinf(x).any()


def test_medians_of_infinities_and_nan():
    assert kj.median([1.0, INF, INF]).item() == INF
    assert kj.median([-INF, -INF, -INF, 1.0]).item() == -INF
    assert np.isnan(kj.median([1.0, NAN, 2.0]).item())
    assert kj.median(np.array([1, 2, 4, 8])).item() == 3
    assert kj.median(kj.tensor([1.0, 2.0]).astype("float16")).dtype == np.float16


def test_a_quantile_that_is_traced():
    """The part is an input of the program; its gradient is the slope of the line."""
    f = kj.jit(lambda x, q: kj.quantile(x, q, axis=1))
    np.testing.assert_allclose(f(X, 0.25).numpy(), np.quantile(X, 0.25, axis=1), rtol=1e-6)
    slope = kj.grad(lambda q: kj.quantile(np.array([0.0, 1.0, 5.0]), q))(kj.tensor(0.75))
    np.testing.assert_allclose(slope.numpy(), 8)


def test_wrong_quantiles():
    with pytest.raises(UsageError, match="between 0 and 1"):
        kj.quantile(X, 1.5)
    with pytest.raises(UsageError, match="linear"):
        kj.quantile(X, 0.5, method="linaer")
    with pytest.raises(ShapeError, match="over no elements"):
        kj.median(np.zeros((3, 0)), axis=1)


# ------------------------------------------------------------------ shapes that depend on data


@given(x=arrays_of.arrays(np.float64, SMALL, elements=FLOATS))
def test_unique(x):
    values, first, inverse, counts = np.unique(x, True, True, True, equal_nan=False)
    found = kj.unique_all(x)
    same(found.values, values)
    same(found.indices, first)
    same(found.inverse_indices, inverse.reshape(x.shape))
    same(found.counts, counts)
    assert kj.unique_counts(x).counts.tolist() == counts.tolist()
    same(kj.unique_inverse(x).inverse_indices, inverse.reshape(x.shape))
    same(kj.unique_values(x), values)


@pytest.mark.parametrize("dtype", ALL, ids=str)
def test_unique_and_nonzero_take_every_dtype(dtype):
    x = np.array([[1, 0, 1], [0, 1, 1]]).astype(dtype)
    same(kj.unique_values(x), np.array([0, 1]).astype(dtype))
    for found, expected in zip(kj.nonzero(x), np.nonzero(x), strict=True):
        same(found, expected)
    same(kj.argwhere(x), np.argwhere(x))
    same(kj.count_nonzero(x, axis=0), np.array([1, 1, 2]))
    assert kj.count_nonzero(x).item() == 4
    same(kj.count_nonzero(x, axis=1, keepdims=True), np.array([[2], [2]]))


def test_gradients_pass_unique_values():
    x = kj.tensor([3.0, 1.0, 3.0], requires_grad=True)
    kj.sum(kj.unique_values(x) * kj.tensor([10.0, 20.0])).backward()
    assert x.grad.tolist() == [20, 10, 0]


DEPENDING = {
    "unique_all": kj.unique_all,
    "unique_counts": kj.unique_counts,
    "unique_inverse": kj.unique_inverse,
    "unique_values": kj.unique_values,
    "nonzero": kj.nonzero,
    "argwhere": kj.argwhere,
    "bincount": lambda x: kj.bincount(kj.astype(x, kj.int64)),
}


@pytest.mark.parametrize("name", DEPENDING)
def test_inside_jit_the_error_says_that_the_shape_depends_on_data(name):
    with pytest.raises(TracingError, match=f"{name}.*depends on data") as caught:
        kj.jit(DEPENDING[name])(np.arange(3.0))
    assert "test_front_sorting.py" in str(caught.value)
    assert "jit" in str(caught.value)


def test_nonzero_of_a_scalar():
    with pytest.raises(ShapeError, match="scalar"):
        kj.nonzero(3.0)


# ---------------------------------------------------------------------------------- counting


@given(
    x=arrays_of.arrays(np.int64, st.integers(0, 20), elements=st.integers(0, 6)),
    least=st.integers(0, 9),
)
def test_bincount(x, least):
    same(kj.bincount(x, minlength=least), np.bincount(x, minlength=least))
    weights = np.sqrt(np.arange(x.size))
    found, expected = kj.bincount(x, weights), np.bincount(x, weights)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found.numpy(), expected)


@pytest.mark.parametrize("tier", TIERS)
def test_bincount_of_a_given_length(tier):
    with scope(tier=tier):
        f = kj.jit(lambda x, w: (kj.bincount(x, length=4), kj.bincount(x, w, length=4)))
        counts, sums = f(np.array([0, 3, 9, -1, 3]), np.array([1.0, 2.0, 4.0, 8.0, 0.5]))
        assert counts.tolist() == [1, 0, 0, 2]
        assert sums.tolist() == [1, 0, 0, 2.5]


def test_wrong_counts():
    with pytest.raises(DataError, match="bincount of -1"):
        kj.bincount([1, -1])
    with pytest.raises(DtypeError, match="whole numbers"):
        kj.bincount([1.5])
    with pytest.raises(DtypeError, match="one axis"):
        kj.bincount([[1]])
    with pytest.raises(ShapeError, match="one for each"):
        kj.bincount([1, 2], [1.0])


@pytest.mark.parametrize("density", [False, True])
@pytest.mark.parametrize("bins", [1, 7, [-1.0, 0.0, 0.5, 2.0]], ids=str)
@pytest.mark.parametrize("span", [None, (-1.0, 1.5)])
def test_histogram(bins, span, density):
    for weights in (None, np.abs(X)):
        counts, edges = np.histogram(X, bins, span, density, weights)
        found = kj.histogram(X, bins, span, weights, density)
        np.testing.assert_allclose(found.counts.numpy(), counts, rtol=1e-12)
        np.testing.assert_allclose(found.edges.numpy(), edges, rtol=1e-12)
        assert density or found.counts.dtype == counts.dtype


@given(
    x=arrays_of.arrays(np.float64, st.integers(0, 30), elements=st.integers(-3, 3)),
    bins=st.integers(1, 9),
)
def test_histograms_of_whole_numbers_on_edges(x, bins):
    counts, edges = np.histogram(x, bins)
    found = kj.histogram(x, bins)
    same(found.counts, counts)
    np.testing.assert_allclose(found.edges.numpy(), edges, rtol=1e-15, atol=1e-15)


def test_wrong_histograms():
    with pytest.raises(UsageError, match="at least one"):
        kj.histogram(X, 0)
    with pytest.raises(ShapeError, match="at least two"):
        kj.histogram(X, [1.0])
    with pytest.raises(UsageError, match="lower bound first"):
        kj.histogram(X, 3, (1.0, 0.0))


# --------------------------------------------------------------------------------- composition


@pytest.mark.parametrize("tier", TIERS)
def test_sorting_composes_with_transformations(tier):
    def f(x):
        top = kj.top_k(x, 2).values
        counts, _ = kj.histogram(x, 3, (-2.0, 2.0), x)
        return (
            kj.sum(kj.sort(x) ** 2 * kj.arange(x.shape[0]))
            + kj.median(x)
            + kj.sum(top)
            + kj.sum(counts)
        )

    with scope(tier=tier):
        plain = [kj.grad(f)(each).numpy() for each in X[0]]
        for g in (kj.vmap(kj.grad(f)), kj.jit(kj.vmap(kj.grad(f))), kj.vmap(kj.jit(kj.grad(f)))):
            np.testing.assert_allclose(g(X[0]).numpy(), plain, rtol=1e-12)


@pytest.mark.parametrize("dtype", NUMBERS, ids=str)
def test_compiled_order_of_every_number(dtype):
    x = np.array([3, 0, 2, 1, 2]).astype(dtype)
    ordered, places = kj.jit(lambda x: (kj.sort(x), kj.argsort(x, descending=True)))(x)
    same(ordered, x[[1, 3, 2, 4, 0]])
    assert places.tolist() == [0, 2, 4, 3, 1]
