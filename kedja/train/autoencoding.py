"""Training an autoencoder, and what its codes are worth beside the pixels themselves.

    loss = mean over pixels of −x log x̂ − (1 − x) log(1 − x̂),  x from 0 to 1

Not here: the network (`kedja/models/autoencoder.py`). Next: `contrastive.py`.
Dimensions: N pictures, C classes, D numbers of a code.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
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
from kedja.train.trainer import Trainer

Array = np.ndarray[Any, np.dtype[Any]]

RATE, BATCH, STEPS = 2e-3, 64, 4000
LABELLED = (50, 100, 300, 1000)


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
    return min(60, max(5, round(STEPS * batch / count)))


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
    rows, asked = (each.reshape(len(each), -1).astype(np.float64) / 255 for each in (train, test))
    mean = rows.mean(0)
    _, vectors = np.linalg.eigh((rows - mean).T @ (rows - mean))  # ascending
    axes = vectors[:, -width:]
    rest = (asked - mean) - (asked - mean) @ axes @ axes.T
    return float(np.sqrt(np.mean(rest**2)))


class Features(NamedTuple):
    """Accuracies of a classifier from so many labelled pictures, on pixels and on codes."""

    labelled: int
    pixels: float
    codes: float


def features(
    model: Autoencoder, train: Split, test: Split, labelled: Sequence[int] = LABELLED, seed: int = 0
) -> list[Features]:
    """Logistic regression on standardised pixels and on codes, from few labelled pictures.

    Which are labelled is drawn by the seed, the same for both. Needs scikit-learn. Raises
    UsageError where more are asked for than there are, MissingExtra without it.
    """
    if max(labelled) > len(train):
        raise UsageError(f"{max(labelled)} labelled of {len(train)} pictures", fix="ask for fewer")
    order = split_order(len(train), seed)[: max(labelled)]
    known = train.inputs[order], train.targets[order]
    both = {
        "pixels": (_rows(known[0]), _rows(test.inputs)),
        "codes": (encode_pictures(model, known[0]), encode_pictures(model, test.inputs)),
    }
    return [
        Features(
            count,
            **{
                name: _accuracy(rows[:count], known[1][:count], asked, test.targets)
                for name, (rows, asked) in both.items()
            },
        )
        for count in labelled
    ]


def _rows(pictures: Array) -> Array:
    return pictures.reshape(len(pictures), -1).astype(np.float32) / 255


def _accuracy(rows: Array, labels: Array, asked: Array, true: Array) -> float:
    try:
        linear: Any = importlib.import_module("sklearn.linear_model")
        pipeline: Any = importlib.import_module("sklearn.pipeline")
        scaling: Any = importlib.import_module("sklearn.preprocessing")
    except ImportError:
        raise MissingExtra("scikit-learn", "learn", "the classifier on codes") from None
    fitted = pipeline.make_pipeline(
        scaling.StandardScaler(), linear.LogisticRegression(max_iter=1000)
    ).fit(rows, labels)
    return float((fitted.predict(asked) == true).mean())
