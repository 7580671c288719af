"""JAX's side of each case, in plain `jax.numpy`.

JAX takes the number of threads from the environment (`NPROC`), which the driver sets. Not here: the
protocol (`side.py`). Start at `networks.py`; next: `sklearn_side.py`.
"""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.jax_side.small import Descent, Pass, Product
from benchmarks.jax_side.train import Forward, Train
from benchmarks.side import Runner, Spec

KINDS: dict[str, Callable[[Spec], Runner]] = {
    "train": Train,
    "forward": Forward,
    "descent": Descent,
    "product": Product,
    "pass": Pass,
}


def runner(spec: Spec) -> Runner:
    """The case made ready."""
    return KINDS[spec.kind](spec)
