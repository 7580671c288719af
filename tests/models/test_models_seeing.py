"""Saliency, occlusion and ideal inputs, on networks whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest

import kedja as kj
from kedja.ground.errors import ShapeError, UsageError
from kedja.models import CNN, CNNConfig
from kedja.models.pictures import PictureConfig, probabilities
from kedja.models.seeing import ideal_input, occlusion, saliency

SHAPE = (1, 6, 8)


class Corner(kj.nn.Module):
    """Two classes: bright above left, or not; nothing else counts."""

    config: PictureConfig
    weight: kj.nn.Buffer

    def __init__(self) -> None:
        self.config = PictureConfig(SHAPE, ("corner", "rest"))
        weight = np.zeros(SHAPE[1:], np.float32)
        weight[:2, :2] = [[3, 2], [1, 1]]
        self.weight = kj.tensor(weight)

    def __call__(self, x):
        score = kj.sum(x[:, 0] * self.weight, axis=(1, 2))
        return kj.stack([score, -score], 1)


@pytest.fixture
def pictures():
    return np.random.default_rng(0).integers(0, 256, (3, 6, 8)).astype(np.uint8)


def test_saliency_is_the_size_of_the_slope(pictures):
    found = saliency(Corner(), pictures, "corner")
    assert found.shape == (3, 6, 8)
    assert np.allclose(found, Corner().weight.numpy())


def test_saliency_follows_finite_differences(pictures):
    model = CNN(CNNConfig(SHAPE, ("a", "b", "c"), widths=(4,), hidden=(5,)))
    x = pictures.astype(np.float32) / 255
    found = saliency(model, x, 1)
    step = 1e-2
    for row, y, z in ((0, 1, 2), (1, 5, 7), (2, 3, 4)):
        ends = []
        for sign in (1, -1):
            moved = x.copy()
            moved[row, y, z] += sign * step
            ends.append(model(kj.tensor(moved[:, None])).numpy()[row, 1])
        assert found[row, y, z] == pytest.approx(abs(ends[0] - ends[1]) / (2 * step), abs=2e-3)


def test_what_is_looked_at_in_colour_is_the_largest_of_the_channels():
    model = CNN(CNNConfig((3, 8, 8), ("a", "b"), widths=(4,), hidden=()))
    assert saliency(model, np.zeros((2, 8, 8, 3), np.uint8)).shape == (2, 8, 8)


def test_occlusion_is_where_the_answer_is(pictures):
    bright = np.full((6, 8), 255, np.uint8)
    found = occlusion(Corner(), bright, "corner", patch=2)
    assert found.shape == (6, 8)
    assert np.unravel_index(found.argmax(), found.shape) == (0, 0)
    assert np.allclose(found[3:, 3:], 0)


def test_occlusion_is_the_lost_probability():
    bright = np.full((6, 8), 255, np.uint8)
    hidden = bright.copy()
    hidden[:6, :6] = 127
    lost = np.diff(probabilities(Corner(), np.stack([hidden, bright]))[:, 0])[0]
    found = occlusion(Corner(), bright, "corner", patch=6, stride=8)
    assert found[0, 0] == pytest.approx(lost)


def test_the_ideal_input_raises_its_class():
    ideal = ideal_input(Corner(), "corner", steps=40)
    assert ideal.shape == (6, 8)
    assert ideal.min() >= 0 and ideal.max() <= 1
    assert ideal[:2, :2].mean() > ideal[3:, 3:].mean() + 0.3
    assert np.array_equal(ideal, ideal_input(Corner(), "corner", steps=40))


REFUSED = {
    "a class": (lambda: saliency(Corner(), np.zeros((1, 6, 8), np.uint8), "middle"), "no class"),
    "a number": (lambda: saliency(Corner(), np.zeros((1, 6, 8), np.uint8), 2), "class 2"),
    "a patch": (lambda: occlusion(Corner(), np.zeros((6, 8), np.uint8), patch=9), "patches of 9"),
    "steps": (lambda: ideal_input(Corner(), 0, steps=0), "0 steps"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name):
    call, message = REFUSED[name]
    with pytest.raises(UsageError, match=message):
        call()


def test_pictures_of_another_shape_are_refused():
    with pytest.raises(ShapeError, match="expected"):
        saliency(Corner(), np.zeros((1, 8, 6), np.uint8))
