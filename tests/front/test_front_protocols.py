"""A tensor among Python's protocols: operators with strangers, copies, pickles, updates in place.

Not here: what a tensor computes (`test_front_tensor.py`), DLPack (`test_dlpack.py`).
"""

from __future__ import annotations

import copy
import operator
import pickle

import numpy as np
import pytest

import kedja as kj
from kedja.ground.errors import DtypeError, ShapeError, TracingError, UsageError

# ------------------------------------------------------------------------------- strangers


@pytest.mark.parametrize("stranger", [None, "text", {}, object(), {1, 2}])
def test_a_stranger_is_not_equal(stranger):
    t = kj.ones(2)
    assert (t == stranger) is False
    assert (stranger == t) is False
    assert (t != stranger) is True


def test_a_list_of_tensors_can_be_searched_for_none():
    assert None not in [kj.ones(2), kj.zeros(3)]
    assert [kj.ones(2), None].index(None) == 1


@pytest.mark.parametrize(
    "name", ["add", "sub", "mul", "truediv", "and_", "lt", "lshift", "floordiv"]
)
def test_operators_with_a_stranger_are_a_type_error(name):
    function = getattr(operator, name)
    for stranger in (None, "text", {}):
        with pytest.raises(TypeError):
            function(kj.ones(2), stranger)
        with pytest.raises(TypeError):
            function(stranger, kj.ones(2))


class Meters:
    """A class of somebody else that knows what to do with tensors."""

    def __radd__(self, other):
        return "mine"

    def __eq__(self, other):
        return "equal"

    __hash__ = None


def test_a_class_that_knows_tensors_is_asked():
    assert kj.ones(2) + Meters() == "mine"
    assert (kj.ones(2) == Meters()) == "equal"


def test_arrays_and_lists_take_part():
    t = kj.tensor([1.0, 2.0])
    for other in (np.array([1, 2]), [1, 2], (1, 2), np.float32(1)):
        for found in (t + other, other + t):
            assert isinstance(found, kj.Tensor)
    assert (t == [1, 2]).tolist() == [True, True]


def test_complex_numbers_are_refused_clearly():
    for call in (lambda: kj.ones(2) + 1j, lambda: kj.tensor(1j), lambda: kj.ones(2, "complex64")):
        with pytest.raises(DtypeError, match="no complex numbers"):
            call()
    assert complex(kj.tensor(2.5)) == 2.5 + 0j


@pytest.mark.parametrize("name", ["complex64", "complex128", "fft", "real", "imag", "conj"])
def test_what_is_left_out_says_so(name):
    assert not hasattr(kj, name)
    with pytest.raises(AttributeError, match=f"kedja.{name}: kedja has no"):
        getattr(kj, name)


def test_only_integers_are_indices():
    assert [10, 20][kj.tensor(1)] == 20
    for wrong in (1.0, True):
        with pytest.raises(TypeError, match="an index of"):
            [10, 20][kj.tensor(wrong)]


# ----------------------------------------------------------------------------- bool and int


