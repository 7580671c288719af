"""Steps taken one by one from Python, with what a native run of many steps promises.

The state is only ever that of a whole step, whatever interrupts; a step whose watched value is NaN
or infinite is not taken. The interpreter's loops and programs that are cut into stages run so.
Next: `kedja/front/loop.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

Progress = Callable[[int], None]
Step = Callable[[], Sequence[np.ndarray]]
Advanced = tuple[int, str, BaseException | None]


def advance(
    state: Sequence[np.ndarray],
    step: Step,
    steps: int,
    watch: int | None = None,
    progress: Progress | None = None,
) -> Advanced:
    """Take steps that overwrite `state`: (whole steps taken, how it ended, what interrupted).

    `step()` gives the new state; `watch` is the place of the value that must stay finite. It ends
    as "done", "cancelled" (by Ctrl-C, or because `progress` raised) or "nonfinite".
    """
    for done in range(steps):
        try:
            found = step()
        except KeyboardInterrupt as error:
            return done, "cancelled", error
        if watch is not None and not np.isfinite(found[watch]).all():
            return done, "nonfinite", None
        try:
            _store(state, found)
        except KeyboardInterrupt as error:
            _store(state, found)  # half a step must not stay behind
            return done + 1, "cancelled", error
        try:
            if progress is not None:
                progress(done + 1)
        except BaseException as error:  # whatever it is, it is handed to the caller
            return done + 1, "cancelled", error
    return steps, "done", None


def _store(state: Sequence[np.ndarray], found: Sequence[np.ndarray]) -> None:
    for mine, value in zip(state, found, strict=True):
        mine[...] = value
