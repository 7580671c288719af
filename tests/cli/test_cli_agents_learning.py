"""`kedja train ENVIRONMENT` by methods that learn while they act, as it is called.

Not here: the methods (`tests/rl`), evolution (`test_cli_agents.py`).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

pytest.importorskip("gymnasium")
pytest.importorskip("pygame")

import gymnasium
import numpy as np

from kedja import models
from kedja.cli import families, runs
from kedja.cli.agents import learning
from kedja.rl.copies import Copies
from kedja.rl.learning import METHODS
from tests.cli.terminal import Terminal

SMALL = "--copies 4 --hidden 16 --limit 30 --episodes 2"


@pytest.fixture
def kedja(tmp_path, monkeypatch, terminal: Terminal):
    """Run a line in a folder of the test's own; few episodes are tests."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(learning, "TESTS", 5)
    return lambda line: terminal(*line.split())


def test_every_method_is_a_model_whose_options_it_has():
    for name in METHODS:
        family = families.MODELS[name]
        assert family.plays
        assert set(family.options(name)) <= set(learning.usual(name))


def test_an_environment_is_learned_and_played(kedja):
    found = kedja(f"train CartPole-v1 --steps 512 --goal 12 --rollout 32 --json {SMALL}")
    assert found.code == 0
    results = json.loads(found.out)
    assert results["model"] == "ppo"
    assert results["solved"]
    assert results["test_reward"] > 12
    assert results["steps_taken"] == 512
    assert "observations Box" in found.err
    again = kedja(f"play {results['run']} --limit 40 --json")
    assert json.loads(again.out)["mean_reward"] > 12
    assert kedja(f"play {results['run']} --limit 3 --gif cart.gif").code == 0
    assert Path("cart.gif").read_bytes().startswith(b"GIF89a")


def test_a_summary_says_what_was_reached_beside_chance(kedja):
    found = kedja(f"train Pendulum-v1 --model a2c --steps 64 --out swing {SMALL}")
    assert found.code == 0
    lines = found.out.splitlines()
    assert lines[0] == "a2c on Pendulum-v1: ended after 64 steps"
    assert "random actions" in lines[1]
    assert lines[-1] == "next: kedja play swing --episodes 5"


def test_worths_of_actions_are_learned(kedja):
    line = "train CartPole-v1 --model dqn --steps 1500 --updates 8 --memory 900 --goal 1000"
    found = kedja(f"{line} --dueling --explore 1000 --json {SMALL}")
    assert found.code == 0
    results = json.loads(found.out)
    assert (results["dueling"], results["double"], results["memory"]) == (True, True, 900)
    assert results["test_reward"] > 8
    again = kedja(f"play {results['run']} --limit 9 --json")
    assert json.loads(again.out)["episodes"][0]["steps"] <= 9


def test_an_interrupted_run_says_how_to_go_on_and_goes_on(kedja, monkeypatch):
    line = f"train Acrobot-v1 --model reinforce --steps 300 --seed 2 {SMALL}"
    assert kedja(f"{line} --out whole").code == 0
    steps, count = Copies.step, []

    def interrupted(self, *given):
        count.append(1)
        if len(count) == 50:
            raise KeyboardInterrupt
        return steps(self, *given)

    monkeypatch.setattr(Copies, "step", interrupted)
    found = kedja(f"{line} --out cut")
    assert found.code == 130
    command = "kedja train Acrobot-v1 --out cut --resume"
    assert f"interrupted: after 120 steps; go on with: {command}" in found.err
    played = kedja("play cut --limit 5")
    assert played.code == 0
    assert f"its best policy so far acts; go on with: {command}" in played.err
    Path("cut/model.safetensors").unlink()  # as after a process that was killed
    played = kedja("play cut --limit 5")
    assert played.code == 2
    assert f"no finished model yet\n  fix: go on with: {command}" in played.err
    assert kedja(command.removeprefix("kedja ")).code == 0
    whole, cut = (_results(folder) for folder in ("whole", "cut"))
    same = ("trials", "best_trial", "test_reward", "steps_taken")
    assert [whole[name] for name in same] == [cut[name] for name in same]
    other = kedja("train Acrobot-v1 --out cut --resume --gamma 0.5")
    assert other.code == 2
    assert "--gamma is 0.5" in other.err or "--gamma 0.5" in other.err


