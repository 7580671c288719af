"""What every optimiser does: a pure update of a tree of parameters.

    state = opt.init(params)
    params, state = opt.update(params, grads, state)

Parameters are any pytree of float tensors (a module, a dict, one tensor); gradients have the same
structure. The state is a dict of trees of tensors whose structure, shapes and dtypes never change,
so that `jit` and `Loop` can carry it. Fixed leaves (a module's buffers) are handed through.

`Leafwise` is the base of rules that treat one leaf after the other: its state holds "step", the
number of updates made, and for each slot a tree like the parameters. `Wrapper` is the base of what
stands around another optimiser (clipping, averages, groups …). Not here: the rules. Next: `sgd.py`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar, Self

from kedja.front import evaluate, functions, tree
from kedja.front.tensor import Tensor, as_tensor, from_value
from kedja.ground.absent import OPTIMIZER, absent
from kedja.ground.dtypes import float64, int64, is_float
from kedja.ground.errors import DtypeError, ShapeError, UsageError

Rate = float | Tensor | Callable[[Tensor], Any]
Slots = dict[str, Tensor]
State = dict[str, Any]

UNBOUNDED = math.inf


class Optimizer(ABC):
    """The base of all optimisers; see the module's text.

    `lr` is a number, a scalar tensor, or a function of the number of updates made before (an
    int64 tensor), such as those of `schedules.py`.
    """

    lr: Rate

    if not TYPE_CHECKING:  # to which a class with this method would have every attribute

        def __getattr__(self, name: str) -> Any:
            """Called for what is not there."""
            raise absent(self, name, OPTIMIZER)

    @abstractmethod
    def init(self, params: Any) -> State:
        """The state before the first update.

        Raises DtypeError for a parameter that is no float.
        """

    @abstractmethod
    def update(self, params: Any, grads: Any, state: State) -> tuple[Any, State]:
        """New parameters, of the old dtypes, and the new state; nothing is changed in place.

        Raises UsageError where the structures differ, ShapeError where a gradient has another
        shape than its parameter.
        """

    def with_lr(self, lr: Rate) -> Self:
        """The same optimiser with another learning rate."""
        changed: Self = replace(self, lr=lr)  # type: ignore[type-var]
        return changed

    def observe(self, state: State, metric: Any) -> State:
        """The state once a figure of quality is known; only `OnPlateau` makes use of it."""
        return state

    def averaged(self, params: Any, state: State) -> Any:
        """The parameters to predict with: an average where this optimiser keeps one."""
        return params


class Leafwise(Optimizer):
    """The base of rules for one parameter at a time; see the module's text."""

    maximize: bool = False
    slots: ClassVar[tuple[str, ...]] = ()

    def init(self, params: Any) -> State:
        """Step 0, every slot as `start` gives it."""
        for path, leaf in trained(params):
            self.require(path, as_tensor(leaf))
        state: State = {"step": Tensor(0, int64)}
        for slot in self._used():
            state[slot] = self._started(slot, params)
        return state

    def _started(self, slot: str, params: Any) -> Any:
        return shaped_like(params, [self.start(slot, as_tensor(p)) for _, p in trained(params)])

    def update(self, params: Any, grads: Any, state: State) -> tuple[Any, State]:
        """See `Optimizer.update`."""
        given = matching(params, grads)
        old = [leaf for _, leaf in trained(params)]
        slots = {slot: tree.leaves(state[slot]) for slot in self._used()}
        now = self.moment(as_tensor(state["step"]), state)
        results = [
            self._leaf(leaf, g, {slot: slots[slot][place] for slot in slots}, now)
            for place, (leaf, g) in enumerate(zip(old, given, strict=True))
        ]
        moved: State = self.counted(state, now)
        for slot in slots:
            moved[slot] = shaped_like(params, [each[slot] for _, each in results])
        both: tuple[Any, State] = settled((exchanged(params, [new for new, _ in results]), moved))
        return both

    def _leaf(self, leaf: Any, g: Tensor, slots: Slots, now: Any) -> tuple[Tensor, Slots]:
        old = as_tensor(leaf)
        p = old.detach() if old.tracks else old  # the update is not part of any later gradient
        g = g.astype(p.dtype)
        new, slots = self.rule(p, -g if self.maximize else g, slots, now)
        return (marked_like(old, new) if old.requires_grad else new), slots

    def moment(self, step: Tensor, state: State) -> Any:
        """What all parameters share in one update, from the number of updates before: the rate."""
        return self.rate(step)

    def rate(self, step: Tensor) -> Any:
        """The learning rate as a number or a scalar tensor."""
        return at(self.lr, step)

    def counted(self, state: State, now: Any) -> State:
        """The part of the new state that is no slot: one more update is made."""
        return {"step": as_tensor(state["step"]) + 1}

    def start(self, slot: str, p: Tensor) -> Tensor:
        """A slot of a parameter before the first update."""
        return functions.zeros_like(p)

    def require(self, path: str, p: Tensor) -> None:
        """Raise an error for a parameter that this rule does not take."""
        require_float(path, p)

    def _used(self) -> tuple[str, ...]:
        """The slots that these options need."""
        return self.slots

    @abstractmethod
    def rule(self, p: Tensor, g: Tensor, slots: Slots, now: Any) -> tuple[Tensor, Slots]:
        """The new parameter and slots from one parameter, its gradient and slots."""


