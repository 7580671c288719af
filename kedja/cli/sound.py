"""`kedja train recordings.tar.gz`: recordings into classes, and how unseen speakers fare.

Recordings held out by chance have the speakers of the training; `--leave-out` measures others. Not
here: what all runs have in common (`task.py`), training (`kedja/train/sounds.py`).
Next: `task.py`.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from kedja import models, optim
from kedja.cli import judging, runs, task
from kedja.cli.asked import Asked, chosen
from kedja.cli.export import Exported
from kedja.cli.families import Request
from kedja.cli.output import note, say
from kedja.data import augment_sound, learned, recordings, sound, spectrogram
from kedja.data.recordings import Recordings
from kedja.front.functions import softmax
from kedja.front.tables import aligned
from kedja.front.tensor import Tensor
from kedja.ground.errors import UsageError
from kedja.ground.suggest import listed
from kedja.inspection.groups import Groups, by_group
from kedja.inspection.intervals import bootstrap, wilson
from kedja.inspection.judged import Judged
from kedja.models import spectrogram_cnn
from kedja.models.spectrogram_cnn import Heard
from kedja.train import checkpoint, sounds
from kedja.train.history import History
from kedja.views import figures

Array = np.ndarray[Any, np.dtype[Any]]

EACH = "each"  # --leave-out each: one training for every speaker
SHOWN = 8  # classes in a line
WORSE = 0.01  # a difference that is worth a word
EVERY = 2.0  # seconds between two notes of progress

USUAL: dict[str, Any] = {
    "model": "spectrogram-cnn",
    "width": 16,
    "dropout": 0.3,
    "augment": str(sounds.USUAL),
    "batch": 64,
    "lr": sounds.RATE,
    "weight_decay": sounds.DECAY,
    "seed": 0,
}


def train(request: Request) -> None:
    """Train a classifier on the recordings of DATA, and test it on recordings held out."""
    usual = dict(USUAL)
    if "epochs" not in request.given and request.earlier is None:
        count = recordings.count(_only(request.data))
        usual["epochs"] = sounds.usual_epochs(count, request.given.get("batch", USUAL["batch"]))
    task.run(request, usual, _prepare)


@dataclass
class Trial:
    """What a run trains on and tests on; `unseen` are rows of a speaker who is not trained on.

    With `--leave-out each`, `others` are who was right in each speaker's own training.
    """

    given: Recordings
    train: Array
    test: Array
    unseen: Array | None
    each: bool
    others: dict[str, Array] = field(default_factory=dict)


def _prepare(data: tuple[str, ...], made: task.Options) -> task.Prepared:
    note(f"{data[0]}: its recordings are read")
    given = recordings.load(
        _only(data),
        pattern=made.get("pattern"),
        rate=made.get("rate"),
        seconds=made.get("seconds"),
        progress=_progress(),
    )
    trial = _trial(given, made)
    sizes = {name: made[name] for name in ("width", "dropout")}
    config = spectrogram_cnn.config_for(given.shape, given.classes, **sizes)
    rate = optim.AdamW(made["lr"], weight_decay=made["weight_decay"])
    augment = augment_sound.parse(made["augment"])

    def fit(**options: Any) -> History:
        options |= {"config": config, "augment": augment, "optimizer": rate}
        history = sounds.fit_sound(given, trial.train, trial.test, **options)
        if trial.each:
            _without_each(trial, options)
        return history

    return task.Prepared(
        models.SpectrogramCNN(config),
        None,
        list(_about(trial)),
        fit,
        lambda model: _figures(trial, model, made["seed"]),
        _told,
        "FILE.wav",
    )


def _progress() -> Callable[[str, int, int], None]:
    """A note of how far the reading is, where it takes long."""
    last = [time.monotonic()]

    def told(what: str, done: int, total: int) -> None:
        if time.monotonic() - last[0] > EVERY and done < total:
            last[0] = time.monotonic()
            note(f"read {done:,} of {total:,} recordings")

    return told


def _only(data: Sequence[str]) -> str:
    if len(data) > 1:
        what = f"{len(data)} sets of recordings: {', '.join(data)}"
        raise UsageError(what, fix="give one folder or archive")
    return data[0]


def _trial(given: Recordings, made: task.Options) -> Trial:
    """Which rows are trained on, by `--leave-out`."""
    left, seed = made.get("leave_out"), made["seed"]
    each = left == EACH and EACH not in (given.speakers or ())
    if left is None or each:
        if each:
            sounds.of_speaker(given, sounds.speakers(given)[0])  # there must be two
        train, test = sounds.random_split(given, seed)
        if learned.is_alone():
            train, test = sounds.random_split(given, seed, train)
        return Trial(given, train, test, None, each)
    heard, unseen = sounds.of_speaker(given, left)
    train, test = sounds.random_split(given, seed, heard)
    return Trial(given, train, test, unseen, False)


def _without_each(trial: Trial, options: Mapping[str, Any]) -> None:
    """One more training for each speaker, without that one; each with a checkpoint of its own."""
    names = sounds.speakers(trial.given)
    for place, name in enumerate(names, 1):
        note(f"training without {name}, {place} of {len(names)}")
        folder = Path(options["checkpoint"]) / f"without-{place}"
        again = {"checkpoint": folder, "resume": checkpoint.exists(folder)}
        heard, unseen = sounds.of_speaker(trial.given, name)
        history = sounds.fit_sound(trial.given, heard, **{**options, **again})
        trial.others[name] = sounds.evaluate_sound(history.model, trial.given, unseen)


def _about(trial: Trial) -> Iterator[str]:
    given, shape = trial.given, trial.given.shape
    counts = Counter(given.labels)
    named = listed([f"{name} ({counts[name]:,})" for name in given.classes], SHOWN)
    yield f"sound: {len(given.labels):,} recordings, {len(counts)} classes: {named}"
    if given.speakers is not None:
        people = Counter(given.speakers).most_common()
        named = listed([f"{name} ({count:,})" for name, count in people], SHOWN)
        yield f"{len(people)} speakers: {named}"
    yield from given.notes
    cut = f", {trial.given.cut:,} longer ones cut" if given.cut else ""
    size = f"pictures of {shape.frames} × {shape.bands}"
    yield f"{shape.samples / shape.rate:.2f} s at {shape.rate:,} Hz, as {size}{cut}"


# ------------------------------------------------------------------------------- figures


def _figures(trial: Trial, model: Any, seed: int) -> dict[str, Any]:
    """Shares of right answers with intervals, errors by speaker and class, and the baseline's."""
    given, test = trial.given, trial.test
    right = sounds.evaluate_sound(model, given, test)
    simple = sounds.logistic_regression(given, trial.train, test, seed)
    figures = {
        "train_examples": len(trial.train),
        "test_examples": len(test),
        "test_accuracy": float(right.mean()),
        "test_interval": _interval(right),
        "mean_spectrum_accuracy": float(simple.mean()),
        "by_class": _by(~right, [given.labels[row] for row in test], "class").to_json(),
    }
    if given.speakers is not None:
        names = [given.speakers[row] for row in test]
        figures["by_speaker"] = _by(~right, names, "speaker").to_json()
    return figures | _unseen(trial, model)


