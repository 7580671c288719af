"""Spoken digits: a conv net on spectrograms, on a random split and with each speaker left out.

It takes some ten minutes on two cores: seven trainings. Not here: the training and the baselines
(`kedja/train/sounds.py`). Next: `results.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from benchmarks.systems.results import Chosen, Result
from kedja.data import recordings, spectrogram
from kedja.data.recordings import Recordings
from kedja.inspection import bootstrap, wilson
from kedja.train import sounds

TITLE = "Sound: spoken digits, six speakers"
FILE = "audio/spoken_digits.tar.gz"
GOAL, SEED = 0.97, 0
PICTURE, WORD = "spoken_digit.png", "7"
QUICK = 10  # every so many-th recording is taken
Array = np.ndarray[Any, np.dtype[Any]]


def run(chosen: Chosen) -> Iterator[Result]:
    """The random split, each speaker, and the difference of the two."""
    given = _recordings(chosen)
    if chosen.pictures is not None:
        draw(given, chosen.pictures / PICTURE)
    right = yield from _by_chance(given, chosen)
    people = sounds.speakers(given)
    unseen = []
    for name in people:
        found = _right(given, *sounds.of_speaker(given, name), chosen)
        unseen.append(float(found["kedja"].mean()))
        yield Result(f"accuracy, {name} left out", _share(found["kedja"]), baseline=_beside(found))
    yield _mean_of(unseen, len(people), float(right.mean()))


def _recordings(chosen: Chosen) -> Recordings:
    if chosen.data is None:
        raise SystemExit("spoken_digits needs --data FOLDER, which holds audio/")
    given = recordings.load(chosen.data / FILE)
    return _few(given) if chosen.quick else given


def _few(given: Recordings) -> Recordings:
    """A tenth of the recordings."""
    rows = range(0, len(given.labels), QUICK)
    names, labels = (tuple(each[row] for row in rows) for each in (given.names, given.labels))
    speakers = tuple((given.speakers or ())[row] for row in rows)
    inputs = given.inputs[list(rows)]
    return replace(given, names=names, labels=labels, speakers=speakers, inputs=inputs)


def draw(given: Recordings, file: Path) -> None:
    """The first recording of one word by the first and by the last speaker, side by side."""
    figure = Figure(figsize=(9, 3), layout="constrained")
    FigureCanvasAgg(figure)
    people = sounds.speakers(given)
    for ax, name in zip(figure.subplots(1, 2, sharey=True), (people[0], people[-1]), strict=True):
        _, mine = sounds.of_speaker(given, name)
        row = next(each for each in mine if given.labels[each] == WORD)
        spectrogram.plot(given.inputs[row], given.shape, ax).set_title(f"{WORD}, {name}")
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=80)


def _by_chance(given: Recordings, chosen: Chosen) -> Any:
    train, test = sounds.random_split(given, SEED)
    found = _right(given, train, test, chosen)
    met = None if chosen.quick else bool(found["kedja"].mean() >= GOAL)
    yield Result(
        "accuracy, a fifth held out by chance",
        _share(found["kedja"]),
        f"{GOAL:.0%}",
        met,
        _beside(found),
        f"{len(train):,} recordings to train on, {len(test):,} held out",
    )
    return found["kedja"]


def _right(given: Recordings, train: Array, test: Array, chosen: Chosen) -> dict[str, Array]:
    """Who is right about which recording of the test."""
    history = sounds.fit_sound(
        given,
        train,
        seed=SEED,
        epochs=1 if chosen.quick else None,
        threads=chosen.threads,
        progress=False,
    )
    return {
        "kedja": sounds.evaluate_sound(history.model, given, test),
        "logistic regression": sounds.logistic_regression(given, train, test, SEED),
        "5 nearest neighbours": sounds.nearest_neighbours(given, train, test),
    }


def _share(right: Array) -> str:
    low, high = wilson(int(right.sum()), len(right))
    return f"{right.mean():.1%} ({low:.1%} to {high:.1%})"


def _beside(found: dict[str, Array]) -> str:
    others = (f"{name} {right.mean():.1%}" for name, right in found.items() if name != "kedja")
    return f"on mean spectra: {', '.join(others)}"


def _mean_of(unseen: list[float], people: int, by_chance: float) -> Result:
    """The mean over speakers: its interval is that of other speakers, not of other recordings."""
    mean, (low, high) = float(np.mean(unseen)), bootstrap(unseen)
    return Result(
        f"mean of the {people} speakers left out",
        f"{mean:.1%} ({low:.1%} to {high:.1%}, bootstrap over speakers)",
        baseline=f"{by_chance:.1%} by chance",
        note=f"a random split promises {100 * (by_chance - mean):.1f} points more than a new "
        "speaker gets",
    )
