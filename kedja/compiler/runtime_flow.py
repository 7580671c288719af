"""Repeats and jumps among the launches: their tables of words, and how the driver follows them.

A repeat's table says where it begins, how often it runs, and which words of other tables move on
by how much after each iteration. After the last one the words stand as at the beginning, so the
driver keeps no state. A run that is left in the middle is set back by `Binding`. Not here: the
launches themselves (`runtime_native.py`). Next: `runtime_native.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from kedja.compiler import llvm_ir as ir
from kedja.compiler.llvm_blocks import (
    I8,
    I64,
    PTR,
    Layout,
    element,
    for_range,
    i64,
    load_at,
)
from kedja.compiler.runtime_plan import Jump, Launch, Plan, Repeat

# What stands in the place of a launch's tasks.
REPEAT, JUMP = -1, -2

REPEAT_TABLE = Layout({"first": (0, I64), "times": (8, I64), "done": (16, I64), "moved": (24, I64)})
REPEAT_WORDS = 4
MOVE = Layout({"word": (0, PTR), "step": (8, I64)})
MOVE_WORDS = 2
JUMP_TABLE = Layout({"target": (0, I64), "unless": (8, PTR)})
JUMP_WORDS = 2


# --- the tables ----------------------------------------------------------------------------------


@dataclass
class Tables:
    """The words behind the launches: arguments, and the tables of repeats and jumps.

    `values` are the words, `starts` where each launch's begin, `in_block` the positions of those
    that need the block's address, `uses` (position, buffer) of those that take a buffer's.
    """

    first: int
    values: list[int] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    in_block: list[int] = field(default_factory=list)
    uses: list[tuple[int, int]] = field(default_factory=list)

    @property
    def end(self) -> int:
        """The position of the next word."""
        return self.first + len(self.values)

    def point(self, plan: Plan, number: int, moves: dict[int, list[tuple[int, int]]]) -> None:
        """A word with the address of a buffer or slice; a slice's is moved by its repeats."""
        offset = 0
        part = plan.slice_of(number)
        while part is not None:
            offset += part.first
            moves.setdefault(part.repeat, []).append((self.end, part.step))
            number = part.of
            part = plan.slice_of(number)
        self.uses.append((self.end, number))
        self.values.append(offset)


def tables_of(plan: Plan, first: int) -> Tables:
    """All tables of a plan, from the word `first` on."""
    made = Tables(first)
    moves: dict[int, list[tuple[int, int]]] = {}
    for place, each in enumerate(plan.launches):
        made.starts.append(made.end)
        match each:
            case Launch():
                for number in each.args:
                    made.point(plan, number, moves)
            case Repeat():
                made.values.extend(_repeat_words(each, moves.get(place, []), made))
            case Jump():
                made.values.append(each.target)
                if each.unless is None:
                    made.values.append(0)
                else:
                    made.point(plan, each.unless, moves)
    return made


def _repeat_words(repeat: Repeat, moved: list[tuple[int, int]], made: Tables) -> Iterator[int]:
    start = made.end + REPEAT_WORDS
    yield from (repeat.first, repeat.times, 0, len(moved))
    for number, (position, step) in enumerate(moved):
        made.in_block.append(start + MOVE_WORDS * number)
        yield 8 * position
        yield step % (1 << 64)


# --- the driver's part ---------------------------------------------------------------------------


def emit_jump(b: ir.IRBuilder, table: ir.Value, index: ir.Value) -> ir.Value:
    """Where a step goes on after the jump at `index`."""
    target, unless = (JUMP_TABLE.load(b, table, name) for name in ("target", "unless"))
    following = b.add(index, i64(1))
    looks = b.icmp_unsigned("!=", b.ptrtoint(unless, I64), i64(0))
    before = b.block
    with b.if_then(looks):
        flag = b.icmp_unsigned("!=", load_at(b, unless, 0, I8), ir.Constant(I8, 0))
        chosen = b.select(flag, following, target)
        looked = b.block
    result = b.phi(I64)
    result.add_incoming(target, before)
    result.add_incoming(chosen, looked)
    return result


def emit_repeat(b: ir.IRBuilder, table: ir.Value, index: ir.Value) -> ir.Value:
    """Where a step goes on after an iteration of the repeat at `index`; its words are moved."""
    first, times, done, moved = (
        REPEAT_TABLE.load(b, table, name) for name in ("first", "times", "done", "moved")
    )
    after = b.add(done, i64(1))
    again = b.icmp_signed("<", after, times)
    back = b.sub(i64(1), times)  # times the step: to where the words stood at first
    factor = b.select(again, i64(1), back)
    REPEAT_TABLE.store(b, table, "done", b.select(again, after, i64(0)))
    entries = element(b, table, REPEAT_WORDS, I64)
    with for_range(b, 0, moved, name="move") as number:
        entry = element(b, entries, b.mul(number, i64(MOVE_WORDS)), I64)
        word, step = (MOVE.load(b, entry, name) for name in ("word", "step"))
        b.store(b.add(b.load(word, typ=I64), b.mul(step, factor)), word)
    return b.select(again, first, b.add(index, i64(1)))
