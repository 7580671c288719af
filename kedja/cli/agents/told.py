"""What is told of an agent's test, for people.

Not here: what is measured (`learning.py`, `evolution.py`). Next: `learning.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def told(episodes: int, results: Mapping[str, Any]) -> str:
    """The mean reward of new episodes beside that of random actions."""
    mean, deviation, chance = (
        points(results[name]) for name in ("test_reward", "test_deviation", "random_reward")
    )
    return (
        f"{episodes} new episodes: reward {mean} in the mean (deviation {deviation}); "
        f"random actions {chance}"
    )


def points(reward: float) -> str:
    """A reward with a decimal, or three digits where it is small.

    >>> points(500), points(-91.26), points(0.7423), points(0)
    ('500.0', '-91.3', '0.742', '0.0')
    """
    return f"{reward:.1f}" if reward == 0 or abs(reward) >= 10 else f"{reward:.3g}"
