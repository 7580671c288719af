"""The functions that NumPy or PyTorch have beside the standard's, compared with both."""

from __future__ import annotations

import numpy as np
import pytest

import kedja as kj
from kedja.ground.errors import KedjaError, TracingError

RNG = np.random.default_rng(0)
X = RNG.uniform(0.1, 0.9, (4, 6))
Y = RNG.uniform(0.2, 0.8, (4, 6))
SQUARE, CUBE = RNG.standard_normal((4, 4)), RNG.standard_normal((2, 4, 3))
SPECIAL = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.5, -2.5])
LINE = RNG.standard_normal(5)

# name: (arguments, keyword arguments) of calls that PyTorch knows by the same name
TORCH = {
    "rsqrt": [((X,), {})],
    "exp2": [((X,), {})],
    "frac": [((SPECIAL[3:],), {})],
    "sinc": [((X,), {}), ((SPECIAL[3:],), {})],
    "logit": [((X,), {})],
    "deg2rad": [((X,), {})],
    "rad2deg": [((X,), {})],
    "isposinf": [((SPECIAL,), {})],
    "isneginf": [((SPECIAL,), {})],
    "nan_to_num": [((SPECIAL,), {}), ((SPECIAL, 1.0, 2.0, 3.0), {})],
    "fmod": [((X - 0.5, Y), {}), ((np.array([-7, 7, -6]), np.array([3, -3, 2])), {})],
    "fmax": [((SPECIAL, SPECIAL[::-1].copy()), {}), ((X, Y), {})],
    "fmin": [((SPECIAL, SPECIAL[::-1].copy()), {}), ((X, Y), {})],
    "xlogy": [((X, Y), {}), ((np.zeros(3), np.array([0.0, np.nan, 2.0])), {})],
    "heaviside": [((SPECIAL[3:], np.array(0.5)), {})],
    "lerp": [((X, Y, 0.25), {}), ((X, Y, Y), {})],
    "isclose": [((X, X + 1e-9), {}), ((SPECIAL, SPECIAL), {"equal_nan": True})],
    "isin": [((np.array([[1, 5], [7, 2]]), np.array([2, 1, 9])), {}), ((LINE, LINE[:2]), {})],
    "nansum": [((np.where(X > 0.5, np.nan, X),), {})],
    "nanmean": [((np.where(X > 0.5, np.nan, X), 1), {})],
    "trapezoid": [((X,), {}), ((X, np.arange(6.0) ** 2), {}), ((X,), {"dx": 0.5})],
    "cov": [((X,), {}), ((LINE,), {}), ((X,), {"correction": 0})],
    "corrcoef": [((X,), {}), ((LINE,), {})],
    "atleast_1d": [((np.array(2.0),), {}), ((LINE,), {})],
    "atleast_2d": [((np.array(2.0),), {}), ((LINE,), {}), ((X,), {})],
    "atleast_3d": [((np.array(2.0),), {}), ((LINE,), {}), ((X,), {}), ((CUBE,), {})],
    "unflatten": [((X, 1, (2, 3)), {}), ((X, -1, (-1, 2)), {})],
    "hstack": [(([X, Y],), {}), (([LINE, LINE],), {})],
    "vstack": [(([X, Y],), {}), (([LINE, LINE],), {})],
    "dstack": [(([X, Y],), {}), (([LINE, LINE],), {})],
    "column_stack": [(([X, Y],), {}), (([LINE, LINE],), {})],
    "chunk": [((X, 4, 1), {}), ((X, 2), {}), ((LINE, 3), {}), ((LINE, 9), {})],
    "narrow": [((X, 1, 2, 3), {}), ((X, 0, -2, 1), {})],
    "fliplr": [((X,), {})],
    "flipud": [((X,), {})],
    "rot90": [((X, k), {}) for k in range(-1, 5)] + [((CUBE, 1, (1, 2)), {})],
    "diag": [
        ((LINE,), {}),
        ((LINE, 2), {}),
        ((LINE, -1), {}),
        ((X,), {}),
        ((X, 7), {}),
        ((X, -2), {}),
    ],
    "diag_embed": [((X,), {}), ((X, -1), {})],
    "diagonal": [((X,), {}), ((CUBE, 1, 1, 2), {}), ((CUBE, -1, 2, 0), {}), ((X, 9), {})],
    "trace": [((SQUARE,), {})],
    "index_select": [((X, 1, np.array([3, 0])), {})],
    "gather": [
        ((X, 1, np.array([[0, 5], [2, 2]])), {}),
        ((X, 0, RNG.integers(0, 4, (3, 6))), {}),
    ],
    "masked_fill": [((X, X > 0.5, 3.0), {})],
    "masked_select": [((X, X > 0.5), {}), ((X, X[:1] > 0.5), {})],
    "dot": [((LINE, LINE), {})],
    "inner": [((LINE, LINE), {}), ((X, Y), {}), ((CUBE, CUBE), {})],
    "mm": [((X, Y.T.copy()), {})],
    "bmm": [((CUBE, RNG.standard_normal((2, 3, 5))), {})],
    "mv": [((SQUARE, SQUARE[0]), {})],
    "block_diag": [((X, LINE, SQUARE), {})],
}
NUMPY = {
    "dot": [((CUBE, RNG.standard_normal((5, 3, 2))), {}), ((X, Y[0]), {}), ((2.0, X), {})],
    "inner": [((2.0, X), {})],
    "rot90": [((X, 3), {})],
    "trace": [((CUBE, 1, 1, 2), {})],
    "nansum": [((np.where(X > 0.5, np.nan, X),), {"axis": 0, "keepdims": True})],
    "isin": [((np.array([1, 2, 3]), np.array([2])), {"invert": True}), ((LINE, np.array([])), {})],
    "trapezoid": [((X,), {"axis": 0})],
}


