"""The few switches of the system: read once from the environment, settable for a scope.

Not here: options of a single call (those are arguments). Next: `dtypes.py`.

| flag        | environment       | meaning                                                     |
|-------------|-------------------|-------------------------------------------------------------|
| `debug`     | `KEDJA_DEBUG`     | 1 timings, kernels, 2 graphs, 3 passes, 4 loops, 5 assembly |
| `tier`      | `KEDJA_TIER`      | `auto`, or force all graphs to `interpret` or to `compile`  |
| `backend`   | `KEDJA_BACKEND`   | what compiles: `cpu`, our own compiler, or `xla`, JAX's     |
| `threads`   | `KEDJA_THREADS`   | worker threads of compiled programs; 0 = one per core       |
| `cache`     | `KEDJA_CACHE`     | folder of compiled code and data sets; empty = platform's   |
| `use_cache` | `KEDJA_USE_CACHE` | 0 compiles anew and neither reads nor writes compiled code  |
| `verify`    | `KEDJA_VERIFY`    | 1 verifies the graph after every pass (tests do)            |
| `target`    | `KEDJA_TARGET`    | the CPU to emit for: `host`, `avx512`, `avx2`, `neon`       |
"""

from __future__ import annotations

import os
from contextlib import ContextDecorator
from contextvars import ContextVar, Token
from dataclasses import dataclass, fields, replace
from typing import Any

from kedja.ground.errors import UsageError

TIERS = ("auto", "interpret", "compile")
BACKENDS = ("cpu", "xla")
TARGETS = ("host", "avx512", "avx2", "neon")


@dataclass(frozen=True)
class Flags:
    """One setting of all switches; the table above says what each means."""

    debug: int = 0
    tier: str = "auto"
    backend: str = "cpu"
    threads: int = 0
    cache: str = ""
    use_cache: bool = True
    verify: bool = False
    target: str = "host"

    def __post_init__(self) -> None:
        require("tier", self.tier, TIERS)
        require("backend", self.backend, BACKENDS)
        require("target", self.target, TARGETS)
        if self.threads < 0:
            raise UsageError(f"threads is {self.threads}", fix="give 0 (all cores) or more")


def require(name: str, value: str, allowed: tuple[str, ...]) -> None:
    """Raise UsageError unless a setting has one of the allowed values."""
    if value not in allowed:
        raise UsageError(f"{name} is {value!r}", fix=f"one of {', '.join(allowed)}")


def _from_environment() -> Flags:
    found: dict[str, Any] = {}
    for field in fields(Flags):
        name = f"KEDJA_{field.name.upper()}"
        text = os.environ.get(name)
        if text is not None:
            found[field.name] = _parse(name, text, type(field.default))
    return Flags(**found)


def _parse(name: str, text: str, kind: type) -> Any:
    if kind is str:
        return text
    try:
        return kind(int(text))
    except ValueError:
        raise UsageError(f"{name}={text!r} is not a whole number", fix=f"unset {name}") from None


_current: ContextVar[Flags | None] = ContextVar("kedja_flags", default=None)
_process: Flags | None = None


def flags() -> Flags:
    """The flags in force here: the innermost `scope`, else the process's."""
    return _current.get() or _process or process_flags()


def process_flags() -> Flags:
    """The flags that the environment sets, whatever the scope."""
    global _process
    if _process is None:
        _process = _from_environment()
    return _process


class scope(ContextDecorator):  # noqa: N801  used as a function
    """Set flags for a `with` block, or for the calls of a function that it decorates.

    >>> with scope(threads=1) as inside:
    ...     inside.threads
    1
    """

    def __init__(self, **changes: Any) -> None:
        unknown = changes.keys() - _NAMES
        if unknown:
            found = sorted(unknown)[0]
            raise UsageError(f"unknown flag {found!r}", fix="see kedja/ground/flags.py")
        self._changes = changes
        self._tokens: list[Token[Flags | None]] = []
        _changed(flags(), changes)  # or an error, before the block begins

    def _recreate_cm(self) -> scope:
        """For each call of a decorated function, in whatever thread."""
        return scope(**self._changes)

    def __enter__(self) -> Flags:
        now = _changed(flags(), self._changes)
        self._tokens.append(_current.set(now))
        return now

    def __exit__(self, *raised: object) -> None:
        _current.reset(self._tokens.pop())


_NAMES = frozenset(field.name for field in fields(Flags))
_last: tuple[Flags, dict[str, Any], Flags] | None = None


def _changed(before: Flags, changes: dict[str, Any]) -> Flags:
    """The same flags with some changed; scopes in a loop find those of the last turn."""
    global _last
    last = _last
    if last is not None and last[0] is before and last[1] == changes:
        return last[2]
    now = replace(before, **changes)
    _last = before, changes, now
    return now
