"""Fusion: which values are kept in memory, and which are computed where they are used.

A value is kept when it leaves the program, when a kernel of its own makes or needs it, or when
computing it again for each of its users would cost more than memory does. All else becomes part
of the expressions of `loops.py`. Why here: the graph is final, and everything that follows works
on kernels. Next: `kernels.py`, which makes kernels of the kept values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from kedja.compiler.again import LARGEST, Part, held, moved, total
from kedja.compiler.attention_kernels import bases_of, is_attention
from kedja.compiler.indices import Affine, Space, Variable, of, strides
from kedja.compiler.matmul_pairs import bases_in_pairs, in_pairs, is_rounding
from kedja.compiler.matmul_rows import Picked, only_picked, picked_rows
from kedja.compiler.templates import Templates
from kedja.ground.dtypes import bfloat16, is_float, is_half
from kedja.ir.graph import Node, consumers, topological
from kedja.ir.op import Fold, Kernel, Leaf, OwnProgram, Pointwise, Reindex

SPACE = Space()
CHEAP = 4.0  # flops for each element that are computed again rather than kept
ONE_READ = 1.25  # a value computed again may read one array of its size and some small ones
LARGE = 1 << 13  # elements of a value that does not stay in the first-level cache
SERIAL = 1 << 15  # elements that a fold inside a fold may take, since one thread does them all


def is_stored(node: Node) -> bool:
    """Whether a node is in memory before the program starts."""
    return node.op.name in ("input", "constant")


def is_product(node: Node) -> bool:
    """Whether a node is a matrix product with a kernel of its own."""
    return is_strided_product(node) or (node.op.name == "matmul" and is_float(node.dtype))


def is_strided_product(node: Node) -> bool:
    """Whether a node is a product that reads its factors by steps of its own."""
    return node.op.name == "strided_product"


def flat_base(node: Node) -> Node:
    """The value in whose memory a node stands as it is, however it is shaped."""
    while node.op.name == "reshape":
        node = node.inputs[0]
    return node


def is_scatter(node: Node) -> bool:
    """Whether a node changes a value at places that data choose."""
    return isinstance(node.op.lowering, Kernel) and node.op.lowering.name == "scatter"


def is_flow(node: Node) -> bool:
    """Whether a node is a loop or a choice, whose parts its own kernels make."""
    return isinstance(node.op.lowering, OwnProgram) and node.op.name != "part"


def memory_of(node: Node) -> Node:
    """The value in whose memory the elements of another one stand in the same order."""
    while node.op.name == "reshape":
        node = node.inputs[0]
    return node


def _is_apart(node: Node) -> bool:
    """Whether a node is part of no loop nest: a kernel of its own makes it, or nobody."""
    own_kernel = is_product(node) or is_scatter(node) or is_attention(node)
    return own_kernel or isinstance(node.op.lowering, OwnProgram) or is_stored(node)


class Fusion:
    """The decision for one graph: `kept` nodes live in memory, others inside expressions.

    `pairs` says whether the target multiplies bfloat16 in pairs; such products are `paired`.
    """

    def __init__(self, outputs: Sequence[Node], pairs: bool = False) -> None:
        self.templates = Templates()
        self.order = topological(outputs)
        self.pairs = pairs
        self.paired = frozenset(n for n in self.order if pairs and is_product(n) and in_pairs(n))
        self.users = consumers(self.order)
        self.outputs = frozenset(node for node in outputs if not is_stored(node))
        self.picked = only_picked(self.order, self.users, self.outputs)
        self.kept: set[Node] = set(self.outputs)
        self._apart = frozenset(filter(_is_apart, self.order))
        self.ends: set[Node] = set()  # values with which a product's epilogue ends
        self.demand: dict[Node, frozenset[Node]] = {}
        self._parts: dict[Node, dict[Node, Part]] = {}
        self._ends_product: set[Node] = set()
        self._dear: set[Node] = set()  # kept for what they cost, or for their length, alone
        for node in self.order:
            self._measure(node)
            self._follow_product(node)
        for node in reversed(self.order):
            self._decide(node)
        for node in self.order:
            self._measure(node)
            self._reconsider(node)
        for node in reversed(self.order):
            self._find_demand(node)
        for node in reversed(self.order):
            self._keep_instead(node)
        for node in self.order:
            self._round_in_packing(node)

    def in_memory(self, node: Node) -> bool:
        """Whether a node is read from memory where it is used."""
        return node in self.kept or is_stored(node)

    # --- what computing a node again would cost

    def _measure(self, node: Node) -> None:
        """Note the parts of a node's expression, those of dear inputs left out if it is long."""
        if isinstance(node.op.lowering, OwnProgram) or node in self.paired:
            self._parts[node] = {}  # a product in pairs chooses itself what it reads from memory
            return
        parts = self._parts_of(node)
        if total(parts).size > LARGEST:
            for each in sorted(node.inputs, key=lambda x: -total(self._parts[x]).size):
                self._keep_apart(_unspread(each))
                parts = self._parts_of(node)
                if total(parts).size <= LARGEST:
                    break
        self._parts[node] = parts

    def _parts_of(self, node: Node) -> dict[Node, Part]:
        parts: dict[Node, Part] = {}
        for each in node.inputs:
            parts.update(held(each) if self._is_boundary(each) else self._parts[each])
        if isinstance(node.op.lowering, Pointwise):
            parts[node] = Part(1, node.op.flops, 0, 0)
            return parts
        repeats = any(self._repeats(node, each) for each in node.inputs)
        return {node: moved(node, parts, repeats=repeats)}

    def _keep_apart(self, node: Node) -> None:
        if not self._is_boundary(node):
            self.kept.add(node)
            self._dear.add(node)

    def _follow_product(self, node: Node) -> None:
        """Note what can be the end of a product's epilogue: pointwise on it, and on nothing else
        of its kind. Kept in the product's place, it costs no memory."""
        if not isinstance(node.op.lowering, Pointwise):
            return
        ends = [each for each in node.inputs if is_product(each) or each in self._ends_product]
        if len(ends) != 1 or len(self.users[ends[0]]) != 1:
            return
        if node.dtype == ends[0].dtype or is_rounding(node):
            self._ends_product.add(node)

    def _is_boundary(self, node: Node) -> bool:
        return node in self._apart or node in self.kept

    # --- who needs a node, and whether it is therefore kept

    def _find_demand(self, node: Node) -> None:
        self.demand[node] = frozenset().union(
            *((user,) if user in self.kept else self.demand[user] for user in self.users[node])
        )

    def _need(self, nodes: Iterable[Node]) -> None:
        """Keep what has to be in memory, whatever it costs."""
        needed = [each for each in nodes if not is_stored(each)]
        self.kept.update(needed)
        self._dear.difference_update(needed)

    def _decide(self, node: Node) -> None:
        self._find_demand(node)
        if is_stored(node):
            return
        if is_flow(node):
            self._need(map(memory_of, node.inputs))
        elif node.op.name == "part":
            self._need([node])
        else:
            self._decide_computed(node)

    def _decide_computed(self, node: Node) -> None:
        if node not in self.kept and self._is_too_dear(node):
            self.kept.add(node)
            self._dear.add(node)
        if is_product(node) or is_scatter(node) or is_attention(node):
            self._need([node])
        if is_product(node):
            self._keep_operands(node)
        elif is_scatter(node):
            self._need(node.inputs)
        elif is_attention(node):
            self._need(bases_of(node, self.in_memory))

    def _reconsider(self, node: Node) -> None:
        """Not to keep after all what is cheap to compute from what else is kept."""
        if node not in self._dear:
            return
        if _is_widened_half(node):
            self._keep_half(node)
        if node in self._ends_product:
            return
        again = total(self._parts[node])
        if again.hard or again.flops > CHEAP or self._is_spread(node) or self._is_enlarged(node):
            return
        if again.loads <= ONE_READ * node.type.size:
            self.kept.discard(node)

    def _keep_half(self, node: Node) -> None:
        """Keep a half value as it is, and not widened to twice the memory."""
        (half,) = node.inputs
        self.kept.discard(node)
        self.kept.add(half)
        self._measure(node)

    def _keep_instead(self, node: Node) -> None:
        """Keep a value for a product's epilogue in the place of several that it is made of.

        Those are needed nowhere else but where they are made, and there it can be made too: the
        slope of an activation is stored and read instead of the activation's own parts.
        """
        if self._is_boundary(node) or not isinstance(node.op.lowering, Pointwise):
            return
        if len(self.demand[node]) != 1:
            return
        (user,), parts = self.demand[node], self._read_whole(node)
        if len(parts) < 2 or not any(map(is_product, self._read_whole(user) - parts)):
            return
        makers = frozenset().union(*(self.demand[each] for each in parts)) - parts - {user}
        alone = not parts & self.outputs and all(user in self.demand[each] for each in parts)
        if not alone or len(makers) != 1 or node.dtype != user.dtype:
            return
        self.kept.add(node)
        for each in parts:
            self.demand[each] = self.demand[each] - {user} | {node}

    def _read_whole(self, node: Node) -> frozenset[Node]:
        """The values of its own size that a value reads from memory."""
        found: set[Node] = set()
        seen = set(node.inputs)
        todo = list(seen)
        while todo:
            each = todo.pop()
            if self._is_boundary(each):
                found.add(each)
                continue
            new = set(each.inputs) - seen
            seen |= new
            todo += new
        return frozenset(each for each in found if each.type.size >= node.type.size)

    def _is_too_dear(self, node: Node) -> bool:
        if isinstance(node.op.lowering, Leaf):
            return False
        if isinstance(node.op.lowering, Fold) or node.op.name == "matmul":
            return not self._folds_in_place(node)
        if isinstance(node.op.lowering, Reindex):
            return self._is_turned_often(node)  # else moving is free
        dear = total(self._parts[node]).flops > CHEAP or node in self._ends_product
        return dear and (len(self.demand[node]) > 1 or self._is_spread(node))

    def _is_turned_often(self, node: Node) -> bool:
        """Whether each element of a large value is read several times across the lanes."""
        if node.op.name != "transpose" or node.type.size < LARGE or node.shape[-1] == 1:
            return False
        return node.attrs["axes"][-1] != len(node.shape) - 1 and self._is_spread(node)

    def _folds_in_place(self, node: Node) -> bool:
        """Whether a fold may be computed inside the one kernel that uses it, once for each row."""
        if len(self.demand[node]) != 1 or node.op.name == "matmul":
            return False
        (root,), (x,) = self.demand[node], node.inputs
        axes: tuple[int, ...] = node.attrs["axes"]
        if is_product(root) or is_scatter(root) or is_attention(root):
            return False
        trailing = tuple(axes) == tuple(range(len(x.shape) - len(axes), len(x.shape)))
        if not trailing and any(user.op.name == "transpose" for user in self.users[node]):
            return False  # every single term would be read across the lanes
        if isinstance(root.op.lowering, Fold):
            space = root.inputs[0].type.size
            if root.type.size == node.type.size:
                return trailing
            return space == node.type.size and x.type.size <= SERIAL
        return bool(root.type.size == node.type.size or (trailing and root.shape == x.shape))

    def _is_enlarged(self, node: Node) -> bool:
        """Whether a user reads elements of the node more than once, as windows do."""
        moves = [user for user in self.users[node] if isinstance(user.op.lowering, Reindex)]
        moves = [user for user in moves if user not in self.kept and user.op.name != "broadcast"]
        return any(user.type.size > node.type.size or self._is_enlarged(user) for user in moves)

    def _is_spread(self, node: Node) -> bool:
        """Whether a user repeats the node along leading axes, where no loop hoists it."""
        return any(self._repeats(user, node) for user in self.users[node])

    def _repeats(self, user: Node, node: Node) -> bool:
        if user.op.name == "reshape" and user not in self.kept:
            return any(self._repeats(each, user) for each in self.users[user])
        if user.op.name != "broadcast":
            return user.op.name in ("take", "take_along_axis") and user.type.size > node.type.size
        before = 1
        for axis, extent in enumerate(reversed(user.shape)):
            own = node.shape[-1 - axis] if axis < len(node.shape) else 1
            if own != extent and before > 1:
                return True
            before *= own
        return False

    # --- matrix products read their operands from memory, through strides

    def _keep_operands(self, node: Node) -> None:
        if is_strided_product(node):
            self._need(map(flat_base, node.inputs))
            return
        for number, operand in enumerate(node.inputs):
            picked = self.rows_of(node, number)
            if picked is not None:
                self._need([picked.places])
                continue
            bases = [operand_base(operand, self.in_memory), operand]
            if operand.op.name == "transpose":  # of a copy: the product reads it either way round
                bases.insert(1, operand.inputs[0])
            if node in self.paired:
                bases = [*bases_in_pairs(operand, self.in_memory), operand]
            self._need([next(b for b in bases if b is operand or strided(operand, b))])

    def rows_of(self, product: Node, number: int) -> Picked | None:
        """An operand whose rows are read where they stand in a table."""
        picked = picked_rows(product, number)
        return picked if picked is not None and picked.take in self.picked else None

    def _round_in_packing(self, node: Node) -> None:
        """Forget a rounded copy of a value in memory that only products in pairs read: they round
        it themselves."""
        if not is_rounding(node) or node not in self.kept - self.outputs:
            return
        if node.dtype != bfloat16 or not self.demand[node] <= self.paired:
            return
        (x,) = node.inputs
        if self.in_memory(x) and not is_product(x):
            self.kept.discard(node)
            self.demand[x] = self.demand.get(x, frozenset()) - {node} | self.demand[node]

    def products(self) -> list[Node]:
        """The kept matrix products, in order."""
        return [node for node in self.order if node in self.kept and is_product(node)]


