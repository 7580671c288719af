"""Tiny environments whose best policies are known. Not here: the tests that use them."""

from __future__ import annotations

import gymnasium
import numpy as np
from gymnasium import spaces


class Arms(gymnasium.Env):
    """One step: of two arms, the one that the observation's sign names pays 1, the other 0."""

    observation_space = spaces.Box(-1, 1, (1,), np.float32)
    action_space = spaces.Discrete(2, start=3)
    spec = None

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.shown = self.np_random.choice(np.array([-1, 1], np.float32), (1,))
        return self.shown, {}

    def step(self, action):
        return self.shown, float((self.shown[0] > 0) == (action == 4)), True, False, {}


class Reach(gymnasium.Env):
    """Four steps, cut off by time: the reward is −(a − target)², the target is what is shown."""

    observation_space = spaces.Box(-1, 1, (2,), np.float32)
    action_space = spaces.Box(np.array([-2, 0], np.float32), np.array([2, 3], np.float32))
    spec = None

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.time = 0
        return self._shown(), {}

    def step(self, action):
        target = np.array([2 * self.shown[0], 1.5 + 1.5 * self.shown[1]])
        self.time += 1
        reward = -float(np.square(action - target).sum())
        return self._shown(), reward, False, self.time == 4, {}

    def _shown(self):
        self.shown = self.np_random.uniform(-1, 1, 2).astype(np.float32)
        return self.shown


class Corridor(gymnasium.Env):
    """Places 0 to 5, start 2: right of 4 pays 1 and ends, left of 1 ends; time ends it, too."""

    observation_space = spaces.Discrete(6, start=-1)
    action_space = spaces.Discrete(2)
    spec = None

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place = 2
        return self.place - 1, {}

    def step(self, action):
        slips = self.np_random.random() < 0.1
        self.place += 1 if bool(action) != slips else -1
        ends = self.place in (0, 5)
        return self.place - 1, float(self.place == 5), ends, False, {}


class Switches(gymnasium.Env):
    """One step: of three choices the one that is shown pays 1, as does each of two switches."""

    observation_space = spaces.Dict(
        {"wanted": spaces.Discrete(3, start=1), "switches": spaces.MultiBinary(2)}
    )
    action_space = spaces.MultiDiscrete([3, 2, 2], start=[1, 0, 0])
    spec = None

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.wanted = self.np_random.integers(1, 4), *self.np_random.integers(0, 2, 2)
        return self._shown(), {}

    def step(self, action):
        assert self.action_space.contains(action)
        return self._shown(), float((action == self.wanted).sum()), True, False, {}

    def _shown(self):
        return {"wanted": self.wanted[0], "switches": np.array(self.wanted[1:], np.int8)}


class Keys(Switches):
    """Switches whose actions are all of two kinds, and whose observations are a Tuple."""

    observation_space = spaces.Tuple((spaces.Discrete(3, start=1), spaces.MultiBinary(2)))
    action_space = spaces.MultiBinary(3)

    def step(self, action):
        assert self.action_space.contains(action)
        right = action == (self.wanted[0] == 3, *self.wanted[1:])
        return self._shown(), float(right.sum()), True, False, {}

    def _shown(self):
        return tuple(super()._shown().values())


class Detour(gymnasium.Env):
    """It does not repeat itself, but shows 0 after every second step, and never pays."""

    observation_space = spaces.Discrete(1000)
    action_space = spaces.Discrete(2)
    spec = None

    def reset(self, *, seed=None, options=None):
        self.time = 0
        return 0, {}

    def step(self, action):
        self.time += 1
        shown = 0 if self.time % 2 == 0 else int(np.random.default_rng().integers(1000))
        return shown, 0.0, False, False, {}


class Lottery(Detour):
    """It shows the same whatever happens, but pays by chance."""

    def step(self, action):
        return 0, float(np.random.default_rng().random()), False, False, {}


class Forgetful(Reach):
    """It does not repeat itself: its numbers do not come from the seed, and none comes twice."""

    def reset(self, *, seed=None, options=None):
        observation, info = super().reset(seed=None)
        return observation, info
