"""PyTorch's side of each case, as its documentation writes it.

Not here: the protocol (`side.py`). Start at `networks.py`; next: `jax_side`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from benchmarks.side import Runner, Spec
from benchmarks.sweep.points import Points
from benchmarks.torch_side.generate import Generate
from benchmarks.torch_side.small import Descent, Pass, Product
from benchmarks.torch_side.train import Forward, Train

KINDS: dict[str, Callable[[Spec], Runner]] = {
    "train": Train,
    "forward": Forward,
    "generate": Generate,
    "descent": Descent,
    "product": Product,
    "pass": Pass,
}


def sweep(spec: Spec) -> Runner:
    """Many perceptrons in one process."""
    return Points(spec, Train, "step")


def runner(spec: Spec) -> Runner:
    """The case made ready."""
    torch.set_num_threads(spec.threads)
    return {**KINDS, "sweep": sweep}[spec.kind](spec)
