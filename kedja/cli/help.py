"""The help of a command: its options in panels, and of those only what the line so far leaves open.

An option says in its declaration which panel it stands in: `MODEL = panel("Model")` and then
`Annotated[int | None, MODEL(help="…")]`. Panels come in the order in which the function names them.
A command may narrow its help to what a line can still use (`kedja train --model cnn --help`): it
gives a function from the values on the line to `Shown`. Plain text of at most 80 columns, the same
on a terminal and in a pipe. Not here: the texts (each command's own file).
Next: `commands.py`, which builds the commands.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from textwrap import TextWrapper
from typing import Any, NamedTuple

import typer
from typer.core import TyperCommand

from kedja.ground.errors import KedjaError

NAMES = 26  # columns for an option's name; a longer name has a line of its own
WIDTH = 76  # of a paragraph, which is indented by two
OTHER = "Options"  # the panel of a command that names none
KIND = re.compile(r"<(?:list\[)?(\w+)\]?(?: range)?>")  # how typer writes the kind of a value


class Shown(NamedTuple):
    """What is said of a line so far, and the options that it can use, by parameters' names.

    `names` is None where all can be used.
    """

    note: str
    names: Collection[str] | None = None


Narrow = Callable[[Mapping[str, Any]], Shown]


def panel(name: str) -> Callable[..., Any]:
    """`typer.Option` for the options of a panel."""
    return partial(typer.Option, rich_help_panel=name)


def table(rows: Mapping[str, str]) -> str:
    r"""Names with what is said of each, as a paragraph for `Shown` that keeps its lines.

    >>> print(table({"rows": "mlp, linear", "sound": "spectrogram-cnn"}).lstrip("\b\n"))
    rows   mlp, linear
    sound  spectrogram-cnn
    """
    first = max(map(len, rows)) + 2
    wrap = TextWrapper(WIDTH - first, break_on_hyphens=False)
    lines = [
        f"{name if not place else '':{first}}{line}"
        for name, text in rows.items()
        for place, line in enumerate(wrap.wrap(text))
    ]
    return "\n".join(["\b", *lines])


class GroupedCommand(TyperCommand):
    """A command whose help has its options in panels, narrowed by `narrow` where it has one."""

    narrow: Narrow | None = None
    _shown = Shown("")

    def __init__(self, *args: Any, **named: Any) -> None:
        """As usual; arguments are written as the texts of help and errors do: RUN, FILES."""
        super().__init__(*args, **named)
        for each in self.params:
            if each.param_type_name == "argument":
                each.metavar = each.metavar or (each.name or "").upper()

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """`[OPTIONS] RUN [FILES]...`: in brackets what may be left out, dots where many may be."""
        named = (each for each in self.get_params(ctx) if each.param_type_name == "argument")
        return ["[OPTIONS]", *map(_usage, named)]

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As usual; where help is asked for, what the line has said already is looked at first."""
        if self.narrow is not None and not {"-h", "--help"}.isdisjoint(args):
            given, _, _ = self.make_parser(ctx).parse_args(args=list(args))
            said = {name: value for name, value in given.items() if isinstance(value, (str, tuple))}
            try:
                self._shown = self.narrow(said)
            except KedjaError as error:
                ctx.fail(str(error))
        return super().parse_args(ctx, args)

    def format_help_text(self, ctx: Any, formatter: Any) -> None:
        """What the command does, and which of its options are shown."""
        super().format_help_text(ctx, formatter)
        if self._shown.note:
            formatter.write_paragraph()
            with formatter.indentation():
                formatter.write_text(self._shown.note)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Arguments and options, each panel under its name, all in the same columns."""
        panels: dict[str, list[tuple[str, str]]] = {}
        for title, record in self._records(ctx):
            panels.setdefault(title, []).append(record)
        longest = max((len(name) for rows in panels.values() for name, _ in rows), default=0)
        width = min(longest, NAMES)
        for title, rows in panels.items():
            with formatter.section(title):
                aligned = [(name.ljust(width), text) for name, text in rows]
                formatter.write_dl(aligned, col_max=NAMES)

    def _records(self, ctx: Any) -> Iterator[tuple[str, tuple[str, str]]]:
        """Panel, name and text of what is shown; without a panel of its own it joins the last."""
        last = OTHER
        for each in self.get_params(ctx):
            record = each.get_help_record(ctx)
            if record is None:
                continue
            if each.param_type_name == "argument":
                yield "Arguments", (str(each.metavar), record[1])
            elif self._shown.names is None or each.name in (*self._shown.names, "help"):
                last = getattr(each, "rich_help_panel", None) or last
                yield last, (KIND.sub(_kind, record[0]), record[1])


def _usage(argument: Any) -> str:
    name = argument.metavar if argument.required else f"[{argument.metavar}]"
    return f"{name}..." if argument.nargs != 1 else str(name)


def _kind(found: re.Match[str]) -> str:
    """One value of the kind: an option that may be given again takes one each time."""
    return f"<{found[1].lower()}>"
