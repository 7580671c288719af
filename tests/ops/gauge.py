"""What of a factorisation does not depend on signs and bases that are anybody's choice.

The vectors of QR, eigenvalues and singular values are determined up to their sign, those that only
complete a basis up to a rotation: executors may choose differently, and derivatives are those of
what follows here, products in which the choice cancels. All ops in question have distinct values
in their samples. Next: `walk.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from kedja.ir.graph import Node, apply
from kedja.ops.contract import swapped
from kedja.ops.matrices import columns, matmul

Parts = Sequence[Node]


def invariants(name: str, outputs: Parts) -> list[Node]:
    """What can be compared of the outputs of an op."""
    return GAUGES[name](outputs) if name in GAUGES else list(outputs)


def of_qr(outputs: Parts) -> list[Node]:
    """qᵢ·qᵢᵀ and qᵢ·rᵢ for each column i, and the projection on the rest."""
    q, r = outputs
    k = min(q.shape[-2], r.shape[-1])
    first, rows = columns(q, 0, k), columns(swapped(r), 0, k)
    return [pairs(first, first), pairs(first, rows), *_rest(q, k)]


def of_eigh(outputs: Parts) -> list[Node]:
    """The eigenvalues and vᵢ·vᵢᵀ."""
    values, vectors = outputs
    return [values, pairs(vectors, vectors)]


def of_svd(outputs: Parts) -> list[Node]:
    """The singular values, uᵢ·uᵢᵀ, uᵢ·vᵢᵀ, and the projections on the rest."""
    u, s, vh = outputs
    k, v = s.shape[-1], swapped(vh)
    left, right = columns(u, 0, k), columns(v, 0, k)
    return [s, pairs(left, left), pairs(left, right), *_rest(u, k), *_rest(v, k)]


def pairs(a: Node, b: Node) -> Node:
    """aᵢ·bᵢᵀ for each column i: (… m k), (… n k) -> (… m n k)."""
    *batch, m, k = a.shape
    n = b.shape[-2]
    wide = (*batch, m, n, k)
    left = apply("reshape", a, shape=(*batch, m, 1, k))
    right = apply("reshape", b, shape=(*batch, 1, n, k))
    return apply("broadcast", left, shape=wide) * apply("broadcast", right, shape=wide)


def _rest(basis: Node, k: int) -> list[Node]:
    """The projection on the columns from k on, if there are any."""
    if basis.shape[-1] == k:
        return []
    rest = columns(basis, k, basis.shape[-1])
    return [matmul(rest, swapped(rest))]


GAUGES: dict[str, Callable[[Parts], list[Node]]] = {
    "qr": of_qr,
    "eigh": of_eigh,
    "svd": of_svd,
}
