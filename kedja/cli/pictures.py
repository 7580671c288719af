"""`kedja train FOLDER|mnist|digits --model cnn|resnet`: pictures into classes.

Not here: what all runs have in common (`task.py`), the training (`kedja/train/pictures.py`), the
files (`kedja/data/pictures.py`). Next: `export.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from kedja import models, optim
from kedja.cli import judging, runs, task
from kedja.cli.asked import Asked, chosen
from kedja.cli.export import Exported
from kedja.cli.families import Request
from kedja.cli.options import layers, sizes
from kedja.cli.output import note, now_and_then, say
from kedja.data import augment as augmenting
from kedja.data import learned, picture_files
from kedja.data import pictures as data
from kedja.data.pictures import Pictures
from kedja.front.functions import softmax
from kedja.front.tables import aligned
from kedja.front.tensor import Tensor
from kedja.ground.errors import DataError, UsageError
from kedja.inspection.judged import Judged
from kedja.io import photos
from kedja.models.pictures import PictureLabel, classify_pictures, inputs
from kedja.train import pictures as training
from kedja.train.history import History

SHOWN = 5  # classes, or pairs of them, in a line
TABLE = 20  # classes up to which the whole table of confusion is printed
SIZES = ("widths", "depth", "hidden", "dropout")  # options that are the configuration's


def train(request: Request) -> None:
    """Train a network on the pictures of DATA and test it."""
    if {"width", "widths"} <= set(request.given):
        fix = "--width is the first stage's, of which the others follow; --widths are all"
        raise UsageError("--width and --widths", fix=fix)
    found, options = loaded(request)
    task.run(request, _usual(found, options), partial(_prepare, found))


def loaded(request: Request) -> tuple[Pictures, dict[str, Any]]:
    """The pictures of DATA, and the options that are given, or were in the run that goes on."""
    earlier = request.earlier
    recorded: Mapping[str, Any] = {} if earlier is None else runs.recipe_of(earlier)
    options = {**recorded, **request.given}
    return _load(request.data, options, recorded), options


def _load(
    given: Sequence[str], options: Mapping[str, Any], recorded: Mapping[str, Any]
) -> Pictures:
    if len(given) > 1:
        what = f"{len(given)} data sets: {', '.join(given)}"
        raise UsageError(what, fix="give one folder, with a folder for each class")
    fixed = bool(recorded) and not data.are_in(given[0])  # MNIST has its size
    size = None if fixed or "size" not in options else data.parse_size(options["size"])
    return data.load(
        given[0],
        size=size,
        seed=options.get("seed", 0),
        progress=now_and_then("read", "pictures"),
        test=options.get("test"),
    )


def _usual(found: Pictures, given: Mapping[str, Any]) -> dict[str, Any]:
    """The options that suit the pictures, each as it would be given."""
    model = given.get("model", "cnn")
    config = training.usual_config(found, model)
    first = given.get("width", config.widths[0])
    widths = [first * each // config.widths[0] for each in config.widths]
    count = len(found.train)
    batch = given.get("batch", training.usual_batch(count))
    epochs = training.usual_epochs(count, batch)
    steps = given.get("epochs", epochs) * -(-count // batch)
    schedule = given.get("schedule", "cosine")
    usual = {
        "model": model,
        "size": "x".join(map(str, found.shape[1:])),
        "augment": str(training.usual_augment(found)),
        "widths": _joined(widths),
        "depth": config.depth,
        "dropout": config.dropout,
        "invert": found.drawn,
        "batch": batch,
        "epochs": epochs,
        "lr": training.RATE,
        "weight_decay": training.DECAY,
        "schedule": schedule,
        "warmup": training.usual_warmup(schedule, steps),
        "seed": 0,
    }
    return usual | ({"hidden": _joined(config.hidden)} if model == "cnn" else {})


def _prepare(found: Pictures, given: tuple[str, ...], made: task.Options) -> task.Prepared:
    read: dict[str, Callable[[str, str], Any]] = {"widths": sizes, "hidden": layers}
    chosen = {
        name: read[name](made[name], f"--{name}") if name in read else made[name]
        for name in SIZES
        if name in made
    }
    config = training.usual_config(found, made["model"], **chosen)
    augment = augmenting.parse(made["augment"])

    def fit(**options: Any) -> History:
        return training.fit_pictures(
            found,
            config=config,
            augment=augment,
            optimizer=optim.AdamW(made["lr"], weight_decay=made["weight_decay"]),
            schedule=None if made["schedule"] == "constant" else made["schedule"],
            **options,
        )

    network = training.network(config, made["seed"])
    about = (*found.describe(), f"{network.num_parameters:,} parameters")
    figures = partial(_figures, found)
    return task.Prepared(network, None, about, fit, figures, _told, "PICTURE.png")


def _joined(numbers: Sequence[int]) -> str:
    return ",".join(map(str, numbers)) or "none"


# ------------------------------------------------------------------------------- figures


def _figures(found: Pictures, model: Any) -> dict[str, Any]:
    """What the network reaches on the pictures to test on, and the baselines on the same ones."""
    mine = training.evaluate_pictures(model, found.test)
    if learned.is_alone():
        return {"test_accuracy": mine.accuracy}  # of a trial, which is not told
    note("baselines: logistic regression and the nearest neighbour, on the pixels")
    nearest, asked = training.nearest(found.train, found.test)
    return {
        "train_examples": len(found.train),
        "test_examples": len(found.test),
        "test_accuracy": mine.accuracy,
        "test_balanced_accuracy": mine.balanced_accuracy,
        "most_frequent_accuracy": training.most_frequent(found.train, found.test),
        "logistic_regression_accuracy": training.pixels_logistic(found),
        "nearest_neighbour_accuracy": nearest,
        "nearest_neighbour_examples": asked,
        "classes": {name: asdict(of) for name, of in mine.classes.items()},
        "confusion": mine.confusion.tolist(),
    }


def _told(results: Mapping[str, Any]) -> list[str]:
    count, asked = results["test_examples"], results["nearest_neighbour_examples"]
    of = "" if asked == count else f" (on {asked:,} of them)"
    confusion = np.array(results["confusion"])
    names = list(results["classes"])
    table = _table(names, confusion) if len(names) <= TABLE else _pairs(names, confusion)
    return [
        f"test accuracy {results['test_accuracy']:.2%} on {count:,} pictures "
        f"(mean of the classes {results['test_balanced_accuracy']:.2%})",
        f"beside it, on the pixels: logistic regression "
        f"{results['logistic_regression_accuracy']:.2%}, the nearest neighbour "
        f"{results['nearest_neighbour_accuracy']:.2%}{of}; "
        f"the commonest class {results['most_frequent_accuracy']:.2%}",
        *table,
    ]


def _table(names: Sequence[str], confusion: Any) -> list[str]:
    """A row for each class: what its pictures are taken for, and the share that is right.

    >>> import numpy as np
    >>> print("\\n".join(_table(["cat", "dog"], np.array([[9, 1], [0, 5]]))))
    is \\ said  cat  dog    right
          cat    9    1   90.0 %
          dog    .    5  100.0 %
    """
    lines = [["is \\ said", *names, "right"]]
    for place, (name, row) in enumerate(zip(names, confusion, strict=True)):
        cells = [str(each) if each else "." for each in row]
        right = f"{row[place] / max(1, row.sum()):.1%}".replace("%", " %")
        lines.append([name, *cells, right])
    return aligned(lines, [True] * len(lines[0])).splitlines()


def _pairs(names: Sequence[str], confusion: Any) -> list[str]:
    """Where there are many classes: those found least, and what is most often taken for what."""
    rights = np.diag(confusion) / np.maximum(1, confusion.sum(1))
    worst = ", ".join(
        f"{names[place]} {rights[place]:.0%}" for place in np.argsort(rights, kind="stable")[:SHOWN]
    )
    wrong = confusion - np.diag(np.diag(confusion))
    order = np.argsort(-wrong, axis=None, kind="stable")[:SHOWN]
    pairs = [divmod(int(each), len(names)) for each in order]
    taken = ", ".join(f"{names[i]} for {names[j]} ({wrong[i, j]})" for i, j in pairs if wrong[i, j])
    return [f"found least: {worst}", f"most often taken: {taken or 'none for another'}"]


# ------------------------------------------------------------------------------- asking


def predict(asked: Asked) -> None:
    """Print each picture's class."""
    files, pixels = given(asked)
    found = classify_pictures(asked.model, pixels)
    if asked.json:
        asked.tell([_json(*pair) for pair in zip(files, found, strict=True)])
        return
    say(aligned([[file, chosen(each)] for file, each in zip(files, found, strict=True)]))


