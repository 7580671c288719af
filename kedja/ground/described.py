"""What describes itself: at a prompt it is its description, not all of its numbers.

Not here: any description (each class has its own). Next: `report.py`.
"""

from __future__ import annotations

from collections.abc import Sequence


class Described:
    """Shows itself by what `describe` says, a line each; a dataclass of it has `repr=False`.

    >>> class Pair(Described):
    ...     def describe(self):
    ...         return ["two numbers", "1 and 2"]
    >>> Pair()
    two numbers
    1 and 2
    """

    def describe(self) -> Sequence[str]:
        """What it is, a line for each fact."""
        return [type(self).__name__]

    def __repr__(self) -> str:
        return "\n".join(self.describe())
