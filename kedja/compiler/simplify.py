"""Simplification: equal but cheaper graphs. Each rule is one line of algebra with its name.

A rule may change the sign of a zero, never a NaN, an infinity or a rounding. Composites are
expanded here. Next: `split.py`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Sequence

import numpy as np

from kedja.compiler.rejoin import rejoined
from kedja.ground.dtypes import convert, int64, is_float
from kedja.interpret.reference import widened
from kedja.ir.graph import Node, apply, expanded, full, is_full
from kedja.ir.op import TABLE, ByExpansion, Pointwise
from kedja.ir.rewrite import Replace, Rule, rewrite


def simplify(
    outputs: Sequence[Node],
    applied: Counter[str] | None = None,
    closed: Collection[str] = (),
) -> list[Node]:
    """The same values by fewer and simpler nodes; composites named in `closed` are not opened."""
    return rewrite(outputs, rules(closed), applied)


# ------------------------------------------------------------------------------ the rules


def drop(node: Node) -> Node:
    """copy(x) is x."""
    return node.inputs[0]


def expand(node: Node) -> Node:
    """A composite is the subgraph that it names."""
    return expanded(node)


def right(value: float) -> Replace:
    """x ∘ value is x."""
    return lambda node: node.inputs[0] if is_full(node.inputs[1], value) else None


def left(value: float) -> Replace:
    """value ∘ x is x."""
    return lambda node: node.inputs[1] if is_full(node.inputs[0], value) else None


def negate(node: Node) -> Node | None:
    """−1·x and x·(−1) are −x."""
    a, b = node.inputs
    if is_full(a, -1):
        return apply("negative", b)
    return apply("negative", a) if is_full(b, -1) else None


def double_negative(node: Node) -> Node | None:
    """−(−x) is x."""
    (x,) = node.inputs
    return x.inputs[0] if x.op.name == "negative" else None


def minus_negative(node: Node) -> Node | None:
    """x + (−y) is x − y."""
    a, b = node.inputs
    return apply("subtract", a, b.inputs[0]) if b.op.name == "negative" else None


def square(node: Node) -> Node | None:
    """x² is x·x; x¹ is x."""
    x, exponent = node.inputs
    if is_full(exponent, 2):
        return apply("multiply", x, x)
    return x if is_full(exponent, 1) else None


def fold(node: Node) -> Node | None:
    """f of scalars that are known is a scalar that is known."""
    if not node.inputs or not all(is_full(each) for each in node.inputs):
        return None
    given = [convert(np.asarray(each.attrs["value"]), each.dtype) for each in node.inputs]
    attrs = {k: v for k, v in node.attrs.items() if k != "shape"}
    value = np.asarray(node.op.numpy(*widened(node, given), **attrs), node.dtype)
    return full(value.item(), node.shape, node.dtype)


def same_cast(node: Node) -> Node | None:
    """A cast to the dtype at hand is nothing."""
    return node.inputs[0] if node.inputs[0].dtype == node.dtype else None


def move_full(node: Node) -> Node | None:
    """One scalar everywhere stays that, however it is moved."""
    (x,) = node.inputs
    return full(x.attrs["value"], node.shape, node.dtype) if is_full(x) else None


def same_shape(node: Node) -> Node | None:
    """reshape and broadcast to the shape at hand are nothing."""
    return node.inputs[0] if node.inputs[0].shape == node.shape else None


def join_reshapes(node: Node) -> Node | None:
    """reshape(reshape(x)) is one reshape."""
    (x,) = node.inputs
    return apply("reshape", x.inputs[0], shape=node.shape) if x.op.name == "reshape" else None


def join_broadcasts(node: Node) -> Node | None:
    """broadcast(broadcast(x)) is one broadcast."""
    (x,) = node.inputs
    return apply("broadcast", x.inputs[0], shape=node.shape) if x.op.name == "broadcast" else None


def join_transposes(node: Node) -> Node | None:
    """transpose(transpose(x)) is one transpose; one that moves nothing is nothing."""
    (x,), axes = node.inputs, node.attrs["axes"]
    if axes == tuple(range(len(axes))):
        return x
    if x.op.name != "transpose":
        return None
    return apply("transpose", x.inputs[0], axes=tuple(x.attrs["axes"][axis] for axis in axes))


def transposed_product(node: Node) -> Node | None:
    """(A·B)ᵀ is Bᵀ·Aᵀ, whose kernel writes it in the order in which it is wanted."""
    (product,), axes = node.inputs, node.attrs["axes"]
    rank = len(axes)
    swaps = axes == (*range(rank - 2), rank - 1, rank - 2)
    if product.op.name != "matmul" or not swaps:
        return None
    a, b = (apply("transpose", each, axes=axes) for each in product.inputs)
    return apply("matmul", b, a)


def outer_product(node: Node) -> Node | None:
    """Σ over one k of A[m, k]·B[k, n] is A[m]·B[n], element by element: it fuses with others."""
    a, b = node.inputs
    if a.shape[-1] != 1:
        return None
    return apply("multiply", *(apply("broadcast", each, shape=node.shape) for each in (a, b)))


def single_scatter(node: Node) -> Node | None:
    """Adding at one place of each line is adding where the place is, zero elsewhere."""
    base, index, updates = node.inputs
    axis = node.attrs["axis"]
    if index.shape[axis] != 1:
        return None
    if np.iinfo(index.dtype).max < base.shape[axis]:
        index = apply("cast", index, dtype=int64)  # a small integer cannot count along the axis
    place = apply("iota", shape=base.shape, axis=axis, dtype=index.dtype)
    hit = apply("equal", apply("broadcast", index, shape=base.shape), place)
    wide = apply("broadcast", updates, shape=base.shape)
    return base + apply("where", hit, wide, full(0, base.shape, base.dtype))


def ones_moved(node: Node) -> Node | None:
    """A transpose that only moves axes of extent 1 is a reshape."""
    axes, shape = node.attrs["axes"], node.inputs[0].shape
    wide = [axis for axis in axes if shape[axis] != 1]
    return apply("reshape", node.inputs[0], shape=node.shape) if wide == sorted(wide) else None


def single(node: Node) -> Node | None:
    """A reduction over axes of extent 1 is a reshape."""
    (x,) = node.inputs
    if any(x.shape[axis] != 1 for axis in node.attrs["axes"]):
        return None
    return apply("reshape", x, shape=node.shape)


def sum_of_full(node: Node) -> Node | None:
    """Σ of n equal scalars is n times the scalar, where that is exact."""
    (x,) = node.inputs
    if not is_full(x):
        return None
    count = math.prod(x.shape[axis] for axis in node.attrs["axes"])
    value = x.attrs["value"]
    exact = isinstance(value, (bool, int)) or float(value).is_integer()
    total = value * count
    if not exact or abs(total) >= (2**24 if is_float(node.dtype) else 2**31):
        return None
    held = convert(np.asarray(total), node.dtype)  # whole numbers wrap
    return full(held.item(), node.shape, node.dtype)


def whole_slice(node: Node) -> Node | None:
    """A slice of everything is nothing."""
    (x,), steps = node.inputs, node.attrs["steps"]
    whole = node.shape == x.shape and all(step == 1 for step in steps)
    return x if whole else None


def chosen(node: Node) -> Node | None:
    """where(true, a, b) is a; where(c, a, a) is a."""
    condition, yes, no = node.inputs
    if is_full(condition):
        return yes if condition.attrs["value"] else no
    return yes if yes is no else None


def rules(closed: Collection[str] = ()) -> list[Rule]:
    """All rules, in the order in which they are tried."""
    composites = tuple(
        n for n, op in TABLE.items() if isinstance(op.lowering, ByExpansion) and n not in closed
    )
    pointwise = tuple(n for n, op in TABLE.items() if isinstance(op.lowering, Pointwise))
    moving = ("reshape", "broadcast", "transpose", "slice", "flip")
    return [
        Rule("composite -> its subgraph", composites, expand),
        Rule("copy(x) -> x", ("copy", "stop_gradient"), drop),
        Rule("f(constants) -> constant", pointwise, fold),
        Rule("cast to the same dtype -> x", ("cast",), same_cast),
        Rule("x + 0 -> x, x - 0 -> x", ("add", "subtract"), right(0)),
        Rule("0 + x -> x", ("add",), left(0)),
        Rule("x + (-y) -> x - y", ("add",), minus_negative),
        Rule("x * 1 -> x, x / 1 -> x", ("multiply", "divide"), right(1)),
        Rule("1 * x -> x", ("multiply",), left(1)),
        Rule("-1 * x -> -x", ("multiply",), negate),
        Rule("-(-x) -> x", ("negative",), double_negative),
        Rule("x ** 2 -> x * x", ("pow",), square),
        Rule("where(known) -> the branch", ("where",), chosen),
        Rule("moved scalar -> scalar", moving, move_full),
        Rule("to the same shape -> x", ("reshape", "broadcast"), same_shape),
        Rule("slice of all -> x", ("slice",), whole_slice),
        Rule("reshape(reshape) -> reshape", ("reshape",), join_reshapes),
        Rule("broadcast(broadcast) -> broadcast", ("broadcast",), join_broadcasts),
        Rule("transpose(transpose) -> transpose", ("transpose",), join_transposes),
        Rule("(A @ B).T -> B.T @ A.T", ("transpose",), transposed_product),
        Rule("(m, 1) @ (1, n) -> m * n", ("matmul",), outer_product),
        Rule("scatter of one place -> where", ("scatter_add_along_axis",), single_scatter),
        Rule("transpose of extents 1 -> reshape", ("transpose",), ones_moved),
        Rule("fold over extents 1 -> reshape", ("sum", "prod", "max", "min", "any", "all"), single),
        Rule("slices put together again -> x", ("add",), rejoined),
        Rule("sum of a scalar -> scalar", ("sum",), sum_of_full),
    ]
