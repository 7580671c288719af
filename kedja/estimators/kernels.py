"""Kernels: K(x, z), the scalar products of two sets of rows in a space of features.

Not here: the machine that learns with them (`kernel_svm.py`), their picture
(`kedja/views/kernel_matrix.py`). Next: `kernel_svm.py`.
Shapes: x (N, D), z (M, D) → K (N, M), computed by kedja in the rows' own dtype.

| name       | K(x, z)                  | its features                          |
|------------|--------------------------|---------------------------------------|
| linear     | x·z                      | x itself                              |
| polynomial | (γ x·z + r)^d            | all products of up to d numbers of x  |
| rbf        | exp(−γ ‖x − z‖²)         | infinitely many                       |
| your own   | a function of two arrays | whatever its scalar products are      |
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import kedja as kj
from kedja import Tensor
from kedja.ground.errors import DataError, ShapeError, UsageError
from kedja.ground.suggest import did_you_mean

Array = np.ndarray[Any, np.dtype[Any]]
Kernel = str | Callable[[Any, Any], Any]


def linear(x: Tensor, z: Tensor, gamma: float, degree: int, coef0: float) -> Tensor:
    """x·z."""
    return x @ z.T


def polynomial(x: Tensor, z: Tensor, gamma: float, degree: int, coef0: float) -> Tensor:
    """(γ x·z + r)^d with r = `coef0`, d = `degree`."""
    return (gamma * (x @ z.T) + coef0) ** degree


def rbf(x: Tensor, z: Tensor, gamma: float, degree: int, coef0: float) -> Tensor:
    """exp(−γ ‖x − z‖²), with ‖x − z‖² = ‖x‖² − 2 x·z + ‖z‖², at least 0."""
    squares = kj.sum(x * x, axis=1, keepdims=True) + kj.sum(z * z, axis=1)  # (N, M)
    return kj.exp(-gamma * kj.maximum(squares - 2.0 * (x @ z.T), 0.0))


KERNELS = {"linear": linear, "polynomial": polynomial, "poly": polynomial, "rbf": rbf}


def kernel_matrix(
    x: Any,
    z: Any = None,
    kernel: Kernel = "rbf",
    *,
    gamma: float | str = "scale",
    degree: int = 3,
    coef0: float = 0.0,
) -> Array:
    """K(xᵢ, zⱼ) of the rows of x (N, D) and z (M, D), or of x and itself: (N, M).

    `gamma` is a number, or "scale", 1/(D · the variance of x), or "auto", 1/D. A kernel of your
    own is called with both arrays. Raises UsageError for an unknown kernel or a degree that is no
    whole number, ShapeError for rows that do not fit and where a kernel of your own gives another
    shape than (N, M), DataError where it gives NaN.

    >>> kernel_matrix([[0.0], [1.0]], kernel="rbf", gamma=1.0).round(3).tolist()
    [[1.0, 0.368], [0.368, 1.0]]
    """
    x = _rows(x)
    z = x if z is None else _rows(z)
    if x.shape[1] != z.shape[1]:
        what = f"rows of {x.shape[1]} and of {z.shape[1]} numbers"
        raise ShapeError(what, fix="both must have the same columns")
    if callable(kernel):
        return _own(kernel, x, z)
    if kernel not in KERNELS:
        raise UsageError(f"there is no kernel {kernel!r}", fix=did_you_mean(kernel, KERNELS))
    given = width(gamma, x), _whole(degree), float(coef0)
    # Not compiled: each part of a cross-validation would have a program of its own.
    found: Array = KERNELS[kernel](kj.asarray(x), kj.asarray(z), *given).numpy()
    return found


def width(gamma: float | str, x: Array) -> float:
    """γ as a number; "scale" and "auto" as scikit-learn's SVC means them."""
    if gamma == "scale":
        spread = float(x.var())
        return 1.0 / (int(x.shape[1]) * spread) if spread else 1.0
    if gamma == "auto":
        return 1.0 / int(x.shape[1])
    if isinstance(gamma, str) or not 0 < float(gamma) < np.inf:
        raise UsageError(f"gamma is {gamma!r}", fix="a number above 0, 'scale' or 'auto'")
    return float(gamma)


def _whole(degree: Any) -> int:
    if not float(degree).is_integer() or degree < 0:
        raise UsageError(f"degree is {degree!r}", fix="a whole number, 0 or more")
    return int(degree)


def _rows(x: Any) -> Array:
    rows = np.asarray(x)
    if rows.ndim != 2:
        raise ShapeError(f"rows of shape {list(rows.shape)}", fix="give (N, D)")
    return rows if rows.dtype in (np.float32, np.float64) else rows.astype(np.float64)


def _own(kernel: Callable[[Any, Any], Any], x: Array, z: Array) -> Array:
    found = kernel(x, z)
    matrix = found.numpy() if isinstance(found, Tensor) else np.asarray(found, np.float64)
    if matrix.shape != (len(x), len(z)):
        what = f"the kernel gave shape {list(matrix.shape)}, not {[len(x), len(z)]}"
        raise ShapeError(what, fix="kernel(x, z) must give one number for each pair of rows")
    if not np.isfinite(matrix).all():
        what = "the kernel gave NaN or infinity for some pairs of rows"
        raise DataError(what, fix="kernel(x, z) must give numbers: scale the columns, or mend it")
    return matrix
