"""Where the boxes of a drawn graph stand: layers from top to bottom, few crossings, short edges.

The method is that of K. Sugiyama, S. Tagawa, M. Toda (1981): layers by the longest path, order
within a layer by barycentres, places by least squares. Not here: what is drawn (`svg.py`).

An edge that spans several layers passes through points of its own, one in each layer between.
Next: `svg.py`.
"""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

GAP = 28.0  # between neighbours in a layer
LAYER_GAP = 46.0  # between two layers
POINT_WIDTH = 10.0  # what an edge takes in a layer that it passes through
SWEEPS = 12  # over the order of all layers
ROUNDS = 80  # over the places of all boxes
LARGE = 2000  # with more boxes and points than this, fewer of both are made

Key = Hashable
Size = tuple[float, float]


class Route(NamedTuple):
    """An edge: its two ends and the points that it passes, each as (x, y above, y below)."""

    source: Key
    target: Key
    points: list[tuple[float, float, float]]


@dataclass(frozen=True)
class Placement:
    """The centres of all boxes, the routes of all edges, and the size of the whole."""

    centres: dict[Key, tuple[float, float]]
    routes: list[Route]
    width: float
    height: float


class _Point(NamedTuple):
    """Where edge number `edge` passes a layer."""

    edge: int
    layer: int


def place(sizes: Mapping[Key, Size], edges: Sequence[tuple[Key, Key]]) -> Placement:
    """Place boxes of given sizes; every edge leads to a lower layer. `sizes` is in the order of
    evaluation: the source of an edge stands before its target."""
    level = levels(list(sizes), edges)
    layers, chains = _layers(sizes, edges, level)
    links = [pair for chain in chains for pair in itertools.pairwise(chain)]
    above, below = _neighbours(links)
    layers = _ordered(layers, above, below)
    widths = {key: sizes[key][0] if key in sizes else POINT_WIDTH for row in layers for key in row}
    x = _abscissas(layers, widths, above, below)
    rows = _rows(layers, sizes)
    return _assembled(sizes, chains, level, x, rows)


# ---------------------------------------------------------------------------------- layers


def levels(keys: Sequence[Key], edges: Sequence[tuple[Key, Key]]) -> dict[Key, int]:
    """The longest path from the leaves; leaves themselves stand just above their first user."""
    level = dict.fromkeys(keys, 0)
    incoming: dict[Key, list[Key]] = {key: [] for key in keys}
    outgoing: dict[Key, list[Key]] = {key: [] for key in keys}
    for source, target in edges:
        incoming[target].append(source)
        outgoing[source].append(target)
    for key in keys:
        level[key] = max((level[each] + 1 for each in incoming[key]), default=0)
    for key in keys:
        if not incoming[key] and outgoing[key]:
            level[key] = min(level[each] for each in outgoing[key]) - 1
    return level


def _layers(
    sizes: Mapping[Key, Size], edges: Sequence[tuple[Key, Key]], level: Mapping[Key, int]
) -> tuple[list[list[Key]], list[list[Key]]]:
    """The boxes and points of each layer, and each edge as a chain of them."""
    layers: list[list[Key]] = [[] for _ in range(max(level.values(), default=-1) + 1)]
    for key in sizes:
        layers[level[key]].append(key)
    chains: list[list[Key]] = []
    for number, (source, target) in enumerate(edges):
        between = [_Point(number, each) for each in range(level[source] + 1, level[target])]
        for point in between:
            layers[point.layer].append(point)
        chains.append([source, *between, target])
    return layers, chains


def _neighbours(
    links: Sequence[tuple[Key, Key]],
) -> tuple[dict[Key, list[Key]], dict[Key, list[Key]]]:
    above: dict[Key, list[Key]] = {}
    below: dict[Key, list[Key]] = {}
    for source, target in links:
        below.setdefault(source, []).append(target)
        above.setdefault(target, []).append(source)
    return above, below


# ----------------------------------------------------------------------------------- order

Adjacent = Mapping[Key, list[Key]]


def _ordered(layers: list[list[Key]], above: Adjacent, below: Adjacent) -> list[list[Key]]:
    """The order with the fewest crossings that a few sweeps down and up have met."""
    best, fewest = layers, _crossings(layers, below)
    sweeps = SWEEPS if sum(map(len, layers)) < LARGE else 2
    for sweep in range(sweeps):
        layers = _swept(layers, above, below, down=sweep % 2 == 0)
        count = _crossings(layers, below)
        if count < fewest:
            best, fewest = layers, count
        if fewest == 0:
            break
    return best


