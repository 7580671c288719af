"""Which network and which options suit a data set, and how one is built from the other.

Not here: the options' texts (`train.py`), the run's folder (`runs.py`). Next: `runs.py`.

| data                     | hidden  | optimizer, rate | batch | epochs                |
|--------------------------|---------|-----------------|-------|-----------------------|
| pictures, up to 16 × 16  | 128, 64 | adam, 0.003     | 32    | 30                    |
| larger pictures          | 128     | adam, 0.001     | 64    | 10                    |
| tables, up to 2,000 rows | 32      | adam, 0.003     | 32    | some 800 steps        |
| larger tables            | 128, 64 | adam, 0.002     | 64    | some 10,000 steps     |
| the same for `linear`    | none    | adam, 0.03      |       |                       |

So are tables for `linear`; `mlp` takes the options of `kedja/train/tables.py` for them. Small
tables are left early because longer training fits their noise. Tables get at least 20 and at most
200 epochs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from kedja import nn, optim
from kedja.data.dataset import Dataset
from kedja.data.prepare import Preparation, TablePreparation
from kedja.front import random
from kedja.front.tensor import Tensor
from kedja.ground.dtypes import float32
from kedja.ground.errors import UsageError
from kedja.ground.suggest import did_you_mean
from kedja.models.tabular import TabularConfig, TabularMLP, inputs_of
from kedja.train import tables

MODELS = ("mlp", "linear")
RATES = {
    "sgd": 0.1,
    "gradient_descent": 0.5,
    "asgd": 0.1,
    "adam": 1e-3,
    "adamw": 1e-3,
    "adamax": 2e-3,
    "nadam": 2e-3,
    "radam": 1e-3,
    "rmsprop": 1e-3,
    "adagrad": 1e-2,
    "adadelta": 1.0,
    "rprop": 1e-3,
    "adafactor": 1e-2,
    "lion": 3e-4,
    "muon": 1e-3,
}
WHOLE = ("gradient_descent", "rprop")  # they go by the gradient over all examples

SMALL_PICTURE = 16 * 16
SMALL_TABLE = 2000
SMALL_STEPS = 800
LARGE_STEPS = 10_000
LINEAR_TABLE_RATE = 0.03


@dataclass(frozen=True)
class Recipe:
    """All options that shape a run of `kedja train`."""

    model: str
    hidden: tuple[int, ...]
    activation: str
    optimizer: str
    lr: float
    batch: int
    epochs: int
    seed: int
    schedule: str = "constant"
    warmup: int = 0
    clip: float | None = None
    accumulate: int = 1
    ema: float | None = None
    precision: str | None = None
    embeddings: bool = False  # the network for tables, with pieces of numbers and vectors of texts
    dropout: float = 0.0
    weight_decay: float = 0.0
    patience: int | None = None
    width: int = 0  # numbers that the pieces of a column become there

    def to_json(self) -> dict[str, Any]:
        """A dictionary of JSON's types."""
        return asdict(self)

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> Recipe:
        """Read back what `to_json` gave."""
        return Recipe(**{**value, "hidden": tuple(value["hidden"])})

    @property
    def text(self) -> str:
        """The recipe in one line."""
        layers = f"hidden {'-'.join(map(str, self.hidden))}, {self.activation}, "
        model = f"{self.model}: {layers if self.hidden else ''}{self.optimizer} {self.lr:g}"
        text = f"{model}, batch {self.batch}, {self.epochs} epochs, seed {self.seed}"
        return ", ".join([text, *self._further()])

    def _further(self) -> list[str]:
        """The options that are seldom given, where they are."""
        parts = {
            f"schedule {self.schedule}": self.schedule != "constant",
            f"warm-up of {self.warmup} updates": self.warmup,
            f"gradients up to norm {self.clip}": self.clip is not None,
            f"updates from {self.accumulate} batches": self.accumulate != 1,
            f"average with decay {self.ema}": self.ema is not None,
            f"products in {self.precision}": self.precision is not None,
            f"dropout {self.dropout:g}": self.dropout,
            f"decay {self.weight_decay:g}": self.weight_decay,
            f"patience of {self.patience} epochs": self.patience is not None,
        }
        return [text for text, given in parts.items() if given]


def recipe(data: Dataset, given: Mapping[str, Any]) -> Recipe:
    """The options that the user gave (those that are not None), and suitable ones for the rest.

    Raises UsageError for an unknown optimizer.
    """
    chosen = {name: value for name, value in given.items() if value is not None}
    model = chosen.get("model", "mlp")
    start = _usual(data, model)
    if "optimizer" in chosen:
        name = chosen["optimizer"] = _optimizer_name(chosen["optimizer"])
        start = _by(name, start, chosen)
        if name in WHOLE:
            start = replace(start, batch=len(data.train), epochs=200)
    return replace(start, **chosen)


def _by(optimizer: str, start: Recipe, chosen: Mapping[str, Any]) -> Recipe:
    """The recipe with an optimizer of the user's, at its usual rate; decay is AdamW's alone."""
    if optimizer == start.optimizer:
        return start
    if optimizer != "adamw" and "weight_decay" in chosen:
        raise UsageError(f"--weight-decay with {optimizer}", fix="--optimizer adamw has it")
    return replace(start, lr=RATES[optimizer], weight_decay=0.0)


