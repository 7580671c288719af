"""`x.at[key]` changes what `x[key]` names: values, gradients, both tiers, masks inside `jit`."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kedja as kj
from kedja.autodiff.check import check
from kedja.front.tensor import from_node
from kedja.ground.errors import DtypeError, ShapeError, TracingError
from tests.fixtures import TIERS
from tests.front import keys

RNG = np.random.default_rng(0)
UPDATES = {  # what one update makes of an element; several are taken in their order
    "set": lambda old, new: new,
    "add": lambda old, new: old + new,
    "subtract": lambda old, new: old - new,
    "multiply": lambda old, new: old * new,
    "divide": lambda old, new: old / new,
    "min": min,
    "max": max,
}


def updated(x: np.ndarray, key, values: np.ndarray, mode: str) -> np.ndarray:
    """The meaning, element by element."""
    places = keys.counted(x.shape, key)
    out = x.copy().reshape(-1)
    new = np.broadcast_to(values, places.shape).reshape(-1)
    for place, each in zip(places.reshape(-1), new, strict=True):
        out[place] = UPDATES[mode](out[place], each)
    return out.reshape(x.shape)


def changed(x, key, values, mode):
    return getattr(x.at[key], mode)(values)


@st.composite
def cases(draw):
    """An array, a key, values that broadcast over what it names."""
    shape = draw(keys.SHAPES)
    key = draw(keys.keys(shape))
    target = keys.counted(shape, key).shape
    cut = draw(st.integers(0, len(target)))
    narrow = tuple(draw(st.sampled_from((1, n))) for n in target[cut:])
    size = int(np.prod(shape))
    x = RNG.permutation(size).reshape(shape) + 1.5
    values = RNG.permutation(int(np.prod(narrow))).reshape(narrow) * 0.75 - 2.0
    return x, key, values


@given(cases(), st.sampled_from(sorted(UPDATES)))
@settings(max_examples=400)
def test_every_key_is_changed_as_it_is_read(case, mode):
    x, key, values = case
    values = values + 0.1 if mode == "divide" else values
    found = changed(kj.tensor(x), key, kj.tensor(values), mode)
    expected = updated(x, key, values, mode)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12, err_msg=f"{key} {mode}")
    np.testing.assert_array_equal(kj.tensor(x).at[key].get().numpy(), x[key])


@given(cases(), st.sampled_from(sorted(UPDATES)))
@settings(max_examples=100)
def test_changes_are_differentiable(case, mode):
    x, key, values = case
    weights = RNG.standard_normal(x.shape)

    def f(x, values):
        made = changed(from_node(x), key, from_node(values), mode)
        return kj.sum(made * weights).node

    assert check(f, [x, values + 0.1], step=1e-4).worst() < 1e-7


@given(cases(), st.sampled_from(sorted(UPDATES)))
@settings(max_examples=30)
def test_compiled_changes_agree(case, mode):
    x, key, values = case
    moving = [
        i for i, part in enumerate(key) if isinstance(part, np.ndarray) and part.dtype != bool
    ]

    def change(x, indices, values):
        parts = list(key)
        for place, each in zip(moving, indices, strict=True):
            parts[place] = each
        return changed(x, tuple(parts), values, mode)

    indices = [kj.tensor(key[i]) for i in moving]
    found = kj.jit(change)(kj.tensor(x), indices, kj.tensor(values + 0.1))
    expected = updated(x, key, values + 0.1, mode)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12, err_msg=f"{key} {mode}")


# ------------------------------------------------------------------------------- once each


def test_power_and_apply_change_each_element_once():
    x = np.array([1.0, 2.0, 3.0, 4.0])
    t = kj.tensor(x)
    np.testing.assert_array_equal(t.at[[1, 1, 3]].power(2).numpy(), [1, 4, 3, 16])
    np.testing.assert_array_equal(t.at[1:3].apply(lambda y: -y).numpy(), [1, -2, -3, 4])
    np.testing.assert_array_equal(t.at[t > 2].apply(kj.sqrt).numpy(), [1, 2, 3**0.5, 2])
    with pytest.raises(ShapeError, match="keep the shape"):
        t.at[:].apply(kj.sum)


# ----------------------------------------------------------------------------------- masks


MASKED = {
    "set": lambda x, m: x.at[m].set(9.0),
    "add": lambda x, m: x.at[m].add(np.array([10.0, 20.0])),
    "divide": lambda x, m: x.at[m].divide(4.0),
    "max": lambda x, m: x.at[m].max(3.5),
    "power": lambda x, m: x.at[m].power(0.5),
    "apply": lambda x, m: x.at[m].apply(kj.log),
    "one row": lambda x, m: x.at[m].set(np.array([[5.0, 6.0]])),
}


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("change", MASKED.values(), ids=list(MASKED))
def test_masks_without_a_value_change_as_those_with_one(change, tier):
    x, mask = kj.tensor([[1.0, 2.0], [3.0, 4.0], [-5.0, 6.0]]), kj.tensor([True, True, False])
    outside = change(x, mask)
    with kj.scope(tier=tier):
        inside = kj.jit(change)(x, mask)
    np.testing.assert_allclose(inside.numpy(), outside.numpy(), rtol=1e-6)
    assert np.all(outside.numpy()[2] == [-5, 6])


@pytest.mark.parametrize("name", ["power", "apply"])
def test_no_nan_comes_back_from_what_a_mask_leaves_out(name):
    """log and √ have no derivative at 0; the mask is there to keep them away from it."""

    def loss(x):
        return kj.sum(MASKED[name](x, x > 0))

    for f in (loss, kj.jit(loss)):
        found = kj.grad(f)(np.array([0.0, 4.0, -1.0])).numpy()
        np.testing.assert_allclose(found, [1, 0.25, 1])


def test_values_for_each_true_element_need_the_mask():
    def change(x, m):
        return x.at[m].set(np.array([7.0, 8.0], np.float32))

    x, mask = kj.tensor([1.0, 2.0, 3.0]), kj.tensor([True, False, True])
    np.testing.assert_array_equal(change(x, mask).numpy(), [7, 2, 8])
    with pytest.raises(TracingError, match="has no value while it is traced"):
        kj.jit(change)(x, mask)


# --------------------------------------------------------------------------- dtypes, errors


def test_the_dtype_stays():
    x = kj.tensor(np.zeros(3, np.int32))
    for made in (
        x.at[0].set(2),
        x.at[[0]].add(np.int64(2)),
        x.at[x == 0].set(2),
        x.at[0].set(True),
    ):
        assert made.dtype == "int32"
        assert made.tolist()[0] in (1, 2)
    half = kj.zeros(3, "bfloat16")
    assert half.at[[0, 1]].add(np.float64(1.5)).tolist() == [1.5, 1.5, 0]
    assert kj.tensor([True, False]).at[1].set(True).tolist() == [True, True]
    assert kj.tensor(np.zeros(2, np.uint8)).at[0].subtract(1).tolist() == [255, 0]


REFUSED = [
    (lambda x: x.at[0].set(1.5), DtypeError, "float32 for a tensor of int64"),
    (lambda x: x.at[0].divide(2), DtypeError, "divide on int64"),
    (lambda x: x.at[0:2].set([1, 2, 3]), ShapeError, r"\[3\] for elements of shape \[2\]"),
    (lambda x: x.at[[0, 1]].add([[1, 2], [3, 4]]), ShapeError, r"\[2, 2\]"),
    (lambda x: x.at[[True, False]].set(1), ShapeError, r"mask of shape \[2\]"),
    (lambda x: x.at[3].set(1), IndexError, "outside axis 0 of 3"),
    (lambda x: x.at[[0, -4]].set(1), IndexError, "index -4 is outside axis 0 of 3"),
]


@pytest.mark.parametrize(("call", "kind", "message"), REFUSED, ids=lambda value: "")
def test_what_does_not_fit_is_refused_with_the_line(call, kind, message):
    with pytest.raises(kind, match=message) as caught:
        call(kj.tensor([1, 2, 3]))
    assert f"{__file__}:{call.__code__.co_firstlineno}" in str(caught.value)


# ------------------------------------------------------------------------------- composing


def test_a_carried_buffer_is_filled_inside_scan():
    def step(carry, i):
        return carry.at[i].set(i * i), None

    made, _ = kj.scan(step, kj.zeros(4, "int64"), kj.arange(4))
    np.testing.assert_array_equal(made.numpy(), [0, 1, 4, 9])


def test_vmap_of_a_change():
    x = RNG.standard_normal((3, 4))
    place = np.array([0, 3, 1])
    change = partial(changed, values=2.0, mode="add")
    found = kj.vmap(lambda x, i: change(x, i))(kj.tensor(x), kj.tensor(place))
    expected = x.copy()
    expected[np.arange(3), place] += 2
    np.testing.assert_allclose(found.numpy(), expected)


def test_the_original_stays():
    x = kj.tensor([1.0, 2.0])
    x.at[0].set(5.0).numpy()
    np.testing.assert_array_equal(x.numpy(), [1, 2])
