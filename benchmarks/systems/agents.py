"""Agents that learn while they act: each method on the usual tasks, five seeds each.

The rows are the second half of point 5 of what the systems must show. A run's seconds count from
its start, with nothing compiled before, to its end, with its trials; then its policy acts in 100
episodes that it has not met. Not here: evolution (`poles.py`). Next: `kedja/rl/learning.py`.

Published figures are those of A. Raffin: RL Baselines3 Zoo (github.com/DLR-RM/rl-baselines3-zoo,
benchmark.md): Stable-Baselines3 with tuned options for each task, one run each.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.systems.results import Chosen, Result
from kedja.ground.flags import scope
from kedja.rl import Learning, learn, make, play
from kedja.rl.trials import Trials
from kedja.views import figures

TITLE = "Agents that learn while they act"

EPISODES = 100
TEST_SEED = 1_000_000  # far from the seeds of training and trials
WINDOW = 20  # episodes that a point of a curve is the mean of
Array = np.ndarray[Any, np.dtype[Any]]
QUICK = {"steps": 512, "copies": 4, "episodes": 2}


@dataclass(frozen=True)
class Task:
    """A method in an environment, what it has to reach, and within how many seconds."""

    name: str
    method: str
    environment: str
    enough: float
    published: str
    options: dict[str, Any]
    seconds: float = np.inf

    @property
    def goal(self) -> str:
        """What is to be reached, in words."""
        within = "" if self.seconds == np.inf else f", in at most {self.seconds:.0f} s"
        return f"{self.enough:g} in each of 5 seeds{within}"


class Run(NamedTuple):
    """A run, how long it took, and the rewards of the episodes that it was tested in."""

    found: Learning
    seconds: float
    rewards: Array

    @property
    def mean(self) -> float:
        """The mean reward."""
        return float(self.rewards.mean())


CART, SWING, ACROBOT, CAR = "CartPole-v1", "Pendulum-v1", "Acrobot-v1", "MountainCarContinuous-v0"
TASKS = (
    Task("PPO", "ppo", CART, 475, "500 after 100,000 steps", {}, 60),
    Task("A2C", "a2c", CART, 475, "500 after 500,000 steps", {}),
    Task("REINFORCE", "reinforce", CART, 475, "", {}),
    Task("DQN", "dqn", CART, 475, "500 after 50,000 steps", {}),
    Task("PPO", "ppo", SWING, -250, "-172 after 100,000 steps", {"steps": 200_000, "goal": -200}),
    Task("PPO", "ppo", ACROBOT, -100, "-74 after 1,000,000 steps", {}),
    Task("DQN", "dqn", ACROBOT, -100, "-77 after 100,000 steps", {}),
    Task("PPO", "ppo", CAR, 90, "88 after 20,000 steps", {"spread": 2.0}),
)


def run(chosen: Chosen) -> Iterator[Result]:
    """Learn, test, draw."""
    seeds = range(1 if chosen.quick else 5)
    curves = {}
    with scope(threads=chosen.threads, use_cache=False):
        for task in TASKS[:1] if chosen.quick else TASKS:
            found = [_run(task, seed, chosen.quick) for seed in seeds]
            curves[f"{task.name}, {task.environment}"] = [each.found for each in found]
            yield from _rows(task, found)
    if chosen.pictures is not None:
        yield _drawn(curves, chosen.pictures / "agents.png")


def _run(task: Task, seed: int, quick: bool) -> Run:
    start = time.perf_counter()
    options = {**task.options, **(QUICK if quick else {}), "seed": seed, "progress": False}
    found = learn(task.environment, task.method, **options)
    seconds = time.perf_counter() - start
    episodes = 2 if quick else EPISODES
    return Run(
        found, seconds, Trials(task.environment).rewards(found.policy, episodes, [TEST_SEED])
    )


def _rows(task: Task, found: Sequence[Run]) -> Iterator[Result]:
    worst, slowest = min(each.mean for each in found), max(each.seconds for each in found)
    published = f"RL Zoo {task.published}; " if task.published else ""
    steps = ", ".join(f"{each.found.steps:,}" for each in found)
    yield Result(
        f"{task.name}, {task.environment}: mean reward of {EPISODES} episodes",
        ", ".join(f"{each.mean:.1f}" for each in found),
        task.goal,
        worst >= task.enough and slowest <= task.seconds,
        f"{published}random actions {_by_chance(task.environment):.1f}",
        f"seeds 0 to {len(found) - 1}; after {steps} steps{_given(task.options)}",
    )
    seconds = [each.seconds for each in found]
    yield Result(
        "seconds until then, with compiling and trials",
        ", ".join(f"{each:.1f}" for each in seconds),
        note=f"median {statistics.median(seconds):.1f}",
    )


def _given(options: dict[str, Any]) -> str:
    texts = (f"{name}={value:,}" for name, value in options.items())
    return f"; {', '.join(texts)}" if options else "; usual options"


def _by_chance(environment: str) -> float:
    env = make(environment)
    env.action_space.seed(TEST_SEED)
    played = play(env, lambda *_: env.action_space.sample(), 20, seed=TEST_SEED)
    return float(np.mean([each.reward for each in played]))


def _drawn(curves: dict[str, list[Learning]], file: Path) -> Result:
    """The rewards of training's episodes, a line for each seed."""
    figure = figures.figure(figsize=(10, 5.5))
    rows = -(-len(curves) // 3)
    places = figure.subplots(rows, 3, squeeze=False).ravel()
    for ax, (title, found) in zip(places, curves.items(), strict=False):
        ax.set_title(title, fontsize=9)
        for each in found:
            ax.plot(*_smoothed(each), linewidth=0.8)
        ax.set_xlabel("thousand steps", fontsize=8)
        ax.tick_params(labelsize=7)
    for ax in places[len(curves) :]:
        ax.set_axis_off()
    figure.supylabel(f"reward, mean of at most {WINDOW} episodes of training", fontsize=8)
    file.parent.mkdir(parents=True, exist_ok=True)
    figures.save(figure, file, dpi=80)
    return Result("rewards in training, five seeds each", f"[curves](images/{file.name})")


def _smoothed(found: Learning) -> tuple[Array, Array]:
    """Thousands of steps, and the mean reward of the episodes that ended last."""
    rewards = np.array([episode.reward for episode in found.episodes])
    steps = np.array([episode.steps for episode in found.episodes])
    window = max(1, min(WINDOW, len(rewards) // 4))  # long episodes may be few
    return steps[window - 1 :] / 1000, np.convolve(rewards, np.ones(window) / window, "valid")
