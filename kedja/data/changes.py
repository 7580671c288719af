"""Changes made to examples in training, as texts: `shift=0.1,rotate=10,flip`, or `none`.

Not here: what the changes do (`augment.py` for pictures, `augment_sound.py` for sound).
Next: `augment.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

from kedja.ground.errors import UsageError
from kedja.ground.suggest import did_you_mean

Kind = TypeVar("Kind")


def require_within(changes: Any, largest: Mapping[str, float]) -> None:
    """Raise UsageError for a change that is not a number from 0 to the largest."""
    for name, most in largest.items():
        value = getattr(changes, name)
        if not 0 <= value <= most:
            raise UsageError(f"{name} is {value}", fix=f"a number from 0 to {most:g}")


def written(changes: Any) -> str:
    """The changes that are made, by their names, as `parsed` reads them."""
    parts = [_text(each.name, getattr(changes, each.name)) for each in fields(changes)]
    return ",".join(part for part in parts if part) or "none"


def _text(name: str, value: Any) -> str:
    if not value:
        return ""
    return name if value is True else f"{name}={value:g}"


def parsed(text: str, kind: type[Kind]) -> Kind:
    """What `written` gives of changes of some kind, a dataclass, back.

    Raises UsageError for anything else.
    """
    if text.strip().lower() == "none":
        return kind()
    switches = {each.name: each.default is False for each in fields(kind)}  # type: ignore[arg-type]
    found: dict[str, Any] = {}
    for part in text.split(","):
        name, equals, value = (each.strip() for each in part.partition("="))
        if name not in switches:
            raise UsageError(f"--augment {part.strip()!r}", fix=did_you_mean(name, switches))
        found[name] = True if switches[name] and not equals else _number(name, value)
    return kind(**found)


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"--augment {name}={text}", fix=f"give a number: {name}=0.1") from None
