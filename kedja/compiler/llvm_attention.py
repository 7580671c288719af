"""Attention and its gradient as LLVM IR: the loops over heads, tiles and panels.

Every emitted function is `void f(ptr args, i64 task)`. Its `args`, in this order:

    forward    q, k, v, y, l, scratch            l only where it is asked for
    backward   q, k, v, y, l, g, dq, dk, dv, scratch

Each sum has a fixed order that depends on the shape and the target alone. Not here: the choices
(`attention_plan.py`), what is done to single rows (`llvm_attention_rows.py`), register tiles
(`llvm_matmul_kernels.py`). Next: `kernels.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from kedja.compiler import llvm_ir as ir
from kedja.compiler.attention_plan import AttentionPlan, View
from kedja.compiler.llvm_attention_rows import (
    Change,
    RowCopy,
    RowPart,
    RowScale,
    Softmax,
    least,
)
from kedja.compiler.llvm_blocks import I64, PTR, Index, for_range, function, i64, load_at
from kedja.compiler.llvm_matmul_kernels import Tile
from kedja.compiler.llvm_matmul_pack import PanelPacker
from kedja.compiler.llvm_matmul_pairs import (
    PairPanelPacker,
    PairReader,
    PairRowPacker,
    PairVectors,
)
from kedja.compiler.llvm_matmul_vectors import Vectors
from kedja.compiler.matmul_pairs import LANES
from kedja.compiler.matmul_tiles import Split
from kedja.ground.dtypes import float32

Part = Tile | PanelPacker | PairPanelPacker | PairRowPacker | RowPart
NOTHING = ir.Constant(PTR, None)
Addresses = Mapping[str, ir.Value]


def _size(parts: Mapping[str, int]) -> int:
    return sum(-(-size // 16) * 16 for size in parts.values())


@dataclass
class Heads:
    """The function of one attention while it is being emitted: a loop over a task's heads."""

    module: ir.Module
    name: str
    plan: AttentionPlan
    views: Mapping[str, View]  # by the operand's name, in the order of the args
    parts: Mapping[str, int]  # of scratch
    _made: dict[Part, ir.Function] = field(default_factory=dict)

    @property
    def v(self) -> Vectors:
        """The vectors of the kernel."""
        return Vectors(self.module, self.plan.shape.dtype, self.plan.lanes)

    @property
    def scratch_bytes(self) -> int:
        """The bytes of all tasks' scratch."""
        return self.plan.tasks * _size(self.parts) * self.plan.shape.dtype.itemsize

    def call(self, b: ir.IRBuilder, part: Part, args: Sequence[Index]) -> None:
        """Call the function of a part, which is emitted once."""
        if part not in self._made:
            self._made[part] = part.emit(f"{self.name}_{len(self._made)}")
        b.call(self._made[part], [i64(each) if isinstance(each, int) else each for each in args])

    def heads(self) -> Iterator[tuple[ir.IRBuilder, Addresses]]:
        """Once, with the builder inside the loop over the task's heads and all addresses."""
        b, made = function(self.module, self.name, {"args": PTR, "task": I64})
        made.attributes.add("nounwind")
        args, task = made.args
        pointers = {name: load_at(b, args, place, PTR) for place, name in enumerate(self.views)}
        scratch = self._scratch(b, load_at(b, args, len(self.views), PTR), task)
        count, tasks = self.plan.shape.heads, self.plan.tasks
        low, high = (
            b.udiv(b.mul(at, i64(count)), i64(tasks)) for at in (task, b.add(task, i64(1)))
        )
        with for_range(b, low, high, name="head") as head:
            given = {
                name: self.v.at(b, pointers[name], self._offset(b, view, head))
                for name, view in self.views.items()
            }
            yield b, {**given, **scratch}
        b.ret_void()

    def _scratch(self, b: ir.IRBuilder, base: ir.Value, task: ir.Value) -> dict[str, ir.Value]:
        at, found = b.mul(task, i64(_size(self.parts))), {}
        for name, size in self.parts.items():
            found[f"{name}_scratch"] = self.v.at(b, base, at)
            at = b.add(at, i64(-(-size // 16) * 16))
        return found

    def _offset(self, b: ir.IRBuilder, view: View, head: ir.Value) -> ir.Value:
        total: ir.Value = i64(view.offset)
        rest = head
        for extent, step in zip(self.plan.shape.lead[::-1], view.lead[::-1], strict=True):
            if extent != 1:
                total = b.add(total, b.mul(b.urem(rest, i64(extent)), i64(step)))
                rest = b.udiv(rest, i64(extent))
        return total

    # --- pieces of a head that both directions have

    def row(self, b: ir.IRBuilder, base: ir.Value, index: ir.Value, step: int) -> ir.Value:
        """The address of a row."""
        return self.v.at(b, base, b.mul(index, i64(step)))

    def pack(self, b: ir.IRBuilder, name: str, at: Addresses) -> None:
        """The rows of an operand, transposed, in panels: (width, panel) each."""
        plan, view, depth = self.plan, self.views[name], self.plan.depth(name)
        width = plan.shape.width if name == "keys" else plan.shape.out
        source, to = at[name], at[f"{name}_scratch"]
        step = view.row if plan.shape.keys > 1 else max(2, width)
        last = plan.panels - 1

        def one(p: ir.Value, vectors: int, tail: int) -> None:
            place = (
                self.row(b, source, p, plan.panel * step),
                self.row(b, to, p, plan.panel * depth),
            )
            if name in plan.shape.rounded:
                pairs = PairPanelPacker(self.reader, vectors, (1, step), tail, width)
                self.call(b, pairs, place)
            else:
                single = PanelPacker(self.v, vectors, (1, step), tail, width)
                self.call(b, single, [*place, width])

        with for_range(b, 0, last, name="panel") as p:
            one(p, plan.vectors, 0)
        one(i64(last), plan.last_vectors, plan.key_tail)

    @property
    def reader(self) -> PairReader:
        """Reads bfloat16 that was widened as pairs."""
        return PairReader(self.module, float32, LANES)

    def paired(
        self, b: ir.IRBuilder, rows: int, source: ir.Value, row: int, to: ir.Value, name: str
    ) -> ir.Value:
        """A tile of rows in memory as pairs, for the scores with `name`."""
        width = self.plan.shape.width if name == "keys" else self.plan.shape.out
        self.call(b, PairRowPacker(self.reader, row, width, self.plan.pairs), [source, to, rows])
        return to

    def scores(
        self, b: ir.IRBuilder, rows: int, left: tuple[ir.Value, int], right: ir.Value,
        to: ir.Value, stop: ir.Value, name: str,
    ) -> None:  # fmt: skip
        """A tile of rows (address, step) times all panels of `name` up to key `stop`."""
        plan, (source, step), depth = self.plan, left, self.plan.depth(name)
        last = plan.panels - 1
        panels = b.udiv(b.add(stop, i64(plan.panel - 1)), i64(plan.panel))
        vectors_of = self.v
        if name in plan.shape.rounded:
            vectors_of = PairVectors(self.module, plan.shape.dtype, plan.lanes)

        def one(p: ir.Value, vectors: int) -> None:
            place = (self.row(b, right, p, plan.panel * depth), self.row(b, to, p, plan.panel))
            tile = Tile(
                vectors_of, rows, vectors, (step, 1), vectors * plan.lanes, plan.strip, 0, False,
                False, depth, depth % vectors_of.unroll == 1, False,
            )  # fmt: skip
            self.call(b, tile, [source, *place, i64(depth), i64(0)])

        with for_range(b, 0, least(b, panels, i64(last)), name="panel") as p:
            one(p, plan.vectors)
        with b.if_then(b.icmp_signed(">", panels, i64(last))):
            one(i64(last), plan.last_vectors)

    def product(
        self, b: ir.IRBuilder, rows: int, width: int,
        left: tuple[ir.Value, tuple[int, int]], right: tuple[ir.Value, int],
        to: tuple[ir.Value, int], steps: ir.Value, resume: bool = False,
    ) -> None:  # fmt: skip
        """A tile of rows times a matrix of `width` columns, added to what is there if `resume`."""
        lanes, start = self.plan.lanes, 0
        while start < width:
            vectors = min(2, -(-(width - start) // lanes))
            tail = (width - start) % lanes if width - start < vectors * lanes else 0
            tile = Tile(
                self.v, rows, vectors, left[1], right[1], to[1], tail, bool(tail), bool(tail),
                None, True, resume,
            )  # fmt: skip
            place = [left[0], self.v.at(b, right[0], start), self.v.at(b, to[0], start)]
            self.call(b, tile, [*place, steps, int(resume)])
            start += vectors * lanes

    def by_tile(self, b: ir.IRBuilder, tiles: Split, t: ir.Value) -> Iterator[tuple[int, ir.Value]]:
        """The rows of tile t and the first of them; once for each height, each in its branch."""
        first = b.add(b.mul(t, i64(tiles.base)), least(b, t, i64(tiles.longer)))
        if not tiles.longer:
            yield tiles.base, first
            return
        with b.if_else(b.icmp_signed("<", t, i64(tiles.longer))) as (longer, shorter):
            with longer:
                yield tiles.base + 1, first
            with shorter:
                yield tiles.base, first

    def reach(self, b: ir.IRBuilder, row: ir.Value) -> ir.Value:
        """How many keys the queries below `row` may attend to."""
        keys = i64(self.plan.shape.keys)
        return least(b, row, keys) if self.plan.shape.causal else keys

    def padded(self, b: ir.IRBuilder, stop: ir.Value) -> ir.Value:
        """In whole vectors."""
        lanes = self.plan.lanes
        return b.and_(b.add(stop, i64(lanes - 1)), i64(-lanes))


# ---------------------------------------------------------------------------------- forward


def emit_attention(
    module: ir.Module, name: str, plan: AttentionPlan, views: Mapping[str, View]
) -> int:
    """Add the function of the way there, and say how many bytes of scratch it wants.

    `views` has no "output" or no "sums" where nobody asks for them.
    """
    made = Heads(module, name, plan, views, plan.forward_scratch())
    for b, at in made.heads():
        made.pack(b, "keys", at)
        with for_range(b, 0, plan.tiles.count, name="tile") as t:
            for rows, first in made.by_tile(b, plan.tiles, t):
                _forward_tile(made, b, at, rows, first)
    return made.scratch_bytes


def _forward_tile(made: Heads, b: ir.IRBuilder, at: Addresses, rows: int, first: ir.Value) -> None:
    """Scores, their softmax, and the values' mean of a tile of queries."""
    plan, views = made.plan, made.views
    shape, v = plan.shape, made.v
    strip, queries = at["strip_scratch"], at["queries_scratch"]
    stop = made.reach(b, b.add(first, i64(rows)))
    row = views["queries"].row
    source = made.row(b, at["queries"], first, row)
    scale = shape.scale if "keys" in shape.rounded else 1.0  # what the scores are still to be given
    if "keys" in shape.rounded:
        left = (made.paired(b, rows, source, row, at["pairs_scratch"], "keys"), plan.pairs)
    else:
        copy = RowCopy(v, "scaled", shape.width, row, plan.padded_width, shape.scale)
        made.call(b, copy, [source, queries, rows])
        left = (queries, plan.padded_width)
    made.scores(b, rows, left, at["keys_scratch"], strip, stop, "keys")
    sums = made.row(b, at["sums"], first, 1) if "sums" in views else NOTHING
    softmax = Softmax(v, plan.strip, shape.keys, shape.causal, scale, "sums" in views)
    places = [at[f"{each}_scratch"] for each in ("peaks", "totals", "sums")]
    made.call(b, softmax, [strip, rows, first, made.padded(b, stop), *places, sums])
    if "output" not in views:
        return
    to = made.row(b, at["output"], first, views["output"].row)
    made.product(
        b, rows, shape.out, (strip, (plan.strip, 1)), (at["values"], views["values"].row),
        (to, views["output"].row), stop,
    )  # fmt: skip
    divide = RowScale(v, "divided", shape.out, views["output"].row, None)
    made.call(b, divide, [to, rows, at["totals_scratch"]])


# --------------------------------------------------------------------------------- backward


def emit_gradient(
    module: ir.Module, name: str, plan: AttentionPlan, views: Mapping[str, View]
) -> int:
    """Add the function of the way back, and say how many bytes of scratch it wants.

    `views` has those of the gradients that are wanted.
    """
    made = Heads(module, name, plan, views, plan.backward_scratch())
    for b, at in made.heads():
        for each in ("keys", "values"):
            made.pack(b, each, at)
        _clear(made, b, at)
        with for_range(b, 0, plan.tiles.count, plan.block, name="block") as t:
            _Block(made, b, at, t).emit()
    return made.scratch_bytes


def _clear(made: Heads, b: ir.IRBuilder, at: Addresses) -> None:
    """Zeros where blocks will add."""
    plan = made.plan
    for name, width in (("d_keys", plan.shape.width), ("d_values", plan.shape.out)):
        if name in made.views:
            clear = RowScale(made.v, f"clear_{name}", width, made.views[name].row, 0.0)
            made.call(b, clear, [at[name], plan.shape.keys, NOTHING])


class _Block:
    """One block of tiles of queries on the way back."""

    def __init__(self, made: Heads, b: ir.IRBuilder, at: Addresses, t: ir.Value) -> None:
        self.made, self.b, self.at, self.plan = made, b, at, made.plan
        self.tile = t
        self.end_tile = least(b, b.add(t, i64(self.plan.block)), i64(self.plan.tiles.count))
        self.first, self.end = (self._row_of(each) for each in (t, self.end_tile))
        self.stop = made.reach(b, self.end)

    def _row_of(self, t: ir.Value) -> ir.Value:
        b, tiles = self.b, self.plan.tiles
        return b.add(b.mul(t, i64(tiles.base)), least(b, t, i64(tiles.longer)))

    def emit(self) -> None:
        """The strips of the block and dq, then what it adds to dk and dv."""
        b = self.b
        self._copy()
        with for_range(b, self.tile, self.end_tile, name="tile") as t:
            for rows, first in self.made.by_tile(b, self.plan.tiles, t):
                self._strips(rows, first)
        tiles = self.plan.key_tiles
        with for_range(b, 0, tiles.count, name="keys") as j:
            for rows, first in self.made.by_tile(b, tiles, j):
                with b.if_then(b.icmp_signed("<", first, self.stop)):
                    self._add(rows, first)

    def _copy(self) -> None:
        """The block's queries, scaled, its cotangents, and Σ(g∘y) of its rows."""
        made, b, plan, at = self.made, self.b, self.plan, self.at
        shape, views = plan.shape, made.views
        count = b.sub(self.end, self.first)

        def row(name: str) -> ir.Value:
            return made.row(b, at[name], self.first, views[name].row)

        scaled = RowCopy(
            made.v, "scaled", shape.width, views["queries"].row, plan.padded_width, shape.scale
        )
        made.call(b, scaled, [row("queries"), at["queries_scratch"], count])
        both = RowCopy(
            made.v, "inner", shape.out, views["cotangent"].row, plan.padded_out, 1.0,
            views["output"].row,
        )  # fmt: skip
        places = [at[f"{each}_scratch"] for each in ("cotangents", "inner")]
        made.call(b, both, [row("cotangent"), places[0], count, row("output"), places[1]])

    def _strips(self, rows: int, first: ir.Value) -> None:
        """P and dS of a tile of queries, and its dq."""
        made, b, plan, at = self.made, self.b, self.plan, self.at
        shape, views = plan.shape, made.views
        here = b.sub(first, self.first)
        stop = made.reach(b, b.add(first, i64(rows)))
        weights, changes = (
            made.row(b, at[f"{each}_scratch"], here, plan.strip) for each in ("weights", "changes")
        )
        self._scores("keys", ("queries", plan.padded_width), rows, first, weights, stop)
        self._scores("values", ("cotangent", plan.padded_out), rows, first, changes, stop)
        scale = shape.scale if "keys" in shape.rounded else 1.0
        change = Change(made.v, plan.strip, shape.keys, shape.causal, scale)
        numbers = (made.row(b, at["sums"], first, 1), made.row(b, at["inner_scratch"], here, 1))
        made.call(b, change, [weights, changes, rows, first, self._read_up_to(stop), *numbers])
        if "d_queries" in views:
            step = views["d_queries"].row
            to = made.row(b, at["d_queries"], first, step)
            made.product(
                b, rows, shape.width, (changes, (plan.strip, 1)), (at["keys"], views["keys"].row),
                (to, step), stop,
            )  # fmt: skip
            made.call(
                b,
                RowScale(made.v, "scaled_dq", shape.width, step, shape.scale),
                [to, rows, NOTHING],
            )

    def _scores(
        self, name: str, rest: tuple[str, int], rows: int, first: ir.Value,
        to: ir.Value, stop: ir.Value,
    ) -> None:  # fmt: skip
        """A tile of queries or cotangents times the keys or values: copies of them, or pairs."""
        made, b, at, (left, step) = self.made, self.b, self.at, rest
        if name in self.plan.shape.rounded:
            row = made.views[left].row
            source = made.row(b, at[left], first, row)
            source = made.paired(b, rows, source, row, at["pairs_scratch"], name)
            step = self.plan.pairs
        else:
            copies = at["queries_scratch" if left == "queries" else "cotangents_scratch"]
            source = made.row(b, copies, b.sub(first, self.first), step)
        made.scores(b, rows, (source, step), at[f"{name}_scratch"], to, stop, name)

    def _read_up_to(self, stop: ir.Value) -> ir.Value:
        """Tiles of keys that begin inside the strip reach beyond it by less than their height."""
        more = self.b.add(stop, i64(self.plan.key_tiles.longest))
        return self.made.padded(self.b, least(self.b, more, i64(self.plan.shape.keys)))

    def _add(self, rows: int, first: ir.Value) -> None:
        """Pᵀ g to a tile of dv, dSᵀ q to one of dk, over the queries that attend to it."""
        made, b, plan, at = self.made, self.b, self.plan, self.at
        start = self.first
        if plan.shape.causal:
            start = b.select(b.icmp_signed(">", first, start), first, start)
        here, steps = b.sub(start, self.first), b.sub(self.end, start)
        wanted = (
            ("d_values", "weights", "cotangents", plan.shape.out, plan.padded_out),
            ("d_keys", "changes", "queries", plan.shape.width, plan.padded_width),
        )
        for name, strip, rest, width, step in wanted:
            if name in made.views:
                left = made.v.at(b, made.row(b, at[f"{strip}_scratch"], here, plan.strip), first)
                right = made.row(b, at[f"{rest}_scratch"], here, step)
                to = made.row(b, at[name], first, made.views[name].row)
                made.product(
                    b, rows, width, (left, (1, plan.strip)), (right, step),
                    (to, made.views[name].row), steps, resume=True,
                )  # fmt: skip
