"""Files of sound: waves as they were written, one channel, at any rate; and each bad file.

Not here: sets of recordings (`test_data_recordings.py`).
"""

from __future__ import annotations

import io
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kedja.data import sound
from kedja.data.resample import resample
from kedja.ground.errors import DataError, UsageError

soundfile = pytest.importorskip("soundfile")

RATE = 8000


def tone(hertz: float, seconds: float = 0.5, rate: int = RATE):
    return np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)


@pytest.mark.parametrize(("ending", "kind"), [("wav", "PCM_16"), ("wav", "FLOAT"), ("flac", None)])
def test_a_wave_comes_back_as_it_was_written(tmp_path, ending, kind):
    file, wave = tmp_path / f"a.{ending}", 0.5 * tone(440)
    soundfile.write(file, wave, RATE, subtype=kind)
    found, rate = sound.read(file)
    assert rate == RATE
    assert found.dtype == np.float32
    assert abs(found - wave).max() < 1e-4
    assert sound.header(file) == (RATE, 1, 0.5)


@pytest.mark.parametrize("ending", ["aiff", "ogg", "mp3"])
def test_other_kinds_are_read_too(tmp_path, ending):
    file, wave = tmp_path / f"a.{ending}", 0.5 * tone(440, rate=16_000)
    if ending.upper() not in soundfile.available_formats():
        pytest.skip(f"this libsndfile knows no {ending}")
    soundfile.write(file, wave, 16_000)
    found, rate = sound.read(file)
    assert sound.is_named_so(str(file))
    assert rate == 16_000
    power = np.abs(np.fft.rfft(found)) ** 2
    assert abs(np.argmax(power) * rate / len(found) - 440) < 4  # hertz
    assert abs(len(found) - len(wave)) < 3000  # MP3 fills up its frames


def test_channels_become_their_mean(tmp_path):
    file, left, right = tmp_path / "a.wav", 0.5 * tone(440), 0.25 * tone(1000)
    soundfile.write(file, np.stack([left, right], 1), RATE, subtype="FLOAT")
    assert abs(sound.read(file)[0] - (left + right) / 2).max() < 1e-6


def test_only_the_seconds_that_are_asked_for_are_read(tmp_path):
    file = tmp_path / "long.wav"
    soundfile.write(file, np.zeros(RATE * 300, np.int16), RATE)
    tracemalloc.start()
    found, _ = sound.read(file, seconds=1)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(found) == RATE
    assert peak < 2e6


def test_a_thousand_channels_claim_no_more_memory(tmp_path):
    file = tmp_path / "wide.wav"
    soundfile.write(file, np.zeros((400, 1000), np.int16), RATE)
    assert sound.read(file)[0].shape == (400,)


# ------------------------------------------------------------------------------ bad files


def bad(tmp_path, content: bytes, message: str) -> None:
    file = tmp_path / "bad.wav"
    file.write_bytes(content)
    with pytest.raises(DataError, match=message) as found:
        sound.read(file)
    assert "bad.wav" in str(found.value)
    assert found.value.fix


def written(wave, rate: int = RATE, **options) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, wave, rate, format="WAV", **options)
    return file.getvalue()


def test_each_bad_file_has_its_message(tmp_path):
    whole = written(tone(440))
    bad(tmp_path, b"", "no sound that can be read")
    bad(tmp_path, b"hello, this is a text" * 20, "no sound that can be read")
    bad(tmp_path, whole[: len(whole) // 2], "truncated: it has")
    bad(tmp_path, whole[:20], "truncated")
    bad(tmp_path, written(np.zeros(0)), "no sound in the file")
    bad(tmp_path, written(np.full(100, np.nan), subtype="FLOAT"), "no numbers")
    bad(tmp_path, written(tone(440), rate=7), "7 samples a second")


def test_a_rate_beyond_belief_is_told(tmp_path):
    content = bytearray(written(tone(440)))
    content[24:28] = struct.pack("<I", 2_000_000_000)
    bad(tmp_path, bytes(content), "2,000,000,000 samples a second")


def test_a_truncated_flac_is_told(tmp_path):
    file = tmp_path / "a.flac"
    noise = np.random.default_rng(0).uniform(-1, 1, RATE)
    soundfile.write(file, noise, RATE)
    file.write_bytes(file.read_bytes()[:6000])
    with pytest.raises(DataError):
        sound.read(file)


def test_a_stream_without_a_length_is_read_to_its_end(tmp_path):
    content = bytearray(written(tone(440)))
    content[4:8] = content[40:44] = b"\xff\xff\xff\xff"
    file = tmp_path / "a.wav"
    file.write_bytes(bytes(content))
    assert len(sound.read(file)[0]) == RATE // 2


@given(st.integers(0, 60), st.binary(min_size=1, max_size=8))
def test_damaged_headers_are_errors_of_ours_or_read(place, damage):
    """Whatever stands in the header: no other error, and no more sound than the file can hold."""
    content = bytearray(written(tone(440, 0.05)))
    content[place : place + len(damage)] = damage
    try:
        found, rate = sound.decode(io.BytesIO(bytes(content)), len(content), "damaged")
    except DataError:
        return
    assert len(found) <= 8 * len(content)
    assert sound.RATES[0] <= rate <= sound.RATES[1]


def test_what_is_no_file_is_told(tmp_path):
    with pytest.raises(DataError, match="No such file"):
        sound.read(tmp_path / "none.wav")
    with pytest.raises(DataError, match="this is no file"):
        sound.read(tmp_path)
    soundfile.write(tmp_path / "a.wav", tone(440), RATE)
    with pytest.raises(UsageError, match="rate 10"):
        sound.read(tmp_path / "a.wav", 10)
    with pytest.raises(UsageError, match="0 seconds"):
        sound.read(tmp_path / "a.wav", seconds=0)


# ------------------------------------------------------------------------------ other rates


@pytest.mark.parametrize(
    ("rate", "to"), [(44_100, 8000), (8000, 16_000), (48_000, 8000), (11_025, 8000), (16_001, 8000)]
)
def test_a_tone_is_the_same_tone_at_another_rate(rate, to):
    found = resample(tone(1000, 0.25, rate), rate, to)
    assert len(found) == -(-len(tone(1000, 0.25, rate)) * to // rate)
    inner = slice(to // 50, -to // 50)
    assert abs(found - tone(1000, 1, to)[: len(found)])[inner].max() < 2e-4


def test_what_the_new_rate_cannot_hold_is_cut_off():
    found = resample(tone(6000, 0.25, 44_100), 44_100, 8000)
    assert abs(found[200:-200]).max() < 2e-3


@given(st.integers(1, 300), st.sampled_from([(2, 1), (1, 3), (441, 80), (4001, 4000)]))
def test_a_constant_stays_what_it_is_and_sums_are_kept(length, rates):
    rate, to = rates
    one, other = np.random.default_rng(length).normal(size=(2, length))
    both = resample(one, rate, to) + resample(other, rate, to)
    assert resample(one + other, rate, to) == pytest.approx(both, abs=1e-9)
    long = resample(np.ones(4000), rate, to)
    middle = len(long) // 2
    assert long[middle] == pytest.approx(1, abs=1e-12)


def test_rates_that_are_none_are_told():
    with pytest.raises(UsageError, match="from 8000 to 0"):
        resample(np.ones(4), 8000, 0)
