"""Kernels: the kept values grouped into units of work, each a loop nest, a product or a scatter.

Not here: their order and where their values live (`schedule.py`, `memory.py`), and their code
(`llvm_kernel.py`, `llvm_matmul.py`). Next: `schedule.py`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from kedja.compiler.attention_kernels import (
    AttentionKernel,
    attention_kernels,
    is_attention,
)
from kedja.compiler.fuse import (
    Fusion,
    Strided,
    flat_base,
    is_pointwise,
    is_product,
    is_scatter,
    is_strided_product,
    operand_base,
    strided,
)
from kedja.compiler.grouping import Grouping
from kedja.compiler.indices import Variable, of
from kedja.compiler.loops import SPACE, Fold, Lowering, Nest, Result, Store, walk
from kedja.compiler.matmul_pairs import bases_in_pairs
from kedja.compiler.matmul_plan import MatmulShape
from kedja.compiler.memory import View
from kedja.compiler.strided_plan import StridedShape, shape_of
from kedja.ground.dtypes import DType, float32, is_half
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
    root: Node  # what is stored: the product itself, or the end of the epilogue
    a: Strided
    b: Strided
    nest: Nest  # the epilogue; its one store is the product's result where there is none
    paired: bool = False  # whether bfloat16 is multiplied (`matmul_pairs.py`)

    @property
    def writes(self) -> list[Node]:
        """The kept value that it computes."""
        return [self.root]

    @cached_property
    def reads(self) -> list[Node]:
        """Both operands and what the epilogue reads."""
        return list(dict.fromkeys((self.a.base, self.b.base, *self.nest.reads)))

    @property
    def has_epilogue(self) -> bool:
        """Whether anything is done to the sums before they are stored."""
        return self.root is not self.product

    @property
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
        )

    @property
    def label(self) -> str:
        """What the profile calls it."""
        tail = f" {self.root.op.name}" if self.has_epilogue else ""
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
    fused: dict[Node, ProductKernel | StridedKernel] = {}
    for product in fusion.products():
        kernel = _product_kernel(fusion, product)
        if kernel.product.type.size:
            fused[kernel.root] = kernel
    loops, attentions = [], []
    for node in fusion.order:
        if node not in fusion.kept or node.type.size == 0:
            continue
        if node in fused:
            made.append(fused[node])
        elif is_scatter(node):
            made.extend((LoopKernel(_start_of_scatter(fusion, node)), ScatterKernel(node)))
        elif is_attention(node):
            attentions.append(node)
        elif not is_product(node) and node.op.name != "part":
            loops.append(node)
    made.extend(attention_kernels(attentions, fusion.in_memory))
    made.extend(map(LoopKernel, Grouping(fusion, loops).nests()))
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
    a, b = (_view(fusion, operand, paired) for operand in product.inputs)
    epilogue = _epilogue(fusion, product, (a.base, b.base))
    if epilogue is not None:
        fusion.kept.discard(product)
        return ProductKernel(product, epilogue.stores[0].node, a, b, epilogue, paired)
    return ProductKernel(product, product, a, b, _bare(product), paired)


def _strided_kernel(fusion: Fusion, product: Node) -> StridedKernel:
    a, b = map(flat_base, product.inputs)
    epilogue = _epilogue(fusion, product, (a, b))
    if epilogue is None:
        return StridedKernel(product, product, a, b, _bare(product))
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


def _epilogue(fusion: Fusion, product: Node, operands: Sequence[Node]) -> Nest | None:
    """The expression of the product's one user, if it can be computed from the sums at hand."""
    demand = fusion.demand[product]
    if len(demand) != 1 or product in fusion.outputs:
        return None
    (root,) = demand
    if not is_pointwise(root) or root.type.size != product.type.size or root in operands:
        return None
    if not _suits(root.dtype, product.dtype):
        return None
    nest = _over_product(fusion, product, root)
    parts = list(walk([nest.stores[0].value]))
    here = nest.stores[0].offset
    fits = all(part.index == here for part in parts if isinstance(part, Result))
    plain = not any(isinstance(part, Fold) for part in parts)
    known = all(_suits(load.dtype, product.dtype) and not load.guards for load in nest.loads)
    return nest if fits and plain and known else None


def _suits(dtype: DType, product: DType) -> bool:
    """Whether an epilogue may read or store a dtype: the product's, or a half one."""
    return dtype == product or (product == float32 and is_half(dtype))


def _over_product(fusion: Fusion, product: Node, root: Node) -> Nest:
    """The root over the product's own variables: batch, row, column."""
    extents = _extents(product)
    variables = _variables(extents)
    flat = SPACE.linearise([of(each) for each in variables], extents)
    lowering = Lowering(lambda node: fusion.in_memory(node) and node is not product, product)
    value = lowering.computed(root, SPACE.delinearise(flat, root.shape))
    return Nest(variables, (Store(root, flat, value),))


def _bare(product: Node) -> Nest:
    """The epilogue that stores the sums as they are."""
    extents = _extents(product)
    variables = _variables(extents)
    flat = SPACE.linearise([of(each) for each in variables], extents)
    return Nest(variables, (Store(product, flat, Result(product.dtype, flat)),))


def _extents(product: Node) -> tuple[int, int, int]:
    """Batch, rows and columns; all rows of a strided product are one batch."""
    *batch, m, n = product.shape if len(product.shape) > 1 else (1, *product.shape)
    if is_strided_product(product):
        return 1, math.prod(batch) * m, n
    return math.prod(batch), m, n


def _variables(extents: Sequence[int]) -> tuple[Variable, ...]:
    """The variables of an epilogue."""
    names = ("batch", "row", "column")
    return tuple(Variable(name, size) for name, size in zip(names, extents, strict=True))


def copy_of(node: Node) -> Node:
    """A fresh node with the same value, to be kept apart from it."""
    return apply("copy", node)
