"""Schedules of several parts: warm restarts, one cycle, one after the other, all at once, by name.

Not here: the parts (`schedules.py`). Next: `plateau.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from kedja.front import functions
from kedja.front.arithmetic import where
from kedja.front.tensor import Tensor
from kedja.ground.errors import UsageError
from kedja.ground.suggest import did_you_mean
from kedja.optim.base import UNBOUNDED, require_count, require_range
from kedja.optim.schedules import (
    LinearLR,
    MultiStepLR,
    PolynomialLR,
    Scaled,
    Schedule,
    WarmupCosineLR,
    along_cosine,
    power,
    share_of,
)


@dataclass(frozen=True)
class CosineAnnealingWarmRestarts(Scaled):
    """Half a cosine from η to `eta_min` again and again, each `T_mult` times as long as the last.

    The first has `T_0` steps. Source: I. Loshchilov, F. Hutter: SGDR (2016).
    """

    T_0: int
    T_mult: int = 1
    eta_min: float = 0.0

    def require(self) -> None:
        """Lengths and factors from 1."""
        require_count("CosineAnnealingWarmRestarts", "T_0", self.T_0)
        require_count("CosineAnnealingWarmRestarts", "T_mult", self.T_mult)
        require_range("CosineAnnealingWarmRestarts", "eta_min", self.eta_min, 0, UNBOUNDED)

    def scale(self, t: Tensor) -> Any:
        """See the class."""
        return self.at(t) / self.lr

    def at(self, t: Tensor) -> Any:
        """See the class."""
        if self.T_mult == 1:
            share = t / self.T_0 - functions.floor(t / self.T_0)
        else:
            number = self._number(t)
            share = (t - self._start(number)) / (self.T_0 * power(float(self.T_mult), number))
        return along_cosine(self.lr, self.eta_min, share)

    def _number(self, t: Tensor) -> Tensor:
        """Which of the curves t lies on, from 0; the logarithm may err by one at its ends."""
        bases = t / self.T_0 * (self.T_mult - 1) + 1
        guess = functions.floor(functions.log(bases) / functions.log(float(self.T_mult)))
        guess = where(self._start(guess + 1) <= t, guess + 1, guess)
        return where(self._start(guess) > t, guess - 1, guess)

    def _start(self, number: Tensor) -> Tensor:
        """The step at which a curve starts: T₀ (mⁿ − 1)/(m − 1), a whole number."""
        bases = functions.round(power(float(self.T_mult), number))
        return self.T_0 * (bases - 1) / (self.T_mult - 1)


@dataclass(frozen=True)
class OneCycle(Schedule):
    """One cycle through values: up (or down) for `pct_start` of the steps, then back, then on.

    `values` are those at the start, at the turn, and at the end; with `three_phase` the way back to
    the first value takes as long as the way from it, and a third phase leads to the last one.
    """

    values: tuple[float, float, float]
    total_steps: int
    pct_start: float = 0.3
    anneal_strategy: str = "cos"
    three_phase: bool = False

    def __post_init__(self) -> None:
        require_count("OneCycleLR", "total_steps", self.total_steps)
        if not 0 <= self.pct_start <= 1:
            fix = "a number from 0 to 1"
            raise UsageError(f"OneCycleLR with pct_start={self.pct_start!r}", fix=fix)
        if self.anneal_strategy not in ("cos", "linear"):
            fix = "'cos', or 'linear'"
            raise UsageError(f"OneCycleLR with anneal_strategy={self.anneal_strategy!r}", fix=fix)

    def at(self, t: Tensor) -> Any:
        """See the class."""
        phases = self._phases()
        value: Any = phases[-1][3]
        for start, end, first, last in reversed(phases):
            share = share_of(t - start, end - start) if end != start else functions.ones_like(t)
            value = where(t <= end, self._between(first, last, share), value)
        return value

    def _phases(self) -> list[tuple[float, float, float, float]]:
        """First and last step of each phase, and its values there."""
        first, turn, last = self.values
        up, end = self.pct_start * self.total_steps - 1, self.total_steps - 1.0
        if not self.three_phase:
            return [(0, up, first, turn), (up, end, turn, last)]
        down = 2 * self.pct_start * self.total_steps - 2
        return [(0, up, first, turn), (up, down, turn, first), (down, end, first, last)]

    def _between(self, first: float, last: float, share: Tensor) -> Any:
        if self.anneal_strategy == "linear":
            return first + (last - first) * share
        return along_cosine(first, last, share)


@dataclass(frozen=True)
class OneCycleLR(Schedule):
    """From max_lr/div_factor up to `max_lr`, and down to max_lr/(div_factor·final_div_factor).

    It is over after `total_steps` updates, then stays. `momentum()` is the schedule of the momentum
    beside it, which goes the other way, and which PyTorch's sets by itself:

        rate = OneCycleLR(0.1, total_steps=1000)
        opt = SGD(rate, momentum=rate.momentum())

    Source: L. Smith, N. Topin: Super-convergence, very fast training of neural networks using large
    learning rates (2017).
    """

    max_lr: float
    total_steps: int
    pct_start: float = 0.3
    anneal_strategy: str = "cos"
    div_factor: float = 25.0
    final_div_factor: float = 1e4
    three_phase: bool = False

    def __post_init__(self) -> None:
        for option in ("max_lr", "div_factor", "final_div_factor"):
            require_range("OneCycleLR", option, getattr(self, option), 0, UNBOUNDED)
        self._cycle(())

    def at(self, t: Tensor) -> Any:
        """See the class."""
        start = self.max_lr / self.div_factor
        return self._cycle((start, self.max_lr, start / self.final_div_factor)).at(t)

    def momentum(self, base_momentum: float = 0.85, max_momentum: float = 0.95) -> OneCycle:
        """From `max_momentum` down to `base_momentum`, while the rate goes up, and back."""
        return self._cycle((max_momentum, base_momentum, max_momentum))

    def _cycle(self, values: Any) -> OneCycle:
        shape = (self.total_steps, self.pct_start, self.anneal_strategy, self.three_phase)
        return OneCycle(values, *shape)


@dataclass(frozen=True)
class SequentialLR(Schedule):
    """One schedule after the other: at each milestone the next begins, from its own step 0.

    >>> warm = SequentialLR([LinearLR(1.0, 0.5, total_iters=2), PolynomialLR(1.0, 2)], [2])
    >>> [round(warm(t).item(), 3) for t in range(5)]
    [0.5, 0.75, 1.0, 0.5, 0.0]
    """

    schedulers: Sequence[Callable[[Any], Any]]
    milestones: Sequence[int]

    def __post_init__(self) -> None:
        object.__setattr__(self, "schedulers", tuple(self.schedulers))
        object.__setattr__(self, "milestones", tuple(self.milestones))
        if len(self.schedulers) != len(self.milestones) + 1:
            what = f"{len(self.schedulers)} schedules and {len(self.milestones)} milestones"
            raise UsageError(f"SequentialLR of {what}", fix="one milestone between each two")
        if list(self.milestones) != sorted(self.milestones):
            raise UsageError(f"SequentialLR with milestones {self.milestones}", fix="ascending")

    def at(self, t: Tensor) -> Any:
        """See the class."""
        value = self.schedulers[0](t)
        for start, schedule in zip(self.milestones, self.schedulers[1:], strict=True):
            later = schedule(functions.maximum(t - start, 0.0))
            value = where(t >= start, later, value)
        return value


@dataclass(frozen=True)
class ChainedLR(Scaled):
    """η times the scales of several schedules at once; the rates of these themselves do not count.

    PyTorch calls it `ChainedScheduler`.
    """

    schedulers: Sequence[Scaled]

    def require(self) -> None:
        """Only schedules that scale a rate."""
        object.__setattr__(self, "schedulers", tuple(self.schedulers))
        for each in self.schedulers:
            if not isinstance(each, Scaled):
                fix = "StepLR, LinearLR, ExponentialLR … multiply a rate"
                raise UsageError(f"ChainedLR of {type(each).__name__}", fix=fix)

    def scale(self, t: Tensor) -> Any:
        """See the class."""
        value: Any = 1.0
        for each in self.schedulers:
            value = value * each.scale(t)
        return value


# --------------------------------------------------------------------------------- by name


def _linear(lr: float, steps: int, warmup: int) -> Any:
    """Up in the warm-up, then down to 0."""
    down = PolynomialLR(lr, max(1, steps - warmup))
    if not warmup:
        return down
    up = LinearLR(lr, 1 / (warmup + 1), 1.0, warmup)
    return SequentialLR([up, down], [warmup])


def _steps(lr: float, steps: int, warmup: int) -> Any:
    """A tenth after half of the steps, a hundredth after three quarters."""
    _require_no_warmup("step", warmup)
    return MultiStepLR(lr, (steps // 2, steps * 3 // 4))


def _cosine(lr: float, steps: int, warmup: int) -> Any:
    return WarmupCosineLR(lr, warmup, max(steps, warmup + 1))


def _one_cycle(lr: float, steps: int, warmup: int) -> Any:
    _require_no_warmup("one_cycle", warmup)
    return OneCycleLR(lr, steps)


def _constant(lr: float, steps: int, warmup: int) -> Any:
    return LinearLR(lr, 1 / (warmup + 1), 1.0, warmup) if warmup else lr


SCHEDULES: dict[str, Callable[[float, int, int], Any]] = {
    "constant": _constant,
    "cosine": _cosine,
    "linear": _linear,
    "one_cycle": _one_cycle,
    "step": _steps,
}


def schedule(name: str, lr: float, steps: int, warmup: int = 0) -> Any:
    """The schedule of a name over a whole run of so many updates, after a linear warm-up.

    `constant`, `cosine` and `linear` (both down to 0), `one_cycle`, `step` (a tenth after half of
    the steps, a hundredth after three quarters); the last two have no warm-up. Raises UsageError
    for other names, and for a warm-up that is as long as the run.
    """
    if name not in SCHEDULES:
        raise UsageError(f"unknown schedule {name!r}", fix=did_you_mean(name, SCHEDULES))
    require_count("schedule", "steps", steps)
    require_count("schedule", "warmup", warmup, 0)
    if warmup >= steps and warmup:
        fix = f"less than the {steps} updates of the run"
        raise UsageError(f"a warm-up of {warmup} updates", fix=fix)
    return SCHEDULES[name](lr, steps, warmup)


def _require_no_warmup(name: str, warmup: int) -> None:
    if warmup:
        raise UsageError(f"the schedule {name!r} with a warm-up", fix="use cosine or linear")
