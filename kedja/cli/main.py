"""The command `kedja`. The commands themselves stand one to a file; `commands.py` names them.

Next: `commands.py`.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from kedja.cli.commands import SETTINGS, LazyGroup, epilog
from kedja.version import __version__

app = typer.Typer(
    cls=LazyGroup,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings=SETTINGS,
    no_args_is_help=True,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"kedja {__version__}\n")
        raise typer.Exit


@app.callback(epilog=epilog(["kedja train digits", 'kedja explain "1 + exp(w*x)" --at w=2,x=0.5']))
def kedja(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Networks as graphs that a person can read, and compiled code that trains them fast.

    Results are printed on standard output, progress on standard error. Exit codes: 0 success,
    1 failure, 2 wrong usage, 130 interrupted.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line (by default the process's own) and exit with its code."""
    logging.basicConfig(stream=sys.stderr, format="kedja: %(message)s", level=logging.WARNING)
    command = typer.main.get_command(app)
    args = sys.argv[1:] if arguments is None else list(arguments)
    command.main(args=args, prog_name="kedja", standalone_mode=True)
