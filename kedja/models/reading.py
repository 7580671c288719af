"""How a network reads a text: what it expected at each token, what surprised it, and where inside
the network the guess came about.

Not here: attention (`looking.py`), writing (`generate.py`). Next: `kedja/train`.
Dimensions: T tokens, C channels, V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, NamedTuple

import numpy as np

import kedja as kj
from kedja.front import tables
from kedja.ground.errors import DataError, UsageError
from kedja.models.heat import shown

Array = np.ndarray[Any, np.dtype[Any]]
Name = Callable[[int], str]

RUNNERS_UP = 3
TINY = float(np.finfo(np.float32).tiny)
DARKEST = 8.0  # bits: the surprise at which a token's colour is full


class Guess(NamedTuple):
    """A token and the probability that it was given."""

    token: str
    probability: float


class Read(NamedTuple):
    """One token of the text and what the network expected in its place.

    `bits` is −log₂ of its probability, `rank` is 1 where it was the likeliest, `likeliest` are the
    first guesses. `lens` has for each block the likeliest token if the network ended there, with
    the probability of the true one.
    """

    token: str
    probability: float
    bits: float
    rank: int
    likeliest: tuple[Guess, ...]
    lens: tuple[Guess, ...] = ()


@dataclass(frozen=True)
class Reading:
    """A text as a network read it; prints as a table, shows itself as coloured text.

    `first` is the token that nothing stands before: it is given, not guessed.
    """

    first: str
    tokens: tuple[Read, ...]
    layers: tuple[str, ...] = ()

    @property
    def bits(self) -> float:
        """The mean surprise of a token, in bits."""
        return float(np.mean([each.bits for each in self.tokens]))

    @property
    def nats(self) -> float:
        """The same in nats: the loss that training minimises."""
        return self.bits * math.log(2)

    @property
    def perplexity(self) -> float:
        """2^bits: among how many equally likely tokens the network would be as unsure."""
        return float(2.0**self.bits)

    def most_surprising(self, count: int = 5) -> list[Read]:
        """The tokens that were least expected."""
        return sorted(self.tokens, key=lambda each: -each.bits)[:count]

    @property
    def header(self) -> tuple[str, ...]:
        """The columns of the table."""
        return ("token", "probability", "bits", "rank", "expected", *self.layers)

    def rows(self) -> list[tuple[str, ...]]:
        """A row for each token."""
        return [(shown(self.first), *[""] * (len(self.header) - 1)), *map(_row, self.tokens)]

    def table(self) -> str:
        """Each token with its probability, its surprise, and what was expected instead."""
        lines = tables.rendered(self.header, self.rows(), numbers=("probability", "bits", "rank"))
        return f"{lines}\n\n{self.summary}"

    @property
    def summary(self) -> str:
        """The figures of the whole in one line."""
        mean = f"{self.bits:.3f} bits ({self.nats:.4f} nats) a token"
        return f"{len(self.tokens)} tokens: {mean}, perplexity {self.perplexity:.4g}"

    def html(self) -> str:
        """The text, redder where it surprised; what was expected is in the tooltips."""
        spans = "".join(map(_span, self.tokens))
        style = "font-family:ui-monospace,Menlo,Consolas,monospace;white-space:pre-wrap"
        return f'<div style="{style}">{escape(self.first)}{spans}</div><p>{self.summary}</p>'

    def data(self) -> dict[str, Any]:
        """The reading as JSON's types."""
        tokens = [
            {
                **each._asdict(),
                "likeliest": [guess._asdict() for guess in each.likeliest],
                "lens": [guess._asdict() for guess in each.lens],
            }
            for each in self.tokens
        ]
        figures = {"bits": self.bits, "nats": self.nats, "perplexity": self.perplexity}
        return {"first": self.first, **figures, "layers": list(self.layers), "tokens": tokens}

    def __str__(self) -> str:
        return self.table()

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/plain": self.table(), "text/html": self.html()}


def _row(of: Read) -> tuple[str, ...]:
    figures = (f"{of.probability:.2%}", f"{of.bits:.2f}", str(of.rank))
    expected = ", ".join(f"{shown(each.token)} {each.probability:.0%}" for each in of.likeliest)
    inside = (f"{shown(each.token)} {each.probability:.0%}" for each in of.lens)
    return (shown(of.token), *figures, expected, *inside)


