"""`LinearSVM`: the classifier of the widest margin, by the hinge loss on kedja's engine.

Not here: how the problem is solved (`margin.py`), kernels (`kernel_svm.py`). Next: `margin.py`.
"""

from __future__ import annotations

import warnings
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from kedja.estimators import margin
from kedja.estimators.base import SPARSE
from kedja.estimators.margin import Array


class LinearSVM(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A linear support-vector machine; several classes are one problem each, against the rest.

    Minimises ½‖w‖² + ½b²/s² + C Σᵢ cᵢ ℓ(yᵢ(w·xᵢ + b)) over w and b, with yᵢ = ±1 and the weights cᵢ
    of the examples. ℓ(m) is max(0, 1 − m), `loss="hinge"`, or its square, `"squared_hinge"`. As in
    LinearSVC the intercept is penalised, the less the larger s = `intercept_scaling` is. It stops
    when the gap between the objective and its dual, which bounds the error, is at most `tol` of
    the objective. Sparse X is made dense.

    Fitted: `coef_` (problems, features), `intercept_` (problems,), `classes_`; `objective_` and
    `dual_gap_` (problems,), `n_iter_`, the most Newton steps of a problem. With two classes there
    is one problem. Raises ValueError for what does not fit, warns (ConvergenceWarning) where
    `max_iter` steps did not suffice.
    Source: C. Cortes, V. Vapnik: Support-vector networks (1995).

    >>> import numpy as np
    >>> x = np.array([[0.0], [1.0], [3.0], [4.0]])
    >>> svm = LinearSVM(C=100, loss="hinge", intercept_scaling=100).fit(x, [0, 0, 1, 1])
    >>> svm.coef_.round(3).tolist(), svm.intercept_.round(2).tolist()
    ([[1.0]], [-2.0])
    """

    def __init__(
        self,
        C: float = 1.0,
        *,
        loss: str = "squared_hinge",
        penalty: str = "l2",
        fit_intercept: bool = True,
        intercept_scaling: float = 1.0,
        class_weight: Any = None,
        tol: float = 1e-6,
        max_iter: int = 1000,
    ) -> None:
        self.C = C
        self.loss = loss
        self.penalty = penalty
        self.fit_intercept = fit_intercept
        self.intercept_scaling = intercept_scaling
        self.class_weight = class_weight
        self.tol = tol
        self.max_iter = max_iter

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train on X (N, features) and the classes y (N,); `sample_weight` (N,) multiplies C."""
        self._check_parameters()
        x, y = validate_data(self, X, y, accept_sparse=SPARSE, dtype=np.float64)
        check_classification_targets(y)
        x = x.toarray() if hasattr(x, "toarray") else x
        weight = _check_sample_weight(sample_weight, x, dtype=np.float64)
        if self.class_weight is not None:
            weight = weight * compute_sample_weight(self.class_weight, y)
        self.classes_ = np.unique(y)
        if len(self.classes_) < 2:
            raise ValueError(f"y has one class only, {self.classes_.tolist()[0]!r}: two are needed")
        problems = self.classes_ if len(self.classes_) > 2 else self.classes_[1:]
        rows = self._rows(x)
        found = [self._solved(rows, np.where(y == each, 1.0, -1.0), weight) for each in problems]
        self._publish(found, x.shape[1])
        return self

    def _rows(self, x: Array) -> Array:
        """The features, with a constant one for the intercept."""
        if not self.fit_intercept:
            return x
        return np.column_stack([x, np.full(len(x), float(self.intercept_scaling))])

    def _solved(self, rows: Array, sign: Array, weight: Array) -> margin.Solution:
        cost = float(self.C) * weight
        return margin.solve(rows, sign, cost, self.loss, float(self.tol), int(self.max_iter))

    def _publish(self, found: list[margin.Solution], features: int) -> None:
        w = np.stack([each.w for each in found])
        self.coef_ = w[:, :features].copy()
        scale = float(self.intercept_scaling)
        self.intercept_ = w[:, -1] * scale if self.fit_intercept else np.zeros(len(w))
        self.objective_ = np.array([each.objective for each in found])
        self.dual_gap_ = np.array([each.gap for each in found])
        self.n_iter_ = max(each.steps for each in found)
        if not all(each.converged for each in found):
            what = f"LinearSVM did not converge in {self.max_iter} steps; scale X, or raise tol"
            warnings.warn(what, ConvergenceWarning, stacklevel=3)

    def decision_function(self, X: Any) -> Array:
        """w·x + b: (N,) with two classes, positive for the second; else (N, classes)."""
        check_is_fitted(self, "coef_")
        x = validate_data(self, X, accept_sparse=SPARSE, dtype=np.float64, reset=False)
        scores: Array = x @ self.coef_.T + self.intercept_
        return scores[:, 0] if scores.shape[1] == 1 else scores

    def predict(self, X: Any) -> Array:
        """The class of each row: (N,)."""
        scores = self.decision_function(X)
        best = scores.argmax(1) if scores.ndim == 2 else (scores > 0).astype(int)
        chosen: Array = self.classes_[best]
        return chosen

    def _check_parameters(self) -> None:
        if self.loss not in margin.LOSSES:
            raise ValueError(f"loss is {self.loss!r}; one of {', '.join(margin.LOSSES)}")
        if self.penalty != "l2":
            raise ValueError(f"penalty is {self.penalty!r}; there is 'l2'")
        for name in ("C", "intercept_scaling", "tol"):
            value = getattr(self, name)
            if not isinstance(value, Real) or not 0 < float(value) < np.inf:
                raise ValueError(f"{name} must be a number above 0, got {value!r}")
        if not isinstance(self.max_iter, Integral) or int(self.max_iter) < 1:
            raise ValueError(f"max_iter must be a whole number from 1, got {self.max_iter!r}")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
