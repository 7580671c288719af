"""Rows of the table: products, decompositions, solutions, norms.

Signs of vectors are LAPACK's and differ between its makers: magnitudes are compared. Next:
`rows_functional.py`.
"""

from __future__ import annotations

from typing import Any

import torch

import kedja as kj
from kedja import linalg
from tests.oracles.comparison import Row, same

UNSIGNED = "the signs of the vectors are not unique"


def magnitudes(parts: Any, size: Any = kj.abs) -> list[Any]:
    """|X| of each of several factors."""
    return [size(each) for each in parts]


def qr(x: Any, mode: str = "reduced") -> Any:
    return magnitudes(linalg.qr(x, mode))


def torch_qr(x: Any, mode: str = "reduced") -> Any:
    return [each.abs() for each in torch.linalg.qr(x, mode)]


def svd(x: Any, full_matrices: bool = True) -> Any:
    """The columns that belong to a singular value, and the values."""
    u, s, v = linalg.svd(x, full_matrices)
    count = s.shape[-1]
    return kj.abs(u[..., :count]), s, kj.abs(v[..., :count, :])


def torch_svd(x: Any, full_matrices: bool = True) -> Any:
    u, s, v = torch.linalg.svd(x, full_matrices)
    count = s.shape[-1]
    return u[..., :count].abs(), s, v[..., :count, :].abs()


def eigh(x: Any, UPLO: str = "L") -> Any:
    values, vectors = linalg.eigh(x, UPLO)
    return values, kj.abs(vectors)


def torch_eigh(x: Any, UPLO: str = "L") -> Any:
    values, vectors = torch.linalg.eigh(x, UPLO)
    return values, vectors.abs()


def norm(x, ord=None, dim=None, keepdim=False, dtype=None):
    return linalg.norm(x, ord, dim, keepdim)


def vector_norm(x, ord=2, dim=None, keepdim=False, dtype=None):
    return linalg.vector_norm(x, axis=dim, keepdims=keepdim, ord=ord)


def matrix_norm(x, ord="fro", dim=(-2, -1), keepdim=False, dtype=None):
    found = linalg.matrix_norm(kj.moveaxis(x, dim, (-2, -1)), ord=ord)
    return kj.expand_dims(found, dim) if keepdim else found


# fmt: off
ROWS = {
    "mm": Row(kj.matmul),
    "bmm": Row(kj.matmul),
    "mv": Row(kj.matmul),
    "matmul": Row(kj.matmul),
    "dot": Row(kj.vecdot),
    "vdot": Row(kj.vecdot),
    "outer": Row(kj.outer),
    "kron": Row(kj.kron),
    "einsum": Row(lambda operands, text: kj.einsum(text, *operands)),
    "tensordot": Row(lambda x, y, dims: kj.tensordot(x, y, dims)),
    "cross": Row(lambda x, y, dim=-1: kj.cross(x, y, axis=dim)),
    "trace": Row(linalg.trace),
    "diagonal": Row(lambda x, offset=0, dim1=0, dim2=1: linalg.diagonal(x, offset=offset)),
    "linalg.cross": Row(lambda x, y, dim=-1: linalg.cross(x, y, axis=dim)),
    "linalg.vecdot": Row(lambda x, y, dim=-1: linalg.vecdot(x, y, dim)),
    "linalg.diagonal": Row(lambda x, offset=0, dim1=0, dim2=1: linalg.diagonal(x, offset=offset)),
    "linalg.multi_dot": Row(linalg.multi_dot),
    "linalg.matrix_power": Row(linalg.matrix_power),
    "linalg.vander": Row(lambda x, N=None: linalg.vander(x, N)),

    "cholesky": Row(linalg.cholesky),
    "linalg.cholesky": Row(linalg.cholesky),
    "cholesky_solve": Row(linalg.cholesky_solve),
    "linalg.qr": Row(qr, theirs=torch_qr),
    "linalg.lu": Row(linalg.lu),
    "linalg.svd": Row(svd, theirs=torch_svd),
    "linalg.svdvals": Row(linalg.svdvals),
    "linalg.eigh": Row(eigh, theirs=torch_eigh),
    "linalg.eigvalsh": Row(linalg.eigvalsh),
    "linalg.det": Row(linalg.det),
    "linalg.slogdet": Row(linalg.slogdet),
    "linalg.inv": Row(linalg.inv),
    "linalg.pinv": Row(linalg.pinv),
    "pinverse": Row(linalg.pinv),
    "linalg.solve": Row(linalg.solve),
    "linalg.solve_triangular": Row(linalg.solve_triangular),
    "linalg.lstsq": Row(lambda a, b, driver: linalg.lstsq(a, b)[0], theirs=lambda a, b, driver: torch.linalg.lstsq(a, b, driver=driver)[0]),
    "linalg.matrix_rank": Row(linalg.matrix_rank),
    "linalg.cond": Row(linalg.cond),
    "linalg.tensorinv": Row(linalg.tensorinv),
    "linalg.tensorsolve": Row(linalg.tensorsolve),

    "linalg.norm": Row(norm),
    "linalg.norm.subgradients_at_zero": Row(norm),
    "linalg.vector_norm": Row(vector_norm),
    "linalg.matrix_norm": Row(matrix_norm),
    "norm": Row(norm),
    "norm.fro": Row(norm),
    "norm.nuc": Row(norm),
    "norm.inf": Row(norm),
}
# fmt: on
