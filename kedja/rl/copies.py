"""Several copies of an environment, stepped together; an episode that ends is followed by the next.

Every episode is seeded by the run's seed, the copy and the episode's number, and the actions of
running episodes are kept: so the state of all copies is a few numbers (`kept`, `arrays`), and is
restored by playing these episodes again up to where they stood. Not here: who acts
(`learning.py`). Next: `learning.py`.
Dimensions: N copies, O numbers observed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np

from kedja.ground.errors import DataError, UsageError
from kedja.rl.environments import library, limited, make, require_interface
from kedja.rl.spaces import actions_of, encoder, require_known

Array = np.ndarray[Any, np.dtype[Any]]


class Stepped(NamedTuple):
    """What a step led to.

    `after` (N, O) is what the step itself shows, also where it ended an episode; what the next one
    shows first is then in `Copies.seen`. An episode ended by itself where it is `terminated`, and
    was cut off by a time limit where it is `truncated`: there, what would have come has a value.
    """

    after: Array
    rewards: Array
    terminated: Array
    truncated: Array


class Ended(NamedTuple):
    """An episode that ended: the sum of its rewards, its steps, all steps of all copies by then."""

    reward: float
    length: int
    steps: int


class Kept(NamedTuple):
    """Where all copies stand: of each, its episode's number and the actions taken so far.

    The lists go on to grow; of each only the first `lengths` belong here. `rewards` are what the
    episodes paid so far, `marks` the checksums of all that they showed: by these an episode that is
    played again is known.
    """

    steps: int
    episodes: tuple[int, ...]
    taken: tuple[list[Any], ...]
    lengths: tuple[int, ...]
    rewards: tuple[float, ...]
    marks: tuple[int, ...]
    seen: Array


class Copies:
    """N copies of an environment; `seen` (N, O), float32, is what they show now.

    `environment` is a name, an environment of `gymnasium.make`, or a function that makes one;
    `limit` is how many steps an episode has at most. Observations are made flat by
    `spaces.encoder`. Raises UsageError where the environment cannot be made, UnsupportedError for
    spaces of kinds that are not known.

    >>> copies = Copies("CartPole-v1", 3, seed=1)
    >>> stepped = copies.step(np.array([0, 1, 1]))
    >>> stepped.after.shape, stepped.rewards.tolist(), copies.steps
    ((3, 4), [1.0, 1.0, 1.0], 3)
    """

    def __init__(
        self, environment: Any, count: int, *, seed: int = 0, limit: int | None = None
    ) -> None:
        made = maker(environment, limit)
        self._envs = [made() for _ in range(count)]
        self.first = self._envs[0]
        require_known(self.first)
        self.space, self.actions = self.first.observation_space, self.first.action_space
        self._shape = _shape(self.space)
        self._encoded = _encoder(self.space)
        self._decoded = _decoder(self.actions, count)
        self.begin(seed)

    @property
    def count(self) -> int:
        """N."""
        return len(self._envs)

    # ------------------------------------------------------------------------------ acting

    def begin(self, seed: int | Sequence[int]) -> None:
        """Start anew: every copy with episode 0 of this seed."""
        self._seed = (seed,) if isinstance(seed, int) else tuple(seed)
        self.steps = 0
        self._ended: list[Ended] = []
        self._episodes = [-1] * self.count
        self._taken: list[list[Any]] = [[] for _ in self._envs]
        self._rewards, self._marks = [0.0] * self.count, [0] * self.count
        rows = np.zeros((self.count, *self._shape), np.float32)
        for place in range(self.count):
            rows[place] = self._reset(place)
        self.seen: Array = rows.reshape(self.count, -1)

    def begin_episodes(self) -> None:
        """Leave the running episodes: every copy that has taken a step starts its next one."""
        rows = self.seen.reshape(self.count, *self._shape).copy()
        for place, taken in enumerate(self._taken):
            if taken:
                rows[place] = self._reset(place)
        self.seen = rows.reshape(self.count, -1)

    def step(self, actions: Array, only: Iterable[int] | None = None) -> Stepped:
        """Take an action (N,) or (N, …) in each copy, or in `only` some; the others stand still.

        Where an episode ends, the copy's next one starts at once.
        """
        count = self.count
        rows = self.seen.reshape(count, *self._shape).copy()
        rewards = np.zeros(count)
        terminated, truncated = np.zeros(count, bool), np.zeros(count, bool)
        ended = []
        given, envs, encoded = self._decoded(actions), self._envs, self._encoded
        for place in range(count) if only is None else only:
            action = given[place]
            self._taken[place].append(action)
            try:
                observation, reward, over, cut, _ = envs[place].step(action)
            except (TypeError, ValueError):
                require_interface(envs[place])
                raise
            rows[place] = encoded(observation)
            rewards[place] = reward
            self._rewards[place] += float(reward)
            self._marks[place] = crc32(rows[place], self._marks[place])
            self.steps += 1
            if over or cut:
                terminated[place], truncated[place] = over, cut and not over
                ended.append(place)
        after = self.seen = rows.reshape(count, -1)
        if ended:
            self._follow(ended, rows.copy())
        return Stepped(after, rewards, terminated, truncated)

    def _follow(self, ended: list[int], rows: Array) -> None:
        """Note episodes that ended, and start the next ones."""
        for place in ended:
            row = Ended(self._rewards[place], len(self._taken[place]), self.steps)
            self._ended.append(row)
            rows[place] = self._reset(place)
        self.seen = rows.reshape(self.count, -1)

    def _reset(self, place: int) -> Any:
        """Start a copy's next episode; the actions of the last one stay with who keeps them."""
        self._episodes[place] += 1
        self._taken[place], self._rewards[place] = [], 0.0
        return self._shown(place)

    def _shown(self, place: int) -> Any:
        """What a copy shows first in its present episode."""
        # The 1 at the end keeps seeds of other lengths apart, since zeros are added to them.
        seeds = np.random.SeedSequence([*self._seed, place, self._episodes[place], 1])
        try:
            observation, _ = self._envs[place].reset(seed=int(seeds.generate_state(1)[0]))
            row = self._encoded(observation)
        except (TypeError, ValueError, KeyError):
            require_interface(self._envs[place])
            raise
        if np.shape(row) != self._shape:
            require_interface(self._envs[place])
            what = f"an observation of shape {list(np.shape(row))}, not {list(self._shape)}"
            raise DataError(f"the environment gives {what}", fix="mend its observation_space")
        self._marks[place] = crc32(np.asarray(row, np.float32).tobytes())
        return row

    def ended(self) -> list[Ended]:
        """The episodes that ended since this was last asked."""
        found, self._ended = self._ended, []
        return found

    def close(self) -> None:
        """Close all copies."""
        for each in self._envs:
            each.close()

    # ------------------------------------------------------------------- leaving and coming back

    def kept(self) -> Kept:
        """Where all copies stand now; costs next to nothing."""
        lengths = tuple(map(len, self._taken))
        known = tuple(self._rewards), tuple(self._marks)
        return Kept(
            self.steps, tuple(self._episodes), tuple(self._taken), lengths, *known, self.seen
        )

    def restore(self, arrays: Mapping[str, Array], prefix: str = "copies.") -> bool:
        """Go to where `arrays` of some copies stood, by playing their episodes again.

        False where the environment shows something else than it did then: it is not determined by
        its seed and the actions. The copies then start new episodes.
        """
        get = {name: arrays[f"{prefix}{name}"] for name in PARTS}
        self._episodes = [int(each) for each in get["episodes"]]
        pieces = np.split(get["actions"], np.cumsum(get["lengths"])[:-1])
        rows = np.zeros((self.count, *self._shape), np.float32)
        for place, piece in enumerate(pieces):
            rows[place] = self._replayed(place, piece)
        self.seen, self.steps = rows.reshape(self.count, -1), int(get["steps"])
        self._ended = []
        if self._is_as(get):
            return True
        self._taken = [taken or [None] for taken in self._taken]  # so that all of them start anew
        self.begin_episodes()
        return False

    def _is_as(self, kept: Mapping[str, Array]) -> bool:
        """Whether the running episodes showed and paid what those did that were kept."""
        mine = (self._rewards, self._marks, self.seen)
        theirs = (kept[name] for name in ("rewards", "marks", "seen"))
        return all(map(partial(np.array_equal, equal_nan=True), mine, theirs))

    def _replayed(self, place: int, actions: Array) -> Any:
        """Play a copy's episode again; what it shows at the end, NaN where it ended."""
        self._taken[place], self._rewards[place] = [], 0.0
        row = self._shown(place)
        whole = isinstance(self.actions, library().spaces.Discrete)
        for action in actions.tolist() if whole else actions:
            observation, reward, over, cut, _ = self._envs[place].step(action)
            self._taken[place].append(action)
            self._rewards[place] += float(reward)
            row = self._encoded(observation)
            self._marks[place] = crc32(np.asarray(row, np.float32).tobytes(), self._marks[place])
            if over or cut:  # it did not end then
                return np.nan
        return row