def _unseen(trial: Trial, model: Any) -> dict[str, Any]:
    """How speakers fare who were not in the training, where that was measured."""
    found = dict(trial.others)
    if trial.unseen is not None:
        assert trial.given.speakers is not None
        right = sounds.evaluate_sound(model, trial.given, trial.unseen)
        found[trial.given.speakers[trial.unseen[0]]] = right
    if not found:
        return {}
    names = [name for name, right in found.items() for _ in right]
    right = np.concatenate(list(found.values()))
    means = [float(each.mean()) for each in found.values()]
    return {
        "unseen_accuracy": float(np.mean(means)),
        "unseen_interval": _interval_of_speakers(right, means),
        "unseen_mean_spectrum_accuracy": float(np.mean([_simple(trial, each) for each in found])),
        "unseen": _by(~right, names, "unseen speaker").to_json(),
    }


def _simple(trial: Trial, name: str) -> float:
    """The baseline's accuracy on a speaker whom it was not trained on."""
    others, theirs = sounds.of_speaker(trial.given, name)
    train = others if trial.each else trial.train
    return float(sounds.logistic_regression(trial.given, train, theirs).mean())


def _interval_of_speakers(right: Array, means: Sequence[float]) -> list[float]:
    """Of the mean over speakers: the wider of the intervals over recordings and over
    speakers, since recordings of one speaker are alike, and speakers are few.
    """
    one = wilson(int(right.sum()), len(right))
    if len(means) == 1:
        return list(one)
    other = bootstrap(means)
    return [min(one.low, other.low), max(one.high, other.high)]


def _interval(right: Array) -> list[float]:
    return list(wilson(int(right.sum()), len(right)))


def _by(wrong: Array, names: Sequence[str], by: str) -> Groups:
    return by_group(wrong, names, by=by)


