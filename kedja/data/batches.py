"""In which order examples are drawn: permutations from explicit keys, the same on every machine.

Not here: the gathering of a minibatch, which happens inside the compiled program
(`kedja/train`). Next: `dataset.py`.

A permutation is the stable argsort of n raw 64-bit words of the Philox generator keyed by (seed,
stream). NumPy promises the words for all time and all platforms, but not what its own
`permutation` makes of them. Any epoch's order can be had without drawing those before it, so a
resumed run needs no generator state.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kedja.ground.errors import UsageError

Order = np.ndarray[Any, np.dtype[np.int64]]

_WORDS = 2**64
_SPLIT_STREAM = _WORDS - 1


def epoch_order(n: int, epoch: int, seed: int) -> Order:
    """The order of the n examples in an epoch (from 0): int64 (n,), a permutation of 0 … n−1.

    Raises UsageError for a negative or too large seed or epoch.

    >>> epoch_order(6, 0, 1).tolist()
    [3, 5, 2, 0, 1, 4]
    """
    if not 0 <= epoch < _SPLIT_STREAM:
        raise UsageError(f"epoch is {epoch}", fix="count epochs from 0")
    return _permutation(n, seed, epoch)


def split_order(n: int, seed: int) -> Order:
    """The order by which n examples are divided into training and test; no epoch's order."""
    return _permutation(n, seed, _SPLIT_STREAM)


def _permutation(n: int, seed: int, stream: int) -> Order:
    # Equal words, one chance in n²/2⁶⁵, keep their places: the sort is stable.
    return np.argsort(_words(n, seed, stream), kind="stable").astype(np.int64)


def _words(n: int, seed: int, stream: int) -> np.ndarray[Any, np.dtype[np.uint64]]:
    """The first n words of the generator of a seed and a stream."""
    if not 0 <= seed < _WORDS:
        raise UsageError(f"seed is {seed}", fix="give a whole number from 0 to 2**64 - 1")
    return np.random.Philox(key=np.array([seed, stream], np.uint64)).random_raw(n)


def window_starts(count: int, places: int, epoch: int, seed: int) -> Order:
    """Where `count` windows of an epoch start: int64 (count,), each from 0 to `places` − 1.

    They are drawn with replacement: the generator's words, modulo `places`.

    >>> window_starts(4, 1000, 0, 1).tolist()
    [887, 255, 738, 666]
    """
    return (_words(count, seed, epoch) % np.uint64(places)).astype(np.int64)