def _embedded(rows: int) -> Recipe:
    """What suits the network for tables."""
    batch = tables.usual_batch(rows)
    return Recipe(
        "mlp",
        tables.usual_hidden(rows),
        "relu",
        "adamw",
        tables.RATE,
        batch,
        tables.usual_epochs(rows, batch),
        seed=0,
        schedule="cosine",
        embeddings=True,
        dropout=TabularConfig.dropout,
        weight_decay=tables.DECAY,
        patience=tables.PATIENCE,
        width=tables.WIDTH,
    )


def _usual(data: Dataset, model: str) -> Recipe:
    """What suits a data set where the user says nothing."""
    table = data.kind == "table"
    if table and model == "mlp":
        return _embedded(len(data.train))
    size = len(data.train) if table else math.prod(data.input_shape)
    small = size <= (SMALL_TABLE if table else SMALL_PICTURE)
    batch = 32 if small else 64
    if table:
        epochs = _epochs(len(data.train), batch, SMALL_STEPS if small else LARGE_STEPS)
        hidden: tuple[int, ...] = (32,) if small else (128, 64)
        lr = 3e-3 if small else 2e-3
    else:
        epochs, hidden, lr = (30, (128, 64), 3e-3) if small else (10, (128,), 1e-3)
    if model == "linear":
        hidden, lr = (), LINEAR_TABLE_RATE if table else lr
    return Recipe(model, hidden, "relu", "adam", lr, batch, epochs, seed=0)


def _epochs(count: int, batch: int, steps: int) -> int:
    """How many epochs make so many steps, within bounds."""
    return min(200, max(20, round(steps / math.ceil(count / batch))))


def _optimizer_name(given: str) -> str:
    """The name as `optim.OPTIMIZERS` has it; UsageError for others, and for one without batches."""
    plain = given.lower().replace("-", "_")
    if plain == "lbfgs":
        what = "lbfgs looks at the loss over all examples, train at one batch after the other"
        raise UsageError(what, fix="use it from Python: kj.optim.LBFGS")
    if plain not in RATES:
        raise UsageError(f"there is no optimizer {given!r}", fix=did_you_mean(given, RATES))
    return plain


def network(made: Recipe, preparation: Preparation) -> nn.Sequential | TabularMLP:
    """The network of a recipe, its weights drawn by the recipe's seed.

    The initialiser follows from the activation.
    """
    outputs = len(preparation.target.classes) or 1
    if made.embeddings and isinstance(preparation, TablePreparation):
        told = made.hidden, made.activation, made.dropout, made.width
        config = TabularConfig(inputs_of(preparation), outputs, *told)
        return TabularMLP(config, key=random.key(made.seed))
    inputs = math.prod(preparation.input_shape)
    sizes = [inputs, *made.hidden, outputs]
    return nn.mlp(sizes, made.activation, key=random.key(made.seed))


def optimizer(made: Recipe) -> optim.Optimizer:
    """The optimiser of a recipe. Muon moves the matrices, AdamW beside it everything else."""
    if made.optimizer == "adamw" and made.embeddings:
        return optim.AdamW(made.lr, weight_decay=made.weight_decay)
    if made.optimizer != "muon":
        return optim.optimizer(made.optimizer, lr=made.lr)
    muon = optim.Muon(made.lr, adjust_lr_fn="match_rms_adamw")
    return optim.Groups({"muon": muon, "adamw": optim.AdamW(made.lr)}, by=_muon_or_adamw)


def _muon_or_adamw(path: str, p: Tensor) -> str:
    return "muon" if p.ndim == 2 else "adamw"


@dataclass(frozen=True)
class Prepare:
    """A batch of stored inputs as the network takes them: (x − shift) · scale, flat rows."""

    shift: float
    scale: float

    def __call__(self, x: Tensor) -> Tensor:
        """x (N, …) of bytes or floats → (N, F) floats."""
        rows = x.reshape(x.shape[0], -1).astype(float32)  # (N, F)
        if self.shift:
            rows = rows - self.shift
        return rows if self.scale == 1 else rows * self.scale


def prepare(preparation: Preparation) -> Prepare:
    """What a preparation leaves to be done inside the step."""
    return Prepare(float(preparation.shift), float(preparation.scale))


def changed(made: Recipe, given: Mapping[str, Any]) -> Recipe:
    """A recorded recipe with a larger number of epochs; UsageError for any other change."""
    for field in fields(Recipe):
        value = given.get(field.name)
        before = getattr(made, field.name)
        if value is None or value == before or field.name == "epochs":
            continue
        raise other_option(field.name, _shown(value), _shown(before))
    epochs = given.get("epochs")
    return made if epochs is None else replace(made, epochs=epochs)


def other_option(name: str, now: Any, before: Any) -> UsageError:
    """The error for an option that is not what the run that goes on was started with."""
    return UsageError(
        f"--{name.replace('_', '-')} {now}, but the run was started with {before}",
        fix="resume without this option, or train anew without --resume",
    )


def _shown(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
