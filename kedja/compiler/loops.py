"""Loop nests: what one kernel computes, as expressions over the loops' variables.

A kernel runs over some variables and stores, at each point, one or more expressions. Everything
between the values in memory that it reads and the values that it stores is one expression, so
nothing else touches memory. Not here: which nodes share a kernel (`fuse.py`), and machine code
(`llvm_kernel.py`). Next: `schedule.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from kedja.compiler.indices import Affine, Lookup, Space, Variable, of
from kedja.ground.errors import VerificationError
from kedja.ir.graph import Node
from kedja.ir.op import Fold as FoldFacet
from kedja.ir.op import Op, Pointwise, Reindex, lookup
from kedja.ops.movement import blocks

SPACE = Space()
Index = tuple[Affine, ...]


@dataclass(frozen=True)
class Guard:
    """low ≤ place < high must hold where something is read."""

    place: Affine
    low: int
    high: int


Guards = tuple[Guard, ...]

# ------------------------------------------------------------------------------ expressions


@dataclass(frozen=True, eq=False)
class Expr:
    """A value at each point of the loops; equal only to itself, so that sharing is visible."""

    dtype: np.dtype

    @property
    def parts(self) -> tuple[Expr, ...]:
        """The expressions that it is made of."""
        return ()

    @property
    def places(self) -> tuple[Affine, ...]:
        """The index expressions that it contains itself."""
        return ()

    @cached_property
    def variables(self) -> frozenset[Variable]:
        """The loop variables that it depends on (a fold's own are not among them)."""
        found: set[Variable] = set()
        for place in self.places:
            found |= place.variables
        for part in self.parts:
            found |= part.variables
        return frozenset(found)


Lookups = tuple[tuple[Lookup, Expr], ...]  # the values of indices that are read from memory


@dataclass(frozen=True, eq=False)
class Number(Expr):
    """A constant."""

    value: Any


@dataclass(frozen=True, eq=False)
class Place(Expr):
    """An index as a value (iota)."""

    index: Affine
    lookups: Lookups = ()

    @property
    def parts(self) -> tuple[Expr, ...]:
        return tuple(value for _, value in self.lookups)

    @property
    def places(self) -> tuple[Affine, ...]:
        return (self.index,)


@dataclass(frozen=True, eq=False)
class Load(Expr):
    """An element of a value in memory, read only where all guards hold."""

    node: Node
    offset: Affine
    guards: Guards
    lookups: Lookups = ()

    @property
    def parts(self) -> tuple[Expr, ...]:
        return tuple(value for _, value in self.lookups)

    @property
    def places(self) -> tuple[Affine, ...]:
        return (self.offset, *(guard.place for guard in self.guards))

    @property
    def leaves_buffer(self) -> bool:
        """Whether the offset, taken by itself, could point outside the value."""
        low, high = self.offset.bounds()
        return low < 0 or high >= max(1, self.node.type.size)


@dataclass(frozen=True, eq=False)
class Result(Expr):
    """The finished sum of the matrix product into whose epilogue the kernel is fused."""

    index: Affine

    @property
    def places(self) -> tuple[Affine, ...]:
        return (self.index,)


@dataclass(frozen=True, eq=False)
class Apply(Expr):
    """An elementwise op on expressions."""

    op: Op
    attrs: Mapping[str, Any]
    args: tuple[Expr, ...]

    @property
    def parts(self) -> tuple[Expr, ...]:
        return self.args


@dataclass(frozen=True, eq=False)
class Choose(Expr):
    """The first alternative whose guards hold, else `fill`."""

    alternatives: tuple[tuple[Guards, Expr], ...]
    fill: Any
    lookups: Lookups = ()

    @property
    def parts(self) -> tuple[Expr, ...]:
        return (
            *(value for _, value in self.alternatives),
            *(value for _, value in self.lookups),
        )

    @property
    def places(self) -> tuple[Affine, ...]:
        return tuple(guard.place for guards, _ in self.alternatives for guard in guards)


@dataclass(frozen=True, eq=False)
class Fold(Expr):
    """The reduction of `body` over variables of its own."""

    op: Op
    over: tuple[Variable, ...]
    body: Expr

    @property
    def parts(self) -> tuple[Expr, ...]:
        return (self.body,)

    @cached_property
    def variables(self) -> frozenset[Variable]:
        return self.body.variables - set(self.over)


@dataclass(frozen=True, eq=False)
class Store:
    """Where an expression goes: an element of a value in memory."""

    node: Node
    offset: Affine
    value: Expr


@dataclass(frozen=True, eq=False)
class Nest:
    """Stores at every point of the variables, outermost first."""

    variables: tuple[Variable, ...]
    stores: tuple[Store, ...]
    like: Nest | None = None  # the one of which this is a copy on other values
    copied: tuple[Expr, ...] = ()  # the expressions of such a copy

    @cached_property
    def exprs(self) -> tuple[Expr, ...]:
        """Every expression once, parts first."""
        return self.copied or tuple(walk([store.value for store in self.stores]))

    @cached_property
    def loads(self) -> tuple[Load, ...]:
        """Every load, in the order in which a walk meets it."""
        return tuple([each for each in self.exprs if isinstance(each, Load)])

    @cached_property
    def reads(self) -> tuple[Node, ...]:
        """The values in memory that are read, each once."""
        return tuple(dict.fromkeys([load.node for load in self.loads]))

    @property
    def points(self) -> int:
        """How often the stores run."""
        total = 1
        for variable in self.variables:
            total *= variable.extent
        return total


def walk(roots: Iterator[Expr] | Sequence[Expr]) -> Iterator[Expr]:
    """Every expression once, parts first."""
    seen: set[Expr] = set()
    stack = [(each, False) for each in reversed(list(roots))]
    while stack:
        expr, done = stack.pop()
        if done:
            yield expr
        elif expr not in seen:
            seen.add(expr)
            stack.append((expr, True))
            stack.extend((part, False) for part in reversed(expr.parts))


# --------------------------------------------------------------------------------- lowering


class Lowering:
    """Turns nodes into expressions; `in_memory` says which nodes are read rather than computed.

    `result` is the matrix product whose sums are at hand, if the kernel is its epilogue; `joined`
    names the variables of reductions that are one with those before them.
    """

    def __init__(
        self,
        in_memory: Callable[[Node], bool],
        result: Node | None = None,
        joined: frozenset[str] = frozenset(),
    ) -> None:
        self._in_memory = in_memory
        self._result = result
        self._joined = joined
        self._known: dict[tuple[Node, Index, Guards], Expr] = {}
        self._folds = 0
        self.stored: dict[tuple[Node, Affine], Expr] = {}  # computed at this point already

    def value(self, node: Node, index: Index, guards: Guards = ()) -> Expr:
        """The value of a node at an index, read or computed where the guards hold."""
        key = (node, index, guards)
        if key not in self._known:
            self._known[key] = self._lower(node, index, guards)
        return self._known[key]

    def _lower(self, node: Node, index: Index, guards: Guards) -> Expr:
        if node is self._result:
            return Result(node.dtype, SPACE.linearise(index, node.shape))
        if self._in_memory(node):
            return self._load(node, index, guards)
        return self.computed(node, index, guards)

    def computed(self, node: Node, index: Index, guards: Guards = ()) -> Expr:
        """The value of a node from its inputs, even where it is also kept in memory."""
        match node.op.lowering:
            case Pointwise():
                args = tuple(self.value(each, index, guards) for each in node.inputs)
                return Apply(node.dtype, node.op, node.attrs, args)
            case Reindex(rule):
                return self._moved(node, rule(SPACE, node, index), guards)
            case FoldFacet():
                return self._fold(node, index, guards)
        if node.op.name == "full":
            return Number(node.dtype, node.attrs["value"])
        if node.op.name == "iota":
            place = index[node.attrs["axis"]]
            return Place(node.dtype, place, self._lookups([place]))
        if node.op.name == "matmul":
            return self._product(node, index, guards)
        raise VerificationError(f"{node.op.name} is not a loop: it must be kept in memory")

    def _load(self, node: Node, index: Index, guards: Guards) -> Expr:
        offset = SPACE.linearise(index, node.shape)
        if (node, offset) in self.stored:
            return self.stored[node, offset]
        if any(each is node for each, _ in self.stored):  # memory does not have it yet
            return self.computed(node, index, guards)
        places = [offset, *(guard.place for guard in guards)]
        return Load(node.dtype, node, offset, guards, self._lookups(places))

    def _lookups(self, places: Sequence[Affine]) -> Lookups:
        """The values of the indices that are read from memory."""
        found: dict[Lookup, Expr] = {}
        for affine in places:
            for each in lookups_of(affine):
                found[each] = self.value(each.node, each.index)
        return tuple(found.items())

    def _moved(self, node: Node, parts: Sequence[Any], guards: Guards) -> Expr:
        alternatives = []
        for number, index, conditions in parts:
            own = tuple(Guard(*condition) for condition in conditions)
            held = tuple(guard for guard in own if not always(guard))
            value = self.value(node.inputs[number], tuple(index), (*guards, *held))
            if not held:
                return value
            alternatives.append((held, value))
        places = [guard.place for held, _ in alternatives for guard in held]
        fill = node.attrs.get("value", 0)
        return Choose(node.dtype, tuple(alternatives), fill, self._lookups(places))

    def _fold(self, node: Node, index: Index, guards: Guards) -> Expr:
        (x,), axes = node.inputs, node.attrs["axes"]
        apart = self._fold_variables([x.shape[axis] for axis in axes])
        over, places = self._joined_variables(apart)
        inner, outer = iter(places), iter(index)
        place = tuple(next(inner) if axis in axes else next(outer) for axis in range(len(x.shape)))
        return Fold(node.dtype, node.op, over, self.value(x, place, guards))

    def _joined_variables(self, apart: Sequence[Variable]) -> tuple[tuple[Variable, ...], Index]:
        """The variables of a reduction, neighbours joined, and the place along each axis."""
        groups: list[list[Variable]] = []
        for each in apart:
            if each.name in self._joined:
                groups[-1].append(each)
            else:
                groups.append([each])
        over: list[Variable] = []
        places: list[Affine] = []
        for group in groups:
            extents = [each.extent for each in group]
            over.append(Variable(group[0].name, math.prod(extents)))
            places.extend(SPACE.delinearise(of(over[-1]), extents))
        return tuple(over), tuple(places)

    def _fold_variables(self, extents: Sequence[int]) -> tuple[Variable, ...]:
        start, self._folds = self._folds, self._folds + len(extents)
        return tuple(Variable(f"r{start + n}", extent) for n, extent in enumerate(extents))

    def _product(self, node: Node, index: Index, guards: Guards) -> Expr:
        """A matrix product as a plain loop: for integers, which have no kernel of their own."""
        a, b = node.inputs
        over = self._fold_variables([a.shape[-1]])
        k = of(over[0])
        left = self.value(a, (*index[:-1], k), guards)
        right = self.value(b, (*index[:-2], k, index[-1]), guards)
        times = Apply(node.dtype, lookup("multiply"), {}, (left, right))
        return Fold(node.dtype, lookup("sum"), over, times)


def lookups_of(affine: Affine) -> Iterator[Lookup]:
    """The lookups in an expression, inside quotients and remainders too."""
    for atom, _ in affine.terms:
        if isinstance(atom, Lookup):
            yield atom
        elif not isinstance(atom, Variable):
            yield from lookups_of(atom.of)


def always(guard: Guard) -> bool:
    """Whether a guard holds at every point."""
    low, high = guard.place.bounds()
    return guard.low <= low and high < guard.high


# ---------------------------------------------------------------------------- whole kernels


def nest_of(
    roots: Sequence[Node], in_memory: Callable[[Node], bool], result: Node | None = None
) -> Nest:
    """The loop nest that computes and stores nodes of one shape.

    Adjacent variables are merged where every index expression steps through both as through one.
    """
    extents = [extent for extent in loop_shape(roots[0]) if extent != 1]
    nest = _lowered(roots, in_memory, result, extents)
    merged, joined = _merged(nest), _joined(nest)
    if len(merged) == len(extents) and not joined:
        return nest
    return _lowered(roots, in_memory, result, merged, joined)


def loop_shape(root: Node) -> tuple[int, ...]:
    """The shape over which a value is computed: its own, the last axis as it was before a reshape.

    The places in memory are the same; where the last axis was joined from several, loops over
    those step evenly, and a loop over the joined one would divide at every element.
    """
    if root.op.name != "reshape" or root.type.size == 0:
        return root.shape
    old = root.inputs[0].shape
    whole = blocks(old, root.shape)
    if not whole or len(whole[-1][0]) < len(whole[-1][1]):
        return root.shape
    before, last = root.shape[: whole[-1][1][0]], whole[-1][0]
    return (*before, *(old[axis] for axis in last))


def _lowered(
    roots: Sequence[Node],
    in_memory: Callable[[Node], bool],
    result: Node | None,
    extents: Sequence[int],
    joined: frozenset[str] = frozenset(),
) -> Nest:
    loops = tuple(Variable(f"i{n}", extent) for n, extent in enumerate(extents))
    flat = SPACE.linearise([of(each) for each in loops], extents)
    lowering = Lowering(in_memory, result, joined)
    stores = []
    for root in roots:
        index = SPACE.delinearise(flat, root.shape)
        value = lowering.computed(root, index) if root is not result else Result(root.dtype, flat)
        stores.append(Store(root, flat, value))
        lowering.stored[root, flat] = value
    return Nest(loops, tuple(stores))


def _merged(nest: Nest) -> list[int]:
    """The extents after merging neighbours, outermost first."""
    affines = _affines([store.value for store in nest.stores])
    groups: list[list[Variable]] = []
    for variable in nest.variables:
        if groups and all(_steps_as_one(e, groups[-1][-1], variable) for e in affines):
            groups[-1].append(variable)
        else:
            groups.append([variable])
    extents = []
    for group in groups:
        extent = 1
        for variable in group:
            extent *= variable.extent
        extents.append(extent)
    return extents


def _joined(nest: Nest) -> frozenset[str]:
    """The variables of reductions that step as one with those before them."""
    joined: set[str] = set()
    for expr in walk([store.value for store in nest.stores]):
        if isinstance(expr, Fold) and len(expr.over) > 1:
            affines = _affines([expr.body])
            for outer, inner in pairwise(expr.over):
                if all(_steps_as_one(e, outer, inner) for e in affines):
                    joined.add(inner.name)
    return frozenset(joined)


def _affines(roots: Sequence[Expr]) -> set[Affine]:
    """Every index expression, those of lookups among them."""
    found: set[Affine] = set()
    for expr in walk(roots):
        found.update(expr.places)
        for lookup_, _ in getattr(expr, "lookups", ()):
            found.update(lookup_.index)
    return found


def _steps_as_one(e: Affine, outer: Variable, inner: Variable) -> bool:
    a, b = e.coefficient(outer), e.coefficient(inner)
    return a is not None and b is not None and a == b * inner.extent
