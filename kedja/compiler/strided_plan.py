"""How a product of strided views is cut into register tiles and tasks: pure data.

Rows are pixels (or places of a kernel × channels), the sum runs over places × channels, the
columns are channels out. Nothing is copied: a tile of rows × vectors of columns stays in
registers while the sum's axes are stepped through in memory. Choices depend on shape and target
alone. Not here: any LLVM (`llvm_strided.py`). Next: `llvm_strided.py`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

from kedja.compiler.matmul_tiles import Split, Target, tallest_tiles
from kedja.ground.dtypes import DType
from kedja.ops.strided_product import Depth, Depths, Row, Rows

TASK = 500_000  # multiply-adds of one task, aimed at
MOST_TASKS = 64
LEAST = 32_768  # multiply-adds below which work is not shared


class Line(NamedTuple):
    """One axis of the rows: its extent, the step in a, and the step in rows of the result."""

    extent: int
    a: int
    out: int


@dataclass(frozen=True)
class StridedShape:
    """The product as the kernel sees it: neighbouring axes that step as one are joined.

    The rows are walked in the order in which a lies, which need not be that of the result.
    """

    rows: tuple[Line, ...]
    depth: Depths
    columns: int
    starts: tuple[int, int]
    pieces: int
    dtype: DType

    @property
    def lines(self) -> int:
        """Rows of one piece."""
        return math.prod(each.extent for each in self.rows)

    @property
    def steps(self) -> int:
        """Places that are summed, of all pieces together."""
        return math.prod(each.extent for each in self.depth)

    @property
    def multiply_adds(self) -> int:
        """The work."""
        return self.lines * self.steps * self.columns


def shape_of(attrs: Mapping[str, Any], dtype: DType) -> StridedShape:
    """The shape of a strided product with these attributes."""
    pieces = attrs["pieces"]
    first, rest = attrs["depth"][:1], attrs["depth"][1:]
    depth = (*first, *joined_depth(rest)) if pieces > 1 else joined_depth((*first, *rest))
    return StridedShape(
        joined_rows(attrs["rows"]), depth, attrs["columns"], attrs["starts"], pieces, dtype
    )


def joined_rows(axes: Rows) -> tuple[Line, ...]:
    """Neighbours of which the outer steps over the whole inner one become one; at least one."""
    made: list[Line] = []
    for each in sorted(_lines(axes), key=lambda line: -line.a):
        last = made[-1] if made else None
        if last and (last.a, last.out) == (each.a * each.extent, each.out * each.extent):
            made[-1] = Line(last.extent * each.extent, each.a, each.out)
        else:
            made.append(each)
    return tuple(made) or (Line(1, 0, 1),)


def _lines(axes: Rows) -> list[Line]:
    """The axes that are longer than 1, with their steps in the result."""
    made, out = [], 1
    for each in reversed(axes):
        made.append(Line(each.extent, each.a, out))
        out *= each.extent
    return [each for each in reversed(made) if each.extent > 1]


def is_in_order(axes: Rows) -> bool:
    """Whether the rows are walked in the order of the result."""
    outs = [line.out for line in joined_rows(axes)]
    return outs == sorted(outs, reverse=True)


def joined_depth(axes: Depths) -> Depths:
    """The same for the axes of the sum, along which both factors must step as one."""
    made: list[Depth] = []
    for each in axes:
        if each.extent == 1:
            continue
        last = made[-1] if made else None
        if last and (last.a, last.b) == (each.a * each.extent, each.b * each.extent):
            made[-1] = Depth(last.extent * each.extent, each.a, each.b)
        else:
            made.append(each)
    return tuple(made) or (Depth(1, 0, 0),)


@dataclass(frozen=True)
class StridedPlan:
    """Every choice about one product."""

    shape: StridedShape
    lanes: int  # elements of a vector
    vectors: int  # vectors of a register tile
    whole: int  # how many of the last axes stand in every tile as a whole
    cut: Split  # the axis before them, cut into tiles
    row_blocks: int  # register tiles of all pieces, shared out among tasks
    column_blocks: int  # panels, likewise

    @property
    def tasks(self) -> int:
        """The tasks: a block of rows and a block of columns each."""
        return self.row_blocks * self.column_blocks

    @property
    def outer(self) -> tuple[Line, ...]:
        """The axes outside the tiles."""
        return self.shape.rows[: len(self.shape.rows) - self.whole - 1]

    @property
    def unit(self) -> int:
        """Rows for each step along the axis that is cut."""
        return math.prod(each.extent for each in self.shape.rows[len(self.outer) + 1 :])

    @cached_property
    def tiles(self) -> int:
        """Register tiles of rows in one piece."""
        return self.cut.count * math.prod(each.extent for each in self.outer)

    @property
    def width(self) -> int:
        """Vectors of a row of the result, the last one perhaps partly used."""
        return -(-self.shape.columns // self.lanes)

    @property
    def panels(self) -> int:
        """Tiles side by side, the last one perhaps narrower."""
        return -(-self.width // self.vectors)

    @property
    def last_vectors(self) -> int:
        """The vectors of the last panel."""
        return self.width - (self.panels - 1) * self.vectors

    @property
    def tail(self) -> int:
        """The used lanes of the last vector; 0 if all are."""
        return self.shape.columns % self.lanes

    @property
    def heights(self) -> list[int]:
        """Steps along the axis that is cut: of the longer tiles, then of the shorter ones."""
        return [self.cut.base + 1, self.cut.base] if self.cut.longer else [self.cut.base]

    def row_places(self, height: int) -> list[tuple[int, int]]:
        """The offset in a of every row of a tile, and the row of the result."""
        places = [(0, 0)]
        inner = self.shape.rows[len(self.outer) :]
        for count, axis in zip((height, *(each.extent for each in inner[1:])), inner, strict=True):
            places = [(a + i * axis.a, r + i * axis.out) for a, r in places for i in range(count)]
        return places


def plan(shape: StridedShape, target: Target) -> StridedPlan:
    """The plan of a product, from its shape and the target alone."""
    lanes = _lanes(shape, target)
    width = -(-shape.columns // lanes)
    whole, cut, vectors = min(_tilings(shape, target, width), key=lambda t: _cost(shape, width, *t))
    made = StridedPlan(shape, lanes, vectors, whole, cut, 1, 1)
    rows, columns = min(_blocks(made), key=lambda blocks: _reading(made, *blocks))
    return replace(made, row_blocks=rows, column_blocks=columns)


def _blocks(plan: StridedPlan) -> Iterator[tuple[int, int]]:
    """Numbers of row blocks and column blocks that make about as many tasks as wanted."""
    wanted = _wanted(plan.shape.multiply_adds)
    most = plan.shape.pieces * plan.tiles
    for columns in range(1, min(plan.panels, wanted) + 1):
        yield min(most, -(-wanted // columns)), columns


def _reading(plan: StridedPlan, rows: int, columns: int) -> tuple[bool, float]:
    """Whether threads would stand idle, then what all tasks together read of both factors."""
    shape = plan.shape
    left = columns * _distinct(shape)
    right = max(1, rows / shape.pieces) * shape.steps * shape.columns
    few = rows * columns < min(8, _wanted(shape.multiply_adds))
    return few, left + right


def _distinct(shape: StridedShape) -> int:
    """About how many elements of the first factor are read: no place counts twice."""
    axes = [Row(line.extent, line.a) for line in shape.rows]
    axes += [Row(each.extent, each.a) for each in shape.depth]
    total, seen = 1, set()
    for axis in sorted(axes, key=lambda each: (-each.extent, each.a)):
        if axis.a not in seen:
            seen.add(axis.a)
            total *= axis.extent
    return total


def _lanes(shape: StridedShape, target: Target) -> int:
    """The target's vector, halved as long as half of it holds all columns."""
    lanes = target.vector_bits // (8 * shape.dtype.itemsize)
    while lanes > 4 and shape.columns <= lanes // 2:
        lanes //= 2
    return lanes


