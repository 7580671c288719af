"""Arithmetic expressions and how they are bracketed: a small translation task with a sure answer.

`1+2*3/4` becomes `(1+((2*3)/4))`: × and ÷ bind closer than + and −, and equals are taken from the
left. Not here: the network that learns it (`kedja/models/encoder_decoder.py`).
Next: `kedja/models/encoder_decoder.py`.
"""

from __future__ import annotations

import re

import numpy as np

from kedja.ground.errors import DataError, UsageError

NAME = "expressions"  # as DATA of `kedja train`
OPERATORS = "+-*/"
DIGITS = "123456789"  # 0 would make some quotients meaningless
ALPHABET = "()*+-/0123456789"

_CLOSER = "*/"
_NUMBER = re.compile("[0-9]+")
_TRIES = 20  # draws for each expression that is wanted, before there are too few different ones

# --------------------------------------------------------------------------------- bracketing


def bracket(expression: str) -> str:
    """The expression with a pair of brackets around each operation.

    Numbers are digits 0 to 9; there are no brackets in what is given. Raises DataError with the
    place where it is no such expression.

    >>> bracket("1+2*3/4")
    '(1+((2*3)/4))'
    >>> bracket("8-3-2")
    '((8-3)-2)'
    """
    total, place = _product(expression, 0)
    while place < len(expression):
        operator = expression[place]
        if operator not in OPERATORS:
            raise _misread(expression, place, f"an operator ({' '.join(OPERATORS)})")
        term, place = _product(expression, place + 1)
        total = f"({total}{operator}{term})"
    return total


def _product(expression: str, place: int) -> tuple[str, int]:
    """The longest product from a place on, bracketed, and the place behind it."""
    total, place = _number(expression, place)
    while place < len(expression) and expression[place] in _CLOSER:
        factor, after = _number(expression, place + 1)
        total, place = f"({total}{expression[place]}{factor})", after
    return total, place


def _number(expression: str, place: int) -> tuple[str, int]:
    found = _NUMBER.match(expression, place)
    if found is None:
        raise _misread(expression, place, "a number")
    return found.group(), found.end()


def _misread(expression: str, place: int, expected: str) -> DataError:
    found = repr(expression[place]) if place < len(expression) else "the end"
    what = f"{expression!r}: {found} at character {place + 1}, where {expected} belongs"
    return DataError(what, fix="numbers with operators between them, as 1+2*3/4")


# ------------------------------------------------------------------------------------ drawing


def draw(count: int, least: int, most: int, *, seed: int = 0, stream: int = 0) -> list[str]:
    """`count` different expressions of `least` to `most` numbers, each length equally likely.

    Digits and operators are equally likely, too. The same seed and stream give the same
    expressions on every machine. Raises UsageError where there are not so many different ones.

    >>> draw(3, 2, 4)
    ['6-1/4+4', '8/2', '8*1']
    """
    if not 1 <= least <= most or count < 1:
        raise UsageError(
            f"{count} expressions of {least} to {most} numbers", fix="1 ≤ least ≤ most"
        )
    generator = np.random.Philox(key=np.array([seed, stream], np.uint64))
    found: dict[str, None] = {}  # in the order in which they were drawn
    for _ in range(_TRIES):
        words = generator.random_raw((count, 2 * most))
        for row in words:
            found.setdefault(_expression(row, least, most))
            if len(found) == count:
                return list(found)
    what = f"{count:,} different expressions of {least} to {most} numbers"
    raise UsageError(what, fix=f"ask for fewer, {len(found):,} were found, or for longer ones")


def _expression(row: np.ndarray, least: int, most: int) -> str:
    """One expression out of random words: its length, then digits and operators in turn."""
    numbers = least + int(row[0] % (most - least + 1))
    digits = [DIGITS[int(word % 9)] for word in row[1 : 1 + numbers]]
    operators = [OPERATORS[int(word % 4)] for word in row[1 + most :][: numbers - 1]]
    return digits[0] + "".join(f"{o}{d}" for o, d in zip(operators, digits[1:], strict=True))
