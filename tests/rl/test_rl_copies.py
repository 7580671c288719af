"""Copies of an environment: what ends is followed, and all of it can be left and taken up again.

Not here: who acts in them (`test_rl_gradients.py`).
"""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("gymnasium")

import gymnasium

from kedja.ground.errors import DataError, UnsupportedError, UsageError
from kedja.rl.copies import Copies, Ended, arrays, maker, name_of
from tests.rl.environments_for_tests import (
    Arms,
    Corridor,
    Detour,
    Forgetful,
    Keys,
    Lottery,
    Reach,
    Switches,
)

RNG = np.random.default_rng(0)


def actions_for(copies, rng):
    if isinstance(copies.actions, gymnasium.spaces.Discrete):
        return rng.integers(0, copies.actions.n, copies.count)
    if isinstance(copies.actions, gymnasium.spaces.Box):
        return rng.uniform(-1, 1, (copies.count, *copies.actions.shape))
    return rng.integers(0, 2, (copies.count, *copies.actions.shape))


def test_copies_do_what_single_environments_do():
    """Observations, rewards and ends are those of Gymnasium's own loop with the same seeds."""
    copies, rng = Copies("CartPole-v1", 3, seed=4), np.random.default_rng(1)
    singles = [gymnasium.make("CartPole-v1") for _ in range(3)]
    number = [0, 0, 0]

    def begun(place):
        seeds = np.random.SeedSequence([4, place, number[place], 1])
        return singles[place].reset(seed=int(seeds.generate_state(1)[0]))[0]

    shown = np.stack([begun(place) for place in range(3)])
    for _ in range(60):
        np.testing.assert_array_equal(copies.seen, shown)
        actions = actions_for(copies, rng)
        stepped = copies.step(actions)
        for place, single in enumerate(singles):
            observation, reward, terminated, truncated, _ = single.step(int(actions[place]))
            np.testing.assert_array_equal(stepped.after[place], observation)
            assert stepped.rewards[place] == reward
            assert stepped.terminated[place] == terminated
            shown[place] = observation
            if terminated or truncated:
                number[place] += 1
                shown[place] = begun(place)
    assert sum(number) >= 3
    assert len(copies.ended()) == sum(number)
    assert copies.ended() == []
    assert copies.steps == 180


def test_what_time_cut_off_is_truncated_and_shows_what_would_have_come():
    copies = Copies("Pendulum-v1", 2, seed=0, limit=5)
    for t in range(5):
        stepped = copies.step(np.zeros((2, 1)))
        assert stepped.truncated.all() == (t == 4)
    assert not stepped.terminated.any()
    assert not np.array_equal(stepped.after, copies.seen)
    assert [each.length for each in copies.ended()] == [5, 5]


def test_what_ended_by_itself_when_time_was_over_is_terminated():
    copies = Copies(Arms, 2, limit=1)
    stepped = copies.step(np.zeros(2, int))
    assert stepped.terminated.all()
    assert not stepped.truncated.any()


def test_the_sums_of_rewards_are_told():
    copies = Copies(Corridor, 1, seed=3)
    while not (ended := copies.ended()):
        copies.step(np.ones(1, int))
    assert ended == [Ended(1.0, copies.steps, copies.steps)]


def test_discrete_observations_are_zeros_with_a_one():
    copies = Copies(Corridor, 2)
    assert copies.seen.tolist() == [[0, 0, 1, 0, 0, 0]] * 2


def test_observations_of_several_parts_stand_one_after_the_other():
    """As gymnasium.spaces.flatten has them: a Dict's parts in the order of their names."""
    for environment in (Switches, Keys):
        copies = Copies(environment, 5, seed=3)
        for row, env in zip(copies.seen, copies._envs, strict=True):
            expected = gymnasium.spaces.flatten(env.observation_space, env.unwrapped._shown())
            np.testing.assert_array_equal(row, expected)
        assert copies.seen.shape == (5, 5)


def test_a_single_number_may_be_observed_and_done():
    class Scalar(Arms):
        observation_space = gymnasium.spaces.Box(-1, 1, ())
        action_space = gymnasium.spaces.Box(-1, 1, ())

        def reset(self, *, seed=None, options=None):
            return np.float32(0.5), {}

        def step(self, action):
            return np.float32(0.25), float(action), True, False, {}

    copies = Copies(Scalar, 2)
    assert copies.step(np.array([[0.5], [9.0]])).rewards.tolist() == [0.5, 1.0]
    assert copies.seen.tolist() == [[0.5], [0.5]]


