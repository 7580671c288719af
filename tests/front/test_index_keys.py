"""Every key of NumPy's reads as NumPy reads it: several arrays, masks, what stands between them.

Not here: single arrays, slices and errors (`test_front_index.py`), changes (`test_at.py`).
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kedja as kj
from kedja.ground.errors import TracingError
from tests.fixtures import TIERS
from tests.front import keys

RNG = np.random.default_rng(0)


def numbered(shape) -> np.ndarray:
    return np.arange(np.prod(shape, dtype=float)).reshape(shape)


@given(st.data())
@settings(max_examples=400)
def test_a_key_reads_as_numpys(data):
    shape = data.draw(keys.SHAPES)
    key = data.draw(keys.keys(shape))
    x = numbered(shape)
    found = kj.tensor(x)[key].numpy()
    assert found.shape == x[key].shape, key
    np.testing.assert_array_equal(found, x[key], err_msg=str(key))


@given(st.data())
@settings(max_examples=150)
def test_gradients_add_up_where_a_key_names_them(data):
    shape = data.draw(keys.SHAPES)
    key = data.draw(keys.keys(shape))
    places = keys.counted(shape, key)
    weights = RNG.standard_normal(places.shape)
    found = kj.grad(lambda x: kj.sum(x[key] * weights))(numbered(shape))
    expected = np.zeros(shape)
    np.add.at(expected.reshape(-1), places, weights)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-12)


@given(st.data())
@settings(max_examples=30)
def test_traced_index_arrays_read_as_numpys(data):
    """Arrays are arguments of the compiled function; masks are constants of it."""
    shape = data.draw(keys.SHAPES)
    key = data.draw(keys.keys(shape))
    moving = [i for i, part in enumerate(key) if is_integers(part)]

    def read(x, indices):
        parts = list(key)
        for place, each in zip(moving, indices, strict=True):
            parts[place] = each
        return x[tuple(parts)]

    x = numbered(shape)
    found = kj.jit(read)(kj.tensor(x), [kj.tensor(key[i]) for i in moving])
    np.testing.assert_array_equal(found.numpy(), x[key], err_msg=str(key))


def is_integers(part) -> bool:
    return isinstance(part, np.ndarray) and part.dtype != bool


@pytest.mark.parametrize("tier", TIERS)
def test_a_traced_scalar_is_an_index(tier):
    x = numbered((3, 4, 5))
    with kj.scope(tier=tier):
        read = kj.jit(lambda x, i: (x[i], x[:, i], x[1, ..., i], x[i, [0, 1]]))
        for i in (0, 2, -1):
            found = read(kj.tensor(x), i)
            expected = (x[i], x[:, i], x[1, ..., i], x[i, [0, 1]])
            for mine, right in zip(found, expected, strict=True):
                np.testing.assert_array_equal(mine.numpy(), right)


MASKS = [
    lambda x: x[x > 5],
    lambda x: x[:, x[0, :, 0] > 0],
    lambda x: x[..., x[0, 0] > 1],
    lambda x: x[x[:, :, 0] > 5, 2],
    lambda x: x[True],
    lambda x: x[False],
    lambda x: x[0, True],
    lambda x: x[:, False],
    lambda x: x[x < 0],
    lambda x: x[[True, False, True]],
]


@pytest.mark.parametrize("read", MASKS)
def test_masks_read_as_numpys(read):
    x = numbered((3, 4, 5))
    np.testing.assert_array_equal(read(kj.tensor(x)).numpy(), read(x))


def test_a_mask_of_the_array_itself_is_differentiable():
    x = kj.tensor([-1.0, 2.0, -3.0, 4.0], requires_grad=True)
    kj.sum(x[x > 0] ** 2).backward()
    np.testing.assert_array_equal(x.grad.numpy(), [0, 4, 0, 8])
    found = kj.grad(lambda x: kj.sum(x[x > 0] ** 2))(np.array([-1.0, 3.0]))
    np.testing.assert_array_equal(found.numpy(), [0, 6])


def test_a_mask_without_a_value_says_why_and_what_to_do():
    x = kj.tensor([1.0, -2.0])
    with pytest.raises(TracingError, match=r"kj\.where\(mask, x, 0\)") as caught:
        kj.jit(lambda x: x[x > 0])(x)
    assert "the shape of the result would depend on it" in str(caught.value)
    assert __file__ in str(caught.value)


def test_a_mask_of_a_batched_array_says_so_too():
    with pytest.raises(TracingError, match="the shape of the result would depend on it"):
        kj.vmap(lambda x: x[x > 0])(kj.ones((2, 3)))


def test_a_mask_from_outside_is_a_constant_of_a_compiled_function():
    mask = kj.tensor([True, False, True])
    found = kj.jit(lambda x: x[mask] * 2)(kj.tensor([1.0, 2.0, 3.0]))
    np.testing.assert_array_equal(found.numpy(), [2, 6])


def test_vmap_takes_keys():
    x = RNG.standard_normal((4, 3, 5))
    rows = np.array([0, 2, 1, 0])
    found = kj.vmap(lambda x, i: x[i, [0, 3]])(kj.tensor(x), kj.tensor(rows))
    np.testing.assert_array_equal(found.numpy(), x[np.arange(4), rows][:, [0, 3]])


def test_scalar_tensors_are_integers():
    x = numbered((3, 4))
    t = kj.tensor(x)
    np.testing.assert_array_equal(t[kj.tensor(1)].numpy(), x[1])
    np.testing.assert_array_equal(t[kj.tensor(1) : kj.tensor(3)].numpy(), x[1:3])
    np.testing.assert_array_equal(t[np.int32(1), np.array(2)].numpy(), x[1, 2])


def test_narrow_traced_indices_reach_every_element():
    """-1 as int8 into an axis of 300 elements."""
    x = numbered((300,))
    found = kj.jit(lambda x, i: x[i])(kj.tensor(x), kj.tensor(np.array([-1, 5], np.int8)))
    np.testing.assert_array_equal(found.numpy(), [299, 5])
