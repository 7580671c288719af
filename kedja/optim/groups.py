"""Parameter groups: different optimisers, rates and weight decays for different parameters.

    opt = optim.Groups(
        {"matrices": optim.Muon(0.02), "others": optim.AdamW(3e-4)},
        by=lambda path, p: "matrices" if p.ndim == 2 else "others",
    )

Next: `names.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any, Self

from kedja.front.tensor import Tensor, as_tensor
from kedja.ground.errors import UsageError
from kedja.ground.suggest import did_you_mean
from kedja.optim.base import (
    Optimizer,
    Rate,
    State,
    exchanged,
    matching,
    require_optimizer,
    trained,
)

By = Callable[[str, Tensor], str] | Mapping[str, str]


@dataclass(frozen=True)
class Frozen(Optimizer):
    """Moves nothing: for groups of parameters that stay as they are."""

    lr: Rate = 0.0

    def init(self, params: Any) -> State:
        """Nothing to remember."""
        return {}

    def update(self, params: Any, grads: Any, state: State) -> tuple[Any, State]:
        """The parameters as they are."""
        return params, state


@dataclass(frozen=True)
class Groups(Optimizer):
    """An optimiser for each group of parameters.

    `by` says to which group a parameter belongs: a function of its dotted path and its tensor, or a
    mapping of patterns to groups, of which the first that fits the path counts:

        Groups({"slow": SGD(0.01), "fast": SGD(0.1)}, by={"encoder.*": "slow", "*": "fast"})

    The state holds that of each group under its name. What must see all gradients together, as
    clipping by norm, goes around it: ClipNorm(Groups(…)). Raises UsageError for a parameter
    without a group.
    """

    optimizers: Mapping[str, Optimizer]
    by: By

    def __post_init__(self) -> None:
        for each in self.optimizers.values():
            require_optimizer("Groups", each)
        if not (callable(self.by) or isinstance(self.by, Mapping)):
            fix = "a function of path and tensor, or a mapping of patterns to groups"
            raise UsageError(f"Groups with by={self.by!r}", fix=fix)

    @property
    def lr(self) -> Rate:  # type: ignore[override]
        """There is no one rate."""
        raise UsageError("groups have a rate each", fix="look at opt.optimizers[name].lr")

    def with_lr(self, lr: Rate) -> Self:
        """All groups at the same rate."""
        changed = {name: each.with_lr(lr) for name, each in self.optimizers.items()}
        return replace(self, optimizers=changed)

    def init(self, params: Any) -> State:
        """The state of each group."""
        groups = self._divided(params, [leaf for _, leaf in trained(params)])
        return {name: opt.init(groups[name]) for name, opt in self.optimizers.items()}

    def update(self, params: Any, grads: Any, state: State) -> tuple[Any, State]:
        """Each group's update."""
        old = self._divided(params, [leaf for _, leaf in trained(params)])
        given = self._divided(params, matching(params, grads))
        moved, states = {}, {}
        for name, opt in self.optimizers.items():
            part, states[name] = opt.update(old[name], given[name], state[name])
            moved.update(part)
        return exchanged(params, [moved[path] for path, _ in trained(params)]), states

    def observe(self, state: State, metric: Any) -> State:
        """Tell every group."""
        pairs = self.optimizers.items()
        return {name: each.observe(state[name], metric) for name, each in pairs}

    def averaged(self, params: Any, state: State) -> Any:
        """Each group's averages."""
        old = self._divided(params, [leaf for _, leaf in trained(params)])
        found: dict[str, Any] = {}
        for name, each in self.optimizers.items():
            found.update(each.averaged(old[name], state[name]))
        if all(found[path] is leaf for path, leaf in trained(params)):
            return params
        return exchanged(params, [found[path] for path, _ in trained(params)])

    def _divided(self, params: Any, values: Iterable[Any]) -> dict[str, dict[str, Any]]:
        """Values of the trained leaves by group and path."""
        groups: dict[str, dict[str, Any]] = {name: {} for name in self.optimizers}
        for (path, leaf), value in zip(trained(params), values, strict=True):
            groups[self._group(path, leaf)][path] = value
        return groups

    def _group(self, path: str, leaf: Any) -> str:
        name = self.by(path, as_tensor(leaf)) if callable(self.by) else _matched(self.by, path)
        if name not in self.optimizers:
            fix = did_you_mean(str(name), self.optimizers)
            raise UsageError(f"the parameter {path!r} belongs to the group {name!r}", fix=fix)
        return name


def _matched(patterns: Mapping[str, str], path: str) -> str:
    for pattern, name in patterns.items():
        if fnmatchcase(path, pattern):
            return name
    raise UsageError(
        f"no pattern fits the parameter {path!r}", fix="end with '*', which fits every one"
    )


def is_matrix(path: str, p: Tensor) -> bool:
    """Whether a parameter has two axes or more: weights do, biases and scales do not."""
    return p.ndim > 1


def no_decay(
    opt: Optimizer, keeps: Callable[[str, Tensor], bool] = is_matrix, **changes: Any
) -> Groups:
    """The optimiser with weight decay only where `keeps` holds: by default on matrices.

    Biases, and the scales and shifts of norms, are better left alone. `changes` are further options
    of the others, such as another `lr`. Raises UsageError for an optimiser without weight decay.
    """
    if not getattr(opt, "weight_decay", 0):
        fix = "for instance no_decay(optim.AdamW(1e-3, weight_decay=0.1))"
        raise UsageError(f"no_decay around {opt!r}, which has no weight decay", fix=fix)
    plain = replace(opt, weight_decay=0.0, **changes)  # type: ignore[type-var]
    return Groups({"decay": opt, "no_decay": plain}, by=Choice(keeps, "decay", "no_decay"))


@dataclass(frozen=True)
class Choice:
    """One of two groups, by a predicate of path and tensor."""

    holds: Callable[[str, Tensor], bool]
    yes: str
    no: str

    def __call__(self, path: str, p: Tensor) -> str:
        """The group of a parameter."""
        return self.yes if self.holds(path, p) else self.no
