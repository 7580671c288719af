"""What a conv net of digits sees, drawn; an autoencoder's codes beside the pixels."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.systems.results import Chosen, Result
from kedja.data import pictures
from kedja.data.dataset import Split
from kedja.data.pictures import Pictures
from kedja.models.pictures import probabilities
from kedja.train import autoencoding
from kedja.train import pictures as training
from kedja.views import figures
from kedja.views import pictures as views
from kedja.views.codes import plot_codes

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
    yield from _codes(history.model, found, chosen.pictures)


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
        "digit-codes": lambda: plot_codes(model, shown, names),
        "digit-looking": lambda: views.plot_looking(model, shown[_doubtful(model, found)]),
        "digit-ideals": lambda: views.plot_ideals(model),
        "digit-filters": lambda: views.plot_filters(model),
        "digit-maps": lambda: views.plot_maps(model, shown[0]),
    }
    for name, draw in drawn.items():
        file = folder / f"{name}.png"
        figures.save(draw(), file, dpi=80)
        yield file


def _doubtful(model: Any, found: Pictures) -> int:
    """The number of the picture that is named rightly and with the least probability."""
    shares = probabilities(model, found.test.inputs[:SHOWN])
    own = shares[np.arange(len(shares)), found.test.targets[:SHOWN]]
    return int(np.where(own == shares.max(1), own, 1).argmin())


def _codes(model: Any, found: Pictures, folder: Path | None) -> Iterator[Result]:
    train, test, width = found.train, found.test, model.config.width
    mine = autoencoding.reconstruction_error(model, test.inputs)
    linear = autoencoding.projection_error(train.inputs, test.inputs, width)
    what = f"an autoencoder of {width} numbers: error of pixels from 0 to 1"
    note = ""
    if folder is not None:
        figures.save(
            views.plot_reconstruction(model, test.inputs), folder / "digits-again.png", dpi=80
        )
        note = "[ten of them](images/digits-again.png)"
    baseline = f"as many principal components {linear:.4f}"
    yield Result(what, f"{mine:.4f}", baseline=baseline, note=note)
    counts = [count for count in autoencoding.LABELLED if count <= len(train)]
    for row in autoencoding.features(model, train, test, counts):
        yield Result(
            f"logistic regression on codes, {row.labelled:,} labelled digits",
            f"{row.codes:.1%}",
            baseline=f"on as many principal components {row.components:.1%}, on all pixels "
            f"{row.pixels:.1%}",
            note="means over three draws of the labelled; strength of penalty by cross-validation",
        )
