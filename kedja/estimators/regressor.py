"""`MLPRegressor`: numbers, one or several for each example, as a scikit-learn estimator.

Not here: what it shares with the classifier (`base.py`). Next: `network.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import column_or_1d

from kedja.estimators import network
from kedja.estimators.base import BaseMLP, takes_steps
from kedja.estimators.network import Array


class MLPRegressor(RegressorMixin, BaseMLP):  # type: ignore[misc]
    """A multilayer perceptron for numbers: y (N,) or (N, outputs).

    `loss` is "squared_error", "absolute_error" or "poisson" (whose prediction is e^z). All else as
    for `MLPClassifier`; scale y where its numbers are large.

    >>> import numpy as np
    >>> x = np.linspace(0, 1, 20)[:, None]
    >>> options = {"max_iter": 2000, "learning_rate_init": 0.02, "tol": 1e-5, "random_state": 0}
    >>> net = MLPRegressor(hidden_layer_sizes=16, **options)
    >>> float(net.fit(x, 2 * x[:, 0]).score(x, 2 * x[:, 0])) > 0.98
    True
    """

    def __init__(
        self,
        loss: str = "squared_error",
        hidden_layer_sizes: int | Sequence[int] = (100,),
        activation: str = "relu",
        *,
        solver: Any = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: int = 10,
        dropout: float = 0.0,
        batch_norm: bool = False,
    ) -> None:
        self.loss = loss
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.dropout = dropout
        self.batch_norm = batch_norm

    @available_if(takes_steps)  # type: ignore[untyped-decorator]
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """One epoch over a part of the data."""
        return self._partial_fit(X, y, sample_weight)

    def _checked_y(self, y: Any, reset: bool) -> Array:
        values = np.asarray(y)
        if values.ndim == 2 and values.shape[1] == 1:
            values = column_or_1d(values, warn=True)
        if self.loss == "poisson" and (values < 0).any():
            raise ValueError("loss='poisson' needs y of 0 or more")
        if reset:
            self._columns = 1 if values.ndim == 1 else values.shape[1]
            self.out_activation_ = "exp" if self.loss == "poisson" else "identity"
        return values.astype(np.float64, copy=False)

    def _output_count(self) -> int:
        return int(self._columns)

    def _targets(self, y: Array) -> Array:
        return y.reshape(len(y), -1)

    def _loss_of_example(self) -> Any:
        return _LOSSES[self.loss]

    def _check_parameters(self) -> None:
        if self.loss not in _LOSSES:
            raise ValueError(f"loss is {self.loss!r}; one of {', '.join(_LOSSES)}")
        super()._check_parameters()

    def _score_on(self, model: Any, x: Array, y: Array, weight: Array) -> float:
        found = self._numbers(network.predictions(model, x))
        return float(r2_score(y, found, sample_weight=weight))

    def _numbers(self, z: Array) -> Array:
        values: Array = np.exp(z) if self.loss == "poisson" else z
        return values[:, 0] if self._columns == 1 else values

    def predict(self, X: Any) -> Array:
        """The numbers of each row: (N,) or (N, outputs)."""
        return self._numbers(self._outputs(X))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


_LOSSES = {
    "squared_error": network.squared,
    "absolute_error": network.absolute,
    "poisson": network.poisson,
}