def _swept(
    layers: list[list[Key]], above: Adjacent, below: Adjacent, *, down: bool
) -> list[list[Key]]:
    """Each layer sorted by the mean place of the neighbours in the layer before it."""
    result = list(layers)
    numbers = range(1, len(layers)) if down else range(len(layers) - 2, -1, -1)
    neighbours = above if down else below
    for number in numbers:
        fixed = _places(result[number - 1 if down else number + 1])
        result[number] = _by_barycentre(result[number], neighbours, fixed)
    return result


def _places(row: Sequence[Key]) -> dict[Key, int]:
    return {key: place for place, key in enumerate(row)}


def _by_barycentre(row: list[Key], neighbours: Adjacent, fixed: Mapping[Key, int]) -> list[Key]:
    """Those without neighbours keep their place, which is scaled to that of the others."""
    scale = len(fixed) / max(1, len(row))
    weight: dict[Key, float] = {}
    for place, key in enumerate(row):
        found = [fixed[each] for each in neighbours.get(key, ()) if each in fixed]
        weight[key] = sum(found) / len(found) if found else place * scale
    return sorted(row, key=weight.__getitem__)


def _crossings(layers: list[list[Key]], below: Adjacent) -> int:
    """How many pairs of edges cross, over all pairs of neighbouring layers."""
    total = 0
    for upper, lower in itertools.pairwise(layers):
        fixed = _places(lower)
        seen: list[int] = []
        for key in upper:
            ends = sorted(fixed[each] for each in below.get(key, ()))
            total += sum(len(seen) - bisect.bisect_right(seen, end) for end in ends)
            for end in ends:
                bisect.insort(seen, end)
    return total


# ---------------------------------------------------------------------------------- places


def _abscissas(
    layers: list[list[Key]], widths: Mapping[Key, float], above: Adjacent, below: Adjacent
) -> dict[Key, float]:
    """The horizontal centre of each box and point: near its neighbours, without overlaps."""
    x: dict[Key, float] = {}
    for row in layers:
        x.update(zip(row, _packed(row, widths), strict=True))
    for turn in range(ROUNDS if len(x) < LARGE else 8):
        rows = layers if turn % 2 == 0 else layers[::-1]
        for row in rows:
            wanted = [_wanted(key, x, (above, below), turn) for key in row]
            x.update(zip(row, _separated(row, widths, wanted), strict=True))
    for _ in range(3):
        _straighten(layers, widths, above, below, x)
    left = min((x[key] - widths[key] / 2 for key in x), default=0.0)
    return {key: value - left for key, value in x.items()}


def _packed(row: Sequence[Key], widths: Mapping[Key, float]) -> list[float]:
    """Side by side around 0."""
    total = sum(widths[key] + GAP for key in row) - GAP
    at, found = -total / 2, []
    for key in row:
        found.append(at + widths[key] / 2)
        at += widths[key] + GAP
    return found


def _wanted(
    key: Key, x: Mapping[Key, float], near: tuple[Adjacent, Adjacent], turn: int
) -> tuple[float, float]:
    """Where a box or point would best stand, and how much that matters: edges like to be straight.

    Downwards the boxes above count double, upwards those below.
    """
    total = weight = 0.0
    for side, neighbours in enumerate(near):
        for each in neighbours.get(key, ()):
            points = isinstance(key, _Point) + isinstance(each, _Point)
            part = (1.0, 2.0, 8.0)[points] * (2.0 if side == turn % 2 else 1.0)
            total += part * x[each]
            weight += part
    return (total / weight, weight) if weight else (x[key], 0.1)


def _separated(
    row: Sequence[Key], widths: Mapping[Key, float], wanted: Sequence[tuple[float, float]]
) -> list[float]:
    """The places nearest to the wanted ones (least squares) that keep order and distance.

    With the distances taken off, this is a monotone regression: blocks that would overlap are
    merged and stand at their mean.
    """
    offsets = [0.0]
    for left, right in itertools.pairwise(row):
        offsets.append(offsets[-1] + (widths[left] + widths[right]) / 2 + GAP)
    blocks: list[tuple[float, float, int]] = []  # mean, weight, how many
    for (target, weight), offset in zip(wanted, offsets, strict=True):
        mean, heavy, count = target - offset, weight, 1
        while blocks and blocks[-1][0] > mean:
            other, other_weight, other_count = blocks.pop()
            mean = (mean * heavy + other * other_weight) / (heavy + other_weight)
            heavy, count = heavy + other_weight, count + other_count
        blocks.append((mean, heavy, count))
    means = [mean for mean, _, count in blocks for _ in range(count)]
    return [mean + offset for mean, offset in zip(means, offsets, strict=True)]


