"""Options that give numbers: `--at w0=-1,w1=0.5`, `--start 2,2`, `--box=-2:3,-2:2`, `--hidden 9,4`.

Next: `explain.py` and `descend.py`, which take them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from kedja.cli.expression import CONSTANTS, FUNCTIONS, NAME
from kedja.ground.errors import UsageError


def number(text: str, option: str) -> float:
    """A finite number; UsageError that names the option where it is none."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UsageError(f"{option}: {text.strip()!r} is not a number", fix="for example 0.5")
    return value


def sizes(text: str, option: str) -> tuple[int, ...]:
    """`128,64` as whole numbers from 1; UsageError that names the option where they are none.

    >>> sizes("128, 64", "--hidden")
    (128, 64)
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise UsageError(f"{option} {text!r}", fix=f"whole numbers from 1: {option} 128,64")
    return tuple(map(int, parts))


def layers(text: str, option: str) -> tuple[int, ...]:
    """As `sizes`, and `none` as no layers."""
    return () if text == "none" else sizes(text, option)


def assignments(text: str, option: str) -> dict[str, str]:
    """`w0=-1,w1=0.5` as names and texts.

    >>> assignments("w0=-1, w1=0.5", "--at")
    {'w0': '-1', 'w1': '0.5'}
    """
    found: dict[str, str] = {}
    for part in filter(str.strip, text.split(",")):
        name, sign, value = (each.strip() for each in part.partition("="))
        if not sign or not NAME.fullmatch(name):
            example = f"{option} name=value,name=value"
            raise UsageError(f"{option}: {part.strip()!r} is not name=value", fix=example)
        if name in CONSTANTS or name in FUNCTIONS:
            raise UsageError(f"{option}: {name} has a meaning already", fix="use another name")
        if name in found:
            raise UsageError(f"{option}: {name} is given twice")
        found[name] = value
    return found


def values(text: str, names: Sequence[str], option: str) -> dict[str, float]:
    """A number for each variable, given by name."""
    found = {name: number(value, option) for name, value in assignments(text, option).items()}
    require_names(found, names, option)
    return found


def point(text: str, names: Sequence[str], option: str) -> dict[str, float]:
    """A number for each variable, by name (`x1=2,x2=0`) or in the order of the names (`2,0`)."""
    return {name: number(each, option) for name, each in _parts(text, names, option).items()}


def box(text: str, names: Sequence[str], option: str) -> dict[str, tuple[float, float]]:
    """A range `low:high` for each variable, by name or in the order of the names.

    >>> box("-2:3,-2:2", ("x1", "x2"), "--box")
    {'x1': (-2.0, 3.0), 'x2': (-2.0, 2.0)}
    """
    return {name: _range(each, option) for name, each in _parts(text, names, option).items()}


def _range(text: str, option: str) -> tuple[float, float]:
    low, sign, high = text.partition(":")
    if not sign:
        raise UsageError(f"{option}: {text.strip()!r} is not low:high", fix=f"{option}=-2:3,-2:2")
    found = number(low, option), number(high, option)
    if found[0] > found[1]:
        raise UsageError(f"{option}: {text.strip()} is empty", fix="the smaller bound comes first")
    return found


def _parts(text: str, names: Sequence[str], option: str) -> dict[str, str]:
    if "=" in text:
        found = assignments(text, option)
        require_names(found, names, option)
        return {name: found[name] for name in names}
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != len(names):
        raise UsageError(
            f"{option} gives {len(parts)} for {len(names)} variables",
            fix=f"one for each of {', '.join(names)}, in this order",
        )
    return dict(zip(names, parts, strict=True))


def require_names(given: Mapping[str, object], names: Sequence[str], option: str) -> None:
    """UsageError unless every variable has a value, and every value a variable."""
    missing = [name for name in names if name not in given]
    if missing:
        example = ",".join(f"{name}=1" for name in missing)
        raise UsageError(f"no value for {', '.join(missing)}", fix=f"{option} {example}")
    for name in given:
        if name not in names:
            known = ", ".join(names) or "none"
            fix = f"the variables are: {known}"
            raise UsageError(f"{option}: there is no variable {name!r}", fix=fix)
