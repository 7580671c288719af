"""Pooling against PyTorch in float64: values, gradients, places of the maxima, every option."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kedja as kj
from kedja.ground.errors import ShapeError, UsageError
from kedja.nn import functional as F  # noqa: N812
from tests.nn.compare import assert_like_torch, deviation


@pytest.fixture(scope="module")
def torch() -> Any:
    return pytest.importorskip("torch")


@st.composite
def windows(draw: Any, dilated: bool) -> tuple[tuple[int, ...], dict[str, Any]]:
    """A shape, and the options of windows that fit into it."""
    count = draw(st.integers(1, 3))

    def several(low: int, high: int) -> tuple[int, ...]:
        return tuple(draw(st.integers(low, high)) for _ in range(count))

    kernel = several(1, 4)
    options = {
        "kernel_size": kernel,
        "stride": draw(st.sampled_from([None, several(1, 4)])),
        "padding": tuple(draw(st.integers(0, k // 2)) for k in kernel),
        "ceil_mode": draw(st.booleans()),
    }
    if dilated:
        options["dilation"] = several(1, 2)
    gaps = options.get("dilation", (1,) * count)
    least = [max(1, d * (k - 1) + 1) for k, d in zip(kernel, gaps, strict=True)]
    extents = tuple(n + draw(st.integers(0, 6)) for n in least)
    return (draw(st.integers(1, 2)), draw(st.integers(1, 2)), *extents), options


def array(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


# -------------------------------------------------------------------------------------- max


@settings(max_examples=60)
@given(windows(dilated=True))
def test_max_pool_is_pytorchs(torch, case):
    shape, options = case
    theirs = getattr(torch.nn.functional, f"max_pool{len(shape) - 2}d")
    ours = lambda v: kj.max_pool(v, **options)  # noqa: E731
    assert_like_torch(torch, ours, lambda v: theirs(v, **options), [array(shape)])


@settings(max_examples=40)
@given(windows(dilated=True))
def test_ties_go_to_the_first_as_in_pytorch(torch, case):
    shape, options = case
    x = np.random.default_rng(1).integers(0, 3, shape).astype(float)
    theirs = getattr(torch.nn.functional, f"max_pool{len(shape) - 2}d")
    ours = lambda v: kj.max_pool(v, **options)  # noqa: E731
    assert_like_torch(torch, ours, lambda v: theirs(v, **options), [x])
    values, places = kj.max_pool(x, **options, return_indices=True)
    right = theirs(torch.tensor(x), **options, return_indices=True)
    np.testing.assert_array_equal(values, right[0])
    np.testing.assert_array_equal(places, right[1])
    assert places.dtype == kj.int64


@settings(max_examples=15)
@given(windows(dilated=True), st.sampled_from(["max_pool", "avg_pool"]))
def test_compiled_is_interpreted(case, name):
    shape, options = case
    if name == "avg_pool":
        options = {key: value for key, value in options.items() if key != "dilation"}
    loss = lambda v: kj.sum(getattr(kj, name)(v, **options) ** 2)  # noqa: E731
    both = kj.value_and_grad(loss)
    value, gradient = both(array(shape))
    compiled_value, compiled = kj.jit(both)(array(shape))
    np.testing.assert_allclose(compiled_value, value, rtol=1e-12)
    np.testing.assert_allclose(compiled, gradient, rtol=1e-11, atol=1e-12)


@settings(max_examples=30)
@given(windows(dilated=False))
def test_max_unpool_is_pytorchs(torch, case):
    """Where windows do not overlap: elsewhere PyTorch does not say which of several is put back."""
    shape, options = case
    options = {"kernel_size": options["kernel_size"]}
    values, places = kj.max_pool(array(shape), **options, return_indices=True)
    theirs = getattr(torch.nn.functional, f"max_unpool{len(shape) - 2}d")
    right = torch.tensor(places.numpy())
    divides = all(n % k == 0 for n, k in zip(shape[2:], options["kernel_size"], strict=True))
    for size in (None, shape[2:]) if divides else (shape[2:],):
        assert_like_torch(
            torch,
            lambda v, size=size: kj.max_unpool(v, places, **options, output_size=size),
            lambda v, size=size: theirs(v, right, **options, output_size=size),
            [values.numpy()],
        )


def test_nan_wins_and_what_is_padded_never_does():
    x = np.array([[[-1.0, -2.0, np.nan, -3.0]]])
    found = kj.max_pool(x, 2, 1, padding=1)
    np.testing.assert_array_equal(found, [[[-1.0, -1.0, np.nan, np.nan, -3.0]]])
    np.testing.assert_array_equal(kj.max_pool(np.int8([[[-5, -7]]]), 2, 1, 1), [[[-5, -5, -7]]])


def test_max_pool_of_other_dtypes():
    x = np.arange(8).reshape(1, 1, 8)
    for dtype in ("uint8", "int32", "float16", "bfloat16", "float32"):
        found = kj.max_pool(kj.tensor(x).astype(dtype), 2)
        assert found.dtype.name == dtype
        np.testing.assert_array_equal(found, [[[1, 3, 5, 7]]])


# ------------------------------------------------------------------------------------- mean


@settings(max_examples=60)
@given(windows(dilated=False), st.booleans(), st.sampled_from([None, 3]))
def test_avg_pool_is_pytorchs(torch, case, include, divisor):
    shape, options = case
    options = {**options, "count_include_pad": include}
    if len(shape) > 3:
        options["divisor_override"] = divisor
    theirs = getattr(torch.nn.functional, f"avg_pool{len(shape) - 2}d")
    ours = lambda v: kj.avg_pool(v, **options)  # noqa: E731
    assert_like_torch(torch, ours, lambda v: theirs(v, **options), [array(shape)])


@settings(max_examples=30)
@given(windows(dilated=False), st.sampled_from([1, 2, 1.5, 3.0, float("inf"), -float("inf")]))
def test_lp_pool_is_pytorchs(torch, case, power):
    shape, options = case
    options = {key: value for key, value in options.items() if key != "padding"}
    if len(shape) == 3:  # where PyTorch takes no tuple
        options["kernel_size"] = options["kernel_size"][0]
    theirs = getattr(torch.nn.functional, f"lp_pool{len(shape) - 2}d")
    ours = lambda v: kj.lp_pool(v, power, **options)  # noqa: E731
    x = np.abs(array(shape)) + 0.1
    assert_like_torch(torch, ours, lambda v: theirs(v, power, **options), [x])


def test_derivatives_are_those_of_finite_differences():
    x = array((2, 2, 7, 6))
    assert deviation(lambda v: kj.avg_pool(v, 3, 2, 1), x) < 1e-9
    assert deviation(lambda v: kj.max_pool(v, 3, 2, 1), x) < 1e-9
    assert deviation(lambda v: kj.adaptive_avg_pool(v, (3, 4)), x) < 1e-9
    assert deviation(lambda v: kj.adaptive_max_pool(v, (3, 4)), x) < 1e-9


# --------------------------------------------------------------------------------- adaptive


@settings(max_examples=50)
@given(
    st.lists(st.tuples(st.integers(1, 11), st.none() | st.integers(1, 7)), min_size=1, max_size=3),
    st.booleans(),
)
def test_adaptive_pools_are_pytorchs(torch, axes, ties):
    count, size = len(axes), [wanted for _, wanted in axes]
    shape = (2, 3, *(extent for extent, _ in axes))
    x = array(shape) if not ties else np.random.default_rng(2).integers(0, 3, shape).astype(float)
    size = [wanted or n for n, wanted in axes] if count == 1 else size
    for name in ("adaptive_avg_pool", "adaptive_max_pool"):
        theirs = getattr(torch.nn.functional, f"{name}{count}d")
        ours = lambda v, name=name: getattr(kj, name)(v, size)  # noqa: E731
        assert_like_torch(torch, ours, lambda v, f=theirs: f(v, size), [x])
    values, places = kj.adaptive_max_pool(x, size, return_indices=True)
    right = theirs(torch.tensor(x), size, return_indices=True)
    np.testing.assert_array_equal(values, right[0])
    np.testing.assert_array_equal(places, right[1])


@pytest.mark.parametrize("size", [1, 3, (2, 5), (4, None)])
def test_adaptive_pools_compile(size):
    x = array((2, 3, 8, 9))
    for function in (kj.adaptive_avg_pool, kj.adaptive_max_pool):
        both = kj.value_and_grad(lambda v, f=function: kj.sum(f(v, size) ** 2))
        for mine, right in zip(kj.jit(both)(x), both(x), strict=True):
            np.testing.assert_allclose(mine, right, rtol=1e-12, atol=1e-13)


# ------------------------------------------------------------------------- by PyTorch's names


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_single_example_needs_no_batch(count):
    x = array((3, *(6,) * count))
    for name, args in (
        ("max_pool", (2,)), ("avg_pool", (3, 1, 1)), ("lp_pool", (2, 2)),
        ("adaptive_avg_pool", (4,)), ("adaptive_max_pool", (4,)),
    ):  # fmt: skip
        function = getattr(F, f"{name}{count}d")
        with np.errstate(invalid="ignore"):
            expected = getattr(kj, name)(x[None], *args)[0]
        np.testing.assert_array_equal(function(x, *args), expected)
        np.testing.assert_array_equal(function(x[None], *args)[0], expected)
    values, places = getattr(F, f"max_pool{count}d")(x, 2, return_indices=True)
    assert values.shape == places.shape == (3, *(3,) * count)


def test_no_images():
    for function in (kj.max_pool, kj.avg_pool, kj.adaptive_avg_pool, kj.adaptive_max_pool):
        assert function(np.zeros((0, 3, 6, 6)), 3).shape[:2] == (0, 3)
        gradient = kj.jit(kj.grad(lambda v, f=function: kj.sum(f(v, 3))))(np.zeros((0, 3, 6, 6)))
        assert gradient.shape == (0, 3, 6, 6)


# ----------------------------------------------------------------------------------- errors

X = np.ones((1, 2, 4, 4))
WRONG: list[tuple[Any, type[Exception], str, str]] = [
    (lambda: kj.max_pool(X, 5), ShapeError, r"windows that cover \[5, 5\]", "smaller, or pad"),
    (lambda: kj.max_pool(X, 2, padding=2), UsageError, r"padding \[2, 2\]", "at most half"),
    (lambda: kj.max_pool(X, (2, 2, 2)), UsageError, "over 2 spatial axes", "or 2 of them"),
    (lambda: kj.max_pool(X, "2"), UsageError, "kernel_size='2'", "a whole number"),
    (lambda: kj.avg_pool(X, 2, 0), UsageError, "stride=0", "1 or more"),
    (lambda: kj.avg_pool(X, 2, divisor_override=0), UsageError, "divisor_override=0", "or None"),
    (lambda: kj.avg_pool(X[0, 0], 2), ShapeError, r"of shape \[4, 4\]", "(N, C, …)"),
    (lambda: kj.lp_pool(X, 0, 2), UsageError, "norm_type=0", "other than 0"),
    (lambda: kj.max_unpool(X, X[:, :1].astype(int), 2), ShapeError, "by indices", "both are what"),
    (lambda: kj.max_unpool(X, X.astype(int), 2, output_size=5), UsageError, r"to \[5, 5\]", "away"),
    (lambda: kj.adaptive_avg_pool(X, (1, 2, 3)), UsageError, "2 spatial axes", "or 2 of them"),
    (lambda: kj.adaptive_avg_pool(X[..., :0], 2), ShapeError, "shape", "have elements"),
    (lambda: F.max_pool2d(X[0, 0], 2), ShapeError, "max_pool2d of shape", "(C, H, W)"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "kind", "what", "fix"), WRONG)
def test_errors_name_shapes_and_the_fix(call, kind, what, fix):
    with pytest.raises(kind, match=what) as error:
        call()
    assert error.value.where is not None
    assert fix in error.value.fix
