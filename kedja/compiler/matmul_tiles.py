"""The register tiles and blocks of a matrix product: how many rows, vectors and steps of k.

Not here: packing and tasks (`matmul_plan.py`), nor any code. Next: `matmul_plan.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class Target(Protocol):
    """What a plan needs to know of a processor (`runtime_target.Target` has it).

    Vector registers and their bits, the bytes of one core's caches, and whether masked loads and
    stores cost about as much as plain ones.
    """

    @property
    def vector_bits(self) -> int: ...
    @property
    def registers(self) -> int: ...
    @property
    def l1(self) -> int: ...
    @property
    def l2(self) -> int: ...
    @property
    def has_masked_ops(self) -> bool: ...


@dataclass(frozen=True)
class Split:
    """`size` things in `count` runs of `base` or `base + 1`, the longer runs first."""

    size: int
    count: int

    @property
    def base(self) -> int:
        """The length of a short run."""
        return self.size // self.count

    @property
    def longer(self) -> int:
        """How many runs are longer by one."""
        return self.size % self.count

    @property
    def longest(self) -> int:
        """The length of the longest run."""
        return self.base + (self.longer > 0)


# The most rows of a tile of 1, 2, 3 ... vectors that LLVM keeps in registers, temporaries included:
# with 16 registers, with 32, and with 32 where operands cannot come from memory (NEON).
TALLEST_16 = (7, 6, 3, 2, 1, 1)
TALLEST_32 = (13, 13, 8, 6, 4, 3, 3, 2)
TALLEST_NEON = (13, 10, 7, 5, 4, 3, 3, 2)


def tallest_tiles(target: Target) -> tuple[int, ...]:
    """The most rows of a tile, for 1, 2, 3 ... vectors."""
    if target.registers < 32:
        return TALLEST_16
    return TALLEST_NEON if target.vector_bits == 128 else TALLEST_32


def choose_tile(m: int, width: int, target: Target, most: int) -> tuple[Split, int]:
    """The cut of m rows into register tiles, and the vectors per tile: the lowest estimate.

    C has `width` vectors in a row; a tile has at most `most` rows.
    """
    height = max(1, m)
    best = (float("inf"), Split(m, 1), 1)
    for vectors, tallest in enumerate(tallest_tiles(target), start=1):
        for rows in range(1, min(tallest, most, height) + 1 if vectors <= width else 1):
            split = Split(m, -(-height // rows))
            cost = _tile_cost(split, vectors, width)
            best = min(best, (cost, split, vectors), key=lambda found: found[0])
    return best[1], best[2]


def _tile_cost(rows: Split, vectors: int, width: int) -> float:
    """Half cycles per step of k on a core with two multiply-adds and two loads a cycle.

    At least 10 sums must be under way to hide the latency. Loading B costs a bit more than that,
    since it may come from the second-level cache. Every kernel to compile counts as 4 %.
    """
    heights = [(rows.longer, rows.base + 1), (rows.count - rows.longer, rows.base)]
    widths = [(width // vectors, vectors), (1, width % vectors)]
    kinds = [
        (tiles * panels, r, v) for tiles, r in heights for panels, v in widths if tiles * panels * v
    ]
    steps = sum(count * (max(r * v, r + v, 10) + 0.5 * v) for count, r, v in kinds)
    return steps * (1 + 0.04 * len(kinds))


def block_of_k(k: int, limit: int, lanes: int) -> int:
    """Steps per block of k: equal blocks of whole vectors; no last block shorter than a vector."""
    if k <= max(limit, 2 * lanes):
        return max(1, k)
    blocks = -(-k // limit)
    block = -(-k // (blocks * lanes)) * lanes
    while 0 < k % block < lanes:
        block += lanes
    return block
