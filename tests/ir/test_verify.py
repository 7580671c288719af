"""The verifier accepts what the system builds, and names the rule of every planted violation.

Not here: graphs that the passes of the compiler make, which are verified where the passes run.
"""

from __future__ import annotations

import numpy as np
import pytest

from kedja import ops  # noqa: F401  fills the table
from kedja.autodiff.reverse import gradient
from kedja.ground.dtypes import bfloat16, bool_, float32, float64, int64
from kedja.ground.errors import UsageError, VerificationError
from kedja.ir.graph import (
    Graph,
    Node,
    apply,
    constant,
    full,
    make,
    parts,
    scope,
    topological,
    variable,
)
from kedja.ir.op import TABLE, Bundle, Type
from kedja.ir.verify import LOWERED, RULES, WIDENED, verify

MATRIX = Type((2, 3), float32)


def forged(node: Node, **changes: object) -> Node:
    """The same node with some facts replaced, past all checks."""
    facts = {name: getattr(node, name) for name in ("op", "inputs", "attrs", "type")}
    result = Node(**facts, source=node.source, scope=node.scope)
    for name, value in changes.items():
        object.__setattr__(result, name, value)
    return result


def softmax() -> Node:
    return apply("softmax", variable("x", MATRIX), axes=(1,))


def doubled() -> Node:
    x = variable("x", MATRIX)
    return apply("add", x, x)


def half() -> Node:
    return variable("h", Type((2,), bfloat16))


def record_of_its_own() -> Node:
    copied = forged(doubled()).op
    twin = object.__new__(type(copied))
    twin.__dict__.update(copied.__dict__)
    return make(twin, doubled().inputs, {})


def attributes(**attrs: object) -> Node:
    node = full(0.0, (2, 3), float32)
    return forged(node, attrs=type(node.attrs)({**node.attrs, **attrs}))


def checkpointed(*used: Node) -> Node:
    """A body that adds what it is given to other nodes."""
    x = variable("x", MATRIX)
    total = x
    for each in used:
        total = apply("add", total, each)
    return apply("checkpoint", variable("x", MATRIX), body=Graph((x,), (total,)))


def a_cycle() -> Node:
    a, b = doubled(), doubled()
    object.__setattr__(b, "inputs", (a, a))
    object.__setattr__(a, "inputs", (b, b))
    return a


VIOLATIONS = {
    "acyclic": [a_cycle],
    "own record": [record_of_its_own, lambda: forged(doubled(), op=record_of_its_own().op)],
    "arity": [
        lambda: forged(doubled(), inputs=(variable("x", MATRIX),) * 3),
        lambda: forged(softmax(), inputs=()),
    ],
    "plain attributes": [
        lambda: attributes(shape=[2, 3]),
        lambda: attributes(value=np.zeros(3)),
        lambda: attributes(extra={1: 2}),
        lambda: attributes(shape=((2, [3]),)),
        lambda: forged(doubled(), attrs={}),
    ],
    "sound type": [
        lambda: forged(doubled(), type=((2, 3), float32)),
        lambda: forged(doubled(), type=Type([2, 3], float32)),
        lambda: forged(doubled(), type=Type((2, -3), float32)),
        lambda: forged(doubled(), type=Type((2, 3.0), float32)),
        lambda: forged(doubled(), type=Type((np.int64(2), 3), float32)),
        lambda: forged(doubled(), type=Type((2, 3), np.dtype(np.complex64))),
    ],
    "taken dtype": [
        lambda: forged(
            apply("exp", variable("x", MATRIX)), inputs=(constant(np.zeros((2, 3), int)),)
        )
    ],
    "recorded type": [
        lambda: forged(doubled(), type=Type((3, 2), float32)),
        lambda: forged(doubled(), type=Type((2, 3), float64)),
        lambda: forged(
            doubled(), inputs=(variable("x", MATRIX), variable("y", Type((2,), float32)))
        ),
        lambda: attributes(colour="red"),
        lambda: forged(softmax(), attrs=type(softmax().attrs)({"axes": (7,)})),
    ],
    "known origin": [
        lambda: forged(doubled(), source=("file.py", 3)),
        lambda: forged(doubled(), scope=None),
    ],
    "sound graphs": [lambda: checkpointed(variable("y", MATRIX), variable("z", MATRIX))],
    "no composite": [softmax],
    "no half arithmetic": [
        lambda: half() + half(),
        lambda: apply("less", half(), half()),
        lambda: apply("sum", half(), axes=(0,)),
    ],
    "outputs": [lambda: np.zeros(3)],
}
STAGE_OF = {"no composite": "lowered", "no half arithmetic": "widened"}
PLANTED = [(rule, plant) for rule, plants in VIOLATIONS.items() for plant in plants]