def _straighten(
    layers: list[list[Key]],
    widths: Mapping[Key, float],
    above: Adjacent,
    below: Adjacent,
    x: dict[Key, float],
) -> None:
    """Put runs that neither fork nor join on one vertical line, as far as their neighbours let."""
    beside = _beside(layers)
    for row in layers:
        for key in row:
            if _follows(key, above, below) is None:
                _straighten_run(_run(key, above, below), widths, beside, x)


def _beside(layers: list[list[Key]]) -> dict[Key, tuple[Key | None, Key | None]]:
    """The left and the right neighbour of each box and point."""
    found: dict[Key, tuple[Key | None, Key | None]] = {}
    for row in layers:
        ends: list[Key | None] = [None, *row, None]
        found.update((key, (ends[i], ends[i + 2])) for i, key in enumerate(row))
    return found


def _follows(key: Key, above: Adjacent, below: Adjacent) -> Key | None:
    """What stands above on the same run, where both have no other neighbour there."""
    over = above.get(key, [])
    return over[0] if len(over) == 1 and len(below[over[0]]) == 1 else None


def _run(key: Key, above: Adjacent, below: Adjacent) -> list[Key]:
    found = [key]
    while len(below.get(found[-1], ())) == 1:
        following = below[found[-1]][0]
        if len(above[following]) != 1:
            break
        found.append(following)
    return found


def _straighten_run(
    run: list[Key],
    widths: Mapping[Key, float],
    beside: Mapping[Key, tuple[Key | None, Key | None]],
    x: dict[Key, float],
) -> None:
    """Cut the run where no common place is free; move each piece to the place nearest its mean."""
    piece: list[Key] = []
    low, high = -math.inf, math.inf
    for key in [*run, None]:
        least, most = (math.inf, -math.inf) if key is None else _room(key, widths, beside, x)
        if max(low, least) > min(high, most):
            mean = sum(x[each] for each in piece) / max(1, len(piece))
            x.update(dict.fromkeys(piece, min(max(mean, low), high)))
            piece, low, high = [], -math.inf, math.inf
        if key is not None:
            piece.append(key)
            low, high = max(low, least), min(high, most)


def _room(
    key: Key,
    widths: Mapping[Key, float],
    beside: Mapping[Key, tuple[Key | None, Key | None]],
    x: Mapping[Key, float],
) -> tuple[float, float]:
    """How far a box or point can move to the left and to the right."""
    left, right = beside[key]
    half = widths[key] / 2 + GAP
    low = -math.inf if left is None else x[left] + widths[left] / 2 + half
    high = math.inf if right is None else x[right] - widths[right] / 2 - half
    return min(low, x[key]), max(high, x[key])


def _rows(layers: list[list[Key]], sizes: Mapping[Key, Size]) -> list[tuple[float, float]]:
    """The upper and lower edge of each layer."""
    top, found = 0.0, []
    for row in layers:
        height = max((sizes[key][1] for key in row if key in sizes), default=0.0)
        found.append((top, top + height))
        top += height + LAYER_GAP
    return found


def _assembled(
    sizes: Mapping[Key, Size],
    chains: Sequence[Sequence[Key]],
    level: Mapping[Key, int],
    x: Mapping[Key, float],
    rows: Sequence[tuple[float, float]],
) -> Placement:
    centres = {key: (x[key], sum(rows[level[key]]) / 2) for key in sizes}
    routes = [
        Route(
            chain[0],
            chain[-1],
            [(x[point], *rows[point.layer]) for point in chain if isinstance(point, _Point)],
        )
        for chain in chains
    ]
    width = max((centres[key][0] + sizes[key][0] / 2 for key in sizes), default=0.0)
    passing = max((x[point] for chain in chains for point in chain[1:-1]), default=0.0)
    height = rows[-1][1] if rows else 0.0
    return Placement(centres, routes, max(width, passing + POINT_WIDTH / 2), height)
