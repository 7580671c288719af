"""Training an autoencoder, and what its codes are worth beside the pixels themselves.

    loss = mean over pixels of −x log x̂ − (1 − x) log(1 − x̂),  x from 0 to 1

Not here: the network (`kedja/models/autoencoder.py`). Next: `contrastive.py`.
Dimensions: N pictures, C classes, D numbers of a code.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

import kedja as kj
from kedja import Tensor, nn, optim
from kedja.data.batches import split_order
from kedja.data.dataset import Split
from kedja.data.pictures import Pictures
from kedja.front import random
from kedja.ground.errors import MissingExtra, UsageError
from kedja.models.autoencoder import (
    Autoencoder,
    AutoencoderConfig,
    decode_pictures,
    encode_pictures,
)
from kedja.models.pictures import standardised, unit
from kedja.train.history import History
from kedja.train.pace import epochs_for
from kedja.train.trainer import Trainer

Array = np.ndarray[Any, np.dtype[Any]]

RATE, BATCH, STEPS = 2e-3, 64, 4000
LABELLED = (50, 100, 300, 1000)
DRAWS = 3  # of the labelled pictures
EXACT, ROUNDS, MORE, BLOCK = 1600, 8, 10, 1024  # of principal components
STRENGTHS, FOLDS, MOST_STEPS = (0.001, 0.01, 0.1, 1.0), 3, 300  # of the classifier


@dataclass(frozen=True)
class PictureLoss:
    """The loss of the file's docstring; with `noise` its input is disturbed, not its target.

    Source of the latter: P. Vincent et al.: Extracting and composing robust features with denoising
    autoencoders (2008).
    """

    config: AutoencoderConfig
    noise: float = 0.0

    def __call__(self, model: Autoencoder, x: Tensor) -> Tensor:
        """x (B, H, W[, C]) bytes → the loss, a scalar."""
        clean = unit(x)
        seen = clean
        if self.noise and nn.is_training():
            seen = clean + self.noise * random.normal(nn.next_key(), clean.shape)
        logits = model(standardised(self.config, seen))  # (B, C, H, W)
        if clean.ndim == 3:
            target = kj.expand_dims(clean, 1)
        else:
            target = kj.permute_dims(clean, (0, 3, 1, 2))
        return kj.mean(kj.softplus(logits) - logits * target)


def config_for(pictures: Pictures, **sizes: Any) -> AutoencoderConfig:
    """A configuration that suits pictures; `sizes` are what is given of it."""
    side = min(pictures.shape[1:])
    usual = {"widths": (16, 32) if side < 48 else (16, 32, 64), "width": 16 if side < 16 else 32}
    return AutoencoderConfig(
        pictures.shape, pictures.classes, *pictures.moments(), **{**usual, **sizes}
    )


def usual_epochs(count: int, batch: int) -> int:
    """How often so many pictures are seen: some 4,000 steps, 5 to 60 epochs."""
    return epochs_for(STEPS, count, batch, 5, 60)


def fit_autoencoder(
    pictures: Pictures,
    *,
    config: AutoencoderConfig | None = None,
    noise: float = 0.0,
    epochs: int | None = None,
    batch_size: int = BATCH,
    seed: int = 0,
    resume: bool = False,
    **options: Any,
) -> History:
    """Train an autoencoder on pictures, without their labels; the history holds the model.

    `noise` is the deviation of what is added to pixels from 0 to 1. After each epoch the loss on
    the pictures to test on is measured; nothing is chosen by it. Options are those of `Trainer`.
    """
    config = config_for(pictures) if config is None else config
    epochs = epochs or usual_epochs(len(pictures.train), batch_size)
    random.seed(seed)
    trainer = Trainer(
        Autoencoder(config),
        loss=PictureLoss(config, noise),
        **{"optimizer": optim.AdamW(RATE), "schedule": "cosine", **options},
        batch_size=batch_size,
        seed=seed,
    )
    x, held = pictures.train.inputs, pictures.test.inputs
    return trainer.fit(x, epochs=epochs, validation=(held, None), resume=resume)


# --------------------------------------------------------------------------------- figures


def reconstruction_error(model: Autoencoder, pictures: Array) -> float:
    """√ of the mean squared error of pixels from 0 to 1."""
    again = decode_pictures(model, encode_pictures(model, pictures))
    return float(np.sqrt(np.mean((again - pictures.astype(np.float32) / 255) ** 2)))


def projection_error(train: Array, test: Array, width: int) -> float:
    """The same of the projection onto `width` principal components: the best linear code."""
    mean, axes = components(train, width)
    squares = 0.0
    for rows in _blocks(test, mean):
        squares += float(np.sum((rows - rows @ axes @ axes.T) ** 2))
    return float(np.sqrt(squares / test.size))


def components(train: Array, width: int) -> tuple[Array, Array]:
    """The mean of pictures and the `width` axes along which they differ most: (P,), (P, width).

    Exactly, by what pixels have in common, or where there are fewer pictures, by what these have;
    where both are many, by subspace iteration: N. Halko, P. Martinsson, J. Tropp: Finding structure
    with randomness (2011), algorithm 4.4.
    """
    flat = train.reshape(len(train), -1)
    count, size = flat.shape
    mean = np.asarray(np.mean(flat, axis=0, dtype=np.float64) / 255)
    if size <= EXACT:
        return mean, np.linalg.eigh(_common(train, mean, np.eye(size)))[1][:, -width:]  # ascending
    if count <= EXACT:
        rows = np.concatenate(list(_blocks(train, mean)))
        return mean, _span(rows.T @ np.linalg.eigh(rows @ rows.T)[1][:, -width:])
    draws = np.random.Generator(np.random.Philox(0))
    axes = _span(draws.standard_normal((size, width + MORE)))
    for _ in range(ROUNDS):
        axes = _span(_common(train, mean, axes))
    small = axes.T @ _common(train, mean, axes)
    return mean, axes @ np.linalg.eigh((small + small.T) / 2)[1][:, -width:]


def _common(train: Array, mean: Array, axes: Array) -> Array:
    """What pixels have in common, times `axes`, without the matrix of all pairs of pixels."""
    total: Array = np.zeros(axes.shape)
    for rows in _blocks(train, mean):
        total += rows.T @ (rows @ axes)
    return total


def _span(columns: Array) -> Array:
    """Columns at right angles to each other, of length 1, with the same span."""
    found: Array = np.linalg.qr(columns)[0]
    return found


def _blocks(pictures: Array, mean: Array) -> Iterator[Array]:
    """Pictures as rows of pixels from 0 to 1 without their mean, some at a time."""
    for start in range(0, len(pictures), BLOCK):
        yield _rows(pictures[start : start + BLOCK]) - mean


class Features(NamedTuple):
    """Accuracies of a classifier from so many labelled pictures, by what it sees of each.

    `pixels` are all of them, `components` as many principal components as a code has numbers,
    `codes` those of the autoencoder; each is a mean over draws of the labelled pictures.
    """

    labelled: int
    pixels: float
    components: float
    codes: float


def features(
    model: Autoencoder,
    train: Split,
    test: Split,
    labelled: Sequence[int] = LABELLED,
    seed: int = 0,
    draws: int = DRAWS,
) -> list[Features]:
    """Logistic regression on pixels, on principal components and on codes, from few labels.

    All pictures to train on make the components and made the codes; which are labelled is drawn,
    as many of each class, the same for each view. How far a regression is held back (its C) is
    chosen by cross-validation on the labelled pictures. Needs scikit-learn. Raises UsageError where
    more are asked for than there are, MissingExtra without it.
    """
    if max(labelled) > len(train):
        raise UsageError(f"{max(labelled)} labelled of {len(train)} pictures", fix="ask for fewer")
    mean, axes = components(train.inputs, model.config.width)
    views: dict[str, Callable[[Array], Array]] = {
        "pixels": _rows,
        "components": lambda given: (_rows(given) - mean) @ axes,
        "codes": lambda given: encode_pictures(model, given),
    }
    orders = [_drawn(train.targets, seed + draw)[: max(labelled)] for draw in range(draws)]
    found: dict[str, list[float]] = {}
    for name, view in views.items():
        asked = view(test.inputs)
        drawn = [(view(train.inputs[order]), train.targets[order]) for order in orders]
        found[name] = [_accuracy(drawn, count, asked, test.targets) for count in labelled]
    return [
        Features(count, **{name: values[place] for name, values in found.items()})
        for place, count in enumerate(labelled)
    ]


def _drawn(labels: Array, seed: int) -> Array:
    """All rows by chance, such that the first ones are as many of each class."""
    order = split_order(len(labels), seed)
    rank = np.zeros(len(order), np.int64)  # within the class
    for label in np.unique(labels):
        mine = labels[order] == label
        rank[mine] = np.arange(mine.sum())
    return order[np.argsort(rank, kind="stable")]


def _rows(pictures: Array) -> Array:
    return pictures.reshape(len(pictures), -1).astype(np.float64) / 255


def _accuracy(drawn: Sequence[tuple[Array, Array]], count: int, asked: Array, true: Array) -> float:
    """The mean, over draws of labelled ones, of how often logistic regression is right.

    Numbers are scaled such that the mean one varies by 1; C is chosen on the first draw.
    """
    try:
        linear: Any = importlib.import_module("sklearn.linear_model")
        selection: Any = importlib.import_module("sklearn.model_selection")
    except ImportError:
        raise MissingExtra("scikit-learn", "learn", "the classifier on codes") from None
    rights, chosen = [], 1.0
    for place, (rows, labels) in enumerate(drawn):
        x, y = rows[:count], labels[:count]
        mean, scale = x.mean(0), max(float(np.sqrt(x.var(0).mean())), 1e-12)
        x, seen = _in_span((x - mean) / scale, (asked - mean) / scale)
        folds = min(FOLDS, int(np.unique(y, return_counts=True)[1].min()))
        if place == 0 and folds > 1:
            grid = {"C": list(STRENGTHS)}
            plain = linear.LogisticRegression(max_iter=MOST_STEPS)
            chosen = selection.GridSearchCV(plain, grid, cv=folds).fit(x, y).best_params_["C"]
        fitted = linear.LogisticRegression(C=chosen, max_iter=MOST_STEPS).fit(x, y)
        rights.append(float((fitted.predict(seen) == true).mean()))
    return float(np.mean(rights))


def _in_span(x: Array, asked: Array) -> tuple[Array, Array]:
    """Rows with as many numbers as there are rows to learn from, if they have more.

    The weights of a regression that is held back lie in the span of what it learns from, and the
    products of all rows with these stay as they are: so do its answers.
    """
    if x.shape[0] >= x.shape[1]:
        return x, asked
    span = _span(x.T)
    return x @ span, asked @ span
