"""Rows of the table: products, decompositions, solutions, norms.

Signs of vectors are LAPACK's and differ between its makers: magnitudes are compared. Next:
`rows_functional.py`.
"""

from __future__ import annotations

import kedja as kj
from kedja import linalg
from tests.oracles.comparison import Row, same, torch

# ------------------------------------------------------------- without signs, comparable


def svd(x, full_matrices=True):
    """The columns that belong to a singular value, and the values."""
    u, s, v = linalg.svd(x, full_matrices)
    count = s.shape[-1]
    return kj.abs(u[..., :count]), s, kj.abs(v[..., :count, :])


def torch_svd(x, full_matrices=True):
    u, s, v = torch.linalg.svd(x, full_matrices)
    count = s.shape[-1]
    return u[..., :count].abs(), s, v[..., :count, :].abs()


def symmetric(x, triangle):
    """What `eigh` reads of a matrix: PyTorch's gradient is that of both triangles."""
    half = x.triu() if triangle == "U" else x.tril()
    return half + half.mT - torch.diag_embed(x.diagonal(dim1=-2, dim2=-1))


def torch_eigh(x, UPLO="L"):
    values, vectors = torch.linalg.eigh(symmetric(x, UPLO))
    return values, vectors.abs()


def torch_cholesky_solve(b, factor, upper=False):
    """What it reads of the factor: PyTorch's gradient is that of a whole matrix."""
    return torch.cholesky_solve(b, factor.triu() if upper else factor.tril(), upper)


# ------------------------------------------------------------------- options by their names


def diagonal(x, offset=0, dim1=-2, dim2=-1):
    return linalg.diagonal(kj.moveaxis(x, (dim1, dim2), (-2, -1)), offset=offset)


def norm(x, ord=None, dim=None, keepdim=False, dtype=None):
    return linalg.norm(x, ord, dim, keepdim)


def vector_norm(x, ord=2, dim=None, keepdim=False, dtype=None):
    return linalg.vector_norm(x, axis=dim, keepdims=keepdim, ord=ord)


def matrix_norm(x, ord="fro", dim=(-2, -1), keepdim=False, dtype=None):
    return linalg.matrix_norm(x, keepdims=keepdim, ord=ord)


def other_axes(s):
    return s.args[1] not in ((-2, -1), (0, 1)) or s.input.ndim > 2


def rows_of_vectors(s):
    """Array API: x2 is a vector where it has one axis; PyTorch: where a batch of them fits."""
    a, b = s.input, s.args[0]
    return b.ndim > 1 and b.ndim == a.ndim - 1


def broadcast_sums(s):
    return s.input.shape == (1, 1, 1)


def has_atol(s):
    return s.kwargs.get("atol") is not None


TOLERANCES = {"an absolute tolerance": has_atol}
AXES = {"axes to be moved first": lambda s: s.kwargs.get("dims") is not None}
OTHER_AXES = {"axes to be moved first": other_axes}
BATCHED_VECTORS = {"a batch of vectors: an axis of 1 says which": rows_of_vectors}
SUMS_OF_ONE = {"summed axes that are broadcast": broadcast_sums}
SCALARS = {"an axis of a scalar": lambda s: s.input.ndim == 0}

PRODUCTS = {
    **same(kj, "mm bmm mv matmul dot inner outer kron trace"),
    "vdot": Row(kj.vecdot),
    "addmm": Row(kj.addmm),
    "addmm.decomposed": Row(kj.addmm),
    "einsum": Row(lambda operands, text: kj.einsum(text, *operands)),
    "tensordot": Row(lambda x, y, dims: kj.tensordot(x, y, dims), SUMS_OF_ONE),
    "cross": Row(lambda x, y, dim=-1: kj.cross(x, y, axis=dim)),
    "linalg.cross": Row(lambda x, y, dim=-1: linalg.cross(x, y, axis=dim)),
    "linalg.vecdot": Row(lambda x, y, dim=-1: linalg.vecdot(x, y, dim)),
    "linalg.diagonal": Row(diagonal),
    "linalg.multi_dot": Row(linalg.multi_dot),
    "linalg.matrix_power": Row(linalg.matrix_power),
    "linalg.vander": Row(lambda x, N=None: linalg.vander(x, N), SCALARS),
}

DECOMPOSITIONS = {
    "cholesky": Row(linalg.cholesky),
    "linalg.cholesky": Row(linalg.cholesky),
    "linalg.qr": Row(
        lambda *a, **k: [kj.abs(each) for each in linalg.qr(*a, **k)],
        theirs=lambda *a, **k: [each.abs() for each in torch.linalg.qr(*a, **k)],
    ),
    "linalg.lu": Row(lambda x, pivot: linalg.lu(x), {"no pivots": lambda s: not s.kwargs["pivot"]}),
    "linalg.svd": Row(svd, theirs=torch_svd, double=True, why="singular values lie close together"),
    "linalg.svdvals": Row(linalg.svdvals),
    "linalg.eigh": Row(
        lambda x, UPLO: (linalg.eigh(x, UPLO)[0], kj.abs(linalg.eigh(x, UPLO)[1])),
        theirs=torch_eigh,
    ),
    "linalg.eigvalsh": Row(
        linalg.eigvalsh, theirs=lambda x, UPLO: torch.linalg.eigvalsh(symmetric(x, UPLO))
    ),
}

SOLUTIONS = {
    "cholesky_solve": Row(linalg.cholesky_solve, theirs=torch_cholesky_solve),
    "linalg.det": Row(linalg.det),
    "linalg.slogdet": Row(linalg.slogdet),
    "linalg.inv": Row(linalg.inv),
    "linalg.pinv": Row(linalg.pinv),
    "pinverse": Row(linalg.pinv),
    "linalg.solve": Row(linalg.solve, BATCHED_VECTORS),
    "linalg.solve_triangular": Row(linalg.solve_triangular),
    "linalg.lstsq": Row(
        lambda a, b, driver: linalg.lstsq(a, b)[0],
        theirs=lambda a, b, driver: torch.linalg.lstsq(a, b, driver=driver)[0],
    ),
    "linalg.matrix_rank": Row(
        lambda x, atol=None, rtol=None: linalg.matrix_rank(x, rtol=rtol), TOLERANCES
    ),
    "linalg.lstsq.grad_oriented": Row(
        lambda a, b, driver: linalg.lstsq(a, b)[0],
        theirs=lambda a, b, driver: torch.linalg.lstsq(a, b, driver=driver)[0],
    ),
    "linalg.pinv.singular": Row(lambda a, b: linalg.pinv(a @ b.mT)),
    "linalg.cond": Row(linalg.cond),
    "linalg.tensorinv": Row(linalg.tensorinv),
    "linalg.tensorsolve": Row(lambda a, b, dims: linalg.tensorsolve(a, b), AXES),
}

NORMS = {
    "linalg.norm": Row(norm),
    "linalg.norm.subgradients_at_zero": Row(norm),
    "linalg.vector_norm": Row(vector_norm, {"an axis of a scalar": lambda s: s.input.ndim == 0}),
    "linalg.matrix_norm": Row(matrix_norm, OTHER_AXES),
}
ROWS = {**PRODUCTS, **DECOMPOSITIONS, **SOLUTIONS, **NORMS}
