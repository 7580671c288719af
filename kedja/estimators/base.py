"""What both estimators share: checked data and parameters, weights, training, fitted attributes.

Not here: classes and numbers (`classifier.py`, `regressor.py`), epochs (`network.py`).
Next: `classifier.py`.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from kedja import nn, optim
from kedja.estimators import network
from kedja.estimators.network import Array, Loss, Plan, Progress, Shape, Steppers

SPARSE = ("csr", "csc", "coo")
FLOATS = (np.float64, np.float32)


def takes_steps(estimator: BaseMLP) -> bool:
    """Whether a solver can go on with further data; AttributeError where it cannot."""
    if estimator.solver == "lbfgs":
        raise AttributeError("partial_fit needs a solver of steps, for instance 'adam'")
    return True


class BaseMLP(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """What both estimators share: checks, weights, training, fitted attributes."""

    _weights: network.Weights
    _network: nn.Sequential

    # ------------------------------------------------------------------ what subclasses say

    def _targets(self, y: Array) -> Array:
        """y as (N, outputs) floats."""
        raise TypeError(f"{type(self).__name__} is no estimator")

    def _loss_of_example(self) -> Any:
        raise TypeError(f"{type(self).__name__} is no estimator")

    def _score_on(self, model: Any, x: Array, y: Array, weight: Array) -> float:
        raise TypeError(f"{type(self).__name__} is no estimator")

    def _checked_y(self, y: Any, reset: bool) -> Array:
        raise TypeError(f"{type(self).__name__} is no estimator")

    # --------------------------------------------------------------------------------- fit

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train on X (N, features), dense or sparse, and y (N,) or (N, outputs).

        `sample_weight` (N,) weighs the examples; those of weight 0 count as absent. Raises
        ValueError for parameters and data that do not fit, warns (ConvergenceWarning) where
        `max_iter` epochs did not suffice.
        """
        self._check_parameters()
        warm = self.warm_start and hasattr(self, "_weights")
        x, y, weight = self._checked(X, y, sample_weight, reset=not warm)
        self._start(x, warm)
        return self._run(x, y, weight, self.max_iter, Progress(), Steppers())

    def _partial_fit(self, X: Any, y: Any, sample_weight: Any) -> Self:
        self._check_parameters()
        going_on = hasattr(self, "_weights")
        x, y, weight = self._checked(X, y, sample_weight, reset=not going_on)
        self._start(x, going_on)
        return self._run(x, y, weight, 1, self._progress, self._steppers)

    def _checked(
        self, X: Any, y: Any, sample_weight: Any, reset: bool
    ) -> tuple[Array, Array, Array]:
        x, y = validate_data(
            self, X, y, accept_sparse=SPARSE, multi_output=True, dtype=FLOATS, reset=reset
        )
        y = self._checked_y(y, reset)
        weight = _check_sample_weight(sample_weight, x, dtype=x.dtype)
        x = x.toarray() if hasattr(x, "toarray") else x
        present = weight > 0
        if not present.any():
            raise ValueError("all sample weights are zero: there is nothing to learn from")
        return x[present], y[present], weight[present]

    def _start(self, x: Array, going_on: bool) -> None:
        """The random numbers, and fresh weights unless training goes on."""
        if going_on:
            return
        self._random = check_random_state(self.random_state)
        hidden = self.hidden_layer_sizes
        sizes = [hidden] if isinstance(hidden, Integral) else list(hidden)
        outputs = self._output_count()
        shape = (x.shape[1], *map(int, sizes), outputs)
        self._shape = Shape(shape, self.activation, self.dropout, self.batch_norm)
        seed = int(self._random.randint(2**31 - 1))
        self._network = self._shape.network(seed, x.dtype)
        self._weights = network.weights_of(self._network)
        self._progress, self._steppers = Progress(), Steppers()
        self.n_layers_, self.n_outputs_, self.t_ = len(shape), outputs, 0
        self._publish()

    def _output_count(self) -> int:
        raise TypeError(f"{type(self).__name__} is no estimator")

    def _run(
        self,
        x: Array,
        y: Array,
        weight: Array,
        epochs: int,
        progress: Progress,
        steppers: Steppers,
    ) -> Self:
        plan, before = self._plan(epochs, len(x)), len(progress.loss_curve)
        score, x, y, weight = self._held_out(x, y, weight, plan)
        rows = np.column_stack([x, self._targets(y), weight]).astype(x.dtype, copy=False)
        loss = Loss(self._loss_of_example(), x.shape[1], float(self.alpha))
        model = self._network
        if self.solver == "lbfgs":
            model = network.train_whole(model, loss, rows, plan, progress)
        else:
            given = model, loss, rows, plan, self._random
            model = network.train(*given, score, progress, steppers)
        self._weights, self._progress = network.weights_of(model), progress
        self._network = model
        self.t_ += (len(progress.loss_curve) - before) * len(rows)
        self._publish()
        self._warn(progress, epochs)
        return self

    def _held_out(
        self, x: Array, y: Array, weight: Array, plan: Plan
    ) -> tuple[Any, Array, Array, Array]:
        """The score on a part of the data that is set aside, and the other part."""
        if not plan.early_stopping:
            return None, x, y, weight
        parts = train_test_split(
            x,
            y,
            weight,
            test_size=self.validation_fraction,
            random_state=self._random,
            stratify=self._strata(y),
        )
        x, x_held, y, y_held, weight, weight_held = parts
        if len(x_held) < 2:
            raise ValueError(
                f"validation_fraction={self.validation_fraction} holds out {len(x_held)} examples:"
                " early stopping needs two or more"
            )
        return lambda m: self._score_on(m, x_held, y_held, weight_held), x, y, weight

    def _strata(self, y: Array) -> Array | None:
        return None

    def _plan(self, epochs: int, count: int) -> Plan:
        adapts = self.solver == "sgd" and self.learning_rate == "adaptive"
        return Plan(
            optimizer=self._optimizer(1.0, count),
            batch_size=self._batch_size(count),
            max_iter=epochs,
            tol=self.tol,
            n_iter_no_change=self.n_iter_no_change,
            shuffle=self.shuffle,
            early_stopping=self.early_stopping and epochs > 1,
            slower=(lambda rate: self._optimizer(rate, count)) if adapts else None,
            verbose=bool(self.verbose),
        )

    def _batch_size(self, count: int) -> int:
        return min(200, count) if self.batch_size == "auto" else min(int(self.batch_size), count)

    def _optimizer(self, factor: float, count: int) -> Any:
        rate: Any = self.learning_rate_init * factor
        if not isinstance(self.solver, str):
            return self.solver
        if self.solver == "sgd":
            if self.learning_rate == "invscaling":
                rate = _Inverse(rate, self._batch_size(count), self.power_t)
            nesterov = bool(self.nesterovs_momentum and self.momentum > 0)
            return optim.SGD(rate, momentum=self.momentum, nesterov=nesterov)
        if self.solver in ("adam", "adamw"):
            kind = optim.Adam if self.solver == "adam" else optim.AdamW
            return kind(rate, betas=(self.beta_1, self.beta_2), eps=self.epsilon)
        return None if self.solver == "lbfgs" else optim.optimizer(self.solver, lr=rate)

    def _warn(self, progress: Progress, epochs: int) -> None:
        if progress.interrupted:
            warnings.warn("Training interrupted by user.", stacklevel=4)
        elif not progress.converged and epochs > 1:
            warnings.warn(
                f"{self.solver}: {epochs} iterations reached and the optimization has not"
                " converged yet; raise max_iter or tol.",
                ConvergenceWarning,
                stacklevel=4,
            )

    # ------------------------------------------------------------------- fitted attributes

    def _publish(self) -> None:
        """The fitted attributes under scikit-learn's names."""
        places = network.linear_layers(self._shape)
        self.coefs_ = [self._weights[f"{place}.weight"].T for place in places]
        self.intercepts_ = [self._weights[f"{place}.bias"] for place in places]
        progress = self._progress
        self.loss_curve_ = progress.loss_curve
        self.n_iter_ = len(progress.loss_curve)
        self.loss_ = progress.loss_curve[-1] if progress.loss_curve else np.inf
        stopping = bool(self.early_stopping)
        self.best_loss_ = None if stopping else progress.best_loss
        self.validation_scores_ = progress.validation_scores if stopping else None
        self.best_validation_score_ = progress.best_score if stopping else None

    @property
    def network_(self) -> Any:
        """The trained network, a `kj.nn.Sequential` that can be saved, explained and exported."""
        check_is_fitted(self, "_weights")
        return self._network

    def __getstate__(self) -> dict[str, Any]:
        """Pickled as plain arrays and numbers, without the network that follows from them."""
        state: dict[str, Any] = {**super().__getstate__()}
        state.pop("_network", None)
        state.pop("_steppers", None)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if hasattr(self, "_weights"):
            self._network = self._shape.loaded(self._weights)
            self._steppers = Steppers()

    def _outputs(self, X: Any) -> Array:
        check_is_fitted(self, "_weights")
        x = validate_data(self, X, accept_sparse=SPARSE, dtype=FLOATS, reset=False)
        x = x.toarray() if hasattr(x, "toarray") else x
        dtype = self.coefs_[0].dtype
        return network.predictions(self.network_, np.ascontiguousarray(x, dtype=dtype))

    # -------------------------------------------------------------------------- parameters

    def _check_parameters(self) -> None:
        hidden = self.hidden_layer_sizes
        sizes = [hidden] if isinstance(hidden, Integral) else list(hidden)
        if any(not isinstance(n, Integral) or int(n) <= 0 for n in sizes):
            raise ValueError(f"hidden_layer_sizes must be > 0, got {sizes}.")
        for name, low, high in _RANGES:
            value = getattr(self, name)
            if not isinstance(value, Real) or not low <= float(value) < high:
                raise ValueError(
                    f"{name} must be a number from {low} to below {high}, got {value!r}"
                )
        for name in ("max_iter", "n_iter_no_change"):
            value = getattr(self, name)
            if not isinstance(value, Integral) or int(value) < 1:
                raise ValueError(f"{name} must be a whole number from 1, got {value!r}")
        if self.batch_size != "auto" and not (
            isinstance(self.batch_size, Integral) and int(self.batch_size) > 0
        ):
            raise ValueError(f"batch_size must be 'auto' or from 1, got {self.batch_size!r}")
        if self.learning_rate not in ("constant", "invscaling", "adaptive"):
            raise ValueError(f"learning_rate is {self.learning_rate!r}")
        if isinstance(self.solver, str):
            optim.optimizer(self.solver, lr=1.0)  # raises, naming what is close

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.non_deterministic = False
        return tags


_RANGES = (
    ("alpha", 0, np.inf),
    ("learning_rate_init", 0, np.inf),
    ("momentum", 0, 1.0 + 1e-12),
    ("beta_1", 0, 1),
    ("beta_2", 0, 1),
    ("epsilon", 0, np.inf),
    ("dropout", 0, 1),
    ("validation_fraction", 0, 1),
    ("power_t", -np.inf, np.inf),
    ("tol", -np.inf, np.inf),
)


@dataclass(frozen=True)
class _Inverse:
    """The rate η/(t + 1)^power after t examples."""

    rate: float
    batch: int
    power: float

    def __call__(self, step: Any) -> Any:
        return self.rate / (step * self.batch + 1.0) ** self.power
