"""How often something that counts as immutable was changed: what is kept beside it may be wrong.

Modules and tensors are taken apart once and what was found is kept with them. The rare changes all
the same (a field of a module that is set, a tensor that is marked or given up) are counted here,
and who kept something looks again when a count has moved. Next: `tree.py`, `flat.py`.
"""

from __future__ import annotations


class Changes:
    """The two counts, and both together."""

    __slots__ = ("all", "modules")

    def __init__(self) -> None:
        self.all = 0
        self.modules = 0

    def of_tensors(self) -> None:
        """A tensor wants a gradient from now on, or has no value any more."""
        self.all += 1

    def of_modules(self) -> None:
        """A field of a module was set. Called after the change, so that no thread looks early."""
        self.modules += 1
        self.all += 1


changes = Changes()
