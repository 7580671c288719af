"""How modules are made of leaves: by prepared fields, at once or when somebody looks at them.

A loop `model, state, loss = step(model, state, x)` makes two modules in each turn, and often nobody
looks into them before the next step takes them as they are. A module that is the result of a
compiled function therefore has no fields until one is asked for; what the next call needs is kept
with it (`kedja/front/tree.py`). Not here: the module itself. Next: `module.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import RLock
from typing import TYPE_CHECKING, Any

from kedja.front import tree
from kedja.ground.absent import MODULE, absent
from kedja.nn import fields

FieldsMaker = Callable[[tree.Leaves], dict[str, Any]]


class Base:
    """The slots of a module, and what fills the fields of one that has none yet.

    `_parts` and `_kept` are what taking the module apart gave, alone and with all below, as long as
    no field is set. `_unmade` makes the fields; it is None, or not there, once they are made.
    """

    __slots__ = ("__dict__", "__weakref__", "_kept", "_parts", "_unmade")

    if not TYPE_CHECKING:  # to which a class with this method would have every attribute

        def __getattr__(self, name: str) -> Any:
            """Called for what is not there: a field that is yet to be made, or nothing."""
            if name not in _SLOTS:
                make(self)
                try:
                    return object.__getattribute__(self, name)
                except AttributeError:
                    if name in MODULE:
                        raise absent(self, name, MODULE) from None
                    raise
            raise AttributeError(name)


_SLOTS = frozenset(Base.__slots__)
_lock = RLock()
_slots: dict[str, Any] = vars(Base)  # type: ignore[assignment]

fields_of: Callable[[Any], dict[str, Any]] = _slots["__dict__"].__get__
_set_fields: Callable[[Any, dict[str, Any]], None] = _slots["__dict__"].__set__
_set_kept: Callable[[Any, tree.Kept], None] = _slots["_kept"].__set__
_set_unmade: Callable[[Any, FieldsMaker | None], None] = _slots["_unmade"].__set__


def make(module: Any) -> None:
    """Give a module its fields, unless it has them."""
    if getattr(module, "_unmade", None) is None:
        return
    with _lock:
        unmade: FieldsMaker | None = module._unmade
        if unmade is None:  # another thread was faster
            return
        kept = module._kept
        leaves = tree.Leaves(kept.leaves)
        made = unmade(leaves)
        kept.watch(leaves.open)
        _set_fields(module, made)
        _set_unmade(module, None)


def fields_maker(static: fields.Container, children: Sequence[tree.Maker]) -> FieldsMaker:
    """Makes the fields of modules that differ in their arrays alone: copied, then filled."""
    constant, changing = fields.fillers(static, children)

    def made(leaves: tree.Leaves) -> dict[str, Any]:
        found = constant.copy()
        for name, filler in changing:
            found[name] = filler(leaves)
        return found

    return made


def maker(cls: type, static: fields.Container, children: Sequence[tree.Maker]) -> tree.Maker:
    """Makes modules of their leaves."""
    fill = fields_maker(static, children)
    new: Callable[[type], Any] = object.__new__

    def made(leaves: tree.Leaves) -> Any:
        module = new(cls)
        _set_fields(module, fill(leaves))
        return module

    return made


def later(
    cls: type, static: fields.Container, children: Sequence[tree.Maker]
) -> Callable[[tree.Kept], Any] | None:
    """Makes modules without fields; None for classes whose attributes would stand in for these."""
    usual = {"__getattr__": Base, "__getattribute__": object}
    if any(getattr(cls, name) is not getattr(base, name) for name, base in usual.items()):
        return None
    if any(hasattr(cls, name) for name in static.keys):
        return None
    fill = fields_maker(static, children)
    new: Callable[[type], Any] = object.__new__

    def made(kept: tree.Kept) -> Any:
        module = new(cls)
        _set_kept(module, kept)
        _set_unmade(module, fill)
        return module

    return made