def test_some_copies_stand_still():
    copies = Copies(Corridor, 3)
    before = copies.seen
    stepped = copies.step(np.ones(3, int), only=[1])
    np.testing.assert_array_equal(stepped.after[[0, 2]], before[[0, 2]])
    assert (stepped.after[1] != before[1]).any()
    assert copies.steps == 1
    copies.begin_episodes()
    np.testing.assert_array_equal(copies.seen, before)
    assert copies.kept().episodes == (0, 1, 0)


@pytest.mark.parametrize("environment", [Corridor, Reach, Switches, Keys, "CartPole-v1"])
@pytest.mark.parametrize("steps", [0, 1, 23])
def test_copies_go_on_where_others_stood(environment, steps):
    first, second = (Copies(environment, 3, seed=7, limit=9) for _ in range(2))
    rng = np.random.default_rng(steps)
    for _ in range(steps):
        first.step(actions_for(first, rng))
    kept = first.kept()
    plan = [actions_for(first, rng) for _ in range(20)]
    first.ended()
    ahead = [first.step(each) for each in plan]  # what is kept does not change by that
    assert second.restore(arrays(kept, first.actions))
    assert second.steps == 3 * steps
    for actions, expected in zip(plan, ahead, strict=True):
        for mine, theirs in zip(second.step(actions), expected, strict=True):
            np.testing.assert_array_equal(mine, theirs)
    assert first.ended() == second.ended()


@pytest.mark.parametrize("environment", [Forgetful, Detour, Lottery])
def test_an_environment_that_does_not_repeat_itself_begins_anew(environment):
    """It is known by all that it showed and paid, not by what it showed last."""
    first, second = (Copies(environment, 8, seed=0) for _ in range(2))
    for _ in range(30):
        first.step(actions_for(first, RNG))
    assert not second.restore(arrays(first.kept(), first.actions))
    assert second.kept().lengths == (0,) * 8
    assert second.steps == 240


def test_actions_are_held_within_their_bounds_where_some_are_infinite():
    class Half(Reach):
        low, high = np.array([[-np.inf, 0], [1, np.inf]], np.float32)
        action_space = gymnasium.spaces.Box(low, high)

        def step(self, action):
            assert self.action_space.contains(action)
            return super().step(action)

    copies = Copies(Half, 2)
    copies.step(np.array([[5.0, -5.0], [-5.0, 5.0]]))
    assert [each.tolist() for taken in copies.kept().taken for each in taken] == [[1, 0], [-5, 5]]


def test_environments_are_made_of_names_of_themselves_and_by_functions():
    env = gymnasium.make("CartPole-v1")
    for each in ("CartPole-v1", env, lambda: gymnasium.make("CartPole-v1")):
        assert Copies(each, 2, seed=1, limit=3).seen.shape == (2, 4)
    assert [name_of(each) for each in ("A-v0", env, Arms)] == ["A-v0", "CartPole-v1", "Arms"]


@pytest.mark.parametrize("base", [Arms, Reach, Switches])
def test_an_environment_that_does_not_keep_to_the_interface_is_told_how(base):
    class WithoutSeed(base):
        def reset(self):
            return super().reset()

    class WithoutInfo(base):
        def reset(self, *, seed=None, options=None):
            return super().reset(seed=seed)[0]

    class OfOldGym(base):
        def step(self, action):
            return *super().step(action)[:3], {}

    class Broken(base):
        def step(self, action):
            raise ValueError("of its own")

    for environment, message in (
        (WithoutSeed, "takes no seed\n  fix: def reset"),
        (WithoutInfo, "not two values\n  fix: return observation, info"),
        (OfOldGym, "step of the environment gives 4, not five values"),
    ):
        with pytest.raises(DataError, match=message):
            copies = Copies(environment, 2)
            copies.step(actions_for(copies, RNG))
    copies = Copies(Broken, 2)
    with pytest.raises(ValueError, match="of its own"):
        copies.step(actions_for(copies, RNG))


def test_wrong_environments_have_one_clear_message():
    with pytest.raises(UsageError, match="did you mean 'CartPole-v1'"):
        Copies("CartPol-v1", 1)
    with pytest.raises(UsageError, match="give a function that makes it"):
        maker(Arms())
    with pytest.raises(UsageError, match="int is no environment"):
        maker(3)

    class Many(Arms):
        action_space = gymnasium.spaces.Dict(one=gymnasium.spaces.Discrete(2))

    class Wrong(Arms):
        observation_space = gymnasium.spaces.Box(-1, 1, (3,))

    with pytest.raises(UnsupportedError, match="actions of the kind Dict"):
        Copies(Many, 1)
    with pytest.raises(DataError, match=r"of shape \[1\], not \[3\]"):
        Copies(Wrong, 1)
