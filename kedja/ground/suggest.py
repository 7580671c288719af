"""Names and counts in messages: known names close to one that is not there, the first of many.

Not here: what to do with the name. Next: `dtypes.py`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

_SHOWN = 12


def did_you_mean(given: str, known: Iterable[str], otherwise: str = "") -> str:
    """A question that offers the closest names; where none is close, `otherwise` or a list of them.

    >>> did_you_mean("mnsit", ["digits", "mnist"])
    "did you mean 'mnist'?"
    >>> did_you_mean("wine", ["digits", "mnist"])
    'one of: digits, mnist'
    """
    names = list(known)
    lowered = {name.lower(): name for name in reversed(names)}
    close = difflib.get_close_matches(given.lower(), lowered, n=3, cutoff=0.6)
    if close:
        return f"did you mean {' or '.join(repr(lowered[name]) for name in close)}?"
    more = ", …" if len(names) > _SHOWN else ""
    return otherwise or f"one of: {', '.join(names[:_SHOWN])}{more}"


def listed(names: Sequence[str], most: int = 6) -> str:
    """The first names of many.

    >>> listed(["line 3", "line 8", "line 9"], most=2)
    'line 3, line 8 and 1 more'
    """
    rest = len(names) - most
    shown = ", ".join(names[:most])
    return f"{shown} and {rest:,} more" if rest > 0 else shown


def counted(count: int, noun: str, plural: str = "") -> str:
    """A number and what it counts.

    >>> counted(1, "cell"), counted(1200, "cell"), counted(2, "class", "classes")
    ('1 cell', '1,200 cells', '2 classes')
    """
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"
