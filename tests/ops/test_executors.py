"""Every op in every executor agrees with NumPy: odd sizes, layouts, special values, all dtypes.

All calls of one op become one program, so that the whole table compiles in seconds. Which calls
stands in `sized.py`, how closely the results must agree in `agreement.py`.
"""

from __future__ import annotations

import numpy as np
import pytest

from kedja.ground.dtypes import is_float
from kedja.interpret.reference import run
from kedja.ir.op import TABLE, Case, OwnProgram
from tests.fixtures import float32, float64, variables
from tests.ops import agreement, bodies, sized, walk
from tests.ops.executors import executors

OPS = [TABLE[name] for name in sorted(TABLE) if name not in ("input", "part")]
over_executors = pytest.mark.parametrize("execute", executors())
over_ops = pytest.mark.parametrize("op", OPS, ids=lambda op: op.name)


def program(op, calls):
    """The outputs of all calls, with their inputs."""
    inputs = [variables(case.inputs) for case in calls]
    nodes = [walk.outputs(op, xs, case) for xs, case in zip(inputs, calls, strict=True)]
    return nodes, inputs


@over_executors
@over_ops
def test_the_executor_agrees_with_numpy(op, execute):
    calls = sized.chosen(list(sized.calls(op)), execute.most)
    groups, inputs = program(op, calls)
    nodes = [node for group in groups for node in group]
    owners = [turn for turn, group in enumerate(groups) for _ in group]
    flat = [x for group in inputs for x in group]
    arrays = [x for turn, case in enumerate(calls) for x in sized.arranged(case.inputs, turn)]
    expected = run(nodes, dict(zip(flat, arrays, strict=True)))
    found = execute(nodes, flat, arrays)
    assert len(found) == len(nodes)
    for turn, right, mine in zip(owners, expected, found, strict=True):
        agreement.require(op, calls[turn], right, mine, f" call {turn}")


@over_executors
@over_ops
def test_the_executor_agrees_on_derivatives(op, execute):
    """Both modes, second order included: what training and its gradients are made of."""
    derived = [
        derive(op, case)
        for case in walk.cases(op)
        if walk.differentiable(op, case) and walk.whole_type(op, case).dtype == float64
        for derive in (walk.reverse_gradient, walk.forward_tangent)
    ]
    inputs = [variables(arrays) for _, arrays in derived]
    nodes = [f(*xs) for (f, _), xs in zip(derived, inputs, strict=True)]
    flat = [x for group in inputs for x in group]
    arrays = [x for _, group in derived for x in group]
    if not nodes:
        return
    expected = run(nodes, dict(zip(flat, arrays, strict=True)))
    for right, mine in zip(expected, execute(nodes, flat, arrays), strict=True):
        np.testing.assert_allclose(mine, right, rtol=1e-11, atol=1e-11)


# ------------------------------------------------- the calls themselves, without an executor


def test_every_op_has_calls_of_odd_sizes():
    sized_here = (sized.is_pointwise(op) or op.name in bodies.CALLS for op in OPS)
    wanted = [op.name for op, other in zip(OPS, sized_here, strict=True) if not other]
    missing = [name for name in wanted if name not in sized.SIZED]
    assert not missing, f"add an entry to tests/ops/sized.py for {missing}"
    assert set(sized.SIZED) <= set(TABLE)


@over_ops
def test_numpy_gives_what_the_type_rule_says_at_every_size(op):
    seen = set()
    for case in sized.calls(op):
        with np.errstate(all="ignore"):
            walk.type_rule(op, case)
        seen |= {case.inputs[0].dtype} if case.inputs else set(op.dtypes)
    assert seen == set(op.dtypes) or isinstance(op.lowering, OwnProgram)


