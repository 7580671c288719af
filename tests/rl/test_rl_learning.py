"""`kj.rl.learn`: what can be learned is learned, the same seed gives the same bits, runs resume.

Not here: copies of environments (`test_rl_copies.py`), losses (`test_rl_gradients.py`).
"""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("gymnasium")

import gymnasium

from kedja.ground.errors import CheckpointError, Interrupted, UsageError
from kedja.ground.flags import scope
from kedja.rl import environments, evolve, learn
from kedja.rl.copies import Copies
from kedja.rl.learning import METHODS
from kedja.rl.playing import agent_of, mean_reward, play
from kedja.rl.rounds import Run
from kedja.rl.trials import Trials
from tests.rl.environments_for_tests import Arms, Corridor, Forgetful, Keys, Reach, Switches
from tests.rl.interrupting import interrupted_after

QUIET = {"progress": False, "seed": 3}
SMALL = {
    "ppo": {"copies": 4, "rollout": 32, "batch": 32, "epochs": 4, "hidden": (16,), "lr": 3e-3},
    "a2c": {"copies": 8, "rollout": 4, "hidden": (16,), "lr": 5e-3},
    "reinforce": {"copies": 8, "hidden": (16,), "lr": 1e-2},
}
BEST = {Arms: 0.99, Reach: -2.0, Corridor: 0.95}


def weights(found):
    return found.policy.state_dict()


def assert_same(one, other):
    assert one.episodes == other.episodes
    assert one.trials == other.trials
    for name, each in weights(one).items():
        np.testing.assert_array_equal(weights(other)[name], each)


@pytest.mark.parametrize("method", SMALL)
@pytest.mark.parametrize("environment", BEST)
def test_what_is_best_is_learned(method, environment):
    options = {**SMALL[method], "steps": 12_000, "every": 2_000, "goal": BEST[environment]}
    found = learn(environment, method, **options, **QUIET)
    assert found.solved
    assert found.reward >= BEST[environment]
    fresh = Trials(environment).rewards(found.policy, 200, seed=[99])
    assert fresh.mean() > BEST[environment] - 0.2


@pytest.mark.parametrize("environment", [Switches, Keys])
def test_several_choices_at_once_are_learned(environment):
    """Of what is a Dict or a Tuple."""
    options = {**SMALL["ppo"], "steps": 12_000, "every": 2_000, "goal": 2.95}
    found = learn(environment, **options, **QUIET)
    assert found.solved
    env = environment()
    agent = agent_of(found.policy, env)
    assert mean_reward(play(env, agent, 20)) > 2.5


@pytest.mark.parametrize("method", SMALL)
def test_the_same_seed_learns_the_same_bits_with_any_number_of_threads(method):
    options = {"steps": 500, **SMALL[method], **QUIET}
    with scope(threads=1):
        one = learn(Reach, method, **options)
    with scope(threads=2):
        same = learn(Reach, method, **options)
    other = learn(Reach, method, **{**options, "seed": 4})
    assert_same(one, same)
    assert other.episodes != one.episodes


@pytest.mark.parametrize(
    ("environment", "calls"), [("Pendulum-v1", 1), (Corridor, 60), ("Pendulum-v1", 110)]
)
@pytest.mark.parametrize("method", SMALL)
def test_an_interrupted_run_goes_on_as_if_nothing_had_been(
    method, environment, calls, tmp_path, monkeypatch
):
    """Within a round, and in a trial; what was not whole is done again."""
    options = {"steps": 512, "every": 256, "episodes": 2, "limit": 40, **SMALL[method], **QUIET}
    whole = learn(environment, method, **options)
    interrupted_after(monkeypatch, Copies, calls)
    with pytest.raises(Interrupted, match=r"^after [0-9]+ steps") as caught:
        learn(environment, method, checkpoint=tmp_path, **options)
    assert caught.value.checkpoint == str(tmp_path)
    assert caught.value.history.steps <= 512
    resumed = learn(environment, method, checkpoint=tmp_path, resume=True, **options)
    assert_same(whole, resumed)
    again = learn(environment, method, checkpoint=tmp_path, resume=True, **options)
    assert_same(whole, again)