def _unspread(node: Node) -> Node:
    """What a value was before it was repeated or turned: it takes no more memory, and products
    read it as easily."""
    while node.op.name in ("broadcast", "reshape", "transpose"):
        node = node.inputs[0]
    return node


def _is_widened_half(node: Node) -> bool:
    """Whether a node only widens a half value that is computed."""
    if node.op.name != "cast" or not is_float(node.dtype):
        return False
    (x,) = node.inputs
    return is_half(x.dtype) and x.dtype.itemsize < node.dtype.itemsize and is_pointwise(x)


def operand_base(node: Node, in_memory: Callable[[Node], bool]) -> Node:
    """The value whose memory a moved operand is a view of."""
    while (
        isinstance(node.op.lowering, Reindex)
        and len(node.inputs) == 1
        and not in_memory(node)
        and node.op.name != "pad"
    ):
        node = node.inputs[0]
    return node


class Strided(NamedTuple):
    """A view: the value in memory, and the step along each axis in elements."""

    base: Node
    steps: tuple[int, ...]


def _in_rows(node: Node) -> Strided:
    """A value as it stands in memory."""
    steps = zip(node.shape, strides(node.shape), strict=True)
    return Strided(node, tuple([step if extent != 1 else 0 for extent, step in steps]))


def strided(node: Node, base: Node) -> Strided | None:
    """A moved value as a strided view of its base; None where no strides describe it."""
    if node is base:
        return _in_rows(node)
    variables = tuple(Variable(f"i{n}", extent) for n, extent in enumerate(node.shape))
    index: tuple[Affine, ...] = tuple(of(each) for each in variables)
    while node is not base:
        if is_rounding(node):
            (node,) = node.inputs
            continue
        rule = node.op.lowering
        assert isinstance(rule, Reindex)
        ((_, index, _),) = rule.index(SPACE, node, index)
        (node,) = node.inputs
    place = SPACE.linearise(index, node.shape)
    steps = [place.coefficient(each) for each in variables]
    if any(step is None or step < 0 for step in steps):
        return None
    if place.variables - set(variables):
        return None
    view = Strided(base, tuple(step or 0 for step in steps))
    return view if place.offset == 0 and _fits_kernel(view, variables) else None


def _fits_kernel(view: Strided, variables: Sequence[Variable]) -> bool:
    """Whether one of the last two axes is contiguous, as the product's kernels want it."""
    *batch, (rows, m), (columns, n) = zip(
        view.steps, (each.extent for each in variables), strict=True
    )
    wide = [pair for pair in batch if pair[1] != 1]
    if any(a != b * extent for (a, _), (b, extent) in pairwise(wide)):
        return False
    return rows == 1 or columns == 1 or m == 1 or n == 1


def is_pointwise(node: Node) -> bool:
    """Whether a node is computed element by element or moved."""
    return isinstance(node.op.lowering, Pointwise | Reindex)
