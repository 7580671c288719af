"""What a network for pictures sees, drawn: filters, feature maps, where it looks, what it wants.

Not here: the numbers (`kedja/models/seeing.py`), the map of codes (`codes.py`). Needs matplotlib.
Next: `codes.py`.
Dimensions: N pictures, C channels, H W height and width.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np

from kedja.ground.errors import UsageError
from kedja.ground.suggest import did_you_mean
from kedja.models import pictures as inputs_of
from kedja.models.autoencoder import Autoencoder, decode_pictures, encode_pictures
from kedja.models.pictures import PictureLabel, PictureNet, classify_pictures, logits
from kedja.models.seeing import ideal_input, number_of, occlusion, saliency
from kedja.views import figures

Array = np.ndarray[Any, np.dtype[Any]]

MOST_MAPS = 64
ACROSS = 10  # pictures in a row
LEAST, LARGE = 5.5, 2.0  # inches: the least width of a figure, the side of the picture if few
NAME = 40  # characters of a class in a title
SIGNED = "RdBu_r"  # colours of numbers around 0


def plot_filters(model: PictureNet) -> Any:
    """The first convolution's kernels as pictures, each on its own scale; the figure.

    Those of three channels are shown in colour, around grey for 0; others in red where they are
    positive, in blue where they are negative.
    """
    kernels = first_kernels(model)  # (F, C, h, w)
    coloured = kernels.shape[1] == 3
    shown = np.moveaxis(kernels, 1, -1) if coloured else kernels[:, 0]
    spread = np.abs(shown).reshape(len(shown), -1).max(1).reshape(-1, *[1] * (shown.ndim - 1))
    scaled = 0.5 + 0.5 * shown / np.maximum(spread, 1e-12)
    figure = _sheet(list(scaled), [f"{place}" for place in range(len(scaled))], SIGNED)
    count, _, height, width = kernels.shape
    signs = "grey is 0" if coloured else "red is positive, blue negative"
    figures.title(figure, f"The first convolution: {count} kernels of {height} × {width}, {signs}")
    return figure


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
    numbers = [str(place) for place in range(len(found))]
    figure = _sheet([_unit(each) for each in found], numbers, "magma")
    count, height, width = maps[name].shape[1:]
    shown = "" if count == len(found) else f", the first {len(found)}"
    figures.title(
        figure, f"{name}: {count} maps of {height} × {width}{shown}, each on its own scale"
    )
    return figure


def plot_looking(
    model: PictureNet, picture: Any, labels: str | int | Sequence[str | int] | None = None
) -> Any:
    """A picture beside its saliency and its occlusion map; the figure.

    For the class that the network gives to it, unless `labels` says another, or several: each has
    a row then, all on the same scales.
    """
    given = np.asarray(picture)
    found = logits(model, given[None])[0]
    wanted = int(found.argmax()) if labels is None else labels
    chosen = [wanted] if isinstance(wanted, str | int) else list(wanted)
    numbers = [number_of(model, each) for each in chosen]
    slopes = [saliency(model, given[None], number)[0] for number in numbers]
    lost = [occlusion(model, given, number) for number in numbers]
    sides = (_most(slopes), _most(lost))
    figure = figures.figure(figsize=(10.5, 3.6 * len(numbers)))
    panels = figure.subplots(len(numbers), 3, squeeze=False)
    for row, number, maps in zip(panels, numbers, zip(slopes, lost, strict=True), strict=True):
        _look(figure, row, given, maps, sides, _asked(model, given, number))
    return figure


def _most(maps: Sequence[Array]) -> float:
    return max(1e-12, *(float(np.abs(each).max()) for each in maps))


def _asked(model: PictureNet, picture: Array, number: int) -> tuple[str, str, str]:
    """The class's name, what the network says of it, and what a square takes away."""
    classes = model.config.classes
    name = textwrap.shorten(str(classes[number]), NAME, placeholder=" …")
    if len(classes) == 1:
        return name, f"{name}: score {logits(model, picture[None])[0, 0]:.3g}", "score"
    shares = classify_pictures(model, picture[None])[0]
    share = shares.probabilities[classes[number]]
    said = f"taken for {name}" if shares.label == classes[number] else f"as {name}"
    return name, f"{said}: {share:.1%}", "probability"