def calls(table):
    return [(name, args, kwargs) for name, each in table.items() for args, kwargs in each]


def plain(found):
    if isinstance(found, (list, tuple)):
        return [np.asarray(each) for each in found]
    return [np.asarray(found)]


def compare(name, found, expected):
    for mine, right in zip(plain(found), plain(expected), strict=True):
        assert mine.shape == right.shape, name
        assert mine.dtype == right.dtype, name
        np.testing.assert_allclose(mine, right, rtol=1e-12, atol=1e-14, err_msg=name)


@pytest.mark.parametrize(("name", "args", "kwargs"), calls(TORCH))
def test_values_are_pytorchs(name, args, kwargs):
    torch = pytest.importorskip("torch")
    expected = getattr(torch, name)(*map(in_torch, args), **kwargs)
    compare(name, getattr(kj, name)(*args, **kwargs), expected)


def in_torch(value):
    torch = pytest.importorskip("torch")
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value.copy())
    return [in_torch(each) for each in value] if isinstance(value, list) else value


@pytest.mark.parametrize(("name", "args", "kwargs"), calls(NUMPY))
def test_values_are_numpys(name, args, kwargs):
    compare(name, getattr(kj, name)(*args, **kwargs), getattr(np, name)(*args, **kwargs))


SMOOTH = [
    (name, args, kwargs)
    for name, args, kwargs in calls(TORCH)
    if isinstance(args[0], np.ndarray) and args[0].dtype == float and name != "heaviside"
]


@pytest.mark.parametrize(("name", "args", "kwargs"), SMOOTH)
def test_gradients_are_pytorchs(name, args, kwargs):
    torch = pytest.importorskip("torch")
    first = in_torch(args[0]).requires_grad_()
    there = getattr(torch, name)(first, *map(in_torch, args[1:]), **kwargs)
    parts = list(there) if isinstance(there, (list, tuple)) else [there]
    if not parts[0].is_floating_point() or not parts[0].requires_grad:
        return
    weights = [RNG.standard_normal(part.shape) for part in parts]
    sum((part * in_torch(w)).sum() for part, w in zip(parts, weights, strict=True)).backward()

    def loss(x):
        found = getattr(kj, name)(x, *args[1:], **kwargs)
        found = found if isinstance(found, list) else [found]
        return sum(kj.sum(part * w) for part, w in zip(found, weights, strict=True))

    found = kj.grad(loss)(args[0]).numpy()
    np.testing.assert_allclose(found, first.grad.numpy(), rtol=1e-10, atol=1e-12)


def test_close_arrays():
    assert kj.allclose(X, X + 1e-9) is True
    assert kj.allclose(X, X + 1) is False
    assert kj.allclose([np.nan], [np.nan], equal_nan=True)
    with pytest.raises(TracingError, match="has none while it is traced"):
        kj.jit(lambda x: kj.ones(2) if kj.allclose(x, x) else x)(kj.ones(2))


def test_other_names_are_offered():
    torch = pytest.importorskip("torch")
    a, b = in_torch(X), in_torch(Y)
    for name in ("sub", "mul", "div", "eq", "ne", "lt", "le", "gt", "ge", "arctan2", "true_divide"):
        compare(name, getattr(kj, name)(X, Y), getattr(torch, name)(a, b))
    for name in (
        "neg",
        "absolute",
        "fix",
        "arcsin",
        "arccos",
        "arctan",
        "arcsinh",
        "arctanh",
        "ravel",
    ):
        compare(name, getattr(kj, name)(X), getattr(torch, name)(a))
    compare("clamp", kj.clamp(X, 0.3, 0.6), torch.clamp(a, 0.3, 0.6))
    compare("clamp", kj.clamp(X, min=0.3), torch.clamp(a, min=0.3))
    compare("amax", kj.amax(X, 1), torch.amax(a, 1))
    compare("movedim", kj.movedim(CUBE, 0, 2), torch.movedim(in_torch(CUBE), 0, 2))
    compare("unbind", kj.unbind(X, 1), torch.unbind(a, 1))


WRONG = [
    lambda: kj.mm(CUBE, X),
    lambda: kj.bmm(X, X),
    lambda: kj.diag(CUBE),
    lambda: kj.chunk(X, 0),
    lambda: kj.narrow(X, 0, 3, 2),
    lambda: kj.gather(X, 0, [1]),
    lambda: kj.masked_fill(X, X, 1.0),
    lambda: kj.unflatten(X, 1, (4, 2)),
    lambda: kj.trapezoid(X, axis=2),
]


@pytest.mark.parametrize("call", WRONG)
def test_what_does_not_fit_is_refused_with_the_line(call):
    with pytest.raises(KedjaError) as caught:
        call()
    assert f"{__file__}:{call.__code__.co_firstlineno}" in str(caught.value)
