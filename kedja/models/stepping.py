"""Many tokens in one native call: a model's decoding with the choice of the next token inside.

Not here: texts, prompts and stops (`generate.py`), the choice itself (`sampling.py`).
Next: `generate.py`. Dimensions: B samples, L tokens of a piece, V tokens of the vocabulary.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

import kedja as kj
from kedja import Tensor
from kedja.front import tree
from kedja.ground.errors import NonFiniteError
from kedja.models.sampling import Sampling, chosen
from kedja.nn.cache import KVCache

Array = np.ndarray[Any, np.dtype[Any]]

MOST = 128  # tokens of one native call
LOGITS = 1 << 22  # of one native call that keeps them
PIECE = 64  # tokens of a prompt that are decoded side by side
FEW = 16  # up to so many go through the loop instead, which is compiled anyway
LEAST_ROOM = 64


class Chunk(NamedTuple):
    """What one call has drawn: tokens (B, N), and their logits (B, N, V) where they are kept."""

    tokens: Array
    logits: Array | None


class Rules(NamedTuple):
    """What a step looks at beside the model: `barred` (V,) is −∞ for tokens that are never drawn,
    `ends` (V,) holds for those that end a sample."""

    sampling: Sampling
    barred: Array
    ends: Array


# ------------------------------------------------------------------------- the compiled functions


def _steps(
    model: Any, state: Any, now: dict[str, Tensor], rules: dict[str, Any], keeps: bool
) -> tuple[Any, ...]:
    """Decode and choose, token by token, until `limit` tokens or the end of all samples.

    `now` says how the call begins: `feed` (B, N), whose first `forced` tokens are given and not
    chosen, the key, the place of the first token, and which samples are `done`.
    """
    feed, forced, limit, place = now["feed"], now["forced"], now["limit"], now["place"]
    batch, room = feed.shape

    def step(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        i, token, done, broken, out, state, *kept = carry
        token = kj.where(i < forced, kj.take(feed, i, axis=1), token)  # (B,)
        logits, state = model.decode(token.reshape(batch, 1), state)
        logits = logits[:, -1].astype("float32") + rules["barred"]  # (B, V)
        key = kj.random.fold_in(now["key"], place + i)
        token = chosen(logits, key, rules["numbers"]).astype(feed.dtype)
        ended = kj.logical_and(kj.take(rules["ends"], token), i >= forced - 1)
        broken = kj.logical_or(broken, kj.any(kj.isnan(logits)))
        out = out.at[:, i].set(token)
        kept = [each.at[:, i].set(logits) for each in kept]
        return i + 1, token, kj.logical_or(done, ended), broken, out, state, *kept

    def goes_on(carry: tuple[Any, ...]) -> Tensor:
        i, _, done, broken = carry[:4]
        alive = kj.logical_not(kj.logical_or(kj.all(done), broken))
        return kj.logical_and(i < limit, alive)

    size = rules["barred"].shape[0]
    kept = [kj.zeros((batch, room, size))] if keeps else []
    zero = kj.zeros((), "int64")
    first = (zero, feed[:, 0], now["done"], zero > 0, kj.zeros_like(feed), state, *kept)
    last: tuple[Any, ...] = kj.while_loop(goes_on, step, first)
    return last


advance = kj.jit(_steps, static="keeps", donate="state")


def _after(model: Any, tokens: Tensor, state: Any) -> Any:
    return model.decode(tokens, state)[1]


after = kj.jit(_after, donate="state")


# ------------------------------------------------------------------------------------- the samples


class Samples:
    """B sequences that grow together: their tokens, and the model's state after them.

    A model of limited length whose context is full goes on from the latest half of its tokens,
    which is computed anew; `slid` counts that.
    """

    def __init__(
        self, model: Any, prompt: Array, count: int, tokens: int, seed: int, rules: Rules
    ) -> None:
        self.model, self.rules = model, rules
        self.count, self.slid = count, 0
        self.known = np.repeat(prompt[None].astype(np.int32), count, 0)  # (B, N)
        self.done = np.zeros(count, np.bool_)
        self.place = 0  # tokens that the state knows
        self.waiting = 0  # known tokens that it does not know yet
        self.state: Any = None
        self.context: int | None = model.context
        self.capacity = _room(prompt.size + tokens, self.context)
        self.key = kj.random.key(seed)
        self._start(prompt.size, alike=True)

    def more(self, limit: int, keeps: bool = False) -> Chunk:
        """Draw at most `limit` further tokens: fewer where all samples end or the context is full.

        Raises NonFiniteError where the model's logits are NaN.
        """
        while self.waiting > (most := self._most(keeps)):
            self._call(most, most, keeps)
        if self.context is not None and self.place + self.waiting > self.context:
            self._slide()
            return self.more(limit, keeps)
        room = MOST if self.context is None else self.context - self.place
        steps = min(limit + self.waiting - 1, self._most(keeps), room)
        return self._call(steps, self.waiting, keeps)

    # ------------------------------------------------------------------------- how it goes on

    def _most(self, keeps: bool) -> int:
        """The tokens of one call."""
        logits = self.count * self.rules.barred.size
        return max(1, min(MOST, LOGITS // logits)) if keeps else MOST

    def _call(self, steps: int, forced: int, keeps: bool) -> Chunk:
        """So many steps, of which the first take tokens that are known."""
        most = self._most(keeps)
        begin = self.known.shape[1] - self.waiting
        feed = np.zeros((self.count, most), np.int32)
        given = self.known[:, begin : begin + min(most, forced)]
        feed[:, : given.shape[1]] = given
        unfinished = steps < self.waiting  # more is known than this call takes
        now = {"feed": feed, "forced": forced + unfinished, "limit": steps, "place": begin}
        now |= {"key": self.key, "done": self.done}
        rules = {
            "numbers": self.rules.sampling.numbers,
            "barred": self.rules.barred,
            "ends": self.rules.ends,
        }
        taken, _, done, broken, out, self.state, *kept = advance(
            self.model, self.state, now, rules, keeps=keeps
        )
        if broken.item():
            raise NonFiniteError("the model's logits are NaN", fix="train it again, more slowly")
        count = int(taken.item())
        self.place += count
        self.done = done.numpy()
        if unfinished:
            self.waiting -= count
            return Chunk(out.numpy()[:, :0], None)
        fresh = slice(self.waiting - 1, count)
        tokens = out.numpy()[:, fresh]
        self.known = np.concatenate([self.known, tokens], 1)
        self.waiting = 1
        return Chunk(tokens, kept[0].numpy()[:, fresh] if kept else None)

    def _slide(self) -> None:
        """Go on from the latest half of the context, computed anew."""
        assert self.context is not None
        self.slid += 1
        self._start(max(1, self.context // 2), alike=False)

    def _start(self, length: int, alike: bool) -> None:
        """A state that knows the last `length` tokens but one; `waiting` are still to be taken."""
        known = self.known[:, self.known.shape[1] - length :]
        self.place, self.waiting = 0, length
        batch = 1 if alike else self.count
        self.state = self.model.new_state(batch, self.capacity)
        if length - 1 > FEW and _is_cached(self.state):
            for piece, start in _pieces(known[:batch, :-1], min(PIECE, self.capacity)):
                self.state = after(self.model, kj.tensor(piece), _rewound(self.state, start))
            self.state = _rewound(self.state, length - 1)
            self.place, self.waiting = length - 1, 1
            self.state = _repeated(self.state, self.count // batch)
        elif batch != self.count:
            self.state = self.model.new_state(self.count, self.capacity)


def _room(length: int, context: int | None) -> int:
    """Places that are kept: a power of two, so that few programs serve all lengths."""
    room = LEAST_ROOM
    while room < length:
        room *= 2
    return room if context is None else min(room, context)


def _pieces(tokens: Array, size: int) -> list[tuple[Array, int]]:
    """(B, N) tokens in pieces of one size, and where each begins.

    The last piece begins earlier where it is short; a single short one is filled up with tokens
    that are forgotten.
    """
    length = tokens.shape[1]
    if length <= size:
        return [(np.pad(tokens, ((0, 0), (0, size - length))), 0)]
    starts = [*range(0, length - size, size), length - size]
    return [(tokens[:, start : start + size], start) for start in starts]


def _is_cached(state: Any) -> bool:
    """Whether a state is nothing but keys and values, of which any number can be forgotten."""
    return isinstance(state, list) and all(isinstance(each, KVCache) for each in state)


def _rewound(state: list[KVCache], length: int) -> list[KVCache]:
    return [each.rewound(length) for each in state]


def _repeated(state: list[KVCache], times: int) -> list[KVCache]:
    """The state of one sample for several."""

    def repeated(leaf: Any) -> Any:
        return kj.repeat(leaf, times, axis=0) if leaf.ndim else leaf

    return [tree.map(repeated, each) for each in state] if times > 1 else state
