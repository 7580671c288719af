"""The map of a network's codes: the pictures themselves as points, near where they are seen alike.

Not here: how vectors get places in the plane (`planes.py`), other views (`pictures.py`). Needs
matplotlib. Next: `planes.py`.
Dimensions: N pictures, C channels, H W height and width, P pixels along the side of a cell.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import kedja as kj
from kedja.ground.errors import UsageError
from kedja.models import pictures as inputs_of
from kedja.views import figures
from kedja.views.planes import apart, flat

Array = np.ndarray[Any, np.dtype[Any]]

MOST_POINTS = 1500
FILLED = 0.4  # the share of the map that pictures cover
LONGEST = 4.0  # sides of the map, at most, of one that would be filled by pictures
MOST_PIXELS = 32  # along a picture's side; larger ones are averaged
FRAME = 2  # pixels in the colour of the class, around pictures in colour
PALE = "#777777"
NAMED = 30  # classes whose names are written
SIDE, LEAST = 10.0, 5.5  # inches of the figure's sides


def plot_codes(model: Any, pictures: Any, labels: Sequence[Any] | None = None) -> Any:
    """The codes of pictures in a plane, with the pictures themselves as points; the figure.

    Codes are what the last layer sees (`model.codes`), put into the plane by t-SNE, then moved
    until pictures do not cover each other. Ink of grey pictures, and frames of coloured ones, have
    the colour of the `labels`, whose names stand in the middle of theirs. The first 1,500 pictures
    are shown. Raises UsageError for none.
    """
    given = np.asarray(pictures)[:MOST_POINTS]
    if not len(given):
        raise UsageError("no pictures for the map", fix="give some")
    places = _cells(flat(codes(model, given), metric="euclidean"))
    names = None if labels is None else [str(each) for each in list(labels)[: len(given)]]
    colours = _colours(names)
    extent, canvas = _canvas(given, places, _rows(names, colours, len(given)))
    long, high = canvas.shape[1], canvas.shape[0]
    side = SIDE / max(long, high)
    figure = figures.figure(figsize=(max(LEAST, side * long), max(LEAST, side * high)))
    ax = figure.subplots()
    ax.imshow(canvas, extent=extent, interpolation="antialiased")
    if names is not None and len(colours) <= NAMED:
        _write(ax, places, names, colours)
    ax.set_title(f"{len(given):,} pictures, near each other where the network sees the same")
    ax.set_axis_off()
    return figure


def codes(model: Any, pictures: Any) -> Array:
    """What the last layer sees of each picture: float32 (N, D)."""

    def of(model: Any, x: Any) -> Any:
        return model.codes(inputs_of.inputs(model.config, x))

    width = of(model, kj.asarray(np.asarray(pictures)[:1])).shape[1]
    return inputs_of.in_batches(of, model, np.asarray(pictures), width)


# ----------------------------------------------------------------------------------- parts


def _cells(places: Array) -> Array:
    """Places (N, 2) in sides of a picture, none on another."""
    across, up = np.ptp(places, axis=0)
    count = len(places)
    longest = max(float(across), float(up), 1e-9)
    # On a line there is no area: pictures are then as large as LONGEST lets them be.
    side = max(np.sqrt(FILLED * across * up / count), longest / (LONGEST * np.sqrt(count)))
    return apart((places - places.min(0)) / side, 1.0)


def _canvas(given: Array, places: Array, colours: Array) -> tuple[tuple[float, ...], Array]:
    """All pictures on one white sheet: where it lies, and its pixels uint8 (·, ·, 3)."""
    drawn = _coloured(_reduced(given), colours)  # (N, P, P', 3)
    height, width = drawn.shape[1:3]
    low = places.min(0) - 0.5
    across, up = np.ptp(places, axis=0) + 1
    sheet = np.full((round(up * height) + height, round(across * width) + width, 3), 255, np.uint8)
    for picture, place in zip(drawn, places - low, strict=True):
        left, top = round((place[0] - 0.5) * width), round((up - place[1] - 0.5) * height)
        part = sheet[top : top + height, left : left + width]
        np.minimum(part, picture, out=part) if given.ndim == 3 else np.copyto(part, picture)
    extent = (low[0], low[0] + sheet.shape[1] / width, low[1] + up - sheet.shape[0] / height)
    return (*extent, low[1] + up), sheet


def _reduced(given: Array) -> Array:
    """From 0 to 1, at most 32 pixels along a side: (N, H, W) or (N, H, W, 3)."""
    unit = given / 255.0 if given.dtype == np.uint8 else np.clip(given, 0, 1)
    step = -(-max(given.shape[1:3]) // MOST_PIXELS)
    height, width = (side // step * step for side in given.shape[1:3])
    cut = unit[:, :height, :width]
    rest = cut.shape[3:]
    blocks = cut.reshape(len(cut), height // step, step, width // step, step, *rest)
    found: Array = blocks.mean((2, 4))
    return found


def _coloured(given: Array, colours: Array) -> Array:
    """Grey pictures as ink in their colour on white, others in a frame: uint8 (N, P, P', 3)."""
    if given.ndim == 3:
        edge = np.concatenate([given[:, [0, -1]].ravel(), given[:, :, [0, -1]].ravel()])
        ink = 1 - given if np.median(edge) > 0.5 else given  # what stands out from its ground
        found = 1 - ink[..., None] * (1 - colours[:, None, None])
    else:
        found = np.broadcast_to(colours[:, None, None], (len(given), *_framed(given), 3)).copy()
        found[:, FRAME:-FRAME, FRAME:-FRAME] = given
    shown: Array = np.rint(255 * found).astype(np.uint8)
    return shown


def _framed(given: Array) -> tuple[int, int]:
    return given.shape[1] + 2 * FRAME, given.shape[2] + 2 * FRAME


def _colours(names: Sequence[str] | None) -> dict[str, Any]:
    """A colour for each class, in the order of their names."""
    if names is None:
        return {}
    from matplotlib import colormaps

    different = sorted(set(names))
    table = colormaps["tab10" if len(different) <= 10 else "tab20"]
    return {name: table(place % table.N) for place, name in enumerate(different)}


def _rows(names: Sequence[str] | None, colours: dict[str, Any], count: int) -> Array:
    """Each picture's red, green and blue from 0 to 1: (N, 3)."""
    from matplotlib.colors import to_rgb

    shown = [PALE] * count if names is None else [colours[name] for name in names]
    return np.array([to_rgb(each) for each in shown])


def _write(ax: Any, places: Array, names: Sequence[str], colours: dict[str, Any]) -> None:
    """Each class's name in the middle of its pictures."""
    from matplotlib.patheffects import withStroke

    own = np.array(names)
    for name, colour in colours.items():
        across, up = np.median(places[own == name], axis=0)
        halo = [withStroke(linewidth=5, foreground="white")]
        text = {"ha": "center", "va": "center", "fontsize": 20, "fontweight": "bold"}
        dark = tuple(0.75 * each for each in colour[:3])
        ax.text(across, up, name, color=dark, path_effects=halo, **text)
