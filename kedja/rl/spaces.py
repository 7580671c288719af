"""What an environment's spaces mean for a network: vectors in, numbers or a choice out.

Not here: the networks (`policies.py`). Next: `policies.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from kedja.ground.errors import UnsupportedError
from kedja.rl.environments import library
from kedja.rl.physics import Task
from kedja.rl.policies import PolicyConfig

if TYPE_CHECKING:
    import gymnasium

Array = np.ndarray[Any, np.dtype[Any]]

WIDEST = 100.0  # bounds beyond it say nothing about the size of an observation


def encoder(space: Any) -> Callable[[Any], Array]:
    """From an observation to a vector: the numbers of a Box, zeros with a one for each choice.

    The parts of a Tuple or Dict stand one after the other. Raises UnsupportedError for spaces of
    other kinds.
    """
    _require_seen(space)
    spaces = library().spaces
    if isinstance(space, spaces.Box):
        return lambda observation: np.asarray(observation, np.float64).ravel()
    if isinstance(space, spaces.Discrete):
        rows, start = np.eye(int(space.n), dtype=np.float32), int(space.start)
        return lambda observation: rows[int(observation) - start]
    return lambda observation: np.asarray(spaces.flatten(space, observation), np.float64)


def require_known(environment: gymnasium.Env[Any, Any]) -> None:
    """Raise UnsupportedError where observations or actions are of a kind that no network has."""
    _require_seen(environment.observation_space)
    _require_done(environment.action_space)


def has_numbers(space: Any) -> bool:
    """Whether an observation holds numbers, and not choices alone.

    Zeros with a one are no measurements: in standard deviations from their mean, what is seen in
    one of 500 places would be a 22 beside zeros.
    """
    spaces = library().spaces
    if isinstance(space, spaces.Tuple | spaces.Dict):
        return any(map(has_numbers, _parts(space)))
    return isinstance(space, spaces.Box)


def action_of(space: Any, output: Array) -> Any:
    """What `step` takes, of a policy's output: a whole number, or an array of the space's own."""
    if isinstance(space, library().spaces.Discrete):
        return int(output) + int(space.start)
    return actions_of(space, output)


def actions_of(space: Any, outputs: Array, *lead: int) -> Array:
    """Actions (*lead, *shape) of a space in its dtype, of a policy's outputs.

    Numbers are held within the bounds of a Box; choices begin where those of the space do.
    """
    shaped = np.asarray(outputs).reshape(*lead, *space.shape)
    if isinstance(space, library().spaces.Box):
        shaped = np.clip(shaped, space.low, space.high)
    else:
        shaped = shaped + getattr(space, "start", 0)
    made: Array = shaped.astype(space.dtype, copy=False)
    return made


def task_of(environment: gymnasium.Env[Any, Any]) -> Task | None:
    """What is to be balanced where the environment is one of our carts, else None."""
    task = getattr(environment.unwrapped, "task", None)
    return task if isinstance(task, Task) else None


def config_for(
    environment: gymnasium.Env[Any, Any],
    hidden: tuple[int, ...] = (),
    *,
    recurrent: bool = False,
    bias: bool | None = None,
) -> PolicyConfig:
    """The configuration of a policy for an environment.

    Observations are divided by their bounds where these are finite and below 100. Without `bias`
    a policy answers a mirrored observation with the mirrored action, which is right for our carts:
    there it is left out unless asked for. Raises UnsupportedError as `require_known` does.
    """
    require_known(environment)
    task = task_of(environment)
    scale = _scale(environment.observation_space) if task is None else tuple(task.scale)
    bias = task is None if bias is None else bias
    shape: dict[str, Any] = {"hidden": hidden, "recurrent": recurrent, "bias": bias}
    return PolicyConfig(len(scale), scale=scale, **shape, **action_config(environment.action_space))


def _scale(space: Any) -> tuple[float, ...]:
    box = library().spaces.flatten_space(space)
    widest = np.maximum(np.abs(box.low), np.abs(box.high)).astype(np.float64)
    useful = (widest > 0) & (widest < WIDEST)
    return tuple(np.where(useful, widest, 1.0).tolist())


def action_config(space: Any) -> dict[str, Any]:
    """What the configuration of a network says of the actions of a space."""
    spaces = library().spaces
    if isinstance(space, spaces.Discrete):
        return {"actions": int(space.n), "discrete": True}
    if not isinstance(space, spaces.Box):
        many = np.full(space.shape, 2) if isinstance(space, spaces.MultiBinary) else space.nvec
        choices = tuple(many.ravel().tolist())
        return {"actions": sum(choices), "discrete": True, "choices": choices}
    low, high = (np.asarray(each, np.float64).ravel() for each in (space.low, space.high))
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        return {"actions": len(low)}
    return {"actions": len(low), "low": tuple(low.tolist()), "high": tuple(high.tolist())}


def _require_seen(space: Any) -> None:
    """Raise UnsupportedError for observations that are no numbers or choices, or parts of these."""
    spaces = library().spaces
    if isinstance(space, spaces.Tuple | spaces.Dict):
        for part in _parts(space):
            _require_seen(part)
    elif not isinstance(space, _simple()):
        fix = "Box, Discrete, MultiDiscrete and MultiBinary are known, and Tuple and Dict of them"
        raise UnsupportedError(f"observations of the kind {type(space).__name__}", fix=fix)


def _parts(space: Any) -> Iterable[Any]:
    """The spaces of a Tuple or a Dict."""
    parts: Iterable[Any] = getattr(space.spaces, "values", lambda: space.spaces)()
    return parts


def _require_done(space: Any) -> None:
    """Raise UnsupportedError for actions that are neither numbers nor choices."""
    if not isinstance(space, _simple()):
        fix = "Box, Discrete, MultiDiscrete and MultiBinary are known; a gymnasium.ActionWrapper "
        raise UnsupportedError(
            f"actions of the kind {type(space).__name__}", fix=f"{fix}makes one of these of others"
        )


def _simple() -> tuple[type[Any], ...]:
    spaces = library().spaces
    return spaces.Box, spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary
