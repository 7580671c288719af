"""`kedja train ENVIRONMENT --model cma-es`: policies found by evolution, tested, and kept.

The run's folder is a model's folder (`config.json`, `model.safetensors`), with `run.json` and what
the search was told (`evolution.safetensors`) beside. Not here: the search
(`kedja/rl/evolution`), playing what was found (`../play.py`). Next: `../play.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kedja import models
from kedja.cli import runs
from kedja.cli.agents.told import told
from kedja.cli.families import Request
from kedja.cli.options import layers
from kedja.cli.output import note, say, say_json
from kedja.ground.errors import UsageError
from kedja.models import folder as folders
from kedja.rl import fleet
from kedja.rl.environments import TASKS, make
from kedja.rl.evolution import kept, poles
from kedja.rl.evolution.episodes import require_fitness
from kedja.rl.evolution.evolve import Evolution, evolve
from kedja.rl.evolution.searches import require_search
from kedja.rl.physics import TWO, Task
from kedja.rl.playing import Agent, agent_of, play
from kedja.rl.policies import Policy, filled
from kedja.rl.spaces import config_for

Options = dict[str, Any]

TESTS = 20  # episodes
TEST_SEED = 1_000_000  # far from the seeds that were trained with

USUAL: Options = {
    "model": "cma-es",
    "hidden": "8",
    "recurrent": False,
    "population": None,
    "sigma": 1.0,
    "least": None,
    "generations": 200,
    "episodes": 4,
    "limit": None,
    "fitness": "reward",
    "goal": None,
    "seed": 0,
}
CARTS: Options = {**USUAL, "episodes": 1, "generations": 1000}
SEEING: Options = {**CARTS, "hidden": "none", "limit": poles.LONG}
BLIND: Options = {**CARTS, "hidden": "3", "recurrent": True}
DAMPED: Options = {**BLIND, "fitness": "gruau", "limit": poles.SHORT, "least": 0.2}


def usual(name: str) -> Options:
    """The options for an environment where none are given."""
    task = TASKS.get(name)
    if task is None:
        return USUAL
    if task.velocities:
        return SEEING
    return DAMPED if task.poles == TWO else BLIND


def train(request: Request) -> None:
    """Search until the environment is solved; test; keep the policy."""
    if len(request.data) != 1:
        raise UsageError("several environments", fix="name one, such as kedja/TwoPoles-v0")
    name, earlier = request.data[0], request.resumed()
    env = make(name)
    if earlier is None:
        made = {**usual(name), **request.given}
        require_fitness(env, made["fitness"])
        policy = _policy(env, made)
        require_search(made["model"], policy.num_parameters)
        folder = runs.fresh(request.out, name, made["model"])
        folders.describe(folder, policy)
    else:
        folder, made = earlier, runs.continued(earlier, request.data, request.given, "generations")
        policy = _policy(env, made)
    runs.keep(folder, request.data, made, None)
    for line in _about(name, policy, made, folder):
        note(line)
    again = runs.command(request.data, folder)
    with runs.resumable(again, folder):
        found = _evolved(name, policy, made, folder, request)
        folders.save(folder, found.policy)
    with runs.resumable(again, folder, runs.tested(folder)):
        results = _results(name, made, found, folder)
        runs.keep(folder, request.data, made, results)
    if request.json:
        say_json(results)
    else:
        say("\n".join(_summary(results, again)))


def agent(run: Path, environment: Any) -> Agent:
    """The policy of a run as an agent in its environment; for `kedja play`."""
    finished = (run / folders.WEIGHTS).exists()
    policy = models.load(run).model if finished else _so_far(run, environment)
    return agent_of(policy, environment)


def _so_far(run: Path, environment: Any) -> Policy:
    """The best policy of a run that was interrupted; UsageError where it has none yet."""
    vector = kept.Kept(run, {}).load().vector
    if not vector.size:
        raise runs.nothing_kept(run)
    made = runs.recipe_of(run)
    best: Policy = filled(_policy(environment, made), vector)
    return best


def _policy(env: Any, made: Options) -> Policy:
    hidden = layers(made["hidden"], "--hidden")
    return Policy(config_for(env, hidden, recurrent=made["recurrent"]))


def _about(name: str, policy: Policy, made: Options, folder: Path) -> list[str]:
    config = policy.config
    kind = "recurrent" if config.recurrent else "forward"
    hidden = "-".join(map(str, config.hidden)) or "none"
    acts = _counted(config.actions, "action" if config.discrete else "number")
    return [
        f"{name}: {_counted(config.observations, 'number')} observed, {acts} to choose",
        f"{made['model']}: a {kind} policy, hidden units {hidden}, "
        f"{policy.num_parameters:,} weights, sigma {made['sigma']:g}, fitness {made['fitness']}, "
        f"{_counted(made['episodes'], 'episode')} each, seed {made['seed']}",
        f"run: {folder}",
    ]


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def _evolved(name: str, policy: Policy, made: Options, folder: Path, request: Request) -> Evolution:
    same = ("population", "sigma", "least", "generations", "episodes", "limit", "fitness", "seed")
    goal, accept = _enough(name, made)
    return evolve(
        name,
        search=made["model"],
        policy=policy,
        goal=goal,
        accept=accept,
        checkpoint=folder,
        resume=request.resume,
        **{each: made[each] for each in same},
    )


def _enough(name: str, made: Options) -> tuple[float | None, Any]:
    """The fitness that is enough, and the further test.

    With Gruau's fitness who has stood for all steps is put to the test of `poles.passes`.
    """
    if made["fitness"] != "gruau" or made["goal"] is not None:
        return made["goal"], None
    task = TASKS.get(name, Task(TWO))
    return fleet.stood(made["limit"] or poles.SHORT), lambda policy: poles.passes(task, policy)


# ------------------------------------------------------------------------------- what it reached


def _results(name: str, made: Options, found: Evolution, folder: Path) -> Options:
    """What `--json` prints."""
    return {
        "data": [name],
        **made,
        "parameters": found.policy.num_parameters,
        "solved": found.solved,
        "best_fitness": found.fitness,
        "generations_lived": len(found.generations),
        "evaluations": found.evaluations,
        "train_seconds": found.seconds,
        **_tested(name, found.policy),
        "run": str(folder),
    }


def _tested(name: str, policy: Policy) -> Options:
    """For carts the usual tests; else fresh episodes beside those of random actions."""
    task = TASKS.get(name)
    if task is not None:
        starts = poles.generalises(task, policy)
        return {"lasts": poles.lasts(task, policy), "steps": poles.LONG, "other_starts": starts}
    env = make(name)
    mine = [each.reward for each in play(env, agent_of(policy, env), TESTS, seed=TEST_SEED)]
    env.action_space.seed(TEST_SEED)
    by_chance = play(env, lambda *_: env.action_space.sample(), TESTS, seed=TEST_SEED)
    return {
        "test_episodes": TESTS,
        "test_reward": float(np.mean(mine)),
        "test_deviation": float(np.std(mine)),
        "random_reward": float(np.mean([each.reward for each in by_chance])),
    }


def _summary(results: Mapping[str, Any], again: str) -> list[str]:
    """The results for people, one fact a line; where nothing was solved, how to look on."""
    more = f"look on with: {again} --generations {2 * results['generations']}"
    end = "solved" if results["solved"] else "not solved"
    return [
        f"{results['model']} on {results['data'][0]}: {end} after {results['evaluations']:,} "
        f"evaluations in {_counted(results['generations_lived'], 'generation')}",
        *_told(results),
        f"best fitness {results['best_fitness']:,.6g}, {results['parameters']:,} weights, "
        f"{results['train_seconds']:.1f} s",
        f"run: {results['run']}",
        *([] if results["solved"] else [more]),
        f"next: kedja play {results['run']} --gif poles.gif"
        if "lasts" in results
        else f"next: kedja play {results['run']} --episodes 5",
    ]


def _told(results: Mapping[str, Any]) -> list[str]:
    if "lasts" in results:
        ends = "balances" if results["lasts"] else "does not balance"
        return [
            f"{ends} for {results['steps']:,} steps from the usual start",
            f"balances for {poles.SHORT:,} steps from {results['other_starts']} of the 625 "
            "other starts",
        ]
    return [told(TESTS, results)]
