"""What `KEDJA_DEBUG` shows: plain text on stderr, each level including those below it.

Not here: progress bars (`kedja/train/progress.py`) and errors. Next: `dtypes.py`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from kedja.ground.flags import flags

TIMINGS, GRAPHS, PASSES, LOOPS, MACHINE = range(1, 6)


def report(level: int, text: str | Callable[[], str]) -> None:
    """Print a text (or what a function returns) where the flag `debug` is at least `level`."""
    if flags().debug >= level:
        print(text if isinstance(text, str) else text(), file=sys.stderr, flush=True)
