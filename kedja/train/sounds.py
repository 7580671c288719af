"""Training a classifier of sounds, on a random split or with a speaker held out, and its baseline.

Not here: the network (`kedja/models/spectrogram_cnn.py`), errors by speaker
(`kedja/inspection/groups.py`). Next: `kedja/cli/sound.py`.
Dimensions: N recordings, F frames, M bands, C classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from kedja import Tensor, nn, optim
from kedja.data.augment_sound import AugmentSound
from kedja.data.recordings import Recordings
from kedja.front import random
from kedja.ground.errors import DataError, UsageError
from kedja.ground.suggest import did_you_mean
from kedja.models.spectrogram_cnn import (
    SpectrogramCNN,
    SpectrogramCNNConfig,
    config_for,
    heard,
)
from kedja.train.classification import stratified
from kedja.train.history import History
from kedja.train.pace import epochs_for
from kedja.train.trainer import Trainer

Array = np.ndarray[Any, np.dtype[Any]]

RATE, DECAY, STEPS = 3e-3, 0.05, 1200
PLAIN_STEPS = 600  # of logistic regression
# Chosen on halves of the speakers, each without the speakers of the other half.
USUAL = AugmentSound(
    shift=0.1, stretch=0.2, warp=0.15, tilt=20, noise=40, frame_mask=0.1, band_mask=0.1
)
SHARE = 0.2  # of each class is held out
NEIGHBOURS = 5


# ----------------------------------------------------------------------------------- rows


def random_split(
    given: Recordings, seed: int = 0, among: Array | None = None
) -> tuple[Array, Array]:
    """Rows to train on and rows to test on, int64: a fifth of each class, by the seed.

    `among` are the rows that take part (None: all). The speakers of the test are those of the
    training, so its accuracy is that on people whom the network has heard.
    """
    rows = np.arange(len(given.labels)) if among is None else among
    train, test = stratified([given.labels[row] for row in rows], SHARE, seed)
    if not len(test):
        what = f"{len(rows)} recordings are too few to test on"
        raise DataError(what, fix="give five or more of each class")
    return rows[train], rows[test]


def of_speaker(given: Recordings, speaker: str) -> tuple[Array, Array]:
    """Rows of everybody else, and rows of one speaker, int64.

    Raises UsageError for a speaker that there is not, and where nobody else speaks.
    """
    names = speakers(given)
    if speaker not in names:
        raise UsageError(f"there is no speaker {speaker!r}", fix=did_you_mean(speaker, names))
    if len(names) < 2:
        raise UsageError(f"{speaker} is the only speaker", fix="give recordings of others, too")
    mine = np.array(given.speakers) == speaker
    return np.flatnonzero(~mine), np.flatnonzero(mine)


def speakers(given: Recordings) -> list[str]:
    """The different speakers in order. Raises UsageError where names do not tell them."""
    if given.speakers is None:
        what = "the names of the recordings do not say who speaks"
        fix = "say where: --pattern '{label}_{speaker}_{index}'"
        raise UsageError(what, fix=fix)
    return sorted(set(given.speakers))


# ------------------------------------------------------------------------------- training


@dataclass(frozen=True)
class Changed:
    """A batch of spectrograms of waves at `rate` as training sees them, inside the step."""

    augment: AugmentSound
    rate: int

    def __call__(self, x: Tensor) -> Tensor:
        """x (B, F, M) → the same shape."""
        return self.augment(x, self.rate)


def fit_sound(
    given: Recordings,
    train: Array | None = None,
    test: Array | None = None,
    *,
    config: SpectrogramCNNConfig | None = None,
    augment: AugmentSound = USUAL,
    epochs: int | None = None,
    batch_size: int = 64,
    seed: int = 0,
    resume: bool = False,
    **options: Any,
) -> History:
    """Train a classifier on the rows `train` of recordings (all unless given).

    The rows `test` validate on the way. `config` is a usual one unless given, `epochs` make some
    1,200 steps; `augment` is how recordings are changed in training; further options are those of
    `Trainer`. The history holds the model.
    """
    rows = np.arange(len(given.labels)) if train is None else train
    x, y = given.inputs, given.targets
    random.seed(seed)
    trainer = Trainer(
        SpectrogramCNN(config or config_for(given.shape, given.classes)),
        loss="cross_entropy",
        **{**_usual(), **options},
        batch_size=batch_size,
        metrics=("accuracy",),
        prepare=Changed(augment, given.shape.rate),
        seed=seed,
    )
    held = None if test is None else (x[test], y[test])
    epochs = epochs or usual_epochs(len(rows), batch_size)
    return trainer.fit(x[rows], y[rows], epochs=epochs, validation=held, resume=resume)


def usual_epochs(count: int, batch: int) -> int:
    """How often so many recordings are heard unless another number is asked for."""
    return epochs_for(STEPS, count, batch, 5, 100)


def _usual() -> dict[str, Any]:
    return {"optimizer": optim.AdamW(RATE, weight_decay=DECAY), "schedule": "cosine"}


def evaluate_sound(model: SpectrogramCNN, given: Recordings, rows: Array) -> Array:
    """Whether the model's answer is right, for each of some rows: bool (n,)."""
    said = [each.label for each in heard(model, given.inputs[rows])]
    true = [given.labels[row] for row in rows]
    return np.array([one == other for one, other in zip(said, true, strict=True)])


# ------------------------------------------------------------------------------ baselines


def mean_features(inputs: Array) -> Array:
    """Mean and standard deviation of each band over the frames: (N, F, M) → (N, 2M).

    They say which frequencies a sound has, and not when.
    """
    return np.concatenate([inputs.mean(1), inputs.std(1)], axis=1)


def logistic_regression(given: Recordings, train: Array, test: Array, seed: int = 0) -> Array:
    """Whether logistic regression on `mean_features` is right, for each row of `test`: bool."""
    x, y = _standard(mean_features(given.inputs), train), given.targets
    trainer = Trainer(
        nn.Linear(x.shape[1], len(given.classes)),
        loss="cross_entropy",
        optimizer=optim.AdamW(0.02, weight_decay=0.01),
        schedule="linear",
        batch_size=64,
        seed=seed,
        progress=False,
    )
    trainer.fit(x[train], y[train], epochs=epochs_for(PLAIN_STEPS, len(train), 64, 5, 100))
    right: Array = trainer.predict(x[test]).argmax(-1) == y[test]
    return right


def nearest_neighbours(given: Recordings, train: Array, test: Array) -> Array:
    """Whether the vote of the 5 nearest neighbours by `mean_features` is right: bool."""
    x, y = _standard(mean_features(given.inputs), train), given.targets
    found = []
    for row in test:
        distances = np.square(x[train] - x[row]).sum(1)
        nearest = y[train][np.argsort(distances, kind="stable")[:NEIGHBOURS]]
        found.append(np.bincount(nearest).argmax() == y[row])
    return np.array(found)


def _standard(x: Array, rows: Array) -> Array:
    """Columns of mean 0 and deviation 1 over some rows."""
    centred: Array = x - x[rows].mean(0)
    centred /= x[rows].std(0) + 1e-6
    return centred