def test_bools_meet_as_in_numpy_and_pytorch():
    a, b = np.array([False, False, True, True]), np.array([False, True, False, True])
    x, y = kj.tensor(a), kj.tensor(b)
    for name in ("add", "mul"):
        found = getattr(operator, name)(x, y)
        assert found.dtype == "bool"
        np.testing.assert_array_equal(found.numpy(), getattr(operator, name)(a, b))
    np.testing.assert_array_equal(kj.maximum(x, y).numpy(), np.maximum(a, b))
    np.testing.assert_array_equal(kj.minimum(x, y).numpy(), np.minimum(a, b))
    np.testing.assert_array_equal((x < y).numpy(), a < b)
    np.testing.assert_array_equal(kj.diff(x).numpy(), np.diff(a))
    assert (kj.max(x).item(), kj.min(x).item(), kj.sum(x).item()) == (True, False, 2)
    for refused in (lambda: x - y, lambda: -x, lambda: x // y, lambda: x % y):
        with pytest.raises(DtypeError, match="bool"):
            refused()


def test_powers_of_integers_are_integers():
    a, b = np.array([2, 3, -2, 0, 1, -1, 5]), np.array([10, 5, 3, 0, 99, 98, 1])
    found = kj.tensor(a) ** kj.tensor(b)
    assert found.dtype == "int64"
    np.testing.assert_array_equal(found.numpy(), a**b)
    np.testing.assert_array_equal((kj.tensor(a) ** 7).numpy(), a**7)
    np.testing.assert_array_equal((2 ** kj.tensor(b[:2])).numpy(), 2 ** b[:2])
    np.testing.assert_array_equal(
        (kj.tensor([2, 1, -1]) ** kj.tensor([-1, -2, -3])).numpy(), [0, 1, -1]
    )
    assert (kj.tensor(np.uint8([2])) ** 9).tolist() == [0]
    with pytest.raises(DtypeError, match="cast the base"):
        kj.tensor([2]) ** -1


def test_halves_are_rounded_once_in_powers():
    x = np.float16([1.1, 2.3])
    np.testing.assert_array_equal((kj.tensor(x) ** 3).numpy(), (x.astype("f8") ** 3).astype("f2"))


# ---------------------------------------------------------------------------------- copies


def test_copies_share_what_cannot_change():
    t = kj.tensor([1.0, 2.0])
    for made in (copy.copy(t), copy.deepcopy(t)):
        assert made is not t
        np.testing.assert_array_equal(made.numpy(), t.numpy())


def test_a_deep_copy_of_a_leaf_is_a_leaf_of_its_own():
    w = kj.tensor([1.0, 2.0], requires_grad=True, name="w")
    kj.sum(w * w).backward()
    twin = copy.deepcopy(w)
    assert twin.requires_grad
    assert twin.node.attrs["name"] == "w"
    np.testing.assert_array_equal(twin.grad.numpy(), [2, 4])
    kj.sum(twin * 3).backward()
    np.testing.assert_array_equal(twin.grad.numpy(), [5, 7])
    np.testing.assert_array_equal(w.grad.numpy(), [2, 4])


def test_deep_copies_keep_what_is_shared_shared():
    w = kj.tensor([1.0], requires_grad=True)
    first, second = copy.deepcopy([w, w])
    assert first is second


def test_a_copy_of_a_result_keeps_its_history():
    w = kj.tensor([3.0], requires_grad=True)
    kj.sum(copy.deepcopy(w * w)).backward()
    np.testing.assert_array_equal(w.grad.numpy(), [6])


def test_copies_inside_a_trace():
    found = kj.jit(lambda x: copy.deepcopy(x * 2) + copy.copy(x))(kj.tensor([1.0]))
    assert found.item() == 3


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "bool", "int8"])
def test_a_pickle_holds_the_array_alone(dtype):
    t = kj.ones(3, dtype) + kj.zeros(3, dtype)
    made = pickle.loads(pickle.dumps(t))
    assert made.dtype == dtype
    np.testing.assert_array_equal(made.numpy(), t.numpy())
    assert not made.requires_grad
    with pytest.raises(ValueError, match="read-only"):
        made.numpy()[0] = 0


def test_a_pickled_leaf_is_a_leaf():
    w = kj.tensor([1.0, 2.0], requires_grad=True, name="w")
    made = pickle.loads(pickle.dumps(w))
    assert made.requires_grad
    assert made.node.attrs["name"] == "w"
    kj.sum(made**2).backward()
    np.testing.assert_array_equal(made.grad.numpy(), [2, 4])


def test_a_traced_tensor_has_nothing_to_pickle():
    with pytest.raises(TracingError, match="has none while it is traced"):
        kj.jit(lambda x: pickle.dumps(x) and x)(kj.ones(2))


# --------------------------------------------------------------------------- in place


INPLACE = ["iadd", "isub", "imul", "ifloordiv", "imod", "iand", "ior", "ixor", "ilshift", "irshift"]


