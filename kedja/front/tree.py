"""Pytrees: nested containers with tensors at the leaves, taken apart and put together again.

Containers are list, tuple, named tuple, dict (in the order of its sorted keys), None (no leaves)
and registered classes, such as the modules of `kedja/nn`. All else is a leaf.

A registered class may mark children as fixed: the leaves below are part of the tree like others,
but gradients leave them out (`trainable`). It may also tie: an array object that stands at several
places below it is one leaf, which the first place holds and the later ones refer to.
Next: `transforms.py`, which maps functions over trees.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import is_, itemgetter
from threading import RLock
from typing import Any, NamedTuple
from weakref import WeakValueDictionary

from kedja.front.changes import changes
from kedja.ground.errors import UsageError


class Parts(NamedTuple):
    """A container taken apart: children with the names of their places, and the rest.

    `fixed` says for each child whether all leaves below it are fixed; empty where none are. `open`
    are the lists and dicts in it to which something may be added later.
    """

    names: tuple[str, ...]
    children: tuple[Any, ...]
    static: Any
    fixed: tuple[bool, ...] = ()
    open: tuple[Any, ...] = ()


class Leaves(list[Any]):
    """The leaves of a tree that is made; `open` takes the lists and dicts inside its modules."""

    __slots__ = ("open",)

    def __init__(self, leaves: Iterable[Any] = ()) -> None:
        super().__init__(leaves)
        self.open: list[Any] = []


Maker = Callable[[Leaves], Any]  # from all leaves of a tree to a part of it
KeptMaker = Callable[["Kept"], Any]


class _Registered(NamedTuple):
    take_apart: Callable[[Any], Parts]
    put_together: Callable[[Any, Sequence[Any]], Any]
    ties: bool
    maker: Callable[[Any, Sequence[Maker]], Maker] | None
    keeping: Callable[[Any, Sequence[Maker]], KeptMaker | None] | None


_registry: dict[type, _Registered] = {}


def register(
    cls: type,
    take_apart: Callable[[Any], Parts],
    put_together: Callable[[Any, Sequence[Any]], Any],
    *,
    ties: bool = False,
    maker: Callable[[Any, Sequence[Maker]], Maker] | None = None,
    keeping: Callable[[Any, Sequence[Maker]], KeptMaker | None] | None = None,
) -> None:
    """Make a class a container; `put_together(static, children)` undoes `take_apart(object)`.

    With `ties`, an array object at several places below is one leaf. `maker(static, children)` may
    prepare what `put_together` does for many objects with the same static part. Where `keeping` is
    given, and `ties`, objects have an attribute `_kept` for what `kept` finds, and `changes` counts
    when one is changed; `keeping(static, children)` may then give what makes objects that are put
    together when they are first looked at.
    """
    _registry[cls] = _Registered(take_apart, put_together, ties, maker, keeping)


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

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash((self.kind, self.static, self.names, self.children))

    @cached_property
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
    if ties is None and not fixed and keeps(type(tree)):
        known = kept(tree)
        found += known.leaves
        return known.structure
    return _flatten_anew(tree, found, ties, fixed, [])


def _flatten_anew(
    tree: Any, found: list[Any], ties: _Ties | None, fixed: bool, open: list[Any]
) -> Structure:
    """As `flatten`; `open` takes the lists and dicts in it that may be changed later."""
    parts = take_apart(tree)
    if parts is None:
        mark = FIXED if fixed else LEAF
        structure = mark if ties is None else ties.place(tree, fixed, mark)
        if not structure.is_tied:
            found.append(tree)
        return structure
    kind = type(tree)
    open += parts.open
    if ties is None and _is_tying(kind):
        ties = _Ties()
    marks = parts.fixed or (False,) * len(parts.children)
    if ties is None:
        pairs = zip(parts.children, marks, strict=True)
        below = tuple(_flatten(child, found, None, fixed or mark) for child, mark in pairs)
    else:
        pairs = zip(parts.children, marks, strict=True)
        below = tuple(
            _flatten_anew(child, found, ties, fixed or mark, open) for child, mark in pairs
        )
    return Structure(kind, parts.static, parts.names, below)


# ------------------------------------------------------------------------- what is kept


class Kept:
    """A module taken apart; it stays right until a module changes, or one of its open lists.

    `inputs` is for what `flat.py` knows of the leaves. These may be made of it, by `source`, which
    is given this object, when they are first asked for.
    """

    __slots__ = ("_leaves", "_modules", "_source", "_watched", "inputs", "structure")

    def __init__(
        self,
        leaves: list[Any] | None,
        structure: Structure,
        inputs: Any = None,
        source: Callable[[Kept], list[Any]] | None = None,
    ) -> None:
        self._leaves = leaves
        self._source = source
        self.structure = structure
        self.inputs = inputs
        self._modules = changes.modules
        self._watched: tuple[Any, ...] = ()

    @property
    def leaves(self) -> list[Any]:
        """The leaves in order."""
        if self._leaves is None and self._source is not None:
            with _making:
                if self._leaves is None:  # else another thread was faster
                    self._leaves = self._source(self)
        return self._leaves or []

    @property
    def is_made(self) -> bool:
        """Whether there are leaves yet."""
        return self._leaves is not None

    def give_up(self, source: Callable[[Kept], list[Any]]) -> None:
        """Know no memory any more; `source` makes leaves for whoever still asks."""
        self._source = source
        self.inputs = None

    def watch(self, open: Sequence[Any]) -> None:
        """From now on, look whether these lists and dicts are what they are."""
        self._watched = tuple((each, _inside(each)) for each in open)

    def is_right(self) -> bool:
        """Whether the module is still what it was."""
        if self._modules != changes.modules:
            return False
        for each, was in self._watched:  # noqa: SIM110  a generator takes longer than the rest
            if not _is_same(each, was):
                return False
        return True


_making = RLock()


def _inside(container: Any) -> tuple[Any, ...]:
    return (*container, *container.values()) if isinstance(container, dict) else tuple(container)


def _is_same(container: Any, was: tuple[Any, ...]) -> bool:
    now = container if type(container) is list else _inside(container)
    return len(now) == len(was) and all(builtins.map(is_, now, was))


def is_plain(kind: type) -> bool:
    """Whether a class is one of Python's own containers."""
    return kind not in _registry


