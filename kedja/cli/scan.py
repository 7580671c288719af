"""The first look at an expression: which characters, and what may stand beside what.

It finds what a person gets wrong most often (a missing sign, a missing value, an open
parenthesis) and points at the place. Next: `expression.py`, which reads what passes.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator
from typing import NamedTuple

from kedja.ground.errors import UsageError

LONGEST = 1000  # characters
DEEPEST = 60  # parentheses inside one another
SHOWN = 60  # characters on either side of the place that an error points at

TOKEN = re.compile(
    r"(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<sign>\*\*|[-+*/^])|(?P<open>\()|(?P<close>\))|(?P<comma>,)|(?P<space>[ \t]+)"
)


class Token(NamedTuple):
    """A piece of an expression: its kind, its text and its column (from 0)."""

    kind: str
    text: str
    column: int


def fault(text: str, column: int, what: str, fix: str | None = None) -> UsageError:
    """An error that shows the expression with a caret under a column (from 0)."""
    column = max(0, min(column, len(text)))
    start = max(0, column - SHOWN)
    line = "".join(each if each.isprintable() else " " for each in text[start : column + SHOWN])
    caret = " " * (column - start) + "^"
    return UsageError(f"{what} (column {column + 1})\n    {line}\n    {caret}", fix=fix)


def check(text: str) -> None:
    """Raise UsageError where the text cannot be an expression."""
    if not text.strip():
        raise UsageError("the expression is empty", fix='for example "1 + exp(w0 + w1*x)"')
    if len(text) > LONGEST:
        raise UsageError(
            f"the expression has {len(text)} characters", fix=f"at most {LONGEST} are read"
        )
    _check_neighbours(text, list(tokens(text)))


def tokens(text: str) -> Iterator[Token]:
    """The pieces of the text without spaces; UsageError at a character that has no meaning."""
    column = 0
    while column < len(text):
        found = TOKEN.match(text, column)
        if found is None:
            what = f"{text[column]!r} has no meaning in an expression"
            raise fault(text, column, what, fix="numbers, names, + - * / ^ ( ) and commas")
        kind = found.lastgroup or ""
        if kind != "space":
            _check_token(text, Token(kind, found.group(), column))
            yield Token(kind, found.group(), column)
        column = found.end()


def _check_token(text: str, token: Token) -> None:
    if keyword.iskeyword(token.text):
        raise fault(text, token.column, f"{token.text!r} is a word of Python's, no variable")
    if re.fullmatch(r"0\d+", token.text):
        raise fault(text, token.column, f"{token.text} begins with 0", fix="leave out the zeros")


def _check_neighbours(text: str, found: list[Token]) -> None:
    """Values and signs alternate; parentheses match; commas stand between values."""
    opened: list[Token] = []
    before: Token | None = None
    for token in found:
        if _ends_value(before):
            _check_after_value(text, before, token)
        elif not _begins_value(token):
            raise fault(text, token.column, f"a value is missing before {token.text!r}")
        if token.kind == "open":
            opened.append(token)
            if len(opened) > DEEPEST:
                what = f"more than {DEEPEST} parentheses inside one another"
                raise fault(text, token.column, what)
        elif token.kind == "close":
            _close(text, opened, token)
        elif token.kind == "comma" and not opened:
            raise fault(text, token.column, "a comma stands between a function's arguments only")
        before = token
    if not _ends_value(before):
        raise fault(text, len(text.rstrip()), "a value is missing at the end")
    if opened:
        raise fault(text, opened[-1].column, "this parenthesis is not closed")


def _ends_value(token: Token | None) -> bool:
    return token is not None and token.kind in ("number", "name", "close")


def _begins_value(token: Token) -> bool:
    return token.kind in ("number", "name", "open") or token.text in ("+", "-")


def _check_after_value(text: str, before: Token | None, token: Token) -> None:
    assert before is not None
    is_call = before.kind == "name" and token.kind == "open"
    if token.kind in ("sign", "close", "comma") or is_call:
        return
    left = "(...)" if before.kind == "close" else before.text
    right = "(...)" if token.kind == "open" else token.text
    raise fault(
        text,
        token.column,
        f"{left} and {right} stand side by side",
        fix=f"write the sign between them: {left}*{right}",
    )


def _close(text: str, opened: list[Token], token: Token) -> None:
    if not opened:
        raise fault(text, token.column, "this parenthesis was never opened")
    opened.pop()
