"""DQN in environments: known values are found, the same seed learns the same bits, runs resume.

Not here: targets, losses and the replay memory (`test_rl_q_learning.py`).
"""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("gymnasium")

import gymnasium

from kedja.ground.errors import Interrupted, UnsupportedError, UsageError
from kedja.ground.flags import scope
from kedja.rl import agent_of, learn, make, play
from kedja.rl.copies import Copies
from kedja.rl.q_learning.dqn import DQN
from tests.rl.environments_for_tests import Arms, Corridor, Reach
from tests.rl.interrupting import interrupted_after

QUIET = {"progress": False, "seed": 3}
SMALL = {
    "copies": 4,
    "rollout": 16,
    "updates": 16,
    "batch": 32,
    "target_every": 16,
    "hidden": (16,),
    "start": 100,
    "explore": 2000,
    "memory": 500,
}


def worth(gamma):
    """Q* (6, 2) of the corridor, by 200 sweeps of the equation itself; rows 0 and 5 are ends."""
    q = np.zeros((6, 2))
    for _ in range(200):
        best = q.max(axis=1)
        best[[0, 5]] = 0.0
        for place in range(1, 5):
            left = gamma * best[place - 1]
            right = float(place == 4) + gamma * best[place + 1]
            q[place] = 0.9 * left + 0.1 * right, 0.1 * left + 0.9 * right
    return q


@pytest.mark.parametrize("dueling", [False, True])
def test_the_worth_of_actions_in_a_corridor_is_found(dueling):
    options = {**SMALL, "hidden": (), "memory": None, "lr": 0.003, "explore": 10**9}
    found = learn(
        Corridor, "dqn", steps=10_000, every=10_000, gamma=0.9, dueling=dueling, **options, **QUIET
    )
    values = found.policy.values(np.eye(6)).numpy()
    np.testing.assert_allclose(values[1:5], worth(0.9)[1:5], atol=0.06)
    assert (values[1:5].argmax(axis=1) == 1).all()


class Steady(gymnasium.Env):
    """Every step pays 1 and nothing changes; it never ends by itself."""

    observation_space = gymnasium.spaces.Box(0, 1, (1,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.ones(1, np.float32), {}

    def step(self, action):
        return np.ones(1, np.float32), 1.0, False, False, {}


def test_an_episode_that_is_cut_off_goes_on_for_the_learner():
    """1/(1 - γ) = 5, though no episode has more than three steps; if cuts were ends, 1 to 2.44."""
    found = learn(Steady, "dqn", steps=4000, every=4000, limit=3, gamma=0.8, **SMALL, **QUIET)
    np.testing.assert_allclose(found.policy.values([[1.0]]).numpy(), 5.0, atol=0.3)


def test_what_is_best_is_learned():
    options = {**SMALL, "memory": 64}  # fewer than the steps before the first update
    found = learn(Arms, "dqn", steps=12_000, every=1000, goal=0.99, **options, **QUIET)
    assert found.solved


def assert_same(one, other):
    assert one.episodes == other.episodes
    assert one.trials == other.trials
    mine, theirs = one.policy.state_dict(), other.policy.state_dict()
    for name, each in mine.items():
        np.testing.assert_array_equal(theirs[name], each)


def test_the_same_seed_learns_the_same_bits_with_any_number_of_threads():
    with scope(threads=1):
        one = learn(Corridor, "dqn", steps=1000, **SMALL, **QUIET)
    with scope(threads=2):
        same = learn(Corridor, "dqn", steps=1000, **SMALL, **QUIET)
    other = learn(Corridor, "dqn", steps=1000, **SMALL, progress=False, seed=4)
    assert_same(one, same)
    assert other.episodes != one.episodes


@pytest.mark.parametrize("calls", [1, 45, 170, 240])
def test_an_interrupted_run_goes_on_as_if_nothing_had_been(calls, tmp_path, monkeypatch):
    """Before anything is learned, within a round, once the memory has begun to forget."""
    options = {"steps": 1024, "every": 512, "episodes": 2, "limit": 40, **SMALL, **QUIET}
    whole = learn(Corridor, "dqn", **options)
    interrupted_after(monkeypatch, Copies, calls)
    with pytest.raises(Interrupted, match=r"^after [0-9,]+ steps"):
        learn(Corridor, "dqn", checkpoint=tmp_path, **options)
    resumed = learn(Corridor, "dqn", checkpoint=tmp_path, resume=True, **options)
    assert_same(whole, resumed)


def test_few_rewards_and_large_ones_are_learned_in_their_own_unit():
    """The same corridor with rewards a thousand times as large: the same actions at every step."""

    class Rich(Corridor):
        def step(self, action):
            seen, reward, *rest = super().step(action)
            return seen, 1024 * reward, *rest

    options = {**SMALL, "steps": 1500, "every": 1500, **QUIET}
    poor, rich = (learn(each, "dqn", **options) for each in (Corridor, Rich))
    np.testing.assert_allclose(
        rich.policy.values(np.eye(6)) / 1024, poor.policy.values(np.eye(6)), rtol=1e-4
    )
    assert [each.length for each in rich.episodes] == [each.length for each in poor.episodes]


def test_a_trained_network_plays():
    found = learn(Arms, "dqn", steps=2000, every=2000, **SMALL, **QUIET)
    [episode] = play(Arms(), agent_of(found.policy, Arms()))
    assert episode.reward == 1.0


def test_options_that_do_not_fit_are_named():
    with pytest.raises(UnsupportedError, match=r"finite number of actions[^\n]*Box[^\n]*\n.*ppo"):
        learn(Reach, "dqn", steps=100, **SMALL, **QUIET)
    with pytest.raises(UnsupportedError, match="finite number of actions"):
        learn(make("Pendulum-v1"), "dqn", **QUIET)
    for wrong in (
        {"epsilon": 1.5},
        {"gamma": -0.1},
        {"target_every": 0},
        {"memory": 0},
        {"batch": 0},
        {"lr": None},
        {"clip": -1},
        {"hidden": 64},
    ):
        with pytest.raises(UsageError, match=next(iter(wrong))):
            learn(Arms, "dqn", **wrong, **QUIET)


def test_the_share_of_drawn_actions_falls():
    shares = [DQN(explore=100, epsilon=0.1).share_drawn(steps) for steps in range(0, 300, 10)]
    assert shares[0] == 1.0
    assert (np.diff(shares) <= 0).all()
    assert set(shares[10:]) == {0.1}
