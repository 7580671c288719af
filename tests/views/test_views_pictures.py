"""Pictures of what networks see: each figure has the panels that it should have."""

from __future__ import annotations

import numpy as np
import pytest

import kedja as kj
from kedja.ground.errors import StorageError, UsageError
from kedja.models import CNN, CNNConfig
from kedja.views import figures
from kedja.views import pictures as views
from kedja.views.planes import flat

pytest.importorskip("matplotlib", reason="pictures need matplotlib")


@pytest.fixture(scope="module")
def model():
    kj.random.seed(0)
    return CNN(CNNConfig((1, 8, 8), ("a", "b", "c"), widths=(4, 6), hidden=(5,)))


@pytest.fixture(scope="module")
def pictures():
    return np.random.default_rng(0).integers(0, 256, (12, 8, 8)).astype(np.uint8)


def shown(figure):
    return [axes for axes in figure.axes if axes.images]


def test_filters_are_the_first_kernels(model):
    panels = shown(views.plot_filters(model))
    assert len(panels) == 4
    kernels = model.convs[0].conv.weight.numpy()[:, 0]
    drawn = panels[2].images[0].get_array()
    scaled = 0.5 + 0.5 * kernels[2] / np.abs(kernels[2]).max()
    assert np.allclose(drawn, scaled, atol=1e-6)


def test_filters_of_colours_are_in_colour():
    coloured = CNN(CNNConfig((3, 8, 8), ("a", "b"), widths=(4,), hidden=()))
    assert shown(views.plot_filters(coloured))[0].images[0].get_array().shape == (3, 3, 3)


def test_maps_of_a_layer(model, pictures):
    figure = views.plot_maps(model, pictures[0], "convs.1")
    assert len(shown(figure)) == 6
    assert figure.get_suptitle() == "convs.1"
    with pytest.raises(UsageError, match="there is no layer"):
        views.plot_maps(model, pictures[0], "convs.7")


def test_looking_shows_the_picture_beside_two_maps(model, pictures):
    panels = shown(views.plot_looking(model, pictures[0], "b"))
    assert len(panels) >= 3
    assert np.allclose(panels[0].images[0].get_array(), pictures[0] / 255)
    assert "b" in panels[1].get_title()


def test_ideals_of_all_classes(model):
    panels = shown(views.plot_ideals(model, steps=2))
    assert [panel.get_title() for panel in panels] == ["a", "b", "c"]


def test_the_map_of_codes_has_every_picture(model, pictures):
    figure = views.plot_codes(model, pictures, ["a", "b"] * 6)
    assert len(figure.axes[0].images) == 12
    with pytest.raises(UsageError, match="no pictures"):
        views.plot_codes(model, pictures[:0])


def test_what_is_alike_lies_near():
    draws = np.random.default_rng(1)
    groups = np.repeat(np.eye(3) * 10, 12, axis=0) + draws.normal(0, 0.1, (36, 3))
    places = flat(groups, metric="euclidean")
    assert places.shape == (36, 2)
    own = np.repeat(np.arange(3), 12)
    apart = np.linalg.norm(places[:, None] - places[None], axis=-1) + np.eye(36) * 1e9
    assert (own[apart.argmin(1)] == own).all()


def test_a_network_without_convolutions_has_no_filters():
    with pytest.raises(UsageError, match="has no convolution"):
        views.plot_filters(kj.nn.Linear(2, 2))


def test_figures_are_written_by_their_ending(tmp_path):
    drawn = figures.figure(figsize=(1, 1))
    figures.save(drawn, tmp_path / "a.svg")
    assert (tmp_path / "a.svg").read_text().startswith("<?xml")
    with pytest.raises(UsageError, match="is no picture"):
        figures.save(drawn, tmp_path / "a.txt")
    with pytest.raises(StorageError, match="cannot write"):
        figures.save(drawn, tmp_path / "nowhere" / "a.png")
