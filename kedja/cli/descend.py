"""`kedja descend`: gradient descent on an expression, as a table of steps and as a plot.

Not here: the descent itself (`descent.py`) and the drawing (`contour.py`). Next: `descent.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from kedja.cli import contour, options
from kedja.cli.descent import Descent
from kedja.cli.descent import descend as run_descent
from kedja.cli.expression import Expression, parse
from kedja.cli.output import note, say, say_json
from kedja.front.tables import rendered
from kedja.ground.errors import UsageError
from kedja.ir.values import rounded

MOST_STEPS = 10_000_000
LISTED = 1000  # points of the path in the JSON; longer paths are thinned
SHOWN = (0, 1, 2, 3, 5)  # steps of the table, and ten times these, and so on


def descend(
    expression: Annotated[
        str, typer.Argument(help='For example "sin(0.8*x1) * sin(0.6*x2)".', metavar="EXPRESSION")
    ],
    start: Annotated[
        str, typer.Option(help="Where to begin: 2,2 in the order of the names, or x1=2,x2=2.")
    ],
    rate: Annotated[float, typer.Option(help="The learning rate.")] = 0.1,
    steps: Annotated[int, typer.Option(help="How many steps.", min=0, max=MOST_STEPS)] = 200,
    box: Annotated[
        str, typer.Option(help="Bounds for each variable: --box=-2:3,-2:2.", metavar="RANGES")
    ] = "",
    plot: Annotated[
        Path | None,
        typer.Option(help="Draw the path on the contours.", metavar="FILE", dir_okay=False),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Follow the negative gradient of EXPRESSION from a point, held inside a box."""
    parsed = parse(expression)
    if not parsed.names:
        raise UsageError("the expression has no variables", fix="for example x^2")
    begin = options.point(start, parsed.names, "--start")
    bounds = options.box(box, parsed.names, "--box") if box.strip() else None
    if plot is not None:
        contour.require(plot, parsed)
    found = run_descent(parsed, begin, options.number(str(rate), "--rate"), steps, bounds)
    if plot is not None:
        contour.draw(plot, parsed, found)
        note(f"wrote {plot}")
    if json:
        say_json(_data(parsed, begin, rate, found))
    else:
        _print(parsed, found)


def _data(
    parsed: Expression, start: dict[str, float], rate: float, found: Descent
) -> dict[str, Any]:
    steps = len(found.path) - 1
    shown = _thinned(steps)
    names = found.names
    return {
        "expression": parsed.text,
        "variables": list(names),
        "start": start,
        "rate": rate,
        "steps": steps,
        "box": None if found.box is None else dict(zip(names, found.box, strict=True)),
        "end": found.end,
        "value": found.values[-1],
        "gradient": dict(zip(names, found.gradient.tolist(), strict=True)),
        "path": [
            {"step": step, "at": found.path[step].tolist(), "value": found.values[step]}
            for step in shown
        ],
        "compile_seconds": found.compile_seconds,
    }


def _thinned(steps: int) -> list[int]:
    """At most about `LISTED` steps, evenly spaced, the first and the last among them."""
    stride = max(1, -(-steps // LISTED))
    return sorted({*range(0, steps + 1, stride), steps})


def _print(parsed: Expression, found: Descent) -> None:
    steps = len(found.path) - 1
    header = ["step", *found.names, "f"]
    rows = [
        [str(step), *(rounded(each) for each in found.path[step]), rounded(found.values[step])]
        for step in _shown(steps)
    ]
    say(rendered(header, rows))
    say()
    place = ", ".join(f"{name} = {rounded(each)}" for name, each in found.end.items())
    say(f"f = {rounded(found.values[-1])} at {place}")
    say(f"gradient there: {_gradient(found)}")


def _gradient(found: Descent) -> str:
    """The gradient by name, with the bounds that hold the path where it is not zero."""
    parts = []
    for place, (name, g) in enumerate(zip(found.names, found.gradient, strict=True)):
        held = found.box is not None and found.path[-1][place] in found.box[place]
        parts.append(f"df/d{name} = {rounded(g)}" + (" (held by the box)" if held else ""))
    return ", ".join(parts)


def _shown(steps: int) -> list[int]:
    """A few steps, denser at the beginning: 0 1 2 3 5 10 20 30 50 100 …, and the last."""
    found = {0, steps}
    scale = 1
    while scale <= steps:
        found |= {each * scale for each in SHOWN if each * scale <= steps}
        scale *= 10
    return sorted(found)
