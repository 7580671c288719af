"""A graph as a picture: boxes with lines of text, joined by curves, as self-contained SVG.

A box may hold a drawing of its own. Where an edge would pass many layers, a small box with the
name of its beginning stands at its end instead. Colours follow the reader's light or dark
preference. Nothing is loaded from anywhere. Not here: where the boxes stand (`layout.py`) and what
the lines say (`picture.py`). Next: `layout.py`.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from kedja.ir.layout import Placement, Route, Size, levels, place

MARGIN = 20.0
PADDING = 12.0
LINE = 17.0  # from one line of text to the next
LONGEST = 52  # characters of a line; the rest is in the tooltip
NARROWEST = 64.0
PORT = 16.0  # between two edges that enter one box
FAR = 10  # layers: a longer edge is not drawn

# Width of a character as a part of the font size. Both fonts are the reader's own, so that this
# is an estimate; the monospaced one is the same everywhere to within a few per cent.
WIDTHS = {"kj-text": 0.602, "kj-title": 0.602, "kj-value": 0.602, "kj-gradient": 0.602}
SMALL_WIDTH = 0.56
FONT, SMALL_FONT = 13.0, 11.0

STYLE = """
.kj-paper{fill:#fbfbfa}
.kj-box{fill:#ffffff;stroke:#c9c8c3;stroke-width:1}
.kj-input{fill:#e9f2fb;stroke:#7fa8cf}
.kj-constant{fill:#f3f1ea;stroke:#bdb59d}
.kj-output{fill:#ffffff;stroke:#3a6ea5;stroke-width:2}
.kj-module{fill:#f1f5ee;stroke:#8fb07a}
.kj-open{fill:none;stroke:#8fb07a;stroke-dasharray:4 3}
.kj-port{fill:#f3f1ea;stroke:none}
.kj-edge{fill:none;stroke:#8f8e89;stroke-width:1.3}
.kj-tip{fill:#8f8e89}
.kj-font{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;\
font-size:13px}
.kj-title{fill:#1d1d1b;font-weight:600}
.kj-text{fill:#1d1d1b}
.kj-small{fill:#767570;font-family:ui-sans-serif,system-ui,"Segoe UI",Helvetica,Arial,\
"DejaVu Sans",sans-serif;font-size:11px}
.kj-value{fill:#17663a}
.kj-gradient{fill:#a3341f}
@media (prefers-color-scheme:dark){
.kj-paper{fill:#17181a}
.kj-box{fill:#222427;stroke:#4a4d52}
.kj-input{fill:#1c2c3d;stroke:#4f7dab}
.kj-constant{fill:#2b2922;stroke:#6e6750}
.kj-output{fill:#222427;stroke:#7db2e8}
.kj-module{fill:#20291b;stroke:#6d8f58}
.kj-open{fill:none;stroke:#6d8f58}
.kj-port{fill:#2b2922;stroke:none}
.kj-edge{stroke:#85888e}
.kj-tip{fill:#85888e}
.kj-title,.kj-text{fill:#ececea}
.kj-small{fill:#a2a4a8}
.kj-value{fill:#7fd6a0}
.kj-gradient{fill:#f0927d}
}
"""


@dataclass(frozen=True)
class Box:
    """A box: its lines, each with a class of the style sheet, its kind, and its tooltip.

    `kind` is "op", "input", "constant", "output", "module", "open" (it has a drawing `inside`) or
    "port" (a name for what stands elsewhere); `stacked` boxes stand for several.
    """

    lines: tuple[tuple[str, str], ...]
    kind: str = "op"
    tip: str = ""
    inside: tuple[Drawing, ...] = ()
    stacked: bool = False


@dataclass(frozen=True)
class Drawing:
    """Boxes in the order of evaluation, by names that others may see; edges from input to user."""

    boxes: Mapping[str, Box]
    edges: Sequence[tuple[str, str]]
    title: str = ""


@dataclass(frozen=True)
class _Placed:
    """A drawing with the places of its boxes, and of those inside them."""

    drawing: Drawing
    placement: Placement
    sizes: Mapping[Hashable, Size]
    inside: Mapping[str, tuple[_Placed, ...]]

    @property
    def size(self) -> Size:
        """The extents, with room for a title."""
        return self.placement.width, self.placement.height + LINE * bool(self.drawing.title)


def draw(boxes: Mapping[str, Box], edges: Sequence[tuple[str, str]], title: str = "graph") -> str:
    """The picture. `boxes` stand in the order of evaluation, and edges lead from input to user."""
    placed = _placed(Drawing(boxes, edges))
    width, height = placed.placement.width + 2 * MARGIN, placed.placement.height + 2 * MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" height="{height:.0f}" role="img" aria-label="{_attribute(title)}">',
        f"<style>{STYLE}</style>",
        '<rect class="kj-paper" width="100%" height="100%"/>',
        f'<g transform="translate({MARGIN:.0f} {MARGIN:.0f})">',
        *_content_of(placed),
        "</g></svg>",
    ]
    return "\n".join(parts) + "\n"


def _placed(drawing: Drawing) -> _Placed:
    near = _without_far_edges(drawing)
    inside = {key: tuple(map(_placed, box.inside)) for key, box in near.boxes.items() if box.inside}
    sizes: dict[Hashable, Size] = {
        key: _size(box, inside.get(key, ())) for key, box in near.boxes.items()
    }
    return _Placed(near, place(sizes, near.edges), sizes, inside)


def _without_far_edges(drawing: Drawing) -> Drawing:
    """Edges that would pass many layers as small boxes with the name of their beginning."""
    level = levels(list(drawing.boxes), drawing.edges)
    far = [(a, b) for a, b in drawing.edges if level[b] - level[a] > FAR]
    if not far:
        return drawing
    ports: dict[str, list[str]] = {}
    for source, target in far:
        ports.setdefault(target, []).append(source)
    boxes: dict[str, Box] = {}
    for key, box in drawing.boxes.items():
        boxes |= {f"{each} → {key}": port(each) for each in ports.get(key, ())}
        boxes[key] = box
    cut = [(f"{a} → {b}", b) for a, b in far]
    kept = set(far)
    return Drawing(
        boxes, [*(each for each in drawing.edges if each not in kept), *cut], drawing.title
    )


def port(name: str) -> Box:
    """A small box with the name of what stands elsewhere."""
    return Box(((name, "kj-small"),), "port")


def _content_of(placed: _Placed) -> list[str]:
    rows = _curves(placed.placement, placed.sizes)
    for key, box in placed.drawing.boxes.items():
        centre, size = placed.placement.centres[key], placed.sizes[key]
        rows.append(_box(box, centre, size))
        rows += _inside(box, placed.inside.get(key, ()), centre, size)
    return rows


def _inside(
    box: Box, drawings: Sequence[_Placed], centre: tuple[float, float], size: Size
) -> list[str]:
    """The drawings inside a box, side by side below its lines."""
    widths = sum(each.size[0] for each in drawings) + PADDING * (len(drawings) - 1)
    x = centre[0] - widths / 2
    top = centre[1] - size[1] / 2 + _text_height(box)
    rows = []
    for each in drawings:
        y = top
        if each.drawing.title:
            middle = x + each.size[0] / 2
            rows.append(_text(each.drawing.title, "kj-small", (middle, top + 0.75 * LINE)))
            y += LINE
        rows += [f'<g transform="translate({x:.1f} {y:.1f})">', *_content_of(each), "</g>"]
        x += each.size[0] + PADDING
    return rows


# ----------------------------------------------------------------------------------- boxes


def _columns(text: str) -> int:
    """How many columns a monospaced font takes; East Asian characters take two."""
    return sum(2 if unicodedata.east_asian_width(each) in "WF" else 1 for each in text)


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _line_width(text: str, style: str) -> float:
    columns = _columns(_shortened(text))
    return columns * (WIDTHS[style] * FONT if style in WIDTHS else SMALL_WIDTH * SMALL_FONT)


def _text_height(box: Box) -> float:
    return len(box.lines) * LINE + 1.4 * PADDING


def _size(box: Box, inside: Sequence[_Placed]) -> Size:
    widest = max((_line_width(*line) for line in box.lines), default=0.0)
    if box.kind == "port":
        return widest + PADDING, LINE + 4
    width = max(NARROWEST, widest + 2 * PADDING)
    if not inside:
        return width, _text_height(box)
    wide = sum(each.size[0] for each in inside) + PADDING * (len(inside) + 1)
    tall = max(each.size[1] for each in inside) + PADDING
    return max(width, wide), _text_height(box) + tall


def _box(box: Box, centre: tuple[float, float], size: tuple[float, float]) -> str:
    (x, y), (width, height) = centre, size
    left, top = x - width / 2, y - height / 2
    style = "kj-box" if box.kind == "op" else f"kj-box kj-{box.kind}"
    extents = f'width="{width:.1f}" height="{height:.1f}" rx="8"/>'
    shifts = (6.0, 3.0, 0.0) if box.stacked else (0.0,)
    rows = [f'<rect class="{style}" x="{left + d:.1f}" y="{top + d:.1f}" {extents}' for d in shifts]
    above = 2.0 if box.kind == "port" else 0.7 * PADDING
    for number, (text, name) in enumerate(box.lines):
        rows.append(_text(text, name, (x, top + above + (number + 0.75) * LINE)))
    tip = f"<title>{_content(box.tip)}</title>" if box.tip else ""
    return f"<g>{tip}{''.join(rows)}</g>"


def _text(text: str, style: str, at: tuple[float, float]) -> str:
    place = f'x="{at[0]:.1f}" y="{at[1]:.1f}" text-anchor="middle"'
    return f'<text class="kj-font {style}" {place}>{_content(_shortened(text))}</text>'


def _legal(text: str) -> str:
    """The text without characters that XML does not allow."""
    return "".join(
        each if each in "\t\n" or (each >= " " and not _is_forbidden(ord(each))) else "\ufffd"
        for each in text
    )


def _is_forbidden(code: int) -> bool:
    return 0x7F <= code <= 0x9F or 0xD800 <= code <= 0xDFFF or code in (0xFFFE, 0xFFFF)


def _content(text: str) -> str:
    return escape(_legal(text), quote=False)


def _attribute(text: str) -> str:
    return escape(_legal(text), quote=True)


# ----------------------------------------------------------------------------------- edges


def _curves(placement: Placement, sizes: Mapping[Hashable, Size]) -> list[str]:
    """Each edge as a smooth curve with a tip; edges into one box enter side by side."""
    arriving: dict[Hashable, list[Route]] = {}
    for route in placement.routes:
        arriving.setdefault(route.target, []).append(route)
    found = []
    for target, routes in arriving.items():
        (x, y), (width, height) = placement.centres[target], sizes[target]
        ordered = sorted(routes, key=lambda route: _last_x(route, placement))
        step = min(PORT, (width - 2 * PADDING) / max(1, len(routes) - 1))
        for number, route in enumerate(ordered):
            port = x + (number - (len(routes) - 1) / 2) * step
            found.append(_curve(route, placement, sizes, (port, y - height / 2)))
    return found


def _last_x(route: Route, placement: Placement) -> float:
    return route.points[-1][0] if route.points else placement.centres[route.source][0]


def _curve(
    route: Route,
    placement: Placement,
    sizes: Mapping[Hashable, Size],
    end: tuple[float, float],
) -> str:
    x, y = placement.centres[route.source]
    y += sizes[route.source][1] / 2
    path = [f"M{x:.1f} {y:.1f}"]
    for through, above, below in route.points:
        path += [_bend(x, y, through, above), f"V{below:.1f}"]
        x, y = through, below
    path.append(_bend(x, y, end[0], end[1] - 6))
    tip = f"M{end[0] - 4:.1f} {end[1] - 7:.1f}h8l-4 7z"
    return f'<path class="kj-edge" d="{"".join(path)}"/><path class="kj-tip" d="{tip}"/>'


def _bend(x: float, y: float, to_x: float, to_y: float) -> str:
    """A curve that leaves and arrives vertically."""
    middle = (y + to_y) / 2
    return f"C{x:.1f} {middle:.1f} {to_x:.1f} {middle:.1f} {to_x:.1f} {to_y:.1f}"
