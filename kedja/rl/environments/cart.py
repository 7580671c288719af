"""The cart with poles as a Gymnasium environment.

Not here: the equations of motion (`../physics.py`), the same in one program for thousands of carts
(`../fleet.py`), drawing (`../rendering.py`). Next: `../evolution/evolve.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from kedja.ground.errors import UsageError
from kedja.rl import physics
from kedja.rl.physics import Task
from kedja.rl.rendering import picture

Array = np.ndarray[Any, np.dtype[Any]]
Info = dict[str, Any]

METADATA: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 50}
FASTEST = 1000.0  # m/s and rad/s: nothing that has not failed moves so fast


class Cart(gymnasium.Env[Array, Any]):
    """A cart that keeps its poles up: Wieland's equations, a push every 0.02 s.

    **Observation**, float64: x in m, ẋ in m/s, then θ in rad and θ̇ in rad/s of each pole; without
    velocities x and the angles alone. **Action**: a number in [-1, 1], times 10 N; where the task
    is discrete, 0 pushes with -10 N and 1 with +10 N. **Reward**: 1 for each step. The episode
    ends where |x| > 2.4 m or an angle leaves ±36°. It starts with the long pole at 0.07 rad and all
    else at rest, moved by the task's `spread`; `reset(options={"state": …})` starts from another
    state. `info["unrest"]` is |x| + |ẋ| + |θ| + |θ̇| of the long pole, for Gruau's fitness.

    >>> from kedja.rl.physics import ONE
    >>> cart = Cart(Task(ONE), discrete=True)
    >>> observation, info = cart.reset(seed=1)
    >>> observation, reward, terminated, truncated, info = cart.step(1)
    >>> [round(float(part), 3) for part in observation], reward, terminated
    ([0.002, 0.194, 0.067, -0.27], 1.0, False)
    """

    metadata = METADATA

    def __init__(
        self,
        task: Task,
        render_mode: str | None = None,
        discrete: bool | None = None,
        spread: float | None = None,
    ) -> None:
        given = {"discrete": discrete, "spread": spread}
        changes: dict[str, Any] = {k: value for k, value in given.items() if value is not None}
        self.task = replace(task, **changes)
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise UsageError(f"render_mode is {render_mode!r}", fix="'rgb_array' or None")
        self.render_mode = render_mode
        self.observation_space = _observations(self.task)
        self.action_space = (
            spaces.Discrete(2) if self.task.discrete else spaces.Box(-1.0, 1.0, (1,), np.float64)
        )
        self.state = physics.start(self.task.poles)
        self.force = 0.0

    def reset(
        self, *, seed: int | None = None, options: Mapping[str, Any] | None = None
    ) -> tuple[Array, Info]:
        """A new episode; `options={"state": numbers}` says from where."""
        super().reset(seed=seed)
        usual = physics.start(self.task.poles)
        state = (options or {}).get("state")
        if state is None:
            moves = self.np_random.uniform(-self.task.spread, self.task.spread, len(usual))
            state = np.asarray(usual) + moves
        if len(state) != len(usual):
            raise UsageError(f"a state of {len(state)} numbers", fix=f"{len(usual)} numbers")
        self.state = tuple(float(part) for part in state)
        self.force = 0.0
        return self._seen(), self._info()

    def step(self, action: Any) -> tuple[Array, float, bool, bool, Info]:
        """Push for 0.02 s."""
        given = float(action) if self.task.discrete else min(1.0, max(-1.0, float(action[0])))
        self.force = self.task.force(given)
        self.state = physics.step(self.state, self.force, self.task.poles)
        return self._seen(), 1.0, bool(physics.failed(self.state)), False, self._info()

    def render(self) -> Any:
        """A picture (height, width, 3) of bytes where the mode is rgb_array, else None."""
        if self.render_mode is None:
            return None
        return picture(self.state, self.task.poles, self.force)

    def _seen(self) -> Array:
        return np.array(self.task.seen(self.state))

    def _info(self) -> Info:
        return {"unrest": physics.unrest(self.state)}


def _observations(task: Task) -> spaces.Box:
    """Twice the bounds of positions, since the last observation lies beyond them."""
    bounds = [2 * physics.TRACK, FASTEST, *[2 * physics.ANGLE, FASTEST] * len(task.poles)]
    high = np.array(task.seen(bounds))
    return spaces.Box(-high, high, dtype=np.float64)
