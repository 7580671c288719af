"""Control: branches, recomputation and derivatives of one's own, as ops with graphs inside.

    cond         one of two graphs, chosen by a truth value
    checkpoint   a graph whose inner values are computed again on the way back, not kept
    custom       a graph with a derivative that the user wrote
    after        a value that is looked at only when others are there (what orders recomputation)

Next: `scan.py`, loops.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kedja.ground.dtypes import ALL, bool_, float64
from kedja.ground.errors import DtypeError, GradientError, ShapeError
from kedja.ir.graph import Graph, Node, apply, parts, variable
from kedja.ir.op import (
    Batching,
    BatchRule,
    Bundle,
    Case,
    Inner,
    Linear,
    Op,
    Reindex,
    Type,
    register,
)
from kedja.ops.inner import (
    chosen_rows,
    cotangent_graph,
    floats,
    inner,
    kept,
    or_zeros,
    require_inputs,
    spread,
    tangent_graph,
)

Some = Sequence[Node | None]

# ------------------------------------------------------------------------------------- cond


def cond_type(chosen: Type, *operands: Type, yes: Graph, no: Graph) -> Bundle:
    """A truth value and the operands; both branches give the same types."""
    if chosen != Type((), bool_):
        raise DtypeError(f"cond of {chosen}", fix="a scalar truth value: reduce it with any or all")
    for branch in (yes, no):
        require_inputs("cond", branch.input_types, operands)
    if yes.output_types != no.output_types:
        both = " and ".join(", ".join(map(str, each.output_types)) for each in (yes, no))
        raise ShapeError(f"cond: the branches give {both}", fix="both must give the same types")
    return Bundle(yes.output_types)


def numpy_cond(run: Any, chosen: np.ndarray, *operands: Any, yes: Graph, no: Graph) -> Any:
    """The one branch is run."""
    return tuple(run(yes if chosen else no, operands))


def forward_cond(d: Any, node: Node, tangents: Some) -> list[Node | None]:
    """The branches with their tangents."""
    yes, no = node.attrs["yes"], node.attrs["no"]
    moving = [tangent is not None for tangent in tangents[1:]]
    out = floats(yes.outputs)
    branches = {
        name: tangent_graph(d, body, moving, out) for name, body in (("yes", yes), ("no", no))
    }
    both = apply("cond", *node.inputs, *kept(tangents[1:], moving), **branches)
    return spread(parts(both)[len(out) :], out)


def reverse_cond(d: Any, node: Node, gs: Some, wanted: Sequence[bool]) -> list[Node | None]:
    """The same choice between the branches' reverse modes."""
    given = [g is not None for g in gs]
    branches = {
        name: cotangent_graph(d, node.attrs[name], given, wanted[1:]) for name in ("yes", "no")
    }
    back = apply("cond", *node.inputs, *kept(gs, given), **branches)
    return [None, *spread(parts(back), wanted[1:])]


def batch_cond(b: Any, node: Node, inputs: Sequence[Node], batched: Any, size: int) -> Node:
    """Where the choice itself is batched, both branches are computed and one is taken."""
    yes, no = (b.graph(node.attrs[name], batched[1:], size) for name in ("yes", "no"))
    if not batched[0]:
        return apply("cond", *inputs, yes=yes, no=no)
    chosen, *operands = inputs
    pairs = zip(yes.inline(operands), no.inline(operands), strict=True)
    return apply("bundle", *(chosen_rows(chosen, yes, no) for yes, no in pairs))


def xla_cond(x: Any, chosen: Any, *operands: Any, yes: Graph, no: Graph) -> Any:
    """lax.cond."""
    pair = (lambda *xs, body=body: tuple(x.run(body, xs)) for body in (yes, no))
    return x.lax.cond(chosen, *pair, *operands)


# ------------------------------------------------------------------------------- checkpoint


def body_type(*operands: Type, body: Graph, own: Any = None) -> Bundle:
    """What the body gives."""
    require_inputs("a traced function", body.input_types, operands)
    return Bundle(body.output_types)