@dataclass(frozen=True)
class Wrapper(Optimizer):
    """Something around another optimiser, whose state stands under "inner"."""

    inner: Optimizer

    def __post_init__(self) -> None:
        require_optimizer(type(self).__name__, self.inner)

    @property
    def lr(self) -> Rate:  # type: ignore[override]
        """The rate of the optimiser inside."""
        return self.inner.lr

    def with_lr(self, lr: Rate) -> Self:
        """The same around an optimiser of another rate."""
        return replace(self, inner=self.inner.with_lr(lr))

    def observe(self, state: State, metric: Any) -> State:
        """Tell the optimiser inside."""
        return {**state, "inner": self.inner.observe(state["inner"], metric)}

    def averaged(self, params: Any, state: State) -> Any:
        """As the optimiser inside has it."""
        return self.inner.averaged(params, state["inner"])


# ------------------------------------------------------------------------------------ trees


def trained(params: Any) -> list[tuple[str, Any]]:
    """The leaves that an optimiser moves, with their dotted paths: all but the fixed ones."""
    moves = tree.trainable(tree.flatten(params)[1])
    return [each for each, move in zip(tree.paths(params), moves, strict=True) if move]


def exchanged(params: Any, moved: Sequence[Any]) -> Any:
    """The parameters with other trained leaves."""
    leaves, structure = tree.flatten(params)
    fresh = iter(moved)
    moves = tree.trainable(structure)
    new = [next(fresh) if move else leaf for leaf, move in zip(leaves, moves, strict=True)]
    return tree.unflatten(structure, new)


def shaped_like(params: Any, values: Sequence[Any]) -> Any:
    """A tree like the parameters with one value for each trained leaf, None at the fixed ones."""
    structure = tree.flatten(params)[1]
    fresh = iter(values)
    places = [next(fresh) if move else None for move in tree.trainable(structure)]
    return tree.unflatten(structure, places)


def matching(params: Any, grads: Any) -> list[Tensor]:
    """The gradients of the trained leaves, in order.

    Raises UsageError and ShapeError as `Optimizer.update` does.
    """
    structure = tree.flatten(params)[1]
    if tree.flatten(grads)[1] != structure:
        raise UsageError(
            "the gradients have another structure than the parameters",
            fix="take them of the same tree: kj.grad(loss)(params)",
        )
    found = [as_tensor(each) for _, each in trained(grads)]
    for (path, leaf), g in zip(trained(params), found, strict=True):
        shape = as_tensor(leaf).shape
        if shape != g.shape:
            name = path or "the parameter"
            raise ShapeError(f"a gradient of shape {list(g.shape)} for {name} of {list(shape)}")
    return found


def named(path: str) -> str:
    """A parameter in an error's sentence."""
    return f"the parameter {path!r}" if path else "the parameter"


def marked_like(old: Tensor, new: Tensor) -> Tensor:
    """A fresh leaf that wants a gradient, as the old one did, with its name."""
    return Tensor(new.numpy(), requires_grad=True, name=old.node.attrs.get("name", ""))


