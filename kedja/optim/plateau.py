"""A learning rate that falls when a figure of quality no longer improves.

Such a rate cannot be a function of the step: it needs the figure. `ReduceLROnPlateau` is the rule,
a pure update of a state of tensors; `OnPlateau` holds it around an optimiser. Next: `clip.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import Any

from kedja.front import functions
from kedja.front.arithmetic import where
from kedja.front.tensor import Tensor, as_tensor
from kedja.ground.dtypes import float64, int64
from kedja.ground.errors import UsageError
from kedja.optim.base import (
    UNBOUNDED,
    State,
    Wrapper,
    require_count,
    require_range,
    settled,
)


@dataclass(frozen=True)
class ReduceLROnPlateau:
    """The rate times `factor` after more than `patience` figures in a row without a new best.

    A figure is a new best if it lies below the best (mode "min"; else above) by `threshold`: as a
    share of the best ("rel") or as it is ("abs"). After a cut, `cooldown` figures do not count as
    bad. The rate never falls below `min_lr`, and changes of `eps` or less are left out. As in
    PyTorch. Raises UsageError for options out of range.

    >>> rule = ReduceLROnPlateau(factor=0.5, patience=1)
    >>> state = rule.init(1.0)
    >>> for loss in (3.0, 2.0, 2.0, 2.0, 2.0, 1.0):
    ...     state = rule.update(state, loss)
    >>> state["lr"].item(), state["best"].item()
    (0.5, 1.0)
    """

    mode: str = "min"
    factor: float = 0.1
    patience: int = 10
    threshold: float = 1e-4
    threshold_mode: str = "rel"
    cooldown: int = 0
    min_lr: float = 0.0
    eps: float = 1e-8

    def __post_init__(self) -> None:
        name = "ReduceLROnPlateau"
        for option, allowed in (("mode", ("min", "max")), ("threshold_mode", ("rel", "abs"))):
            if getattr(self, option) not in allowed:
                what = f"{name} with {option}={getattr(self, option)!r}"
                raise UsageError(what, fix=f"one of {', '.join(allowed)}")
        require_range(name, "factor", self.factor, 0, 1)
        for option in ("threshold", "min_lr", "eps"):
            require_range(name, option, getattr(self, option), 0, UNBOUNDED)
        for option in ("patience", "cooldown"):
            require_count(name, option, getattr(self, option), 0)

    def init(self, lr: float) -> State:
        """The state before the first figure: the rate, the best figure, and two counts."""
        best = UNBOUNDED if self.mode == "min" else -UNBOUNDED
        return {
            "bad": Tensor(0, int64),
            "best": Tensor(best, float64),
            "cooling": Tensor(0, int64),
            "lr": Tensor(lr, float64),
        }

    def update(self, state: State, metric: Any) -> State:
        """The state after one more figure."""
        figure = as_tensor(metric).astype(float64)
        better = self._is_better(figure, state["best"])
        cooling = as_tensor(state["cooling"])
        bad = where(better | (cooling > 0), 0, state["bad"] + 1)
        cut = bad > self.patience
        found = {
            "bad": where(cut, 0, bad),
            "best": where(better, figure, state["best"]),
            "cooling": where(cut, self.cooldown, functions.maximum(cooling - 1, 0)),
            "lr": where(cut, self._lowered(state["lr"]), state["lr"]),
        }
        done: State = settled(found)
        return done

    def _is_better(self, figure: Tensor, best: Any) -> Tensor:
        sign = -1 if self.mode == "min" else 1
        relative = self.threshold_mode == "rel"
        bound = best * (1 + sign * self.threshold) if relative else best + sign * self.threshold
        better: Tensor = figure < bound if self.mode == "min" else figure > bound
        return better

    def _lowered(self, lr: Any) -> Tensor:
        lower = functions.maximum(lr * self.factor, self.min_lr)
        return where(lr - lower > self.eps, lower, lr)


@dataclass(frozen=True)
class OnPlateau(Wrapper):
    """An optimiser whose rate falls by `rule`, once `observe(state, figure)` is told the figures.

    `fit` tells it the validation loss (without validation data the training loss) after each epoch.
    The optimiser's own `lr` is the rate to start with, and must be a number.

    >>> from kedja.optim.sgd import SGD
    >>> opt = OnPlateau(SGD(1.0), ReduceLROnPlateau(patience=0))
    >>> state = opt.init(as_tensor(1.0))
    >>> for loss in (2.0, 2.0):
    ...     state = opt.observe(state, loss)
    >>> round(opt.update(as_tensor(1.0), as_tensor(1.0), state)[0].item(), 6)
    0.9
    """

    rule: ReduceLROnPlateau = ReduceLROnPlateau()

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.inner.lr, Real):
            raise UsageError(
                "OnPlateau around an optimizer whose rate is no number",
                fix="a rate follows a schedule or a figure, not both",
            )

    def init(self, params: Any) -> State:
        """The state inside, and that of the rule."""
        rate = float(self.inner.lr)  # type: ignore[arg-type]
        return {"inner": self.inner.init(params), "plateau": self.rule.init(rate)}

    def update(self, params: Any, grads: Any, state: State) -> tuple[Any, State]:
        """As the optimiser inside, at the present rate."""
        inner = self.inner.with_lr(as_tensor(state["plateau"]["lr"]))
        params, moved = inner.update(params, grads, state["inner"])
        return params, {**state, "inner": moved}

    def observe(self, state: State, metric: Any) -> State:
        """The state after one more figure."""
        return {**state, "plateau": self.rule.update(state["plateau"], metric)}
