"""The layout: no two boxes overlap, edges lead downwards, and a few hundred boxes take no time."""

from __future__ import annotations

import time
from collections.abc import Hashable
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from kedja.ir.layout import GAP, Placement, Size, place

Sizes = dict[Hashable, Size]
Edges = list[tuple[int, int]]
Drawing = tuple[Sizes, Edges]


@st.composite
def drawings(draw: st.DrawFn) -> Drawing:
    """Boxes of several sizes, and edges from earlier to later ones."""
    count = draw(st.integers(0, 25))
    widths = draw(st.lists(st.floats(40, 300), min_size=count, max_size=count))
    sizes: Sizes = {key: (width, 60.0 + key % 3) for key, width in enumerate(widths)}
    pairs = st.tuples(st.integers(0, max(0, count - 1)), st.integers(0, max(0, count - 1)))
    drawn = draw(st.lists(pairs, max_size=50 if count else 0, unique=True))
    return sizes, [(a, b) for a, b in drawn if a < b]


def rows(found: Placement) -> list[list[Hashable]]:
    """The boxes of each layer from left to right."""
    layers: dict[float, list[Hashable]] = {}
    for key, (_, y) in found.centres.items():
        layers.setdefault(round(y, 6), []).append(key)
    order = [layers[y] for y in sorted(layers)]
    return [sorted(row, key=lambda key: found.centres[key][0]) for row in order]


@given(drawings())
def test_boxes_keep_their_distance_and_stay_inside(drawing: Drawing) -> None:
    sizes, edges = drawing
    found = place(sizes, edges)
    for row in rows(found):
        for left, right in pairwise(row):
            apart = found.centres[right][0] - found.centres[left][0]
            assert apart >= (sizes[left][0] + sizes[right][0]) / 2 + GAP - 1e-6
    for key, (x, y) in found.centres.items():
        assert x - sizes[key][0] / 2 >= -1e-6 and x + sizes[key][0] / 2 <= found.width + 1e-6
        assert y - sizes[key][1] / 2 >= -1e-6 and y + sizes[key][1] / 2 <= found.height + 1e-6


@given(drawings())
def test_edges_lead_downwards_through_their_points(
    drawing: Drawing,
) -> None:
    sizes, edges = drawing
    found = place(sizes, edges)
    assert [(route.source, route.target) for route in found.routes] == edges
    for route in found.routes:
        down = [found.centres[route.source][1]]
        for _, above, below in route.points:
            down += [above, below]
        down.append(found.centres[route.target][1])
        assert down == sorted(down)


def test_the_same_graph_is_placed_in_the_same_way() -> None:
    sizes: Sizes = dict.fromkeys(range(30), (80.0, 50.0))
    edges = [(a, b) for a in range(30) for b in range(a + 1, 30) if (a * 7 + b) % 5 == 0]
    assert place(sizes, edges) == place(sizes, edges)


def test_a_chain_is_a_straight_line() -> None:
    sizes: Sizes = {key: (60.0 + 10 * key, 50.0) for key in range(6)}
    found = place(sizes, list(pairwise(range(6))))
    assert len({round(x, 6) for x, _ in found.centres.values()}) == 1


def test_two_crossed_pairs_are_uncrossed() -> None:
    sizes: Sizes = dict.fromkeys("abcd", (60.0, 50.0))
    found = place(sizes, [("a", "d"), ("b", "c")])
    assert [key for row in rows(found) for key in row] in (
        ["a", "b", "d", "c"],
        ["b", "a", "c", "d"],
    )


def test_a_leaf_stands_just_above_its_first_user() -> None:
    sizes: Sizes = dict.fromkeys("abcdl", (60.0, 50.0))
    found = place(sizes, [("a", "b"), ("b", "c"), ("c", "d"), ("l", "d")])
    assert found.centres["l"][1] == found.centres["c"][1]


def test_some_hundreds_of_boxes_are_placed_within_seconds() -> None:
    sizes: Sizes = dict.fromkeys(range(600), (120.0, 60.0))
    edges = [(key - step, key) for key in range(600) for step in (1, 7, 40) if key >= step]
    start = time.process_time()
    found = place(sizes, edges)
    assert len(found.centres) == 600
    assert time.process_time() - start < 20
