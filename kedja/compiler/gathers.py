"""Products with gathered rows: each row of a table is multiplied once, not once for each place.

With P the matrix of zeros and ones that picks rows, take(E, i) is P·E, and adding updates U at the
places i is Pᵀ·U. So

    take(E, i) · W             is   take(E · W, i)
    take(E, i)ᵀ · G            is   Eᵀ · (Pᵀ · G)
    Pᵀ · (G · W)               is   (Pᵀ · G) · W

which pays where the table has fewer rows than there are places: the embedding of a few characters
in front of a linear or recurrent layer. Where what is gathered is only moved, its index is. Sums
are made in another order, and a row that nobody picks is multiplied by zero: it must be finite.
Why here: composites are open. Next: `carried_sums.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

from kedja.ground.dtypes import is_float
from kedja.ir.graph import Node, apply, full, is_full, topological
from kedja.ir.rewrite import Rule, rewrite

PAYS = 2  # as many places for each row of the table


def gathered(outputs: Sequence[Node]) -> list[Node]:
    """The same values with products of tables instead of gathered rows."""
    names = {node.op.name for node in topological(outputs)}
    if "matmul" not in names or not names & {"take", "scatter_add"}:
        return list(outputs)
    return rewrite(outputs, RULES)


# --------------------------------------------------------------------------------- patterns


def is_rows(node: Node) -> bool:
    """Whether a node gathers whole rows of a table of floats."""
    if node.op.name != "take" or node.attrs["axis"] != 0:
        return False
    return len(node.inputs[0].shape) == 2 and is_float(node.dtype)


def pays(table: Node, index: Node) -> bool:
    """Whether the table has fewer rows than are picked."""
    return PAYS * table.shape[0] <= index.type.size


def keeps_rows(node: Node) -> bool:
    """Whether a node moves rows as wholes."""
    if node.op.name == "transpose":
        axes: tuple[int, ...] = node.attrs["axes"]
        return axes[-1] == len(axes) - 1
    if node.op.name != "reshape" or not node.shape or not node.inputs[0].shape:
        return False
    return node.shape[-1] == node.inputs[0].shape[-1]


def swapped(x: Node) -> Node:
    """A matrix with rows and columns exchanged."""
    return apply("transpose", x, axes=(1, 0))


def unswapped(node: Node) -> Node | None:
    """The matrix that a node is the transpose of."""
    if node.op.name == "transpose" and node.attrs["axes"] == (1, 0):
        return node.inputs[0]
    return None


def added_up(table: Node, index: Node, rows: Node) -> Node:
    """Pᵀ · rows: for each row of the table the sum of those that belong to it."""
    zeros = full(0, (table.shape[0], rows.shape[-1]), rows.dtype)
    return apply("scatter_add", zeros, index, rows, axis=0)


# ------------------------------------------------------------------------------------ rules


def moved_rows(node: Node) -> Node | None:
    """Rows that are moved after they were picked are picked by a moved index."""
    (x,) = node.inputs
    if not (keeps_rows(node) and is_rows(x)):
        return None
    table, index = x.inputs
    if node.op.name == "transpose":
        index = apply("transpose", index, axes=node.attrs["axes"][:-1])
    else:
        index = apply("reshape", index, shape=node.shape[:-1])
    return apply("take", table, index, axis=0)


def product_of_rows(node: Node) -> Node | None:
    """take(E, i) · W is take(E · W, i)."""
    a, w = node.inputs
    if len(node.shape) != 2 or not is_rows(a) or not pays(*a.inputs):
        return None
    table, index = a.inputs
    return apply("take", apply("matmul", table, w), index, axis=0)


def row_added(node: Node) -> Node | None:
    """take(E, i) + b is take(E + b, i) for a row b."""
    for x, row in (node.inputs, node.inputs[::-1]):
        if row.op.name != "broadcast" or not is_rows(x) or not pays(*x.inputs):
            continue
        (b,), (table, index) = row.inputs, x.inputs
        if b.shape == table.shape[1:]:
            whole = table + apply("broadcast", b, shape=table.shape)
            return apply("take", whole, index, axis=0)
    return None


def rows_against(node: Node) -> Node | None:
    """take(E, i)ᵀ · G is Eᵀ · (Pᵀ · G), and Gᵀ · take(E, i) is (Pᵀ · G)ᵀ · E."""
    a, b = node.inputs
    if len(node.shape) != 2:
        return None
    rows = unswapped(a)
    if rows is not None and is_rows(rows) and pays(*rows.inputs):
        table, index = rows.inputs
        return apply("matmul", swapped(table), added_up(table, index, b))
    if is_rows(b) and pays(*b.inputs):
        table, index = b.inputs
        g = unswapped(a) or swapped(a)
        return apply("matmul", swapped(added_up(table, index, g)), table)
    return None


def moved_updates(node: Node) -> Node | None:
    """Updates that are moved before they are added are added by an index moved back."""
    base, index, updates = node.inputs
    if node.attrs["axis"] or len(base.shape) != 2 or not keeps_rows(updates):
        return None
    (x,) = updates.inputs
    if updates.op.name == "transpose":
        axes = updates.attrs["axes"][:-1]
        back = tuple(axes.index(axis) for axis in range(len(axes)))
        index = apply("transpose", index, axes=back)
    else:
        index = apply("reshape", index, shape=x.shape[:-1])
    return apply("scatter_add", base, index, x, axis=0)


def added_products(node: Node) -> Node | None:
    """Pᵀ · (G · W) is (Pᵀ · G) · W."""
    base, index, updates = node.inputs
    if node.attrs["axis"] or updates.op.name != "matmul" or len(updates.shape) != 2:
        return None
    if not is_full(base, 0) or not pays(base, index):
        return None
    g, w = updates.inputs
    return apply("matmul", added_up(base, index, g), w)


RULES = [
    Rule("moved(take(E, i)) -> take(E, moved i)", ("reshape", "transpose"), moved_rows),
    Rule("take(E, i) @ W -> take(E @ W, i)", ("matmul",), product_of_rows),
    Rule("take(E, i) + row -> take(E + row, i)", ("add",), row_added),
    Rule("take(E, i).T @ G -> E.T @ scatter_add(i, G)", ("matmul",), rows_against),
    Rule("scatter_add(i, moved U) -> scatter_add(moved i, U)", ("scatter_add",), moved_updates),
    Rule("scatter_add(i, G @ W) -> scatter_add(i, G) @ W", ("scatter_add",), added_products),
]
