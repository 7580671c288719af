"""Augmentation of sound: what each change does; the key alone decides, inference changes none."""

from __future__ import annotations

import numpy as np
import pytest

import kedja as kj
from kedja import nn
from kedja.data.augment_sound import (
    SHIFT,
    STRETCH,
    WARP,
    AugmentSound,
    masked,
    parse,
    warped_places,
)
from kedja.data.spectrogram import hertz, log_mel, mel
from kedja.ground.errors import UsageError
from tests.fixtures import TIERS

RATE = 8000
SOUND = np.random.default_rng(0).uniform(0.1, 1, (6, 12, 8)).astype(np.float32)
ALL = AugmentSound(0.2, 0.2, 0.15, 20, 40, 0.3, 0.3)


def changed(augment, x, seed=0):
    def of(x, key):
        with nn.training(key):
            return augment(x, RATE)

    return kj.jit(of)(kj.tensor(x), kj.random.key(seed)).numpy()


def drawn(count, seed=0):
    """The uniform numbers that so many recordings draw by the same key."""
    with nn.training(kj.random.key(seed)):
        return kj.random.uniform(nn.next_key(), (9, count)).numpy()


@pytest.mark.parametrize("tier", TIERS)
def test_training_alone_changes_and_the_key_decides(tier):
    with kj.scope(tier=tier):
        x = kj.tensor(SOUND)
        np.testing.assert_array_equal(ALL(x, RATE).numpy(), SOUND)
        np.testing.assert_array_equal(changed(AugmentSound(), SOUND), SOUND)
        one = changed(ALL, SOUND)
        np.testing.assert_array_equal(changed(ALL, SOUND), one)
        assert np.abs(changed(ALL, SOUND, seed=1) - one).max() > 0.1
        assert one.shape == SOUND.shape
        assert 0 <= one.min() <= one.max() <= 1


def test_moving_in_time_keeps_what_stays_inside():
    x = np.arange(1, 13, dtype=np.float32).reshape(1, 12, 1).repeat(64, 0)
    moves = set()
    for row in changed(AugmentSound(shift=0.25), x)[:, :, 0]:
        by = int(np.flatnonzero(row)[0]) if row[0] == 0 else 1 - int(row[0])
        moves.add(by)
        expected = [place - by + 1 if 0 <= place - by < 12 else 0 for place in range(12)]
        assert np.array_equal(row, expected)
    assert moves == set(range(-3, 4))


def test_what_is_stretched_is_said_more_slowly():
    augment, t = AugmentSound(shift=0.1, stretch=0.4), np.arange(12)
    u = drawn(6)
    for before, after, shift, slow in zip(
        SOUND, changed(augment, SOUND), u[SHIFT], u[STRETCH], strict=True
    ):
        place = (t - np.round((2 * shift - 1) * 1.2)) / (1 + 0.4 * (2 * slow - 1))
        padded = np.concatenate([np.zeros((1, 8)), before, np.zeros((1, 8))])
        wanted = [np.interp(place, np.arange(-1, 13), band, 0, 0) for band in padded.T]
        np.testing.assert_allclose(after.T, wanted, atol=1e-5)


def test_a_shorter_throat_moves_each_band_to_where_its_frequency_stood():
    bands = 40
    places = warped_places(kj.tensor([1.0, 0.85, 1.15]), bands, RATE).numpy()
    np.testing.assert_allclose(places[0], np.arange(bands), atol=2e-3)
    assert (np.diff(places, axis=1) > 0).all()
    assert (places[1] < places[0] + 2e-3).all()
    assert (places[2] > places[0] - 2e-3).all()
    low = hertz(np.linspace(0, float(mel(RATE / 2)), bands + 2))[1:-1] < 1500
    found = hertz((places + 1) / (bands + 1) * float(mel(RATE / 2)))
    np.testing.assert_allclose(found[2][low] / found[0][low], 1.15, rtol=1e-3)
    np.testing.assert_allclose(found[1][low][2:] / found[0][low][2:], 0.85, rtol=1e-3)


def test_a_warped_tone_is_the_spectrogram_of_another_tone():
    shape, t = log_mel(RATE, 0.3), np.arange(2400) / RATE

    def of(frequency):
        return shape(np.sin(2 * np.pi * frequency * t) * 0.5)

    x, factor = of(1000.0), 0.1 * (2 * drawn(1)[WARP][0] - 1)
    [found] = changed(AugmentSound(warp=0.1), x[None].astype(np.float32))
    wanted = of(1000.0 / (1 + factor))
    assert abs(found.mean(0).argmax() - wanted.mean(0).argmax()) <= 1
    assert found.mean(0).argmax() != x.mean(0).argmax() or abs(factor) < 0.03


def test_a_microphone_tilts_what_is_heard_and_leaves_silence():
    x = np.full((50, 12, 8), 0.5, np.float32)
    x[:, :3] = 0
    found = changed(AugmentSound(tilt=16), x)
    assert (found[:, :3] == 0).all()
    steps = np.diff(found[:, 3:], axis=2)
    np.testing.assert_allclose(steps, np.broadcast_to(steps[:, :1, :1], steps.shape), atol=1e-6)
    whole = found[:, 3, -1] - found[:, 3, 0]
    assert 0.1 < np.abs(whole).max() <= 16 / 80
    assert whole.min() < 0 < whole.max()


def test_softer_parts_drown_in_noise():
    found = changed(AugmentSound(noise=40), SOUND)
    for before, after in zip(SOUND, found, strict=True):
        level = after.min()
        np.testing.assert_array_equal(after, np.maximum(before, level))
        assert level <= max(0.5, before.min())
    assert len({each.min() for each in found}) > 3


@pytest.mark.parametrize("axis", [1, 2])
def test_a_mask_is_one_stretch_of_one_axis(axis):
    u = kj.random.uniform(kj.random.key(0), (2, 200))
    found = masked(kj.ones((200, 12, 8)), 0.5 * u[0], u[1], axis).numpy()
    size, shares = (12, 8)[axis - 1], []
    for picture in found:
        rows = picture if axis == 1 else picture.T
        assert (rows == rows[:, :1]).all()
        silent = np.flatnonzero(rows[:, 0] == 0)
        shares.append(len(silent) / size)
        assert len(silent) == 0 or silent[-1] - silent[0] == len(silent) - 1
    assert max(shares) <= 0.5 + 1 / size
    assert 0.15 < np.mean(shares) < 0.35


def test_the_text_is_read_back():
    assert parse(str(ALL)) == ALL
    assert parse("none") == AugmentSound()
    assert str(parse("tilt=20, shift=0.1")) == "shift=0.1,tilt=20"


@pytest.mark.parametrize("text", ["", "flip", "warp", "warp=a", "warp=2", "tilt=-1", "noise=99"])
def test_other_texts_are_errors(text):
    with pytest.raises(UsageError):
        parse(text)
