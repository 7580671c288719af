"""What numbers make sense for the options of a method, checked and said in one way.

Not here: the options (`gradients/methods.py`, `q_learning/dqn.py`). Next: `learning.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from numbers import Integral, Real
from typing import Any

from kedja.ground.errors import UsageError

WHOLE = "a whole number from 1"
POSITIVE = "a number above 0"
NATURAL = "a number from 0"
SHARE = "a number from 0 to 1"
BETWEEN = "a number between 0 and 1"
SIZES = "the sizes of the hidden layers, such as (64, 64)"

_HOLDS: Mapping[str, Callable[[Any], bool]] = {
    WHOLE: lambda value: isinstance(value, Integral) and int(value) >= 1,
    POSITIVE: lambda value: isinstance(value, Real) and float(value) > 0,
    NATURAL: lambda value: isinstance(value, Real) and float(value) >= 0,
    SHARE: lambda value: isinstance(value, Real) and 0 <= float(value) <= 1,
    BETWEEN: lambda value: isinstance(value, Real) and 0 < float(value) < 1,
    SIZES: lambda value: isinstance(value, Sequence) and all(map(_HOLDS[WHOLE], value)),
}


def require(given: Mapping[str, Any], kind: str) -> None:
    """Raise UsageError where one of these values by name is not of a kind.

    >>> require({"lr": 1e-3, "clip": 0.5}, POSITIVE)
    >>> require({"hidden": 64}, SIZES)
    Traceback (most recent call last):
    kedja.ground.errors.UsageError: hidden 64
      fix: the sizes of the hidden layers, such as (64, 64)
    """
    for name, value in given.items():
        if not _HOLDS[kind](value):
            raise UsageError(f"{name} {value}", fix=kind)


def require_of(options: Any, kind: str, *names: str) -> None:
    """The same of some attributes."""
    require({name: getattr(options, name) for name in names}, kind)
