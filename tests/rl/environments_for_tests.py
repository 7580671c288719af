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


class Forgetful(Reach):
    """It does not repeat itself: its numbers do not come from the seed, and none comes twice."""

    def reset(self, *, seed=None, options=None):
        observation, info = super().reset(seed=None)
        return observation, info
