"""`t.at[key]`: new tensors with some elements changed. A tensor itself cannot be written to.

Next: `evaluate.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from kedja.front import index
from kedja.ground.errors import ImmutableError

if TYPE_CHECKING:
    from kedja.front.tensor import Tensor


def refuse() -> NoReturn:
    """What `t[key] = value` is answered with."""
    raise ImmutableError(
        "a tensor cannot be written to", fix="t = t.at[key].set(value) makes a changed one"
    )


class At:
    """What `t.at` is."""

    def __init__(self, x: Tensor) -> None:
        self._x = x

    def get(self, key: Any) -> Tensor:
        """x[key]."""
        return index.get(self._x, key)
