"""Which kept values are stored by one loop nest: those of one shape that share reads, pointwise
ones with pointwise ones, reductions with reductions of the same axes.

The work grows with the number of values, not with its square: a value is compared only with the
groups that hold something that it reads, or that read something that it reads; and what needs
what is known as one set of bits for each value. Not here: the nests (`loops.py`).
Next: `kernels.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kedja.compiler.fuse import Fusion, is_pointwise
from kedja.compiler.loops import Nest, nest_of
from kedja.ir.graph import Node
from kedja.ir.op import Fold

LARGEST_GROUP = 12
PIECES = 8  # as many values of one size may be read as slices of one value
MOST_TRIED = 16  # groups that read the same; the latest ones are looked at


class Unit:
    """Values that one kernel stores; `rank` is above that of every unit that it needs."""

    __slots__ = ("bits", "is_group", "members", "number", "rank", "users")

    def __init__(self, number: int, *, is_group: bool) -> None:
        self.number = number
        self.is_group = is_group  # others can join
        self.members: list[Node] = []
        self.bits = 0
        self.rank = 0
        self.users: list[Unit] = []


def _space(node: Node) -> tuple[object, ...] | None:
    """The loops of a value that can share them: its shape, and what is reduced to it."""
    if _is_fold(node):
        return (node.shape, node.inputs[0].shape, node.attrs["axes"])
    return (node.shape,) if is_pointwise(node) else None


def _is_fold(node: Node) -> bool:
    return isinstance(node.op.lowering, Fold)


class Grouping:
    """Puts one kept value after the other, in the graph's order, into units."""

    def __init__(self, fusion: Fusion, roots: Iterable[Node]) -> None:
        self.fusion = fusion
        self.roots = set(roots)
        self.units: list[Unit] = []
        self.home: dict[Node, Unit] = {}
        self._direct: dict[Node, frozenset[Node]] = {}  # the kept values that a value reads
        self._above: dict[Node, int] = {}  # the bits of all kept values that it needs
        self._bit: dict[Node, int] = {}
        self._readers: dict[Node, list[Unit]] = {}
        self._nests: dict[Node, Nest] = {}
        for node in fusion.order:
            self._look_up(node)
            if node in fusion.kept:
                self._place(node)

    def nests(self) -> list[Nest]:
        """The nests of all groups."""
        return [self._nest_of(unit.members) for unit in self.units if unit.is_group]

    def groups(self) -> Iterable[Unit]:
        """The units that loop nests store."""
        return (unit for unit in self.units if unit.is_group)

    def needs(self, unit: Unit) -> set[Node]:
        """The kept values that a unit reads, its own left out."""
        read = {node for mate in unit.members for node in self._direct[mate]}
        return read - set(unit.members)

    def number(self, node: Node) -> int:
        """The place of a value's unit in the order in which they were made."""
        return self.home[node].number

    def absorb(self, unit: Unit, group: Unit) -> bool:
        """Let a unit store what a group stores; False, and nothing done, if others lie between."""
        if self._reaches(self.needs(group) - set(unit.members), unit):
            return False
        if self._reaches(self.needs(unit), group):
            return False
        unit.members.extend(group.members)
        unit.bits |= group.bits
        unit.users.extend(group.users)
        group.is_group = False
        for node in group.members:
            self.home[node] = unit
        self._rank(unit, self.needs(unit))
        return True

    def _nest_of(self, members: Sequence[Node]) -> Nest:
        return self._nest(members[0]) if len(members) == 1 else self._lowered(members)

    def _lowered(self, members: Sequence[Node]) -> Nest:
        in_memory = self.fusion.in_memory
        templates = self.fusion.templates
        return templates.nest("loops", members, in_memory, lambda: nest_of(members, in_memory))

    def _nest(self, root: Node) -> Nest:
        """The nest of a value alone."""
        if root not in self._nests:
            self._nests[root] = self._lowered([root])
        return self._nests[root]

    def _look_up(self, node: Node) -> None:
        """Note what a value needs: what its inputs need, where they are not in memory."""
        kept = self.fusion.kept
        direct: set[Node] = set()
        for each in node.inputs:
            if each in kept:
                direct.add(each)
            else:
                direct |= self._direct[each]
        self._direct[node] = frozenset(direct)
        if node in kept:
            above = 0
            for each in direct:
                above |= self._above[each] | self._bit[each]
            self._above[node] = above
            self._bit[node] = 1 << len(self._bit)

    # ----------------------------------------------------------------------------- placing

    def _place(self, node: Node) -> None:
        """Put a value into the latest group that it fits, or into a unit of its own.

        Groups with a value that it is computed from come first.
        """
        joins = node in self.roots and _space(node) is not None
        unit = (self._fitting(node) if joins else None) or self._opened(node)
        unit.members.append(node)
        unit.bits |= self._bit[node]
        self.home[node] = unit
        for each in self._read_whole(node) if joins else ():
            readers = self._readers.setdefault(each, [])
            if unit not in readers:
                readers.append(unit)
        self._rank(unit, self._direct[node])

    def _opened(self, node: Node) -> Unit:
        self.units.append(Unit(len(self.units), is_group=node in self.roots))
        return self.units[-1]

    def _fitting(self, root: Node) -> Unit | None:
        above = {self.home[node] for node in self._direct[root]}
        readers = [self._readers.get(node, ())[-MOST_TRIED:] for node in self._read_whole(root)]
        beside = {unit for some in readers for unit in some} - above
        for some in (above, beside):
            for unit in sorted(some, key=lambda each: -each.number):
                if self._fits(unit, root):
                    return unit
        return None

    def _fits(self, unit: Unit, root: Node) -> bool:
        """Whether the loops are the same, and nothing lies in between."""
        first = unit.members[0]
        if not unit.is_group or _space(first) is None or _space(root) != _space(first):
            return False
        if len(unit.members) >= LARGEST_GROUP:
            return False
        return self._reads_in_place(root, unit) and not self._between(root, unit)

    def _read_whole(self, root: Node) -> list[Node]:
        """The values of its own size that a value reads, or of what it reduces, and those that it
        is a large part of."""
        size = root.inputs[0].type.size if _is_fold(root) else root.type.size
        reads = self._nest(root).reads
        return [node for node in reads if size <= node.type.size <= PIECES * size]

    def _reads_in_place(self, root: Node, unit: Unit) -> bool:
        """Whether values of the unit are read only at the element that is being stored."""
        nest = self._nest(root)
        here = nest.stores[0].offset
        return all(load.offset == here for load in nest.loads if load.node in unit.members)

    # ------------------------------------------------------------------- what needs what

    def _rank(self, unit: Unit, direct: Iterable[Node]) -> None:
        """Note what a unit needs; it, and what needs it, then ranks above that."""
        for node in direct:
            needed = self.home[node]
            if needed is not unit:
                needed.users.append(unit)
                unit.rank = max(unit.rank, needed.rank + 1)
        todo = [unit]
        while todo:
            below = todo.pop()
            for user in below.users:
                if user.rank <= below.rank:
                    user.rank = below.rank + 1
                    todo.append(user)

    def _between(self, root: Node, unit: Unit) -> bool:
        """Whether something that the root needs, outside the unit, needs the unit itself.

        By itself, or because it is stored together with something that does.
        """
        return self._reaches([n for n in self._direct[root] if self.home[n] is not unit], unit)

    def _reaches(self, start: Iterable[Node], unit: Unit) -> bool:
        """Whether one of the values is the unit's, or needs it."""
        if any((self._above[node] | self._bit[node]) & unit.bits for node in start):
            return True
        todo = [self.home[node] for node in start]
        seen = set(todo)
        while todo:
            for below in self._beneath(todo.pop(), unit.rank):
                if below is unit:
                    return True
                if below not in seen:
                    seen.add(below)
                    todo.append(below)
        return False

    def _beneath(self, unit: Unit, rank: int) -> Iterable[Unit]:
        """What a unit needs, where it could need one of that rank."""
        if unit.rank <= rank:
            return ()
        return (self.home[node] for mate in unit.members for node in self._direct[mate])
