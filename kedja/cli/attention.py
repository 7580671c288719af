"""`kedja attention`: who looks at whom in a trained network, head by head.

Not here: the maps themselves (`kedja/models/looking.py`). Next: `explain.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import kedja as kj
from kedja import models
from kedja.cli.output import note, say, say_json, write_text
from kedja.cli.texts import Text, opened

FEW = 4  # heads: so many are drawn as characters


def attention(
    text: Annotated[str, typer.Argument(help="A text to be read.", show_default=False)],
    run: Annotated[
        Path,
        typer.Option(help="The folder of a run, or of a GPT-2.", metavar="RUN", show_default=False),
    ],
    layer: Annotated[int | None, typer.Option(help="Only this layer, counted from 0.")] = None,
    head: Annotated[int | None, typer.Option(help="Only this head, counted from 0.")] = None,
    unmasked: Annotated[
        bool,
        typer.Option("--unmasked", help="Draw beside it where it would look without the mask."),
    ] = False,
    svg: Annotated[
        Path | None,
        typer.Option(help="Write the maps as a picture.", metavar="FILE", dir_okay=False),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show where each head of each layer looks while the network of RUN reads TEXT.

    The table has a row for each head: the mean weight on the token itself, on the one before it and
    on the first one, how far it looks, how spread its looks are in bits, and its strongest look at
    another token. A few heads are drawn, dark where the weight is large.

    For example: kedja attention "to be or not to be" --run runs/shakespeare-gpt --layer 0 --head 1
    """
    found = maps(opened(run, text)).of(layer, head)
    if svg is not None:
        write_text(svg, found.svg(unmasked))
    if json:
        say_json({"run": str(run), **found.data()})
        return
    say(found.table())
    if len(found.maps) <= FEW:
        say()
        say(found.text(unmasked))
    else:
        note("--layer and --head draw one of them, --svg draws all")


def maps(of: Text) -> models.Attention:
    """The maps of a text that was opened."""
    of.require_context()
    return models.attention(of.model, kj.tensor([of.tokens]), queries=of.names)
