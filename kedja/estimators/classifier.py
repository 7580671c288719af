"""`MLPClassifier`: classes of any kind, or several labels, as a scikit-learn estimator.

Not here: what it shares with the regressor (`base.py`). Next: `regressor.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels
from sklearn.utils.validation import column_or_1d

from kedja.estimators import network
from kedja.estimators.base import BaseMLP, takes_steps
from kedja.estimators.network import Array


class MLPClassifier(ClassifierMixin, BaseMLP):  # type: ignore[misc]
    """A multilayer perceptron that minimises cross-entropy: classes of any kind, or several labels.

    Two classes are one logistic output, more are a softmax, a matrix of 0 and 1 is one logistic
    output for each label. The loss is the weighted mean over the batch plus ½·alpha·Σ‖W‖² over the
    batch's weight. Parameters as in scikit-learn's MLPClassifier, and

    dropout        the probability with which hidden units are dropped in training
    batch_norm     whether hidden layers are normalised
    class_weight   None, "balanced" or {class: weight}
    solver         "adam", "sgd", "lbfgs", any name of `kj.optim`, or an optimiser itself

    The dtype is float32 for X in float32, else float64. Raises ValueError (of kedja's kinds too)
    for what does not fit. Source: D. Rumelhart, G. Hinton, R. Williams: Learning representations by
    back-propagating errors (1986).

    >>> import numpy as np
    >>> x, y = np.array([[0.0], [1.0], [2.0], [3.0]]), ["low", "low", "high", "high"]
    >>> net = MLPClassifier((8,), max_iter=2000, learning_rate_init=0.05, random_state=0)
    >>> net.fit(x, y).predict([[0.2], [2.9]]).tolist()
    ['low', 'high']
    """

    def __init__(
        self,
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
        class_weight: Any = None,
    ) -> None:
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
        self.class_weight = class_weight

    @available_if(takes_steps)  # type: ignore[untyped-decorator]
    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """One epoch over a part of the data; the first call must name all `classes`."""
        if not hasattr(self, "_weights"):
            if classes is None:
                raise ValueError("classes must be passed on the first call to partial_fit.")
            self._set_classes(np.asarray(classes))
        elif classes is not None and not np.array_equal(unique_labels(classes), self.classes_):
            raise ValueError(f"classes={classes!r} are not those of the first call")
        self._known_classes = True
        try:
            return self._partial_fit(X, y, sample_weight)
        finally:
            self._known_classes = False

    _known_classes = False

    def _set_classes(self, y: Array) -> None:
        self._labels = LabelBinarizer().fit(y)
        self.classes_ = self._labels.classes_

    def _checked_y(self, y: Any, reset: bool) -> Array:
        check_classification_targets(y)
        several = type_of_target(y) == "multilabel-indicator"
        y = np.asarray(y.toarray() if hasattr(y, "toarray") else y)
        if not several:
            y = column_or_1d(y, warn=True)
        if reset and not self._known_classes:
            self._set_classes(y)
        elif not several and not set(np.unique(y)) <= set(self.classes_):
            wrong = sorted(map(str, set(np.unique(y)) - set(self.classes_)))
            raise ValueError(f"y has classes that the first call did not have: {wrong}")
        checked: Array = y
        return checked

    def _output_count(self) -> int:
        count = len(self.classes_)
        several = self._labels.y_type_.startswith("multilabel")
        self.out_activation_ = "softmax" if count > 2 and not several else "logistic"
        return count if several or count > 2 else 1

    def _targets(self, y: Array) -> Array:
        encoded = self._labels.transform(y)
        found: Array = encoded.toarray() if hasattr(encoded, "toarray") else encoded
        return found

    def _checked(self, X: Any, y: Any, sample_weight: Any, reset: bool) -> Any:
        x, y, weight = super()._checked(X, y, sample_weight, reset)
        if self.class_weight is None:
            return x, y, weight
        return x, y, weight * compute_sample_weight(self.class_weight, y).astype(x.dtype)

    def _loss_of_example(self) -> Any:
        return network.categorical if self.out_activation_ == "softmax" else network.binary

    def _strata(self, y: Array) -> Array | None:
        return y if y.ndim == 1 else None

    def _score_on(self, model: Any, x: Array, y: Array, weight: Array) -> float:
        found = self._labels_of(self._probabilities(network.predictions(model, x)))
        return float(accuracy_score(y, found, sample_weight=weight))

    def _probabilities(self, z: Array) -> Array:
        """(N, classes), rows of sum 1; for several labels (N, labels), each by itself."""
        if self.out_activation_ == "softmax":
            powers = np.exp(z - z.max(axis=1, keepdims=True))
            normal: Array = powers / powers.sum(axis=1, keepdims=True)
            return normal
        p = 1 / (1 + np.exp(-np.clip(z, -500, 500)))
        both: Array = np.hstack([1 - p, p])
        return p if self._labels.y_type_.startswith("multilabel") else both

    def _labels_of(self, p: Array) -> Array:
        if self._labels.y_type_.startswith("multilabel"):
            chosen: Array = (p > 0.5).astype(int)
            return chosen
        if len(self.classes_) == 1:
            return np.repeat(self.classes_, len(p))
        found: Array = self.classes_[np.argmax(p, axis=1)]
        return found

    def predict(self, X: Any) -> Array:
        """The most probable class of each row: (N,); for several labels 0 and 1: (N, labels)."""
        return self._labels_of(self.predict_proba(X))

    def predict_proba(self, X: Any) -> Array:
        """The probability of each class: (N, classes)."""
        z = self._outputs(X)
        if len(self.classes_) == 1:
            return np.ones((len(z), 1), z.dtype)
        return self._probabilities(z)

    def predict_log_proba(self, X: Any) -> Array:
        """The logarithm of `predict_proba`."""
        with np.errstate(divide="ignore"):
            found: Array = np.log(self.predict_proba(X))
            return found

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
