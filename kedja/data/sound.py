"""Files of sound as waves: WAV, FLAC, OGG, MP3, AIFF; one channel, at the rate that is asked for.

Not here: which files belong to a set, and what they are called (`recordings.py`), the method of
changing rates (`resample.py`). Next: `recordings.py`.
Needs the `soundfile` library, an extra. No file can claim much memory: it is decoded in blocks, up
to the seconds that are asked for, whatever its header says.
"""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from kedja.data.resample import resample
from kedja.ground.errors import DataError, MissingExtra, UsageError

Array = np.ndarray[Any, np.dtype[Any]]

SUFFIXES = (".wav", ".flac", ".ogg", ".mp3", ".aiff", ".aif")
KINDS = "WAV, FLAC, OGG, MP3 or AIFF"
LONGEST = 60.0  # seconds that are read of a file, unless fewer are asked for
RATES = (1_000, 768_000)  # samples a second that are believed
BLOCK = 65_536  # samples, of all channels together, that are decoded at once
UNKNOWN = (0, 0x7FFFFFFF, 0xFFFFFFFF)  # lengths in headers of sound that was written as a stream
UNCOUNTED = 2**60  # and what libsndfile then says


class Header(NamedTuple):
    """What a file says of itself: samples a second, channels, and how long it is, in seconds."""

    rate: int
    channels: int
    seconds: float


def is_named_so(path: str) -> bool:
    """Whether a file's name says that it holds sound; hidden files (`._a.wav`) do not."""
    name = os.path.basename(path)
    return name.lower().endswith(SUFFIXES) and not name.startswith(".")


def read(
    path: str | os.PathLike[str], rate: int | None = None, seconds: float = LONGEST
) -> tuple[Array, int]:
    """The first seconds of a file: its wave, float32 (L,) between −1 and 1, and its rate.

    Several channels become their mean; `rate` is that to which the wave is brought (None: its own).
    Raises DataError for files that are missing, no sound, empty, truncated, of an unbelievable
    rate or with samples that are no numbers; UsageError for a rate or a length that makes no sense;
    MissingExtra without soundfile.
    """
    where = os.fspath(path)
    with opened(where) as file:
        return decode(file, os.fstat(file.fileno()).st_size, where, rate, seconds)


def header(path: str | os.PathLike[str]) -> Header:
    """What a file says of itself, nothing being decoded. Raises as `read` does."""
    where = os.fspath(path)
    with opened(where) as file:
        return header_of(file, where)


def header_of(file: BinaryIO, where: str) -> Header:
    """The same, of an open file."""
    with _sound(file, where) as sound:
        counted = sound.frames if 0 <= sound.frames < UNCOUNTED else 0
        return Header(sound.samplerate, sound.channels, counted / sound.samplerate)


def decode(
    file: BinaryIO, size: int, where: str, rate: int | None = None, seconds: float = LONGEST
) -> tuple[Array, int]:
    """As `read`, of an open file of `size` bytes, of which the first are there."""
    _require(rate, seconds)
    _require_whole(file, size, where)
    with _sound(file, where) as sound:
        own = int(sound.samplerate)
        most = round(seconds * own)
        wave = _mono(sound, most, where)
        whole = min(most, sound.frames) if sound.frames < UNCOUNTED else 0
    if len(wave) < whole:
        raise _truncated(where, f"it holds {len(wave):,} of {whole:,} samples")
    if not len(wave):
        raise DataError("there is no sound in the file", where=where, fix="leave it out")
    if not np.isfinite(wave).all():
        what = "some of its samples are no numbers (NaN or infinite)"
        raise DataError(what, where=where, fix="write it again, or leave it out")
    return (wave, own) if rate is None else (resample(wave, own, rate), rate)


def _mono(sound: Any, most: int, where: str) -> Array:
    """The mean of the channels, decoded in blocks, of at most so many samples each."""
    parts: list[Array] = []
    left, block = most, max(1, BLOCK // sound.channels)
    while left > 0:
        with _told(where):
            part = sound.read(min(left, block), dtype="float32", always_2d=True)  # (n, channels)
        if not len(part):
            break
        parts.append(part.mean(1))
        left -= len(part)
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


# --------------------------------------------------------------------------------- the checks


@contextmanager
def opened(where: str) -> Iterator[BinaryIO]:
    """An ordinary file, open for reading; DataError where there is none."""
    if os.path.exists(where) and not os.path.isfile(where):
        raise DataError("this is no file", where=where, fix="give a file of sound")
    try:
        file = open(where, "rb")  # noqa: SIM115  # closed below, after other errors than OSError
    except OSError as error:
        raise DataError(f"cannot read: {error.strerror or error}", where=where) from error
    with file:
        yield file


@contextmanager
def _sound(file: BinaryIO, where: str) -> Iterator[Any]:
    """The file as soundfile has it, of a believable rate."""
    library = _library()
    with _told(where):
        sound = library.SoundFile(file)
    with sound:
        low, high = RATES
        if not low <= sound.samplerate <= high:
            what = f"{sound.samplerate:,} samples a second"
            fix = f"sound has {low:,} to {high:,}: the header is wrong"
            raise DataError(what, where=where, fix=fix)
        yield sound


@contextmanager
def _told(where: str) -> Iterator[None]:
    """What libsndfile says about a damaged file, as an error of ours."""
    try:
        yield
    except (RuntimeError, TypeError, ValueError, OSError) as error:
        reason = getattr(error, "error_string", str(error)).rstrip(".")
        what = f"this is no sound that can be read: {reason}"
        raise DataError(what, where=where, fix=f"give {KINDS} files") from error


def _library() -> Any:
    try:
        import soundfile  # an extra
    except ImportError:
        raise MissingExtra("soundfile", "audio", "reading sound") from None
    return soundfile


def _require(rate: int | None, seconds: float) -> None:
    if rate is not None and not RATES[0] <= rate <= RATES[1]:
        raise UsageError(f"rate {rate}", fix=f"samples a second, {RATES[0]:,} to {RATES[1]:,}")
    if not 0 < seconds <= LONGEST:
        raise UsageError(f"{seconds:g} seconds", fix=f"above 0, at most {LONGEST:g}")


def _require_whole(file: BinaryIO, size: int, where: str) -> None:
    """DataError where a WAV file says that it is longer than it is.

    libsndfile would take what is there. Where the header has no length, since the file was written
    as a stream, what is there is all that can be known.
    """
    head = file.read(8)
    file.seek(0, io.SEEK_SET)
    if len(head) < 8 or head[:4] != b"RIFF":
        return
    said = struct.unpack("<I", head[4:])[0]
    if said not in UNKNOWN and said + 8 > size + 1:  # a last byte of padding may be missing
        raise _truncated(where, f"it has {size:,} bytes, its header says {said + 8:,}")


def _truncated(where: str, how: str) -> DataError:
    return DataError(f"the file is truncated: {how}", where=where, fix="copy it again")
