"""Examples that are stretches of a row of tokens: windows of running text, and pieces with an end.

Not here: where tokens come from (`kedja/data/corpus.py`), the training itself (`language.py`).
Next: `language.py`.

T is the length of an example, N the number of tokens. An example of T + 1 tokens gives the inputs
x (T,) and, one place further, the answers y (T,). The tokens may be a file's, mapped into memory:
the compiled step gathers from it, and nothing is copied before.

| kind      | example i                                           | for                        |
|-----------|-----------------------------------------------------|----------------------------|
| `Windows` | the window that starts at token i                   | training on running text   |
| `Pieces`  | the i-th of a list of spans, padded where it ends   | documents, and evaluation  |
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np

import kedja.front.functions as kj
from kedja.data.batches import epoch_order, window_starts
from kedja.front.arithmetic import where
from kedja.front.tensor import Tensor
from kedja.ground.dtypes import float64, int32
from kedja.ground.errors import DataError, ShapeError, UsageError
from kedja.nn.losses.reduction import IGNORED
from kedja.train.examples import Array, Batch, Examples, Kind

_CHUNK = 1 << 24  # tokens that are looked at together, to find the largest


class Text(Examples):
    """What windows and pieces share: the tokens, and figures per byte of the text.

    `bytes_per_token` is how many bytes of text a predicted token stands for, where that is known.
    """

    tokens: Array
    length: int
    bytes_per_token: float | None = None

    def _take(self, tokens: Any, length: int) -> None:
        array = np.asarray(tokens)
        if array.ndim != 1 or array.dtype.kind not in "iu":
            raise ShapeError(
                f"tokens of shape {list(array.shape)} and dtype {array.dtype}",
                fix="give whole numbers in one row: (N,)",
            )
        if length < 1:
            raise UsageError(f"windows of length {length}", fix="give 1 or more")
        self.tokens, self.length = _unsigned(array), length

    @property
    def arrays(self) -> dict[str, Array]:
        """The tokens."""
        return {"tokens": self.tokens}

    @property
    def positions(self) -> int:
        """T."""
        return self.length

    @cached_property
    def largest(self) -> int:
        """The largest token; all are looked at."""
        starts = range(0, len(self.tokens), _CHUNK)
        return max(int(self.tokens[start : start + _CHUNK].max()) for start in starts)

    def require_labels(self, classes: int) -> None:
        """Tokens are those that the network knows."""
        if self.largest >= classes:
            place = int(np.argmax(self.tokens >= classes))
            raise DataError(
                f"token {self.tokens[place]} at place {place}, but the network knows {classes} "
                f"(0 to {classes - 1})",
                fix="use the tokenizer that belongs to the network, or a larger vocabulary",
            )

    def figures(self, loss: float) -> dict[str, float]:
        """Bits per byte of text: loss / (ln 2 · bytes per token)."""
        if not self.bytes_per_token:
            return {}
        return {"bits_per_byte": loss / (math.log(2) * self.bytes_per_token)}


class Windows(Text):
    """Windows of T + 1 tokens out of N, any of the N − T that there are.

    An epoch draws `count` of them, with replacement, by the Philox generator keyed by seed and
    epoch; unless shuffled they follow one another, and begin again at the end.

    >>> given = Windows([0, 1, 2, 3, 4, 5], length=3, count=2)
    >>> batch = given.batch(given.tensors, kj.arange(2))
    >>> batch["x"].tolist(), batch["y"].tolist()
    ([[0, 1, 2], [1, 2, 3]], [[1, 2, 3], [2, 3, 4]])

    Raises DataError where there are fewer than T + 1 tokens.
    """

    def __init__(
        self, tokens: Any, length: int, count: int, *, bytes_per_token: float | None = None
    ) -> None:
        self._take(tokens, length)
        self._count = count
        self.bytes_per_token = bytes_per_token
        self._starts = len(self.tokens) - length
        if self._starts < 1:
            raise DataError(
                f"{len(self.tokens):,} tokens of text, too few for a window of {length} "
                f"and the token after it",
                fix="give more text, or a smaller context",
            )
        if count < 1:
            raise UsageError(f"{count} windows in an epoch", fix="give 1 or more")

    @property
    def count(self) -> int:
        """How many windows an epoch draws."""
        return self._count

    @property
    def kinds(self) -> dict[str, Kind]:
        """x and y (T,), of the tokens' dtype."""
        kind = Kind((self.length,), self.tokens.dtype)
        return {"x": kind, "y": kind}

    def order(self, epoch: int, seed: int, shuffle: bool) -> Array:
        """Where the windows of an epoch start."""
        if shuffle:
            found = window_starts(self._count, self._starts, epoch, seed)
        else:
            places = np.arange(epoch * self._count, (epoch + 1) * self._count)
            found = places * self.length % self._starts
        return found.astype(np.uint32 if self._starts < 2**32 else np.int64)

    def batch(self, data: Mapping[str, Tensor], numbers: Tensor) -> Batch:
        """The windows that start at these places (B,)."""
        places = numbers.reshape(-1, 1) + kj.arange(self.length).astype(numbers.dtype)  # (B T)
        return {"x": kj.take(data["tokens"], places), "y": kj.take(data["tokens"], places + 1)}

    def weight(self, batch: Batch) -> Any:
        """All places count."""
        return batch["y"].size

    def fingerprint(self) -> dict[str, str]:
        """The tokens, and how long and how many the windows are."""
        return {**super().fingerprint(), "windows": f"{self._count} of {self.length}"}


