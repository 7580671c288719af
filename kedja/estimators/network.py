"""What the estimators train: the network, its loss, and epochs until nothing improves.

Everything that a fitted estimator keeps is plain arrays and numbers, so that it can be cloned,
copied and pickled. Not here: scikit-learn's interface (`base.py`). Next: `kedja/train/stepper.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

import kedja as kj
from kedja import nn, optim
from kedja.ground.errors import DataError, UsageError
from kedja.ground.flags import flags
from kedja.train.examples import Rows
from kedja.train.objective import Objective
from kedja.train.stepper import Stepper

Array = np.ndarray[Any, np.dtype[Any]]
Weights = dict[str, Array]

ACTIVATIONS = {"logistic": "sigmoid"}  # scikit-learn's names where they differ


@dataclass(frozen=True)
class Shape:
    """The sizes of a network and what stands between its layers."""

    sizes: tuple[int, ...]
    activation: str
    dropout: float = 0.0
    batch_norm: bool = False

    def network(self, seed: int, dtype: Any) -> nn.Sequential:
        """A fresh network: each hidden layer Linear, BatchNorm, activation, Dropout."""
        name = nn.activation_name(ACTIVATIONS.get(self.activation, self.activation))
        keys = kj.random.split(kj.random.key(seed), len(self.sizes) - 1)
        layers: list[nn.Module] = []
        for place, (inputs, outputs) in enumerate(pairwise(self.sizes)):
            last = place == len(self.sizes) - 2
            start = nn.init.for_activation("identity" if last else name)
            layers.append(nn.Linear(inputs, outputs, key=keys[place], init=start))
            layers += [] if last else self._between(outputs, name)
        return nn.Sequential(*layers).astype(dtype)

    def _between(self, width: int, name: str) -> list[nn.Module]:
        norm = [nn.BatchNorm1d(width)] if self.batch_norm else []
        drop = [nn.Dropout(self.dropout)] if self.dropout else []
        return [*norm, nn.ACTIVATIONS[name](), *drop]

    def loaded(self, weights: Weights) -> nn.Sequential:
        """The network with these weights."""
        dtype = next(iter(weights.values())).dtype
        return self.network(0, dtype).load_state_dict(weights)


# ------------------------------------------------------------------------------------ losses


def binary(z: kj.Tensor, target: kj.Tensor) -> kj.Tensor:
    """Σ_k log(1 + e^z) − t·z: the cross-entropy of independent yes-or-no outputs."""
    return kj.sum(kj.softplus(z) - target * z, axis=-1)


def categorical(z: kj.Tensor, target: kj.Tensor) -> kj.Tensor:
    """−Σ_k t log softmax(z)."""
    return -kj.sum(target * kj.log_softmax(z), axis=-1)


def squared(z: kj.Tensor, target: kj.Tensor) -> kj.Tensor:
    """½ mean_k (z − t)²."""
    return 0.5 * kj.mean((z - target) ** 2, axis=-1)


def poisson(z: kj.Tensor, target: kj.Tensor) -> kj.Tensor:
    """mean_k e^z − t·z: the negative log-likelihood of counts, without what z does not change."""
    return kj.mean(kj.exp(z) - target * z, axis=-1)


def absolute(z: kj.Tensor, target: kj.Tensor) -> kj.Tensor:
    """mean_k |z − t|."""
    return kj.mean(kj.abs(z - target), axis=-1)


@dataclass(frozen=True)
class Loss:
    """The weighted mean of each example's loss, and ½·alpha·Σ‖W‖² over the weight of the batch.

    The rows of a batch are an example's features, targets and weight, side by side.
    """

    each: Callable[[kj.Tensor, kj.Tensor], kj.Tensor]
    features: int
    alpha: float

    def __call__(self, model: nn.Sequential, rows: kj.Tensor) -> kj.Tensor:
        """The loss of a batch (B, features + targets + 1)."""
        x, target, weight = rows[:, : self.features], rows[:, self.features : -1], rows[:, -1]
        total = kj.sum(weight)
        loss = kj.sum(weight * self.each(model(x), target)) / total
        if not self.alpha:
            return loss
        size = sum(kj.sum(layer.weight**2) for layer in model if isinstance(layer, nn.Linear))
        return loss + (0.5 * self.alpha) * size / total


# ---------------------------------------------------------------------------------- training


@dataclass(frozen=True)
class Plan:
    """How to train; the names are the estimators' parameters."""

    optimizer: Any
    batch_size: int
    max_iter: int
    tol: float
    n_iter_no_change: int
    shuffle: bool
    early_stopping: bool
    slower: Callable[[float], Any] | None  # the optimiser with a smaller rate, where it adapts
    verbose: bool