@pytest.mark.parametrize(
    "op", [op for op in OPS if op.name not in walk.FORWARD_ONLY], ids=lambda op: op.name
)
def test_gradients_have_the_type_of_their_inputs(op):
    for case in walk.variants(op):
        xs = variables(case.inputs)
        node = walk.whole(op, xs, case)
        ones = walk.constant(np.ones(node.shape, node.dtype))
        for x, g in zip(xs, walk.vjp([node], [ones], xs), strict=True):
            assert g is None or (g.type == x.type and is_float(g.dtype)), walk.describe(op, case)


@pytest.mark.parametrize("layout", list(sized.LAYOUTS.values()), ids=list(sized.LAYOUTS))
@pytest.mark.parametrize("shape", [(), (1,), (0,), (7,), (3, 5), (2, 1, 4)])
def test_a_layout_keeps_every_element(layout, shape):
    x = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    found = layout(x)
    assert isinstance(found, np.ndarray)
    np.testing.assert_array_equal(found, x)
    assert found.dtype == x.dtype


# --------------------------------------------------------------------- testing the tester


def wrong(op_name, inputs, expected, found, attrs=None):
    case = Case(tuple(map(np.asarray, inputs)), attrs or {})
    with pytest.raises(AssertionError):
        agreement.require(TABLE[op_name], case, np.asarray(expected), np.asarray(found))


def test_disagreement_is_found():
    x = np.linspace(1, 2, 5, dtype=np.float32)
    after = np.nextafter(np.exp(x), np.inf, dtype=np.float32)
    agreement.require(TABLE["exp"], Case((x,)), np.exp(x), after)
    wrong("exp", [x], np.exp(x), np.exp(x) * np.float32(1.00001))
    wrong("add", [x, x], x + x, np.nextafter(x + x, np.inf))
    wrong("exp", [x], np.exp(x), np.exp(x).astype(float64))
    wrong("exp", [x], np.exp(x), np.exp(x)[:4])
    nan = np.where(x > 1.5, np.float32(np.nan), x)
    wrong("copy", [x], x, nan)
    wrong("copy", [x], nan, x)
    wrong("copy", [x], np.full(5, np.inf, float32), np.full(5, -np.inf, float32))
    wrong("add", [[1], [1]], np.array([2]), np.array([3]))


def test_a_zero_of_the_wrong_sign_is_found():
    wrong("sqrt", [np.float32([-0.0])], np.float32([-0.0]), np.float32([0.0]))


def test_a_half_may_be_the_next_one_where_its_float32_may_differ():
    x = np.linspace(1, 2, 5, dtype=np.float16)
    right = np.exp(x.astype(float32)).astype(np.float16)
    after = np.nextafter(right, np.float16(np.inf))
    agreement.require(TABLE["exp"], Case((x,)), right, after)
    wrong("exp", [x], right, np.nextafter(after, np.float16(np.inf)))
    wrong("add", [x, x], x + x, np.nextafter(x + x, np.float16(np.inf)))


def test_the_chosen_calls_have_every_dtype_with_unusual_values():
    calls = list(sized.calls(TABLE["add"]))
    some = sized.chosen(calls, 5)
    dtypes = {case.inputs[0].dtype for case in some if sized.is_unusual(case)}
    assert dtypes == set(TABLE["add"].dtypes)
    assert len(some) < len(calls) / 2
    assert sized.chosen(calls, None) == calls


def test_a_dropped_summand_is_found():
    x = np.random.default_rng(0).standard_normal(1000).astype(np.float32)
    case = Case((x,), {"axes": (0,)})
    agreement.require(TABLE["sum"], case, x.sum(), np.float32(x.astype(float64).sum()))
    wrong("sum", [x], x.sum(), x[:-1].sum(), {"axes": (0,)})


def test_denormal_results_may_be_flushed():
    x = np.array([1e-38], np.float32)
    half = np.array([0.25], np.float32)
    agreement.require(TABLE["multiply"], Case((x, half)), x * half, np.zeros(1, float32))
    wrong("multiply", [x, half], np.float32([1e-30]), np.float32([0]))