@pytest.mark.parametrize("name", INPLACE)
def test_updates_in_place_mean_what_the_operators_mean(name):
    function = getattr(operator, name)
    a, b = np.array([5, -7, 12]), np.array([2, 1, 3])
    x = kj.tensor(a)
    found = function(x, kj.tensor(b))
    np.testing.assert_array_equal(found.numpy(), function(a.copy(), b))
    np.testing.assert_array_equal(x.numpy(), a)
    assert found.dtype == "int64"


def test_other_updates_in_place():
    x = kj.tensor([2.0, 3.0])
    x /= 2
    x **= 2
    assert x.tolist() == [1, 2.25]
    m = kj.eye(2)
    m @= kj.tensor([[1.0, 2.0], [3.0, 4.0]])
    assert m.tolist() == [[1, 2], [3, 4]]


def test_an_update_in_place_keeps_shape_and_dtype():
    x = kj.ones(3)
    x += np.float64(1)
    x += np.ones(3)
    assert x.dtype == "float32"
    i = kj.tensor(np.int8([1]))
    i += kj.tensor([2])
    assert (i.dtype, i.tolist()) == ("int8", [3])
    with pytest.raises(DtypeError, match="int64 to float32"):
        n = kj.tensor([1])
        n /= 2
    with pytest.raises(ShapeError, match=r"\[3\] to \[2, 3\]"):
        x += kj.ones((2, 3))


# ------------------------------------------------------------------------------- methods


METHODS = [
    *("abs", "sqrt", "exp", "log", "sin", "cos", "tanh", "floor", "ceil", "round", "isnan"),
    *("sign", "square", "sum", "prod", "mean", "var", "std", "max", "min", "any", "all"),
    *("argmax", "argmin", "flatten", "squeeze", "cumsum", "cumprod", "sort", "argsort"),
]


@pytest.mark.parametrize("name", METHODS)
def test_methods_are_the_functions(name):
    t = kj.tensor(np.random.default_rng(0).uniform(0.5, 2, (3, 1, 4)))
    np.testing.assert_array_equal(getattr(t, name)().numpy(), getattr(kj, name)(t).numpy())


def test_methods_with_arguments():
    x = np.arange(6.0).reshape(2, 3)
    t = kj.tensor(x)
    np.testing.assert_array_equal(t.clip(1, 4).numpy(), x.clip(1, 4))
    np.testing.assert_array_equal(t.prod(axis=1, keepdims=True).numpy(), x.prod(1, keepdims=True))
    np.testing.assert_array_equal(t.std(axis=0, correction=1).numpy(), x.std(0, ddof=1))
    np.testing.assert_array_equal(t.argmax(axis=1).numpy(), x.argmax(1))
    assert t.sum(dtype="int64").dtype == "int64"
    assert t.sort(descending=True).tolist() == [[2, 1, 0], [5, 4, 3]]
    np.testing.assert_array_equal(t.cumsum(1).numpy(), x.cumsum(1))
    assert [each.tolist() for each in (t > 3).nonzero()] == [[1, 1], [1, 2]]
    assert t.unsqueeze(1).shape == (2, 1, 3)
    assert t.permute(1, 0).shape == t.transpose().shape == t.swapaxes(0, 1).shape == (3, 2)
    assert t.reshape(-1).shape == t.flatten().shape == (6,)
    np.testing.assert_allclose(t.softmax().sum(-1).numpy(), 1)


def test_the_device():
    t = kj.ones(2)
    assert t.device == "cpu"
    assert t.to_device("cpu") is t
    assert kj.zeros(2, device=t.device).device == "cpu"
    for call in (lambda: t.to_device("cuda"), lambda: kj.ones(2, device="gpu:0")):
        with pytest.raises(UsageError, match="tensors live on the CPU"):
            call()


def test_other_names_are_the_same_functions():
    assert kj.cat is kj.concatenate is kj.concat
    assert kj.permute is kj.permute_dims
    assert kj.unsqueeze is kj.expand_dims
    assert kj.bool == np.dtype(bool)
