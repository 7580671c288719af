"""The arguments of a compiled function: which are static, which are donated, and which changed.

Not here: tracing and running (`jit.py`). Next: `donation.py`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kedja.front import tree
from kedja.front.tensor import Tensor
from kedja.ground.errors import UsageError
from kedja.ground.suggest import did_you_mean

ARRAYS = (Tensor, np.ndarray, bool, int, float)  # leaves that are inputs of a program

Described = list[tuple[str, str]]  # each leaf's path, and what it is to the program


@dataclass(frozen=True)
class Static:
    """An argument that is part of the program: equal only to one of the same kind and value."""

    kind: type
    value: Any


@dataclass(frozen=True)
class Roles:
    """The names of a function's parameters, and which of them are static or donated."""

    names: tuple[str, ...]
    static: frozenset[str]
    donated: frozenset[str]

    @classmethod
    def of(cls, f: Callable[..., Any], static: Any, donate: Any) -> Roles:
        """The roles that the options of `jit` give; UsageError for what the function has not."""
        names = _parameters(f)
        fixed, given_up = _chosen(f, names, "static", static), _chosen(f, names, "donate", donate)
        both = fixed & given_up
        if both:
            raise UsageError(f"the argument {sorted(both)[0]!r} is both static and donated")
        return cls(names, fixed, given_up)

    def wrapped(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The arguments with static ones as leaves that are no inputs."""
        if not self.static:
            return args, kwargs
        placed = [
            _static(name, arg) if name in self.static else arg
            for name, arg in zip(self._placed(len(args)), args, strict=True)
        ]
        named = {k: _static(k, v) if k in self.static else v for k, v in kwargs.items()}
        return tuple(placed), named

    def unwrapped(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The arguments as the function takes them."""
        if not self.static:
            return args, kwargs
        return tuple(_plain(arg) for arg in args), {k: _plain(v) for k, v in kwargs.items()}

    def _placed(self, count: int) -> list[str]:
        """The names of the first `count` places; further ones (of *args) have numbers."""
        return [self.names[i] if i < len(self.names) else f"argument {i}" for i in range(count)]

    def donated_leaves(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[bool]:
        """For each leaf of the arguments, whether its memory may be used."""
        pairs = [*zip(self._placed(len(args)), args, strict=True)]
        pairs += [(name, kwargs[name]) for name in sorted(kwargs, key=str)]
        return [
            name in self.donated and isinstance(leaf, Tensor)
            for name, value in pairs
            for leaf in tree.leaves(value)
        ]

    def described(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Described:
        """Each leaf with its path, beginning with the name of the argument."""
        pairs = [*zip(self._placed(len(args)), args, strict=True)]
        pairs += [(name, kwargs[name]) for name in sorted(kwargs, key=str)]
        return [
            (f"{name}.{path}" if path else name, _kind(leaf))
            for name, value in pairs
            for path, leaf in tree.paths(value)
        ]


def _parameters(f: Callable[..., Any]) -> tuple[str, ...]:
    try:
        found = inspect.signature(f).parameters.values()
    except (TypeError, ValueError):  # some built-in functions have none
        return ()
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return tuple(each.name for each in found if each.kind not in variadic)


def _chosen(f: Callable[..., Any], names: Sequence[str], what: str, given: Any) -> frozenset[str]:
    several = (given,) if isinstance(given, str | int) else tuple(given)
    found = set()
    for each in several:
        if isinstance(each, int) and -len(names) <= each < len(names):
            found.add(names[each])
        elif each in names:
            found.add(each)
        else:
            label = getattr(f, "__name__", type(f).__name__)
            fix = did_you_mean(each, names) if isinstance(each, str) else f"0 to {len(names) - 1}"
            raise UsageError(f"{what}={each!r}: {label} has no such argument", fix=fix)
    return frozenset(found)


def _static(name: str, value: Any) -> Static:
    if isinstance(value, Tensor | np.ndarray):
        raise UsageError(
            f"the static argument {name!r} is an array",
            fix="static arguments are hashable values; arrays are inputs",
        )
    return Static(type(value), value)


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, Static) else value


def _kind(leaf: Any) -> str:
    if isinstance(leaf, Tensor):
        return str(leaf.node.type)
    if isinstance(leaf, np.ndarray):
        return f"{leaf.dtype.name}{list(leaf.shape)}"
    if isinstance(leaf, bool | int | float):
        return type(leaf).__name__
    return repr(_plain(leaf))


def changes(before: Described, now: Described) -> str:
    """What differs from the last trace, in words."""
    old, new = dict(before), dict(now)
    if set(old) != set(new):
        gone, come = sorted(set(old) - set(new)), sorted(set(new) - set(old))
        parts = [f"without {each}" for each in gone[:3]] + [f"with {each}" for each in come[:3]]
        return f"arguments of another structure: {', '.join(parts)}"
    found = [f"{path} was {old[path]}, is {new[path]}" for path in new if old[path] != new[path]]
    if not found:
        return "an argument's fixed fields, a flag or the surrounding changed"
    more = f" and {len(found) - 3} more" if len(found) > 3 else ""
    return ", ".join(found[:3]) + more
