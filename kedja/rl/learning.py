"""`kj.rl.learn`: an agent that learns while it acts, in any environment, by one of several methods.

To add a method, add a row to METHODS. Not here: the methods, the rounds that they share
(`rounds.py`). Next: `rounds.py`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np

from kedja.ground.errors import Interrupted, UsageError
from kedja.ground.suggest import did_you_mean
from kedja.rl.copies import Copies, Ended, name_of
from kedja.rl.gradients.methods import A2C, PPO, Reinforce
from kedja.rl.options import WHOLE, require
from kedja.rl.q_learning.dqn import DQN
from kedja.rl.rounds import Goal, Learner, Run, Trial
from kedja.rl.telling import Line
from kedja.rl.trials import Trials


class Method(Protocol):
    """A method of learning: a frozen dataclass of its options.

    `steps` of the environment, `copies` of it and the steps between trials (`every`) are what is
    usual for the method, where the caller does not say.
    """

    steps: ClassVar[int]
    copies: ClassVar[int]
    every: ClassVar[int]

    def require(self, environment: Any) -> None:
        """Raise UnsupportedError for an environment in which the method cannot act."""

    def learner(self, copies: Copies, steps: int, seed: int) -> Learner:
        """Who learns by this method in these copies, for so many steps."""


METHODS: Mapping[str, type[Any]] = {"ppo": PPO, "a2c": A2C, "reinforce": Reinforce, "dqn": DQN}


@dataclass(frozen=True)
class Learning:
    """What a run found.

    `policy` is the best of all trials, `reward` its mean reward there; the run is `solved` where
    that reached the goal, and did so again in 100 further episodes. `episodes` are those of
    training, in which actions were drawn; in the `trials` the best actions were taken.
    """

    policy: Any
    reward: float
    solved: bool
    steps: int
    seconds: float
    episodes: list[Ended] = field(repr=False)
    trials: list[Trial] = field(repr=False)


def learn(
    environment: Any,
    method: str = "ppo",
    *,
    steps: int | None = None,
    copies: int | None = None,
    seed: int = 0,
    limit: int | None = None,
    goal: float | None = None,
    every: int | None = None,
    episodes: int = 20,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = False,
    progress: bool = True,
    **options: Any,
) -> Learning:
    """Let an agent learn in an environment: the same seed learns the same bits.

    `environment` is a name, an environment of `gymnasium.make`, or a function that makes one; an
    episode has at most `limit` steps. So many `copies` of it are acted in together, for so many
    `steps` in all. After `every` so many of them the policy is tried in `episodes` episodes of
    their own; the run ends early when their mean reward reaches the `goal` (unless given, the
    environment's reward threshold) and that of 100 further ones does so by two standard errors.
    `options` are those of the method: "ppo" (`PPO`), "a2c" (`A2C`), "reinforce" (`Reinforce`) or
    "dqn" (`DQN`).

    Ctrl-C raises Interrupted, whose `history` is what was found; with a `checkpoint` folder
    `resume=True` goes on from there, with the same bits as if nothing had been. Raises UsageError
    for options that do not fit, UnsupportedError for spaces that no network of the method has,
    NonFiniteError where learning diverges, CheckpointError for another run's checkpoint,
    MissingExtra without Gymnasium.

    >>> found = learn("CartPole-v1", steps=2048, goal=15, progress=False)
    >>> found.solved, found.steps, len(found.trials)
    (True, 2048, 1)
    """
    counts = {"steps": steps, "copies": copies, "limit": limit, "every": every}
    counts = {name: value for name, value in counts.items() if value is not None}
    require({**counts, "episodes": episodes}, WHOLE)
    chosen = method_of(method, options)
    count, total = copies or chosen.copies, steps or chosen.steps
    together = Copies(environment, count, seed=seed, limit=limit)
    record = {"environment": name_of(environment), "method": method, "copies": count, "seed": seed}
    record |= {"limit": limit, "goal": goal, "episodes": episodes, "every": every}
    run = Run(
        chosen.learner(together, total, seed),
        together,
        Trials(environment, limit),
        Goal(goal_of(together.first, goal), episodes, every or chosen.every),
        seed,
        None if checkpoint is None else Path(checkpoint),
        {name: str(value) for name, value in {**record, **asdict(chosen)}.items()},
        Line(progress),
    )
    if resume:
        run.resume()
    return _ended(run, total)


def _ended(run: Run, steps: int) -> Learning:
    try:
        run.until(steps)
    except Interrupted as error:
        error.history = _found(run)
        raise
    return _found(run)


def _found(run: Run) -> Learning:
    whole = run.whole
    best = whole.best, whole.reward, whole.solved
    episodes = run.episodes[: whole.ended]
    return Learning(*best, run.steps, run.seconds, episodes, list(whole.trials))


def method_of(name: str, options: Mapping[str, Any]) -> Any:
    """A method with its options.

    Raises UsageError where there is no such method, and for an option that it does not have.
    """
    if name not in METHODS:
        raise UsageError(f"there is no method {name!r}", fix=did_you_mean(name, METHODS))
    known = [each.name for each in fields(METHODS[name])]
    for option in options:
        if option not in known:
            what = f"the method {name} has no option {option!r}"
            raise UsageError(what, fix=did_you_mean(option, known))
    return METHODS[name](**options)


def goal_of(environment: Any, goal: float | None) -> float:
    """The reward that is enough; infinity where nobody knows."""
    if goal is not None:
        return goal
    threshold = environment.spec.reward_threshold if environment.spec else None
    return np.inf if threshold is None else float(threshold)