def keeps(kind: type) -> bool:
    """Whether objects of a class keep what taking them apart gave."""
    return kind in _registry and _registry[kind].keeping is not None


def kept(module: Any) -> Kept:
    """A module taken apart, now or before."""
    known: Kept | None = getattr(module, "_kept", None)
    if known is not None and known.is_right():
        return known
    before = changes.modules
    found: list[Any] = []
    open: list[Any] = []
    structure = canonical(_flatten_anew(module, found, None, False, open))
    known = Kept(found, structure)
    known.watch(open)
    if before == changes.modules:
        keep(module, known)
    return known


def keep(module: Any, known: Kept) -> None:
    """Keep with a module what taking it apart gives."""
    object.__setattr__(module, "_kept", known)


_canonical: WeakValueDictionary[int, Structure] = WeakValueDictionary()


def canonical(structure: Structure) -> Structure:
    """Of equal structures the same object, as long as somebody holds it."""
    found = _canonical.get(hash(structure))
    if found is not None and found == structure:
        return found
    _canonical[hash(structure)] = structure
    return structure


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


def maker(structure: Structure, start: int = 0) -> Maker:
    """`unflatten` prepared for many trees of that structure.

    It makes the tree from leaves of which its own begin at `start`.
    """
    return _maker(structure, _Counter(start), None)


class _Counter:
    """The number of the next leaf."""

    def __init__(self, start: int) -> None:
        self.next = start

    def take(self) -> int:
        self.next += 1
        return self.next - 1


def _maker(structure: Structure, counter: _Counter, ties: int | None) -> Maker:
    """`ties` is the number of the first leaf below the container that ties."""
    kind, static = structure.kind, structure.static
    if kind is None:
        tied = structure.is_tied and ties is not None
        return itemgetter((ties or 0) + static if tied else counter.take())
    if ties is None and _is_tying(kind):
        ties = counter.next
    below = [_maker(each, counter, ties) for each in structure.children]
    prepared = _registry[kind].maker if kind in _registry else None
    if prepared is not None:
        return prepared(static, below)
    if kind is tuple:
        return lambda leaves: tuple([make(leaves) for make in below])
    return lambda leaves: put_together(kind, static, [make(leaves) for make in below])


def keeping_maker(structure: Structure) -> KeptMaker | None:
    """Makes modules that are put together later, of what is kept of them."""
    prepare = _registry[structure.kind].keeping if structure.kind else None
    if prepare is None:
        return None
    counter = _Counter(0)
    return prepare(structure.static, [_maker(each, counter, 0) for each in structure.children])


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
