"""The memory of a loop's carry: its own, writable, aligned, a block for each part."""

from __future__ import annotations

import numpy as np
import pytest

import kedja as kj
from kedja import nn
from kedja.front import donation, tree
from kedja.front.held import ALIGN, Held, copied


def arrays(carry):
    return Held(*tree.flatten(carry)).fill()


def test_values_are_those_of_the_leaves():
    carry = {"a": [kj.tensor([1.0, 2.0]), np.arange(6).reshape(2, 3).T], "b": 3, "c": kj.zeros(5)}
    found = arrays(carry)
    assert [each.tolist() for each in found] == [[1, 2], [[0, 3], [1, 4], [2, 5]], 3, [0] * 5]
    assert [each.dtype for each in found] == [np.float32, np.int64, np.int64, np.float32]
    assert all(each.flags.writeable and each.flags.c_contiguous for each in found)
    assert all(each.ctypes.data % ALIGN == 0 for each in found)


def test_nobody_else_sees_them_change():
    weight, fresh = kj.tensor([1.0, 2.0]), kj.zeros(2)
    for each in arrays((weight, fresh, weight)):
        each += 7
    assert weight.tolist() == [1.0, 2.0]
    assert fresh.tolist() == [0.0, 0.0]


def test_each_child_of_the_carry_has_memory_of_its_own():
    model = nn.mlp([3, 4, 2])
    found = arrays({"model": model, "optimizer": kj.optim.Adam(0.1).init(model)})
    blocks = {id(each.base) for each in found[:4]}, {id(each.base) for each in found[4:]}
    assert [len(each) for each in blocks] == [1, 1]
    assert blocks[0] != blocks[1]


@pytest.mark.parametrize("carry", [(), kj.tensor(2.5), {"x": kj.zeros((0, 3))}])
def test_small_carries(carry):
    expected = [np.asarray(each) for each in tree.leaves(carry)]
    assert all(map(np.array_equal, arrays(carry), expected))


@pytest.mark.parametrize("value", [-0.0, 0.5, True])
def test_only_whole_zeros_are_left_out(value):
    (found,) = arrays([kj.full(3, value)])
    assert np.array_equal(np.signbit(found.astype(float)), np.signbit([float(value)] * 3))
    assert found.tolist() == [value] * 3


def test_copies_of_arrays_are_tensors_that_nobody_else_changes():
    given = [np.arange(6.0).reshape(2, 3).T, np.array(3), np.zeros((0, 2), np.float32)]
    dtypes = [kj.float32, kj.int64, kj.float32]
    found = copied(given, dtypes)
    given[0][:] = 9
    assert [each.tolist() for each in found] == [[[0, 3], [1, 4], [2, 5]], 3, []]
    assert [each.dtype for each in found] == dtypes
    assert not found[0].numpy().flags.writeable


def test_each_copy_is_given_up_alone_and_without_another_copy():
    first, second = copied([np.ones(3, np.float32), np.ones(3, np.float32)], [kj.float32] * 2)
    address, seen = first.numpy().ctypes.data, second.numpy()
    taken = donation.taken(first), donation.taken(second)
    assert taken[0].ctypes.data == address
    assert taken[1].ctypes.data != seen.ctypes.data
    for each in taken:
        each[:] = 7
    assert seen.tolist() == [1, 1, 1]


def test_halves_are_rounded_once():
    (found,) = copied([np.array([1 + 2**-8 + 2**-40])], [kj.bfloat16])
    assert float(found.numpy()[0]) == 1.0078125