def given(asked: Asked) -> tuple[list[str], Any]:
    """The pictures that are asked about: their files, and their bytes (B, H, W) or (B, H, W, 3)."""
    asked.require_plain("a network for pictures")
    if asked.given:
        raise UsageError("a network for pictures reads no --text", fix="give picture files")
    if not asked.files:
        raise UsageError("there is nothing to predict", fix="give picture files")
    found = asked.each(asked.below(picture_files.pictures_in), reader(asked.run, asked.model))
    return [str(file) for file, _ in found], np.stack([pixels for _, pixels in found])


def reader(run: Path, model: Any) -> Callable[[Path], Any]:
    """What reads a picture as the network of a run takes it."""
    return partial(read, shape=model.config.shape, invert=bool(runs.recipe_of(run).get("invert")))


def read(file: Path, shape: tuple[int, int, int], invert: bool) -> Any:
    """A picture as the network's bytes; with `invert`, dark ink on bright paper is turned round."""
    pixels = photos.read(file, shape)
    if not invert:
        return pixels
    edge = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    return 255 - pixels if edge.mean() > 127.5 else pixels


def _json(file: str, found: PictureLabel) -> dict[str, Any]:
    return {
        "file": file,
        "class": found.label,
        "probability": found.probabilities[found.label],
        "probabilities": found.probabilities,
    }


