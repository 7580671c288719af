"""Kernels: the kept values grouped into units of work, each a loop nest, a product or a scatter.

Not here: their order and where their values live (`schedule.py`, `memory.py`), and their code
(`llvm_kernel.py`, `llvm_matmul.py`). Next: `schedule.py`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from kedja.compiler.attention_kernels import (
    AttentionKernel,
    attention_kernels,
    is_attention,
)
from kedja.compiler.epilogues import bare, only_user, stored_along
from kedja.compiler.fuse import (
    Fusion,
    Strided,
    flat_base,
    is_product,
    is_scatter,
    is_strided_product,
    operand_base,
    strided,
)
from kedja.compiler.grouping import Grouping
from kedja.compiler.indices import Variable, of
from kedja.compiler.loops import SPACE, Lowering, Nest, Store
from kedja.compiler.matmul_pairs import bases_in_pairs
from kedja.compiler.matmul_plan import MatmulShape
from kedja.compiler.matmul_rows import Picked, Rows
from kedja.compiler.memory import View
from kedja.compiler.strided_plan import StridedShape, is_in_order, shape_of
from kedja.compiler.turned import turned
from kedja.ground.errors import VerificationError
from kedja.ir.graph import Node, apply
from kedja.ir.op import Kernel, Rule


@dataclass(frozen=True, eq=False)
class LoopKernel:
    """Elementwise work and reductions: one loop nest."""

    nest: Nest

    @property
    def writes(self) -> list[Node]:
        """The kept values that it computes."""
        return [store.node for store in self.nest.stores]

    @cached_property
    def reads(self) -> list[Node]:
        """The values in memory that it reads (its own, at the same place, are not counted)."""
        return [node for node in self.nest.reads if node not in self.writes]

    @property
    def label(self) -> str:
        """What the profile calls it."""
        return " ".join(node.op.name for node in self.writes) + _layer_of(self.writes[-1])


@dataclass(frozen=True, eq=False)
class ProductKernel:
    """A matrix product with what follows it element by element as its epilogue."""

    product: Node
    root: Node  # what is stored in the place of the sums: themselves, or a value of the epilogue
    a: Strided
    b: Strided
    nest: Nest  # the epilogue, the root first; where there is none, it stores the sums
    paired: bool = False  # whether bfloat16 is multiplied (`matmul_pairs.py`)
    picked: tuple[Picked | None, Picked | None] = (None, None)  # operands that are rows of tables

    @property
    def writes(self) -> list[Node]:
        """The kept values that it computes."""
        return [store.node for store in self.nest.stores]

    @cached_property
    def reads(self) -> list[Node]:
        """Both operands and what the epilogue reads."""
        read = dict.fromkeys((self.a.base, self.b.base, *self.indices, *self.nest.reads))
        return [node for node in read if node not in self.writes]

    @property
    def indices(self) -> list[Node]:
        """What picks the rows of operands."""
        return [each.places for each in self.picked if each is not None]

    @property
    def has_epilogue(self) -> bool:
        """Whether anything is done to the sums before they are stored."""
        return self.writes != [self.product]

    @cached_property
    def shape(self) -> MatmulShape:
        """The product as its kernels see it."""
        *batch, m, n = self.product.shape
        a, b = self.a.steps, self.b.steps
        k = self.product.inputs[0].shape[-1]
        a_steps = (a[-2] if m > 1 else k, a[-1] if k > 1 else 1)  # an axis of one has no step
        b_steps = (b[-2] if k > 1 else n, b[-1] if n > 1 else 1)
        return MatmulShape(
            math.prod(batch),
            m,
            n,
            k,
            self.product.dtype,
            a_steps,
            b_steps,
            _batch_step(batch, a),
            _batch_step(batch, b),
            (self.a.base.dtype, self.b.base.dtype) if self.paired else None,
            *self._rows(),
        )

    def _rows(self) -> tuple[Rows | None, Rows | None]:
        """How the rows of both operands are picked."""
        left, right = self.picked
        return left and left.rows(left.axis == 1), right and right.rows(along_k=True)

    @property
    def label(self) -> str:
        """What the profile calls it."""
        tail = "".join(f" {node.op.name}" for node in self.writes if node is not self.product)
        shape = self.shape
        return f"matmul {shape.m}x{shape.k}x{shape.n}{tail}{_layer_of(self.product)}"


@dataclass(frozen=True, eq=False)
class StridedKernel:
    """A product of strided views, with an epilogue like that of a matrix product."""

    product: Node
    root: Node
    a: Node
    b: Node
    nest: Nest

    @property
    def writes(self) -> list[Node]:
        """The kept value that it computes."""
        return [self.root]

    @cached_property
    def reads(self) -> list[Node]:
        """Both factors and what the epilogue reads."""
        return list(dict.fromkeys((self.a, self.b, *self.nest.reads)))

    @property
    def has_epilogue(self) -> bool:
        """Whether anything is done to the sums before they are stored."""
        return self.root is not self.product

    @property
    def shape(self) -> StridedShape:
        """The product as its kernel sees it."""
        return shape_of(self.product.attrs, self.product.dtype)

    @property
    def label(self) -> str:
        """What the profile calls it."""
        tail = f" {self.root.op.name}" if self.has_epilogue else ""
        shape = self.shape
        return f"strided {shape.lines}x{shape.steps}x{shape.columns}{tail}"


@dataclass(frozen=True, eq=False)
class ScatterKernel:
    """Updates that meet a value at places that an index names, in the order of the updates."""

    root: Node

    @property
    def writes(self) -> list[Node]:
        """The kept value that it changes (a loop kernel has filled it before)."""
        return [self.root]

    @property
    def combine(self) -> Rule:
        """What becomes of an element that an update meets."""
        rule = self.root.op.lowering
        assert isinstance(rule, Kernel)
        assert rule.combine is not None
        return rule.combine

    @property
    def reads(self) -> list[Node]:
        """The index and the updates."""
        return list(self.root.inputs[1:])

    @property
    def label(self) -> str:
        """What the profile calls it."""
        return self.root.op.name + _layer_of(self.root)


def _layer_of(node: Node) -> str:
    """The layer for which a node is computed, as labels name it."""
    if not node.scope:
        return ""
    return f" @ {node.scope}{' (back)' if node.back else ''}"


@dataclass(frozen=True, eq=False)
class FlowKernel:
    """A loop or a choice over kernels: scan, while_loop, cond (`flow.py` makes them).

    `blocks` are the kernels of its graphs, each in order: the body of a scan; the condition and the
    body of a while loop; both branches of a choice. `views` say which values inside are memory of
    others, `in_place` are those stored over a carry, `flag` is the truth value looked at.
    """

    node: Node
    blocks: tuple[tuple[KernelUnit, ...], ...]
    reads: list[Node]
    writes: list[Node]
    views: Mapping[Node, View]
    in_place: frozenset[Node]
    flag: Node | None = None

    @property
    def label(self) -> str:
        """What it is called where kernels are printed."""
        return self.node.op.name


KernelUnit = (
    LoopKernel | ProductKernel | StridedKernel | ScatterKernel | AttentionKernel | FlowKernel
)


def _batch_step(batch: Sequence[int], steps: Sequence[int]) -> int:
    wide = [step for step, extent in zip(steps, batch, strict=False) if extent != 1]
    return wide[-1] if wide else 0


def kernels_of(fusion: Fusion) -> list[KernelUnit]:
    """All kernels, products and scatters first."""
    made: list[KernelUnit] = []
    products = [_product_kernel(fusion, product) for product in fusion.products()]
    fused = {kernel.root: kernel for kernel in products if kernel.product.type.size}
    loops = [node for node in fusion.order if _has_loops(fusion, node) and node not in fused]
    grouping = Grouping(fusion, loops)
    fused = _with_groups(fusion, grouping, fused)
    kept = [node for node in fusion.order if node in fusion.kept and node.type.size]
    for node in kept:
        if node in fused:
            made.append(fused[node])
        elif is_scatter(node):
            made.extend((LoopKernel(_start_of_scatter(fusion, node)), ScatterKernel(node)))
    made.extend(attention_kernels([n for n in kept if is_attention(n)], fusion.in_memory))
    nests = (each for nest in grouping.nests() for each in turned(nest, fusion.in_memory))
    made.extend(map(LoopKernel, nests))
    return made


def _has_loops(fusion: Fusion, node: Node) -> bool:
    """Whether a kept value is computed by a loop nest, unless a product takes it."""
    own = is_scatter(node) or is_product(node) or is_attention(node) or node.op.name == "part"
    return node in fusion.kept and node.type.size > 0 and not own


Fused = dict[Node, ProductKernel | StridedKernel]


def _with_groups(fusion: Fusion, grouping: Grouping, fused: Fused) -> Fused:
    """The products, each with the groups that it can store along with its sums."""
    made = dict(fused)
    for unit in list(grouping.groups()):
        for root in sorted(grouping.needs(unit) & made.keys(), key=grouping.number, reverse=True):
            kernel = made[root]
            if isinstance(kernel, StridedKernel):
                continue
            nest = stored_along(fusion, kernel.product, [*kernel.writes, *unit.members])
            if nest is None or not grouping.absorb(grouping.home[root], unit):
                continue
            del made[root]
            first = nest.stores[0].node
            made[first] = replace(kernel, root=first, nest=nest)
            fusion.kept -= {kernel.product, *unit.members} - {each.node for each in nest.stores}
            break
    return made


def _start_of_scatter(fusion: Fusion, node: Node) -> Nest:
    """The scatter's base, stored where the updates will meet it."""
    (base, *_), size = node.inputs, node.type.size
    variables = (Variable("i0", size),) if size != 1 else ()
    flat = of(variables[0]) if variables else SPACE.constant(0)
    index = SPACE.delinearise(flat, node.shape)
    return Nest(variables, (Store(node, flat, Lowering(fusion.in_memory).value(base, index)),))


