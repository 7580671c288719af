"""JAX itself: imported when it is first needed, and its 64-bit types switched on for a scope.

Not here: what is built with it (`lower.py`, `program.py`). Next: `lower.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kedja.ground.errors import MissingExtra


def load() -> Any:
    """The package jax; MissingExtra, with the line that installs it, where it is not there."""
    try:
        import jax
    except ImportError:
        raise MissingExtra("jax", "xla", 'backend="xla"') from None
    return jax


@contextmanager
def wide() -> Iterator[Any]:
    """jax, with 64-bit types inside this `with` block in this thread and nowhere else."""
    jax = load()
    with _switch(jax)(True):
        yield jax


def _switch(jax: Any) -> Any:
    if hasattr(jax, "enable_x64"):
        return jax.enable_x64
    import jax.experimental  # where the switch stands before JAX 0.8

    return jax.experimental.enable_x64
