"""`kedja view`: what a network for pictures sees, where it looks and what it would like to see.

| network                | kinds                                                                   |
|------------------------|-------------------------------------------------------------------------|
| of classes             | looking, maps of a picture; filters, ideals, codes                      |
| of pairs with captions | the same, for captions in place of classes                              |
| autoencoder            | reconstruction (of the test's pictures, too), maps; filters, codes      |

Not here: the numbers (`kedja/models/seeing.py`), the drawing (`kedja/views/pictures.py`).
Next: `pictures.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import typer

from kedja import models
from kedja.cli import captions, families, pictures, runs
from kedja.cli.families import Request
from kedja.cli.output import note, say
from kedja.ground.errors import UsageError
from kedja.ground.suggest import did_you_mean
from kedja.models.autoencoder import Autoencoder
from kedja.models.caption_classes import CaptionClasses
from kedja.models.clip import Clip, cosines
from kedja.models.pictures import PictureConfig
from kedja.views import figures
from kedja.views import pictures as views
from kedja.views.codes import plot_codes

OF_A_PICTURE = ("looking", "maps")
OF_A_NETWORK = ("filters", "ideals", "codes")
OF_BOTH = ("reconstruction",)
KINDS = (*OF_A_PICTURE, *OF_BOTH, *OF_A_NETWORK)
OF_CLASSES = ("looking", "ideals")
LOOKED_AT = [families.MODELS[name] for name in ("cnn", "autoencoder", "clip")]
SHOWN = 600  # pictures on the map of codes
MOST = 5  # classes or captions that a picture is looked at for


class Asked(NamedTuple):
    """What is to be drawn, of which network."""

    run: Path
    model: Any
    tokenizer: Any  # of words, where the network reads captions
    kind: str
    picture: Path | None
    layer: str | None
    labels: Sequence[str]
    texts: Sequence[str]


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
        list[str] | None,
        typer.Option(
            help="The class that is asked about; may be given again.",
            metavar="CLASS",
        ),
    ] = None,
    text: Annotated[
        list[str] | None,
        typer.Option(
            help="For pictures with captions: that which is asked about; may be given again.",
            metavar="CAPTION",
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(help="The file to draw; RUN/KIND.png unless given.", metavar="FILE"),
    ] = None,
) -> None:
    """Draw what a network for pictures sees."""
    if kind is not None and kind not in KINDS:
        raise UsageError(f"--kind {kind}", fix=did_you_mean(kind, KINDS))
    model, tokenizer = _loaded(run)
    chosen = kind or _usual(model, picture)
    asked = Asked(run, model, tokenizer, chosen, picture, layer, label or (), text or ())
    _require(asked)
    _require_kind(asked)
    to = plot or run / f"{chosen}.png"
    figures.require(to)
    figures.save(_drawn(asked), to)
    say(str(to))


def _loaded(run: Path) -> tuple[Any, Any]:
    """The network of a run, and what reads its captions. UsageError where it sees no pictures."""
    family = families.MODELS.get(runs.model_of(run))
    saved = models.load(run) if family in LOOKED_AT else None
    if saved is None or not isinstance(getattr(saved.model, "config", None), PictureConfig):
        raise UsageError(f"{run} is no run on pictures", fix="kedja train digits --model cnn")
    return saved.model, saved.tokenizer


def _usual(model: Any, picture: Path | None) -> str:
    if picture is None:
        return "filters"
    return "reconstruction" if isinstance(model, Autoencoder) else "looking"


def _require(asked: Asked) -> None:
    """UsageError for what does not go together."""
    kind = asked.kind
    if kind in OF_A_PICTURE and asked.picture is None:
        raise UsageError(f"--kind {kind} needs a picture", fix="kedja view RUN PICTURE.png")
    if kind in OF_A_NETWORK and asked.picture is not None:
        raise UsageError(f"--kind {kind} is of the network", fix="leave the picture out")
    for name, value, kinds in (
        ("layer", asked.layer, ("maps",)),
        ("label", asked.labels, OF_CLASSES),
        ("text", asked.texts, OF_CLASSES),
    ):
        if value and kind not in kinds:
            raise UsageError(f"--kind {kind} has no --{name}", fix="leave it out")
    if max(len(asked.labels), len(asked.texts)) > MOST and kind == "looking":
        raise UsageError(f"more than {MOST} at once", fix="fewer of them")


def _require_kind(asked: Asked) -> None:
    """UsageError for what this network does not have."""
    run, kind, model = asked.run, asked.kind, asked.model
    if kind in OF_CLASSES and isinstance(model, Autoencoder):
        what = f"--kind {kind}, but the network of {run} knows no classes"
        raise UsageError(what, fix="one of reconstruction, maps, filters, codes")
    if kind == "reconstruction" and not isinstance(model, Autoencoder):
        what = f"--kind {kind}, but the network of {run} gives no pictures back"
        raise UsageError(what, fix="kedja train digits --model autoencoder")
    if asked.texts and not isinstance(model, Clip):
        raise UsageError(f"--text, but the network of {run} has classes", fix="--label CLASS")
    if asked.labels and isinstance(model, Clip):
        raise UsageError(f"--label, but the network of {run} has captions", fix="--text CAPTION")
    if kind == "ideals" and isinstance(model, Clip) and not asked.texts:
        raise UsageError("--kind ideals needs captions", fix='--text "a caption"')


# ------------------------------------------------------------------------------- drawing


def _drawn(asked: Asked) -> Any:
    if asked.kind == "codes":
        return _map(asked)
    if asked.kind == "filters":
        return views.plot_filters(asked.model)
    if asked.kind == "ideals":
        return views.plot_ideals(_of_classes(asked, None), list(asked.labels) or None)
    if asked.picture is None:
        return views.plot_reconstruction(asked.model, _tested(asked, views.ACROSS)[0])
    pixels = pictures.reader(asked.run, asked.model)(asked.picture)
    if asked.kind == "maps":
        return views.plot_maps(asked.model, pixels, asked.layer)
    if asked.kind == "reconstruction":
        return views.plot_reconstruction(asked.model, pixels)
    model = _of_classes(asked, pixels)
    every = range(len(model.config.classes)) if isinstance(asked.model, Clip) else None
    return views.plot_looking(model, pixels, list(asked.labels) or every)


def _of_classes(asked: Asked, pixels: Any) -> Any:
    """The network; of one for pairs that which chooses among the captions.

    Where none is given, it is the one among the captions of the run's data that fits best.
    """
    if not isinstance(asked.model, Clip):
        return asked.model
    if asked.texts:
        captions.tell_unknown(asked.texts, asked.tokenizer)
        return CaptionClasses(asked.model, asked.texts, asked.tokenizer)
    known = captions.known(captions.loaded(asked.run))
    angles = cosines(asked.model, pixels[None], known, asked.tokenizer)[0]
    return CaptionClasses(asked.model, [known[int(angles.argmax())]], asked.tokenizer)


def _map(asked: Asked) -> Any:
    """The pictures of the run's test on the map of their codes."""
    shown, names = _tested(asked, SHOWN)
    note(f"{len(shown):,} pictures of the test, by their codes")
    return plot_codes(asked.model, shown, names)


def _tested(asked: Asked, most: int) -> tuple[Any, list[str] | None]:
    """Pictures of the run's test, and the names of their classes where they are known.

    They are evenly spread over the test, since those of a folder stand there class by class.
    """
    if isinstance(asked.model, Clip):
        given = captions.loaded(asked.run)
        _, first = np.unique(given.test.numbers, return_index=True)
        rows = first[_spread(len(first), most)]
        names = None if given.answers is None else [given.asked[n] for n in given.answers[rows]]
        return given.test.pictures[rows], names
    height, width = asked.model.config.shape[1:]
    sources = runs.sources_of(asked.run)
    request = Request(sources, {"size": f"{height}x{width}"}, out=asked.run, resume=True)
    found, _ = pictures.loaded(request)
    rows = _spread(len(found.test), most)
    return found.test.inputs[rows], [found.classes[n] for n in found.test.targets[rows]]


def _spread(count: int, most: int) -> Any:
    """Rows from the first to the last, at most so many."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(np.int64))
