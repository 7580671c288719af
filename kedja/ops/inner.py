"""What ops with graphs inside share: the op `part`, and bodies made for their derivatives.

A body is a closed `Graph`: everything that it takes from outside is an input of the op. Not here:
the ops themselves (`control.py`, `scan.py`). Next: `control.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from kedja.ground.dtypes import ALL, is_float
from kedja.ground.errors import DtypeError, ShapeError
from kedja.ir.graph import Graph, Node, apply, substitute, topological, variable, zeros_like
from kedja.ir.op import (
    Batching,
    BatchRule,
    Bundle,
    Case,
    Derivative,
    Inner,
    Leading,
    NoDerivative,
    Op,
    OwnProgram,
    Rule,
    Type,
    register,
)

Nodes = Sequence[Node]
Some = Sequence[Node | None]


def part_type(several: Any, *, place: int) -> Type:
    """One of several types."""
    kind: Type = several.parts[place]
    return kind


register(
    (
        Op(
            "part",
            type=part_type,
            numpy=lambda run, values, *, place: values[place],
            derivative=NoDerivative("both modes pick the part themselves (`kedja/autodiff`)"),
            lowering=OwnProgram(),
            formula="{0}[{place}]",
            sample=lambda rng: (),
            dtypes=ALL,
            flops=0,
            gate="hands the gradient to its place among those of the other outputs",
            batch=Leading(),
            xla=lambda x, values, *, place: values[place],
        ),
        Op(
            "bundle",
            type=lambda *types: Bundle(types),
            numpy=lambda run, *values: values,
            derivative=Inner(lambda d, node, ts: list(ts), lambda d, node, gs, wanted: list(gs)),
            lowering=OwnProgram(),
            formula="({*})",
            sample=lambda rng: [Case((rng.uniform(-2, 2, 3), rng.uniform(-2, 2, (2, 2))))],
            dtypes=ALL,
            flops=0,
            gate="hands on the gradients",
            batch=Leading(),
            xla=lambda x, *values: values,
        ),
    ),
    "inner",
)


def inner(
    name: str,
    *,
    type: Callable[..., Bundle],
    numpy: Callable[..., Any],
    derivative: Derivative,
    batch: Rule,
    xla: Rule,
    sample: Callable[[np.random.Generator], Sequence[Case]],
    gate: str,
) -> Op:
    """An op with graphs inside."""
    batching: Batching = BatchRule(batch)
    return Op(
        name,
        type=type,
        numpy=numpy,
        derivative=derivative,
        lowering=OwnProgram(),
        formula=name + "({*})",
        sample=sample,
        dtypes=ALL,
        gate=gate,
        batch=batching,
        xla=xla,
    )


# -------------------------------------------------------------------------------- checking


def require_inputs(name: str, wanted: Sequence[Type], given: Sequence[Type]) -> None:
    """Raise unless the types given to a body are those that it was traced with."""
    if len(wanted) != len(given):
        raise ShapeError(f"{name}: {len(given)} values for a body that takes {len(wanted)}")
    for place, (mine, theirs) in enumerate(zip(wanted, given, strict=True)):
        if mine != theirs:
            raise DtypeError(f"{name}: value {place} is {theirs}, the body takes {mine}")


# ------------------------------------------------------------------------- bodies for rules


def fresh(nodes: Iterable[Node], name: str) -> list[Node]:
    """New inputs of the types of some nodes."""
    return [variable(f"{name}{place}", node.type) for place, node in enumerate(nodes)]


def floats(nodes: Sequence[Node]) -> list[bool]:
    """Which nodes can have a derivative."""
    return [is_float(node.dtype) for node in nodes]


def kept(nodes: Sequence[Any], mask: Sequence[Any]) -> list[Any]:
    """Those at whose place the mask is true."""
    return [node for node, keep in zip(nodes, mask, strict=True) if keep]


def spread(found: Sequence[Any], mask: Sequence[Any]) -> list[Any]:
    """The inverse of `kept`: None at the other places."""
    remaining = iter(found)
    return [next(remaining) if keep else None for keep in mask]


def or_zeros(values: Some, like: Nodes) -> list[Node]:
    """Zeros of the right type where there is no value."""
    return [
        zeros_like(node) if value is None else value
        for value, node in zip(values, like, strict=True)
    ]


def closed(inputs: Nodes, outputs: Nodes) -> Graph:
    """A graph between two cuts of another one: the nodes of the first cut become its inputs."""
    given = fresh(inputs, "x")
    return Graph(tuple(given), tuple(substitute(outputs, dict(zip(inputs, given, strict=True)))))


def chosen_rows(condition: Node, yes: Node, no: Node) -> Node:
    """For each row, `yes` where its condition (B,) holds, else `no`: (B, …)."""
    column = apply("reshape", condition, shape=(yes.shape[0],) + (1,) * (len(yes.shape) - 1))
    return apply("where", apply("broadcast", column, shape=yes.shape), yes, no)


def zeros(types: Iterable[Type]) -> list[Node]:
    """Zeros of some types."""
    return [apply("full", value=0, shape=each.shape, dtype=each.dtype) for each in types]


def dependent(outputs: Nodes, on: Iterable[Node]) -> set[Node]:
    """The nodes of a graph that depend on some nodes, these included."""
    found = set(on)
    for node in topological(outputs):
        if any(each in found for each in node.inputs):
            found.add(node)
    return found


def tangent_graph(d: Any, body: Graph, moving: Sequence[bool], out: Sequence[bool]) -> Graph:
    """inputs + tangents of the moving inputs -> outputs + tangents of the outputs of `out`."""
    inputs = list(body.inputs)
    tangents = fresh(kept(inputs, moving), "t")
    pairs = dict(zip(kept(inputs, moving), tangents, strict=True))
    moved = d.jvp(kept(body.outputs, out), pairs) if any(out) else []
    return Graph((*inputs, *tangents), (*body.outputs, *moved))


def cotangent_graph(d: Any, body: Graph, given: Sequence[bool], wanted: Sequence[bool]) -> Graph:
    """inputs + cotangents of the outputs of `given` -> cotangents of the inputs of `wanted`."""
    outputs, inputs = kept(body.outputs, given), kept(body.inputs, wanted)
    gs = fresh(outputs, "g")
    found = d.vjp(outputs, gs, inputs) if outputs else [None] * len(inputs)
    return Graph((*body.inputs, *gs), tuple(or_zeros(found, inputs)))
