"""What the fields of a module hold, taken apart into arrays and modules on one side and all else.

Arrays (tensors, NumPy arrays) and modules, also inside lists, tuples and dicts, are children.
Everything else (numbers, texts, functions, None) is static: part of the structure, compared by
value and type, functions by identity. Not here: the module itself. Next: `module.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from kedja.front import tree
from kedja.front.tensor import Tensor
from kedja.ground.errors import UsageError

ARRAYS = (Tensor, np.ndarray)


@dataclass(frozen=True)
class Child:
    """The place of an array or of a module."""


@dataclass(frozen=True)
class Static:
    """A value of the structure itself; 1, 1.0 and True are three different ones."""

    kind: type
    value: Any


@dataclass(frozen=True)
class Container:
    """A list, tuple, named tuple or dict, and what stands at its places."""

    kind: type
    keys: tuple[Any, ...]
    items: tuple[Place, ...]


Place = Child | Static | Container
CHILD = Child()


class Split(NamedTuple):
    """The children of some fields with their dotted names, and the structure without them.

    `buffers` says for each child whether it stands in a field that was declared a buffer.
    """

    names: tuple[str, ...]
    children: tuple[Any, ...]
    static: Container
    buffers: tuple[bool, ...]


def split(
    fields: Iterable[tuple[str, Any]],
    modules: type | tuple[type, ...],
    inline: str = "",
    buffers: Collection[str] = (),
) -> Split:
    """Take fields (name and value) apart; `modules` are the classes that count as children.

    What the field `inline` contains is named without that field: `0` instead of `layers.0`.
    Raises UsageError for a value that is neither a child nor hashable.
    """
    found: list[tuple[str, Any]] = []
    marks: list[bool] = []
    kinds = (*ARRAYS, modules)
    pairs = list(fields)
    items = []
    for name, value in pairs:
        items.append(_split(value, "" if name == inline else name, kinds, found))
        marks += [name in buffers] * (len(found) - len(marks))
    names, children = zip(*found, strict=True) if found else ((), ())
    static = Container(dict, tuple(name for name, _ in pairs), tuple(items))
    return Split(names, children, static, tuple(marks))


def _split(value: Any, name: str, kinds: tuple[Any, ...], found: list[tuple[str, Any]]) -> Place:
    if isinstance(value, kinds):
        found.append((name, value))
        return CHILD
    pairs = _entries(value)
    if pairs is None:
        return Static(type(value), _hashable(value, name))
    start = f"{name}." if name else ""
    items = tuple(_split(each, f"{start}{key}", kinds, found) for key, each in pairs)
    return Container(type(value), tuple(key for key, _ in pairs), items)


def _entries(value: Any) -> list[tuple[Any, Any]] | None:
    """Keys and values of a container; None for everything else."""
    kind = type(value)
    if kind is dict:
        return list(value.items())  # in their own order, which layers one after the other need
    if hasattr(kind, "_fields") and isinstance(value, tuple):
        return list(zip(kind._fields, value, strict=True))
    if kind in (list, tuple):
        return list(enumerate(value))
    return None


def _hashable(value: Any, name: str) -> Any:
    try:
        hash(value)
    except TypeError:
        raise UsageError(
            f"the field {name!r} of a module holds {type(value).__name__}, which is no array, no "
            "module, no list, tuple or dict, and not hashable",
            fix="keep it outside the module, or as a tuple",
        ) from None
    return value


def can_change(static: Container) -> bool:
    """Whether fields hold lists or dicts, to which something may be added later."""
    return any(_is_open(place) for place in static.items)


def _is_open(place: Place) -> bool:
    if not isinstance(place, Container):
        return False
    return place.kind in (list, dict) or any(_is_open(each) for each in place.items)


def open_containers(values: Iterable[Any]) -> Iterator[Any]:
    """The lists and dicts among some values, and those inside."""
    for each in values:
        entries = _entries(each)
        if entries is not None:
            if type(each) in (list, dict):
                yield each
            yield from open_containers(value for _, value in entries)


def join(static: Container, children: Iterable[Any]) -> dict[str, Any]:
    """The fields again, with these children: the inverse of `split`."""
    fields: dict[str, Any] = _join(static, iter(children))
    return fields


def _join(place: Place, children: Iterator[Any]) -> Any:
    if isinstance(place, Child):
        return next(children)
    if isinstance(place, Static):
        return place.value
    return _container(place, [_join(each, children) for each in place.items])


Filler = Callable[[tree.Leaves], Any]


def fillers(
    static: Container, children: Iterable[Filler]
) -> tuple[dict[str, Any], list[tuple[str, Filler]]]:
    """`join` prepared: all fields with the static ones in their places, and what fills the others.

    `children` make each child of the leaves of a tree.
    """
    made, given = dict.fromkeys(static.keys), iter(children)
    changing = []
    for key, place in zip(static.keys, static.items, strict=True):
        filler = _filler(place, given)
        if filler is None:
            made[key] = _join(place, iter(()))
        else:
            changing.append((key, filler))
    return made, changing


def _filler(place: Place, children: Iterator[Filler]) -> Filler | None:
    """What makes the value of a place; None where it is a constant that nobody can change."""
    if isinstance(place, Child):
        return next(children)
    if isinstance(place, Static):
        return None
    parts = [_filler(each, children) for each in place.items]
    if not (_is_open(place) or any(parts)):
        return None
    pairs = zip(parts, place.items, strict=True)
    fill = [_constant(_join(each, iter(()))) if part is None else part for part, each in pairs]
    if place.kind is tuple:
        return lambda leaves: tuple([each(leaves) for each in fill])

    def made(leaves: tree.Leaves) -> Any:
        container = _container(place, [each(leaves) for each in fill])
        if place.kind in (list, dict):
            leaves.open.append(container)
        return container

    return made


def _constant(value: Any) -> Filler:
    return lambda leaves: value


def _container(place: Container, items: list[Any]) -> Any:
    if place.kind is dict:
        return dict(zip(place.keys, items, strict=True))
    return place.kind(*items) if hasattr(place.kind, "_fields") else place.kind(items)
