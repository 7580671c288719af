"""Text from a language model: prompts, samples, stops, and what the model thought of each token.

    samples = kj.models.generate(model, "To be", tokenizer, tokens=200, seed=1)
    for piece in kj.models.stream(model, "To be", tokenizer): print(piece.text, end="")

Any model with `config.vocab_size`, `context`, `new_state` and `decode` will do. Each sample is
drawn from random numbers of its own, which depend on the seed, the sample's number and the place
in the text: the same seed gives the same text, streamed or not, on any number of threads; alone or
beside others up to the rounding of the logits. Not here: the compiled steps (`stepping.py`), the
choice of a token (`sampling.py`). Next: `stepping.py`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from kedja.data.tokenizer import Tokenizer
from kedja.data.tokens import ENDS, START
from kedja.ground.errors import DataError, UsageError
from kedja.models.sampling import MINUS_INFINITY, Sampling
from kedja.models.stepping import MOST, Rules, Samples

Array = np.ndarray[Any, np.dtype[Any]]

NEVER = (START, "<pad>", "<mask>", "[PAD]", "[MASK]", "[CLS]")  # special tokens not to be drawn
SECONDS = 0.04  # between two pieces of a stream
RUNNERS = 3
REPLACEMENT = "\ufffd"  # what decoding writes for bytes that are no character yet
LONGEST = 3  # bytes of a character that can still be missing


class Choice(NamedTuple):
    """One drawn token: what the model gave it, and the tokens to which it gave most beside it.

    `probability` is softmax(logits), before temperature, top_k and top_p; `bits` its surprise,
    −log₂ of it. `runners` are pairs of text and probability.
    """

    token: int
    text: str
    probability: float
    bits: float
    runners: tuple[tuple[str, float], ...]


@dataclass(frozen=True, eq=False)
class Sample:
    """What was drawn after the prompt.

    `tokens` (N,) with the one that ended the sample; `text` without a stop or an end. `ended` says
    why there is no more: "end" (an end token), "stop" (a stop text), "length". `choices` are there
    where they were asked for.
    """

    tokens: Array
    text: str
    ended: str
    choices: tuple[Choice, ...] = ()

    def __str__(self) -> str:
        return self.text


class Piece(NamedTuple):
    """What came next in one sample of a stream; the last piece of a sample has it `whole`."""

    number: int
    text: str
    whole: Sample | None


def generate(
    model: Any,
    prompt: str | Sequence[int] | Array = "",
    tokenizer: Tokenizer | None = None,
    *,
    tokens: int = 200,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    stop: str | Sequence[str] = (),
    seed: int = 0,
    count: int = 1,
    explain: bool = False,
) -> list[Sample]:
    """`count` samples of at most `tokens` tokens after a prompt, which is text or tokens.

    A sample ends at a token that ends texts (`<end>`, `<|endoftext|>`) and before the first of the
    texts in `stop`. A prompt begins with `<start>`, or with `<end>`, where the tokenizer has it;
    names of special tokens in a prompt mean these tokens. Samples longer than the model's context
    go on from its latest half. `explain` fills `choices`.

    Raises UsageError for numbers out of range, for a prompt that is empty or longer than the
    context, and DataError for what the tokenizer does not know.
    """
    rules = Sampling(temperature, top_k, top_p)
    made = _Generation(model, prompt, tokenizer, rules, tokens, stop, seed, count, explain)
    found = {piece.number: piece.whole for piece in made.run(streams=False)}
    return [whole for number in range(count) if (whole := found[number]) is not None]


def stream(
    model: Any,
    prompt: str | Sequence[int] | Array = "",
    tokenizer: Tokenizer | None = None,
    *,
    tokens: int = 200,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    stop: str | Sequence[str] = (),
    seed: int = 0,
    count: int = 1,
    explain: bool = False,
) -> Iterator[Piece]:
    """The same samples as those of `generate`, in pieces, as soon as they are there."""
    rules = Sampling(temperature, top_k, top_p)
    made = _Generation(model, prompt, tokenizer, rules, tokens, stop, seed, count, explain)
    return made.run(streams=True)


class _Generation:
    """One call: what was asked for, checked, and the loop over native calls."""

    def __init__(
        self,
        model: Any,
        prompt: str | Sequence[int] | Array,
        tokenizer: Tokenizer | None,
        sampling: Sampling,
        tokens: int,
        stop: str | Sequence[str],
        seed: int,
        count: int,
        explain: bool,
    ) -> None:
        for name, value in (("tokens", tokens), ("count", count)):
            if value < 1:
                raise UsageError(f"{name} {value}", fix="at least 1")
        if not hasattr(model, "new_state"):
            what = f"{type(model).__name__} does not predict the next token"
            raise UsageError(what, fix="give a GPT or a recurrent model")
        self.tokenizer, self.explain, self.tokens = tokenizer, explain, tokens
        self.stops = _stops(stop, tokenizer)
        size: int = model.config.vocab_size
        given = prompt_tokens(prompt, tokenizer, size, model.context)
        rules = _rules(sampling, tokenizer, size)
        self.ends = frozenset(np.flatnonzero(rules.ends).tolist())
        self.samples = Samples(model, given, count, tokens, seed, rules)

    def run(self, streams: bool) -> Iterator[Piece]:
        """The pieces of all samples, the last of each with the whole."""
        texts = [_Growing(self, number) for number in range(self.samples.count)]
        left, limit = self.tokens, 1 if streams else MOST
        while left and not all(each.ended for each in texts):
            start = time.perf_counter()
            chunk = self.samples.more(min(limit, left), self.explain)
            if streams:
                wanted = limit * SECONDS / (time.perf_counter() - start)
                limit = max(1, min(MOST, 4 * limit, int(wanted)))
            left -= chunk.tokens.shape[1]
            for text in (each for each in texts if not each.ended):
                yield text.take(chunk.tokens[text.number], chunk.logits, last=not left)
            self.samples.done = np.array([bool(each.ended) for each in texts])


class _Growing:
    """One sample while it grows."""

    def __init__(self, made: _Generation, number: int) -> None:
        self.made, self.number = made, number
        self.tokens: list[int] = []
        self.choices: list[Choice] = []
        self.shown = 0  # so many characters were given out
        self.ended = ""

    def take(self, tokens: Array, logits: Array | None, last: bool) -> Piece:
        """Further tokens (N,), with logits (B, N, V) where they are wanted; what is new as text."""
        before = len(self.tokens)
        text = self._grow(tokens.tolist(), before)
        if logits is not None:
            made = zip(self.tokens[before:], logits[self.number], strict=False)
            self.choices += [choice(*each, self.made.tokenizer) for each in made]
        if last and not self.ended:
            self.ended = "length"
        sure = len(text) if self.ended else len(text) - self._unsure(text)
        piece = text[self.shown : sure]
        self.shown = max(self.shown, sure)
        whole = None
        if self.ended:
            numbers = np.array(self.tokens, np.int32)
            whole = Sample(numbers, text, self.ended, tuple(self.choices))
        return Piece(self.number, piece, whole)

    def _grow(self, tokens: list[int], before: int) -> str:
        """The tokens up to an end or a stop, and the text of all."""
        for place, token in enumerate(tokens):
            if token in self.made.ends:
                tokens, self.ended = tokens[: place + 1], "end"
                break
        self.tokens += tokens
        text = self._text(self.tokens)
        if self._stop(text) is None:
            return text
        short = next(
            n
            for n in range(before + 1, len(self.tokens) + 1)
            if self._stop(self._text(self.tokens[:n])) is not None
        )
        self.tokens, self.ended = self.tokens[:short], "stop"
        text = self._text(self.tokens)
        return text[: self._stop(text)]

    def _text(self, tokens: list[int]) -> str:
        tokenizer = self.made.tokenizer
        return "" if tokenizer is None else tokenizer.decode(tokens)

    def _stop(self, text: str) -> int | None:
        """Where the first stop begins."""
        found = [text.find(each) for each in self.made.stops]
        return min((place for place in found if place >= 0), default=None)

    def _unsure(self, text: str) -> int:
        """How many characters at the end may still become a stop or another character."""
        broken = len(text) - len(text.rstrip(REPLACEMENT))
        longest = 0
        for stop in self.made.stops:
            begun = (n for n in range(min(len(stop), len(text)), 0, -1) if text.endswith(stop[:n]))
            longest = max(longest, next(begun, 0))
        return max(longest, broken if broken <= LONGEST else 0)


# ------------------------------------------------------------------------------- what was given


def prompt_tokens(
    prompt: str | Sequence[int] | Array,
    tokenizer: Tokenizer | None,
    size: int,
    context: int | None,
) -> Array:
    """A prompt as tokens (N,), int32, N ≥ 1; for the errors see `generate`."""
    if isinstance(prompt, str):
        tokens = _encoded(prompt, tokenizer)
    else:
        tokens = np.asarray(prompt)
        if tokens.ndim != 1 or (tokens.size and tokens.dtype.kind not in "iu"):
            raise UsageError("the prompt is no sequence of tokens", fix="text, or whole numbers")
        if not tokens.size:
            raise UsageError("the prompt is empty", fix="give at least one token")
    wrong = tokens[(tokens < 0) | (tokens >= size)]
    if wrong.size:
        what = f"the prompt has token {wrong[0]}, the model {size} tokens"
        raise DataError(what, fix="use the tokenizer with which the model was trained")
    if context is not None and tokens.size > context:
        raise UsageError(
            f"the prompt has {tokens.size} tokens, the model's context {context}",
            fix=f"leave out the first {tokens.size - context} tokens",
        )
    return tokens.astype(np.int32)


def _encoded(prompt: str, tokenizer: Tokenizer | None) -> Array:
    """A text, begun as the model's texts begin."""
    if tokenizer is None:
        raise UsageError("a prompt of text without a tokenizer", fix="tokenizer=, or tokens")
    tokens = tokenizer.encode(prompt, specials=True)
    specials = tokenizer.specials
    if tokens.size and tokens[0] in specials.values():
        return tokens
    names = (START, ENDS[0]) if tokens.size else (START, *ENDS)
    begin = [specials[name] for name in names if name in specials][:1]
    if not tokens.size:
        _require_beginning(specials)
    return np.concatenate([np.array(begin, np.int32), tokens])


