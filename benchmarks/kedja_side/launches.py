"""What the launches of compiled programs cost: kedja's own record of where a step's time goes.

Not here: how it is shown (`report/profile.py`). Next: `networks.py`.
"""

from __future__ import annotations

import gc
import importlib
from typing import Any

import kedja as kj
from benchmarks.side import Runner


def launches() -> list[dict[str, Any]]:
    """What each launch of the programs that were profiled has cost, in seconds per step.

    The programs are looked for in memory: `fit` and `jit` keep theirs to themselves. (The compiler
    is not imported above, so that the first step pays for loading it, as a user's does.)
    """
    program = importlib.import_module("kedja.compiler.runtime").Program
    programs = [each for each in gc.get_objects() if isinstance(each, program)]
    return [
        {
            "label": each.launch.label,
            "kernel": each.launch.symbol,
            "tasks": each.launch.tasks,
            "flops": each.launch.flops,
            "bytes": each.launch.bytes,
            "seconds": each.nanoseconds * 1e-9 / each.calls,
        }
        for program in programs
        for each in program.profile()
        if each.calls
    ]


class OfKedja(Runner):
    """What the sides of all kinds share."""

    version = kj.__version__

    def profile(self, steps: int) -> list[dict[str, Any]]:
        """See `Runner`."""
        with kj.scope(debug=1):
            self.run(self.modes[-1], steps)
        return launches()
