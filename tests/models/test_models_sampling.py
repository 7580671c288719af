"""The choice of a token: bounds found by halving are those of sorting; frequencies are right."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import kedja as kj
from kedja.models.sampling import Sampling, chosen, most_probable, nucleus

# Logits in steps that halving tells apart: it compares numbers whose differences are not denormal.
ROWS = arrays(np.float32, (2, 9), elements=st.integers(-50_000, 50_000).map(lambda n: n / 1000))
first_of = kj.jit(lambda x, k: most_probable(x, k))
nucleus_of = kj.jit(lambda x, p: nucleus(x, p))


@settings(max_examples=60, deadline=None)
@given(ROWS, st.integers(1, 12))
def test_top_k_keeps_the_largest_and_their_equals(x, k):
    kth = np.sort(x, -1)[:, -min(k, 9)][:, None]
    assert np.array_equal(first_of(x, k).numpy(), x >= kth)


@settings(max_examples=60, deadline=None)
@given(ROWS, st.floats(0.01, 0.99))
def test_top_p_keeps_the_fewest_that_reach_p(x, p):
    kept = nucleus_of(x, p).numpy()
    shares = kj.softmax(kj.tensor(x), -1).numpy().astype(np.float64)
    for row, mine in zip(shares, kept, strict=True):
        low = row[mine].min()
        assert row[mine].sum() >= p - 1e-5  # enough …
        assert row[row > low].sum() < p + 1e-5  # … and not without the least of them
        assert (row[~mine] < low).all()


def test_what_is_barred_is_never_kept():
    x = np.array([[0.0, -np.inf, 1.0, -np.inf]], np.float32)
    for k in (1, 2, 3, 9):
        found = np.isin(np.arange(4), np.flatnonzero(first_of(x, k).numpy()[0]))
        scaled = np.where(found, x[0], -np.inf)
        assert np.isfinite(scaled).sum() == min(k, 2)
    assert nucleus_of(x, 1.0).numpy()[0, [0, 2]].all()


def test_ties_stay_together():
    x = np.array([[1.0, 2.0, 2.0, 2.0, 0.0]], np.float32)
    assert first_of(x, 2).tolist() == [[False, True, True, True, False]]
    assert nucleus_of(x, 0.3).tolist() == [[False, True, True, True, False]]


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (Sampling(), [0.5, 0.3, 0.15, 0.05]),
        (Sampling(top_k=2), [0.625, 0.375, 0, 0]),
        (Sampling(top_p=0.9), [0.5 / 0.95, 0.3 / 0.95, 0.15 / 0.95, 0]),
        (Sampling(0.5), np.square([0.5, 0.3, 0.15, 0.05]) / 0.365),
        (Sampling(0), [1, 0, 0, 0]),
    ],
)
def test_frequencies(rules, expected):
    count = 40_000
    logits = np.broadcast_to(np.log(np.array([0.5, 0.3, 0.15, 0.05], np.float32)), (count, 4))
    draw = kj.jit(lambda x, key: chosen(x, key, rules.numbers))
    found = np.bincount(draw(logits, kj.random.key(1)).numpy(), minlength=4) / count
    spread = np.sqrt(np.asarray(expected) * (1 - np.asarray(expected)) / count)
    assert (np.abs(found - expected) <= 5 * spread).all()


def test_a_row_is_drawn_alone_as_beside_others():
    logits = np.random.default_rng(0).standard_normal((6, 50)).astype(np.float32)
    key = kj.random.key(3)
    whole = kj.random.categorical(key, kj.tensor(logits)).tolist()
    assert kj.random.categorical(key, kj.tensor(logits[:2])).tolist() == whole[:2]


def test_an_unlikely_class_is_drawn_as_often_as_it_should():
    """Beyond what 24 bits of a uniform number could tell."""
    logits = np.zeros((1, 200_000), np.float32)
    logits[0, 0] = 25.0
    keys = [kj.random.key(seed) for seed in range(40)]
    share = np.exp(25.0) / (np.exp(25.0) + 199_999)
    draw = kj.jit(lambda key, x: kj.random.categorical(key, x))
    assert [draw(key, logits).tolist() for key in keys] == [[0]] * 40
    assert share > 0.9999


@pytest.mark.parametrize("length", [4095, 4096, 5000, 50_257])
def test_a_long_row_is_compared_in_lines(length):
    """What is drawn does not depend on how the row is cut."""
    key = kj.random.key(7)
    logits = np.random.default_rng(0).standard_normal((3, length)).astype(np.float32)
    logits[2] = -np.inf
    logits[2, length - 1] = 0
    unit = (kj.random.bits(key, (3, length)).numpy().astype(np.float64) + 0.5) * 2.0**-32
    noisy = logits - np.log(-np.log1p(-unit))
    draw = kj.jit(lambda key, x: kj.random.categorical(key, x))
    assert draw(key, logits).tolist() == noisy.argmax(-1).tolist()
    assert noisy.argmax(-1)[2] == length - 1
    other = kj.random.categorical(key, kj.tensor(logits.T), axis=0)
    assert other.shape == (3,)
