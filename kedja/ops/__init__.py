"""Floor 2: the ops. One record each, by families; importing this package fills the one table.

Start at `leaves.py` and `elementwise.py`.
"""

from kedja.ops import (
    composite,
    contract,
    elementwise,
    indexing,
    leaves,
    movement,
    random,
    reduce,
)

__all__ = [
    "composite",
    "contract",
    "elementwise",
    "indexing",
    "leaves",
    "movement",
    "random",
    "reduce",
]
