"""`kj.rl.evolve`: the loop that asks for candidates, lets them act, and tells what they are worth.

Not here: who proposes candidates (`searches.py`), where they act (`episodes.py`), what is kept of a
run (`kept.py`). Next: `kept.py`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from kedja.ground.errors import Interrupted, UsageError
from kedja.rl.copies import maker, name_of
from kedja.rl.environments import library
from kedja.rl.evolution import kept, telling
from kedja.rl.evolution.episodes import Episodes, episodes_in, limit_of
from kedja.rl.evolution.searches import SEARCHES, Search, require_search
from kedja.rl.options import WHOLE, require
from kedja.rl.policies import Policy, filled
from kedja.rl.spaces import config_for, task_of
from kedja.rl.telling import Line

if TYPE_CHECKING:
    import gymnasium

Array = np.ndarray[Any, np.dtype[Any]]

SAVE_SECONDS = 10.0


class Generation(NamedTuple):
    """A generation: its number from 1, all evaluations so far, the best and the mean fitness."""

    number: int
    evaluations: int
    best: float
    mean: float


@dataclass(frozen=True)
class Evolution:
    """What a run found.

    `policy` is the accepted one where the run is `solved`, else the best so far, of this `fitness`;
    `evaluations` are those of candidates, each of `episodes` episodes.
    """

    policy: Policy
    fitness: float
    solved: bool
    generations: list[Generation] = field(repr=False)
    seconds: float

    @property
    def evaluations(self) -> int:
        """Candidates that were tried."""
        return self.generations[-1].evaluations if self.generations else 0


def evolve(
    environment: str | gymnasium.Env[Any, Any] | Callable[[], gymnasium.Env[Any, Any]],
    *,
    search: str = "cma-es",
    policy: Policy | None = None,
    hidden: Sequence[int] = (),
    recurrent: bool = False,
    population: int | None = None,
    sigma: float = 1.0,
    least: float | None = None,
    generations: int = 1000,
    episodes: int = 1,
    limit: int | None = None,
    fitness: str = "reward",
    goal: float | None = None,
    accept: Callable[[Policy], bool] | None = None,
    seed: int = 0,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = False,
    progress: bool = True,
) -> Evolution:
    """Find a policy for an environment by evolution: the same seed finds the same bits.

    `environment` is a name, an environment of `gymnasium.make`, or a function that makes one. The
    policy is a network with `hidden` units, `recurrent` or not, or one that is given. `search` is
    "cma-es" or "genetic", with its `population` and `sigma`; its step never falls below the share
    `least` of sigma (unless given, 0 and 0.1). Each candidate plays `episodes` of at most `limit`
    steps, all of a generation the same ones; its `fitness` is the mean sum of rewards, or for carts
    "gruau".
    The run ends when the best of a generation reaches `goal` (unless given, the environment's
    reward threshold, for our carts all steps) and, where it is given, `accept(policy)` holds for
    it; else after `generations`. Without a goal `accept` alone decides.

    With a `checkpoint` folder Ctrl-C raises Interrupted, and `resume=True` goes on from there.
    Raises UsageError for options that do not fit, CheckpointError for another run's checkpoint,
    MissingExtra without the libraries of the extra `rl`.

    >>> found = evolve("kedja/OnePole-v0", limit=200, seed=1, progress=False)
    >>> found.solved, found.fitness, found.evaluations
    (True, 200.0, 32)
    """
    require({"generations": generations, "episodes": episodes}, WHOLE)
    env = environment if isinstance(environment, library().Env) else maker(environment)()
    if policy is None:
        policy = Policy(config_for(env, tuple(hidden), recurrent=recurrent))
    require_search(search, policy.num_parameters)
    shape: dict[str, Any] = {"population": population, "sigma": sigma, "seed": seed}
    shape |= {} if least is None else {"least": least}
    trial: dict[str, Any] = {"episodes": episodes, "limit": limit, "fitness": fitness}
    options = {**shape, **trial, "search": search, "goal": goal}
    run = _Run(
        policy,
        SEARCHES[search](policy.num_parameters, **shape),
        episodes_in(env, environment, policy, **trial),
        _Judge(_goal(env, fitness, goal, accept, limit_of(env, limit)), accept),
        seed,
        kept.Kept(checkpoint, _identity(name_of(environment), policy, options)),
        Line(progress),
    )
    if resume:
        run.replay()
    return run.until(generations)


def _identity(name: str, policy: Policy, options: Mapping[str, Any]) -> dict[str, str]:
    """What two runs have in common where one goes on with the other."""
    whole = {**options, "environment": name, "weights": policy.num_parameters}
    return {name: str(value) for name, value in whole.items()}


def _goal(env: Any, fitness: str, goal: float | None, accept: Any, limit: int) -> float:
    """The fitness that is enough; -inf where `accept` alone decides."""
    if goal is not None:
        return goal
    if accept is not None:
        return -np.inf
    if fitness == "gruau":
        raise UsageError("Gruau's fitness has no usual goal", fix="give goal= or accept=")
    if task_of(env) is not None:
        return float(limit)
    threshold = env.spec.reward_threshold if env.spec else None
    return np.inf if threshold is None else float(threshold)


class _Judge(NamedTuple):
    """When a candidate ends the run: its fitness is `goal` at least, and `accept` holds for it."""

    goal: float
    accept: Callable[[Policy], bool] | None

    def __call__(self, policy: Policy, vector: Array, fitness: float) -> bool:
        if not fitness >= self.goal:
            return False
        return self.accept is None or bool(self.accept(filled(policy, vector)))


class _Run:
    """A run: what was found so far, and the next generation."""

    def __init__(
        self,
        policy: Policy,
        search: Search,
        where: Episodes,
        judge: _Judge,
        seed: int,
        store: kept.Kept,
        line: Line,
    ) -> None:
        self._policy, self._search, self._where = policy, search, where
        self._judge, self._seed = judge, seed
        self._store, self._line = store, line
        self._rows: list[Generation] = []
        self._best: tuple[float, Array] = (-np.inf, np.zeros(policy.num_parameters))
        self._solved = False
        self._seconds = 0.0

    def replay(self) -> None:
        """Tell the search what a run was told before it was interrupted."""
        before = self._store.load()
        for fitness in before.fitness:
            self._take(self._search.ask(), fitness)
        self._seconds, self._solved = before.seconds, before.solved
        if before.solved:
            self._best = (self._best[0], before.vector)

    def until(self, generations: int) -> Evolution:
        """Go on until the run is solved, or so many generations have lived."""
        start, saved = time.perf_counter() - self._seconds, time.perf_counter()
        try:
            while not self._solved and len(self._rows) < generations:
                self._next()
                self._seconds = time.perf_counter() - start
                self._line.show(lambda: self._text(generations))
                if time.perf_counter() - saved > SAVE_SECONDS:
                    self._save()
                    saved = time.perf_counter()
        except KeyboardInterrupt:
            self._save()
            self._line.close()
            raise self._interrupted() from None
        self._save()
        self._line.close()
        value, vector = self._best
        policy = filled(self._policy, vector)
        return Evolution(policy, value, self._solved, self._rows, self._seconds)

    def _text(self, generations: int) -> str:
        return telling.text(self._rows[-1], self._best[0], generations)

    def _next(self) -> None:
        """One generation: asked for, tried, told; its best one is looked at."""
        vectors = self._search.ask()
        fitness = self._where.fitness(vectors, (self._seed, len(self._rows)))
        best = int(np.argmax(fitness))
        solved = self._judge(self._policy, vectors[best], float(fitness[best]))
        self._take(vectors, fitness)
        self._store.add(fitness)
        if solved:
            self._best, self._solved = (float(fitness[best]), vectors[best].copy()), True

    def _take(self, vectors: Array, fitness: Array) -> None:
        best, value = int(np.argmax(fitness)), float(np.max(fitness))
        if value >= self._best[0]:
            self._best = (value, vectors[best].copy())
        count = len(fitness) + (self._rows[-1].evaluations if self._rows else 0)
        self._rows.append(Generation(len(self._rows) + 1, count, value, float(np.mean(fitness))))
        self._search.tell(fitness)

    def _save(self) -> None:
        self._store.save(self._best[1], self._seconds, self._solved)

    def _interrupted(self) -> Interrupted:
        done = f"after {len(self._rows):,} generations"
        return Interrupted(done, self._store.folder)
