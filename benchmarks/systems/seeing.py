"""What a conv net of digits sees, drawn; an autoencoder's codes beside the pixels."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.systems.results import Chosen, Result
from kedja.data import pictures
from kedja.data.dataset import Split
from kedja.data.pictures import Pictures
from kedja.train import autoencoding
from kedja.train import pictures as training
from kedja.views import figures
from kedja.views import pictures as views

TITLE = "Views of a network for pictures, and codes without labels"
EPOCHS, TRAINED, TESTED, SHOWN = 6, 20_000, 5000, 800


def run(chosen: Chosen) -> Iterator[Result]:
    """A conv net and its views, then an autoencoder; both see 20,000 digits of MNIST."""
    found = _digits(chosen)
    options = {"threads": chosen.threads, "progress": False}
    epochs = 1 if chosen.quick else EPOCHS
    model = training.fit_pictures(found, epochs=epochs, **options).model
    accuracy = training.evaluate_pictures(model, found.test).accuracy
    files = [] if chosen.pictures is None else list(_drawn(model, found, chosen.pictures))
    names = ", ".join(f"[{file.stem}](images/{file.name})" for file in files) or "not drawn"
    yield Result("a conv net of 20,000 digits", f"{accuracy:.2%}", note=f"its views: {names}")
    history = autoencoding.fit_autoencoder(found, epochs=epochs, **options)
    yield from _codes(history.model, found)


def _digits(chosen: Chosen) -> Pictures:
    folder = None if chosen.data is None else chosen.data / "mnist"
    given = pictures.load("digits" if folder is None or not folder.is_dir() else str(folder))
    parts = (
        Split(each.inputs[:count], each.targets[:count])
        for each, count in ((given.train, TRAINED), (given.test, TESTED))
    )
    return Pictures(given.name, given.classes, given.shape, *parts, drawn=given.drawn)


def _drawn(model: Any, found: Pictures, folder: Path) -> Iterator[Path]:
    """The views, each as a file."""
    shown = found.test.inputs[:SHOWN]
    names = [found.classes[number] for number in found.test.targets[:SHOWN]]
    drawn = {
        "digit-codes": lambda: views.plot_codes(model, shown, names),
        "digit-looking": lambda: views.plot_looking(model, shown[0]),
        "digit-ideals": lambda: views.plot_ideals(model),
        "digit-filters": lambda: views.plot_filters(model),
    }
    for name, draw in drawn.items():
        file = folder / f"{name}.png"
        figures.save(draw(), file, dpi=80)
        yield file


def _codes(model: Any, found: Pictures) -> Iterator[Result]:
    train, test, width = found.train, found.test, model.config.width
    mine = autoencoding.reconstruction_error(model, test.inputs)
    linear = autoencoding.projection_error(train.inputs, test.inputs, width)
    what = f"an autoencoder of {width} numbers: error of pixels from 0 to 1"
    yield Result(what, f"{mine:.4f}", baseline=f"as many principal components {linear:.4f}")
    counts = [count for count in autoencoding.LABELLED if count <= len(train)]
    for row in autoencoding.features(model, train, test, counts):
        yield Result(
            f"logistic regression on codes, {row.labelled:,} labelled digits",
            f"{row.codes:.1%}",
            baseline=f"on pixels {row.pixels:.1%}",
        )
