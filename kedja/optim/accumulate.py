"""Updates from several small batches at once, and the running average of the parameters.

Not here: the average inside ASGD (`sgd.py`). Next: `groups.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kedja.front import functions, tree
from kedja.front.arithmetic import where
from kedja.front.tensor import Tensor, as_tensor
from kedja.ground.dtypes import int64
from kedja.optim.base import (
    State,
    Wrapper,
    exchanged,
    marked_like,
    matching,
    require_count,
    require_range,
    settled,
    shaped_like,
    trained,
)


@dataclass(frozen=True)
class Accumulate(Wrapper):
    """One update from the mean gradient of every `steps` calls; in between nothing moves.

    The memory of small batches, the steps of a batch `steps` times as large. Schedules count the
    updates that are made.

    >>> from kedja.optim.sgd import SGD
    >>> opt, w = Accumulate(SGD(1.0), steps=2), as_tensor(0.0)
    >>> state = opt.init(w)
    >>> for g in (1.0, 3.0):
    ...     w, state = opt.update(w, as_tensor(g), state)
    ...     print(w.item())
    0.0
    -2.0
    """

    steps: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        require_count("Accumulate", "steps", self.steps)

    def init(self, params: Any) -> State:
        """No gradient yet."""
        zeros = [functions.zeros_like(leaf) for _, leaf in trained(params)]
        sums = shaped_like(params, zeros)
        return {"count": Tensor(0, int64), "inner": self.inner.init(params), "sum": sums}

    def update(self, params: Any, grads: Any, state: State) -> tuple[Any, State]:
        """One more gradient; every `steps` of them the update inside."""
        given = matching(params, grads)
        pairs = zip(tree.leaves(state["sum"]), given, strict=True)
        sums = [total + g.astype(total.dtype) for total, g in pairs]
        count = as_tensor(state["count"]) + 1
        due = count == self.steps
        if due.is_known and not bool(due):
            waiting: State = settled({"count": count, "sum": shaped_like(params, sums)})
            return _afresh(params), {**state, **waiting}
        mean = exchanged(params, [each / self.steps for each in sums])
        moved, inner = self.inner.update(params, mean, state["inner"])
        kept = {
            "count": where(due, 0, count),
            "inner": _chosen(due, inner, state["inner"]),
            "sum": shaped_like(params, [where(due, 0, each) for each in sums]),
        }
        both: tuple[Any, State] = settled((_chosen(due, moved, params), kept))
        return both


def _afresh(params: Any) -> Any:
    """The same parameters; those that collect a gradient begin anew."""
    leaves = [as_tensor(leaf) for _, leaf in trained(params)]
    return exchanged(params, [marked_like(p, p) if p.requires_grad else p for p in leaves])


def _chosen(due: Tensor, new: Any, old: Any) -> Any:
    """The new tree where an update is due, else the old one."""
    if due.is_known:
        return new
    pairs = zip(trained(new), trained(old), strict=True)
    return exchanged(new, [where(due, one, other) for (_, one), (_, other) in pairs])


@dataclass(frozen=True)
class EMA(Wrapper):
    """The exponential moving average of the parameters beside an optimiser:

        a ← decay·a + (1 − decay)·p        (a ← p the first time)

    `averaged(params, state)` gives a, with which networks often predict better; `fit` validates
    with it and returns it. Fixed leaves are those of the parameters. As `AveragedModel` of PyTorch
    with `get_ema_multi_avg_fn`.
    Source: B. Polyak, A. Juditsky: Acceleration of stochastic approximation by averaging (1992).

    >>> from kedja.optim.sgd import SGD
    >>> opt, w = EMA(SGD(1.0), decay=0.75), as_tensor(0.0)
    >>> state = opt.init(w)
    >>> for g in (1.0, 4.0):
    ...     w, state = opt.update(w, as_tensor(g), state)
    >>> w.item(), opt.averaged(w, state).item()
    (-5.0, -2.0)
    """

    decay: float = 0.999

    def __post_init__(self) -> None:
        super().__post_init__()
        require_range("EMA", "decay", self.decay, 0, 1)

    def init(self, params: Any) -> State:
        """The average starts at the parameters."""
        copies = [as_tensor(leaf).detach() for _, leaf in trained(params)]
        start = shaped_like(params, copies)
        return {"average": start, "begun": Tensor(0, int64), "inner": self.inner.init(params)}

    def update(self, params: Any, grads: Any, state: State) -> tuple[Any, State]:
        """The update inside, and the average moved towards what it gives."""
        moved, inner = self.inner.update(params, grads, state["inner"])
        first = as_tensor(state["begun"]) == 0
        pairs = zip(tree.leaves(state["average"]), trained(moved), strict=True)
        averages = [self._nearer(a, as_tensor(p).detach(), first) for a, (_, p) in pairs]
        average = shaped_like(params, averages)
        begun = functions.ones_like(state["begun"])
        return moved, settled({"average": average, "begun": begun, "inner": inner})

    def _nearer(self, average: Tensor, p: Tensor, first: Tensor) -> Tensor:
        return where(first, p, average + (1 - self.decay) * (p - average))

    def averaged(self, params: Any, state: State) -> Any:
        """The average, with the fixed leaves of `params`."""
        return exchanged(params, tree.leaves(state["average"]))
