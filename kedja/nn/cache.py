"""Keys and values of the places that a decoder has seen, kept so that each is computed once.

Not here: the attention that reads them (`attention.py`). Next: `attention.py`.
Dimensions: N examples, H heads, S places that there is room for, D numbers of a head.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kedja.front import functions, tree
from kedja.front.arithmetic import call, cast, reshape
from kedja.front.tensor import Tensor, as_tensor
from kedja.ground.dtypes import DType, float32, int64
from kedja.ground.errors import ShapeError, UsageError
from kedja.ir.graph import locating


@dataclass(frozen=True)
class KVCache:
    """Room for S keys and values, of which the first `length` are filled.

    `key` and `value` (N, H, S, D), `length` (), a whole number. It is a pytree that is never
    changed: `append` gives another one, so that it is a carry of `scan` and an argument of `jit` as
    it is. Shapes stay the same while it fills, so that a decoder is compiled once.

    >>> import kedja as kj
    >>> cache = KVCache.empty(1, 1, 4, 2)
    >>> cache = cache.append(kj.ones((1, 1, 3, 2)), kj.ones((1, 1, 3, 2)))
    >>> cache.length.item(), cache.mask(1).tolist()
    (3, [[True, True, True, False]])
    """

    key: Tensor
    value: Tensor
    length: Tensor

    @classmethod
    def empty(
        cls,
        batch: int,
        heads: int,
        capacity: int,
        head_dim: int,
        value_dim: int | None = None,
        dtype: DType = float32,
    ) -> KVCache:
        """Room for `capacity` places, none of them filled."""
        shape = (batch, heads, capacity)
        key = functions.zeros((*shape, head_dim), dtype)
        value = functions.zeros((*shape, value_dim or head_dim), dtype)
        return cls(key, value, Tensor(0, int64))

    @property
    def capacity(self) -> int:
        """S, for how many places there is room."""
        return self.key.shape[2]

    def append(self, key: Any, value: Any) -> KVCache:
        """With further keys and values (N, H, L, D) after those that are there.

        Raises ShapeError where the shapes do not fit, UsageError where there is no room (in a
        compiled function, where the length is not known, the last place takes what does not fit).
        """
        key, value = as_tensor(key), as_tensor(value)
        with locating():
            self._require_fit(key, value)
        count = key.shape[2]
        return KVCache(
            _written(self.key, key, self.length),
            _written(self.value, value, self.length),
            self.length + count,
        )

    def rewound(self, length: int) -> KVCache:
        """With only the first `length` places filled: what stands behind them is forgotten."""
        return KVCache(self.key, self.value, Tensor(length, int64))

    def mask(self, queries: int) -> Tensor:
        """Where the last `queries` places may attend to: (L, S), bool, for attention's `attn_mask`.

        Each attends to itself and to all before it.
        """
        row = reshape(functions.arange(queries), (-1, 1)) + (self.length - queries)
        return row >= reshape(functions.arange(self.capacity), (1, -1))

    def _require_fit(self, key: Tensor, value: Tensor) -> None:
        for name, mine, new in (("keys", self.key, key), ("values", self.value, value)):
            fits = new.ndim == 4 and new.shape[:2] == mine.shape[:2]
            if not fits or new.shape[3] != mine.shape[3] or new.shape[2] != key.shape[2]:
                raise ShapeError(
                    f"{name} {list(new.shape)} into a cache of {list(mine.shape)}",
                    fix="(N, H, L, D) with the cache's N, H and D",
                )
        length = self.length
        if length.is_known and length.item() + key.shape[2] > self.capacity:
            raise UsageError(
                f"{key.shape[2]} places more into a cache with {length.item()} of "
                f"{self.capacity} filled",
                fix="make the cache with a larger capacity",
            )


def _written(old: Tensor, new: Tensor, start: Tensor) -> Tensor:
    """`old` with `new` along axis 2 from a place that may be unknown while tracing.

    A loop that carries the cache writes these places alone, where the old array stands.
    """
    count = new.shape[2]
    return call("scatter_set", old, functions.arange(count) + start, cast(new, old.dtype), axis=2)


def _take_apart(cache: KVCache) -> tree.Parts:
    children = (cache.key, cache.value, cache.length)
    return tree.Parts(("key", "value", "length"), children, None, (False, False, True))


def _put_together(static: None, children: Sequence[Any]) -> KVCache:
    return KVCache(*children)


tree.register(KVCache, _take_apart, _put_together)