def _require_beginning(specials: Mapping[str, int]) -> None:
    """Raise UsageError where an empty prompt is none of the model's beginnings.

    Lists that were learned together begin with a tag each (`Corpus.read`), never with `<end>`.
    """
    if START in specials:
        return
    tags = [name for name in specials if name not in (*ENDS, *NEVER)]
    if tags and ENDS[0] in specials:
        what = "the prompt is empty, and the model has learned several kinds of text"
        raise UsageError(what, fix=f"say which by beginning with {' or '.join(tags)}")
    if not any(name in specials for name in ENDS):
        fix = f"begin with text, or one of {', '.join(tags)}" if tags else "begin with some text"
        raise UsageError("the prompt is empty, and the model has no token to begin with", fix=fix)


def _stops(stop: str | Sequence[str], tokenizer: Tokenizer | None) -> tuple[str, ...]:
    stops = (stop,) if isinstance(stop, str) else tuple(stop)
    if any(not each for each in stops):
        raise UsageError("a stop is an empty text", fix="give the text before which to stop")
    if stops and tokenizer is None:
        raise UsageError("stop is text, and there is no tokenizer", fix="tokenizer=")
    return stops


def _rules(sampling: Sampling, tokenizer: Tokenizer | None, size: int) -> Rules:
    """Which tokens are never drawn, and which end a sample."""
    barred, ends = np.zeros(size, np.float32), np.zeros(size, np.bool_)
    if tokenizer is not None:
        specials = tokenizer.specials
        barred[tokenizer.size :] = MINUS_INFINITY
        barred[[specials[name] for name in NEVER if name in specials]] = MINUS_INFINITY
        ends[[specials[name] for name in ENDS if name in specials]] = True
    return Rules(sampling, barred, ends)


def choice(token: int, logits: Array, tokenizer: Tokenizer | None) -> Choice:
    """What a model with these logits (V,) thinks of a token."""
    exact = logits.astype(np.float64)
    logs = exact - exact.max()
    logs -= np.log(np.exp(logs).sum())
    most = np.argsort(-logs, kind="stable")[: RUNNERS + 1]
    others = [int(each) for each in most if each != token][:RUNNERS]

    def text(number: int) -> str:
        return str(number) if tokenizer is None else tokenizer.token(number)

    runners = tuple((text(each), float(np.exp(logs[each]))) for each in others)
    bits = float(-logs[token] / np.log(2))
    return Choice(token, text(token), float(np.exp(logs[token])), bits, runners)
