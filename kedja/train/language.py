"""Training of language models on a corpus: Σ log P(next token | those before) as large as possible.

    train, held = kj.data.Corpus.read(["play.txt"], tokenizer).split(0.1)
    history = fit_language(model, train, held, steps=2000, batch_size=12, lr=1e-3)

Not here: which windows and pieces there are (`windows.py`), the loop (`run.py`), generation
(`kedja/models/generate.py`). Next: `kedja/cli/language`.

Losses are nats per predicted token. Bits per byte of text, beside them, compare models whatever
their tokens are.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kedja import optim
from kedja.data.corpus import Corpus
from kedja.ground.errors import UsageError
from kedja.train.examples import Array, Examples
from kedja.train.history import History
from kedja.train.trainer import Trainer
from kedja.train.windows import Pieces, Windows

LENGTH = 64  # of windows, for models that have no longest context


def fit_language(
    model: Any,
    train: Corpus,
    held: Corpus | None = None,
    *,
    steps: int,
    batch_size: int = 12,
    length: int | None = None,
    evaluations: int = 1,
    optimizer: optim.Optimizer | None = None,
    lr: float = 1e-3,
    accumulate: int = 1,
    clip_norm: float | None = 1.0,
    resume: bool = False,
    **options: Any,
) -> History:
    """Train a model of tokens (B, T) → logits (B, T, V) on a corpus, by `steps` updates.

    Each update sees `batch_size` windows of `length` tokens (None: the model's context), or as many
    documents, padded. The whole held-out corpus is evaluated `evaluations` times on the way; so
    often a line, a checkpoint and the `callbacks` come, too. `steps` are rounded up to a multiple.
    The rate is that of `decaying`, unless an optimizer is given. `accumulate` sums the gradients of
    so many batches for one update. The other options are those of `Trainer`: seed, checkpoint,
    precision ("bfloat16"), ema, callbacks, threads, progress.

    Raises DataError where the corpus is too short or the model does not know its tokens.
    """
    every = updates_between(steps, evaluations)
    size = window_length(model, length)
    given = drawn(train, size, every * batch_size * accumulate)
    opt = decaying(lr, every * evaluations) if optimizer is None else optimizer
    trainer = Trainer(
        model,
        loss="cross_entropy",
        optimizer=opt,
        batch_size=batch_size,
        accumulate=accumulate,
        clip_norm=clip_norm,
        **options,
    )
    validation = None if held is None else whole(held, size)
    return trainer.fit(given, epochs=evaluations, validation=validation, resume=resume)


def evaluate_language(
    model: Any, corpus: Corpus, length: int | None = None, *, precision: str | None = None
) -> dict[str, float]:
    """The loss of a whole corpus in nats per token, and in bits per byte of its text.

    Running text is cut into windows of `length` (None: the model's context), one after the other;
    what came before a window does not help to predict it.
    """
    trainer = Trainer(
        model, loss="cross_entropy", optimizer=optim.SGD(0.0), precision=precision, progress=False
    )
    return trainer.evaluate(whole(corpus, window_length(model, length)))


def updates_between(steps: int, evaluations: int) -> int:
    """How many updates there are between two evaluations, so that there are at least `steps`."""
    for name, value in (("steps", steps), ("evaluations", evaluations)):
        if value < 1:
            raise UsageError(f"{name} is {value}", fix="give 1 or more")
    return -(-steps // evaluations)


def window_length(model: Any, length: int | None) -> int:
    """How many tokens a model is shown; UsageError for more than it can take."""
    context = getattr(model, "context", None)
    if length is None:
        return LENGTH if context is None else int(context)
    if context is not None and length > context:
        what = f"windows of {length} tokens, where the model takes at most {context}"
        raise UsageError(what, fix=f"give {context} or less, or a model with a longer context")
    return length


# ------------------------------------------------------------------------------- the examples


def drawn(corpus: Corpus, length: int, count: int) -> Examples:
    """What an epoch of `count` examples draws: windows of running text, or documents."""
    bytes_per_token = _bytes_per_token(corpus)
    if corpus.documents is None:
        return Windows(corpus.tokens, length, count, bytes_per_token=bytes_per_token)
    return _documents(corpus, length, count)


def whole(corpus: Corpus, length: int) -> Pieces:
    """The whole of a corpus, each token predicted once."""
    if corpus.documents is not None:
        return _documents(corpus, length, None)
    return Pieces.of_text(corpus.tokens, length, bytes_per_token=_bytes_per_token(corpus))


def _documents(corpus: Corpus, length: int, count: int | None) -> Pieces:
    documents = corpus.documents if count is None else balanced(corpus.tokens, corpus.documents)
    spans = cut(documents, length)
    longest = int((spans[:, 1] - spans[:, 0]).max(initial=2)) - 1
    return Pieces(
        corpus.tokens, spans, longest, count=count, bytes_per_token=_bytes_per_token(corpus)
    )


def balanced(tokens: Array, documents: Any) -> Array:
    """Documents (D, 2) of several lists, which begin with different tokens: those of shorter lists
    several times, the root of how often the longest list is longer.

    A list of a hundredth is then learned at ten times its share, instead of hardly at all.
    Source of the root: A. Conneau et al.: Unsupervised cross-lingual representation learning at
    scale (2019), section 3.1, where the exponent is 0.3.

    >>> balanced(np.array([7, 7, 7, 7, 8]), [(i, i + 1) for i in range(5)])[:, 0].tolist()
    [0, 1, 2, 3, 4, 4]
    """
    spans = np.asarray(documents, np.int64)
    _, lists, counts = np.unique(tokens[spans[:, 0]], return_inverse=True, return_counts=True)
    times = np.round(np.sqrt(counts.max() / counts)).astype(np.int64)
    return np.repeat(spans, times[lists], axis=0)


def cut(documents: Any, length: int) -> Array:
    """Documents (D, 2) in pieces of at most `length` + 1 tokens, of which each begins with the
    last token of the one before.

    >>> cut([(0, 5), (5, 7), (8, 9)], 3).tolist()
    [[0, 4], [3, 5], [5, 7]]
    """
    spans = np.asarray(documents, np.int64).reshape(-1, 2)
    counts = np.maximum(0, -(-(spans[:, 1] - spans[:, 0] - 1) // length))
    rows = np.repeat(np.arange(len(spans)), counts)
    within = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    starts = spans[rows, 0] + within * length
    return np.stack([starts, np.minimum(starts + length + 1, spans[rows, 1])], axis=1)


def _bytes_per_token(corpus: Corpus) -> float:
    if corpus.documents is None:
        return corpus.bytes / len(corpus)
    predicted = int((corpus.documents[:, 1] - corpus.documents[:, 0] - 1).sum())
    return corpus.bytes / max(1, predicted)


# ------------------------------------------------------------------------------- the optimizer


def decaying(
    lr: float,
    steps: int,
    *,
    warmup: int | None = None,
    final: float | None = None,
    betas: tuple[float, float] = (0.9, 0.99),
    weight_decay: float = 0.1,
) -> optim.Optimizer:
    """AdamW whose rate rises for `warmup` updates to `lr` and falls along a cosine to `final`.

    `warmup` is a twentieth of the steps unless given, at most 100; `final` a tenth of `lr`. Weights
    decay, biases and the scales of norms do not.
    """
    rising = min(100, steps // 20) if warmup is None else warmup
    end = lr / 10 if final is None else final
    rate = optim.WarmupCosineLR(lr, rising, max(steps, rising + 1), end)
    opt = optim.AdamW(rate, betas=betas, weight_decay=weight_decay)
    return optim.no_decay(opt) if weight_decay else opt
