"""How a round is acted: so many steps in each copy, or one whole episode in each.

Not here: what is learned from it (`learner.py`). Next: `learner.py`.
Dimensions: T steps, N copies, O numbers observed.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kedja.rl.copies import Copies
from kedja.rl.gradients.learner import Acted, Draw, acted_of

SHORTEST = 128  # steps for which room is made at least


def for_steps(copies: Copies, draw: Draw, steps: int) -> Acted:
    """T steps in each copy, through the ends of episodes."""
    rows, every = [], np.ones(copies.count, np.float32)
    for t in range(steps):
        seen = copies.seen
        drawn, done = draw(seen, t)
        after, rewards, terminated, truncated = copies.step(done)
        rows.append((seen, drawn, rewards, after, terminated, terminated | truncated, every))
    return acted_of(rows)


def for_episodes(copies: Copies, draw: Draw) -> Acted:
    """One episode in each copy; those that are over wait for the others.

    T is rounded up to 128 · 2ⁿ with steps that do not count, so that few programs are compiled.
    """
    copies.begin_episodes()
    rows: list[tuple[Any, ...]] = []
    running = np.ones(copies.count, bool)
    while running.any():
        seen = copies.seen
        drawn, done = draw(seen, len(rows))
        stepped = copies.step(done, np.flatnonzero(running).tolist())
        after, rewards, terminated, truncated = stepped
        over = terminated | truncated | ~running
        rows.append((seen, drawn, rewards, after, terminated, over, running.astype(np.float32)))
        running = running & ~over
    return _lengthened(acted_of(rows))


def _lengthened(acted: Acted) -> Acted:
    """The same with steps at the end that do not count."""
    length = SHORTEST
    while length < len(acted.counts):
        length *= 2
    more = length - len(acted.counts)
    longer = (
        np.concatenate([each, np.zeros((more, *each.shape[1:]), each.dtype)]) for each in acted
    )
    return Acted(*longer)
