"""DLPack both ways with NumPy, PyTorch and JAX: nothing is copied, tensors stay as they are."""

from __future__ import annotations

import numpy as np
import pytest

import kedja as kj
from kedja.ground.dtypes import ALL, bfloat16
from kedja.ground.errors import DtypeError, UsageError

SHARED = [dtype for dtype in ALL if dtype != bfloat16]


def address(array: np.ndarray) -> int:
    return array.__array_interface__["data"][0]


def values(dtype) -> np.ndarray:
    return np.array([[0, 1, 2], [3, 1, 0]]).astype(dtype)


# --------------------------------------------------------------------------------- NumPy


@pytest.mark.parametrize("dtype", SHARED, ids=str)
def test_numpy_shares_the_memory(dtype):
    t = kj.tensor(values(dtype))
    found = np.from_dlpack(t)
    assert address(found) == address(t.numpy())
    assert not found.flags.writeable
    np.testing.assert_array_equal(found, values(dtype))


@pytest.mark.parametrize("dtype", SHARED, ids=str)
def test_tensors_share_numpys_memory(dtype):
    x = values(dtype)
    for view in (x, x.T, x[:, ::2], x[::-1], x[:0]):
        t = kj.from_dlpack(view)
        assert t.dtype == dtype
        assert address(t.numpy()) == address(view)
        np.testing.assert_array_equal(t.numpy(), view)
        np.testing.assert_array_equal((t == t).numpy(), np.ones(view.shape, bool))


def test_copies_on_request():
    x = np.ones(3)
    assert address(kj.from_dlpack(x, copy=True).numpy()) != address(x)
    t = kj.tensor(x)
    assert address(np.from_dlpack(t, copy=True)) != address(t.numpy())
    assert np.from_dlpack(t, copy=True).flags.writeable


def test_what_is_imported_cannot_be_written_to():
    t = kj.from_dlpack(np.ones(3))
    with pytest.raises(ValueError, match="read-only"):
        t.numpy()[0] = 2


def test_a_lazy_tensor_is_evaluated():
    np.testing.assert_array_equal(np.from_dlpack(kj.ones(3) * 2), [2, 2, 2])


def test_asarray_without_a_copy_shares_memory():
    x = np.ones(3)
    assert address(kj.asarray(x, copy=False).numpy()) == address(x)
    assert address(kj.asarray(x).numpy()) != address(x)
    for given, dtype in (([1.0], None), (x, "float32"), (x.astype(">f8"), None)):
        with pytest.raises(UsageError, match="copy=False"):
            kj.asarray(given, dtype, copy=False)


# ------------------------------------------------------------------------------- PyTorch


@pytest.mark.parametrize("dtype", ALL, ids=str)
def test_pytorch_both_ways(dtype):
    torch = pytest.importorskip("torch")
    t = kj.tensor(values(dtype))
    there = torch.from_dlpack(t)
    assert there.data_ptr() == address(t.numpy())
    assert str(there.dtype).removeprefix("torch.") == dtype.name
    back = kj.from_dlpack(there)
    assert address(back.numpy()) == address(t.numpy())
    np.testing.assert_array_equal(back.numpy(), t.numpy())
    assert back.dtype == dtype


@pytest.mark.parametrize("name", ["float32", "bfloat16", "int16", "bool"])
def test_strides_of_pytorch_are_kept(name):
    torch = pytest.importorskip("torch")
    made = torch.arange(12).reshape(3, 4).to(getattr(torch, name))
    for view in (made.T, made[:, 1::2], made[1]):
        t = kj.from_dlpack(view)
        assert address(t.numpy()) == view.data_ptr()
        assert t.tolist() == view.tolist()


def test_asarray_takes_pytorchs_bfloat16():
    torch = pytest.importorskip("torch")
    made = torch.arange(3, dtype=torch.bfloat16)
    t = kj.asarray(made)
    made += 1
    assert (t.dtype, t.tolist()) == ("bfloat16", [0, 1, 2])


def test_what_pytorch_cannot_give_is_refused():
    torch = pytest.importorskip("torch")
    with pytest.raises(DtypeError, match="complex"):
        kj.from_dlpack(torch.ones(2, dtype=torch.complex64))
    with pytest.raises(BufferError, match="detach"):
        kj.from_dlpack(torch.ones(2, requires_grad=True))


def test_memory_lives_as_long_as_either_side():
    torch = pytest.importorskip("torch")
    t = kj.from_dlpack(torch.arange(1000, dtype=torch.bfloat16))
    assert t.numpy()[999] == 1000
    there = torch.from_dlpack(kj.tensor(np.arange(1000)))
    junk = [kj.ones(1000).numpy() for _ in range(10)]
    assert there[999] == 999
    del junk


# ----------------------------------------------------------------------------------- JAX


@pytest.mark.parametrize("name", ["float32", "bfloat16", "int8"])
def test_jax_both_ways(name):
    """JAX asks for the old capsule, which has no mark for read-only memory; it never writes."""
    jnp = pytest.importorskip("jax.numpy")
    t = kj.tensor(values(name))
    there = jnp.from_dlpack(t)
    np.testing.assert_array_equal(np.asarray(there), t.numpy())
    np.testing.assert_array_equal(kj.from_dlpack(there).numpy(), t.numpy())


# ------------------------------------------------------------------------------ refusals


def test_the_protocol():
    t = kj.ones(2)
    assert t.__dlpack_device__() == (1, 0)
    assert "dltensor_versioned" in repr(t.__dlpack__(max_version=(1, 0)))
    assert "dltensor_versioned" not in repr(t.__dlpack__())
    assert "dltensor_versioned" not in repr(t.__dlpack__(max_version=(0, 8)))
    t.__dlpack__(dl_device=(1, 0), stream=None, copy=False)
    with pytest.raises(BufferError, match="dl_device"):
        t.__dlpack__(dl_device=(2, 0))
    with pytest.raises(BufferError, match="stream"):
        t.__dlpack__(stream=1)
    with pytest.raises(UsageError, match="no __dlpack__"):
        kj.from_dlpack([1, 2])


class Elsewhere:
    """An array on a GPU."""

    def __dlpack__(self, **_):
        raise AssertionError("it must not be asked")

    def __dlpack_device__(self):
        return 2, 0


class Old:
    """A producer of before 2024, which knows no arguments but `stream`."""

    def __init__(self, array):
        self.array = array

    def __dlpack__(self, stream=None):
        return self.array.__dlpack__()

    def __dlpack_device__(self):
        return 1, 0


def test_other_producers():
    with pytest.raises(BufferError, match="another device"):
        kj.from_dlpack(Elsewhere())
    x = np.arange(3.0)
    assert address(kj.from_dlpack(Old(x)).numpy()) == address(x)
