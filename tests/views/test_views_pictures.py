"""Pictures of what networks see: each figure has the panels that it should have."""

from __future__ import annotations

import numpy as np
import pytest

import kedja as kj
from kedja.ground.errors import StorageError, UsageError
from kedja.models import CNN, CNNConfig
from kedja.models.autoencoder import (
    Autoencoder,
    AutoencoderConfig,
    decode_pictures,
    encode_pictures,
)
from kedja.models.seeing import occlusion, saliency
from kedja.views import codes as maps
from kedja.views import figures, lettering
from kedja.views import pictures as views
from kedja.views.planes import apart, flat

to_rgb = pytest.importorskip("matplotlib.colors", reason="pictures need matplotlib").to_rgb
fonts_of = pytest.importorskip("matplotlib.font_manager").fontManager


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
    assert "4 kernels of 3 × 3" in views.plot_filters(model).get_suptitle()
    scaled = 0.5 + 0.5 * kernels[2] / np.abs(kernels[2]).max()
    assert np.allclose(drawn, scaled, atol=1e-6)


def test_filters_of_colours_are_in_colour():
    coloured = CNN(CNNConfig((3, 8, 8), ("a", "b"), widths=(4,), hidden=()))
    assert shown(views.plot_filters(coloured))[0].images[0].get_array().shape == (3, 3, 3)


def test_maps_of_a_layer(model, pictures):
    figure = views.plot_maps(model, pictures[0], "convs.1")
    assert len(shown(figure)) == 6
    assert figure.get_suptitle().startswith("convs.1: 6 maps of 4 × 4")
    with pytest.raises(UsageError, match="there is no layer"):
        views.plot_maps(model, pictures[0], "convs.7")


def test_looking_shows_the_picture_beside_two_maps(model, pictures):
    panels = shown(views.plot_looking(model, pictures[0], "b"))
    assert len(panels) >= 3
    assert np.allclose(panels[0].images[0].get_array(), pictures[0] / 255)
    assert "b" in panels[1].get_title()


def test_several_classes_are_looked_at_on_one_scale(model, pictures):
    panels = shown(views.plot_looking(model, pictures[0], ["b", 2]))
    looks = [panel for panel in panels if "saliency" in panel.get_title()]
    assert [panel.get_title().split(" of ")[1][0] for panel in looks] == ["b", "c"]
    assert looks[0].images[0].get_clim() == looks[1].images[0].get_clim()
    slopes = [saliency(model, pictures[:1], number)[0] for number in (1, 2)]
    assert looks[0].images[0].get_clim()[1] == pytest.approx(np.max(slopes))


def test_a_single_class_is_told_by_its_score(pictures):
    one = CNN(CNNConfig((1, 8, 8), ("a",), widths=(4,), hidden=()))
    panels = shown(views.plot_looking(one, pictures[0]))
    assert panels[0].get_title().startswith("a: score ")
    assert any("from the score of a" in panel.get_title() for panel in panels)
    assert np.ptp(occlusion(one, pictures[0])) > 0
    assert shown(views.plot_ideals(one, steps=1))[0].get_title() == "for a"


def test_ideals_of_all_classes(model):
    panels = shown(views.plot_ideals(model, steps=2))
    assert [panel.get_title().split("\n")[0] for panel in panels] == ["for a", "for b", "for c"]
    assert all("said: " in panel.get_title() for panel in panels)


def test_what_comes_back_stands_below(pictures):
    model = Autoencoder(AutoencoderConfig((1, 8, 8), (), widths=(4,), width=3))
    again = decode_pictures(model, encode_pictures(model, pictures[:10]))
    apart = np.abs(pictures[:10] / 255 - again)
    panels = shown(views.plot_reconstruction(model, pictures))
    assert len(panels) == 30
    for start, wanted in enumerate((pictures[:10] / 255, again, apart)):
        drawn = panels[10 * start + 3].images[0].get_array()
        assert np.allclose(drawn, wanted[3], atol=1e-6)
    assert float(panels[23].get_title()) == pytest.approx(np.sqrt((apart[3] ** 2).mean()), abs=1e-3)
    alone = shown(views.plot_reconstruction(model, pictures[3]))
    assert [panel.get_title() for panel in alone[:2]] == ["picture", "again, from 3 numbers"]
    with pytest.raises(UsageError, match="no pictures"):
        views.plot_reconstruction(model, pictures[:0])


def test_the_map_of_codes_has_every_picture_in_the_colour_of_its_class(monkeypatch):
    corners = np.array([[0, 0], [9, 0], [0, 9], [9, 9]], float)
    monkeypatch.setattr(maps, "codes", lambda model, given: None)
    monkeypatch.setattr(maps, "flat", lambda vectors, metric: corners)
    ink = np.zeros((4, 8, 8), np.uint8)
    ink[:, 2:6, 2:6] = 255
    ax = maps.plot_codes(None, ink, ["a", "b", "a", "b"]).axes[0]
    assert {text.get_text() for text in ax.texts} == {"a", "b"}
    left, right, bottom, top = ax.images[0].get_extent()
    sheet = ax.images[0].get_array()
    size = np.array(sheet.shape[1::-1])  # across, down
    side = np.sqrt(maps.FILLED * 81 / 4)
    for corner, colour in zip(corners, ("C0", "C1", "C0", "C1"), strict=True):
        at = (corner / side - [left, bottom]) / [right - left, top - bottom]  # from below left
        column, row = (np.array([at[0], 1 - at[1]]) * size).astype(int)
        assert np.allclose(sheet[row, column] / 255, to_rgb(colour), atol=0.01)
    assert sheet.min(-1).ravel()[0] == 255  # the ground is white
    with pytest.raises(UsageError, match="no pictures"):
        maps.plot_codes(None, ink[:0])


