"""What a network for pictures sees, drawn: filters, feature maps, where it looks, what it wants.

Not here: the numbers (`kedja/models/seeing.py`). Needs matplotlib. Next: `planes.py`.
Dimensions: N pictures, C channels, H W height and width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import kedja as kj
from kedja.ground.errors import UsageError
from kedja.ground.suggest import did_you_mean
from kedja.models import pictures as inputs_of
from kedja.models.autoencoder import Autoencoder, decode_pictures, encode_pictures
from kedja.models.pictures import PictureNet, classify_pictures
from kedja.models.seeing import ideal_input, occlusion, saliency
from kedja.views import figures
from kedja.views.planes import flat

Array = np.ndarray[Any, np.dtype[Any]]

MOST_MAPS = 64
MOST_POINTS = 1500
CROWDED = 0.6  # the side of a picture on the map of codes, if N fill the map: CROWDED/√N


def plot_filters(model: PictureNet) -> Any:
    """The first convolution's kernels as pictures, each on its own scale; the figure.

    Those of three channels are shown in colour.
    """
    kernels = first_kernels(model)  # (F, C, h, w)
    coloured = kernels.shape[1] == 3
    shown = np.moveaxis(kernels, 1, -1) if coloured else kernels[:, 0]
    spread = np.abs(shown).reshape(len(shown), -1).max(1).reshape(-1, *[1] * (shown.ndim - 1))
    scaled = 0.5 + 0.5 * shown / np.maximum(spread, 1e-12)
    return _sheet(list(scaled), [f"{place}" for place in range(len(scaled))])


def first_kernels(model: Any) -> Array:
    """The weights (F, C, h, w) of the first convolution; UsageError where there is none."""
    for array in model.state_dict().values():
        if array.ndim == 4:
            found: Array = np.asarray(array, np.float32)
            return found
    raise UsageError(f"{type(model).__name__} has no convolution", fix="train a cnn or a resnet")


def plot_maps(model: PictureNet, picture: Any, layer: str | None = None) -> Any:
    """A layer's feature maps for one picture, bright where they are large; the figure.

    The first layer, unless another of `model.maps(x)` is named. Raises UsageError for others.
    """
    x = inputs_of.inputs(model.config, np.asarray(picture)[None])
    maps = model.maps(x)
    name = next(iter(maps)) if layer is None else layer
    if name not in maps:
        raise UsageError(f"there is no layer {name!r}", fix=did_you_mean(name, maps))
    found = maps[name].numpy()[0][:MOST_MAPS]  # (channels, height, width)
    figure = _sheet([_unit(each) for each in found], [str(place) for place in range(len(found))])
    figure.suptitle(name)
    return figure


def plot_looking(model: PictureNet, picture: Any, label: str | int | None = None) -> Any:
    """A picture beside its saliency and its occlusion map; the figure.

    For the class that the network gives to it, unless `label` says another.
    """
    answer = classify_pictures(model, np.asarray(picture)[None])[0]
    chosen: str | int = answer.label if label is None else label
    slopes = saliency(model, np.asarray(picture)[None], chosen)[0]
    lost = occlusion(model, picture, chosen)
    figure = figures.figure(figsize=(9, 3.4))
    panels = figure.subplots(1, 3)
    share = answer.probabilities[answer.label]
    show(panels[0], np.asarray(picture), f"{answer.label}, {share:.1%}")
    show(panels[1], slopes / max(float(slopes.max()), 1e-12), f"saliency for {chosen}", "magma")
    most = max(float(np.abs(lost).max()), 1e-12)
    drawn = panels[2].imshow(lost, cmap="RdBu_r", vmin=-most, vmax=most)
    panels[2].set_title(f"lost of p({chosen}) if hidden", fontsize=9)
    panels[2].set_axis_off()
    figure.colorbar(drawn, ax=panels[2], shrink=0.7)
    return figure


def plot_ideals(
    model: PictureNet, labels: Sequence[str | int] | None = None, **options: Any
) -> Any:
    """The picture that each class wants most of all; the figure.

    All classes unless `labels` are given; options are those of `kj.models.ideal_input`.
    """
    chosen = list(model.config.classes) if labels is None else list(labels)
    return _sheet([ideal_input(model, each, **options) for each in chosen], list(map(str, chosen)))


def plot_reconstruction(model: Autoencoder, picture: Any) -> Any:
    """A picture beside what an autoencoder gives back, and the difference; the figure."""
    given = np.asarray(picture)
    again = decode_pictures(model, encode_pictures(model, given[None]))[0]
    apart = np.abs(_pixels(given) - again)
    error = float(np.sqrt(np.mean(apart**2)))
    titles = ["picture", f"again, from {model.config.width} numbers", f"apart, {error:.3f}"]
    figure = figures.figure(figsize=(9, 3.4))
    panels = figure.subplots(1, 3)
    for panel, shown, title in zip(panels, (given, again, apart), titles, strict=True):
        show(panel, shown, title)
    return figure


def plot_codes(model: Any, pictures: Any, labels: Sequence[Any] | None = None) -> Any:
    """The codes of pictures in a plane, with the pictures themselves as points; the figure.

    Codes are what the last layer sees (`model.codes`), put into the plane by t-SNE. Frames have the
    colour of the `labels`. The first 1,500 pictures are shown. Raises UsageError for none.
    """
    given = np.asarray(pictures)[:MOST_POINTS]
    if not len(given):
        raise UsageError("no pictures for the map", fix="give some")
    places = flat(codes(model, given), metric="euclidean")
    figure = figures.figure(figsize=(10, 10))
    ax = figure.subplots()
    low, high = places.min(0), places.max(0)
    half = CROWDED / np.sqrt(len(given)) * np.maximum(high - low, 1e-9) / 2
    colours = _colours(labels, len(given))
    for place, picture, colour in zip(places, given, colours, strict=True):
        left, right = place[0] - half[0], place[0] + half[0]
        bottom, top = place[1] - half[1], place[1] + half[1]
        ax.imshow(
            _pixels(picture), extent=(left, right, bottom, top), cmap="gray", vmin=0, vmax=1,
            aspect="auto", interpolation="nearest",
        )  # fmt: skip
        across, up = [left, right, right, left, left], [bottom, bottom, top, top, bottom]
        ax.plot(across, up, color=colour, linewidth=0.8)
    ax.set(xlim=(low[0] - half[0], high[0] + half[0]), ylim=(low[1] - half[1], high[1] + half[1]))
    ax.set_axis_off()
    return figure


def codes(model: Any, pictures: Any) -> Array:
    """What the last layer sees of each picture: float32 (N, D)."""

    def of(model: Any, x: Any) -> Any:
        return model.codes(inputs_of.inputs(model.config, x))

    width = of(model, kj.asarray(np.asarray(pictures)[:1])).shape[1]
    return inputs_of.in_batches(of, model, np.asarray(pictures), width)


# ----------------------------------------------------------------------------------- parts


def _sheet(shown: Sequence[Array], titles: Sequence[str]) -> Any:
    """Pictures side by side in rows of eight at most."""
    across = min(8, len(shown))
    down = -(-len(shown) // across)
    figure = figures.figure(figsize=(1.3 * across, 1.4 * down))
    panels = figure.subplots(down, across, squeeze=False).ravel()
    for panel in panels:
        panel.set_axis_off()
    for panel, picture, title in zip(panels, shown, titles, strict=False):
        show(panel, picture, title)
    return figure


def show(panel: Any, picture: Array, title: str, colours: str = "gray") -> None:
    """Draw one picture, bytes or numbers from 0 to 1, without axes."""
    panel.imshow(_pixels(picture), cmap=colours, vmin=0, vmax=1, interpolation="nearest")
    panel.set_title(title, fontsize=9)
    panel.set_axis_off()


def _pixels(picture: Array) -> Array:
    """From 0 to 1, of bytes too."""
    return picture / 255 if picture.dtype == np.uint8 else np.clip(picture, 0, 1)


def _unit(values: Array) -> Array:
    low, high = float(values.min()), float(values.max())
    return (values - low) / max(high - low, 1e-12)


def _colours(labels: Sequence[Any] | None, count: int) -> list[Any]:
    if labels is None:
        return ["#888888"] * count
    names = {label: place for place, label in enumerate(dict.fromkeys(sorted(set(labels))))}
    return [f"C{names[label] % 10}" for label in list(labels)[:count]]