def settled(results: Any) -> Any:
    """The results with values where these can be computed now: a loop of updates grows no graph.

    Fixed leaves stay the objects that they are: a module's state knows its buffers by identity.
    """
    leaves, structure = tree.flatten(results)
    moves = tree.trainable(structure)
    lazy = [each for each, move in zip(leaves, moves, strict=True) if move and _is_lazy(each)]
    values = evaluate.values([each.node for each in lazy])
    found = {id(each): from_value(value) for each, value in zip(lazy, values, strict=True)}
    return tree.unflatten(structure, [found.get(id(each), each) for each in leaves])


def _is_lazy(x: Any) -> bool:
    return isinstance(x, Tensor) and not x.is_computed and not x.tracks and x.is_known


# ------------------------------------------------------------------------------- arithmetic


def at(rate: Any, step: Tensor) -> Any:
    """A rate that may be a function of the step, at a step."""
    return rate(step) if callable(rate) else rate


def scalar(value: Any, p: Tensor) -> Any:
    """A rate or correction in the dtype of a parameter; plain numbers stay what they are."""
    if isinstance(value, bool | int | float):
        return value
    return as_tensor(value).astype(p.dtype)


def wide(value: Any) -> Tensor:
    """A rate as a float64 scalar."""
    plain = isinstance(value, int | float)
    return Tensor(value, float64) if plain else as_tensor(value).astype(float64)


def remaining(decay: Any, step: Tensor) -> Tensor:
    """1 − decay^(step + 1) in float64, exact also where decay is close to 1.

    By it, averages that started at 0 are corrected (Kingma and Ba, 2014, section 3).
    """
    count = (step + 1).astype(float64)
    if isinstance(decay, Tensor):
        return -functions.expm1(count * functions.log(decay.astype(float64)))
    if decay == 0:
        return Tensor(1.0, float64)
    return -functions.expm1(count * math.log(decay))


def averaged(average: Tensor, x: Tensor, decay: Any) -> Tensor:
    """decay·average + (1 − decay)·x, exactly x where the decay is 0."""
    if isinstance(decay, int | float) and decay < 0.5:
        return x - decay * (x - average)
    nearer: Tensor = average + (1 - decay) * (x - average)
    return nearer


# ------------------------------------------------------------------------------------ checks


def require_rate(name: str, lr: Rate, option: str = "lr") -> None:
    """Raise UsageError unless the rate is a function, a scalar tensor, or a number from 0."""
    scalar_tensor = isinstance(lr, Tensor) and lr.shape == () and is_float(lr.dtype)
    if not (callable(lr) or scalar_tensor):
        require_range(name, option, lr, 0, UNBOUNDED)


def require_range(name: str, option: str, value: Any, low: float, high: float) -> None:
    """Raise UsageError unless low ≤ value < high."""
    plain = isinstance(value, Real) and not isinstance(value, bool)
    if not (plain and low <= value < high):
        bound = f"from {low:g}" if high == UNBOUNDED else f"from {low:g} to below {high:g}"
        raise UsageError(f"{name} with {option}={value!r}", fix=f"{option} is a number {bound}")


def require_count(name: str, option: str, value: Any, low: int = 1) -> None:
    """Raise UsageError unless this is a whole number from `low`."""
    if not isinstance(value, Integral) or isinstance(value, bool) or value < low:
        fix = f"{option} is a whole number from {low}"
        raise UsageError(f"{name} with {option}={value!r}", fix=fix)


def require_float(path: str, p: Tensor) -> None:
    """Raise DtypeError unless a parameter is a float."""
    if not is_float(p.dtype):
        raise DtypeError(
            f"{named(path)} is {p.dtype.name}", fix="parameters are floats: astype(kj.float32)"
        )


def require_optimizer(name: str, given: Any) -> None:
    """Raise UsageError unless something has the methods of an optimiser."""
    if not isinstance(given, Optimizer):
        raise UsageError(
            f"{name} around {given!r}, which is no optimizer",
            fix="give one of kj.optim, for instance kj.optim.SGD(0.1)",
        )
