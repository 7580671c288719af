"""`kedja explain`: an expression node by node, with value, gradient and the gate's rule; or, with
`--run`, a text token by token, as the network of a run read it.

Not here: how the numbers are found (`kedja/front/explanation.py`, `kedja/models/reading.py`).
Next: `expression.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from kedja.cli.expression import Expression, parse
from kedja.cli.options import values
from kedja.cli.output import note, say, say_json, write_text
from kedja.cli.texts import opened
from kedja.front.derivation import derivation
from kedja.front.explanation import Explanation, explanation
from kedja.front.named import Subject, chosen
from kedja.front.tensor import from_node
from kedja.ground.dtypes import float64
from kedja.ground.errors import UsageError
from kedja.ir.graph import topological, variable
from kedja.ir.names import leaf_names
from kedja.ir.op import Type
from kedja.models.reading import read


def explain(
    expression: Annotated[
        str, typer.Argument(help='For example "1 + exp(w0 + w1*x)".', show_default=False)
    ],
    at: Annotated[
        str, typer.Option(help="A number for each variable: w0=-1,w1=0.5,x=2.", metavar="VALUES")
    ] = "",
    wrt: Annotated[
        str,
        typer.Option(help="The variables to differentiate by; all unless given.", metavar="NAMES"),
    ] = "",
    svg: Annotated[
        Path | None,
        typer.Option(help="Write the graph as a picture.", metavar="FILE", dir_okay=False),
    ] = None,
    run: Annotated[
        Path | None,
        typer.Option(help="Read EXPRESSION as a text with the network of this run.", metavar="RUN"),
    ] = None,
    lens: Annotated[
        bool, typer.Option("--lens", help="With --run: what each block would have guessed.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show each node of EXPRESSION: formula, value, gradient, and the rule of its gate.

    Numbers, names, + - * / ^, parentheses, functions such as exp, sin, max, and pi and e.

    With --run, EXPRESSION is a text: each token with the probability that the network of the run
    gave it, its surprise in bits, and what was expected instead.

    For example: kedja explain "to be or not to be" --run runs/shakespeare-gpt --lens
    """
    if run is not None:
        _read(expression, run, lens, {"--at": at, "--wrt": wrt, "--svg": svg}, json)
        return
    if lens:
        raise UsageError("--lens is for texts", fix="give --run as well")
    parsed = parse(expression)
    given = values(at, parsed.names, "--at")
    subject = traced(parsed, given)
    names = [name.strip() for name in wrt.split(",") if name.strip()] or None
    derivatives = _derivatives(subject, names)
    found = explanation(subject, names, sources=False)
    if svg is not None:
        write_text(svg, found.svg())
    if json:
        say_json(
            {"expression": parsed.text, "at": given, "derivatives": derivatives, **found.data()}
        )
    else:
        _print(found, derivatives)


def _read(text: str, run: Path, lens: bool, others: Mapping[str, object], json: bool) -> None:
    """A text as a network read it."""
    given = [name for name, value in others.items() if value]
    if given:
        raise UsageError(f"{given[0]} is for expressions, --run for texts", fix="leave one out")
    text_of = opened(run, text)
    found = read(text_of.model, text_of.tokens, text_of.tokenizer.token, lens)
    if json:
        say_json({"text": text, "run": str(run), **found.data()})
    else:
        say(found.table())


def traced(parsed: Expression, given: dict[str, float]) -> Subject:
    """The expression as a graph over float64 inputs that have these values."""
    nodes = {name: variable(name, Type((), float64)) for name in parsed.names}
    output = parsed(**{name: from_node(node) for name, node in nodes.items()}).node
    labels = {node: name for name, node in nodes.items()}
    bound = {nodes[name]: np.asarray(value, np.float64) for name, value in given.items()}
    names = leaf_names(topological([output]), labels)
    return Subject([output], names, bound, tuple(nodes.values()))


def _derivatives(subject: Subject, names: list[str] | None) -> dict[str, str]:
    """Each derivative as a formula; none where the expression has no variable."""
    if not subject.inputs:
        if names:
            raise UsageError("--wrt: the expression has no variables")
        return {}
    chosen(subject, names)
    return derivation(subject, names).formulas


def _print(found: Explanation, derivatives: dict[str, str]) -> None:
    say(f"f = {found.formula}")
    for name, text in derivatives.items():
        say(f"df/d{name} = {text}")
    say()
    say(found.table())
    if any(gradient is None for gradient in found.gradients.values()):
        note("no gradient arrives at the variables where that column is empty")
