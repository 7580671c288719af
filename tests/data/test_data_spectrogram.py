"""Spectrograms against the plain definition of the transform, Parseval's theorem and known tones.

Not here: reading sound (`test_data_sound.py`).
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kedja.data.spectrogram import LogMel, hann, hertz, log_mel, mel, mel_filters, plot, power, stft
from kedja.ground.errors import ShapeError, UsageError

RATE = 8000


def tone(frequency, seconds=1.0):
    return np.sin(2 * np.pi * frequency * np.arange(round(seconds * RATE)) / RATE)


@given(st.integers(1, 40), st.integers(2, 16), st.integers(1, 9))
def test_the_transform_is_the_plain_definition(length, window, hop):
    wave = np.random.default_rng(length).normal(size=length)
    filled = np.pad(wave, (0, max(0, window - length)))
    frames = 1 + (len(filled) - window) // hop
    n, k = np.arange(window), np.arange(window // 2 + 1)
    turn = np.exp(-2j * np.pi * np.outer(k, n) / window)  # (K, W)
    plain = [turn @ (hann(window) * filled[f * hop : f * hop + window]) for f in range(frames)]
    assert stft(wave, window, hop) == pytest.approx(np.array(plain), abs=1e-9)


def test_the_power_of_all_frequencies_is_that_of_the_samples():
    """Parseval: Σ|X|² over all W frequencies is W·Σ|w x|²; those above the middle are mirrored."""
    wave, window = np.random.default_rng(3).normal(size=1000), 64
    found = power(wave, window, hop=64)
    mirrored = found[:, 1:-1].sum(1)
    frames = wave[: 15 * 64].reshape(15, 64) * hann(window)
    assert found.sum(1) + mirrored == pytest.approx(window * np.square(frames).sum(1))


def test_a_tone_is_loudest_at_its_frequency():
    found = power(tone(1000), window=256, hop=128)
    assert set(found.argmax(1)) == {1000 * 256 // RATE}


def test_the_mel_scale_is_htks():
    """Values of the table in Stevens' and Volkmann's way: 1,000 Hz is 1,000 mel."""
    assert mel(1000.0) == pytest.approx(1000, abs=0.05)
    assert mel(700.0) == pytest.approx(2595 * np.log10(2))
    assert hertz(mel(np.array([0.0, 440, 4000]))) == pytest.approx([0, 440, 4000])


def test_filters_are_triangles_that_meet():
    filters = mel_filters(12, RATE, 512)
    assert filters.shape == (12, 257)
    assert (filters >= 0).all()
    assert (filters <= 1).all()
    corners = hertz(np.linspace(0, mel(RATE / 2), 14))
    between = (np.arange(257) * RATE / 512 > corners[1]) & (
        np.arange(257) < corners[-2] / RATE * 512
    )
    assert filters.sum(0)[between] == pytest.approx(1)  # one falls as the next one rises
    with pytest.raises(UsageError, match="lies between the frequencies"):
        mel_filters(100, RATE, 64)


@pytest.mark.parametrize("frequency", [200, 500, 1000, 3000])
def test_a_tone_is_loudest_in_its_band(frequency):
    shape = log_mel(RATE, 1.0, bands=20)
    centres = hertz(np.linspace(0, mel(RATE / 2), 22))[1:-1]
    picture = shape(tone(frequency))
    assert set(picture[:-1].argmax(1)) == {int(abs(mel(centres) - mel(frequency)).argmin())}
    assert picture.max() == 1


def test_loudness_as_a_whole_changes_nothing():
    shape, wave = log_mel(RATE, 0.5), np.random.default_rng(0).normal(size=3000)
    assert shape(wave) == pytest.approx(shape(0.01 * wave), abs=1e-6)


def test_a_sound_80_decibels_quieter_is_silence_and_20_are_a_quarter():
    shape = LogMel(RATE, 256, 256, 20, 2)
    loud = tone(1000, 256 / RATE)
    both = np.concatenate([loud, 0.1 * loud])
    assert shape(both).max(1) == pytest.approx([1, 0.75], abs=1e-6)
    both = np.concatenate([loud, 1e-5 * loud])
    assert shape(both).max(1).tolist() == [1, 0]


def test_short_waves_are_filled_up_long_ones_cut_silence_is_nothing():
    shape = log_mel(RATE, 0.5)
    assert shape.samples >= RATE // 2
    short = shape(tone(500, 0.1))
    assert short.shape == (shape.frames, 40)
    assert not short[-5:].any()
    assert np.array_equal(shape(tone(500, 3.0)), shape(tone(500, 3.0)[: shape.samples]))
    assert not shape(np.zeros(100)).any()


def test_what_makes_no_sense_is_told():
    with pytest.raises(ShapeError, match="one channel"):
        stft(np.zeros((2, 100)), 16, 8)
    with pytest.raises(UsageError, match="hop 0"):
        stft(np.zeros(100), 16, 0)


def test_a_picture_is_drawn(tmp_path):
    pytest.importorskip("matplotlib")
    shape = log_mel(RATE, 0.5)
    ax = plot(shape(tone(500, 0.5)), shape)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("seconds", "hertz")
    assert plot(shape(tone(900, 0.5)), shape, ax) is ax
    ax.figure.savefig(tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 1000
