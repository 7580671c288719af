"""The fix for a name that is not there: the known names that come close to it.

Not here: what to do with the name. Next: `dtypes.py`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

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