@dataclass
class Progress:
    """What a run has reached; the names are those of scikit-learn's fitted attributes."""

    loss_curve: list[float] = field(default_factory=list)
    validation_scores: list[float] = field(default_factory=list)
    best_loss: float = np.inf
    best_score: float = -np.inf
    best_weights: Weights | None = None
    moments: list[Array] = field(default_factory=list)  # the optimiser's state, to go on from
    stale: int = 0
    converged: bool = False
    interrupted: bool = False

    def note(self, loss: float, score: float | None, tol: float) -> bool:
        """Enter an epoch; whether it is the best so far."""
        self.loss_curve.append(loss)
        if score is None:
            self.stale = self.stale + 1 if loss > self.best_loss - tol else 0
            self.best_loss = min(self.best_loss, loss)
            return False
        self.validation_scores.append(score)
        self.stale = self.stale + 1 if score < self.best_score + tol else 0
        best = score > self.best_score
        self.best_score = max(self.best_score, score)
        return best


def train(
    model: nn.Sequential,
    loss: Loss,
    rows: Array,
    plan: Plan,
    rng: np.random.RandomState,
    score: Callable[[nn.Sequential], float] | None,
    progress: Progress,
    steppers: Steppers,
) -> nn.Sequential:
    """Epochs until the loss (or with `score`, the validation score) stops improving.

    `steppers` may know one from an earlier run. Raises DataError where the loss becomes NaN or
    infinite.
    """
    stepper = steppers.get(model, loss, rows, plan, plan.optimizer, rng)
    _go_on(stepper, progress.moments)
    rate = 1.0
    for _ in range(plan.max_iter):
        if not _epoch(stepper, len(rows), plan.shuffle, rng):
            progress.interrupted = True
            break
        mean = stepper.epoch_loss(stepper.epochs - 1)
        now: nn.Sequential = stepper.carry["model"]
        if progress.note(mean, None if score is None else score(now), plan.tol):
            progress.best_weights = weights_of(now)
        _tell(plan, progress)
        if progress.stale > plan.n_iter_no_change:
            rate /= 5
            if plan.slower is None or rate < 1e-6:
                progress.converged = True
                break
            progress.stale = 0
            moments = _moments(stepper)
            stepper = Steppers().get(now, loss, rows, plan, plan.slower(rate), rng)
            _go_on(stepper, moments)
    progress.moments = _moments(stepper)
    last: nn.Sequential = stepper.carry["model"]
    if progress.best_weights is not None:
        return last.load_state_dict(progress.best_weights)
    apart: nn.Sequential = kj.tree.map(lambda leaf: kj.tensor(leaf.numpy()), last)
    return apart  # from the stepper's memory, which changes when it is used again


def _tell(plan: Plan, progress: Progress) -> None:
    if plan.verbose:
        scored = progress.validation_scores
        more = f", validation score {scored[-1]:.6f}" if scored else ""
        print(f"Iteration {len(progress.loss_curve)}, loss = {progress.loss_curve[-1]:.8f}{more}")


class Steppers:
    """The last stepper of an estimator, for further runs on examples of the same kind.

    Tracing a step takes longer than an epoch of few examples, as `partial_fit` is given them.
    """

    def __init__(self) -> None:
        self._kind: Any = None
        self._last: Stepper | None = None

    def get(
        self,
        model: nn.Sequential,
        loss: Loss,
        rows: Array,
        plan: Plan,
        optimizer: Any,
        rng: np.random.RandomState,
    ) -> Stepper:
        """A stepper that is about to take its first step."""
        batch, seed = min(plan.batch_size, len(rows)), int(rng.randint(2**31 - 1))
        structure = kj.tree.flatten(model)[1]
        kind = structure, loss, optimizer, batch, rows.shape, rows.dtype, flags()
        given = Rows(rows, None)
        if self._last is not None and kind == self._kind:
            self._last.begin_anew(model, given, seed)
            return self._last
        self._kind = kind
        self._last = Stepper(
            Objective(loss), optimizer, model, given, batch=batch, loss_dtype=rows.dtype, seed=seed
        )
        return self._last


