"""`kedja train FOLDER|mnist|digits --model autoencoder`: pictures through a few numbers and back.

Not here: what all runs have in common (`task.py`), the training (`kedja/train/autoencoding.py`),
the pictures (`pictures.py`). Next: `view.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from kedja import optim
from kedja.cli import pictures, task
from kedja.cli.asked import Asked
from kedja.cli.families import Request
from kedja.cli.options import sizes
from kedja.cli.output import note, say
from kedja.data.pictures import Pictures
from kedja.ground.errors import MissingExtra
from kedja.models.autoencoder import Autoencoder, encode_pictures
from kedja.train import autoencoding as training
from kedja.train.history import History

MOST = 5000  # pictures to test on whose codes are classified


def train(request: Request) -> None:
    """Train an autoencoder on the pictures of DATA, and use its codes beside the pixels."""
    found, options = pictures.loaded(request)
    config = training.config_for(found)
    batch = options.get("batch", training.BATCH)
    usual = {
        "model": "autoencoder",
        "size": "x".join(map(str, found.shape[1:])),
        "widths": ",".join(map(str, config.widths)),
        "width": config.width,
        "noise": 0.0,
        "invert": found.drawn,
        "batch": batch,
        "epochs": training.usual_epochs(len(found.train), batch),
        "lr": training.RATE,
        "seed": 0,
    }
    task.run(request, usual, partial(_prepare, found))


def _prepare(found: Pictures, data: tuple[str, ...], made: task.Options) -> task.Prepared:
    widths = sizes(made["widths"], "--widths")
    config = training.config_for(found, widths=widths, width=made["width"])

    def fit(**options: Any) -> History:
        rate = optim.AdamW(made["lr"])
        return training.fit_autoencoder(
            found, config=config, noise=made["noise"], optimizer=rate, **options
        )

    figures = partial(_figures, found)
    return task.Prepared(
        Autoencoder(config), None, found.describe(), fit, figures, _told, "PICTURE.png"
    )


def _figures(found: Pictures, model: Any) -> dict[str, Any]:
    """How well pictures come back, and what codes are worth, beside principal components."""
    note("beside it: principal components, and logistic regression on codes and on pixels")
    train, test, width = found.train.inputs, found.test.inputs, model.config.width
    figures: dict[str, Any] = {
        "test_error": training.reconstruction_error(model, test),
        "projection_error": training.projection_error(train, test, width),
    }
    counts = [count for count in training.LABELLED if count <= len(found.train)]
    asked = type(found.test)(test[:MOST], found.test.targets[:MOST])
    try:
        rows = training.features(model, found.train, asked, counts)
    except MissingExtra as error:
        note(f"codes are not classified: {error.what}")
        return figures
    return {**figures, "features": [row._asdict() for row in rows]}


def _told(results: Mapping[str, Any]) -> list[str]:
    lines = [
        f"test error {results['test_error']:.4f} of pixels from 0 to 1 (root of the mean square); "
        f"by {results['width']} principal components {results['projection_error']:.4f}"
    ]
    for row in results.get("features", ()):
        lines.append(
            f"{row['labelled']:,} labelled pictures: {row['codes']:.1%} right by codes, "
            f"{row['components']:.1%} by as many principal components, {row['pixels']:.1%} by all "
            "pixels (logistic regression)"
        )
    return lines


def predict(asked: Asked) -> None:
    """Each picture's code."""
    files, pixels = pictures.given(asked)
    codes = encode_pictures(asked.model, pixels)
    if asked.json:
        pairs = zip(files, codes, strict=True)
        asked.tell([{"file": file, "code": code.tolist()} for file, code in pairs])
        return
    for file, code in zip(files, codes, strict=True):
        say(f"{file}  {' '.join(f'{number:.3g}' for number in code)}")
