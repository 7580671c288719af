"""Ops that run between compiled parts: NumPy's, and those with graphs inside, as own programs.

A scan is one native call of a program whose carry is the step's number, the carry and the stacked
results, written in place; a while loop is one that ends when its condition, as a watched value,
stops being finite. Next: `stages.py`, which calls them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kedja.ground.dtypes import float32, int64
from kedja.ground.errors import VerificationError
from kedja.interpret.reference import node_value
from kedja.ir.graph import Graph, Node, apply, full, variable
from kedja.ir.op import Bundle, OnHost, Type
from kedja.ops.scan import split

Arrays = Sequence[Any]
Compile = Callable[..., Any]
Runner = Callable[[Arrays], Any]  # the inputs' values -> the value, a tuple for several outputs

FIRST = 256  # steps that are run before Ctrl-C is looked at, which takes longer than most loops
ENDLESS = 1 << 62


def runner(node: Node, compile: Compile) -> Runner:
    """What computes a node that is run between compiled parts."""
    if isinstance(node.op.lowering, OnHost):
        return lambda values: node_value(node, values)
    made = _MAKERS.get(node.op.name)
    if made is None:
        raise VerificationError(f"{node.op.name} has graphs inside that nothing here runs")
    return made(node, compile)


def _picked(node: Node, compile: Compile) -> Runner:
    place: int = node.attrs["place"]
    return lambda values: values[0][place]


def _program(graph: Graph, compile: Compile) -> Any:
    return compile(graph.outputs, graph.inputs)


def _cond(node: Node, compile: Compile) -> Runner:
    yes, no = (_program(node.attrs[name], compile) for name in ("yes", "no"))

    def run(values: Arrays) -> tuple[Any, ...]:
        chosen, *operands = values
        return tuple((yes if chosen else no)(*operands))

    return run


# ------------------------------------------------------------------------------------- scan


def _scan(node: Node, compile: Compile) -> Runner:
    attrs = node.attrs
    carries, sequences, length = attrs["carries"], attrs["sequences"], attrs["length"]
    program = _scan_program(node, compile)
    assert isinstance(node.type, Bundle)
    kinds = node.type.parts[carries:]
    first = length - 1 if attrs["reverse"] else 0

    def run(values: Arrays) -> tuple[Any, ...]:
        carry, xs, constants = split(values, carries, sequences)
        ys = [np.zeros(kind.shape, kind.dtype) for kind in kinds]
        state = [np.array(first, int64), *(np.array(x, order="C") for x in carry), *ys]
        _advance(program, state, [*xs, *constants], length)
        return tuple(state[1:])

    return run


def _scan_program(node: Node, compile: Compile) -> Any:
    """One step: looks up its slices, and puts its results at their places."""
    attrs, body = node.attrs, node.attrs["body"]
    n, m = attrs["carries"], attrs["sequences"]
    assert isinstance(node.type, Bundle)
    place = variable("i", Type((), int64))
    carry = [variable("carry", kind) for kind in node.type.parts[:n]]
    ys = [variable("ys", kind) for kind in node.type.parts[n:]]
    _, xs, constants = split([variable("x", each.type) for each in node.inputs], n, m)
    slices = [apply("take", x, place, axis=0) for x in xs]
    found = body.inline([*carry, *slices, *constants])
    stored = [
        apply("scatter_set", whole, place, y, axis=0)
        for whole, y in zip(ys, found[n:], strict=True)
    ]
    step = full(-1 if attrs["reverse"] else 1, (), int64)
    inputs = [place, *carry, *ys, *xs, *constants]
    outputs = [place + step, *found[:n], *stored]
    return compile(outputs, inputs, carry={i: i for i in range(len(outputs))})


def _advance(program: Any, state: Sequence[np.ndarray], fixed: Arrays, steps: int) -> str:
    """Steps of a program; after the first ones it answers Ctrl-C."""
    done, status, _ = program.advance(state, fixed, min(steps, FIRST))
    if status == "done" and steps > FIRST:
        _, status, interrupt = program.advance(state, fixed, steps - done, cancellable=True)
        if interrupt is not None:
            raise interrupt
    return str(status)


# -------------------------------------------------------------------------------- while_loop


def _while(node: Node, compile: Compile) -> Runner:
    attrs, n = node.attrs, node.attrs["carries"]
    inputs = [variable("x", each.type) for each in node.inputs]
    (goes,) = attrs["condition"].inline(inputs)
    watched = apply("where", goes, full(0.0, (), float32), full(float("inf"), (), float32))
    going = variable("going", Type((), float32))
    after = attrs["body"].inline(inputs)
    carry = {i: i for i in range(n + 1)}
    program = compile([watched, *after], [going, *inputs], carry=carry, watch=0)

    def run(values: Arrays) -> tuple[Any, ...]:
        state = [np.zeros((), float32), *(np.array(x, order="C") for x in values[:n])]
        _advance(program, state, values[n:], ENDLESS)
        return tuple(state[1:])

    return run


_MAKERS: dict[str, Callable[[Node, Compile], Runner]] = {
    "part": _picked,
    "cond": _cond,
    "scan": _scan,
    "while_loop": _while,
}