# --------------------------------------------------------------------------------- products


def _product_kernel(fusion: Fusion, product: Node) -> ProductKernel | StridedKernel:
    if is_strided_product(product):
        return _strided_kernel(fusion, product)
    paired = product in fusion.paired
    left, right = (fusion.rows_of(product, number) for number in (0, 1))
    a, b = (
        Strided(picked.table, picked.steps) if picked else _view(fusion, operand, paired)
        for operand, picked in zip(product.inputs, (left, right), strict=True)
    )
    epilogue = only_user(fusion, product, (a.base, b.base))
    if epilogue is not None:
        fusion.kept.discard(product)
    nest = epilogue or bare(fusion, product)
    root = nest.stores[0].node
    return ProductKernel(product, root, a, b, nest, paired, (left, right))


def _strided_kernel(fusion: Fusion, product: Node) -> StridedKernel:
    a, b = map(flat_base, product.inputs)
    in_order = is_in_order(product.attrs["rows"])
    epilogue = only_user(fusion, product, (a, b)) if in_order else None
    if epilogue is None:
        return StridedKernel(product, product, a, b, bare(fusion, product))
    fusion.kept.discard(product)
    return StridedKernel(product, epilogue.stores[0].node, a, b, epilogue)


def _view(fusion: Fusion, operand: Node, paired: bool) -> Strided:
    """Where an operand's elements stand in memory."""
    if paired:
        base = next(bases_in_pairs(operand, fusion.in_memory))
    else:
        base = operand_base(operand, fusion.in_memory)
    view = strided(operand, base)
    if view is None:
        raise VerificationError(f"{operand} is no view of a kept value")
    return view


def copy_of(node: Node) -> Node:
    """A fresh node with the same value, to be kept apart from it."""
    return apply("copy", node)
