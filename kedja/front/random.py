"""Random numbers from explicit keys: the same key gives the same numbers, everywhere, always.

A key is a uint32 tensor of two words. It is not used up by drawing; derive new ones with `split`
and `fold_in`. Layers that are made without a key take the next one of the process's default
sequence, which `seed` sets. Source of the bits: `kedja/ops/random.py`. Next: `transforms.py`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from kedja.front import arithmetic, drawing, functions
from kedja.front.functions import argmax, cos, log, log1p, minimum, sqrt
from kedja.front.tensor import Tensor, as_tensor
from kedja.ground.dtypes import (
    DType,
    as_dtype,
    bfloat16,
    float16,
    float32,
    float64,
    int64,
    is_float,
    uint32,
)
from kedja.ground.errors import DtypeError, UsageError
from kedja.ir.graph import locating
from kedja.ops.types import extents

Shape = int | Sequence[int]
UNIT_BITS = {float16: 11, bfloat16: 8, float32: 24}  # of fractions below 1 that are exact


def key(seed: int) -> Tensor:
    """The key of a whole number from 0 to 2⁶⁴ − 1.

    >>> key(7).tolist()
    [0, 7]
    """
    with locating():
        if not 0 <= seed < 2**64:
            raise UsageError(f"seed {seed}", fix="a whole number from 0 to 2**64 - 1")
    return Tensor(np.array([seed >> 32, seed & 0xFFFFFFFF], dtype=np.uint32))


def bits(key: Tensor, shape: Shape = (), word: int = 0) -> Tensor:
    """uint32 words, uniform over all their values; `word` 0 and 1 are independent of each other."""
    with locating():
        return arithmetic.call("random_bits", as_tensor(key), shape=extents(shape), word=word)


def split(key: Tensor, count: int = 2) -> list[Tensor]:
    """Keys that are independent of each other and of the given one."""
    if drawing.is_plain(key):
        root = fold_in(key, 0x5EED)
        return [drawing.key_of(drawing.words(root, 0, place)) for place in range(count)]
    words = [bits(fold_in(key, 0x5EED), (count,), word) for word in (0, 1)]
    pairs = arithmetic.concatenate([each.reshape(count, 1) for each in words], 1)
    return [pairs[i] for i in range(count)]


def fold_in(key: Tensor, number: int | Tensor) -> Tensor:
    """The key of a sub-stream, named by a number (a step, a layer)."""
    key = as_tensor(key)
    if isinstance(number, int) and drawing.is_plain(key):
        return drawing.key_of(drawing.words(key, number & 0xFFFFFFFF, 0))
    name = as_tensor(number).astype(uint32).reshape(1)
    parts = [arithmetic.broadcast(key[i : i + 1], (1,)) for i in (0, 1)]
    zero = Tensor(np.zeros(1, np.uint32))
    words = [arithmetic.call("threefry", *parts, name, zero, word=word) for word in (0, 1)]
    return arithmetic.concatenate(words, 0)


def uniform(
    key: Tensor, shape: Shape = (), low: float = 0.0, high: float = 1.0, dtype: Any = float32
) -> Tensor:
    """Uniform in [low, high): 24 random bits in float32, 53 in float64.

    The half dtypes are drawn in float32, from as many bits as they hold exactly (11 and 8), and
    cast: so that nothing is rounded up to 1.
    """
    kind = float_dtype(dtype)
    unit = _drawn(key, shape, kind, _unit_of)
    scaled = unit if (low, high) == (0.0, 1.0) else unit * (high - low) + low
    return scaled.astype(kind)


def float_dtype(dtype: Any) -> DType:
    """A dtype that random numbers can have; DtypeError for another."""
    with locating():
        kind = as_dtype(dtype)
        if not is_float(kind):
            raise DtypeError(f"random numbers of dtype {kind.name}", fix="a float dtype, or bits")
    return kind


Words = Callable[[Tensor, int], Tensor]  # (key, word) -> the random bits of all places


def _drawn(
    key: Tensor, shape: Shape, dtype: DType, numbers: Callable[[Words, Tensor, DType], Tensor]
) -> Tensor:
    """Numbers made of the bits of their places: as a graph, or many of them at once."""
    with locating():
        whole = extents(shape)
    if math.prod(whole) < drawing.MANY or not drawing.is_plain(key):
        return numbers(lambda key, word: bits(key, whole, word), key, dtype)

    def block(key: Tensor, start: Tensor) -> Tensor:
        return numbers(lambda key, word: _bits_from(start, key, word), key, dtype)

    return drawing.many(as_tensor(key), whole, f"{numbers.__name__} {dtype.name}", block)


def _bits_from(start: Tensor, key: Tensor, word: int) -> Tensor:
    """The bits of a block of places, the first of which is `start`."""
    places = arithmetic.call("iota", shape=(drawing.BLOCK,), axis=0, dtype=int64) + start
    high, low = (places >> 32).astype(uint32), places.astype(uint32)
    both = [arithmetic.broadcast(key[i : i + 1], places.shape) for i in (0, 1)]
    return arithmetic.call("threefry", *both, high, low, word=word)


def _unit_of(words: Words, key: Tensor, dtype: DType, word: int = 0) -> Tensor:
    """Uniform in [0, 1), in float64 or else in float32."""
    if dtype == float64:
        high = (words(key, 0) >> 5).astype(float64) * 2.0**26
        low = (words(fold_in(key, word), 1) >> 6).astype(float64)
        return (high + low) * 2.0**-53
    digits = UNIT_BITS[dtype]
    return (words(key, word) >> 32 - digits).astype(float32) * 2.0**-digits


def _normal_of(words: Words, key: Tensor, dtype: DType) -> Tensor:
    first, second = _unit_of(words, key, dtype, 0), _unit_of(words, fold_in(key, 1), dtype, 1)
    return sqrt(-2 * log(1 - first)) * cos((2 * math.pi) * second)


def normal(key: Tensor, shape: Shape = (), dtype: Any = float32) -> Tensor:
    """Normal of mean 0 and variance 1: √(−2 log(1 − u₁))·cos(2π u₂) (Box and Muller, 1958).

    The half dtypes are drawn in float32 and cast.
    """
    kind = float_dtype(dtype)
    drawn = float64 if kind == float64 else float32
    return _drawn(key, shape, drawn, _normal_of).astype(kind)


def bernoulli(key: Tensor, probability: float, shape: Shape = ()) -> Tensor:
    """True with the given probability."""
    return uniform(key, shape) < probability


def categorical(key: Tensor, logits: Tensor, axis: int = -1) -> Tensor:
    """A number of each class with probability softmax(logits) along the axis, which is left out.

    It is the largest of logits + g, where g = −log(−log u) is noise with Gumbel's distribution: no
    probability and no sum is computed, and a class with logit −∞ is never drawn. The draw of a row
    depends on the key and the row's place alone, not on how many rows there are. Source: E. Gumbel:
    Statistical theory of extreme values (1954).
    """
    words = bits(key, logits.shape).astype(float32)  # (…, V)
    unit = minimum((words + 0.5) * 2.0**-32, 1 - 2.0**-24)  # inside (0, 1)
    noise = -log(-log1p(-unit))
    return _largest(logits.astype(float32) + noise, axis)


LINE = 1024  # numbers of a long row that one task compares


def _largest(x: Tensor, axis: int) -> Tensor:
    """argmax; of a long row first in lines, so that threads share it."""
    length = x.shape[-1]
    if axis not in (-1, x.ndim - 1) or length < 4 * LINE:
        return argmax(x, axis)
    lines = -(-length // LINE)
    rest = functions.full((*x.shape[:-1], lines * LINE - length), -math.inf)
    cut = arithmetic.concatenate([x, rest], -1).reshape(*x.shape[:-1], lines, LINE)
    best = argmax(functions.max(cut, -1), -1, keepdims=True)  # (…, 1)
    inside = arithmetic.call("take_along_axis", argmax(cut, -1), best, axis=x.ndim - 1)
    return (best * LINE + inside).reshape(*x.shape[:-1])


_sequence: Iterator[Tensor] | None = None


def seed(number: int) -> None:
    """Start the process's default sequence of keys anew."""
    global _sequence
    root = key(number)
    _sequence = (_known(fold_in(root, i)) for i in itertools.count())


def _known(tensor: Tensor) -> Tensor:
    tensor.numpy()
    return tensor


def next_key() -> Tensor:
    """The next key of the default sequence (of seed 0 where none was set)."""
    if _sequence is None:
        seed(0)
    assert _sequence is not None
    return next(_sequence)
