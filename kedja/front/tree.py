"""Pytrees: nested containers with tensors at the leaves, taken apart and put together again.

Containers are list, tuple, named tuple, dict (in the order of its sorted keys), None (no leaves)
and registered classes, such as the modules of `kedja/nn`. All else is a leaf.
Next: `transforms.py`, which maps functions over trees.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from kedja.ground.errors import UsageError


class Parts(NamedTuple):
    """A container taken apart: children with the names of their places, and the rest."""

    names: tuple[str, ...]
    children: tuple[Any, ...]
    static: Any


class _Registered(NamedTuple):
    take_apart: Callable[[Any], Parts]
    put_together: Callable[[Any, Sequence[Any]], Any]


_registry: dict[type, _Registered] = {}


def register(
    cls: type,
    take_apart: Callable[[Any], Parts],
    put_together: Callable[[Any, Sequence[Any]], Any],
) -> None:
    """Make a class a container; `put_together(static, children)` undoes `take_apart(object)`."""
    _registry[cls] = _Registered(take_apart, put_together)


@dataclass(frozen=True)
class Structure:
    """The shape of a tree without its leaves; hashable and comparable.

    `kind` is None for a leaf.
    """

    kind: type | None
    static: Any
    names: tuple[str, ...]
    children: tuple[Structure, ...]

    @property
    def leaves(self) -> int:
        """How many leaves the tree has."""
        return 1 if self.kind is None else sum(child.leaves for child in self.children)


LEAF = Structure(None, None, (), ())


def _take_apart(tree: Any) -> Parts | None:
    if tree is None:
        return Parts((), (), None)
    kind = type(tree)
    if kind in _registry:
        return _registry[kind].take_apart(tree)
    if kind is dict:
        keys = sorted(tree, key=str)
        return Parts(tuple(str(key) for key in keys), tuple(tree[key] for key in keys), tuple(keys))
    if kind in (list, tuple) or hasattr(kind, "_fields"):
        names = getattr(kind, "_fields", tuple(str(i) for i in range(len(tree))))
        return Parts(names, tuple(tree), None)
    return None


def _put_together(structure: Structure, children: Sequence[Any]) -> Any:
    kind = structure.kind
    if kind in _registry:
        return _registry[kind].put_together(structure.static, children)
    if kind is dict:
        return dict(zip(structure.static, children, strict=True))
    if kind is type(None):
        return None
    assert kind is not None
    return kind(*children) if hasattr(kind, "_fields") else kind(children)


def flatten(tree: Any) -> tuple[list[Any], Structure]:
    """The leaves in order, and the structure that puts them together again.

    >>> leaves, structure = flatten({"b": 2, "a": (1, None)})
    >>> leaves
    [1, 2]
    >>> unflatten(structure, [10, 20])
    {'a': (10, None), 'b': 20}
    """
    parts = _take_apart(tree)
    if parts is None:
        return [tree], LEAF
    leaves: list[Any] = []
    structures = []
    for child in parts.children:
        below, structure = flatten(child)
        leaves.extend(below)
        structures.append(structure)
    return leaves, Structure(type(tree), parts.static, parts.names, tuple(structures))


def unflatten(structure: Structure, leaves: Sequence[Any]) -> Any:
    """The tree of that structure with these leaves."""
    if len(leaves) != structure.leaves:
        raise UsageError(f"{len(leaves)} leaves for a tree of {structure.leaves}")
    return _build(structure, iter(leaves))


def _build(structure: Structure, leaves: Iterator[Any]) -> Any:
    if structure.kind is None:
        return next(leaves)
    return _put_together(structure, [_build(child, leaves) for child in structure.children])


def leaves(tree: Any) -> list[Any]:
    """The leaves alone."""
    return flatten(tree)[0]


def paths(tree: Any) -> list[tuple[str, Any]]:
    """Each leaf with its dotted path, as in `layers.0.weight`."""
    parts = _take_apart(tree)
    if parts is None:
        return [("", tree)]
    found = []
    for name, child in zip(parts.names, parts.children, strict=True):
        for below, leaf in paths(child):
            found.append((f"{name}.{below}" if below else name, leaf))
    return found


def map(function: Callable[..., Any], tree: Any, *others: Any) -> Any:
    """A tree of the same structure, with `function` applied to corresponding leaves.

    >>> map(lambda a, b: a + b, [1, (2, 3)], [10, (20, 30)])
    [11, (22, 33)]
    """
    first, structure = flatten(tree)
    rest = [_leaves_of(other, structure) for other in others]
    return unflatten(structure, [function(*each) for each in zip(first, *rest, strict=True)])


def _leaves_of(tree: Any, structure: Structure) -> list[Any]:
    found, other = flatten(tree)
    if other != structure:
        raise UsageError("trees of different structure", fix="both must nest in the same way")
    return found