def test_ctrl_c_in_the_test_keeps_the_policy_and_says_how_to_test_it(kedja, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(learning, "_results", interrupted)
        found = kedja(f"train CartPole-v1 --model a2c --steps 64 --out cart {SMALL}")
    assert found.code == 130
    command = "kedja train CartPole-v1 --out cart --resume"
    assert f"in the test; the trained network is in cart; go on with: {command}" in found.err
    assert kedja("play cart --limit 5").code == 0
    assert kedja(command.removeprefix("kedja ")).code == 0


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("Pendulum-v1 --model ppo --rollout 16", "float32[batch, 1]"),
        ("CartPole-v1 --model dqn --updates 2", "int64[batch]"),
        ("robots:Pole --model a2c", "int64[batch, 2]"),
    ],
)
def test_a_policy_is_exported(line, kind, own, kedja):
    """What the file computes, the agent does."""
    pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    assert kedja(f"train {line} --steps 64 --out run {SMALL}").code == 0
    written = kedja("export run --to policy.onnx")
    assert written.code == 0, written.err
    assert f"-> action {kind}" in written.out
    policy = models.load("run").model
    seen = np.random.default_rng(0).normal(size=(7, policy.config.observations)).astype("float32")
    session = runtime.InferenceSession("policy.onnx", providers=["CPUExecutionProvider"])
    [actions] = session.run(None, {"observation": seen})
    np.testing.assert_allclose(actions, policy(seen, ())[0].numpy(), rtol=1e-5, atol=1e-6)


OWN = """
import gymnasium

class Pole(gymnasium.Env):
    observation_space = gymnasium.spaces.Tuple(2 * [gymnasium.spaces.Box(-1, 1, (1,))])
    action_space = gymnasium.spaces.MultiDiscrete([2, 3])

    def __init__(self, render_mode=None, length=3):
        self.length = length

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.time = 0
        return self._shown(), {}

    def step(self, action):
        self.time += 1
        right = float(action[1] == 2)
        return self._shown(), right, self.time == self.length, False, {}

    def _shown(self):
        return tuple(self.np_random.uniform(-1, 1, (2, 1)).astype("float32"))

gymnasium.register("Registered-v0", entry_point=Pole, kwargs={"length": 5})
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A module of the user's in the present folder, called robots."""
    (tmp_path / "robots.py").write_text(OWN)
    yield
    sys.modules.pop("robots", None)
    gymnasium.registry.pop("Registered-v0", None)


@pytest.mark.parametrize(("name", "length"), [("robots:Pole", 3), ("robots:Registered-v0", 5)])
def test_environments_of_ones_own_are_named_by_their_module(name, length, own, kedja):
    """A class that is registered nowhere, and what the module registers."""
    found = kedja(f"train {name} --steps 64 --rollout 16 --out run --json {SMALL}")
    assert found.code == 0, found.err
    again = json.loads(kedja("play run --json").out)
    assert again["episodes"][0]["steps"] == length
    assert kedja(f"train {name} --out run --resume --steps 128").code == 0


def test_what_is_wrong_with_an_environment_of_ones_own_is_said(own, kedja):
    found = kedja("train robots:Poel")
    assert found.code == 2
    assert "robots has no environment 'Poel'\n  fix: did you mean 'Pole'?" in found.err
    found = kedja("train robot:Pole")
    assert found.code == 2
    assert "there is no module 'robot', neither installed nor in" in found.err


def _results(folder):
    return runs.read(runs.Path(folder), lambda content: content["results"])


@pytest.mark.parametrize(
    ("goal", "solved", "best", "end"),
    [
        (None, False, 1.0, "ended"),
        (0.7, True, 0.8, "solved"),
        (0.7, False, 0.72, "goal 0.7 reached, but not by two standard errors,"),
        (475.0, False, 300.0, "goal 475.0 not reached"),
    ],
)
def test_how_a_run_ended_is_said(goal, solved, best, end):
    results = {"goal": goal, "solved": solved, "best_trial": best}
    assert learning._end(results) == end


WRONG = [
    ("train CartPole --steps 9", "no data set, folder or file 'CartPole'"),
    ("train CartPole --steps 9", "fix: did you mean the environment CartPole-v1?"),
    ("train CartPole-v9", "there is no environment 'CartPole-v9'"),
    ("train CartPole-v1 Pendulum-v1", "several environments"),
    ("train CartPole-v1 --sigma 1", "the model ppo has no --sigma"),
    ("train CartPole-v1 --model a2c --epochs 3", "the model a2c has no --epochs"),
    ("train CartPole-v1 --gamma 1.5", "gamma 1.5"),
    ("train CartPole-v1 --epsilon 2", "a number between 0 and 1"),
    ("train Pendulum-v1 --model dqn", "DQN chooses one of a finite number of actions"),
    ("train Pendulum-v1 --model dqn", "fix: ppo, a2c, reinforce, cma-es and genetic"),
    ("train CartPole-v1 --model dqn --memory 0", "--memory 0"),
    ("train CartPole-v1 --model dqn --lam 0.9", "the model dqn has no --lam"),
    ("train CartPole-v1 --copies 0", "--copies 0"),
    ("train CartPole-v1 --hidden a", "--hidden 'a'"),
    ("train digits --model ppo", "no environment 'digits'"),
]


@pytest.mark.parametrize(("line", "message"), WRONG, ids=[line for line, _ in WRONG])
def test_bad_input_has_one_clear_message(line, message, kedja, tmp_path):
    found = kedja(line)
    assert found.code == 2
    assert message in found.err
    assert not found.out
    assert "Traceback" not in found.err
    assert not list(tmp_path.iterdir())
