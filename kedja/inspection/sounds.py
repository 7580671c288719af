"""Recordings to be looked at: each as a small spectrogram, and what cannot be read.

Not here: how they are found and what their names say (`kedja/data/recordings.py`), how a file is
decoded (`kedja/data/sound.py`). Next: `features.py`.

Recordings are equal where all their samples are, and compared as spectrograms of `SIDE` bands and
`SIDE` stretches of time, however long they are. Classes and speakers are what the names say; where
they say nothing, that is told, and the recordings have no labels.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from kedja.data import recordings, sound
from kedja.data.resample import resample
from kedja.data.spectrogram import log_mel
from kedja.ground.errors import DataError
from kedja.inspection import cells
from kedja.inspection.finding import Finding
from kedja.inspection.pictures import Progress, cannot_be_read
from kedja.inspection.subject import SIDE, Array, Column, Labels, Subject

RATE = 8000  # at which they are compared


class _Heard(NamedTuple):
    """A recording in small, the digest of its samples, its seconds and samples a second."""

    picture: Array
    digest: bytes
    seconds: float
    rate: int


def from_recordings(where: str, progress: Progress | None = None) -> Subject:
    """The recordings of a folder or an archive.

    Raises MissingExtra without soundfile, DataError where none can be read.
    """
    total = recordings.count(where)
    heard: dict[str, _Heard] = {}
    broken: dict[str, str] = {}
    for place, (name, size, file) in enumerate(recordings.files_in(where), 1):
        try:
            heard[name] = _heard(file, size, name)
        except DataError as error:
            broken[name] = error.what
        if progress is not None:
            progress(place, total)
    if not heard:
        raise DataError("none of the recordings can be read", where=where, fix="check the files")
    found = [cannot_be_read("sound", broken)] if broken else []
    labels, speakers, unsaid = _said(list(heard), where)
    rates = Counter(each.rate for each in heard.values())
    several = [_rates(rates)] if len(rates) > 1 else []
    return Subject(
        where.rstrip("/").rpartition("/")[2],
        "recordings",
        list(heard),
        [each.digest for each in heard.values()],
        labels,
        _columns(heard, speakers),
        pixels=np.stack([each.picture for each in heard.values()]),
        found=(*found, *unsaid, *several),
        facts={"samples a second": ", ".join(f"{each:,}" for each in sorted(rates))},
    )


def _heard(file: Any, size: int, name: str) -> _Heard:
    wave, rate = sound.decode(file, size, name)
    digest = hashlib.blake2b(np.ascontiguousarray(wave, np.float32).tobytes(), digest_size=16)
    seconds = len(wave) / rate
    whole = wave if rate == RATE else resample(wave, rate, RATE)
    picture = log_mel(RATE, seconds, SIDE)(whole)  # (F, SIDE)
    return _Heard(_shortened(picture), digest.digest(), seconds, rate)


def _shortened(picture: Array) -> Array:
    """A spectrogram (F, M) as its means over `SIDE` stretches of time, float32 (SIDE, M)."""
    starts = np.arange(SIDE) * len(picture) // SIDE
    ends = np.maximum(np.r_[starts[1:], len(picture)], starts + 1)
    means = [picture[start:end].mean(0) for start, end in zip(starts, ends, strict=True)]
    return np.stack(means)


def _said(
    names: Sequence[str], where: str
) -> tuple[Labels | None, list[str] | None, list[Finding]]:
    """Classes and speakers by the names, and what is to be told of them."""
    try:
        said = recordings.said_by(names, None, where)
    except DataError as error:
        what = f"the names do not tell the classes: {error.what}"
        return None, None, [Finding("reading", "notice", what, error.fix or "name them so")]
    speakers = [each.speaker or "" for each in said]
    labels = cells.classes("class", [each.label for each in said])
    return labels, speakers if all(speakers) else None, []


def _columns(heard: dict[str, _Heard], speakers: list[str] | None) -> tuple[Column, ...]:
    lengths = [f"{each.seconds:.3f}" for each in heard.values()]
    columns = [cells.column("seconds", lengths)]
    if speakers is not None:
        none = np.zeros(len(speakers), bool)
        columns.append(Column("speaker", "category", speakers, none))
    return tuple(columns)


def _rates(rates: Counter[int]) -> Finding:
    usual, count = rates.most_common(1)[0]
    what = f"{sum(rates.values()) - count:,} recordings do not have {usual:,} samples a second"
    fix = "nothing, if chance decided which; a network may know a class by how it was recorded"
    return Finding("reading", "notice", what, fix, figures={"rates": dict(rates)})
