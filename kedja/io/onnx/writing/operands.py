"""Operands of operators that broadcast by themselves: repetitions and equal numbers are left out.

Our graphs say every broadcast; ONNX's elementwise operators and products need none, and without
them nothing follows the batch size. Next: `elementwise.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from kedja.io.onnx.writing.selection import Choice, Context, Name, Rule
from kedja.ir.graph import Node, apply, full
from kedja.ir.op import Shape


def stripped(context: Context, node: Node) -> Node:
    """What is repeated to make a node: the input of a broadcast, a number for equal numbers."""
    twins = context.alignment.twins(node)
    number = context.scalar(node)
    if number is not None or node.op.name == "full":
        numbers = [number if number is not None else twin.attrs["value"] for twin in twins]
        scalars = tuple(full(each, (), node.dtype) for each in numbers)
        context.alignment.pair(scalars)
        return scalars[0]
    if node.op.name == "broadcast":
        return stripped(context, node.inputs[0])
    if node.op.name == "cast":
        inner = stripped(context, node.inputs[0])
        return node if inner is node.inputs[0] else _converted(context, inner, node)
    return node


def _converted(context: Context, inner: Node, node: Node) -> Node:
    """A cast of what is repeated, instead of a cast of all of it."""
    return context.alignment.rewritten(inner, lambda x: apply("cast", x, dtype=node.dtype))


def loose(context: Context, node: Node) -> tuple[Node, ...]:
    """A node's operands without the repetitions that the operator makes up for itself."""
    return loosened(context, node, lambda shapes, twin: np.broadcast_shapes(*shapes) == twin.shape)


def loosened(
    context: Context, node: Node, fits: Callable[[Sequence[Shape], Node], bool]
) -> tuple[Node, ...]:
    """Operands without repetitions, as long as `fits(their shapes, node)` holds."""
    chosen = [stripped(context, each) for each in node.inputs]
    for place in sorted(range(len(chosen)), key=lambda i: chosen[i].shape == ()):
        if _fit(context, node, chosen, fits):
            break
        chosen[place] = node.inputs[place]
    return tuple(chosen)


def _fit(
    context: Context,
    node: Node,
    operands: Sequence[Node],
    fits: Callable[[Sequence[Shape], Node], bool],
) -> bool:
    twins = [context.alignment.twins(each) for each in (node, *operands)]
    return all(
        fits([each.shape for each in mine[1:]], mine[0]) for mine in zip(*twins, strict=True)
    )


def operator(name: str) -> Rule:
    """An elementwise op that ONNX has under a name."""

    def rule(context: Context, node: Node) -> Choice:
        return Choice(loose(context, node), lambda c, *names: c.writer.add(name, names))

    return rule


def formula(build: Callable[..., Node]) -> Rule:
    """An op that is other ops of ours on the same inputs."""

    def rule(context: Context, node: Node) -> Choice:
        made = context.alignment.rewritten(node, lambda twin: build(*twin.inputs, **twin.attrs))
        return Choice((made,), lambda c, name: name)

    return rule


def nodes(operators: Sequence[str]) -> Rule:
    """Several operators, one on the output of the other: the first is given the operands."""

    def emit(context: Context, *names: Name) -> Name:
        found = context.writer.add(operators[0], names)
        for each in operators[1:]:
            found = context.writer.add(each, [found])
        return found

    return lambda context, node: Choice(loose(context, node), emit)