def numpy_body(run: Any, *operands: Any, body: Graph, own: Any = None) -> Any:
    """The body's values."""
    return tuple(run(body, operands))


def xla_body(x: Any, *operands: Any, body: Graph, own: Any = None) -> Any:
    """The body, in place."""
    return tuple(x.run(body, operands))


def forward_body(d: Any, node: Node, tangents: Some) -> list[Node | None]:
    """The body's tangents, in place."""
    body = node.attrs["body"]
    moving = [tangent is not None for tangent in tangents]
    out = floats(body.outputs)
    graph = tangent_graph(d, body, moving, out)
    found = graph.inline([*node.inputs, *kept(tangents, moving)])
    return spread(found[len(out) :], out)


def reverse_checkpoint(d: Any, node: Node, gs: Some, wanted: Sequence[bool]) -> list[Node | None]:
    """The body is computed again, once the cotangents are there, and differentiated."""
    given = [g is not None for g in gs]
    present = kept(gs, given)
    graph = cotangent_graph(d, node.attrs["body"], given, wanted)
    again = [apply("after", each, *present) for each in node.inputs]
    return spread(graph.inline([*again, *present]), wanted)


def batch_checkpoint(b: Any, node: Node, inputs: Sequence[Node], batched: Any, size: int) -> Node:
    """A checkpoint of the batched body."""
    return apply("checkpoint", *inputs, body=b.graph(node.attrs["body"], batched, size))


# ----------------------------------------------------------------------------------- custom


@dataclass(frozen=True, eq=False)
class Own:
    """Derivative rules of the user, on nodes; without any, those of the body.

    `forward(inputs, tangents)` gives the outputs' tangents, `reverse(inputs, gs)` the inputs'
    cotangents; every list is complete, with zeros instead of None.
    """

    name: str = ""
    forward: Callable[[list[Node], list[Node]], list[Node]] | None = None
    reverse: Callable[[list[Node], list[Node]], list[Node]] | None = None


def forward_custom(d: Any, node: Node, tangents: Some) -> list[Node | None]:
    """The user's rule."""
    own: Own = node.attrs["own"]
    if own.forward is not None:
        return list(own.forward(list(node.inputs), or_zeros(tangents, node.inputs)))
    if own.reverse is not None:
        raise GradientError(
            f"forward mode through {own.name}, which has a reverse rule only",
            fix="use grad or vjp, or define it with kj.custom_jvp",
        )
    return forward_body(d, node, tangents)


def reverse_custom(d: Any, node: Node, gs: Some, wanted: Sequence[bool]) -> list[Node | None]:
    """The user's rule; that of forward mode is transposed, since it is linear in the tangents."""
    own: Own = node.attrs["own"]
    body: Graph = node.attrs["body"]
    complete = or_zeros(gs, body.outputs)
    if own.reverse is not None:
        found = own.reverse(list(node.inputs), complete)
        return kept_where(found, wanted)
    inputs = list(node.inputs)
    if own.forward is None:
        graph = cotangent_graph(d, body, [g is not None for g in gs], wanted)
        return spread(graph.inline([*inputs, *kept(gs, [g is not None for g in gs])]), wanted)
    tangents = [variable(f"t{i}", each.type) for i, each in enumerate(inputs)]
    out = own.forward(inputs, tangents)
    moving = floats(body.outputs)
    found = d.vjp(kept(out, moving), kept(complete, moving), tangents)
    return kept_where(found, wanted)


def kept_where(found: Sequence[Any], wanted: Sequence[bool]) -> list[Any]:
    """None where nothing is wanted."""
    return [each if want else None for each, want in zip(found, wanted, strict=True)]


