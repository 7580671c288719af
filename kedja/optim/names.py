"""Optimisers by name, as the command line asks for them. Next: `kedja/train`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import MISSING, fields
from typing import Any

from kedja.ground.errors import UsageError
from kedja.ground.suggest import did_you_mean
from kedja.optim.adafactor import Adafactor
from kedja.optim.adagrad import Adadelta, Adagrad, Rprop
from kedja.optim.adam import Adam, Adamax, AdamW
from kedja.optim.base import Optimizer
from kedja.optim.lbfgs import LBFGS
from kedja.optim.lion import Lion
from kedja.optim.muon import Muon
from kedja.optim.nadam import NAdam, RAdam
from kedja.optim.rmsprop import RMSprop
from kedja.optim.sgd import ASGD, SGD, GradientDescent

OPTIMIZERS: dict[str, type[Optimizer]] = {
    "gradient_descent": GradientDescent,
    "sgd": SGD,
    "asgd": ASGD,
    "adam": Adam,
    "adamw": AdamW,
    "adamax": Adamax,
    "nadam": NAdam,
    "radam": RAdam,
    "rmsprop": RMSprop,
    "adagrad": Adagrad,
    "adadelta": Adadelta,
    "rprop": Rprop,
    "adafactor": Adafactor,
    "lion": Lion,
    "muon": Muon,
    "lbfgs": LBFGS,
}


def optimizer(name: str, **options: Any) -> Optimizer:
    """The optimiser of a name (`sgd`, `AdamW`, `gradient-descent`) with these options.

    Raises UsageError for a name or an option that is not there, and for a missing `lr`.

    >>> optimizer("lion", lr=0.01)
    Lion(lr=0.01, betas=(0.9, 0.99), weight_decay=0.0, maximize=False)
    """
    spelled = {each.replace("_", ""): each for each in OPTIMIZERS}
    plain = name.lower().replace("_", "").replace("-", "")
    if plain not in spelled:
        raise _unknown("optimizer", name, OPTIMIZERS)
    kind = OPTIMIZERS[spelled[plain]]
    known = {field.name: field for field in fields(kind)}  # type: ignore[arg-type]
    for option in options:
        if option not in known:
            raise _unknown(f"option of {spelled[plain]}", option, known)
    for option, field in known.items():
        if field.default is MISSING and option not in options:
            raise UsageError(f"{spelled[plain]} needs {option}", fix=f"for instance {option}=0.1")
    return kind(**options)


def _unknown(what: str, name: str, known: Iterable[str]) -> UsageError:
    return UsageError(f"unknown {what}: {name!r}", fix=did_you_mean(name, known))
