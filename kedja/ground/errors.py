"""Every error that kedja raises on purpose: one sentence on what, one on where, one on the fix.

Not here: the checks themselves, which stand where the user's mistake is first visible.
Next: `flags.py`.
"""

from __future__ import annotations


class KedjaError(Exception):
    """The base of all errors that kedja raises on purpose.

    `what` says what is wrong; `where` names the file, line, layer or option; `fix` is the likely
    repair. Their texts are joined into one message. `exit_code` is what the command line returns.
    """

    exit_code = 1

    def __init__(self, what: str, *, where: str | None = None, fix: str | None = None) -> None:
        self.what = what
        self.where = where
        self.fix = fix
        super().__init__(what)

    def __str__(self) -> str:
        head = f"{self.where}: {self.what}" if self.where else self.what
        return f"{head}\n  fix: {self.fix}" if self.fix else head


class ShapeError(KedjaError, ValueError):
    """Shapes that do not fit together."""


class DtypeError(KedjaError, TypeError):
    """A dtype that an operation does not take."""


class UsageError(KedjaError, ValueError):
    """A wrong argument, option or name: the caller asked for something that is not there."""

    exit_code = 2


class UnsupportedError(UsageError):
    """Something of a file format that has no counterpart here, by its name."""


class OutOfRangeError(UsageError, IndexError):
    """An index that leaves its axis."""


class ImmutableError(UsageError, TypeError):
    """An attempt to write to a tensor."""


class DataError(KedjaError, ValueError):
    """A file or an array that cannot be read as data: missing, truncated, ragged, of wrong size."""


class CheckpointError(KedjaError):
    """A checkpoint that is corrupt, or that belongs to another run."""


class StorageError(KedjaError, OSError):
    """A write that failed (full disk, no permission); the old file is whole."""


class GradientError(KedjaError):
    """A derivative that does not exist, or whose history was freed."""


class TracingError(KedjaError, TypeError):
    """A value was asked for that a traced graph does not have yet."""


class NonFiniteError(KedjaError, ArithmeticError):
    """The loss became NaN or infinite."""


class MissingExtra(KedjaError, ImportError):
    """An optional dependency is not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        fix = f"pip install 'kedja[{extra}]'"
        super().__init__(f"{purpose} needs {package}, which is not installed", fix=fix)


class VerificationError(KedjaError):
    """A graph that breaks a rule of its stage: a bug of kedja, not of the user."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C during a run; `checkpoint` is the folder from which the run resumes, or None.

    `history` is what the run has reached, with its model, where it is one of training.
    """

    history: object = None

    def __init__(self, message: str, checkpoint: str | None = None) -> None:
        super().__init__(message)
        self.checkpoint = checkpoint