@pytest.mark.parametrize("line", [[1.0, 0.0], [1.0, 1e-7], [0.0, 0.0]])
def test_the_map_of_codes_on_a_line_stays_small(monkeypatch, line):
    places = np.arange(12)[:, None] * np.array(line)
    monkeypatch.setattr(maps, "codes", lambda model, given: None)
    monkeypatch.setattr(maps, "flat", lambda vectors, metric: places)
    sheet = maps.plot_codes(None, np.zeros((12, 8, 8), np.uint8)).axes[0].images[0].get_array()
    assert max(sheet.shape) < 12 * 2 * 8


def test_dark_ink_on_paper_and_pictures_in_colour_are_drawn_too(model, pictures):
    paper = np.full((5, 70, 50), 255, np.uint8)
    paper[:, 30:40, 20:30] = 0
    reduced = maps._reduced(paper)
    assert reduced.shape == (5, 23, 16)
    drawn = maps._coloured(reduced, np.tile([1.0, 0.0, 0.0], (5, 1)))
    assert drawn[0, 0, 0].tolist() == [255, 255, 255]
    assert drawn[0, 11, 8].tolist() == [255, 0, 0]
    framed = maps._coloured(np.zeros((2, 8, 8, 3)), np.tile([0.0, 0.0, 1.0], (2, 1)))
    assert framed.shape == (2, 12, 12, 3)
    assert framed[0, 0, 0].tolist() == [0, 0, 255]
    assert framed[0, 6, 6].tolist() == [0, 0, 0]
    assert maps.plot_codes(model, pictures).axes[0].images


def test_places_are_moved_apart_and_stay_near():
    draws = np.random.default_rng(0)
    places = np.concatenate([draws.normal(0, 0.3, (30, 2)), draws.normal(20, 0.3, (30, 2))])
    places[1] = places[0]
    found = apart(places, 1.0)
    gaps = np.abs(found[:, None] - found[None]).max(-1) + np.eye(60) * 9
    assert gaps.min() > 0.8
    assert np.array_equal(found, apart(places, 1.0))
    assert np.abs(found[:30].mean(0)).max() < 1
    assert np.abs(found - places).max() < 6
    alone = np.array([[0.0, 0.0], [5.0, 5.0]])
    assert np.allclose(apart(alone, 1.0), alone, atol=1e-3)


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


def test_letters_get_a_font_that_has_them(monkeypatch, tmp_path):
    fonts = {font.fname: frozenset(map(ord, "ab 0123456789")) for font in fonts_of.ttflist}
    with_signs = next(font for font in lettering._regular(fonts_of.ttflist) if font.name != "x")
    own = lettering._path(None)
    fonts[with_signs.fname] |= frozenset(map(ord, "日"))
    fonts[own] = frozenset(map(ord, "ab 0123456789"))
    monkeypatch.setattr(lettering, "_has", fonts.__getitem__)
    lettering._fonts_for.cache_clear()
    drawn = figures.figure(figsize=(1, 1))
    one, other = drawn.text(0, 0, "ab"), drawn.text(0, 0, "日 ab")
    usual = list(one.get_fontfamily())
    assert not lettering.prepare(drawn)
    assert (one.get_fontfamily(), other.get_fontfamily()) == (usual, [*usual, with_signs.name])
    drawn.text(0, 0, "☃")
    with pytest.warns(UserWarning, match="no installed font has the letters ☃") as told:
        figures.save(drawn, tmp_path / "a.png")
    assert len(told) == 1
    lettering._fonts_for.cache_clear()


def test_dollars_in_names_are_dollars(tmp_path):
    drawn = figures.figure(figsize=(2, 1))
    ax = drawn.subplots()
    ax.set_title("from $5 to $_6")  # as a formula it could not be read
    ax.set_xscale("log")
    figures.save(drawn, tmp_path / "a.png")
    assert not ax.title.get_parse_math()
    assert all(label.get_parse_math() for label in ax.get_xticklabels())


def test_notebooks_show_figures_and_titles_fit():
    drawn = figures.figure(figsize=(3, 1))
    figures.title(drawn, "a title that is longer than a figure of three inches is wide")
    assert drawn.get_suptitle().count("\n") == 1
    assert drawn._repr_png_().startswith(b"\x89PNG")


def test_figures_are_written_by_their_ending(tmp_path):
    drawn = figures.figure(figsize=(1, 1))
    figures.save(drawn, tmp_path / "a.svg")
    assert (tmp_path / "a.svg").read_text().startswith("<?xml")
    with pytest.raises(UsageError, match="is no picture"):
        figures.save(drawn, tmp_path / "a.txt")
    with pytest.raises(StorageError, match="cannot write"):
        figures.save(drawn, tmp_path / "nowhere" / "a.png")
