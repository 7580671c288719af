"""kedja's side of each case, through its public API as a user would write it.

Not here: the protocol (`side.py`). Start at `launches.py`; next: `torch_side`, which is this
package for PyTorch.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable

from benchmarks.kedja_side.forward import Forward
from benchmarks.kedja_side.generate import Generate
from benchmarks.kedja_side.loops import Descent, Pass, Product
from benchmarks.kedja_side.train import Train
from benchmarks.side import Runner, Spec
from benchmarks.sweep.points import Points

KINDS: dict[str, Callable[[Spec], Runner]] = {
    "train": Train,
    "forward": Forward,
    "generate": Generate,
    "descent": Descent,
    "product": Product,
    "pass": Pass,
}
# Loaded when they are asked for: they import the compiler, which other cases load on first use.
LIMITS = {"peak": "benchmarks.limits.peak", "stream": "benchmarks.limits.stream"}


def sweep(spec: Spec) -> Runner:
    """Many perceptrons in one process."""
    return Points(spec, Train, "loop")


def runner(spec: Spec) -> Runner:
    """The case made ready."""
    if spec.kind in LIMITS:
        made: Runner = importlib.import_module(LIMITS[spec.kind]).runner(spec)
        return made
    return {**KINDS, "sweep": sweep}[spec.kind](spec)
