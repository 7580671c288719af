"""What a matrix product stores besides its sums, or in their place: pointwise values of its shape.

A bias, an activation, the derivative of one, an optimiser's update of weight and moments: all are
computed while the sums are in registers. Not here: the code (`llvm_matmul_epilogue.py`).
Next: `kernels.py`.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

from kedja.compiler.fuse import Fusion, is_pointwise, is_strided_product
from kedja.compiler.indices import Variable, of
from kedja.compiler.loops import SPACE, Expr, Fold, Load, Lowering, Nest, Result, Store, walk
from kedja.ground.dtypes import DType, float32, is_half
from kedja.ir.graph import Node

MOST_STORES = 4  # values stored at each place, and
MOST_READS = 8  # read there: each is a stream of its own through memory


def only_user(fusion: Fusion, product: Node, operands: Sequence[Node]) -> Nest | None:
    """The expression of the product's one user, if it can be computed from the sums at hand."""
    demand = fusion.demand[product]
    if len(demand) != 1 or product in fusion.outputs:
        return None
    (root,) = demand
    if root in operands or root in fusion.ends or not _is_alike(root, product):
        return None
    nest = _over_product(fusion, product, [root])
    if not _fits(nest, product):
        return None
    fusion.ends.add(root)  # of two products that are added, the first one ends with the sum
    return nest


def stored_along(fusion: Fusion, product: Node, roots: Sequence[Node]) -> Nest | None:
    """The expressions of several values that are computed from the sums, or None.

    What only the others need, the sums or one of the values, is not stored.
    """
    every = {product, *roots}
    inside = {n for n in every if n not in fusion.outputs and fusion.demand[n] <= every}
    roots = [root for root in dict.fromkeys((product, *roots)) if root not in inside]
    leave = [root in fusion.outputs for root in roots]
    if len(roots) > MOST_STORES or (any(leave) and not all(leave)):
        return None  # what is carried is written last, over what it replaces; all else early
    if product.shape[-1] == 1 or not all(_is_alike(root, product) for root in roots):
        return None
    nest = _over_product(fusion, product, roots, inside)
    column = nest.variables[-1]
    lined = all(load.offset.coefficient(column) in (0, 1) for load in nest.loads)
    return nest if lined and len(nest.reads) <= MOST_READS and _fits(nest, product) else None


def _is_alike(root: Node, product: Node) -> bool:
    """Whether a value has an element for each of the product's, of a kind that suits it."""
    whole = root.type.size == product.type.size and _suits(root.dtype, product.dtype)
    return whole and (is_pointwise(root) or root is product)


def _suits(dtype: DType, product: DType) -> bool:
    """Whether an epilogue may read or store a dtype: the product's, or a half one."""
    return dtype == product or (product == float32 and is_half(dtype))


def _fits(nest: Nest, product: Node) -> bool:
    """Whether all that is needed of the product are the sums at hand, and all else is read."""
    here = nest.stores[0].offset
    fits = all(part.index == here for part in nest.exprs if isinstance(part, Result))
    plain = not any(isinstance(part, Fold) for part in nest.exprs)
    rows = _indices_of_rows(nest)
    values = (load for load in nest.loads if load not in rows)
    known = all(_suits(load.dtype, product.dtype) and not load.guards for load in values)
    own = {store.node for store in nest.stores}
    return fits and plain and known and not own & set(nest.reads)


def _indices_of_rows(nest: Nest) -> set[Expr]:
    """What is read to find the rows of tables: the same for a whole row of the product."""
    column = nest.variables[-1]
    found = walk([expr for load in nest.loads for expr in load.parts])
    return {expr for expr in found if isinstance(expr, Load) and column not in expr.variables}


def _over_product(
    fusion: Fusion, product: Node, roots: Sequence[Node], inside: Collection[Node] = ()
) -> Nest:
    """The roots over the product's own variables: batch, row, column.

    Values `inside` are not in memory, whatever the fusion says.
    """
    extents = _extents(product)

    def in_memory(node: Node) -> bool:
        return node is not product and node not in inside and fusion.in_memory(node)

    def make() -> Nest:
        variables = _variables(extents)
        flat = SPACE.linearise([of(each) for each in variables], extents)
        lowering = Lowering(in_memory, product)
        stores = []
        for root in roots:
            index, own = SPACE.delinearise(flat, root.shape), root is product
            value = lowering.value(root, index) if own else lowering.computed(root, index)
            lowering.stored[root, flat] = value
            stores.append(Store(root, flat, value))
        return Nest(variables, tuple(stores))

    return fusion.templates.nest(f"epilogue {extents}", roots, in_memory, make, product)


def bare(fusion: Fusion, product: Node) -> Nest:
    """The epilogue that stores the sums as they are."""
    extents = _extents(product)

    def make() -> Nest:
        variables = _variables(extents)
        flat = SPACE.linearise([of(each) for each in variables], extents)
        return Nest(variables, (Store(product, flat, Result(product.dtype, flat)),))

    return fusion.templates.nest(f"bare {extents}", [product], fusion.in_memory, make, product)


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
