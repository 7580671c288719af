"""Pictures and captions that found each other, drawn."""

from __future__ import annotations

import numpy as np
import pytest

from kedja.ground.errors import UsageError
from kedja.views.matches import OTHER, RIGHT, plot_chosen, plot_found

colors = pytest.importorskip("matplotlib.colors", reason="pictures need matplotlib")

PICTURES = np.arange(3 * 16, dtype=np.uint8).reshape(3, 4, 4)
CAPTIONS = ["red", "green", "a very long caption that nobody would write below a picture"]
SHARES = np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6], [0.2, 0.5, 0.3]])
BEST = [(0, 0), (0, 1), (1, 2), (1, 1), (2, 1), (2, 2)]


def bars(figure):
    return [ax for ax in figure.axes if ax.patches]


def test_captions_are_bars_beside_their_picture():
    figure = plot_chosen(PICTURES, CAPTIONS, BEST, SHARES)
    assert len([ax for ax in figure.axes if ax.images]) == 3
    first, second, _ = bars(figure)
    assert [bar.get_width() for bar in first.patches] == [0.7, 0.2]
    assert first.texts[0].get_text() == "red  70%"
    assert len(second.texts[0].get_text()) < 45
    assert first.patches[0].get_facecolor() == colors.to_rgba(RIGHT)


def test_the_true_caption_is_green():
    figure = plot_chosen(PICTURES, CAPTIONS, BEST, SHARES, true=[1, 2, 1])
    found = [bar.get_facecolor() for bar in bars(figure)[0].patches]
    assert found == [colors.to_rgba(OTHER), colors.to_rgba(RIGHT)]


def test_pictures_stand_beside_their_caption():
    figure = plot_found(PICTURES, CAPTIONS, [(2, 0), (1, 0), (0, 1)])
    drawn = [ax for ax in figure.axes if ax.images]
    assert np.allclose(drawn[0].images[0].get_array(), PICTURES[2] / 255)
    assert [text.get_text() for ax in figure.axes for text in ax.texts] == ["red", "green"]


def test_nothing_is_not_drawn():
    with pytest.raises(UsageError, match="no pictures"):
        plot_chosen(PICTURES, CAPTIONS, [], SHARES)
    with pytest.raises(UsageError, match="no captions"):
        plot_found(PICTURES, CAPTIONS, [])
