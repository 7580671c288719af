"""What a run of evolution says of itself.

Not here: where it is shown (`../telling.py`), the loop (`evolve.py`). Next: `poles.py`.
"""

from __future__ import annotations

from typing import Any


def text(row: Any, best: float, generations: int) -> str:
    """A generation in one line.

    >>> from kedja.rl.evolution.evolve import Generation
    >>> text(Generation(12, 156, 431.0, 88.25), 500.0, 1000)
    'generation 12/1,000  156 evaluations  best 431 (500 so far)  mean 88.25'
    """
    return (
        f"generation {row.number:,}/{generations:,}  {row.evaluations:,} evaluations  "
        f"best {row.best:.4g} ({best:.4g} so far)  mean {row.mean:.4g}"
    )
