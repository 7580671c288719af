"""What a graph costs: floating-point operations, and the bytes that its gradient keeps.

A multiply-add counts as two operations, a function such as exp as one; what only moves, compares or
counts with whole numbers as none. Not here: what the compiler makes of it. Next: `show.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from math import prod

from kedja.ground.dtypes import is_float
from kedja.ir.graph import Graph, Node, expanded, topological
from kedja.ir.inside import types
from kedja.ir.op import ByExpansion, Fold, Leaf, OnHost, Pointwise, Reindex

CHEAP = 4.0  # a value of so few operations for each element is computed again, not kept
AGAIN = ("random_bits", "threefry", "iota", "full", "copy")  # neither are these

# ------------------------------------------------------------------------------ operations


def flops(node: Node) -> int:
    """The floating-point operations of one node from the values of its inputs.

    A loop whose number of steps depends on data counts one step, a branch the costlier one.
    """
    rule = OWN.get(node.op.name)
    if rule is not None:
        return int(rule(node))
    if isinstance(node.op.lowering, Leaf) or not _is_arithmetic(node):
        return 0
    match node.op.lowering:
        case ByExpansion():
            return total([expanded(node)], node.inputs)
        case OnHost():
            return _of_matrices(node)
        case Fold():
            return node.inputs[0].type.size
        case _:
            return max(each.size for each in types(node)) if node.op.flops else 0


def total(outputs: Iterable[Node], leaves: Collection[Node] = ()) -> int:
    """The operations of a graph down to some nodes, which are given."""
    known = set(leaves)
    return sum(flops(node) for node in topological(outputs, leaves=known) if node not in known)


def _is_arithmetic(node: Node) -> bool:
    """Whether floats are computed with, rather than moved or made."""
    if isinstance(node.op.lowering, Reindex) or not any(is_float(t.dtype) for t in types(node)):
        return False
    return bool(node.op.flops)


def _of_product(node: Node) -> int:
    return 2 * node.type.size * node.inputs[0].shape[-1]


def _of_convolution(node: Node) -> int:
    """For each element of the output, each channel of its group and each place of the kernel.

    Where the input is spread (a transposed convolution), for each element of the input instead.
    """
    x, w = node.inputs
    spread = any(each > 1 for each in node.attrs["input_dilation"])
    places = prod((x if spread else node).shape[2:])
    return 2 * node.shape[0] * places * w.type.size


def _of_parts(node: Node) -> int:
    """As the subgraph that the op is another way to compute."""
    return total([expanded(node)], node.inputs)


def _of_graph(graph: Graph) -> int:
    return total(graph.outputs, graph.inputs)


OWN: Mapping[str, Callable[[Node], float]] = {
    "matmul": _of_product,
    "convolution": _of_convolution,
    **dict.fromkeys(("attention", "attention_by_rows", "attention_logsumexp"), _of_parts),
    **dict.fromkeys(("attention_gradient", "attention_joint_gradient"), _of_parts),
    "scan": lambda node: node.attrs["length"] * _of_graph(node.attrs["body"]),
    "while_loop": lambda node: sum(_of_graph(node.attrs[key]) for key in ("condition", "body")),
    "cond": lambda node: max(_of_graph(node.attrs[key]) for key in ("yes", "no")),
    "checkpoint": lambda node: _of_graph(node.attrs["body"]),
    "custom": lambda node: _of_graph(node.attrs["body"]),
    "part": lambda node: 0,
    "bundle": lambda node: 0,
}

# Of an m × n matrix with m ≥ n (and k right sides), to the leading terms; G. Golub, C. Van Loan:
# Matrix computations (1983).
MATRICES: Mapping[str, Callable[[int, int, int], float]] = {
    "cholesky": lambda m, n, k: n**3 / 3,
    "triangular_solve": lambda m, n, k: n**2 * k,
    "solve": lambda m, n, k: 2 * n**3 / 3 + 2 * n**2 * k,
    "inv": lambda m, n, k: 2 * n**3,
    "lu": lambda m, n, k: 2 * n**3 / 3,
    "det": lambda m, n, k: 2 * n**3 / 3,
    "slogdet": lambda m, n, k: 2 * n**3 / 3,
    "cofactor": lambda m, n, k: 2 * n**3,
    "qr": lambda m, n, k: 2 * m * n**2 - 2 * n**3 / 3,
    "eigvalsh": lambda m, n, k: 4 * n**3 / 3,
    "eigh": lambda m, n, k: 9 * n**3,
    "svdvals": lambda m, n, k: 4 * m * n**2 - 4 * n**3 / 3,
    "svd": lambda m, n, k: 14 * m * n**2 + 8 * n**3,
    "pinv": lambda m, n, k: 14 * m * n**2 + 8 * n**3,
}


def _of_matrices(node: Node) -> int:
    """The operations of LAPACK; sorting has none."""
    rule = MATRICES.get(node.op.name)
    if rule is None:
        return 0
    shape = node.inputs[0].shape
    n, m = sorted(shape[-2:])
    sides = node.inputs[1].shape[-1] if len(node.inputs) > 1 and node.inputs[1].shape else 1
    return int(prod(shape[:-2]) * rule(m, n, sides))


# ---------------------------------------------------------------------------------- memory


def kept(order: Sequence[Node], gradients: Iterable[Node], given: Collection[Node]) -> list[Node]:
    """The values on the way there that gradients look at, and that have to be kept for them.

    Values that are moved or cheap to compute again are not kept, but what they are computed from;
    nothing that is `given`. That is what a compiled training step needs at least, about.
    """
    there = set(order)
    looked_at = [
        node for node in topological(gradients, leaves=there | set(given)) if node in there
    ]
    found: dict[Node, None] = {}
    seen: set[Node] = set()
    todo = looked_at[::-1]
    while todo:
        node = todo.pop()
        if node in seen or node in given or isinstance(node.op.lowering, Leaf):
            continue
        seen.add(node)
        if _is_computed_again(node):
            todo += reversed(node.inputs)
        else:
            found[node] = None
    return list(found)


def _is_computed_again(node: Node) -> bool:
    if isinstance(node.op.lowering, Reindex) or node.op.name in (*AGAIN, "part"):
        return True
    return isinstance(node.op.lowering, Pointwise) and node.op.flops <= CHEAP


def nbytes(nodes: Iterable[Node]) -> int:
    """The bytes of some values."""
    return sum(each.nbytes for node in nodes for each in types(node))


def readable(count: float) -> str:
    """A number of bytes for people.

    >>> readable(1000), readable(1536), readable(3 * 2**30)
    ('1,000 bytes', '1.5 KiB', '3.0 GiB')
    """
    if count < 1024:
        return f"{count:,.0f} bytes"
    units = ("KiB", "MiB", "GiB", "TiB")
    power = next((i for i in range(1, 4) if count < 1024 ** (i + 1)), 4)
    return f"{count / 1024**power:,.1f} {units[power - 1]}"


def shortened(count: float) -> str:
    """A number of operations for people, to three digits from a million on.

    >>> shortened(25_088), shortened(291_648_307_200)
    ('25,088', '292 G')
    """
    if count < 1_000_000:
        return f"{count:,.0f}"
    power = next((i for i in range(2, 5) if count < 999.5 * 1000**i), 5)
    return f"{count / 1000**power:.3g} {'MGTP'[power - 2]}"
