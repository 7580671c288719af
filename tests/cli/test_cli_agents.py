"""`kedja train ENVIRONMENT` by evolution and `kedja play`, as they are called.

Not here: evolution itself (`tests/rl`).
"""

from __future__ import annotations

import json
import shlex

import pytest

pytest.importorskip("gymnasium")
pytest.importorskip("cmaes")

from kedja.cli import runs
from kedja.cli.families import usual
from kedja.ground.errors import StorageError
from kedja.io import weights
from kedja.rl.evolution.evolve import _Run


@pytest.fixture
def kedja(terminal, tmp_path, monkeypatch):
    """Run a line in a folder of the test's own: exit code, output, notes."""
    monkeypatch.chdir(tmp_path)
    return lambda line: terminal(*shlex.split(line), tier="auto")


def test_a_name_of_an_environment_is_recognised(tmp_path, monkeypatch):
    assert usual(["kedja/TwoPoles-v0"]) == "cma-es"
    assert usual(["CartPole-v1"]) == "ppo"
    monkeypatch.chdir(tmp_path)
    (tmp_path / "table-v1").write_text("a,b\n1,2\n")
    assert usual(["table-v1"]) not in ("cma-es", "ppo")


def test_two_poles_are_balanced_and_played(kedja, tmp_path):
    image = pytest.importorskip("PIL.Image")
    code, out, notes = kedja("train kedja/TwoPoles-v0 --out poles")
    assert code == 0
    assert "solved after" in out
    assert "balances for 100,000 steps" in out
    assert "6 weights" in notes
    code, out, _ = kedja("play poles --gif poles.gif --limit 40 --json")
    assert code == 0
    assert json.loads(out)["episodes"] == [{"reward": 40.0, "steps": 40, "terminated": False}]
    with image.open(tmp_path / "poles.gif") as gif:
        assert gif.n_frames == 21


def test_other_environments_are_tested_beside_random_actions(kedja):
    line = "train CartPole-v1 --model genetic --population 12 --generations 2 --limit 60 --json"
    code, out, _ = kedja(line)
    found = json.loads(out)
    assert code == 0
    assert found["evaluations"] == 24
    assert found["test_reward"] > found["random_reward"]
    code, out, _ = kedja(f"play {found['run']} --episodes 2")
    assert code == 0
    assert "mean reward" in out


def test_an_interrupted_run_says_how_to_go_on_and_goes_on(kedja, monkeypatch):
    line = "train kedja/OnePoleNoVelocities-v0 --generations 6 --goal 1e9 --seed 3"
    assert kedja(f"{line} --out whole")[0] == 0
    lives = _Run._next

    def interrupted(self):
        if len(self._rows) == 2:
            raise KeyboardInterrupt
        lives(self)

    monkeypatch.setattr(_Run, "_next", interrupted)
    code, _, notes = kedja(f"{line} --out cut")
    assert code == 130
    command = "kedja train kedja/OnePoleNoVelocities-v0 --out cut --resume"
    assert f"after 2 generations; go on with: {command}" in notes
    code, _, notes = kedja("play cut --limit 5")
    assert code == 0
    assert f"its best policy so far acts; go on with: {command}" in notes
    monkeypatch.setattr(_Run, "_next", lives)
    assert kedja(command.removeprefix("kedja "))[0] == 0
    whole, cut = (_results(folder) for folder in ("whole", "cut"))
    assert cut["generations_lived"] == 6
    assert whole["best_fitness"] == cut["best_fitness"]


def test_a_full_disk_names_the_command_that_goes_on(kedja, monkeypatch):
    def full(*_):
        raise StorageError("the disk is full", fix="free some space")

    monkeypatch.setattr(weights, "save", full)
    code, _, notes = kedja("train kedja/TwoPoles-v0 --generations 1 --out run")
    assert code == 1
    assert "then go on with: kedja train kedja/TwoPoles-v0 --out run --resume" in notes


def _results(folder):
    return runs.read(runs.Path(folder), lambda content: content["results"])


WRONG = [
    ("train kedja/TwoPole-v0", "did you mean 'kedja/TwoPoles-v0'"),
    ("train CartPole-v1 Pendulum-v1 --model cma-es", "several environments"),
    ("train kedja/TwoPoles-v0 --lr 0.1", "the model cma-es has no --lr"),
    ("train kedja/TwoPoles-v0 --hidden a,b", "--hidden 'a,b'"),
    ("train kedja/TwoPoles-v0 --population 2", "a whole number from 4"),
    ("train kedja/TwoPoles-v0 --fitness speed", "no fitness 'speed'"),
    ("train Pendulum-v1 --model cma-es --fitness gruau", "carts with poles"),
    ("train kedja/TwoPoles-v0 --goal nan", "a number"),
    ("train digits --model cma-es", "no environment 'digits'"),
    ("train digits --sigma 1", "the model mlp has no --sigma"),
    ("play nowhere", "holds no run"),
]


@pytest.mark.parametrize(("line", "message"), WRONG, ids=[line for line, _ in WRONG])
def test_bad_input_has_one_clear_message(line, message, kedja):
    code, out, notes = kedja(line)
    assert code == 2
    assert message in notes
    assert not out
    assert "Traceback" not in notes


def test_a_run_that_was_not_solved_says_how_to_look_on(kedja, tmp_path):
    code, out, _ = kedja("train kedja/TwoPoles-v0 --generations 1 --seed 1 --out few")
    assert code == 0
    assert "not solved after 9 evaluations in 1 generation\n" in out
    assert "kedja train kedja/TwoPoles-v0 --out few --resume --generations 2" in out
    for name, message in (("few.mp4", "few.gif"), ("away/few.gif", "no folder away")):
        code, out, notes = kedja(f"play few --gif {name}")
        assert code == 2
        assert message in notes
        assert not out


def test_a_policy_too_large_for_a_covariance_leaves_no_folder(kedja, tmp_path):
    code, _, notes = kedja("train CartPole-v1 --model cma-es --hidden 100,100 --out none")
    assert code == 2
    assert "cma-es is for at most 5,000 weights, and the policy has 10,802" in notes
    assert not (tmp_path / "none").exists()


def test_a_fitness_that_does_not_fit_leaves_no_folder(kedja, tmp_path):
    assert kedja("train Pendulum-v1 --model cma-es --fitness gruau --out none")[0] == 2
    assert not (tmp_path / "none").exists()


def test_a_run_that_does_not_act_is_named(kedja, tmp_path):
    (tmp_path / "run.json").write_text('{"format": 1, "recipe": {"model": "mlp"}}')
    code, _, notes = kedja("play .")
    assert code == 2
    assert "which does not act" in notes
