"""Fine-tuning: a language model that speaks already learns to answer prompts.

    train, held = prompts.divide(prompts.read("questions.txt"), 0.1, seed=0)
    tuned = fit_answers(saved.model, saved.tokenizer, train, held, epochs=5)
    print(tuned.before, tuned.after)   # loss and exact match on the held-out prompts

A row is the prompt, a blank, the answer, and the token that ends a text: `<end>` or
`<|endoftext|>` where the tokenizer has it, else a line end. The loss counts the answer and its end
alone. With adapters (`kedja/models/lora.py`) instead of a plain model, these alone are learned.
Not here: the files (`kedja/data/prompts.py`), text without prompts (`language.py`).
Next: `kedja/models/lora.py`.

Dimensions: B rows, T places, V tokens.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np

import kedja as kj
from kedja import Tensor, nn, optim
from kedja.data.prompts import Prompt
from kedja.data.tokens import ENDS, START, Tokenizer, UnknownCharacter
from kedja.ground.errors import DataError, UsageError
from kedja.ground.suggest import did_you_mean
from kedja.nn.losses.reduction import IGNORED
from kedja.train.evaluation import batch_size as usual_batch
from kedja.train.examples import Array
from kedja.train.history import History
from kedja.train.trainer import Trainer
from kedja.train.windows import Pieces

# How all weights are learned, and how adapters are. Plain gradient descent moves most what all
# questions have in common, and finds what was read; AdamW moves every weight as much, and learns
# the answers by heart (docs/fine-tuning.md has the figures).
ALL, ADAPTERS = "sgd", "adamw"
RATES = {
    "sgd": 0.3,  # with the gradient's norm clipped to 1, no update is longer than this
    **dict.fromkeys(("adam", "adamw", "nadam", "radam", "rmsprop"), 5e-4),
    "lion": 1.5e-4,
}
ADAPTERS_FASTER = 10  # so many times, by any of these but sgd


@dataclass(frozen=True, eq=False)
class Tuned:
    """What fine-tuning gave: `before` and `after` are `loss` (nats per token of the answers) and
    `exact_match` on the held-out prompts; empty where there are none."""

    history: History
    before: dict[str, float]
    after: dict[str, float]

    @property
    def model(self) -> Any:
        """The tuned model."""
        return self.history.model


def fit_answers(
    model: Any,
    tokenizer: Tokenizer,
    train: Sequence[Prompt],
    held: Sequence[Prompt] = (),
    *,
    epochs: int = 5,
    batch_size: int = 32,
    lr: float | None = None,
    optimizer: optim.Optimizer | str | None = None,
    clip_norm: float | None = 1.0,
    resume: bool = False,
    **options: Any,
) -> Tuned:
    """Teach a model of tokens (B, T) → logits (B, T, V) to answer prompts.

    `optimizer` is a name or one of `kj.optim`; None takes SGD for all weights, and AdamW where
    parts of the model are frozen, as they are beside adapters. For a name, `lr` is the largest
    rate (None: that of `usual_rate`), which rises for a tenth of the updates and falls along a
    cosine; weights do not decay, since they did not start at zero. Further options are those of
    `Trainer`: seed, checkpoint, precision, threads, progress. The same seed gives the same bits.

    Raises DataError where there are no prompts, a prompt with its answer is longer than the model's
    context, or a character is unknown; the place in the prompts' file is named.
    """
    given = rows(train, tokenizer, model.context)
    exam = Exam(rows(held, tokenizer, model.context), options.get("precision")) if held else None
    before = {} if exam is None else exam.run(model)
    updates = epochs * math.ceil(given.count / batch_size)
    own = isinstance(optimizer, optim.Optimizer)
    usual = {} if own else {"schedule": "cosine", "warmup": updates // 10}
    trainer = Trainer(
        model,
        loss="cross_entropy",
        optimizer=_optimizer(model, optimizer, lr),
        batch_size=batch_size,
        clip_norm=clip_norm,
        **{**usual, **options},
    )
    validation = None if exam is None else exam.given
    history = trainer.fit(given, epochs=epochs, validation=validation, resume=resume)
    return Tuned(history, before, {} if exam is None else exam.run(history.model))


def _optimizer(
    model: Any, given: optim.Optimizer | str | None, lr: float | None
) -> optim.Optimizer:
    if isinstance(given, optim.Optimizer):
        return given
    chosen = usual_optimizer(model) if given is None else given
    usual = usual_rate(model, chosen)
    opt = optim.optimizer(chosen, lr=usual if lr is None else lr)
    decays = bool(getattr(opt, "weight_decay", 0))
    return dataclasses.replace(opt, weight_decay=0.0) if decays else opt  # type: ignore[type-var]


def usual_optimizer(model: Any) -> str:
    """The optimizer that suits a model: another one where only adapters are learned."""
    return ADAPTERS if _has_frozen(model) else ALL


def usual_rate(model: Any, optimizer: str) -> float:
    """The learning rate that suits a model: SGD's 0.3, AdamW's 0.0005, or ten times that where only
    adapters are learned. UsageError for an optimizer that does not serve here."""
    if optimizer not in RATES:
        fix = did_you_mean(optimizer, RATES)
        raise UsageError(f"fine-tuning has no optimizer {optimizer!r}", fix=fix)
    faster = ADAPTERS_FASTER if _has_frozen(model) and optimizer != "sgd" else 1
    return RATES[optimizer] * faster


def _has_frozen(model: Any) -> bool:
    return any(each.is_frozen for _, each in model.modules())


def evaluate_answers(
    model: Any, tokenizer: Tokenizer, prompts: Sequence[Prompt], *, precision: str | None = None
) -> dict[str, float]:
    """`loss`, in nats per token of the answers, and `exact_match`, the share of prompts that the
    model answers with exactly the answer, choosing the most probable token each time."""
    return Exam(rows(prompts, tokenizer, model.context), precision).run(model)


class Exam:
    """Loss and exact match on one set of rows, compiled once, for any weights of a model.

    Whether the greedy answer is the right one is seen without generating it: it is, if and only if
    each token of the right answer is the most probable one after those before it.
    """

    def __init__(self, given: Pieces, precision: str | None = None) -> None:
        self.given = given
        self._policy = None if precision is None else nn.Policy(precision)
        self._size = usual_batch(given.count, given.positions)
        self._measure = kj.jit(self._measured)

    def run(self, model: Any) -> dict[str, float]:
        """The figures of a model."""
        found = self.each(model)
        loss, counted = found["loss"].sum(), found["counted"].sum()
        return {"loss": float(loss / counted), "exact_match": float(found["right"].mean())}

    def each(self, model: Any) -> dict[str, Array]:
        """For each row (N,): the sum of its losses, how many tokens count, whether it is right."""
        count, data = self.given.count, self.given.tensors
        parts = []
        for start in range(0, count, self._size):
            numbers = np.arange(start, start + self._size, dtype=np.uint32) % np.uint32(count)
            found = self._measure(model, data, kj.asarray(numbers))
            parts.append({name: each.numpy() for name, each in found.items()})
        return {
            name: np.concatenate([part[name] for part in parts])[:count].astype(np.float64)
            for name in parts[0]
        }

    def _measured(self, model: Any, data: dict[str, Tensor], numbers: Tensor) -> dict[str, Tensor]:
        batch = self.given.batch(data, numbers)
        with nullcontext() if self._policy is None else self._policy.scope():
            logits = model(batch["x"])  # (B, T, V)
        y = batch["y"]  # (B, T)
        counts = y != IGNORED
        hit = kj.logical_or(kj.argmax(logits, axis=-1) == y, kj.logical_not(counts))
        losses = nn.cross_entropy(logits, y, "none")
        return {
            "loss": kj.sum(losses, axis=1),
            "counted": kj.sum(counts.astype("int32"), axis=1),
            "right": kj.all(hit, axis=1),
        }


# ----------------------------------------------------------------------------------- rows


def rows(prompts: Sequence[Prompt], tokenizer: Tokenizer, context: int | None) -> Pieces:
    """Prompts and answers as padded rows in which the answers alone count.

    Raises as `fit_answers` does.
    """
    if not prompts:
        raise DataError("there are no prompts", fix="give at least one with its answer")
    pairs = [_tokens(each, tokenizer) for each in prompts]
    lengths = np.array([[len(prompt), len(answer)] for prompt, answer in pairs])  # (P, 2)
    ends = np.cumsum(lengths.sum(axis=1))
    spans = np.stack([ends - lengths.sum(axis=1), ends], axis=1)
    longest = int(lengths.sum(axis=1).max()) - 1
    if context is not None and longest > context:
        raise _too_long(prompts[int(lengths.sum(axis=1).argmax())], longest, context)
    tokens = np.concatenate([each for pair in pairs for each in pair])
    return Pieces(tokens, spans, longest, counted=ends - lengths[:, 1])


def _tokens(prompt: Prompt, tokenizer: Tokenizer) -> tuple[Array, Array]:
    """The tokens of a prompt, with what a text begins with, and those of its answer and its end."""
    specials = tokenizer.specials
    begin = [specials[name] for name in (START, ENDS[0]) if name in specials][:1]
    end = [specials[name] for name in ENDS if name in specials][:1]
    try:
        question = tokenizer.encode(prompt.prompt)
        answer = tokenizer.encode(f" {prompt.answer}" if end else f" {prompt.answer}\n")
    except UnknownCharacter as error:
        fix = "use the characters of the text that the model was trained on, or train on bytes"
        raise DataError(error.what, where=prompt.where or None, fix=fix) from error
    return np.append(begin, question).astype(np.int32), np.append(answer, end).astype(np.int32)


def _too_long(prompt: Prompt, length: int, context: int) -> DataError:
    what = f"a prompt and its answer have {length} tokens, the model's context {context}"
    return DataError(what, where=prompt.where or None, fix="shorten it, or leave it out")


def stop_text(tokenizer: Tokenizer) -> str:
    """Where generation of an answer stops: the line end, unless the tokenizer has an end token."""
    return "" if any(name in tokenizer.specials for name in ENDS) else "\n"
