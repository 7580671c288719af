"""scikit-learn's side: MLPClassifier, where its mathematics is the case's.

That is cross-entropy, SGD at a constant rate without momentum, no penalty, the same batches.
Not here: the protocol (`side.py`). Next: `limits/peak.py`.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import sklearn
from sklearn.neural_network import MLPClassifier

from benchmarks.cases import Array
from benchmarks.side import Runner, Spec, Timed

ACTIVATIONS = {"relu": "relu", "sigmoid": "logistic"}


def classifier(spec: Spec) -> Any:
    """The estimator before it has seen anything."""
    options = spec.options
    return MLPClassifier(
        hidden_layer_sizes=options["network"]["sizes"][1:-1],
        activation=ACTIVATIONS[options["network"]["activation"]],
        solver="sgd",
        alpha=0.0,
        batch_size=options["batch"],
        learning_rate="constant",
        learning_rate_init=options["rate"],
        shuffle=False,
        momentum=0.0,
        nesterovs_momentum=False,
    )


class Train(Runner):
    """`partial_fit`, on one batch ("step") or on all examples batch by batch ("loop")."""

    modes: tuple[str, ...] = ("step", "loop")
    version = sklearn.__version__

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.x, self.y = spec.arrays["x"], spec.arrays["y"]
        self.batch = spec.options["batch"]
        self.restart()

    def restart(self) -> None:
        """Back to the case's weights, which replace those of a first step."""
        self.model = classifier(self.spec)
        classes = np.arange(self.spec.options["network"]["sizes"][-1])
        self.model.partial_fit(self.x[: self.batch], self.y[: self.batch], classes=classes)
        for place, weight in enumerate(self.model.coefs_):
            weight[...] = self.start(place, "weight").T
            self.model.intercepts_[place][...] = self.start(place, "bias")

    def start(self, place: int, name: str) -> Array:
        """The case's own array of a layer; activations stand between the layers."""
        return self.spec.arrays[f"model.{2 * place}.{name}"]

    def one(self, number: int) -> None:
        """Step number `number`."""
        first = number * self.batch % len(self.x)
        batch = slice(first, first + self.batch)
        self.model.partial_fit(self.x[batch], self.y[batch])

    def losses(self, mode: str, steps: int) -> list[float]:
        """Batch by batch in both modes: of a longer call it tells the mean only."""
        self.restart()
        found = []
        for number in range(steps):
            self.one(number)
            found.append(float(self.model.loss_))
        return found

    def run(self, mode: str, steps: int) -> Timed:
        """See `Runner`."""
        start = time.perf_counter()
        if mode == "step":
            for number in range(steps):
                self.one(number)
            return Timed(time.perf_counter() - start, steps)
        passes = -(-steps * self.batch // len(self.x))
        for _ in range(passes):
            self.model.partial_fit(self.x, self.y)
        return Timed(time.perf_counter() - start, passes * (len(self.x) // self.batch))


def runner(spec: Spec) -> Runner:
    """The case made ready."""
    return Train(spec)
