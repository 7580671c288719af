"""The rounds of a run: acting and learning, trials in between, checkpoints, Ctrl-C, the end.

All methods that learn while they act share them. What a run is after a whole round stands in one
value, which is replaced at once: whenever a run is interrupted, that is what is kept, and the round
that was cut short is done again. Not here: the methods (`gradients/`, `q_learning/`), what a user
calls (`learning.py`). Next: `gradients/learner.py`.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from kedja.front import tree
from kedja.front.tensor import as_tensor
from kedja.ground.errors import CheckpointError, Interrupted
from kedja.rl import copies as stepped
from kedja.rl import keeping
from kedja.rl.copies import Copies, Ended
from kedja.rl.telling import Line
from kedja.rl.trials import Trials
from kedja.train.checkpoint import restored

Array = np.ndarray[Any, np.dtype[Any]]

SAVE_SECONDS = 10.0
CONFIRMED = 100  # episodes in which a goal must be reached again before a run ends
LAST = 100  # episodes whose mean is shown


class Learner(Protocol):
    """What learns in copies of an environment. Everything that it draws comes from its seed."""

    @property
    def policy(self) -> Any:
        """The policy as it stands, which takes the best actions: a module with `start()`."""

    def advance(self) -> Mapping[str, float]:
        """One round: act for a while, learn from it; figures of it by name."""

    def state(self) -> Any:
        """All that later rounds depend on, as a tree of arrays, which they leave as it is."""

    def restore(self, state: Any) -> None:
        """Go to where such a tree was taken."""


class Trial(NamedTuple):
    """What a policy was worth after so many steps: the mean reward of episodes of its own."""

    steps: int
    reward: float


class Whole(NamedTuple):
    """A run after a whole round; `ended` of its episodes are part of it."""

    state: Any
    copies: stepped.Kept
    ended: int
    trials: tuple[Trial, ...]
    best: Any
    reward: float
    solved: bool


class Goal(NamedTuple):
    """What is enough, how many episodes each trial has, and after how many steps one comes."""

    reward: float
    episodes: int
    every: int


class Run:
    """A run of a learner; `episodes` are those that ended in training, `whole` where it stands."""

    def __init__(
        self,
        learner: Learner,
        copies: Copies,
        trials: Trials,
        goal: Goal,
        seed: int,
        folder: Path | None,
        options: Mapping[str, str],
        line: Line,
    ) -> None:
        self._learner, self._copies, self._trials = learner, copies, trials
        self._goal, self._seed = goal, seed
        self._folder, self._options, self._line = folder, dict(options), line
        self.episodes: list[Ended] = []
        self.seconds = 0.0
        first = learner.policy
        self.whole = Whole(learner.state(), copies.kept(), 0, (), first, -np.inf, False)

    @property
    def steps(self) -> int:
        """Steps of the environment so far."""
        return self.whole.copies.steps

    def until(self, steps: int) -> None:
        """Go on until the goal is reached or so many steps were taken.

        Raises Interrupted at Ctrl-C, once the state is kept.
        """
        start, saved = time.perf_counter() - self.seconds, time.perf_counter()
        try:
            while True:
                if self._is_due(steps):
                    self._try()
                self.seconds = time.perf_counter() - start
                self._line.show(lambda: self._text(steps))
                if self.whole.solved or self.steps >= steps:
                    break
                if time.perf_counter() - saved > SAVE_SECONDS:
                    self.save()
                    saved = time.perf_counter()
                self._round()
        except KeyboardInterrupt:
            self.save()
            self._line.close()
            folder = None if self._folder is None else str(self._folder)
            raise Interrupted(f"after {self.steps:,} steps", folder) from None
        self.save()
        self._line.close()

    def _round(self) -> None:
        self._learner.advance()
        self.episodes += self._copies.ended()
        whole = self.whole._replace(
            state=self._learner.state(), copies=self._copies.kept(), ended=len(self.episodes)
        )
        self.whole = whole if whole.trials else whole._replace(best=self._learner.policy)

    def _is_due(self, steps: int) -> bool:
        """Whether it is time for a trial."""
        last = self.whole.trials[-1].steps if self.whole.trials else 0
        if self.steps == last:
            return False
        every = self._goal.every
        return self.steps >= steps or self.steps >= (last // every + 1) * every

    def _try(self) -> None:
        """See what the policy is worth; the goal must be reached twice, in other episodes.

        The second time by two standard errors of the mean, so that it was not luck.
        """
        policy, goal = self._learner.policy, self._goal
        rewards = self._rewards(policy, goal.episodes, 1)
        solved = bool(rewards.mean() >= goal.reward)
        if solved:
            rewards = self._rewards(policy, CONFIRMED, 2)
            error = rewards.std() / np.sqrt(CONFIRMED)
            solved = bool(rewards.mean() - 2 * error >= goal.reward)
        row = Trial(self.steps, float(rewards.mean()))
        better = solved or row.reward >= self.whole.reward  # who is as good, but learned more
        best, highest = (policy, row.reward) if better else (self.whole.best, self.whole.reward)
        trials = (*self.whole.trials, row)
        self.whole = self.whole._replace(trials=trials, best=best, reward=highest, solved=solved)

    def _rewards(self, policy: Any, episodes: int, stage: int) -> Array:
        return self._trials.rewards(policy, episodes, (self._seed, stage, self.steps))

    def _text(self, steps: int) -> str:
        """Where the run stands, in one line."""
        last = [each.reward for each in self.episodes[-LAST:]]
        mean = f"reward {np.mean(last):.4g}" if last else "no episode has ended"
        best = f"  best trial {self.whole.reward:.4g}" if self.whole.trials else ""
        pace = self.steps / max(self.seconds, 1e-9)
        return f"{self.steps:,}/{steps:,} steps  {mean}{best}  {pace:,.0f} steps/s"

    # ------------------------------------------------------------------------------ checkpoints

    def save(self) -> None:
        """Keep the run as it is after its last whole round, where there is a folder."""
        if self._folder is None:
            return
        whole = self.whole
        learner = dict(tree.paths({"learner": whole.state}))
        best = {f"best.{name}": each for name, each in whole.best.state_dict().items()}
        arrays = {
            **{name: as_tensor(each).numpy() for name, each in learner.items()},
            **stepped.arrays(whole.copies, self._copies.actions),
            **best,
            "episodes": table(self.episodes[: whole.ended], 3),
            "trials": table(whole.trials, 2),
        }
        about = {"options": self._options, "seconds": self.seconds, "solved": whole.solved}
        keeping.save(self._folder, arrays, {**about, "reward": whole.reward})

    def resume(self) -> None:
        """Go to where the folder's run stands, if it holds one.

        Raises CheckpointError for a damaged file and for a run with other options.
        """
        if self._folder is None or not keeping.exists(self._folder):
            return
        where = str(self._folder / keeping.FILE)
        arrays, about = keeping.load(self._folder)
        try:
            keeping.require_same(self._options, about["options"], where)
            self._learner.restore(restored(self._learner.state(), arrays, "learner", where))
            again = self._copies.restore(arrays)
            self.episodes = [Ended(a, int(b), int(c)) for a, b, c in arrays["episodes"].tolist()]
            trials = tuple(Trial(int(a), b) for a, b in arrays["trials"].tolist())
            best = {name[5:]: each for name, each in arrays.items() if name.startswith("best.")}
            first = self.whole.best.load_state_dict(best)
            self.seconds = float(about["seconds"])
            found = trials, first, float(about["reward"]), bool(about["solved"])
        except (KeyError, TypeError, ValueError) as error:
            what = f"the state of the run cannot be read: {type(error).__name__}: {error}"
            raise CheckpointError(what, where=where, fix="train again") from error
        state, copies = self._learner.state(), self._copies.kept()
        self.whole = Whole(state, copies, len(self.episodes), *found)
        if not again:
            what = "the environment does not repeat itself: episodes begin anew, with other bits"
            warnings.warn(what, stacklevel=3)


def table(rows: Sequence[tuple[float, ...]], width: int) -> Array:
    """Rows of numbers as an array (rows, width), also where there are none."""
    return np.array(rows, np.float64).reshape(len(rows), width)
