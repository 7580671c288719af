"""Epoch orders: permutations, the same for ever, unrelated to each other."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kedja.data.batches import epoch_order, split_order
from kedja.ground.errors import UsageError

SEEDS = st.integers(0, 2**64 - 1)


@given(st.integers(0, 300), st.integers(0, 2**64 - 2), SEEDS)
def test_it_is_a_permutation_that_comes_again(n, epoch, seed):
    order = epoch_order(n, epoch, seed)
    assert order.dtype == np.int64
    assert np.sort(order).tolist() == list(range(n))
    assert epoch_order(n, epoch, seed).tolist() == order.tolist()


def test_the_orders_are_fixed_for_all_time():
    # A run that was interrupted must resume on another machine, with another NumPy.
    assert epoch_order(10, 0, 0).tolist() == [0, 2, 9, 1, 8, 5, 4, 3, 6, 7]
    assert epoch_order(10, 3, 7).tolist() == [2, 5, 9, 7, 3, 0, 6, 8, 4, 1]
    assert split_order(10, 0).tolist() == [7, 9, 8, 5, 0, 2, 4, 3, 6, 1]


def test_epochs_seeds_and_the_split_differ():
    orders = [epoch_order(50, epoch, seed).tolist() for epoch in range(5) for seed in range(5)]
    orders += [split_order(50, seed).tolist() for seed in range(5)]
    assert len({tuple(order) for order in orders}) == 30


def test_all_permutations_are_equally_likely():
    counts = Counter(tuple(epoch_order(3, epoch, 0).tolist()) for epoch in range(3000))
    assert len(counts) == 6
    # Six standard deviations of a binomial count with n = 3000 and p = 1/6.
    assert all(abs(count - 500) < 6 * 20.4 for count in counts.values())


@pytest.mark.parametrize(("epoch", "seed"), [(-1, 0), (0, -1), (0, 2**64), (2**64 - 1, 0)])
def test_numbers_out_of_range(epoch, seed):
    with pytest.raises(UsageError):
        epoch_order(3, epoch, seed)
