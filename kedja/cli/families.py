"""Which models `kedja train` knows, which options each has, and where each family is trained.

Models of one family are trained alike, by the function `train(request)` of the family's module,
which is loaded when one of them is asked for. To add a model, add a row here, and its options to
`train.py`. Not here: the options' texts (`train.py`), where numbers make sense (`bounds.py`).
Next: `rows.py`, the simplest family.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from kedja.cli import bounds, runs
from kedja.cli.output import note
from kedja.cli.recipes import other_option
from kedja.data import captioned, expressions, labelled, pictures, ratings, recordings, source
from kedja.ground.errors import UsageError
from kedja.ground.suggest import did_you_mean
from kedja.rl import environments
from kedja.rl.games import rules


@dataclass(frozen=True)
class Request:
    """What the command line asks for.

    `given` are the options that shape the result, by name, without those that were not given.
    """

    data: tuple[str, ...]
    given: Mapping[str, Any]
    out: Path | None = None
    resume: bool = False
    threads: int | None = None
    json: bool = False

    @property
    def numbers(self) -> dict[str, Any]:
        """The options that were given, that for threads among them."""
        threads = {} if self.threads is None else {"threads": self.threads}
        return {**self.given, **threads}

    @property
    def earlier(self) -> Path | None:
        """The run that `--resume` means: that in `--out`, else the newest one on the same data."""
        if not self.resume:
            return None
        if self.out is None:
            return runs.newest(self.data)
        return self.out if runs.exists(self.out) else None

    def resumed(self) -> Path | None:
        """The earlier run; where `--resume` finds none, that is told."""
        found = self.earlier
        if self.resume and found is None:
            note("there is no run to resume: training starts from the beginning")
        return found


COMMON = ("model", "lr", "warmup", "clip", "accumulate", "ema", "precision", "batch", "seed")


class Family(NamedTuple):
    """The data that some models are for, the module that trains them, and the options of each.

    Each model has the `common` options, too. Where the family `answers`, its `predict(asked)` is
    what `kedja predict` calls for these models; where it `exports`, its `exported(run)` is what
    `kedja export` writes; where it `plays`, its `agent(run, environment)` is what `kedja play` lets
    act; where it `sits` at a board, people play against it; where it `judges`, its
    `judged(run, data)` tells `kedja errors` how wrong its answers are.
    """

    data: str
    module: str
    models: Mapping[str, Sequence[str]]
    answers: bool = False
    exports: bool = False
    plays: bool = False
    judges: bool = False
    sits: bool = False
    common: Sequence[str] = COMMON

    def options(self, model: str) -> tuple[str, ...]:
        """The names of all options that one of its models has."""
        return (*self.common, *self.models[model])


ROWS = ("epochs", "target", "task", "optimizer", "schedule")
TEXTS = (
    *("layers", "width", "context", "dropout", "steps", "evaluations", "weight_decay"),
    *("tokenizer", "vocabulary", "lines", "samples", "patience"),
)
PICTURES = (
    *("size", "augment", "width", "widths", "depth", "dropout"),
    *("weight_decay", "schedule", "epochs", "test"),
)
WORDS = ("width", "context", "vocabulary", "epochs")
SOUND = (
    *("augment", "width", "dropout", "weight_decay", "epochs"),
    *("pattern", "leave_out", "seconds", "rate"),
)
SERIES = (
    *("target", "date", "past", "known", "every", "gather", "day_first", "only"),
    *("horizon", "season", "context", "level", "weight_decay", "epochs"),
)
EVOLUTION = (
    *("hidden", "recurrent", "population", "sigma", "least", "generations", "episodes", "limit"),
    *("fitness", "goal"),
)
ACTING = ("steps", "copies", "episodes", "limit", "goal", "hidden", "lr", "gamma")
GRADIENTS = (*ACTING, "lam", "entropy", "clip", "spread")
Q_LEARNING = (
    *ACTING,
    *("rollout", "updates", "batch", "clip", "epsilon", "explore"),
    *("memory", "target_every", "double", "dueling"),
)
SELF_PLAY = ("iterations", "games", "simulations", "steps", "layers", "width", "weight_decay")
FEW = 4  # models that a message names
TUNED = "tuned"  # any model of text that is trained already, by --from
FAMILIES = (
    Family(
        "tables or digits",
        "kedja.cli.rows",
        {
            "mlp": ("hidden", "activation", *ROWS, "dropout", "weight_decay", "patience"),
            "linear": ROWS,
        },
        judges=True,
    ),
    Family(
        "tables or digits",
        "kedja.cli.kernels",
        {"svm": ("kernel", "c", "gamma", "target")},
        answers=True,
        judges=True,
        common=("model", "seed"),
    ),
    Family(
        "text",
        "kedja.cli.language.decoder",
        {"gpt": ("heads", *TEXTS), "rnn": TEXTS, "lstm": TEXTS, "gru": TEXTS},
    ),
    Family(
        "text",
        "kedja.cli.language.pairs",
        {"encoder-decoder": ("layers", "heads", "width", "dropout", "epochs")},
        answers=True,
    ),
    Family(
        "text",
        "kedja.cli.language.labels",
        {"text-classifier": ("width", "dropout", "weight_decay", "balanced", "epochs")},
        answers=True,
        judges=True,
    ),
    Family(
        "text",
        "kedja.cli.language.masked",
        {"bert": ("layers", "heads", *WORDS, "dropout", "weight_decay")},
        answers=True,
    ),
    Family("text", "kedja.cli.language.vectors", {"embedding": WORDS}, answers=True),
    Family(
        "ratings",
        "kedja.cli.ratings",
        dict.fromkeys(("factors", "two-tower"), ("width", "implicit", "weight_decay", "epochs")),
        answers=True,
    ),
    Family(
        "pictures",
        "kedja.cli.pictures",
        {"cnn": (*PICTURES, "hidden"), "resnet": PICTURES},
        answers=True,
        exports=True,
        judges=True,
    ),
    Family(
        "pictures",
        "kedja.cli.autoencoder",
        {"autoencoder": ("size", "widths", "width", "noise", "epochs", "test")},
        answers=True,
    ),
    Family(
        "series",
        "kedja.cli.series",
        {
            "autoregression": SERIES,
            "series-lstm": ("layers", "width", "dropout", *SERIES),
            "series-transformer": ("layers", "width", "heads", "dropout", *SERIES),
        },
        answers=True,
    ),
    Family(
        "captioned pictures",
        "kedja.cli.captions",
        {"clip": ("size", "widths", "depth", "width", "layers", "weight_decay", "epochs")},
        answers=True,
    ),
    Family(
        "environments",
        "kedja.cli.agents.learning",
        {
            "ppo": (*GRADIENTS, "rollout", "epochs", "batch", "epsilon"),
            "a2c": (*GRADIENTS, "rollout"),
            "reinforce": GRADIENTS,
            "dqn": Q_LEARNING,
        },
        exports=True,
        plays=True,
        common=("model", "seed"),
    ),
    Family(
        "environments",
        "kedja.cli.agents.evolution",
        dict.fromkeys(("cma-es", "genetic"), EVOLUTION),
        plays=True,
        common=("model", "seed"),
    ),
    Family(
        "board games",
        "kedja.cli.agents.games",
        {"alpha-zero": SELF_PLAY},
        sits=True,
        common=("model", "seed", "lr", "batch"),
    ),
    Family(
        "recordings",
        "kedja.cli.sound",
        {"spectrogram-cnn": SOUND},
        answers=True,
        exports=True,
        judges=True,
    ),
    Family(
        "prompts, by --from RUN",
        "kedja.cli.language.tuning",
        {TUNED: ("from", "lora", "merge", "test", "optimizer", "epochs")},
    ),
)
MODELS = {model: family for family in FAMILIES for model in family.models}


def _labelled(file: str) -> bool:
    return source.is_text(file) and labelled.are_in(file)


def _acted_in(name: str) -> bool:
    return environments.is_name(name) and not Path(name).exists()


def _played_at(name: str) -> bool:
    return name in rules.GAMES and not Path(name).exists()


# What DATA is, by a look at it, and the model that suits it; rows of numbers are the rest.
RECOGNISED: tuple[tuple[Callable[[str], bool], str], ...] = (
    (expressions.NAME.__eq__, "encoder-decoder"),
    (environments.TASKS.__contains__, "cma-es"),
    (_acted_in, "ppo"),
    (_played_at, "alpha-zero"),
    (ratings.are_in, "factors"),
    (captioned.are_in, "clip"),
    (pictures.are_in, "cnn"),
    (recordings.are_in, "spectrogram-cnn"),
    (source.is_series, "autoregression"),
    (_labelled, "text-classifier"),
    (source.is_text, "gpt"),
)


def train(request: Request) -> None:
    """Train what a request asks for.

    Raises UsageError for an unknown model, and for an option that the model does not have.
    """
    bounds.require(request.numbers)
    model = model_of(request)
    if request.earlier is None and _asked(request.given) is None:
        _require_there(request.data)  # which explains why no model has the options that were given
    require_options(model, request.given)
    importlib.import_module(MODELS[model].module).train(request)


def model_of(request: Request) -> str:
    """The model that is asked for, that of the run which goes on, or the one that suits DATA."""
    asked = _asked(request.given)
    earlier = request.earlier
    recorded = None if earlier is None else runs.model_of(earlier)
    if recorded is not None and asked not in (None, recorded):
        raise other_option("model", asked, recorded)
    return recorded or asked or usual(request.data)


def _asked(given: Mapping[str, Any]) -> str | None:
    """The model that the options name; UsageError for an unknown one."""
    asked: str | None = given.get("model")
    if asked is not None and asked not in MODELS:
        raise UsageError(f"there is no model {asked!r}", fix=did_you_mean(asked, MODELS))
    return TUNED if asked is None and "from" in given else asked


def named(data: Sequence[str], given: Mapping[str, Any]) -> str | None:
    """The model that the options name, or else that DATA suits; None where DATA is not there."""
    asked = _asked(given)
    there = bool(data) and all(map(_is_there, data))
    return asked or (usual(data) if there else None)


def _is_there(data: str) -> bool:
    known = data in source.NAMES or Path(data).exists()
    return known or any(is_for(data) for is_for, _ in RECOGNISED)


def _require_there(data: Sequence[str]) -> None:
    """Raise UsageError for data that are not there; a name may be an environment's."""
    for each in data:
        if not _is_there(each):
            error, versions = source.unknown(each), environments.versions(each)
            fix = f"did you mean the environment {versions[-1]}?" if versions else error.fix
            raise UsageError(error.what, where=error.where, fix=fix)


def overview() -> dict[str, str]:
    """The models for each kind of data, the usual one first."""
    names: dict[str, list[str]] = {}
    for family in FAMILIES:
        names.setdefault(family.data, []).extend(family.models)
    return {data: ", ".join(models) for data, models in names.items()}


def usual(data: Sequence[str]) -> str:
    """The model for data of which nothing else is said: the first that is made for all of it."""
    fits = (model for is_for, model in RECOGNISED if all(map(is_for, data)))
    return next(fits, "mlp")


def require_options(model: str, given: Mapping[str, Any]) -> None:
    """Raise UsageError for an option that the model does not have."""
    has = MODELS[model].options(model)
    for name in given:
        if name not in has:
            others = [each for each, family in MODELS.items() if name in family.options(each)]
            see = f"`kedja train --model {model} --help` shows what it has"
            raise UsageError(
                f"the model {model} has no --{name.replace('_', '-')}",
                fix=f"use {' or '.join(others)}" if 0 < len(others) <= FEW else see,
            )
