"""How attention of known shape is cut into tasks, tiles and strips: pure data.

Attention is many small products, one pair for each head of each example. A task takes several heads
one after the other, so that its scratch stays in the cache. Within a head:

    forward    for each tile of `rows` queries: a strip of scores against all keys that it may
               attend to, softmax of its rows, times the values
    backward   for each block of `block` tiles: the strips of the weights P and of dS; dq from dS;
               then, for each tile of keys, what the block adds to dk and dv

Strips live in scratch, so memory holds rows × keys of the matrix, never queries × keys. Keys (and,
on the way back, values) are packed once for each head, transposed, into panels of `vectors`
vectors. Where queries and keys are bfloat16, widened, their scores are multiplied in pairs
(`matmul_pairs.py`), which rounds nothing more; so are cotangents and values on the way back.
Weights and dS are float32, and so are their products. Not here: any LLVM (`llvm_attention.py`), and
the number of threads, which no choice depends on. Next: `llvm_attention.py`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from kedja.compiler.matmul_tiles import Split, Target, tallest_tiles
from kedja.ground.dtypes import DType

TASKS = 16  # a task should have several heads, whose scratch stays where it is
STRIPS = 192 * 1024  # bytes of both strips of a block on the way back
BLOCK = 8  # tiles of a block at most: some 64 rows pay for loading and storing dk and dv
TALLEST = 8  # rows of a tile: common lengths have tiles of one height, so one kernel each


@dataclass(frozen=True)
class View:
    """Where an operand's rows stand in memory, in elements; each row is contiguous."""

    offset: int
    lead: tuple[int, ...]  # the steps of the leading axes
    row: int  # from one row to the next


@dataclass(frozen=True)
class AttentionShape:
    """`lead` many times: queries (rows, width), keys (keys, width), values (keys, out)."""

    lead: tuple[int, ...]
    rows: int
    keys: int
    width: int
    out: int
    dtype: DType
    scale: float
    causal: bool
    rounded: tuple[str, ...] = ()  # of "keys", "values": what is in bfloat16, and what it meets

    @property
    def heads(self) -> int:
        """How many times."""
        return math.prod(self.lead)

    @property
    def scores(self) -> int:
        """The scores of one head that are not masked."""
        if not self.causal:
            return self.rows * self.keys
        short = min(self.rows, self.keys)
        return short * (short + 1) // 2 + (self.rows - short) * self.keys


@dataclass(frozen=True)
class AttentionPlan:
    """Every choice about one attention or its gradient."""

    shape: AttentionShape
    lanes: int
    vectors: int  # vectors of a panel of keys
    tiles: Split  # the queries in register tiles
    key_tiles: Split  # the keys in register tiles: rows of dk and dv
    block: int  # tiles of queries that are treated together on the way back

    @property
    def tasks(self) -> int:
        """The tasks: the heads, shared out."""
        return max(1, min(self.shape.heads, TASKS))

    @property
    def panel(self) -> int:
        """Keys of a panel."""
        return self.vectors * self.lanes

    @property
    def panels(self) -> int:
        """Panels of keys, the last perhaps narrower."""
        return -(-self.shape.keys // self.panel)

    @property
    def last_vectors(self) -> int:
        """Vectors of the last panel."""
        left = self.shape.keys - (self.panels - 1) * self.panel
        return -(-left // self.lanes)

    @property
    def key_tail(self) -> int:
        """The used lanes of the last vector of keys; 0 if all are."""
        return self.shape.keys % self.lanes

    @property
    def strip(self) -> int:
        """Elements from one row of a strip to the next: no power of two."""
        return (self.panels * self.vectors | 1) * self.lanes

    @property
    def padded_width(self) -> int:
        """Elements of a row of queries, copied."""
        return self.whole(self.shape.width)

    @property
    def padded_out(self) -> int:
        """Elements of a row of the cotangent, copied."""
        return self.whole(self.shape.out)

    def whole(self, count: int) -> int:
        """A number of elements in whole vectors."""
        return -(-count // self.lanes) * self.lanes

    @property
    def tallest(self) -> int:
        """Rows of the tallest tile, in whole vectors: room for one number of each row."""
        return self.whole(self.tiles.longest)

    def packed(self, name: str) -> int:
        """Elements of a head's keys or values in panels."""
        return self.depth(name) * self.panels * self.panel

    def depth(self, name: str) -> int:
        """The steps of the products with the keys, or with the values, transposed: their width, or
        the pairs in it where bfloat16 is multiplied."""
        width = self.shape.width if name == "keys" else self.shape.out
        return -(-width // 2) if name in self.shape.rounded else width

    @property
    def pairs(self) -> int:
        """Elements from one row of pairs to the next; 0 where nothing is multiplied in pairs."""
        return max((self.whole(self.depth(name)) for name in self.shape.rounded), default=0)

    def forward_scratch(self) -> dict[str, int]:
        """The elements of each part of a task's scratch on the way there."""
        return {
            "keys": self.packed("keys"),
            "strip": self.strip * self.tiles.longest,
            "pairs": self.pairs * self.tiles.longest,
            "queries": self.padded_width * self.tiles.longest,
            "peaks": self.tallest,
            "totals": self.tallest,
            "sums": self.tallest * self.lanes,
        }

    def backward_scratch(self) -> dict[str, int]:
        """The elements of each part of a task's scratch on the way back."""
        rows = self.block * self.tiles.longest
        return {
            "keys": self.packed("keys"),
            "values": self.packed("values"),
            "weights": self.strip * rows,
            "changes": self.strip * rows,
            "pairs": self.pairs * self.tiles.longest,
            "queries": self.padded_width * rows,
            "cotangents": self.padded_out * rows,
            "inner": self.whole(rows),
        }


def plan(shape: AttentionShape, target: Target) -> AttentionPlan:
    """The plan, from the shape and the target alone."""
    lanes = target.vector_bits // (8 * shape.dtype.itemsize)
    vectors = min(2, -(-shape.keys // lanes))
    tallest = min(TALLEST, tallest_tiles(target)[1])
    tiles = Split(shape.rows, -(-shape.rows // tallest))
    made = AttentionPlan(
        shape, lanes, vectors, tiles, Split(shape.keys, -(-shape.keys // tallest)), 1
    )
    bytes_of_tile = 2 * made.strip * tiles.longest * shape.dtype.itemsize
    block = max(1, min(BLOCK, tiles.count, STRIPS // bytes_of_tile))
    return AttentionPlan(shape, lanes, vectors, tiles, made.key_tiles, block)
