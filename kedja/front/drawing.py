"""Random numbers drawn at once: many by a compiled program, keys by whole numbers.

What `random.py` builds as graphs is computed here where nothing is traced and the key is known:
millions of weights in milliseconds, and the bits of a key without arrays of one element. The bits
are those of the graph, and so are uniform numbers; normal ones differ as compiled code does from
the interpreter. Next: `random.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from kedja.front import ambient
from kedja.front.jit import jit
from kedja.front.tensor import Tensor, from_value
from kedja.ground.flags import flags
from kedja.ops.random import threefry

BLOCK = 1 << 16  # numbers that one call of the program draws
MANY = 1 << 17  # from here on they are drawn in blocks
MASK = 0xFFFFFFFF

Draw = Callable[[Tensor, Tensor], Tensor]  # (key, the place of the first number) -> a block


class _WholeNumbers:
    """The arithmetic of 32-bit words on Python's integers."""

    def add(self, a: int, b: int) -> int:
        return (a + b) & MASK

    def bitwise_xor(self, a: int, b: int) -> int:
        return a ^ b

    def rotate_left(self, a: int, bits: int) -> int:
        return ((a << bits) | (a >> (32 - bits))) & MASK

    def constant(self, value: int) -> int:
        return value


WHOLE_NUMBERS = _WholeNumbers()


def is_plain(*tensors: Any) -> bool:
    """Whether there is nothing to trace: the values are there, and nobody differentiates them."""
    if ambient.traces() or flags().tier != "auto":
        return False
    given = (each for each in tensors if isinstance(each, Tensor))
    return all(each.is_known and not each.tracks for each in given)


def words(key: Tensor, high: int, low: int) -> tuple[int, int]:
    """Both words of Threefry for one counter."""
    k0, k1 = key.numpy().tolist()
    return threefry(WHOLE_NUMBERS, (k0, k1), (high, low))


def key_of(pair: tuple[int, int]) -> Tensor:
    """Two words as a key."""
    return from_value(np.array(pair, np.uint32))


def many(key: Tensor, shape: tuple[int, ...], name: str, draw: Draw) -> Tensor:
    """A large array of numbers, block by block; `name` says what `draw` draws."""
    size = math.prod(shape)
    program = _program(name, draw)
    drawn = [program(key, np.int64(start)).numpy() for start in range(0, size, BLOCK)]
    return from_value(np.concatenate(drawn)[:size].reshape(shape))


_programs: dict[str, Any] = {}


def _program(name: str, draw: Draw) -> Any:
    if name not in _programs:
        _programs[name] = jit(draw, backend="cpu")
    return _programs[name]
