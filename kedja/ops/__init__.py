"""Floor 2: the ops. One record each, by families; importing this package fills the one table.

Start at `leaves.py` and `elementwise.py`.
"""

from kedja.ops import (
    attention,
    composite,
    contract,
    control,
    convolution,
    cumulative,
    decompositions,
    elementwise,
    indexing,
    inner,
    leaves,
    linalg,
    lu,
    movement,
    numeric,
    random,
    reduce,
    resample,
    scan,
    scatter,
    sorting,
    windows,
)

__all__ = [
    "attention",
    "composite",
    "contract",
    "control",
    "convolution",
    "cumulative",
    "decompositions",
    "elementwise",
    "indexing",
    "inner",
    "leaves",
    "linalg",
    "lu",
    "movement",
    "numeric",
    "random",
    "reduce",
    "resample",
    "scan",
    "scatter",
    "sorting",
    "windows",
]
