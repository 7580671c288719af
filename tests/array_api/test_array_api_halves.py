"""float16 and bfloat16, which the standard does not have: computed in float32, rounded once.

So every function of halves is the function of the same numbers in float32, rounded.
"""

from __future__ import annotations

import numpy as np
import pytest

import kedja as kj
from kedja.ground.dtypes import convert, float32
from kedja.ground.errors import DtypeError
from tests.array_api.test_array_api_elementwise import BINARY, UNARY

HALVES = [kj.float16, kj.bfloat16]
RNG = np.random.default_rng(0)
ONE = [name for name, dtypes in UNARY.items() if "float32" in dtypes]
TWO = [name for name, dtypes in BINARY.items() if "float32" in dtypes and name != "nextafter"]
REDUCTIONS = {  # name: axis
    **dict.fromkeys(("sum", "prod", "max", "min", "mean", "var", "std"), 1),
    **dict.fromkeys(("argmax", "argmin", "any", "all"), 0),
    **dict.fromkeys(("logsumexp", "softmax", "log_softmax"), -1),
}
MOVED = {
    "reshape": lambda x: kj.reshape(x, (4, 3)),
    "flip": kj.flip,
    "roll": lambda x: kj.roll(x, 1),
    "repeat": lambda x: kj.repeat(x, 2, axis=0),
    "tile": lambda x: kj.tile(x, (2, 1)),
    "concat": lambda x: kj.concat([x, x]),
    "tril": kj.tril,
    "index": lambda x: x[[0, 2], 1:],
    "mask": lambda x: x[x > 0],
    "at": lambda x: x.at[1].set(2.0),
    "take": lambda x: kj.take(x, [0, 0], axis=1),
    "diff": kj.diff,
    "clip": lambda x: kj.clip(x, -1, 1),
    "where": lambda x: kj.where(x > 0, x, 0.0),
}

over_halves = pytest.mark.parametrize("dtype", HALVES, ids=str)


def halves(dtype, low: float = -3.0) -> np.ndarray:
    return RNG.uniform(low, 3, (3, 4)).astype(dtype)


def rounded(found: kj.Tensor, function, *arrays: np.ndarray) -> None:
    """The result is that of float32, rounded (truths and places are equal)."""
    dtype = arrays[0].dtype
    wide = function(*(kj.asarray(each.astype(float32)) for each in arrays))
    assert found.dtype == (dtype if wide.dtype == float32 else wide.dtype)
    expected = convert(wide.numpy(), found.dtype)
    np.testing.assert_array_equal(found.numpy().astype(float), expected.astype(float))


@over_halves
@pytest.mark.parametrize("name", ONE)
def test_functions_of_one_array(name, dtype):
    function = getattr(kj, name)
    x = halves(dtype, low=1.0 if name == "acosh" else 0.1)
    x = np.asarray(x / 4, dtype) if name in ("acos", "asin", "atanh") else x
    rounded(function(kj.asarray(x)), function, x)


@over_halves
@pytest.mark.parametrize("name", TWO)
def test_functions_of_two_arrays(name, dtype):
    function = getattr(kj, name)
    a, b = halves(dtype, 0.1), halves(dtype, 0.1)
    rounded(function(kj.asarray(a), kj.asarray(b)), function, a, b)


@over_halves
@pytest.mark.parametrize("name", REDUCTIONS)
def test_reductions(name, dtype):
    def function(x):
        return getattr(kj, name)(x, axis=REDUCTIONS[name])

    x = halves(dtype)
    found = function(kj.asarray(x))
    if name in ("var", "std"):  # the mean is rounded, then the squares' sum
        expected = function(kj.asarray(x.astype(float))).numpy()
        bound = kj.finfo(dtype).eps
        assert found.dtype == dtype
        np.testing.assert_allclose(found.numpy().astype(float), expected, rtol=4 * bound)
    else:
        rounded(found, function, x)


@over_halves
@pytest.mark.parametrize("name", MOVED)
def test_movement(name, dtype):
    x = halves(dtype)
    found = MOVED[name](kj.asarray(x))
    assert found.dtype == dtype
    rounded(found, MOVED[name], x)


@over_halves
def test_products(dtype):
    a, b = halves(dtype), halves(dtype).T
    rounded(kj.asarray(a) @ kj.asarray(b), kj.matmul, a, b)
    rounded(kj.einsum("ij,jk->ik", a, b), lambda x, y: kj.einsum("ij,jk->ik", x, y), a, b)
    rounded(kj.tensordot(a, b, axes=1), lambda x, y: kj.tensordot(x, y, axes=1), a, b)


def test_a_neighbour_of_a_half_is_not_found_in_float32():
    with pytest.raises(DtypeError, match="nextafter does not take float16"):
        kj.nextafter(kj.ones(2, "float16"), 0.0)
