"""What every optimiser does: a pure update of a tree of parameters, one leaf after the other.

    state = opt.init(params)
    params, state = opt.update(params, grads, state)

Parameters are any pytree of float tensors (a module, a dict, one tensor); gradients have the same
structure. The state is a dict: "step", the number of updates made, and for each slot of the
optimiser a tree like the parameters. Its structure never changes, and every number that changes
is a tensor, so that `jit` and `Loop` can carry it. Not here: the rules (`sgd.py`, `adam.py`,
`rmsprop.py`). Next: `sgd.py`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from numbers import Real
from typing import Any, ClassVar

from kedja.front import functions, tree
from kedja.front.tensor import Tensor, as_tensor
from kedja.ground.dtypes import float64, int64, is_float
from kedja.ground.errors import DtypeError, ShapeError, UsageError

Rate = float | Callable[[Tensor], Any]
Slots = dict[str, Tensor]
State = dict[str, Any]


class Optimizer(ABC):
    """The base of all optimisers; see the module's text.

    `lr` is a number, or a function of the number of updates made before (an int64 tensor).
    """

    lr: Rate
    slots: ClassVar[tuple[str, ...]] = ()

    def init(self, params: Any) -> State:
        """The state before the first update: step 0, every slot zero.

        Raises DtypeError for a parameter that is no float.
        """
        for path, leaf in tree.paths(params):
            _require_float(path, leaf)
        state: State = {"step": Tensor(0, int64)}
        for slot in self._used():
            state[slot] = tree.map(functions.zeros_like, params)
        return state

    def update(self, params: Any, grads: Any, state: State) -> tuple[Any, State]:
        """New parameters, of the old dtypes, and the new state; nothing is changed in place.

        Raises UsageError where the structures differ, ShapeError where a gradient has another
        shape than its parameter.
        """
        leaves, structure = tree.flatten(params)
        given = _matching(params, grads, structure)
        slots = {slot: tree.leaves(state[slot]) for slot in self._used()}
        now = self.moment(as_tensor(state["step"]))
        results = [
            self._leaf(leaf, g, {slot: slots[slot][place] for slot in slots}, now)
            for place, (leaf, g) in enumerate(zip(leaves, given, strict=True))
        ]
        moved: State = {"step": as_tensor(state["step"]) + 1}
        for slot in slots:
            moved[slot] = tree.unflatten(structure, [each[slot] for _, each in results])
        return tree.unflatten(structure, [new for new, _ in results]), moved

    def _leaf(self, leaf: Any, g: Tensor, slots: Slots, now: Any) -> tuple[Tensor, Slots]:
        old = as_tensor(leaf)
        p = old.detach() if old.tracks else old  # the update is not part of any later gradient
        new, slots = self.rule(p, g.astype(p.dtype), slots, now)
        return (marked_like(old, new) if old.requires_grad else new), slots

    def moment(self, step: Tensor) -> Any:
        """What all parameters share in one update, from the number of updates before: the rate."""
        return self.rate(step)

    def rate(self, step: Tensor) -> Any:
        """The learning rate as a number or a scalar tensor."""
        return self.lr(step) if callable(self.lr) else self.lr

    def _used(self) -> tuple[str, ...]:
        """The slots that these options need."""
        return self.slots

    @abstractmethod
    def rule(self, p: Tensor, g: Tensor, slots: Slots, now: Any) -> tuple[Tensor, Slots]:
        """The new parameter and slots from one parameter, its gradient and slots."""


def marked_like(old: Tensor, new: Tensor) -> Tensor:
    """A fresh leaf that wants a gradient, as the old one did, with its name."""
    return Tensor(new.numpy(), requires_grad=True, name=old.node.attrs.get("name", ""))


def _require_float(path: str, leaf: Any) -> None:
    dtype = as_tensor(leaf).dtype
    if not is_float(dtype):
        name = f"the parameter {path!r}" if path else "the parameter"
        raise DtypeError(f"{name} is {dtype.name}", fix="parameters are floats: astype(kj.float32)")


def _matching(params: Any, grads: Any, structure: tree.Structure) -> list[Tensor]:
    """The gradients in the order of the parameters, each of its parameter's shape."""
    given, other = tree.flatten(grads)
    if other != structure:
        raise UsageError(
            "the gradients have another structure than the parameters",
            fix="take them of the same tree: kj.grad(loss)(params)",
        )
    tensors = [as_tensor(each) for each in given]
    for (path, leaf), g in zip(tree.paths(params), tensors, strict=True):
        shape = as_tensor(leaf).shape
        if shape != g.shape:
            name = path or "the parameter"
            raise ShapeError(f"a gradient of shape {list(g.shape)} for {name} of {list(shape)}")
    return tensors


# ------------------------------------------------------------------------------- arithmetic


def scalar(value: Any, p: Tensor) -> Any:
    """A rate or correction in the dtype of a parameter; plain numbers stay what they are."""
    if isinstance(value, bool | int | float):
        return value
    return as_tensor(value).astype(p.dtype)


def remaining(decay: float, step: Tensor) -> Tensor:
    """1 − decay^(step + 1) in float64, exact also where decay is close to 1.

    By it, averages that started at 0 are corrected (Kingma and Ba, 2014, section 3).
    """
    if decay == 0:
        return Tensor(1.0, float64)
    return -functions.expm1((step + 1).astype(float64) * math.log(decay))


def averaged(average: Tensor, x: Tensor, decay: float) -> Tensor:
    """decay·average + (1 − decay)·x."""
    return average + (1 - decay) * (x - average)


# ------------------------------------------------------------------------------------ checks


def require_rate(name: str, lr: Rate) -> None:
    """Raise UsageError unless the rate is a function or a number from 0."""
    if not callable(lr):
        require_range(name, "lr", lr, 0, float("inf"))


def require_range(name: str, option: str, value: float, low: float, high: float) -> None:
    """Raise UsageError unless low ≤ value < high."""
    plain = isinstance(value, Real) and not isinstance(value, bool)
    if not (plain and low <= value < high):
        bound = f"from {low:g}" if high == float("inf") else f"from {low:g} to below {high:g}"
        raise UsageError(f"{name} with {option}={value!r}", fix=f"{option} is a number {bound}")
