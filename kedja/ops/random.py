"""Random bits from a key and a counter: Threefry-2x32 with 20 rounds.

The same key and counter give the same bits in every executor, with any number of threads, in any
order: nothing is drawn, everything is computed. Keys are uint32 arrays of two words.

Source: J. Salmon, M. Moraes, R. Dror, D. Shaw: Parallel random numbers: as easy as 1, 2, 3
(SC 2011). Not here: distributions (`kedja/front/random.py`). Next: `composite.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kedja.ground.dtypes import uint32
from kedja.ir.op import Case, Leading, NoDerivative, Op, Pointwise, Type, register
from kedja.ops.types import elementwise

ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
PARITY = 0x1BD11BDA  # the key schedule's constant (the paper's, for 32-bit words)


class Words:
    """The operations of the cipher on wrapping uint32, by NumPy's or jax.numpy's functions."""

    def __init__(self, namespace: Any) -> None:
        self._np = namespace

    def add(self, a: Any, b: Any) -> Any:
        """a + b modulo 2³²."""
        return self._np.add(a, b)

    def bitwise_xor(self, a: Any, b: Any) -> Any:
        """The bits in which both differ."""
        return self._np.bitwise_xor(a, b)

    def rotate_left(self, a: Any, bits: int) -> Any:
        """The bits moved up, those that fall off put in below."""
        return (a << self.constant(bits)) | (a >> self.constant(32 - bits))

    def constant(self, value: int) -> Any:
        """One word."""
        return np.uint32(value)


def threefry(e: Any, key: tuple[Any, Any], counter: tuple[Any, Any]) -> tuple[Any, Any]:
    """Both output words, with the arithmetic of `e`: NumPy's here, the emitter's in loops."""
    parity = e.bitwise_xor(e.bitwise_xor(key[0], key[1]), e.constant(PARITY))
    schedule = (*key, parity)
    x0, x1 = e.add(counter[0], key[0]), e.add(counter[1], key[1])
    for group in range(5):
        for bits in ROTATIONS[group % 2]:
            x0 = e.add(x0, x1)
            x1 = e.bitwise_xor(e.rotate_left(x1, bits), x0)
        x0 = e.add(x0, schedule[(group + 1) % 3])
        x1 = e.add(x1, e.add(schedule[(group + 2) % 3], e.constant(group + 1)))
    return x0, x1


def numpy_threefry(*words: np.ndarray, word: int) -> np.ndarray:
    """One output word for each element of two key words and two counter words."""
    k0, k1, c0, c1 = words
    with np.errstate(over="ignore"):
        return np.asarray(threefry(Words(np), (k0, k1), (c0, c1))[word], dtype=np.uint32)


def threefry_type(k0: Type, k1: Type, c0: Type, c1: Type, *, word: int) -> Type:
    """Four uint32 of one shape; `word` chooses which of the two output words is kept."""
    return elementwise("threefry", (uint32,))(k0, k1, c0, c1)


register(
    (
        Op(
            "threefry",
            type=threefry_type,
            numpy=numpy_threefry,
            derivative=NoDerivative("random bits are whole numbers"),
            lowering=Pointwise(
                lambda e, k0, k1, c0, c1, *, word: threefry(e, (k0, k1), (c0, c1))[word]
            ),
            batch=Leading(),
            xla=lambda x, k0, k1, c0, c1, *, word: threefry(Words(x.np), (k0, k1), (c0, c1))[word],
            formula="threefry({0}, {1}, {2}, {3})[{word}]",
            sample=lambda rng: [
                Case(
                    tuple(rng.integers(0, 2**32, (3, 5), dtype=np.uint32) for _ in range(4)),
                    {"word": word},
                )
                for word in (0, 1)
            ],
            dtypes=(uint32,),
            flops=100,
        ),
    ),
    "random",
)
