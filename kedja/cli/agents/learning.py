"""`kedja train ENVIRONMENT --model ppo`: agents that learn while they act, tested, and kept.

One command for all methods of `kj.rl.learn`: a method's options here are those of its dataclass.
The run's folder is a model's folder (`config.json`, `model.safetensors`), with `run.json` and the
state of the run (`learning.safetensors`) beside. Not here: the methods (`kedja/rl/learning.py`),
playing what was learned (`../play.py`). Next: `../play.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from kedja import models
from kedja.cli import runs
from kedja.cli.agents.told import points, told
from kedja.cli.export import Exported
from kedja.cli.families import Request
from kedja.cli.options import layers
from kedja.cli.output import note, say, say_json
from kedja.front.tensor import Tensor
from kedja.ground.errors import Interrupted, UsageError
from kedja.ground.flags import scope
from kedja.models import folder as folders
from kedja.rl.environments import make
from kedja.rl.learning import METHODS, Learning, goal_of, learn, method_of
from kedja.rl.playing import Agent, agent_of, play
from kedja.rl.trials import Trials

Options = dict[str, Any]

TESTS = 100  # episodes
TEST_SEED = 1_000_000  # far from the seeds that were trained with
RUN = ("steps", "copies", "episodes", "limit", "goal", "seed")  # options of every method


def usual(model: str) -> Options:
    """The options of a method where none are given; hidden layers as a text."""
    method = METHODS[model]
    own = asdict(method_of(model, {}))
    own["hidden"] = ",".join(map(str, own["hidden"])) or "none"
    run = {"steps": method.steps, "copies": method.copies, "episodes": 20}
    return {"model": model, **run, "limit": None, "goal": None, "seed": 0, **own}


def train(request: Request) -> None:
    """Learn until the goal is reached; test; keep the policy."""
    if len(request.data) != 1:
        raise UsageError("several environments", fix="name one, such as CartPole-v1")
    name, earlier = request.data[0], request.resumed()
    env = make(name)
    model = request.given.get("model", "ppo")
    made = (
        {**usual(model), **request.given}
        if earlier is None
        else runs.continued(earlier, request.data, request.given, "steps")
    )
    method_of(made["model"], _own(made)).require(env)
    folder = earlier or runs.fresh(request.out, name, made["model"])
    runs.keep(folder, request.data, made, None)
    for line in _about(name, env, made, folder):
        note(line)
    again = runs.command(request.data, folder)
    with scope(**({} if request.threads is None else {"threads": request.threads})):
        with runs.resumable(again, folder):
            found = _learned(name, made, folder, request)
            folders.save(folder, found.policy)
        with runs.resumable(again, folder, runs.tested(folder)):
            results = _results(name, made, found, folder)
            runs.keep(folder, request.data, made, results)
    if request.json:
        say_json(results)
    else:
        say("\n".join(_summary(results)))


def agent(run: Path, environment: Any) -> Agent:
    """The policy of a run as an agent in its environment; for `kedja play`."""
    return agent_of(_policy(run), environment)


def exported(run: Path) -> Exported:
    """The policy of a run as a file's content: observations, made flat, to the best actions."""
    policy, [name] = _policy(run), runs.sources_of(run)
    example = np.zeros((1, policy.config.observations), np.float32)
    about = {"environment": name, "model": runs.model_of(run)}

    def best(observations: Tensor) -> Any:
        return policy(observations, policy.start())[0]

    return Exported(best, example, "observation", "action", name, about)


def _policy(run: Path) -> Any:
    """The policy that a run has kept; UsageError where that is none yet."""
    if not (run / folders.WEIGHTS).exists():
        raise runs.nothing_kept(run)
    return models.load(run).model


def _own(made: Options) -> Options:
    """The options of the method itself."""
    own = {name: value for name, value in made.items() if name not in (*RUN, "model")}
    return {**own, "hidden": layers(made["hidden"], "--hidden")}


def _about(name: str, env: Any, made: Options, folder: Path) -> list[str]:
    parts = [f"{each.replace('_', ' ')} {value}" for each, value in made.items() if each != "model"]
    return [
        f"{name}: observations {env.observation_space}, actions {env.action_space}",
        f"{made['model']}: {', '.join(parts)}",
        f"run: {folder}",
    ]


def _learned(name: str, made: Options, folder: Path, request: Request) -> Learning:
    run = {each: made[each] for each in RUN}
    options = {**run, **_own(made), "checkpoint": folder, "resume": request.resume}
    try:
        return learn(name, made["model"], **options)
    except Interrupted as error:
        if isinstance(error.history, Learning):
            folders.save(folder, error.history.policy)  # so that it can be played meanwhile
        raise


# ------------------------------------------------------------------------------- what it reached


def _results(name: str, made: Options, found: Learning, folder: Path) -> Options:
    """What `--json` prints."""
    rewards = Trials(name, made["limit"]).rewards(found.policy, TESTS, [TEST_SEED])
    env = make(name) if made["limit"] is None else make(name, max_episode_steps=made["limit"])
    env.action_space.seed(TEST_SEED)
    goal = goal_of(env, made["goal"])
    chance = play(env, lambda *_: env.action_space.sample(), 20, seed=TEST_SEED)
    return {
        "data": [name],
        **made,
        "parameters": found.policy.num_parameters,
        "solved": found.solved,
        "goal": goal if np.isfinite(goal) else None,
        "best_trial": found.reward,
        "steps_taken": found.steps,
        "trials": [list(each) for each in found.trials],
        "train_seconds": found.seconds,
        "test_episodes": TESTS,
        "test_reward": float(np.mean(rewards)),
        "test_deviation": float(np.std(rewards)),
        "random_reward": float(np.mean([each.reward for each in chance])),
        "run": str(folder),
    }


def _end(results: Mapping[str, Any]) -> str:
    goal = results["goal"]
    if goal is None:
        return "ended"
    if results["solved"]:
        return "solved"
    near = "reached, but not by two standard errors," if results["best_trial"] >= goal else ""
    return f"goal {points(goal)} {near or 'not reached'}"


def _summary(results: Mapping[str, Any]) -> list[str]:
    """The results for people, one fact a line."""
    return [
        f"{results['model']} on {results['data'][0]}: {_end(results)} after "
        f"{results['steps_taken']:,} steps",
        told(TESTS, results),
        f"best trial {points(results['best_trial'])}, {results['parameters']:,} weights, "
        f"{results['train_seconds']:.1f} s",
        f"run: {results['run']}",
        f"next: kedja play {results['run']} --episodes 5",
    ]
