"""Training a network on pictures with classes, and what its answers are worth beside pixels.

Not here: the networks (`kedja/models/pictures.py`), the files (`kedja/data/pictures.py`).
Next: `classification.py`. Dimensions: N pictures, C classes, D numbers of a picture.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from kedja import Tensor, nn, optim
from kedja.data.augment import Augment
from kedja.data.dataset import Split
from kedja.data.pictures import Pictures
from kedja.front import random
from kedja.ground.errors import UsageError
from kedja.ground.suggest import did_you_mean
from kedja.models.cnn import CNN, CNNConfig
from kedja.models.pictures import PictureConfig, probabilities, standardised, unit
from kedja.models.small_resnet import ResNetConfig, SmallResNet
from kedja.train.classification import ClassQuality, quality
from kedja.train.history import History
from kedja.train.pace import epochs_for
from kedja.train.trainer import Trainer

Array = np.ndarray[Any, np.dtype[Any]]

RATE, DECAY, WARMUP = 2e-3, 0.05, 100
STEPS = 12_000
MODELS = ("cnn", "resnet")
# Digits and letters mean something else turned over; photographs do not.
DRAWN = Augment(shift=0.08, rotate=10, zoom=0.1)
GREY = Augment(shift=0.08, rotate=10, zoom=0.1, brightness=0.1, contrast=0.2)
COLOURED = Augment(shift=0.08, rotate=10, zoom=0.1, flip=True, brightness=0.1, contrast=0.2)
# Logistic regression so trained is as good as scikit-learn's (a test compares them).
PIXELS_RATE, PIXELS_STEPS = 1e-2, 3000
# The nearest neighbour looks at as many test pictures as so many multiplications allow.
WORK = 10**11


# ------------------------------------------------------------------------------- training


@dataclass(frozen=True)
class Seen:
    """A batch of bytes as a network sees it, inside the step: changed in training, standardised."""

    config: PictureConfig
    augment: Augment

    def __call__(self, x: Tensor) -> Tensor:
        """x (B, H, W) or (B, H, W, C), bytes → (B, C, H, W), floats."""
        return standardised(self.config, self.augment(unit(x)))


def usual_augment(pictures: Pictures) -> Augment:
    """What pictures may be changed by: coloured ones are flipped, drawn ones keep their ink."""
    if pictures.drawn:
        return DRAWN
    return GREY if pictures.shape[0] == 1 else COLOURED


def usual_config(pictures: Pictures, model: str = "cnn", **sizes: Any) -> Any:
    """A configuration that suits pictures; `sizes` are what is given of it.

    | pictures           | cnn                                                              |
    |--------------------|------------------------------------------------------------------|
    | sides below 16     | 32 and 64 channels, a hidden layer of 64                         |
    | drawn, below 48    | 16, 32 and 64 channels, a hidden layer of 64                     |
    | coloured, or grey  | the same with batch norm                                         |
    | sides from 48      | 16, 32, 64 and 128 channels with batch norm, averaged at the end |
    """
    if model not in MODELS:
        raise UsageError(f"there is no model {model!r}", fix=did_you_mean(model, MODELS))
    mean, std = pictures.moments()
    about = (pictures.shape, pictures.classes, mean, std)
    if model == "resnet":
        return ResNetConfig(*about, **sizes)
    side = min(pictures.shape[1:])
    if side < 16:
        usual: dict[str, Any] = {"widths": (32, 64)}
    elif side < 48:
        usual = {"norm": not pictures.drawn}
    else:
        usual = {"widths": (16, 32, 64, 128), "norm": True, "average": True, "hidden": ()}
    return CNNConfig(*about, **{**usual, **sizes})


def network(config: Any, seed: int = 0) -> Any:
    """The network of a configuration, its weights drawn by the seed."""
    random.seed(seed)
    return CNN(config) if isinstance(config, CNNConfig) else SmallResNet(config)


def usual_batch(count: int) -> int:
    """Pictures in a minibatch: fewer where there are few."""
    return 32 if count < 2000 else 64


def usual_epochs(count: int, batch: int) -> int:
    """How often so many pictures are seen: some 12,000 steps, 10 to 60 epochs."""
    return epochs_for(STEPS, count, batch, 10, 60)


def usual_warmup(schedule: Any, steps: int) -> int:
    """In how many of a run's steps the rate rises, for schedules that do not say so themselves."""
    return min(WARMUP, steps // 10) if schedule in ("cosine", "linear") else 0


def fit_pictures(
    pictures: Pictures,
    *,
    model: str = "cnn",
    config: Any = None,
    augment: Augment | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    validation: Split | bool = True,
    seed: int = 0,
    resume: bool = False,
    **options: Any,
) -> History:
    """Train a network on pictures; the history holds the model.

    `config` and `augment` are usual ones unless given (`usual_config`, `usual_augment`). After each
    epoch the network is measured on the pictures to validate on (where there are none, on those to
    test on), or on those of `validation`, or not at all (False); nothing is chosen by that.
    `options` are those of `Trainer`. Raises what `Trainer` raises.
    """
    config = usual_config(pictures, model) if config is None else config
    augment = usual_augment(pictures) if augment is None else augment
    own = pictures.test if pictures.validation is None else pictures.validation
    held = own if validation is True else validation
    count = len(pictures.train)
    batch = batch_size or usual_batch(count)
    epochs = epochs or usual_epochs(count, batch)
    trainer = Trainer(
        network(config, seed),
        loss="cross_entropy",
        **_paced(options, epochs * -(-count // batch)),
        batch_size=batch,
        metrics=("accuracy",),
        prepare=Seen(config, augment),
        seed=seed,
    )
    return trainer.fit(
        pictures.train.inputs,
        pictures.train.targets,
        epochs=epochs,
        validation=None if isinstance(held, bool) else (held.inputs, held.targets),
        resume=resume,
    )


def _paced(options: Mapping[str, Any], steps: int) -> dict[str, Any]:
    """The options of the trainer, the usual ones where they are not given."""
    schedule = options.get("schedule", "cosine")
    usual = {
        "optimizer": optim.AdamW(RATE, weight_decay=DECAY),
        "schedule": schedule,
        "warmup": usual_warmup(schedule, steps),
    }
    return {**usual, **options}


# ------------------------------------------------------------------------------- quality


@dataclass(frozen=True, repr=False)
class PictureQuality:
    """Figures on pictures with known classes.

    `confusion` int64 (C, C) counts pictures by what they are (row) and are taken for (column);
    `classes` are precision, recall and F1 of each class by name.
    """

    accuracy: float
    balanced_accuracy: float
    classes: dict[str, ClassQuality]
    confusion: Array

    def __repr__(self) -> str:
        shares = f"accuracy {self.accuracy:.2%}, mean of the classes {self.balanced_accuracy:.2%}"
        pairs = (f"{is_a} for {taken} ({count:,})" for is_a, taken, count in self.confused())
        mistakes = ", ".join(pairs)
        return f"{shares}\nmost often taken: {mistakes}" if mistakes else shares

    def confused(self, most: int = 5) -> list[tuple[str, str, int]]:
        """What is most often taken for what: (class, taken for, how often)."""
        names, wrong = list(self.classes), self.confusion.copy()
        np.fill_diagonal(wrong, 0)
        order = np.argsort(-wrong, axis=None, kind="stable")[:most]
        pairs = (divmod(int(each), len(names)) for each in order)
        return [(names[i], names[j], int(wrong[i, j])) for i, j in pairs if wrong[i, j]]


def evaluate_pictures(model: Any, given: Split) -> PictureQuality:
    """The figures of a network on bytes and the numbers of their classes."""
    said = probabilities(model, given.inputs).argmax(1)
    return measured(said, given.targets, model.config.classes)


def measured(said: Array, true: Array, classes: tuple[str, ...]) -> PictureQuality:
    """The figures of answers, the numbers of classes, int (N,)."""
    names = np.array(classes, object)
    figures = quality(list(names[said]), list(names[true]), classes)
    confusion = np.zeros((len(classes), len(classes)), np.int64)
    np.add.at(confusion, (true, said), 1)
    return PictureQuality(figures.accuracy, figures.balanced_accuracy, figures.classes, confusion)


# ------------------------------------------------------------------------------ baselines


def most_frequent(train: Split, test: Split) -> float:
    """The accuracy of always saying the class that is commonest among the pictures to train on."""
    return float((test.targets == np.bincount(train.targets).argmax()).mean())


def pixels_logistic(pictures: Pictures, seed: int = 0, **options: Any) -> float:
    """The accuracy of logistic regression on the pixels, on the pictures to test on."""
    config = usual_config(pictures)
    shape = (len(config.classes), int(np.prod(config.shape)))
    linear = nn.Linear(shape[1], shape[0], key=random.key(seed))
    trainer = Trainer(
        linear,
        loss="cross_entropy",
        optimizer=optim.AdamW(PIXELS_RATE, weight_decay=DECAY),
        schedule="cosine",
        batch_size=64,
        metrics=("accuracy",),
        prepare=Flat(config),
        seed=seed,
        progress=False,
        **options,
    )
    train, test = pictures.train, pictures.test
    epochs = min(300, max(3, PIXELS_STEPS // -(-len(train) // 64)))
    trainer.fit(train.inputs, train.targets, epochs=epochs)
    return trainer.evaluate(test.inputs, test.targets)["accuracy"]


@dataclass(frozen=True)
class Flat:
    """A batch of bytes as rows of standardised pixels."""

    config: PictureConfig

    def __call__(self, x: Tensor) -> Tensor:
        """x (B, H, W) or (B, H, W, C), bytes → (B, D), floats."""
        return standardised(self.config, unit(x)).reshape(x.shape[0], -1)


def nearest(train: Split, test: Split, block: int = 4096) -> tuple[float, int]:
    """The accuracy of the nearest training picture's class, and on how many it was measured.

    Nearest by the squared differences of the bytes. Where all test pictures would take too long,
    some of them are asked, evenly spread. Source: T. Cover, P. Hart: Nearest neighbor pattern
    classification (1967).
    """
    size = int(np.prod(train.inputs.shape[1:]))
    asked = min(len(test), max(1, WORK // (len(train) * size)))
    rows = np.linspace(0, len(test) - 1, asked).astype(np.int64)
    x = test.inputs[rows].reshape(asked, size).astype(np.float32)
    best, label = np.full(asked, np.inf, np.float32), np.zeros(asked, np.int64)
    for start in range(0, len(train), block):
        each = train.inputs[start : start + block].reshape(-1, size).astype(np.float32)
        far = (each * each).sum(1) - 2 * (x @ each.T)  # (asked, block), without |x|²
        place = far.argmin(1)
        least = far[np.arange(asked), place]
        nearer = least < best
        best = np.where(nearer, least, best)
        label = np.where(nearer, train.targets[start + place], label)
    return float((label == test.targets[rows]).mean()), asked