def judged(run: Path, given: str | None) -> Judged:
    """Whether each picture of `given`, or of those held out of the training, is seen right."""
    model, own = models.load(run).model, runs.sources_of(run)[0]
    made = runs.recipe_of(run)
    if given is not None and data.are_in(given):
        files, true, pixels = _all(Path(given), model.config.shape, bool(made.get("invert")))
    else:
        found = _load([given or own], made if given is None else {}, made)
        if given is None:
            judging.require_same(run, own, len(found.test))
        files, pixels = list(found.test_files), found.test.inputs
        true = [found.classes[code] for code in found.test.targets.tolist()]
    said = [each.label for each in classify_pictures(model, pixels)]
    return judging.by_names(given or own, true, said, {}, files)


def _all(
    folder: Path, shape: tuple[int, int, int], invert: bool
) -> tuple[list[str], list[str], Any]:
    """The files of a folder of classes that can be read, their classes, and their bytes."""
    found = picture_files.survey(folder, now_and_then("read", "pictures"))
    files, true, pixels, unread = [], [], [], list(found.unread)
    for each in (*found.files, *found.held, *found.shown):
        try:
            pixels.append(read(each.path, shape, invert))
        except DataError as error:
            unread.append(picture_files.reason(each.path, error))
            continue
        files.append(str(each.path))
        true.append(found.classes[each.label])
    for line in picture_files.unread_note(unread):
        note(line)
    return files, true, np.stack(pixels)


def exported(run: Path) -> Exported:
    """The network of a run as a file's content: bytes of pictures to the classes' probabilities."""
    model = models.load(run).model
    config = model.config

    def probabilities(x: Tensor) -> Tensor:
        return softmax(model(inputs(config, x)))

    name = runs.read(run, lambda content: Path(content["data"]["source"][0]).stem)
    example = np.zeros((1, *config.stored), np.uint8)
    about = {"data": name, "classes": config.classes}
    return Exported(probabilities, example, "picture", "probabilities", name, about)
