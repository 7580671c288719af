"""A text on the command line, read by the model of a run: its tokens and their names.

Not here: writing texts (`generate.py`). Next: `attention.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from kedja import models
from kedja.data.tokenizer import Tokenizer
from kedja.data.tokens import START
from kedja.ground.errors import DataError, UsageError


class Text(NamedTuple):
    """A text as tokens of the model that is to read it."""

    model: Any
    tokenizer: Tokenizer
    tokens: list[int]

    @property
    def names(self) -> list[str]:
        """The tokens' own texts."""
        return [self.tokenizer.token(each) for each in self.tokens]

    def require_context(self) -> None:
        """UsageError where the model cannot read all of the text at once."""
        room, count = self.model.context, len(self.tokens)
        if room is not None and count > room:
            raise UsageError(
                f"the text has {count} tokens, the model reads {room} at once",
                fix="give a shorter text",
            )


def opened(run: Path, text: str) -> Text:
    """The model of a run's folder, and a text as its tokens, after `<start>` if it has that.

    Raises UsageError for an empty text and a folder without a tokenizer, DataError for what the
    tokenizer does not know.
    """
    if not text:
        raise UsageError("the text is empty", fix="give at least one character")
    saved = models.load(run)
    if saved.tokenizer is None:
        raise DataError("there is no tokenizer.json in the folder", where=str(run))
    if not hasattr(saved.model, "context"):
        what = f"{type(saved.model).__name__} does not read one text token by token"
        raise UsageError(what, where=str(run), fix=f"kedja predict {run} --text TEXT --explain")
    start = saved.tokenizer.specials.get(START)
    tokens = [int(each) for each in saved.tokenizer.encode(text)]
    tokens = tokens if start is None else [start, *tokens]
    return Text(saved.model, saved.tokenizer, tokens)
