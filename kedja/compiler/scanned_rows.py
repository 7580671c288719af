"""What a scan is given is given as its steps use it: indices, rows and turned matrices.

    scan over take(E, i)   is a scan over i that picks the rows of E: where the table has fewer rows
                           than are picked it stays in the caches, and no array of all picked rows
                           is written and read (the embedding of a few characters)
    a repeated constant    is repeated in the step, where that costs nothing
    a constant matrix      that products of the step want turned is turned once, before

Why here: products with tables are made (`gathers.py`). Next: `carried_sums.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

from kedja.compiler.gathers import is_rows, pays
from kedja.ir.graph import Graph, Node, apply, substitute, topological, variable
from kedja.ir.op import Type
from kedja.ir.rewrite import Rule, rewrite
from kedja.ops.scan import split

FEW = 4  # rows for which a product with a turned matrix is computed without turning it


def stepped(outputs: Sequence[Node]) -> list[Node]:
    """The same values, loops given tables and indices."""
    if not any(node.op.name == "scan" for node in topological(outputs)):
        return list(outputs)
    return rewrite(outputs, RULES)


def _scan(node: Node) -> Node | None:
    step = _Step(node)
    step.pick_rows()
    step.repeat_rows()
    step.turn_weights()
    return step.scan() if step.made else None


class _Step:
    """The body of a scan while it is changed; `made` are values of the body made in another way."""

    def __init__(self, node: Node) -> None:
        self.attrs, self.body = node.attrs, node.attrs["body"]
        roles = self.attrs["carries"], self.attrs["sequences"]
        self.outer = split(node.inputs, *roles)
        self.inner = split(self.body.inputs, *roles)
        self.made: dict[Node, Node] = {}

    def given(self, value: Node) -> Node:
        """A further constant of the body."""
        mine = variable(f"given{len(self.inner.constants)}", value.type)
        self.outer.constants.append(value)
        self.inner.constants.append(mine)
        return mine

    def pick_rows(self) -> None:
        """Gathered rows are picked in each step."""
        for place, (x, mine) in enumerate(zip(self.outer.xs, self.inner.xs, strict=True)):
            if not _is_gathered(x):
                continue
            table, index = x.inputs
            step = variable(f"index{place}", Type(index.shape[1:], index.dtype))
            self.outer.xs[place], self.inner.xs[place] = index, step
            self.made[mine] = apply("take", self.given(table), step, axis=0)

    def repeat_rows(self) -> None:
        """What is repeated is repeated where it is used, which costs nothing."""
        for x, mine in list(zip(self.outer.constants, self.inner.constants, strict=True)):
            if x.op.name == "broadcast" and x.inputs[0].type.size < x.type.size:
                self.made[mine] = apply("broadcast", self.given(x.inputs[0]), shape=x.shape)

    def turn_weights(self) -> None:
        """A matrix that products want turned is turned once, before the first step."""
        whole = dict(zip(self.inner.constants, self.outer.constants, strict=True))
        for node in topological(self.body.outputs):
            if node.op.name != "matmul" or len(node.shape) != 2 or node.shape[0] < FEW:
                continue
            weight = node.inputs[1]
            if weight.op.name == "transpose" and weight.inputs[0] in whole:
                turned = apply("transpose", whole[weight.inputs[0]], axes=(1, 0))
                self.made.setdefault(weight, self.given(turned))

    def scan(self) -> Node:
        """The new scan, without constants that it does not use any more."""
        outputs = tuple(substitute(self.body.outputs, self.made))
        used = set(topological(outputs))
        pairs = zip(self.inner.constants, self.outer.constants, strict=True)
        constants = {mine: theirs for mine, theirs in pairs if mine in used}
        graph = Graph((*self.inner.carry, *self.inner.xs, *constants), outputs)
        given = (*self.outer.carry, *self.outer.xs, *constants.values())
        return apply("scan", *given, **{**self.attrs, "body": graph})


def _is_gathered(x: Node) -> bool:
    """Whether a sequence is made of a table's rows, each picked often."""
    return is_rows(x) and len(x.inputs[1].shape) > 1 and pays(*x.inputs)


RULES = (Rule("scan over take(E, i) -> scan over i; constants as they are used", ("scan",), _scan),)