def _moments(stepper: Stepper) -> list[Array]:
    """Copies of the arrays of the optimiser's state."""
    return [np.array(leaf) for leaf in kj.tree.leaves(stepper.carry["optimizer"])]


def _go_on(stepper: Stepper, moments: Sequence[Array]) -> None:
    """Take up the state of an earlier run of the same optimiser; another one starts afresh."""
    carry = stepper.carry
    leaves, structure = kj.tree.flatten(carry["optimizer"])
    kinds = [[(each.shape, each.dtype) for each in arrays] for arrays in (leaves, moments)]
    if kinds[0] == kinds[1]:
        state = kj.tree.unflatten(structure, moments)
        stepper.restore({**carry, "optimizer": state}, stepper.losses)


def _epoch(stepper: Stepper, count: int, shuffle: bool, rng: np.random.RandomState) -> bool:
    """Go once through all examples; false where Ctrl-C ended it."""
    if shuffle:
        stepper.set_order(rng.permutation(count))
    goal = stepper.epochs + 1
    while stepper.epochs < goal:
        ran = stepper.advance(_silent)
        if ran.status == "nonfinite":
            raise DataError(
                f"the loss became NaN or infinite in iteration {goal}",
                fix="scale the features (StandardScaler), or take a smaller learning_rate_init",
            )
        if ran.status == "cancelled":
            if not isinstance(ran.interrupt, KeyboardInterrupt):
                assert ran.interrupt is not None
                raise ran.interrupt
            return False
    return True


def _silent(steps: int) -> None:
    """Nothing is shown within an epoch."""


def weights_of(model: nn.Sequential) -> Weights:
    """Copies of a network's arrays by name."""
    return {name: np.array(value) for name, value in model.state_dict().items()}


def train_whole(
    model: nn.Sequential, loss: Loss, rows: Array, plan: Plan, progress: Progress
) -> nn.Sequential:
    """L-BFGS on all examples at once."""
    if any(isinstance(layer, nn.Dropout | nn.BatchNorm1d) for layer in model):
        raise UsageError(
            "solver='lbfgs' with dropout or batch_norm",
            fix="these change the loss from batch to batch: take solver='adam'",
        )
    method = optim.LBFGS(
        max_iter=plan.max_iter,
        max_eval=10 * plan.max_iter,
        tolerance_grad=plan.tol,
        line_search_fn="strong_wolfe",
    )
    compiled = kj.jit(loss)
    after, state = method.update(model, compiled, method.init(model), kj.asarray(rows))
    moves = int(np.asarray(state["step"]))
    final = float(compiled(after, kj.asarray(rows)).item())
    progress.loss_curve = [final]
    progress.best_loss = final
    progress.converged = moves < plan.max_iter
    trained: nn.Sequential = after
    return trained


def predictions(model: nn.Sequential, x: Array, batch: int = 8192) -> Array:
    """The network's outputs for all rows, in parts of bounded size.

    A single row, as of a service that answers one question after the other, goes through a
    compiled program; the number of rows alone decides that.
    """
    if len(x) == 1:
        answer: Array = _answer(model, x).numpy()
        return answer
    parts = [model(x[i : i + batch]).numpy() for i in range(0, len(x), batch)]
    return np.concatenate(parts)


_answer: Callable[[nn.Sequential, Array], kj.Tensor] = kj.jit(lambda model, x: model(x))


def linear_layers(shape: Shape) -> Sequence[int]:
    """The places of the Linear layers in the network."""
    stride = 2 + shape.batch_norm + bool(shape.dropout)
    return range(0, stride * (len(shape.sizes) - 1), stride)
