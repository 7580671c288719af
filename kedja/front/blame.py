"""Where a value that is NaN or infinite began: the first node of a step that is to blame.

Not here: the training run that noticed it (`kedja/train/nonfinite.py`).

One step of a loop runs in the interpreter, node by node. From the value that is not finite, the
way leads back through inputs that are not finite either, to a node all of whose inputs are: there
it began. A −∞ that does no harm, as in a mask before softmax, is not on that way.
Next: `kedja/train/trainer.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from kedja.front.loop import Loop
from kedja.ground.dtypes import is_float
from kedja.interpret import reference
from kedja.ir.formula import formula
from kedja.ir.graph import Node
from kedja.ir.names import letters
from kedja.ir.op import Bundle


class Blame(NamedTuple):
    """The node at which it began, as texts.

    `given` is the name of the step's input where the value came from outside, else empty.
    `became` says what the value that was asked about is: "NaN" or "infinite". `inputs` are the
    node's inputs with their types and ranges; `layer`, `where` and `line` are empty if unknown.
    """

    given: str
    became: str
    op: str
    formula: str
    inputs: tuple[str, ...]
    layer: str
    where: str
    line: str


class _Range(NamedTuple):
    """What is kept of a node's value: its least and largest number, and whether all are finite."""

    low: float
    high: float
    finite: bool

    def __str__(self) -> str:
        if self.low == self.high:
            return f"is {self.low:.6g}"
        return f"is between {self.low:.6g} and {self.high:.6g}"


def blame(loop: Loop, output: int, names: list[str]) -> Blame | None:
    """Why the output of that number is not finite after the next step, which is not taken.

    `names` are those of the step's inputs, carry first. None if the output is finite.
    """
    ranges = _ranges(loop)
    root = loop.traced.outputs[output]
    start = _begin(root, ranges)
    if start is None:
        return None
    known = dict(zip(loop.traced.inputs, names, strict=True))
    source = start.source
    return Blame(
        given=known.get(start, ""),
        became="NaN" if np.isnan([ranges[root].low, ranges[root].high]).any() else "infinite",
        op=start.op.name,
        formula=_own_formula(start, known)[0],
        inputs=_inputs(start, ranges, _own_formula(start, known)[1]),
        layer=start.scope,
        where="" if source is None else str(source),
        line="" if source is None else source.text,
    )


def _ranges(loop: Loop) -> Mapping[Node, _Range]:
    """The least and largest value of every node of one step, in the order of evaluation."""
    found: dict[Node, _Range] = {}

    def observe(node: Node, value: np.ndarray[Any, Any]) -> None:
        found[node] = _range(value)

    reference.run(loop.traced.outputs, loop.bound(), observe)
    return found


def _range(value: Any) -> _Range:
    if isinstance(value, tuple):  # of several outputs
        parts = [_range(each) for each in value]
        finite = all(each.finite for each in parts)
        return _Range(min(p.low for p in parts), max(p.high for p in parts), finite)
    if not is_float(value.dtype) or not value.size:
        return _Range(0.0, 0.0, True)
    with np.errstate(invalid="ignore"):
        finite = bool(np.isfinite(value).all())
        return _Range(float(value.min()), float(value.max()), finite)


def _begin(root: Node, ranges: Mapping[Node, _Range]) -> Node | None:
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


def _own_formula(node: Node, names: Mapping[Node, str]) -> tuple[str, Mapping[Node, str]]:
    """A node's formula in terms of its inputs, and what these are called in it."""
    known = {each: names[each] for each in node.inputs if each in names}
    free = letters(known.values())
    for each in node.inputs:
        if each not in known:
            known[each] = next(free)
    return f"{formula(node, known)}, {node.type}", known


def _inputs(
    node: Node, ranges: Mapping[Node, _Range], names: Mapping[Node, str]
) -> tuple[str, ...]:
    single = [each for each in node.inputs if not isinstance(each.type, Bundle)]
    floats = [each for each in single if is_float(each.dtype)]
    return tuple(dict.fromkeys(f"{names[each]}, {each.type}, {ranges[each]}" for each in floats))
