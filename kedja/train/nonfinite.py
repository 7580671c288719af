"""Why a loss became NaN or infinite: the step is replayed, node by node, up to where it began.

Not here: how the run notices (`kedja/front/loop.py`). Next: `checkpoint.py`.

The loop stops before the bad step, which then runs in the interpreter. From the loss, which is
not finite, the way leads back through inputs that are not finite either, to a node all of whose
inputs are: there it began. If the way ends at a parameter, it began in the update before, which
is reached by replaying the steps from the start of the last call: they give the same bits.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from kedja.front import tree
from kedja.front.loop import Loop
from kedja.ground.errors import NonFiniteError
from kedja.interpret import reference
from kedja.ir.formula import formula, letters
from kedja.ir.graph import Node
from kedja.train.stepper import Stepper

_RATE = "lower the learning rate"

# What the op itself suggests, beside a learning rate that is too high.
_FIXES = {
    "log": "a logarithm of 0 or less: use a loss on logits, or add a small number",
    "log2": "a logarithm of 0 or less: add a small number",
    "log10": "a logarithm of 0 or less: add a small number",
    "log1p": "a logarithm of 0 or less: hold the argument above -1",
    "divide": "a division by 0, maybe in a derivative, as of a root at 0: add a small number",
    "sqrt": "a root of a negative number, or its derivative at 0: add a small number",
    "pow": "a power that is not real or too large: hold its argument in bounds",
    "exp": f"an exponential above the largest float: {_RATE}, or scale the inputs",
}


class Range(NamedTuple):
    """What is kept of a node's value: its least and largest number, and whether all are finite."""

    low: float
    high: float
    finite: bool

    def __str__(self) -> str:
        if self.low == self.high:
            return f"is {self.low:.6g}"
        return f"is between {self.low:.6g} and {self.high:.6g}"


Ranges = Mapping[Node, Range]


def explain(stepper: Stepper) -> NonFiniteError:
    """The error for a run that stands before a step whose loss is not finite, and stays there."""
    bad = stepper.step  # counted from 0
    loop = stepper.last
    names = _names(loop, stepper)
    ranges = _ranges(loop)
    loss = _output(loop, stepper, "loss")
    start = _begin(loss, ranges)
    if start is None:
        return NonFiniteError(
            f"the loss became NaN or infinite in {_place(stepper, bad)}; the interpreter, which "
            "rounds a little differently, finds it finite",
            fix=_RATE,
        )
    what = f"the loss became {_word(ranges[loss])} in {_place(stepper, bad)}"
    if start.op.name == "input" and bad > stepper.call_start:
        earlier = _update_before(stepper, loop, names[start], bad)
        if earlier is not None:
            what += f", after an update that made {names[start]} {_word(ranges[start])}"
            start, ranges = earlier
    return _error(what, start, ranges, names, stepper)


def _update_before(stepper: Stepper, loop: Loop, name: str, bad: int) -> tuple[Node, Ranges] | None:
    """Where an update that spoiled a leaf of the carry began, in the step before the bad one."""
    if name not in dict(tree.paths(stepper.carry)):
        return None
    stepper.rewind(bad - 1)
    ranges = _ranges(loop)
    start = _begin(_output(loop, stepper, name), ranges)
    stepper.rewind(bad)
    return None if start is None else (start, ranges)


def _ranges(loop: Loop) -> Ranges:
    """The least and largest value of every node of one step, which is not taken."""
    found: dict[Node, Range] = {}

    def observe(node: Node, value: np.ndarray[Any, Any]) -> None:
        found[node] = _range(value)

    reference.run(loop.traced.outputs, loop.bound(), observe)
    return found


def _range(value: np.ndarray[Any, Any]) -> Range:
    if value.dtype.kind != "f" or not value.size:
        return Range(0.0, 0.0, True)
    with np.errstate(invalid="ignore"):
        finite = bool(np.isfinite(value).all())
        return Range(float(value.min()), float(value.max()), finite)


def _begin(root: Node, ranges: Ranges) -> Node | None:
    """The earliest node that is not finite though its inputs are, on the way back from `root`."""
    seen: set[Node] = set()
    pending = [] if ranges[root].finite else [root]
    starts = []
    while pending:
        node = pending.pop()
        if node in seen:
            continue
        seen.add(node)
        spoiled = [each for each in node.inputs if not ranges[each].finite]
        pending.extend(spoiled)
        if not spoiled:
            starts.append(node)
    order = {node: place for place, node in enumerate(ranges)}
    return min(starts, key=order.__getitem__, default=None)


def _names(loop: Loop, stepper: Stepper) -> dict[Node, str]:
    """What the step's inputs are called: `model.0.weight`, `x`, `y` …"""
    carried = [path for path, _ in tree.paths(stepper.carry)]
    fixed = [path.removeprefix("data.") for path, _ in tree.paths(stepper.fixed)]
    return dict(zip(loop.traced.inputs, [*carried, *fixed], strict=True))


def _output(loop: Loop, stepper: Stepper, name: str) -> Node:
    """The node of a leaf of the carry after the step."""
    paths = [path for path, _ in tree.paths(stepper.carry)]
    return loop.traced.outputs[paths.index(name)]


def _error(
    what: str, start: Node, ranges: Ranges, names: Mapping[Node, str], stepper: Stepper
) -> NonFiniteError:
    if start.op.name == "input":
        return _given_so(what, names[start], stepper)
    known = {node: name for node, name in names.items() if node in start.inputs}
    free = letters(known.values())
    for node in start.inputs:
        if node not in known:
            known[node] = next(free)
    shown = [f"{known[n]}, {n.type}, {ranges[n]}" for n in start.inputs if n.dtype.kind == "f"]
    lines = [
        what,
        f"first value that is not finite: {formula(start, known)}, {start.type}",
        *(f"  {line}" for line in dict.fromkeys(shown)),
    ]
    if start.scope:
        lines.append(f"layer: {start.scope}")
    if start.source is not None and start.source.text:
        lines.append(f"line: {start.source.text}")
    where = str(start.source) if start.source is not None else None
    fix = _FIXES.get(start.op.name, f"{_RATE}, or scale the inputs")
    return NonFiniteError("\n  ".join(lines), where=where, fix=fix)


def _given_so(what: str, name: str, stepper: Stepper) -> NonFiniteError:
    """The error where data, or weights from before the run, hold the value already."""
    given = stepper.fixed["data"]
    if name not in given:
        return NonFiniteError(f"{what}: {name} was not finite before", fix=_RATE)
    row = int(np.argwhere(~np.isfinite(given[name].numpy()))[0][0])
    return NonFiniteError(
        f"{what}: row {row} of {name} holds a value that is not finite",
        fix="leave such rows out, or fill the missing values",
    )


def _place(stepper: Stepper, bad: int) -> str:
    epoch, step = divmod(bad, stepper.steps)
    return f"step {bad + 1:,} (epoch {epoch + 1}, step {step + 1} of {stepper.steps})"


def _word(found: Range) -> str:
    return "NaN" if np.isnan(found.low) or np.isnan(found.high) else "infinite"
