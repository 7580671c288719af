"""A small network of ours, trained on some of the examples and asked about the others.

What it says of an example never rests on that example's own label: the folds take turns, and the
answers of several trainings with other folds and weights are averaged.

Not here: what is made of its answers (`label_noise.py`). Next: `label_noise.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from kedja import nn, optim, random
from kedja.data.batches import split_order
from kedja.front.creation import full_like
from kedja.front.elementwise import logaddexp
from kedja.front.neural import cross_entropy_each
from kedja.front.tensor import Tensor
from kedja.inspection.subject import Array
from kedja.train.trainer import fit

FOLDS = 5
REPEATS = 2
FORGIVEN = 0.05  # the share of wrong labels to which training does not bend
HIDDEN = 64
BATCH = 64
STEPS = 450  # at least; more are taken for many examples
MOST_EPOCHS = 60

Progress = Callable[[int, int], None]


def folds(groups: Array, repeat: int) -> Array:
    """The fold of each example, int (N,), so that a group is in one fold: copies tell nothing."""
    _, members = np.unique(groups, return_inverse=True)
    count = int(members.max()) + 1
    fold = np.empty(count, np.int64)
    fold[split_order(count, repeat)] = np.arange(count) % FOLDS
    placed: Array = fold[members]
    return placed


def out_of_fold(
    x: Array,
    y: Array,
    classes: int,
    groups: Array,
    *,
    repeats: int = REPEATS,
    progress: Progress | None = None,
) -> Array:
    """Probabilities (N, classes) of x (N, F) by networks that did not see the example's label y.

    `groups` int (N,) are equal where examples are copies. Each example is answered for by
    `repeats` networks, whose probabilities are averaged.
    """
    total = np.zeros((len(y), classes))
    for repeat in range(repeats):
        fold = folds(groups, repeat)
        for number in range(FOLDS):
            seed = repeat * FOLDS + number
            train, test = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
            total[test] += softmax(outputs(x[train], y[train], x[test], classes, seed))
            if progress is not None:
                progress(seed + 1, repeats * FOLDS)
    return total / repeats


def out_of_fold_numbers(
    x: Array, y: Array, groups: Array, *, progress: Progress | None = None
) -> Array:
    """Numbers (N,) for x (N, F) by networks that did not see the example's number y (N,)."""
    mean, spread = float(y.mean()), float(y.std()) or 1.0
    targets = ((y - mean) / spread).astype(np.float32)[:, None]  # (N, 1)
    answers = np.empty(len(y))
    fold = folds(groups, 0)
    for number in range(FOLDS):
        train, test = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        answers[test] = outputs(x[train], targets[train], x[test], 1, number)[:, 0]
        if progress is not None:
            progress(number + 1, FOLDS)
    return answers * spread + mean


def outputs(x: Array, y: Array, asked: Array, width: int, seed: int) -> Array:
    """What a network trained on x, y puts out for `asked`, float64 (n, width).

    y int64 (N,) are classes, and outputs their logits; y float32 (N, 1) are numbers.
    """
    network = nn.mlp([x.shape[1], HIDDEN, width], "relu", key=random.key(seed))
    epochs = min(MOST_EPOCHS, max(10, round(STEPS * BATCH / len(x))))
    history = fit(
        network,
        x,
        y,
        loss=forgiving(width) if y.ndim == 1 else "mse",
        optimizer=optim.AdamW(3e-3, weight_decay=0.01),
        epochs=epochs,
        batch_size=min(BATCH, len(x)),
        seed=seed,
        progress=False,
    )
    parts = [history.model(asked[at : at + 4096]).numpy() for at in range(0, len(asked), 4096)]
    return np.concatenate(parts).astype(np.float64)


def forgiving(classes: int, share: float = FORGIVEN) -> Callable[[Tensor, Tensor], Tensor]:
    """The loss −log((1 − η) p(y) + η / K), which does not bend to a share η of wrong labels.

    With cross-entropy, a network that fits 2 % of wrong labels is no surer than 98 % of anything,
    and so sees nothing remarkable in them. Source: G. Patrini et al., "Making deep neural networks
    robust to label noise: a loss correction approach" (2017), with the noise the same throughout.
    """
    kept, other = math.log(1 - share), math.log(share / classes)

    def loss(logits: Tensor, y: Tensor) -> Tensor:
        """logits (B, K), y (B,) → ()."""
        own = kept - cross_entropy_each(logits, y)  # (B,)
        return -logaddexp(own, full_like(own, other)).mean()

    return loss


def softmax(logits: Array) -> Array:
    """Probabilities (N, classes) of logits (N, classes)."""
    powers = np.exp(logits - logits.max(1, keepdims=True))
    answers: Array = powers / powers.sum(1, keepdims=True)
    return answers
