"""Letters that figures need: names in any script, and dollars that are no formulas.

Not here: the figures (`figures.py`). Needs matplotlib. Next: `figures.py`.

matplotlib draws a box for each letter that its own font does not have. Here such a text gets the
first installed font that has its letters, and what no font has is told once.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

LAST_RESORT = "Last Resort"
MOST = 8  # letters that are told


@contextmanager
def prepared(figure: Any) -> Iterator[None]:
    """Inside, a figure can be drawn; letters that no font has are told once, not one by one."""
    absent = prepare(figure)
    if absent:
        letters = "".join(sorted(absent)[:MOST])
        what = f"no installed font has the letters {letters}: boxes stand for them in the picture"
        warnings.warn(f"{what}; install one, such as Noto Sans CJK", stacklevel=4)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph ")
        yield


def prepare(figure: Any) -> set[str]:
    """Give each text of a figure fonts that have its letters; the letters that none has."""
    from matplotlib.text import Text

    absent: set[str] = set()
    for text in figure.findobj(Text):
        shown = text.get_text()
        if "$" in shown and "\\math" not in shown:  # numbers of axes are formulas, names are not
            text.set_parse_math(False)
        missing = _missing(shown, _path(text.get_fontproperties()))
        if missing:
            names, rest = _fonts_for(missing)
            text.set_fontfamily([*text.get_fontfamily(), *names])
            absent |= rest
    return absent


def _missing(text: str, path: str) -> frozenset[str]:
    """The letters of a text that a font does not have."""
    if text.isascii():
        return frozenset()
    return frozenset(each for each in text if not each.isspace() and ord(each) not in _has(path))


@cache
def _has(path: str) -> frozenset[int]:
    """The code points of a font's file."""
    from matplotlib.ft2font import FT2Font

    try:
        return frozenset(FT2Font(path).get_charmap())
    except (OSError, RuntimeError):  # a font that cannot be read has no letters
        return frozenset()


def _path(properties: Any) -> str:
    from matplotlib.font_manager import findfont

    return str(findfont(properties))


@cache
def _fonts_for(letters: frozenset[str]) -> tuple[tuple[str, ...], frozenset[str]]:
    """Families that have the letters together, the fewest at hand, and what none of them has."""
    from matplotlib.font_manager import fontManager

    found: list[str] = []
    rest = letters
    for font in _regular(fontManager.ttflist):
        own = frozenset(each for each in rest if ord(each) in _has(font.fname))
        if own:
            found.append(font.name)
            rest -= own
        if not rest:
            break
    return tuple(found), rest


def _regular(fonts: Iterable[Any]) -> list[Any]:
    """Upright fonts of usual weight first, each family in the order of its name.

    The font of last resort is left out: it has boxes for all letters.
    """
    known = (font for font in fonts if not font.name.startswith(LAST_RESORT))
    return sorted(known, key=lambda font: (font.style != "normal", font.weight != 400, font.name))
