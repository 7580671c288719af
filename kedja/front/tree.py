"""Pytrees: nested containers with tensors at the leaves, taken apart and put together again.

Containers are list, tuple, named tuple, dict (in the order of its sorted keys), None (no leaves)
and registered classes, such as the modules of `kedja/nn`. All else is a leaf.

A registered class may mark children as fixed: the leaves below are part of the tree like others,
but gradients leave them out (`trainable`). It may also tie: an array object that stands at several
places below it is one leaf, which the first place holds and the later ones refer to.
Next: `transforms.py`, which maps functions over trees.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from kedja.ground.errors import UsageError


class Parts(NamedTuple):
    """A container taken apart: children with the names of their places, and the rest.

    `fixed` says for each child whether all leaves below it are fixed; empty where none are.
    """

    names: tuple[str, ...]
    children: tuple[Any, ...]
    static: Any
    fixed: tuple[bool, ...] = ()


class _Registered(NamedTuple):
    take_apart: Callable[[Any], Parts]
    put_together: Callable[[Any, Sequence[Any]], Any]
    ties: bool


_registry: dict[type, _Registered] = {}


def register(
    cls: type,
    take_apart: Callable[[Any], Parts],
    put_together: Callable[[Any, Sequence[Any]], Any],
    *,
    ties: bool = False,
) -> None:
    """Make a class a container; `put_together(static, children)` undoes `take_apart(object)`.

    With `ties`, an array object at several places below is one leaf.
    """
    _registry[cls] = _Registered(take_apart, put_together, ties)


@dataclass(frozen=True)
class Structure:
    """The shape of a tree without its leaves; hashable and comparable.

    `kind` is None for a leaf: LEAF, FIXED, or a place that is tied to an earlier leaf, whose
    `static` is that leaf's number below the container that ties.
    """

    kind: type | None
    static: Any
    names: tuple[str, ...]
    children: tuple[Structure, ...]

    @property
    def leaves(self) -> int:
        """How many leaves the tree has."""
        if self.kind is None:
            return 0 if self.is_tied else 1
        return sum(child.leaves for child in self.children)

    @property
    def is_tied(self) -> bool:
        """Whether this place holds no leaf of its own but refers to an earlier one."""
        return self.kind is None and isinstance(self.static, int)


LEAF = Structure(None, None, (), ())
FIXED = Structure(None, "fixed", (), ())


class _Ties:
    """The arrays met so far below a container that ties: the number of each, and if it is fixed."""

    def __init__(self) -> None:
        self.count = 0
        self.met: dict[int, tuple[int, bool]] = {}

    def place(self, leaf: Any, fixed: bool, mark: Structure) -> Structure:
        """The structure of a leaf: its mark, or a reference to the place that it has already."""
        number, as_before = self.met.setdefault(id(leaf), (self.count, fixed))
        is_array = hasattr(leaf, "shape")
        if is_array and number < self.count and as_before != fixed:
            raise UsageError(
                f"an array of shape {list(leaf.shape)} stands at two places, tied, and is frozen "
                "or a buffer at one of them only",
                fix="freeze both modules or neither, or give one of them a copy of the array",
            )
        if is_array and number < self.count:
            return Structure(None, number, (), ())
        self.count += 1
        return mark


def take_apart(tree: Any) -> Parts | None:
    """A container's children and the rest; None for a leaf."""
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


def put_together(kind: type, static: Any, children: Sequence[Any]) -> Any:
    """The container of a class with these children: what `take_apart` undoes."""
    if kind in _registry:
        return _registry[kind].put_together(static, children)
    if kind is dict:
        return dict(zip(static, children, strict=True))
    if kind is type(None):
        return None
    return kind(*children) if hasattr(kind, "_fields") else kind(children)


def flatten(tree: Any) -> tuple[list[Any], Structure]:
    """The leaves in order, and the structure that puts them together again.

    >>> leaves, structure = flatten({"b": 2, "a": (1, None)})
    >>> leaves
    [1, 2]
    >>> unflatten(structure, [10, 20])
    {'a': (10, None), 'b': 20}
    """
    found: list[Any] = []
    return found, _flatten(tree, found, None, False)


def _flatten(tree: Any, found: list[Any], ties: _Ties | None, fixed: bool) -> Structure:
    parts = take_apart(tree)
    if parts is None:
        mark = FIXED if fixed else LEAF
        structure = mark if ties is None else ties.place(tree, fixed, mark)
        if not structure.is_tied:
            found.append(tree)
        return structure
    kind = type(tree)
    if ties is None and _is_tying(kind):
        ties = _Ties()
    if not parts.fixed:
        below = tuple(_flatten(child, found, ties, fixed) for child in parts.children)
        return Structure(kind, parts.static, parts.names, below)
    pairs = zip(parts.children, parts.fixed, strict=True)
    below = tuple(_flatten(child, found, ties, fixed or mark) for child, mark in pairs)
    return Structure(kind, parts.static, parts.names, below)


def _is_tying(kind: type) -> bool:
    return kind in _registry and _registry[kind].ties


def unflatten(structure: Structure, leaves: Sequence[Any]) -> Any:
    """The tree of that structure with these leaves."""
    if len(leaves) != structure.leaves:
        raise UsageError(f"{len(leaves)} leaves for a tree of {structure.leaves}")
    return _build(structure, iter(leaves), None)


def _build(structure: Structure, leaves: Iterator[Any], built: list[Any] | None) -> Any:
    """`built` are the leaves so far below a container that ties."""
    if structure.kind is None:
        if built is None:
            return next(leaves)
        if structure.is_tied:
            return built[structure.static]
        built.append(next(leaves))
        return built[-1]
    if built is None and _is_tying(structure.kind):
        built = []
    children = [_build(each, leaves, built) for each in structure.children]
    return put_together(structure.kind, structure.static, children)


def trainable(structure: Structure) -> list[bool]:
    """For each leaf whether gradients, updates and the like reach it: not those that are fixed."""
    if structure.kind is None:
        return [] if structure.is_tied else [structure == LEAF]
    return [each for child in structure.children for each in trainable(child)]


def leaves(tree: Any) -> list[Any]:
    """The leaves alone."""
    return flatten(tree)[0]


def paths(tree: Any) -> list[tuple[str, Any]]:
    """Each leaf with its dotted path, as in `layers.0.weight`; a tied one under its first."""
    found, structure = flatten(tree)
    return [(path, leaf) for path, leaf, first in _visit(structure, iter(found), None) if first]


def places(tree: Any) -> list[tuple[str, Any]]:
    """As `paths`, with tied leaves under each of their paths."""
    found, structure = flatten(tree)
    return [(path, leaf) for path, leaf, _ in _visit(structure, iter(found), None)]


def _visit(
    structure: Structure, leaves: Iterator[Any], built: list[Any] | None
) -> Iterator[tuple[str, Any, bool]]:
    """Every place: its path, its leaf, and whether it is the leaf's first place."""
    if structure.kind is None:
        leaf = _build(structure, leaves, built)
        yield "", leaf, not structure.is_tied
        return
    if built is None and _is_tying(structure.kind):
        built = []
    for name, child in zip(structure.names, structure.children, strict=True):
        for below, leaf, first in _visit(child, leaves, built):
            yield (f"{name}.{below}" if name and below else name or below), leaf, first


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