def _span(of: Read) -> str:
    share = min(1.0, of.bits / DARKEST)
    expected = ", ".join(f"{shown(each.token)} {each.probability:.0%}" for each in of.likeliest)
    tip = escape(f"{of.bits:.2f} bits; expected {expected}", quote=True)
    colour = f"background:rgba(214,69,46,{0.6 * share:.2f})"
    return f'<span style="{colour}" title="{tip}">{escape(of.token)}</span>'


# --------------------------------------------------------------------------------- reading


def read(model: Any, tokens: Sequence[int], name: Name = str, lens: bool = False) -> Reading:
    """What a language model expected at each token of a text.

    `tokens` are at least two numbers; `name` gives the text of one. A text that is longer than the
    model's context is read in pieces that overlap by half of it. With `lens`, the state after each
    block goes through the last norm and the head as if the network ended there.
    Raises DataError for fewer than two tokens, UsageError where the model predicts no next token,
    or has no lens.
    Source of the lens: nostalgebraist: Interpreting GPT, the logit lens (2020).

    >>> model = kj.models.GPT2(kj.models.GPT2Config(11, 8, 12, 2, 3))
    >>> found = read(model, [1, 2, 3], lens=True)
    >>> [each.token for each in found.tokens], found.layers
    (['2', '3'], ('h.0', 'h.1'))
    """
    if len(tokens) < 2:
        raise DataError("a text of fewer than two tokens", fix="the first is given, not guessed")
    if not hasattr(model, "new_state"):
        kind = type(model).__name__
        raise UsageError(f"{kind} does not predict the next token", fix="give a GPT or an RNN")
    layers: tuple[str, ...] = ()
    found = []
    for piece, known in pieces(len(tokens), model.context):
        part = [int(each) for each in tokens[piece]]
        inner, states = _called(model, part, lens)
        layers = tuple(inner)
        expected = [_probabilities(each)[known:] for each in states]
        found += list(_judged(part[known + 1 :], expected, name))
    return Reading(name(int(tokens[0])), tuple(found), layers)


def pieces(length: int, context: int | None) -> Iterator[tuple[slice, int]]:
    """Parts of a text that fit a context, and how many guesses of each were made before.

    >>> list(pieces(7, None)), list(pieces(7, 4))
    ([(slice(0, 7, None), 0)], [(slice(0, 5, None), 0), (slice(2, 7, None), 2)])
    """
    room = length if context is None else context + 1  # the last is only guessed
    end, start = min(length, room), 0
    yield slice(0, end), 0
    while end < length:
        start, before = min(start + max(1, room // 2), length - room), end
        end = start + room
        yield slice(start, end), before - 1 - start


def _called(model: Any, part: Sequence[int], lens: bool) -> tuple[list[str], list[kj.Tensor]]:
    """The blocks' names, and the logits (T, V) of the whole and then of each block."""
    tokens = kj.tensor([part[:-1]])
    if not lens:
        return [], [model(tokens)[0]]
    blocks = getattr(model, "h", None)
    if blocks is None or not hasattr(model, "logits"):
        raise UsageError(f"there is no lens for {type(model).__name__}", fix="give a GPT")
    states: dict[int, kj.Tensor] = {}
    with kj.nn.module.watching(lambda _, module, x: states.update({id(module): x})):
        whole = model(tokens)
    names = [f"h.{place}" for place in range(len(blocks))]
    return names, [whole[0], *(model.logits(states[id(block)])[0] for block in blocks)]


def _probabilities(logits: kj.Tensor) -> Array:
    found: Array = kj.softmax(logits.astype(kj.float32), -1).numpy()
    return found


def _judged(true: Sequence[int], expected: Sequence[Array], name: Name) -> Iterator[Read]:
    """Each true token beside the distributions of the whole network and of its blocks."""
    whole, *inner = expected
    for place, number in enumerate(true):
        row = whole[place]
        order = np.argsort(-row, kind="stable")
        best = tuple(Guess(name(int(n)), float(row[n])) for n in order[:RUNNERS_UP])
        chance = float(row[number])
        bits = -math.log2(max(chance, TINY))
        rank = 1 + int((row > row[number]).sum())
        lens = tuple(
            Guess(name(int(each[place].argmax())), float(each[place][number])) for each in inner
        )
        yield Read(name(number), chance, bits, rank, best, lens)
