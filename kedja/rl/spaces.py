"""What an environment's spaces mean for a network: vectors in, numbers or a choice out.

Not here: the networks (`policies.py`). Next: `policies.py`.
"""

from __future__ import annotations

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


def observed(space: Any, observation: Any) -> Array:
    """An observation as a vector of float64; a discrete one as zeros with a one.

    Raises UnsupportedError for spaces of other kinds.
    """
    if isinstance(space, library().spaces.Discrete):
        one: Array = np.eye(int(space.n))[int(observation) - int(space.start)]
        return one
    if isinstance(space, library().spaces.Box):
        return np.asarray(observation, dtype=np.float64).ravel()
    raise _unsupported("observations", space)


def require_known(environment: gymnasium.Env[Any, Any]) -> None:
    """Raise UnsupportedError where observations or actions are neither Box nor Discrete."""
    known = (library().spaces.Box, library().spaces.Discrete)
    spaces = {"observations": environment.observation_space, "actions": environment.action_space}
    for what, space in spaces.items():
        if not isinstance(space, known):
            raise _unsupported(what, space)


def action_of(space: Any, output: Array) -> Any:
    """What `step` takes, of a policy's output: a whole number, or an array of the space's own."""
    if isinstance(space, library().spaces.Discrete):
        return int(output) + int(space.start)
    return within(space, np.asarray(output).reshape(space.shape))


def within(space: Any, actions: Array) -> Array:
    """Actions (…, *shape) of a Box, held within its bounds, in its dtype."""
    held: Array = np.clip(actions, space.low, space.high).astype(space.dtype, copy=False)
    return held


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
    there it is left out unless asked for. Raises UnsupportedError for spaces other than Box and
    Discrete.
    """
    spaces = library().spaces
    task = task_of(environment)
    seen, acts = environment.observation_space, environment.action_space
    scale = _scale(seen) if task is None else tuple(task.scale)
    bias = task is None if bias is None else bias
    shape: dict[str, Any] = {"hidden": hidden, "recurrent": recurrent, "bias": bias}
    if isinstance(acts, spaces.Discrete):
        return PolicyConfig(len(scale), int(acts.n), discrete=True, scale=scale, **shape)
    if not isinstance(acts, spaces.Box):
        raise _unsupported("actions", acts)
    low, high = (np.asarray(each, np.float64).ravel() for each in (acts.low, acts.high))
    bounded = bool(np.isfinite(low).all() and np.isfinite(high).all())
    if bounded:
        shape |= {"low": tuple(low.tolist()), "high": tuple(high.tolist())}
    return PolicyConfig(len(scale), len(low), scale=scale, **shape)


def _scale(space: Any) -> tuple[float, ...]:
    spaces = library().spaces
    if isinstance(space, spaces.Discrete):
        return (1.0,) * int(space.n)
    if not isinstance(space, spaces.Box):
        raise _unsupported("observations", space)
    widest = np.maximum(np.abs(space.low), np.abs(space.high)).astype(np.float64).ravel()
    useful = (widest > 0) & (widest < WIDEST)
    return tuple(np.where(useful, widest, 1.0).tolist())


def _unsupported(what: str, space: Any) -> UnsupportedError:
    return UnsupportedError(
        f"{what} of the kind {type(space).__name__}",
        fix="Box and Discrete are known; gymnasium.wrappers.FlattenObservation makes a Box of most",
    )
