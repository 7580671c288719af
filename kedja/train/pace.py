"""How often examples are seen where nobody says: as many epochs as make so many updates.

Not here: how many updates suit a kind of data (each kind's own file). Next: `pictures.py`.
"""

from __future__ import annotations


def epochs_for(updates: int, count: int, batch: int, least: int, most: int) -> int:
    """Epochs over `count` examples that make some `updates`, from `least` to `most`.

    >>> epochs_for(600, count=2400, batch=64, least=5, most=100)
    16
    """
    return min(most, max(least, round(updates * batch / max(1, count))))
