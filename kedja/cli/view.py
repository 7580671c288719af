"""`kedja view`: what a network for pictures sees, where it looks and what it would like to see.

Not here: the numbers (`kedja/models/seeing.py`), the drawing (`kedja/views/pictures.py`).
Next: `pictures.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from kedja import models
from kedja.cli import families, pictures, runs
from kedja.cli.families import Request
from kedja.cli.output import note, say
from kedja.ground.errors import UsageError
from kedja.ground.suggest import did_you_mean
from kedja.models.autoencoder import Autoencoder
from kedja.models.pictures import PictureConfig
from kedja.views import figures
from kedja.views import pictures as views
from kedja.views.codes import plot_codes

OF_A_PICTURE = ("looking", "maps", "reconstruction")
OF_A_NETWORK = ("filters", "ideals", "codes")
KINDS = (*OF_A_PICTURE, *OF_A_NETWORK)
OF_CLASSES = ("looking", "ideals")
LOOKED_AT = [families.MODELS[name] for name in ("cnn", "autoencoder")]
SHOWN = 600  # pictures on the map of codes


def view(
    run: Annotated[
        Path, typer.Argument(help="The folder of a run on pictures.", show_default=False)
    ],
    picture: Annotated[
        Path | None, typer.Argument(help="A picture to look at.", show_default=False)
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option(
            help="looking (saliency and occlusion), maps, or reconstruction (what an autoencoder "
            "gives back), of a PICTURE; filters, ideals (what each class wants most) or codes "
            "(the test's pictures on a map), of the network.",
            show_default="looking, reconstruction or filters",
            metavar="KIND",
        ),
    ] = None,
    layer: Annotated[
        str | None, typer.Option(help="Which maps; the first layer's unless given.")
    ] = None,
    label: Annotated[
        str | None, typer.Option(help="The class that is asked about.", metavar="CLASS")
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(help="The file to draw; RUN/KIND.png unless given.", metavar="FILE"),
    ] = None,
) -> None:
    """Draw what a network for pictures sees."""
    if kind is not None and kind not in KINDS:
        raise UsageError(f"--kind {kind}", fix=did_you_mean(kind, KINDS))
    model = _model(run)
    chosen = kind or _usual(model, picture)
    _require(chosen, picture, layer, label)
    _require_kind(run, model, chosen)
    to = plot or run / f"{chosen}.png"
    figures.require(to)
    figures.save(_drawn(run, model, chosen, picture, layer, label), to)
    say(str(to))


def _model(run: Path) -> Any:
    """The network of a run. UsageError where it is not one for pictures."""
    family = families.MODELS.get(runs.model_of(run))
    model = models.load(run).model if family in LOOKED_AT else None
    if not isinstance(getattr(model, "config", None), PictureConfig):
        raise UsageError(f"{run} is no run on pictures", fix="kedja train digits --model cnn")
    return model


def _usual(model: Any, picture: Path | None) -> str:
    if picture is None:
        return "filters"
    return "reconstruction" if isinstance(model, Autoencoder) else "looking"


def _require_kind(run: Path, model: Any, kind: str) -> None:
    """UsageError for what this network does not have."""
    if kind in OF_CLASSES and isinstance(model, Autoencoder):
        what = f"--kind {kind}, but the network of {run} knows no classes"
        raise UsageError(what, fix="one of reconstruction, maps, filters, codes")
    if kind == "reconstruction" and not isinstance(model, Autoencoder):
        what = f"--kind {kind}, but the network of {run} gives no pictures back"
        raise UsageError(what, fix="kedja train digits --model autoencoder")


def _require(kind: str, picture: Path | None, layer: str | None, label: str | None) -> None:
    """UsageError for what does not go together."""
    if kind in OF_A_PICTURE and picture is None:
        raise UsageError(f"--kind {kind} needs a picture", fix="kedja view RUN PICTURE.png")
    if kind in OF_A_NETWORK and picture is not None:
        raise UsageError(f"--kind {kind} is of the network", fix="leave the picture out")
    for name, value, kinds in (
        ("layer", layer, ("maps",)),
        ("label", label, ("looking", "ideals")),
    ):
        if value is not None and kind not in kinds:
            raise UsageError(f"--kind {kind} has no --{name}", fix="leave it out")


def _drawn(
    run: Path, model: Any, kind: str, picture: Path | None, layer: str | None, label: str | None
) -> Any:
    if picture is not None:
        pixels = pictures.read_for(run, picture, model)
        if kind == "maps":
            return views.plot_maps(model, pixels, layer)
        if kind == "reconstruction":
            return views.plot_reconstruction(model, pixels)
        return views.plot_looking(model, pixels, label)
    if kind == "filters":
        return views.plot_filters(model)
    if kind == "ideals":
        return views.plot_ideals(model, None if label is None else [label])
    return _map(run, model)


def _map(run: Path, model: Any) -> Any:
    """The pictures of the run's test on the map of their codes."""
    height, width = model.config.shape[1:]
    request = Request(runs.sources_of(run), {"size": f"{height}x{width}"}, out=run, resume=True)
    found, _ = pictures.loaded(request)
    shown = found.test.inputs[:SHOWN]
    note(f"{len(shown):,} pictures of the test, by their codes")
    names = [found.classes[number] for number in found.test.targets[:SHOWN]]
    return plot_codes(model, shown, names)