@pytest.mark.parametrize(("rule", "plant"), PLANTED, ids=[rule for rule, _ in PLANTED])
def test_a_planted_violation_is_named(rule, plant):
    with pytest.raises(VerificationError, match=f"rule {rule}"):
        verify([plant()], stage=STAGE_OF.get(rule, "graph"))


def test_every_rule_has_a_planted_violation():
    assert set(VIOLATIONS) == {"acyclic", "outputs", *RULES, *LOWERED, *WIDENED}


def test_the_violation_is_found_beneath_other_nodes():
    bad = forged(doubled(), type=Type((3, 2), float32))
    with pytest.raises(VerificationError, match="recorded type"):
        verify([doubled(), apply("exp", apply("negative", bad))])


def test_the_violation_is_found_in_a_graph_inside():
    x = variable("x", MATRIX)
    bad = forged(doubled(), inputs=(x, x), type=Type((3, 2), float32))
    outer = apply("checkpoint", variable("x", MATRIX), body=Graph((x,), (bad,)))
    for _ in range(2):  # what was found wrong is not taken for sound later
        with pytest.raises(VerificationError, match="recorded type"):
            verify([outer])
    verify([checkpointed(constant(np.ones((2, 3), np.float32)))])


def test_the_message_names_node_line_and_layer():
    with scope("encoder"):
        bad = forged(doubled(), type=Type((3, 2), float32))
    with pytest.raises(VerificationError) as caught:
        verify([bad])
    assert "<add float32[3, 2]> in layer encoder" in str(caught.value)
    assert caught.value.where.startswith(__file__)


def test_a_node_without_a_source_is_legal():
    verify([forged(doubled(), source=None)])


def test_composites_are_legal_before_they_are_expanded():
    verify([softmax()])
    verify([softmax()], stage="graph")


def test_an_unknown_stage_is_refused():
    with pytest.raises(UsageError, match="stage"):
        verify([doubled()], stage="late")


def test_half_values_may_be_cast_and_moved_when_widened():
    single = apply("cast", half(), dtype=float32)
    rounded = apply("cast", single + single, dtype=bfloat16)
    chosen = apply("where", variable("c", Type((2,), bool_)), rounded, half())
    verify([apply("flip", apply("copy", chosen), axes=(0,))], stage="widened")


def test_a_graph_of_any_depth_is_verified():
    node = variable("x", MATRIX)
    for _ in range(5000):
        node = apply("negative", node)
    verify([node])


@pytest.mark.parametrize("name", sorted(set(TABLE) - {"input"}))
def test_the_samples_of_every_op_and_their_gradients_are_legal(name):
    op = TABLE[name]
    for case in op.sample(np.random.default_rng(0)):
        inputs = [variable(f"x{i}", Type(a.shape, a.dtype)) for i, a in enumerate(case.inputs)]
        made = make(op, inputs, case.attrs)
        nodes = parts(made) if isinstance(made.type, Bundle) else [made]
        verify(nodes)
        for node in nodes:
            if node.dtype == float64 and name != "while_loop":  # which has no reverse mode
                total = apply("sum", node, axes=tuple(range(len(node.shape))))
                verify([g for g in gradient(total, inputs) if g is not None])


def test_an_expansion_is_legal_when_lowered():
    node = TABLE["logsumexp"].expand(variable("x", MATRIX), axes=(1,))
    verify([node], stage="lowered")
    assert all(each.op.expand is None for each in topological([node]))


def test_integers_count_as_plain():
    verify([full(3, (2,), int64), apply("iota", shape=(2, 3), axis=1, dtype=int64)])
