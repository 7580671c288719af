"""What commands print: results on standard output, notes on standard error.

With `--json` a command prints exactly one JSON object, in which NaN and infinity are null.
Next: `guard.py`, which turns errors into messages and exit codes.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from kedja.ground.errors import StorageError
from kedja.ir.values import jsonable

EVERY = 2.0  # seconds between two notes of progress


def say(text: str = "") -> None:
    """A line of the result."""
    sys.stdout.write(f"{text}\n")


def note(text: str) -> None:
    """A line that is no result: progress, and where a file was written."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def now_and_then(verb: str, what: str = "files") -> Callable[[int, int], None]:
    """A note of how far something is, where it takes long: called with (done, total)."""
    last = [time.monotonic()]

    def told(done: int, total: int) -> None:
        if time.monotonic() - last[0] > EVERY and done < total:
            last[0] = time.monotonic()
            note(f"{verb} {done:,} of {total:,} {what}")

    return told


def say_json(data: Mapping[str, Any]) -> None:
    """The result as one JSON object on one line."""
    say(json.dumps(jsonable(data), allow_nan=False))


def write_text(path: Path, text: str) -> None:
    """A text file; StorageError where it cannot be written."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as problem:
        reason = problem.strerror or str(problem)
        raise StorageError(f"cannot write {path}: {reason}", fix="choose another file") from None
    note(f"wrote {path}")
