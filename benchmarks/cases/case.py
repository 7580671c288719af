"""What a case is: plain numbers, so that every side can build the same computation from them.

Not here: which cases there are (`table.py`). Next: `networks.py`.

A case's `options` are JSON and its arrays go into one `.npz` file: all that a side is told. The
data are random, of the right shapes, from fixed seeds; the weights under `model.` have the names
that PyTorch gives them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
Arrays = dict[str, Array]

COMPARED = 20  # steps whose losses must agree before any time is taken


@dataclass(frozen=True)
class Case:
    """One computation that all sides carry out.

    `kind` is what a side needs to know how to do: "train", "forward", "generate", "product",
    "pass", "descent", or one of the machine's limits, "peak" and "stream". `flops` are those of one
    step, counting products only; `moved` are the bytes that one step must read and write. The
    largest difference of two sides' losses may be `tolerance` times the largest loss. The goals are
    the least of PyTorch eager's time ÷ ours, in one native call (`goal`) and called step by step
    (`step_goal`); `bandwidth_goal` is the least share of the machine's measured bandwidth.
    """

    name: str
    kind: str
    what: str
    options: Mapping[str, Any]
    arrays: Callable[[], Arrays]
    flops: int = 0
    tolerance: float = 1e-4
    goal: float | None = None
    step_goal: float | None = None
    moved: int = 0
    bandwidth_goal: float | None = None