def test_a_run_is_not_gone_on_with_by_other_options(tmp_path):
    options = {**SMALL["ppo"], **QUIET, "checkpoint": tmp_path}
    learn(Arms, steps=128, **options)
    with pytest.raises(CheckpointError, match=r"gamma is 0.5, in the checkpoint 0.99"):
        learn(Arms, steps=128, gamma=0.5, resume=True, **options)
    more = learn(Arms, steps=256, resume=True, **options)
    assert more.steps == 256
    (tmp_path / "learning.safetensors").write_bytes(b"nothing")
    with pytest.raises(CheckpointError):
        learn(Arms, steps=128, resume=True, **options)


def test_an_environment_that_does_not_repeat_itself_is_gone_on_with(tmp_path, monkeypatch):
    options = {**SMALL["ppo"], **QUIET, "checkpoint": tmp_path, "steps": 512}
    interrupted_after(monkeypatch, Copies, 100)
    with pytest.raises(Interrupted):
        learn(Forgetful, **options)
    with pytest.warns(UserWarning, match="does not repeat itself"):
        found = learn(Forgetful, resume=True, **options)
    assert found.steps == 512


def test_of_policies_that_are_as_good_the_last_one_is_kept(monkeypatch):
    """It has learned more."""
    monkeypatch.setattr(Trials, "rewards", lambda self, policy, count, seed: np.zeros(count))
    policies = []
    monkeypatch.setattr(Run, "_round", _noting(Run._round, policies))
    found = learn(Arms, steps=512, every=128, **SMALL["ppo"], **QUIET)
    assert len(found.trials) == 4
    assert found.policy is policies[-1]


def _noting(original, policies):
    def noted(self):
        original(self)
        policies.append(self._learner.policy)

    return noted


@pytest.mark.parametrize("method", ["ppo", "dqn"])
def test_numbers_that_are_observed_are_normalised_and_choices_are_not(method):
    for environment, expected in ((Arms, True), (Corridor, False), (Switches, False)):
        if method == "ppo" or environment is not Switches:
            learner = METHODS[method]().learner(Copies(environment, 2), 100, 0)
            assert learner.policy.config.normalised == expected


@pytest.mark.parametrize("method", SMALL)
def test_episodes_that_would_never_end_are_cut_off(method, monkeypatch):
    """In training, in trials and in evolution; what the user said is the limit, is the limit."""
    monkeypatch.setattr(environments, "LONGEST", 40)

    class Endless(Reach):
        def step(self, action):
            return *super().step(action)[:3], False, {}

    found = learn(Endless, method, **{**SMALL[method], "copies": 2}, steps=100, **QUIET)
    assert {each.length for each in found.episodes} == {40}
    found = learn(Endless, method, **{**SMALL[method], "copies": 2}, steps=100, limit=50, **QUIET)
    assert {each.length for each in found.episodes} == {50}
    assert evolve(Endless, generations=1, progress=False).evaluations > 0
    made = environments.limited(gymnasium.make("CartPole-v1"))
    assert made.get_wrapper_attr("_max_episode_steps") == 500


def test_the_goal_of_an_environment_is_its_own_threshold():
    found = learn("CartPole-v1", steps=256, goal=8.0, every=128, **SMALL["ppo"], **QUIET)
    assert found.solved
    assert found.steps == 128
    found = learn("CartPole-v1", steps=256, every=128, **SMALL["ppo"], **QUIET)
    assert not found.solved
    assert len(found.trials) == 2


WRONG = [
    ({"method": "pppo"}, "there is no method 'pppo'\n  fix: did you mean 'ppo'"),
    ({"gama": 0.9}, "the method ppo has no option 'gama'\n  fix: did you mean 'gamma'"),
    ({"steps": 0}, "steps 0"),
    ({"copies": 0}, "copies 0"),
    ({"steps": "many"}, "steps many\n  fix: a whole number from 1"),
    ({"rollout": 2.5}, "rollout 2.5\n  fix: a whole number from 1"),
    ({"hidden": 64}, "hidden 64\n  fix: the sizes of the hidden layers, such as (64, 64)"),
    ({"lr": float("nan")}, "lr nan\n  fix: a number above 0"),
]


@pytest.mark.parametrize(("options", "message"), WRONG, ids=[text for _, text in WRONG])
def test_wrong_options_have_one_clear_message(options, message):
    with pytest.raises(UsageError) as caught:
        learn(Arms, **options, **QUIET)
    assert message in str(caught.value)


def test_every_method_is_tested():
    assert set(SMALL) <= set(METHODS)