def _wanted(work: int) -> int:
    """How many tasks so much work should have; depends on nothing else."""
    if work < 2 * LEAST:
        return 1
    return max(min(8, work // LEAST), min(MOST_TASKS, work // TASK))


def _tilings(shape: StridedShape, target: Target, width: int) -> Iterator[tuple[int, Split, int]]:
    """All that fit into the registers: axes taken whole, the cut of the next one, vectors."""
    for vectors, tallest in enumerate(tallest_tiles(target)[:width], start=1):
        unit = 1
        for whole, axis in enumerate(reversed(shape.rows)):
            for height in range(1, min(axis.extent, tallest // unit) + 1):
                yield whole, Split(axis.extent, -(-axis.extent // height)), vectors
            unit *= axis.extent
            if unit > tallest:
                break


def _cost(shape: StridedShape, width: int, whole: int, cut: Split, vectors: int) -> float:
    """Half cycles per step of the sum on a core with two multiply-adds and two loads a cycle."""
    rest = shape.rows[: len(shape.rows) - whole - 1]
    times = math.prod(each.extent for each in rest)
    unit = shape.lines // (times * cut.size)
    heights = [(cut.longer, cut.base + 1), (cut.count - cut.longer, cut.base)]
    widths = [(width // vectors, vectors), (1, width % vectors)]
    kinds = [
        (times * tiles * panels, h * unit, v)
        for tiles, h in heights
        for panels, v in widths
        if tiles * panels * v
    ]
    each = sum(count * (max(r * v, r + v, 10) + 0.5 * v) for count, r, v in kinds)
    once = sum(count * (10 + 2 * r * v) for count, r, v in kinds) / max(1, shape.steps)
    return (each + once) * (1 + 0.02 * len(kinds))