def _told(results: Mapping[str, Any]) -> list[str]:
    share = _share(results["test_accuracy"], results["test_interval"])
    lines = [
        f"test accuracy {share} on {results['test_examples']:,} recordings held out by chance",
        f"beside it: mean spectra by logistic regression {results['mean_spectrum_accuracy']:.1%}",
    ]
    if "by_speaker" in results:
        lines += ["", *Groups.from_json(results["by_speaker"]).lines(), ""]
    if "unseen" in results:
        return [*lines, *_told_unseen(results)]
    if "by_speaker" in results and len(results["by_speaker"]["groups"]) > 1:
        lines.append("these speakers are in the training, too; for others: --leave-out each")
    return lines


def _told_unseen(results: Mapping[str, Any]) -> Iterator[str]:
    share = _share(results["unseen_accuracy"], results["unseen_interval"])
    yield f"accuracy {share} on speakers who were not in the training"
    yield f"beside it: mean spectra {results['unseen_mean_spectrum_accuracy']:.1%}"
    yield from ("", *Groups.from_json(results["unseen"]).lines(), "")
    less = results["test_accuracy"] - results["unseen_accuracy"]
    if less > WORSE:
        yield (
            f"a new speaker fares {100 * less:.1f} points worse than the test by chance says: "
            "there, the network knows the voices"
        )


def _share(value: float, interval: Sequence[float]) -> str:
    low, high = interval
    return f"{value:.1%} ({low:.1%} to {high:.1%})"


# ------------------------------------------------------------------------------- judging


def judged(run: Path, data: str | None) -> Judged:
    """Whether each recording of `data`, or of those not trained on, is heard right."""
    model, own = models.load(run).model, runs.sources_of(run)[0]
    made = runs.recipe_of(run)
    note(f"{data or own}: its recordings are read")
    given = recordings.load(data or own, pattern=made.get("pattern"), shape=model.config.shape)
    rows = np.arange(len(given.labels))
    if data is None:
        trial = _trial(given, made)
        judging.require_same(run, own, len(trial.test))
        unheard = [trial.test] if trial.unseen is None else [trial.test, trial.unseen]
        rows = np.concatenate(unheard)
    said = [each.label for each in spectrogram_cnn.heard(model, given.inputs[rows])]
    people = given.speakers
    columns = {} if people is None else {"speaker": [people[row] for row in rows]}
    true, files = ([of[row] for row in rows] for of in (given.labels, given.names))
    return judging.by_names(data or own, true, said, columns, files)


# ------------------------------------------------------------------------- as an ONNX file


def exported(run: Path) -> Exported:
    """The network of a run as a file's content: spectrograms to the classes' probabilities."""
    model = models.load(run).model
    shape = model.config.shape

    def probabilities(x: Tensor) -> Tensor:
        return softmax(model(x))

    name = runs.read(run, lambda content: Path(content["data"]["source"][0]).stem)
    example = np.zeros((1, shape.frames, shape.bands), np.float32)
    about = {"data": name, "classes": model.config.classes, "log_mel": asdict(shape)}
    return Exported(probabilities, example, "spectrogram", "probabilities", name, about)


# ------------------------------------------------------------------------------- asking


def predict(asked: Asked) -> None:
    """Print the class of each file of sound; `--plot` draws the picture that the network sees."""
    if asked.given or asked.explain:
        what = f"--text or --explain, but {asked.run} was trained on sound"
        raise UsageError(what, fix="give FILES alone, or --plot FILE")
    if not asked.files:
        raise UsageError("there is nothing to predict", fix=f"give {sound.KINDS} files")
    if asked.plot is not None:
        figures.require(asked.plot)
    model = asked.model
    read = asked.each(asked.below(_inside), partial(spectrogram_cnn.picture_of, model.config.shape))
    files = [str(file) for file, _ in read]
    found = spectrogram_cnn.heard(model, np.stack([picture for _, picture in read]))
    if asked.plot is not None:
        _draw(model, files[0], asked.plot)
    if asked.json:
        asked.tell([_json(*each) for each in zip(files, found, strict=True)])
        return
    say(aligned([[file, chosen(answer)] for file, answer in zip(files, found, strict=True)]))


def _inside(folder: Path) -> Iterator[Path]:
    return (each for each in sorted(folder.rglob("*")) if sound.is_named_so(each.name))


def _json(file: str, answer: Heard) -> dict[str, Any]:
    share = answer.probabilities[answer.label]
    return {"file": file, "class": answer.label, "probability": share, **answer._asdict()}


def _draw(model: Any, file: str, to: Path) -> None:
    """The first file's picture, into a file."""
    shape = model.config.shape
    wave, _ = sound.read(file, shape.rate, min(sound.LONGEST, shape.samples / shape.rate + 1))
    figures.save(spectrogram.plot(shape(wave), shape).figure, to)
    note(f"drawn: {to}")