PARTS = ("steps", "episodes", "lengths", "actions", "rewards", "marks", "seen")


def arrays(kept: Kept, space: Any, prefix: str = "copies.") -> dict[str, Array]:
    """Where copies stood, as arrays by name; `space` is that of the actions."""
    shape, dtype = tuple(space.shape), space.dtype
    pieces = zip(kept.taken, kept.lengths, strict=True)
    actions = [each for taken, length in pieces for each in taken[:length]]
    values = (
        np.array(kept.steps, np.int64),
        np.array(kept.episodes, np.int64),
        np.array(kept.lengths, np.int64),
        np.array(actions, dtype).reshape(len(actions), *shape),
        np.array(kept.rewards, np.float64),
        np.array(kept.marks, np.int64),
        kept.seen,
    )
    return {f"{prefix}{name}": each for name, each in zip(PARTS, values, strict=True)}


# ---------------------------------------------------------------------------------- environments


def maker(environment: Any, limit: int | None = None) -> Callable[[], Any]:
    """A function that makes one copy more of an environment.

    Raises UsageError where nobody knows how.
    """
    options: dict[str, Any] = {} if limit is None else {"max_episode_steps": limit}
    if isinstance(environment, str):
        return lambda: make(environment, disable_env_checker=True, **options)
    if isinstance(environment, library().Env):
        spec = environment.spec
        if spec is None:
            what = "the environment was not made by gymnasium.make, so it has no copies"
            raise UsageError(what, fix="give a function that makes it")
        return lambda: limited(library().make(spec, disable_env_checker=True, **options))
    if not callable(environment):
        what = f"{type(environment).__name__} is no environment"
        raise UsageError(what, fix="a name, an environment, or a function that makes one")
    return lambda: limited(environment(), limit)


def name_of(environment: Any) -> str:
    """What an environment is called, for messages and for the record of a run."""
    if isinstance(environment, str):
        return environment
    spec = getattr(environment, "spec", None)
    if spec is not None:
        return str(spec.id)
    return str(getattr(environment, "__qualname__", type(environment).__name__))


def _shape(space: Any) -> tuple[int, ...]:
    """The shape of an observation as it is written in its row."""
    spaces = library().spaces
    return tuple(space.shape) if isinstance(space, spaces.Box) else (spaces.flatdim(space),)


def _encoder(space: Any) -> Callable[[Any], Any]:
    """From an observation to what is written in its row: a Box's as it is, for speed."""
    if isinstance(space, library().spaces.Box):
        return lambda observation: observation
    return encoder(space)


def _decoder(space: Any, count: int) -> Callable[[Array], Any]:
    """From the actions of all copies to what each one's `step` takes."""
    if isinstance(space, library().spaces.Discrete):
        return lambda actions: actions_of(space, actions, count).tolist()
    return lambda actions: actions_of(space, actions, count)