class Pieces(Text):
    """Spans (start, end) of a row of tokens: x is all but the last token, y all but the first.

    `spans` (P, 2) are padded to T places, which do not count (answers there are `IGNORED`).
    `counted` (P,) are the places from which on answers count: those of a question do not. An epoch
    has `count` of the pieces (None: all), drawn without replacement: all of them are seen once
    before any is seen twice, in an order by seed and number of the pass.

    >>> given = Pieces([7, 1, 2, 7, 3], [(0, 3), (3, 5)], length=3)
    >>> batch = given.batch(given.tensors, kj.arange(2))
    >>> batch["x"].tolist(), batch["y"].tolist()
    ([[7, 1, 2], [7, 3, 0]], [[1, 2, -100], [3, -100, -100]])

    Raises DataError where there is no piece, or one that is longer than T allows or ends outside.
    """

    def __init__(
        self,
        tokens: Any,
        spans: Any,
        length: int,
        *,
        count: int | None = None,
        counted: Any = None,
        bytes_per_token: float | None = None,
    ) -> None:
        self._take(tokens, length)
        self._spans = np.ascontiguousarray(spans, np.int64)
        self._counted = None if counted is None else np.ascontiguousarray(counted, np.int64)
        self.bytes_per_token = bytes_per_token
        self._require_spans()
        self._count = len(self._spans) if count is None else count

    @classmethod
    def of_text(cls, tokens: Any, length: int, **options: Any) -> Pieces:
        """The whole of a text, piece after piece, each token but the first predicted once."""
        starts = np.arange(0, len(tokens) - 1, length)
        ends = np.minimum(starts + length + 1, len(tokens))
        return cls(tokens, np.stack([starts, ends], 1), length, **options)

    @property
    def count(self) -> int:
        """How many pieces an epoch has."""
        return self._count

    @property
    def arrays(self) -> dict[str, Array]:
        """The tokens, and where the pieces are."""
        counted = {} if self._counted is None else {"counted": self._counted}
        return {"tokens": self.tokens, "spans": self._spans, **counted}

    @property
    def kinds(self) -> dict[str, Kind]:
        """x and y (T,) int32."""
        kind = Kind((self.length,), int32)
        return {"x": kind, "y": kind}

    def order(self, epoch: int, seed: int, shuffle: bool) -> Array:
        """The pieces of an epoch: passes over all, of which an epoch may be a part or several."""
        whole = len(self._spans)
        first, last = epoch * self._count, (epoch + 1) * self._count
        passes = range(first // whole, -(-last // whole))
        one = np.arange(whole)
        orders = [epoch_order(whole, each, seed) if shuffle else one for each in passes]
        start = first - passes[0] * whole
        return np.concatenate(orders)[start : start + self._count].astype(np.uint32)

    def batch(self, data: Mapping[str, Tensor], numbers: Tensor) -> Batch:
        """The pieces of these numbers (B,)."""
        span = kj.take(data["spans"], numbers, axis=0)  # (B 2)
        start, end = span[:, :1], span[:, 1:]
        places = start + kj.arange(self.length + 1)  # (B T+1)
        inside = places < end
        seen = kj.take(data["tokens"], where(inside, places, start)).astype(int32)
        counts = inside[:, 1:]
        if "counted" in data:
            begins = kj.take(data["counted"], numbers).reshape(-1, 1)
            counts = kj.logical_and(counts, places[:, 1:] >= begins)
        x = where(inside[:, :-1], seen[:, :-1], 0)
        return {"x": x, "y": where(counts, seen[:, 1:], IGNORED)}

    def weight(self, batch: Batch) -> Any:
        """As many as there are answers that count."""
        return kj.sum((batch["y"] != IGNORED).astype(float64))

    def fingerprint(self) -> dict[str, str]:
        """The arrays, and how the pieces are taken from them."""
        return {**super().fingerprint(), "pieces": f"{self._count} padded to {self.length}"}

    def _require_spans(self) -> None:
        spans, room = self._spans, self.length + 1
        if spans.ndim != 2 or spans.shape[1] != 2:
            raise ShapeError(f"spans of shape {list(spans.shape)}", fix="start and end: (P, 2)")
        if not len(spans):
            raise DataError("there is no piece of text", fix="give at least one")
        starts, ends = spans[:, 0], spans[:, 1]
        wrong = (starts < 0) | (ends <= starts) | (ends > len(self.tokens))
        if wrong.any():
            place = int(np.argmax(wrong))
            what = f"piece {place} is from {starts[place]} to {ends[place]}"
            raise DataError(what, fix=f"a span of the {len(self.tokens):,} tokens")
        longest = int((ends - starts).max())
        if longest > room:
            what = f"a piece of {longest} tokens, where {room} have room"
            raise DataError(what, fix="give a longer context, or cut the piece")


def _unsigned(tokens: Array) -> Array:
    """Tokens as an unsigned dtype, of which no label is taken for one that is ignored."""
    if tokens.dtype.kind == "u":
        return tokens
    if len(tokens) and tokens.min() < 0:
        what = f"token {tokens.min()} at place {int(np.argmin(tokens))}"
        raise DataError(what, fix="tokens are numbers from 0")
    return tokens.astype(np.uint32)
