"""The border of a command: every error becomes one message and an exit code, without a traceback.

| what happens               | message           | exit code |
|----------------------------|-------------------|-----------|
| an error that kedja raises | `error: …`        | 1 or 2    |
| the system refuses a file  | `error: …`        | 1         |
| Ctrl-C                     | `interrupted …`   | 130       |
| the reader of a pipe left  | none              | 1         |
| a warning                  | `warning: …`      |           |

Any other exception is a bug and keeps its traceback. `KEDJA_DEBUG=1` shows tracebacks of all.
Next: `output.py`.
"""

from __future__ import annotations

import os
import re
import sys
import traceback
import warnings
from collections.abc import Callable
from functools import wraps
from typing import Any

import typer

from kedja.ground.errors import KedjaError
from kedja.ground.flags import flags

INTERRUPTED = 130
BROKEN_PIPE = 1
REFUSED = 1
_COLOUR = re.compile("\x1b\\[[0-9;]*m")
_FIX = "check the path, who may use it, and the room on the disk"


def guarded(command: Callable[..., Any]) -> Callable[..., Any]:
    """The command with its errors turned into messages and exit codes."""

    @wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        try:
            with warnings.catch_warnings():
                warnings.showwarning = _warned
                command(*args, **kwargs)
            sys.stdout.flush()
        except KedjaError as error:
            _report(f"error: {error}")
            _trace()
            raise typer.Exit(error.exit_code) from None
        except KeyboardInterrupt as interrupt:
            _report(_interruption(interrupt))
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:
            _close_output()
            raise typer.Exit(BROKEN_PIPE) from None
        except OSError as error:
            if error.filename is None:
                raise
            _report(f"error: {error.filename}: {error.strerror}\n  fix: {_FIX}")
            _trace()
            raise typer.Exit(REFUSED) from None

    return run


def _warned(message: Warning | str, *_where: Any, **_to: Any) -> None:
    """A warning as a line of its own; where it was raised is of no use here."""
    text = _COLOUR.sub("", str(message)).removeprefix("WARN: ")  # Gymnasium's look
    _report(f"warning: {text}")


def _report(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _interruption(interrupt: KeyboardInterrupt) -> str:
    detail = str(interrupt)
    return f"interrupted: {detail}" if detail else "interrupted"


def _trace() -> None:
    try:
        debug = flags().debug
    except KedjaError:
        return  # the flags themselves are what is wrong
    if debug:
        traceback.print_exc()


def _close_output() -> None:
    """Point standard output nowhere, so that Python's flush at exit does not fail again."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
