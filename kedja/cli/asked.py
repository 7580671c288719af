"""What `kedja predict` is asked: the run, texts or files, what to show.

Not here: the answers, which each family gives (`language/pairs.py` and others).
Next: `predict.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from kedja import models
from kedja.data import text as textfile
from kedja.data.tokens import Tokenizer
from kedja.data.words import Words
from kedja.ground.errors import CheckpointError, UsageError
from kedja.models import Saved


@dataclass(frozen=True)
class Asked:
    """A run, the texts given on the command line, the files, and the options."""

    run: Path
    files: Sequence[Path]
    given: Sequence[str]
    explain: bool = False
    plot: Path | None = None
    json: bool = False

    @cached_property
    def _saved(self) -> Saved:
        return models.load(self.run)

    @property
    def model(self) -> Any:
        """The model of the run. Raises CheckpointError where it cannot be read."""
        return self._saved.model

    @property
    def tokenizer(self) -> Tokenizer:
        """What reads texts for the model. Raises CheckpointError where the run has none."""
        if self._saved.tokenizer is None:
            what = "the run has no tokenizer.json"
            raise CheckpointError(what, where=str(self.run), fix="train again")
        return self._saved.tokenizer

    @property
    def words(self) -> Words:
        """The same, where it must be one of words."""
        found = self.tokenizer
        if not isinstance(found, Words):
            what = "the run's tokenizer.json has no words"
            raise CheckpointError(what, where=str(self.run), fix="train again")
        return found

    def require_plain(self, model: str) -> None:
        """UsageError for options that a model does not have."""
        for name in ("explain", "plot"):
            if getattr(self, name):
                raise UsageError(f"{model} has no --{name}", fix="leave it out")

    def texts(self) -> list[tuple[str, str]]:
        """Each text with where it stands: those of the command line, then the files' lines.

        Raises UsageError where there are none, DataError for files that are no text.
        """
        found = [("--text", text) for text in self.given]
        for file in self.files:
            found += [(f"{file}:{number}", line) for number, line in textfile.lines(file)]
        if not found:
            raise UsageError("there is nothing to predict", fix="give --text TEXT, or FILES")
        return found


class Chosen(Protocol):
    """What an example is taken for, and the probability of every class."""

    @property
    def label(self) -> str:
        """The class."""

    @property
    def probabilities(self) -> Mapping[str, float]:
        """Of every class."""


def chosen(answer: Chosen) -> str:
    """The class with its probability, and the two that come next."""
    ranked = sorted(answer.probabilities.items(), key=lambda pair: -pair[1])
    rest = ", ".join(f"{name} {share:.1%}" for name, share in ranked[1:3])
    return f"{answer.label}  {answer.probabilities[answer.label]:.1%}  (then {rest})"