def batch_custom(b: Any, node: Node, inputs: Sequence[Node], batched: Any, size: int) -> Node:
    """Body and rules, each with a leading axis on everything."""
    own: Own = node.attrs["own"]
    everything = [
        x if is_batched else b.front(x, size) for x, is_batched in zip(inputs, batched, strict=True)
    ]
    body = b.graph(node.attrs["body"], [True] * len(inputs), size)
    pair = [_batched_rule(b, rule, size) for rule in (own.forward, own.reverse)]
    return apply("custom", *everything, body=body, own=Own(own.name, *pair))


def _batched_rule(b: Any, rule: Any, size: int) -> Any:
    if rule is None:
        return None

    def batched(first: list[Node], second: list[Node]) -> list[Node]:
        given = [*first, *second]
        inner_inputs = [variable("x", Type(x.shape[1:], x.dtype)) for x in given]
        cut = len(first)
        found = rule(inner_inputs[:cut], inner_inputs[cut:])
        graph = Graph(tuple(inner_inputs), tuple(found))
        result: list[Node] = b.graph(graph, [True] * len(given), size).inline(given)
        return result

    return batched


# ------------------------------------------------------------------------------------ after


def back_after(g: Node, node: Node, i: int) -> Node | None:
    """The gradient goes to the value; what it waited for gets none."""
    return g if i == 0 else None


def batch_after(b: Any, node: Node, inputs: Sequence[Node], batched: Any, size: int) -> Node:
    """The batched value, after the batched others."""
    value, *others = inputs
    return apply("after", value if batched[0] else b.front(value, size), *others)


# ---------------------------------------------------------------------------------- samples


def _square_graph(count: int = 1) -> Graph:
    x = variable("x", Type((3,), float64))
    return Graph((x,), (x * x,) * count)


def _double_graph() -> Graph:
    x = variable("x", Type((3,), float64))
    return Graph((x,), (x + x,))


def sample_cond(rng: np.random.Generator) -> Sequence[Case]:
    """Each branch."""
    attrs = {"yes": _square_graph(), "no": _double_graph()}
    return [Case((np.asarray(chosen), rng.uniform(-2, 2, 3)), attrs) for chosen in (True, False)]


def sample_body(**attrs: Any) -> Callable[[np.random.Generator], Sequence[Case]]:
    """A body of two outputs."""
    return lambda rng: [Case((rng.uniform(-2, 2, 3),), {"body": _square_graph(2), **attrs})]


BATCH_AFTER: Batching = BatchRule(batch_after)
BODY_GATE = "as the function inside it"

register(
    (
        inner(
            "cond",
            type=cond_type,
            numpy=numpy_cond,
            derivative=Inner(forward_cond, reverse_cond),
            batch=batch_cond,
            xla=xla_cond,
            sample=sample_cond,
            gate="the gradient goes through the branch that was taken",
        ),
        inner(
            "checkpoint",
            type=body_type,
            numpy=numpy_body,
            derivative=Inner(forward_body, reverse_checkpoint),
            batch=batch_checkpoint,
            xla=xla_body,
            sample=sample_body(),
            gate="computed again on the way back, then " + BODY_GATE,
        ),
        inner(
            "custom",
            type=body_type,
            numpy=numpy_body,
            derivative=Inner(forward_custom, reverse_custom),
            batch=batch_custom,
            xla=xla_body,
            sample=sample_body(own=Own()),
            gate="by the rule that its author gave",
        ),
        Op(
            "after",
            type=lambda x, *others: x,
            numpy=lambda x, *others: x,
            derivative=Linear(back_after, tangent=lambda node, tangents: tangents[0]),
            lowering=Reindex(lambda space, node, out: [(0, tuple(out), ())]),
            formula="after({*})",
            sample=lambda rng: [Case((rng.uniform(-2, 2, (3, 5)), rng.integers(0, 9, (2,))))],
            dtypes=ALL,
            flops=0,
            gate="passes the gradient on",
            batch=BATCH_AFTER,
            xla=lambda x, value, *others: x.lax.optimization_barrier((value, *others))[0],
        ),
    ),
    "control",
)
