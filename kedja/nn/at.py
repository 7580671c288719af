"""One place inside a module, by its dotted path: to look at, to put something else there.

Not here: the module (`module.py`). Next: `containers.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from kedja.front import tree
from kedja.ground.errors import UsageError
from kedja.ground.suggest import did_you_mean

T = TypeVar("T")

NOTHING = tree.Parts((), (), None)


class At(Generic[T]):
    """What `module.at(path)` gives: every method returns a changed copy of the whole module.

    Paths are those of `state_dict`: `layers.0`, `layers.0.weight`, `1` in a Sequential.
    """

    def __init__(self, module: T, path: str) -> None:
        self._module = module
        self._path = path
        self.get()  # an unknown path is an error here, not later

    def __repr__(self) -> str:
        return f"<at {self._path!r}: {type(self.get()).__name__}>"

    def get(self) -> Any:
        """What stands there."""
        return _get(self._module, self._path, self._path)

    def set(self, value: Any) -> T:
        """With a module, an array or None standing there instead."""
        whole: T = _set(self._module, self._path, value)
        return whole

    def apply(self, function: Callable[[Any], Any]) -> T:
        """With `function(what stands there)` instead."""
        return self.set(function(self.get()))

    def replace(self, **changes: Any) -> T:
        """With some fields of the module there changed; see `Module.replace`."""
        return self.set(self.get().replace(**changes))

    def freeze(self) -> T:
        """With the module there frozen; see `Module.freeze`."""
        return self.set(self.get().freeze())

    def unfreeze(self) -> T:
        """With the module there no longer frozen; see `Module.unfreeze`."""
        return self.set(self.get().unfreeze())


def _get(module: Any, rest: str, path: str) -> Any:
    parts = tree.take_apart(module) or NOTHING
    found = _step(parts, rest)
    if found is not None:
        child = parts.children[found[0]]
        return _get(child, found[1], path) if found[1] else child
    fields = getattr(module, "__dict__", {})
    if rest in fields:
        return fields[rest]
    inside = f" of {path!r}" if rest != path else ""
    what = f"{type(module).__name__} has nothing at {rest!r}{inside}"
    raise UsageError(what, fix=did_you_mean(rest, [*parts.names, *fields]))


def _set(module: Any, rest: str, value: Any) -> Any:
    parts = tree.take_apart(module) or NOTHING
    found = _step(parts, rest)
    if found is None:
        return module.replace(**{rest: value})
    place, below = found
    children = list(parts.children)
    children[place] = _set(children[place], below, value) if below else value
    return tree.put_together(type(module), parts.static, children)


def _step(parts: tree.Parts, rest: str) -> tuple[int, str] | None:
    """The number of the child that a path begins with, and the path below it."""
    for place, name in enumerate(parts.names):
        if rest == name:
            return place, ""
        if rest.startswith(f"{name}."):
            return place, rest[len(name) + 1 :]
    return None
