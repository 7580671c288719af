"""What `kedja predict` is asked: the run, texts or files, what to show.

A file that cannot be read does not stop the others: it is told on standard error, and the command
ends with exit code 1 once it has answered the rest. Not here: the answers, which each family gives
(`language/pairs.py` and others). Next: `predict.py`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, TypeVar

from kedja import models
from kedja.cli.output import note, now_and_then, say_json
from kedja.data import text as textfile
from kedja.data.tokens import Tokenizer
from kedja.data.words import Words
from kedja.ground.errors import CheckpointError, DataError, UsageError
from kedja.models import Saved

T = TypeVar("T")

NO_FILE = "name files, or a folder in which there are some"
BLOCK = 256  # files that are read between two looks at Ctrl-C


@dataclass(frozen=True)
class Asked:
    """A run, the texts given on the command line, the files, and the options.

    `unread` gathers the files that could not be read, and why.
    """

    run: Path
    files: Sequence[Path]
    given: Sequence[str]
    explain: bool = False
    plot: Path | None = None
    json: bool = False
    unread: dict[str, str] = field(default_factory=dict)

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

    def texts(self, files: Sequence[Path] | None = None) -> list[tuple[str, str]]:
        """Each text with where it stands: those of the command line, then the lines of the files.

        Raises UsageError where there are none, DataError where no file is text.
        """
        found = [("--text", text) for text in self.given]
        of_files = self.files if files is None else files
        for file, lines in self.each(of_files, lambda file: list(textfile.lines(file))):
            found += [(f"{file}:{number}", line) for number, line in lines]
        if not found and not self.unread:
            raise UsageError("there is nothing to predict", fix="give --text TEXT, or FILES")
        return found

    # ------------------------------------------------------------------------- many files

    def below(self, inside: Callable[[Path], Iterable[Path]]) -> list[Path]:
        """The files, and of folders those `inside` them; DataError where there are none."""
        found: list[Path] = []
        for file in self.files:
            within = list(inside(file)) if file.is_dir() else [file]
            if not within:
                raise DataError("there is no file to read in it", where=str(file), fix=NO_FILE)
            found += within
        return found

    def each(self, files: Sequence[Path], read: Callable[[Path], T]) -> list[tuple[Path, T]]:
        """What `read` makes of each file, in threads; those that it cannot read are left out.

        An error is raised where it is the only file's; DataError where none of many can be read.
        """

        def tried(file: Path) -> T | DataError | UsageError:
            try:
                return read(file)
            except (DataError, UsageError) as error:
                return error

        if len(files) == len(self.files) == 1:
            return [(files[0], read(files[0]))]
        found: list[tuple[Path, T]] = []
        told = now_and_then("read")
        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
            for start in range(0, len(files), BLOCK):
                block = files[start : start + BLOCK]
                for file, made in zip(block, pool.map(tried, block), strict=True):
                    if isinstance(made, DataError | UsageError):
                        self._leave_out(file, made)
                    else:
                        found.append((file, made))
                told(start + len(block), len(files))
        if not found and len(self.unread) >= len(self.files):
            self.require_all()
        return found

    def _leave_out(self, file: Path, error: DataError | UsageError) -> None:
        self.unread[str(file)] = error.what
        where = error.where or str(file)
        note(f"error: {error.what if where in error.what else f'{where}: {error.what}'}")

    def require_all(self) -> None:
        """Raise DataError where a file could not be read, once the others are answered."""
        count = len(self.unread)
        if count:
            named = "1 file is" if count == 1 else f"{count:,} files are"
            raise DataError(f"{named} left out, which could not be read", fix="see above for each")

    def tell(self, predictions: Sequence[Any], **about: Any) -> None:
        """Print the answers as one JSON object, with the files that have none."""
        unread = [{"file": file, "error": why} for file, why in self.unread.items()]
        say_json({"run": str(self.run), **about, "predictions": predictions, "unread": unread})


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
