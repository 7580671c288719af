"""Augmentation: what each change does; the key alone decides, and inference changes nothing."""

from __future__ import annotations

import numpy as np
import pytest

import kedja as kj
from kedja import nn
from kedja.data.augment import Augment, parse
from kedja.ground.errors import UsageError
from tests.fixtures import TIERS

RNG = np.random.default_rng(0)
GREY = RNG.uniform(0.1, 1, (6, 9, 12)).astype(np.float32)
COLOURED = RNG.uniform(0.1, 1, (6, 9, 12, 3)).astype(np.float32)
ALL = Augment(0.2, 15, 0.1, 0.1, True, 0.1, 0.2, 0.3)


def changed(augment, x, seed=0, training=True):
    def of(x, key):
        with nn.training(key):
            return augment(x)

    return kj.jit(of)(x, kj.random.key(seed)).numpy() if training else augment(x).numpy()


@pytest.mark.parametrize("x", [GREY, COLOURED], ids=["grey", "coloured"])
def test_training_alone_changes_and_the_key_decides(x):
    x = kj.tensor(x)
    np.testing.assert_array_equal(changed(ALL, x, training=False), x.numpy())
    np.testing.assert_array_equal(changed(Augment(), x), x.numpy())
    one = changed(ALL, x)
    assert one.shape == x.shape
    np.testing.assert_array_equal(changed(ALL, x), one)
    assert np.abs(changed(ALL, x, seed=1) - one).max() > 0.1


@pytest.mark.parametrize("tier", TIERS)
def test_a_shift_moves_whole_pixels_and_lets_black_in(tier):
    with kj.scope(tier=tier):
        found = changed(Augment(shift=0.25), kj.tensor(GREY))
    moves = set()
    for before, after in zip(GREY, found, strict=True):
        padded = np.pad(before, 3)
        places = [
            (i, j)
            for i in range(7)
            for j in range(7)
            if np.array_equal(padded[i : i + 9, j : j + 12], after)
        ]
        assert len(places) == 1
        moves.add(places[0])
    assert len(moves) > 2


def test_a_flip_turns_about_half_of_the_pictures():
    x = np.repeat(COLOURED[:1], 200, 0)
    found = changed(Augment(flip=True), kj.tensor(x))
    turned = sum(np.array_equal(each, x[0, :, ::-1]) for each in found)
    same = sum(np.array_equal(each, x[0]) for each in found)
    assert turned + same == 200
    assert 70 < turned < 130


def test_resampling_agrees_with_pytorchs_grid():
    """The same places, asked of `grid_sample`: zeros outside, linear between pixels."""
    torch = pytest.importorskip("torch")
    augment = Augment(shift=0.1, rotate=30, zoom=0.2, shear=0.2, flip=True)
    with nn.training(kj.random.key(3)):
        u = kj.random.uniform(nn.next_key(), (10, 6))
    rows, columns = augment._places(9, 12, [2 * u[place] - 1 for place in range(10)])
    y = (2 * rows.numpy() + 1) / 9 - 1
    x = (2 * columns.numpy() + 1) / 12 - 1
    grid = torch.tensor(np.stack([x, y], -1))
    pictures = torch.tensor(COLOURED).permute(0, 3, 1, 2)
    options = {"mode": "bilinear", "padding_mode": "zeros", "align_corners": False}
    wanted = torch.nn.functional.grid_sample(pictures, grid, **options).permute(0, 2, 3, 1)
    found = changed(augment, kj.tensor(COLOURED), seed=3)
    np.testing.assert_allclose(found, wanted.numpy(), atol=2e-5)


def test_turning_by_a_right_angle():
    square = GREY[:, :, :9]
    places = [kj.full((6,), 1.0) for _ in range(10)]
    rows, columns = (each.numpy() for each in Augment(rotate=90)._places(9, 9, places))
    rows, columns = np.rint(rows).astype(int), np.rint(columns).astype(int)
    found = square[0][rows[0], columns[0]]
    assert any(np.array_equal(found, np.rot90(square[0], k)) for k in (1, 3))


def test_light_stays_between_black_and_white():
    found = changed(Augment(brightness=0.9, contrast=0.9), kj.tensor(COLOURED))
    assert found.min() >= 0
    assert found.max() <= 1
    ratios = np.ptp(found.reshape(6, -1), 1)
    assert ratios.std() > 0.01


def test_cutout_greys_one_square():
    found = changed(Augment(cutout=0.4), kj.tensor(GREY * 0.4))
    counts = (found == 0.5).sum((1, 2))
    assert (counts > 0).all()
    assert counts.max() <= 6 * 6


def test_the_text_of_an_augmentation_is_read_back():
    assert parse(str(ALL)) == ALL
    assert parse("none") == Augment()
    assert str(parse("flip, shift=0.1")) == "shift=0.1,flip"


@pytest.mark.parametrize("text", ["", "shfit=1", "shift", "shift=a", "rotate=500", "flip,zoom=-1"])
def test_other_texts_are_errors(text):
    with pytest.raises(UsageError):
        parse(text)


def test_without_a_key_it_is_told():
    with nn.training(), pytest.raises(UsageError, match="no key"):
        ALL(kj.tensor(GREY))
