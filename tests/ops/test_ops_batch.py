"""The walk over the table under batching; the rules themselves stand in `batched.py`."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kedja.autodiff.batch import batch
from kedja.ground.errors import KedjaError, VerificationError
from kedja.ir.graph import apply, make, variable
from kedja.ir.op import TABLE, BatchRule, Leading, NotBatched, Op, Shifted, Type
from tests.fixtures import float64
from tests.ops import batched

OPS = [TABLE[name] for name in sorted(TABLE)]
WITH_INPUTS = [op for op in OPS if not isinstance(op.batch, NotBatched)]


def named(value: object) -> str:
    return value.name if isinstance(value, Op) else str(value)


@pytest.mark.parametrize("op", WITH_INPUTS, ids=named)
def test_a_batched_call_is_the_single_calls_stacked(op):
    for call in batched.calls(op):
        batched.values(call)
        batched.twice(call)


@pytest.mark.parametrize("op", WITH_INPUTS, ids=named)
def test_derivatives_and_batching_exchange(op):
    for call in batched.calls(op):
        if batched.differentiable(call):
            batched.tangents(call)
            batched.gradients(call)
            if all(call.batched):
                batched.second_order(call)


# ------------------------------------------------------------------------- testing the tester

WRONG = {  # op: a facet that is wrong for some samples and some choices of inputs
    "softmax": Leading(),
    "flip": Leading(),
    "argmax": Shifted(lambda node, size: {"axis": node.attrs["axis"]}),
    "add": BatchRule(lambda b, node, inputs, batched, size: b.front(node, size)),
    "matmul": BatchRule(
        lambda b, node, inputs, batched, size: apply("matmul", *(b.front(x, size) for x in inputs))
    ),
    "take": BatchRule(
        lambda b, node, inputs, batched, size: b.front(
            apply("take", *node.inputs, axis=node.attrs["axis"]), size
        )
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_facet_is_found(name):
    wrong = replace(TABLE[name], batch=WRONG[name])
    with pytest.raises((AssertionError, KedjaError)):
        for call in batched.calls(wrong):
            batched.values(call)


def test_a_rule_that_forgets_the_axis_is_named():
    rule = BatchRule(lambda b, node, inputs, batched, size: node)
    op = replace(TABLE["tanh"], batch=rule)
    x = variable("x", Type((2,), float64))
    wide = variable("x", Type((5, 2), float64))
    with pytest.raises(VerificationError, match=r"tanh batched by 5: float64\[2\] becomes"):
        batch([make(op, [x], {})], {x: wide}, 5)


def test_an_op_without_a_facet_is_named():
    with pytest.raises(VerificationError, match="tanh: the facet batch is missing"):
        replace(TABLE["tanh"], batch=None)