def _look(
    figure: Any,
    row: Any,
    picture: Array,
    maps: tuple[Array, Array],
    sides: tuple[float, float],
    asked: tuple[str, str, str],
) -> None:
    """One row: the picture, its saliency, its occlusion."""
    name, said, worth = asked
    show(row[0], picture, said)
    title = f"saliency: where a small change\nmoves the score of {name} most"
    drawn = _over(row[1], picture, maps[0], sides[0], title, "inferno", signed=False)
    figure.colorbar(drawn, ax=row[1], shrink=0.7)
    title = f"occlusion: what a grey square there\ntakes from the {worth} of {name}"
    drawn = _over(row[2], picture, maps[1], sides[1], title, SIGNED, signed=True)
    figure.colorbar(drawn, ax=row[2], shrink=0.7)


def _over(
    panel: Any,
    picture: Any,
    values: Array,
    most: float,
    title: str,
    colours: str,
    *,
    signed: bool,
) -> Any:
    """Values as colours up to `most`, with the picture's outlines on them; what was drawn."""
    drawn = panel.imshow(values, cmap=colours, vmin=-most if signed else 0, vmax=most)
    unit = _pixels(np.asarray(picture))
    grey = unit.mean(-1) if unit.ndim == 3 else unit
    if np.ptp(grey) > 0:
        middle = (grey.max() + grey.min()) / 2
        panel.contour(grey, levels=[middle], colors="black" if signed else "white", linewidths=0.8)
    panel.set_title(title, fontsize=9)
    panel.set_axis_off()
    return drawn


def plot_ideals(
    model: PictureNet, labels: Sequence[str | int] | None = None, **options: Any
) -> Any:
    """The picture that each class wants most of all; the figure.

    All classes unless `labels` are given; options are those of `kj.models.ideal_input`.
    """
    chosen = list(model.config.classes) if labels is None else list(labels)
    found = [ideal_input(model, each, **options) for each in chosen]
    taken = classify_pictures(model, np.rint(255 * np.stack(found)).astype(np.uint8))
    alone = len(model.config.classes) == 1  # then there is nothing else that it could say
    titles = [
        f"for {each}" + ("" if alone else f"\nsaid: {_share(label)}")
        for each, label in zip(chosen, taken, strict=True)
    ]
    figure = _sheet(found, titles)
    figures.title(figure, "What each class wants most, and what the network says to it")
    return figure


def _share(label: PictureLabel) -> str:
    return f"{label.label}, {label.probabilities[label.label]:.0%}"


def plot_reconstruction(model: Autoencoder, pictures: Any) -> Any:
    """Pictures above what an autoencoder gives back, and how far both are apart; the figure.

    One picture, or several, of which ten are shown. Raises UsageError for none.
    """
    given = np.asarray(pictures)
    given = (given[None] if given.shape == model.config.stored else given)[:ACROSS]
    if not len(given):
        raise UsageError("no pictures to send through", fix="give some")
    again = decode_pictures(model, encode_pictures(model, given))
    apart = np.abs(_pixels(given) - again)
    errors = np.sqrt((apart**2).reshape(len(given), -1).mean(1))
    width = model.config.width
    if len(given) == 1:
        titles = ["picture", f"again, from {width} numbers", f"apart by {errors[0]:.3f}"]
        return _sheet([given[0], again[0], apart[0]], titles, side=3.0)
    titles = [*[""] * (2 * len(given)), *(f"{each:.3f}" for each in errors)]
    figure = _sheet([*given, *again, *apart], titles, across=len(given))
    about = f"Pictures, what comes back of them through {width} numbers, and how far apart both are"
    figures.title(figure, about)
    return figure


# ----------------------------------------------------------------------------------- parts


def _sheet(
    shown: Sequence[Array],
    titles: Sequence[str],
    colours: str = "gray",
    across: int = 0,
    side: float = 1.2,
) -> Any:
    """Pictures side by side, in rows that are equally full where that is possible."""
    down = -(-len(shown) // (across or ACROSS))
    across = across or -(-len(shown) // down)
    lines = max(title.count("\n") for title in titles)
    side = max(side, min(LARGE, LEAST / across))
    high = (side + 0.25 + 0.15 * lines) * down + 0.4
    figure = figures.figure(figsize=(max(side * across, LEAST), high))
    panels = figure.subplots(down, across, squeeze=False).ravel()
    for panel in panels:
        panel.set_axis_off()
    for panel, picture, title in zip(panels, shown, titles, strict=False):
        show(panel, picture, title, colours)
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
