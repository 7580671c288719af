"""The machine's limit: float32 multiply-adds in vector registers, with nothing else in the loop.

No program can do more of them in a second; what share of it a case reaches is reported beside
its time. Not here: memory's limit. Next: `stream.py`.
"""

from __future__ import annotations

import kedja as kj
from benchmarks.side import Runner, Spec, Timed
from kedja.compiler.runtime_limits import MultiplyAdds, seconds_together

TURNS = 5_000  # of the loop, in one step


class Peak(Runner):
    """The loop of `kj.profile()` on every thread at once; a step is `TURNS` turns on each."""

    modes: tuple[str, ...] = ("loop",)
    version = kj.__version__

    def __init__(self, spec: Spec) -> None:
        self.threads = spec.threads
        self.adds = MultiplyAdds()

    def work(self) -> dict[str, int]:
        """Two operations for each lane of each multiply-add."""
        return {"loop": self.adds.flops(TURNS) * self.threads}

    def losses(self, mode: str, steps: int) -> list[float]:
        """Nothing to compare."""
        return [0.0] * steps

    def run(self, mode: str, steps: int) -> Timed:
        """All threads start together; the time ends with the last one."""
        works = [lambda: self.adds.run(steps * TURNS)] * self.threads
        return Timed(seconds_together(works, repeats=1), steps)


def runner(spec: Spec) -> Runner:
    """The limit made ready."""
    return Peak(spec)
