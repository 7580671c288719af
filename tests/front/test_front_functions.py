"""The array functions by name mean what NumPy's functions of the same name mean."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

import kedja as kj
from kedja.ground.errors import ShapeError
from kedja.ir.verify import verify

RNG = np.random.default_rng(0)
X = RNG.uniform(-3, 3, (3, 5))
Y = RNG.uniform(-3, 3, (3, 5))
UNIT, ABOVE = RNG.uniform(-0.9, 0.9, (3, 5)), RNG.uniform(1.1, 4, (3, 5))

# fmt: off
ELEMENTWISE = {
    "negative": (X,), "abs": (X,), "sign": (X,), "sqrt": (ABOVE,), "exp": (X,), "expm1": (X,),
    "log": (ABOVE,), "log1p": (ABOVE,), "log2": (ABOVE,), "log10": (ABOVE,), "sin": (X,),
    "cos": (X,), "tan": (UNIT,), "asin": (UNIT,), "acos": (UNIT,), "atan": (X,), "sinh": (X,),
    "cosh": (X,), "tanh": (X,), "asinh": (X,), "acosh": (ABOVE,), "atanh": (UNIT,), "floor": (X,),
    "ceil": (X,), "round": (X,), "trunc": (X,), "isnan": (X,), "isinf": (X,), "isfinite": (X,),
    "square": (X,), "add": (X, Y), "subtract": (X, Y), "multiply": (X, Y), "divide": (X, ABOVE),
    "maximum": (X, Y), "minimum": (X, Y), "atan2": (X, Y), "remainder": (X, ABOVE),
    "floor_divide": (X, ABOVE), "equal": (X, X), "not_equal": (X, Y), "less": (X, Y),
    "less_equal": (X, X), "greater": (X, Y), "greater_equal": (X, X), "pow": (ABOVE, X),
    "logical_not": (X > 0,), "bitwise_and": (X > 0, Y > 0), "bitwise_or": (X > 0, Y > 0),
    "bitwise_xor": (X > 0, Y > 0),
}
OTHER_NAMES = {
    "asin": "arcsin", "acos": "arccos", "atan": "arctan", "asinh": "arcsinh",
    "acosh": "arccosh", "atanh": "arctanh", "atan2": "arctan2", "pow": "power",
    "concat": "concatenate", "permute_dims": "transpose",
}
# fmt: on


def numpys(name):
    return getattr(np, OTHER_NAMES.get(name, name))


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_elementwise_functions(name):
    given = ELEMENTWISE[name]
    found = getattr(kj, name)(*map(kj.tensor, given))
    expected = numpys(name)(*given)
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-14)


def test_activations():
    x = kj.tensor(X)
    sigmoid = 1 / (1 + np.exp(-X))
    np.testing.assert_allclose(kj.sigmoid(x).numpy(), sigmoid)
    np.testing.assert_allclose(kj.silu(x).numpy(), X * sigmoid)
    np.testing.assert_allclose(kj.relu(x).numpy(), np.maximum(X, 0))
    np.testing.assert_allclose(kj.softplus(x).numpy(), np.log1p(np.exp(X)))
    np.testing.assert_allclose(kj.gelu(x).numpy(), kj.gelu(x, "tanh").numpy(), atol=1e-3)
    np.testing.assert_allclose(
        kj.gelu(x).numpy() + kj.gelu(-x).numpy(), X * kj.erf(x / 2**0.5).numpy()
    )


def test_saturation():
    x = kj.tensor([-1e4, -30.0, 30.0, 1e4])
    np.testing.assert_array_equal(kj.sigmoid(x).numpy()[[0, 3]], [0, 1])
    np.testing.assert_array_equal(kj.tanh(x).numpy(), [-1, -1, 1, 1])
    np.testing.assert_array_equal(kj.softplus(x).numpy()[[0, 2, 3]], [0, 30, 1e4])
    np.testing.assert_array_equal(kj.erf(x).numpy(), [-1, -1, 1, 1])


AXES = [None, 0, 1, -1, (0, 1), (1,), ()]


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", AXES, ids=str)
@pytest.mark.parametrize("name", ["sum", "max", "min", "mean", "var", "std", "any", "all"])
def test_reductions(name, axis, keepdims):
    x = X > 0 if name in ("any", "all") else X
    found = getattr(kj, name)(kj.tensor(x), axis=axis, keepdims=keepdims)
    expected = np.asarray(numpys(name)(x, axis=axis, keepdims=keepdims))
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("axis", [None, 0, 1, -1])
@pytest.mark.parametrize("name", ["argmax", "argmin"])
def test_the_place_of_the_extremum(name, axis):
    tied = np.round(X)
    found = getattr(kj, name)(kj.tensor(tied), axis=axis)
    np.testing.assert_array_equal(found.numpy(), numpys(name)(tied, axis=axis))
    with_nan = np.where(tied == tied.max(), np.nan, tied)
    found = getattr(kj, name)(kj.tensor(with_nan), axis=axis)
    np.testing.assert_array_equal(found.numpy(), numpys(name)(with_nan, axis=axis))


def test_corrections_of_the_variance():
    for correction in (0, 1):
        found = kj.var(kj.tensor(X), axis=1, correction=correction)
        np.testing.assert_allclose(found.numpy(), np.var(X, axis=1, ddof=correction))


def test_softmax_sums_to_one():
    for axis in (0, 1, (0, 1), None):
        y = kj.softmax(kj.tensor(X), axis=axis).numpy()
        np.testing.assert_allclose(y.sum(axis), 1)
        np.testing.assert_allclose(kj.log_softmax(kj.tensor(X), axis=axis).numpy(), np.log(y))
        spread = kj.logsumexp(kj.tensor(X), axis=axis, keepdims=True).numpy()
        np.testing.assert_allclose(np.exp(X - spread), y)


def test_the_mean_of_nothing_is_nan():
    assert np.isnan(kj.mean(kj.ones((0,))).item())
    assert kj.sum(kj.ones((0,))).item() == 0


# ------------------------------------------------------------------------- making, moving


def test_made_arrays():
    for mine, theirs in (
        (kj.zeros((2, 3)), np.zeros((2, 3), np.float32)),
        (kj.ones(3, "int32"), np.ones(3, np.int32)),
        (kj.full((2,), 7), np.full(2, 7)),
        (kj.full((2,), 0.5), np.full(2, 0.5, np.float32)),
        (kj.arange(5), np.arange(5)),
        (kj.arange(2, 9, 3), np.arange(2, 9, 3)),
        (kj.arange(5, 0, -2), np.arange(5, 0, -2)),
        (kj.arange(3, 3), np.arange(3, 3)),
        (kj.eye(2, 3), np.eye(2, 3, dtype=np.float32)),
        (kj.linspace(0, 1, 5), np.linspace(0, 1, 5, dtype=np.float32)),
        (kj.zeros_like(kj.tensor(X)), np.zeros_like(X)),
        (kj.ones_like(kj.tensor(X)), np.ones_like(X)),
    ):
        assert mine.dtype == theirs.dtype
        np.testing.assert_array_equal(mine.numpy(), theirs)


def test_numpys_whole_numbers_are_shapes_and_axes():
    three, one = np.int64(3), np.int32(1)
    for made in (
        kj.zeros(three),
        kj.full((three,), 1.0),
        kj.random.uniform(kj.random.key(0), three),
        kj.broadcast_to(kj.ones(1), (three,)),
        kj.sum(kj.ones((2, three)), axis=np.int64(0)),
        kj.ones((one, three)).reshape(three),
        kj.one_hot(kj.tensor([1]), three)[0],
        kj.tensor([1.0, 2.0, 3.0])[:three][-three:],
        kj.pad(kj.ones(1), [(one, one)]),
        kj.pad(kj.ones(()), [])[None][[0, 0, 0]],
        kj.flip(kj.ones(three), np.int64(0)),
    ):
        assert made.shape == (3,)
        verify([made.node])
    assert kj.full(2, np.int64(3)).dtype == "int64"
    assert kj.full(2, np.float64(3)).dtype == "float32"


def test_shapes_that_are_none_are_refused():
    for call in (lambda: kj.zeros(-1), lambda: kj.random.bits(kj.random.key(0), (2, -3))):
        with pytest.raises(ShapeError, match="0 or more"):
            call()
    for call in (lambda: kj.zeros(2.0), lambda: kj.sum(kj.ones((2, 2)), axis=1.0)):
        with pytest.raises(TypeError):
            call()


SHAPES = arrays_of.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)


def counting(shape):
    return np.arange(np.prod(shape, dtype=int)).reshape(shape)


@given(st.data())
def test_moves(data):
    shape = data.draw(SHAPES)
    x = counting(shape)
    order = data.draw(st.permutations(range(len(shape))))
    np.testing.assert_array_equal(kj.permute_dims(x, order).numpy(), np.transpose(x, order))
    axes = data.draw(
        st.lists(st.sampled_from(range(len(shape))), unique=True) if shape else st.just([])
    )
    np.testing.assert_array_equal(kj.flip(x, tuple(axes)).numpy(), np.flip(x, axes))
    place = data.draw(st.integers(-len(shape) - 1, len(shape)))
    wide = kj.expand_dims(x, place)
    np.testing.assert_array_equal(wide.numpy(), np.expand_dims(x, place))
    np.testing.assert_array_equal(kj.squeeze(wide, place).numpy(), x)
    widths = [data.draw(st.tuples(st.integers(0, 2), st.integers(0, 2))) for _ in shape]
    if shape:
        np.testing.assert_array_equal(
            kj.pad(x, widths, 7).numpy(), np.pad(x, widths, constant_values=7)
        )


@given(st.data())
def test_broadcasts(data):
    shapes = data.draw(
        arrays_of.mutually_broadcastable_shapes(num_shapes=2, max_dims=4, max_side=3)
    )
    a, b = (counting(shape) for shape in shapes.input_shapes)
    np.testing.assert_array_equal((kj.tensor(a) + kj.tensor(b)).numpy(), a + b)
    result = shapes.result_shape
    np.testing.assert_array_equal(kj.broadcast_to(a, result).numpy(), np.broadcast_to(a, result))
    chosen = kj.where(kj.tensor(a % 2 == 0), kj.tensor(a), kj.tensor(b))
    np.testing.assert_array_equal(chosen.numpy(), np.where(a % 2 == 0, a, b))


@given(st.data())
def test_joined(data):
    shape = data.draw(arrays_of.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=3))
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    extents = data.draw(st.lists(st.integers(0, 3), min_size=1, max_size=4))
    place = axis % len(shape)
    parts = [counting((*shape[:place], n, *shape[place + 1 :])) for n in extents]
    np.testing.assert_array_equal(kj.concat(parts, axis).numpy(), np.concatenate(parts, axis))
    same = [counting(shape)] * 2
    np.testing.assert_array_equal(kj.stack(same, axis).numpy(), np.stack(same, axis))


@pytest.mark.parametrize(
    ("old", "new"), [((3, 4), (-1,)), ((3, 4), (2, -1)), ((0, 3), (0, -1)), ((6,), (2, 3))]
)
def test_reshape(old, new):
    x = counting(old)
    assert x.size or 0 in new
    if -1 in new and x.size == 0:
        new = tuple(3 if n == -1 else n for n in new)
    np.testing.assert_array_equal(kj.reshape(x, new).numpy(), x.reshape(new))
    np.testing.assert_array_equal(kj.tensor(x).reshape(*new).numpy(), x.reshape(new))


def test_clip_and_where_with_scalars():
    x = kj.tensor(X)
    np.testing.assert_array_equal(kj.clip(x, -1, 1).numpy(), np.clip(X, -1, 1))
    np.testing.assert_array_equal(kj.clip(x, max=0.5).numpy(), np.minimum(X, 0.5))
    np.testing.assert_array_equal(kj.where(x > 0, x, 0).numpy(), np.maximum(X, 0))
    assert kj.where(x > 0, 1, 0).dtype == "int64"


def test_powers():
    x = kj.tensor([-2.0, 3.0])
    np.testing.assert_array_equal((x**2).numpy(), [4, 9])
    np.testing.assert_array_equal((x**3).numpy(), [-8, 27])
    np.testing.assert_array_equal((kj.tensor([2, -3]) ** 3).numpy(), [8, -27])
    assert (kj.tensor([2, -3]) ** 3).dtype == "int64"
    np.testing.assert_allclose((x**-1).numpy(), [-0.5, 1 / 3])
    np.testing.assert_array_equal((x**0).numpy(), [1, 1])
    np.testing.assert_allclose((kj.tensor([4.0]) ** 0.5).numpy(), [2])
    np.testing.assert_allclose((2 ** kj.tensor([3.0])).numpy(), [8])


@pytest.mark.parametrize("name", sorted(kj.__all__))
def test_every_public_name_is_there(name):
    assert getattr(kj, name) is not None or name == "newaxis"


def test_functions_have_a_docstring():
    from_functions = [name for name in kj.__all__ if callable(getattr(kj, name))]
    assert all(getattr(kj, name).__doc__ for name in from_functions)
