"""`KernelSVM`: support-vector machines with any kernel, which kedja computes.

The problem is solved by scikit-learn's SVC on the matrix of the kernel; what is kept are the
support vectors and their weights, plain arrays. Not here: the kernels (`kernels.py`), the linear
machine that kedja solves itself (`svm.py`). Next: `kernels.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.svm import SVC
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from kedja.estimators import kernels
from kedja.estimators.base import SPARSE
from kedja.estimators.kernels import Array


class KernelSVM(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A support-vector machine with a kernel: "linear", "polynomial", "rbf", or a function.

    The decision between two classes is f(x) = Σᵢ aᵢ K(sᵢ, x) + b over the support vectors sᵢ, those
    rows that lie on the margin or inside it; of several classes each pair is decided, and the one
    that wins most pairs is the answer. `kernel(x, z)` of your own takes rows (N, D) and (M, D) and
    gives (N, M). Other parameters as in SVC. Sparse X is made dense.

    Fitted: `support_` (S,), `support_vectors_` (S, D), `n_support_` (classes,), `dual_coef_`
    (classes − 1, S), `intercept_` (pairs,), `gamma_`, `classes_`.
    Source: B. Boser, I. Guyon, V. Vapnik: A training algorithm for optimal margin classifiers
    (1992).

    >>> import numpy as np
    >>> x, y = np.array([[0.0, 0.0], [1.0, 1.0], [0.0, 1.0], [1.0, 0.0]]), [0, 0, 1, 1]
    >>> KernelSVM("rbf", C=10).fit(x, y).predict(x).tolist()
    [0, 0, 1, 1]
    """

    def __init__(
        self,
        kernel: str | Callable[[Any, Any], Any] = "rbf",
        *,
        C: float = 1.0,
        gamma: float | str = "scale",
        degree: int = 3,
        coef0: float = 0.0,
        class_weight: Any = None,
        tol: float = 1e-3,
    ) -> None:
        self.kernel = kernel
        self.C = C
        self.gamma = gamma
        self.degree = degree
        self.coef0 = coef0
        self.class_weight = class_weight
        self.tol = tol

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train on X (N, features) and the classes y (N,); `sample_weight` (N,) multiplies C."""
        x, y = validate_data(self, X, y, accept_sparse=SPARSE, dtype=np.float64)
        check_classification_targets(y)
        x = x.toarray() if hasattr(x, "toarray") else x
        self.gamma_ = kernels.width(self.gamma, x)
        solver = SVC(
            C=self.C, kernel="precomputed", class_weight=self.class_weight, tol=self.tol
        ).fit(self.kernel_matrix(x, x), y, sample_weight)
        self.classes_, self.n_support_ = solver.classes_, solver.n_support_
        self.support_, self.support_vectors_ = solver.support_, x[solver.support_]
        self.dual_coef_, self.intercept_ = solver.dual_coef_, solver.intercept_
        return self

    def kernel_matrix(self, x: Any, z: Any = None) -> Array:
        """K of the rows of x (N, D) and of z (M, D), by default the support vectors: (N, M)."""
        other = self.support_vectors_ if z is None else z
        return kernels.kernel_matrix(
            x, other, self.kernel, gamma=self.gamma_, degree=self.degree, coef0=self.coef0
        )

    def decision_function(self, X: Any) -> Array:
        """f(x): (N,) with two classes, positive for the second; else (N, classes).

        Of several classes it is the number of pairs that each wins, and a part below ⅓ that says
        how clearly.
        """
        check_is_fitted(self, "dual_coef_")
        x = validate_data(self, X, accept_sparse=SPARSE, dtype=np.float64, reset=False)
        x = x.toarray() if hasattr(x, "toarray") else x
        products = self.kernel_matrix(x)  # (N, S)
        found = decisions(products, self.dual_coef_, self.intercept_, self.n_support_)
        return found if found.ndim == 1 else scores(found, len(self.classes_))

    def predict(self, X: Any) -> Array:
        """The class of each row: (N,)."""
        found = self.decision_function(X)
        best = (found > 0).astype(int) if found.ndim == 1 else found.argmax(axis=1)
        chosen: Array = self.classes_[best]
        return chosen

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def decisions(products: Array, dual: Array, intercept: Array, counts: Array) -> Array:
    """f of every pair of classes from K(x, s), (N, S): (N,) with two classes, else (N, pairs).

    Row k of `dual` (classes − 1, S) weighs a support vector in the decision between its own class
    and the k-th of the others; `counts` (classes,) says how many support vectors each class has.
    """
    if len(counts) == 2:
        two: Array = products @ dual[0] + intercept[0]
        return two
    ends = np.concatenate([[0], np.cumsum(counts)])
    found = []
    for pair, (i, j) in enumerate(combinations(range(len(counts)), 2)):
        of_i, of_j = slice(ends[i], ends[i + 1]), slice(ends[j], ends[j + 1])
        mine = products[:, of_i] @ dual[j - 1, of_i] + products[:, of_j] @ dual[i, of_j]
        found.append(mine + intercept[pair])
    return np.stack(found, axis=1)  # (N, pairs)


def scores(found: Array, classes: int) -> Array:
    """The pairs that each class wins, and how clearly, from f of every pair: (N, classes).

    Of classes that win as many, the sum of f decides, as with `break_ties` in SVC.
    """
    votes, sums = np.zeros((2, len(found), classes))
    for pair, (i, j) in enumerate(combinations(range(classes), 2)):
        wins = found[:, pair] > 0
        votes[:, i] += wins
        votes[:, j] += ~wins
        sums[:, i] += found[:, pair]
        sums[:, j] -= found[:, pair]
    total: Array = votes + sums / (3 * (np.abs(sums) + 1))  # the part is below 1/3
    return total
