"""One step of what runs inside an op: the values that a graph inside it is given, and gradients.

A loop runs in the interpreter, step by step, to the one that is asked for; the gradients that
arrive there come back from the last step in the same way. Not here: what is shown of them
(`explaining.py`). Next: `explaining.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from kedja.autodiff import reverse
from kedja.ground.dtypes import is_float
from kedja.ground.errors import UsageError
from kedja.interpret import reference
from kedja.interpret.reference import run_graph
from kedja.ir.graph import Graph, Node, variable, zeros_like

Array = np.ndarray
Arrays = list[Any]  # of arrays; None for a gradient that is zero or was not computed


class Step(NamedTuple):
    """What a graph inside a node is given, what arrives at its outputs, and which step this is."""

    inputs: Arrays
    cotangents: Arrays
    title: str


def step_inside(
    node: Node, name: str, graph: Graph, inputs: Sequence[Array], gs: Arrays | None, step: int
) -> Step | None:
    """The step of a graph inside a node; None for a branch that was not taken.

    `inputs` are the values of the node's inputs, `gs` the gradients of its outputs, if any arrive.
    Raises UsageError where a loop has no such step.
    """
    if node.op.name == "cond":
        taken = "yes" if inputs[0] else "no"
        return Step(list(inputs[1:]), gs or [], "taken") if name == taken else None
    if node.op.name == "scan":
        return _of_scan(node, graph, inputs, gs, step)
    if node.op.name == "while_loop":
        return _of_while(node, graph, inputs, step)
    own = node.attrs.get("own")
    by_rule = own is not None and (own.forward is not None or own.reverse is not None)
    title = "gradients by a rule of its own" if by_rule else ""
    return Step(list(inputs), [] if by_rule else (gs or []), title)


def is_loop(node: Node) -> bool:
    """Whether the graphs inside a node run several times."""
    return node.op.name in ("scan", "while_loop")


def _place(step: int, count: int) -> int:
    """The step counted from the first; -1 is the last one."""
    if not -count <= step < count:
        raise UsageError(
            f"step {step} of a loop of {count} steps", fix="0 is the first step, -1 the last"
        )
    return step % count


# ------------------------------------------------------------------------------------- scan


def _of_scan(
    node: Node, body: Graph, inputs: Sequence[Array], gs: Arrays | None, step: int
) -> Step:
    length, carries = node.attrs["length"], node.attrs["carries"]
    at = _place(step, length)
    order = range(length)[:: -1 if node.attrs["reverse"] else 1]
    sequences = inputs[carries : carries + node.attrs["sequences"]]
    constants = list(inputs[carries + len(sequences) :])
    steps: list[Arrays] = []  # the inputs of the steps, as far as they are needed
    carry = list(inputs[:carries])
    for i in order if gs is not None else order[: at + 1]:
        steps.append([*carry, *(x[i] for x in sequences), *constants])
        carry = run_graph(body, steps[-1])[:carries]
    title = f"step {at} of {length}"
    if gs is None:
        return Step(steps[at], [], title)
    ys = [[None if g is None else g[i] for g in gs[carries:]] for i in order]
    back = _carried_back(body, carries, gs[:carries], steps[at + 1 :], ys[at + 1 :])
    return Step(steps[at], [*back, *ys[at]], title)


def _carried_back(
    body: Graph, carries: int, gs: Arrays, steps: Sequence[Arrays], ys: Sequence[Arrays]
) -> Arrays:
    """The gradients of the carry before some steps, given those after them."""
    if not steps:
        return gs
    floats = [is_float(each.dtype) for each in body.outputs]
    outputs = [each for each, moves in zip(body.outputs, floats, strict=True) if moves]
    arriving = [variable("g", each.type) for each in outputs]
    wanted = [each for each in body.inputs[:carries] if is_float(each.dtype)]
    found = reverse.vjp(outputs, arriving, wanted) if outputs else [None] * len(wanted)
    back = [zeros_like(x) if g is None else g for x, g in zip(wanted, found, strict=True)]
    now = [gs[i] for i in range(carries) if floats[i]]
    for given, y in zip(reversed(steps), reversed(ys), strict=True):
        moved = [g for g, moves in zip(y, floats[carries:], strict=True) if moves]
        known = [_or_zeros(g, x) for g, x in zip([*now, *moved], arriving, strict=True)]
        bound = dict(zip([*body.inputs, *arriving], [*given, *known], strict=True))
        now = reference.run(back, bound)
    remaining = iter(now)
    return [next(remaining) if floats[i] else None for i in range(carries)]


def _or_zeros(g: Array | None, like: Node) -> Array:
    return np.zeros(like.shape, like.dtype) if g is None else g


# -------------------------------------------------------------------------------- while_loop


def _of_while(node: Node, graph: Graph, inputs: Sequence[Array], step: int) -> Step | None:
    condition, body, carries = (node.attrs[each] for each in ("condition", "body", "carries"))
    carry, constants = list(inputs[:carries]), list(inputs[carries:])
    states = [carry]
    while run_graph(condition, [*states[-1], *constants])[0]:
        states.append(run_graph(body, [*states[-1], *constants]))
    count = len(states) - 1
    if not count:  # the condition was looked at, the body not
        return Step([*carry, *constants], [], "before a first step") if graph is condition else None
    at = _place(step, count)
    return Step([*states[at], *constants], [], f"step {at} of {count}")
