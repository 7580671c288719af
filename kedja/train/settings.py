"""The options of a training run, checked, and as the texts by which two runs are compared.

Not here: what they do (`run.py`). Next: `run.py`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

from kedja import nn, optim
from kedja.ground.errors import UsageError
from kedja.nn.precision import Policy
from kedja.optim.base import require_count
from kedja.train.early_stopping import EarlyStopping
from kedja.train.metrics import Metric, metrics
from kedja.train.objective import Objective

# What the words for a loss mean; any function (prediction, target) → scalar serves as well.
LOSSES: dict[str, Callable[..., Any]] = {
    "cross_entropy": nn.cross_entropy,
    "binary_cross_entropy": nn.binary_cross_entropy,
    "binary_cross_entropy_with_logits": nn.binary_cross_entropy_with_logits,
    "nll_loss": nn.nll_loss,
    "mse": nn.mse_loss,
    "mse_loss": nn.mse_loss,
    "l1_loss": nn.l1_loss,
    "mae": nn.l1_loss,
    "huber_loss": nn.huber_loss,
    "smooth_l1_loss": nn.smooth_l1_loss,
    "poisson_nll_loss": nn.poisson_nll_loss,
    "kl_div": nn.kl_div,
    "hinge_loss": nn.hinge_loss,
    "soft_margin_loss": nn.soft_margin_loss,
    "multi_margin_loss": nn.multi_margin_loss,
    "multilabel_soft_margin_loss": nn.multilabel_soft_margin_loss,
}

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


@dataclass(frozen=True)
class Settings:
    """See `Trainer`, whose arguments these are."""

    loss: str | Callable[..., Any]
    optimizer: Any
    batch_size: int = 64
    metrics: Sequence[str | Callable[..., Any]] = ()
    prepare: Callable[..., Any] | None = None
    shuffle: bool = True
    seed: int = 0
    early_stopping: EarlyStopping | None = None
    checkpoint: str | os.PathLike[str] | None = None
    checkpoint_seconds: float = 10.0
    progress: bool | Callable[..., Any] = True
    threads: int | None = None
    callbacks: Sequence[Callable[..., Any]] = ()
    schedule: str | Callable[[float, int], Any] | None = None
    warmup: int = 0
    clip_norm: float | None = None
    clip_value: float | None = None
    accumulate: int = 1
    ema: float | None = None
    precision: str | None = None

    def __post_init__(self) -> None:
        if isinstance(self.loss, str) and self.loss not in LOSSES:
            raise UsageError(f"unknown loss {self.loss!r}", fix=f"one of {', '.join(LOSSES)}")
        if isinstance(self.optimizer, type):
            name = self.optimizer.__name__
            raise UsageError(f"the optimizer is the class {name}", fix=f"make one: {name}(0.001)")
        for method in ("init", "update"):
            if not callable(getattr(self.optimizer, method, None)):
                raise UsageError(
                    f"the optimizer is {self.optimizer!r}, which has no {method}()",
                    fix="give one of kj.optim, for instance kj.optim.SGD(0.1)",
                )
        if isinstance(self.optimizer, optim.LBFGS):
            raise UsageError(
                "L-BFGS looks at the loss over all examples, fit at one batch after the other",
                fix="call it yourself: model, state = opt.update(model, loss, state)",
            )
        require_count("fit", "accumulate", self.accumulate)
        require_count("fit", "warmup", self.warmup, 0)
        self.stepped((self.warmup + 1) * self.accumulate)  # the options must fit together
        self.policy  # noqa: B018
        if self.batch_size < 1:
            raise UsageError(f"batch_size is {self.batch_size}", fix="give 1 or more")
        if not 0 <= self.seed < 2**64:
            raise UsageError(f"seed is {self.seed}", fix="a whole number from 0 to 2**64 - 1")
        if not self.checkpoint_seconds > 0:
            raise UsageError(f"checkpoint_seconds is {self.checkpoint_seconds}", fix="more than 0")

    @property
    def objective(self) -> Objective:
        """The loss and what comes before the network."""
        loss = LOSSES[self.loss] if isinstance(self.loss, str) else self.loss
        return Objective(loss, self.prepare, self.policy)

    @property
    def policy(self) -> Policy | None:
        """In which dtype products are computed; None for that of the parameters."""
        return None if self.precision is None else Policy(self.precision)

    def stepped(self, steps: int) -> Any:
        """The optimiser of a run of so many steps, with all that these options put around it."""
        opt = self.optimizer
        if self.schedule is not None or self.warmup:
            opt = opt.with_lr(self._rate(opt, max(1, steps // self.accumulate)))
        if self.clip_value is not None:
            opt = optim.ClipValue(opt, self.clip_value)
        if self.clip_norm is not None:
            opt = optim.ClipNorm(opt, self.clip_norm)
        if self.ema is not None:
            opt = optim.EMA(opt, self.ema)
        return opt if self.accumulate == 1 else optim.Accumulate(opt, self.accumulate)

    def _rate(self, opt: Any, updates: int) -> Any:
        """The optimiser's own rate, scheduled over all updates of a run."""
        rate = getattr(opt, "lr", None)
        if not isinstance(rate, Real):
            raise UsageError(
                "a schedule beside an optimizer whose rate is no number",
                fix="give the schedule to one of both: fit(…, schedule=…), or the optimizer's lr",
            )
        if callable(self.schedule):
            return self.schedule(float(rate), updates)
        return optim.schedule(self.schedule or "constant", float(rate), updates, self.warmup)

    @property
    def measured(self) -> tuple[Metric, ...]:
        """The metrics; where the loss takes probabilities, one above 1/2 counts as yes."""
        return metrics(self.metrics, probabilities=self.objective.loss is nn.binary_cross_entropy)

    def texts(self, model: Any) -> dict[str, str]:
        """Everything that shapes the result, as texts that are the same in every process."""
        named = {
            "loss": name_of(self.objective.loss),
            "optimizer": name_of(self.optimizer),
            "batch_size": str(self.batch_size),
            "seed": str(self.seed),
            "shuffle": str(self.shuffle),
            "prepare": name_of(self.prepare),
            "metrics": ", ".join(each.name for each in self.measured),
            "early_stopping": name_of(self.early_stopping),
        }
        for name in ("warmup", "clip_norm", "clip_value", "accumulate", "ema", "precision"):
            if getattr(self, name) not in (None, getattr(Settings, name)):
                named[name] = str(getattr(self, name))
        return {**named, **_layers(model)}

    def schedule_texts(self, steps: int) -> dict[str, str]:
        """The schedule, which depends on how many steps a run has."""
        if self.schedule is None:
            return {}
        return {"schedule": f"{name_of(self.schedule)} over {steps} steps"}


def name_of(thing: Any) -> str:
    """A function by its name, anything else by its text without addresses in memory."""
    if isinstance(thing, str):
        return thing
    name = getattr(thing, "__qualname__", None)
    return _ADDRESS.sub("", repr(thing)) if name is None else str(name)


def _layers(model: Any) -> dict[str, str]:
    """Each layer of a network that holds no others; nothing for plain trees of arrays."""
    if not isinstance(model, nn.Module):
        return {}
    return {
        f"layer {path}".rstrip(): name_of(module)
        for path, module in model.modules()
        if not module.children()
    }
