"""The commands by name: one line of help each, and the module that is loaded when one is called.

`kedja --help` and `kedja --version` load none of them. Next: any command's own file.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import typer
from typer.core import TyperGroup

from kedja.cli.guard import guarded
from kedja.cli.help import GroupedCommand, Narrow
from kedja.ground.suggest import did_you_mean


class Command(NamedTuple):
    """Where a command stands: the function of that name in the module, and what it is for.

    `example` ends the command's help: lines that work one after the other in a folder that is empty
    but for the files that they begin with.
    `narrowed` names the module's function that narrows help to what a line leaves open (`help.py`).
    """

    module: str
    function: str
    help: str
    example: Sequence[str]
    narrowed: str | None = None


COMMANDS = {
    "train": Command(
        *("kedja.cli.train", "train", "Train a network on a data set."),
        ["kedja train --model cnn --help", "kedja train digits --epochs 3"],
        narrowed="narrowed",
    ),
    "predict": Command(
        *("kedja.cli.predict", "predict", "Ask a trained network about new data."),
        [
            "kedja train flowers.csv --epochs 2 --out flowers",
            "kedja predict flowers flowers.csv",
        ],
    ),
    "generate": Command(
        *("kedja.cli.generate", "generate", "Text from a language model."),
        [
            "kedja train play.txt --steps 20 --out play",
            'kedja generate play --prompt "To be" --tokens 40',
        ],
    ),
    "export": Command(
        *("kedja.cli.export", "export", "Write a trained network as an ONNX file."),
        ["kedja train digits --epochs 1 --out digits", "kedja export digits --to digits.onnx"],
    ),
    "explain": Command(
        *("kedja.cli.explain", "explain", "Each node of an expression: formula, value, gradient."),
        ['kedja explain "tanh(w * x + b)" --at w=2,x=1,b=0'],
    ),
    "importance": Command(
        *("kedja.cli.importance", "importance", "Which columns of a table a network leans on."),
        [
            "kedja train flowers.csv --epochs 2 --out flowers",
            "kedja importance flowers --repeats 3",
        ],
    ),
    "errors": Command(
        *("kedja.cli.errors", "errors", "For which groups a network is wrong, with intervals."),
        [
            "kedja train flowers.csv --epochs 2 --out flowers",
            "kedja errors flowers --by colour",
        ],
    ),
    "view": Command(
        *("kedja.cli.view", "view", "What a network for pictures sees, as a picture."),
        ["kedja train digits --model cnn --epochs 1 --out cnn", "kedja view cnn --kind ideals"],
    ),
    "attention": Command(
        *("kedja.cli.attention", "attention", "Who looks at whom in a network that reads a text."),
        [
            "kedja train play.txt --steps 20 --out play",
            'kedja attention "To be, or not" --run play',
        ],
    ),
    "descend": Command(
        *("kedja.cli.descend", "descend", "Gradient descent on a function, with its path."),
        ['kedja descend "x^2 + 3*y^2" --start x=4,y=2'],
    ),
    "tune": Command(
        *("kedja.cli.tune", "tune", "Search for good options, and train with them."),
        ["kedja tune digits --model linear --trials 2 --epochs 2 --out tuned"],
    ),
    "inspect": Command(
        *("kedja.cli.inspect", "inspect", "What a data set holds, and what is wrong with it."),
        ["kedja inspect digits", "kedja inspect play.txt --json"],
    ),
    "play": Command(
        *("kedja.cli.play", "play", "Let a trained agent act in its environment."),
        [
            "kedja train kedja/TwoPoles-v0 --model cma-es --out poles",
            "kedja play poles --gif poles.gif --limit 200",
        ],
    ),
    "op": Command(
        *("kedja.cli.op", "op", "What an op is, and where each part of it stands."),
        ["kedja op tanh"],
    ),
    "doctor": Command(
        *("kedja.cli.doctor", "doctor", "What was found on this machine."),
        ["kedja doctor"],
    ),
}
SETTINGS = {"help_option_names": ["-h", "--help"]}


class MinusFirst(GroupedCommand):
    """A command whose argument may begin with a minus: `kedja explain "-x^2" --at x=3`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As usual, with such an argument moved behind `--`."""
        return super().parse_args(ctx, _minus_last(list(args), self._takes_value()))

    def _takes_value(self) -> set[str]:
        options = (each for each in self.params if not getattr(each, "is_flag", True))
        return {name for each in options for name in each.opts if name.startswith("-")}


def _minus_last(args: list[str], takes_value: set[str]) -> list[str]:
    """The arguments with the first that begins with a single minus put last, after `--`."""
    before = ""
    for place, each in enumerate(args):
        if each == "--":
            break
        is_option = each.startswith("--") or each in ("-h", "-")
        if each.startswith("-") and not is_option and before not in takes_value:
            return [*args[:place], *args[place + 1 :], "--", each]
        before = each
    return args


class LazyGroup(TyperGroup):
    """A group that loads a command's module when it is called."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The names in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of that name; a usage error that suggests one where there is none."""
        if cmd_name not in COMMANDS:
            ctx.fail(f"There is no command {cmd_name!r}: {did_you_mean(cmd_name, COMMANDS)}")
        found = COMMANDS[cmd_name]
        module = importlib.import_module(found.module)
        narrow = None if found.narrowed is None else getattr(module, found.narrowed)
        return built(cmd_name, getattr(module, found.function), found.example, narrow)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """The table of commands, without loading them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, each.help) for name, each in COMMANDS.items()])


def built(
    name: str, function: Callable[..., Any], example: Sequence[str], narrow: Narrow | None = None
) -> Any:
    """A function as a command, with its errors guarded, and the example under its help."""
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    command = app.command(name, cls=MinusFirst, context_settings=SETTINGS, epilog=epilog(example))
    command(guarded(function))
    made: Any = typer.main.get_command(app)
    made.narrow = narrow
    return made


def epilog(example: Sequence[str]) -> str:
    """The example, a line each; click joins lines unless the paragraph begins with its mark."""
    files = {file for line in example for file in re.findall(r"\b\w+\.(?:txt|csv)\b", line)}
    yours = f", with a {' and a '.join(sorted(files))} of yours" if files else ""
    return "\n".join(["\b", f"Example{yours}:", *(f"  {line}" for line in example)])
