"""Compiled programs agree with the interpreter on random graphs and on their gradients.

Beside that the testers are tested without a compiler: an interpreter that rounds otherwise must
agree, one with a mistake must not. The graphs stand in `random_graphs.py`.
"""

from __future__ import annotations

from collections import Counter
from importlib import import_module

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from kedja.autodiff.reverse import gradient
from kedja.ground.dtypes import ALL, float32, float64, is_float, is_half
from kedja.ground.limits import float_limits
from kedja.interpret.reference import node_value, run
from kedja.ir.graph import Node, topological
from kedja.ir.op import TABLE
from kedja.ir.verify import verify
from tests.compiler.graph_steps import KINDS, SMOOTH_KINDS, Graph, Step
from tests.compiler.random_graphs import Recipe, graph_of, loss_of, recipes
from tests.compiler.rounding import bounds
from tests.fixtures import COMPILER, needs_compiler

WIDE = (float32, float64)
ANY = recipes(tuple(KINDS), ALL, longest=20)
SMOOTH = recipes(SMOOTH_KINDS, WIDE, longest=12)
FAST = {"max_examples": 100, "suppress_health_check": list(HealthCheck)}
SLOW = {"max_examples": 2000, "suppress_health_check": list(HealthCheck)}


def compiled(outputs, graph: Graph):
    program = import_module(COMPILER).compile(list(outputs), graph.inputs)
    return program(*(graph.values[node] for node in graph.inputs))


def require_agreement(outputs, graph: Graph, execute) -> None:
    """The executor's results are within the rounding bound of the interpreter's."""
    bound = graph.bound()
    expected = run(outputs, bound)
    found = execute(outputs, graph)
    assert len(found) == len(expected)
    limits = bounds(outputs, bound)
    for node, right, mine, limit in zip(outputs, expected, found, limits, strict=True):
        assert (mine.dtype, mine.shape) == (right.dtype, right.shape), node
        if is_float(right.dtype):
            apart = np.abs(mine.astype(np.float64) - right.astype(np.float64))
            assert (apart <= limit).all(), f"{node}: {mine} instead of {right}, up to {limit}"
        else:
            np.testing.assert_array_equal(mine, right, err_msg=repr(node))


def gradients(graph: Graph):
    """The loss and its gradients for all inputs that it depends on."""
    loss = loss_of(graph)
    return [loss, *(g for g in gradient(loss, graph.inputs) if g is not None)]


# ------------------------------------------------------------------------ the compiler


@needs_compiler
@settings(**FAST)
@given(ANY)
def test_compiled_graphs_agree(recipe):
    graph = graph_of(recipe)
    require_agreement(graph.outputs, graph, compiled)


@needs_compiler
@settings(**{**FAST, "max_examples": 50})
@given(SMOOTH)
def test_compiled_gradients_agree(recipe):
    graph = graph_of(recipe)
    require_agreement(gradients(graph), graph, compiled)


@needs_compiler
@pytest.mark.slow
@settings(**SLOW)
@given(ANY)
def test_compiled_graphs_agree_at_length(recipe):
    graph = graph_of(recipe)
    require_agreement(graph.outputs, graph, compiled)


@needs_compiler
@pytest.mark.slow
@settings(**{**SLOW, "max_examples": 1000})
@given(SMOOTH)
def test_compiled_gradients_agree_at_length(recipe):
    graph = graph_of(recipe)
    require_agreement(gradients(graph), graph, compiled)


# ------------------------------------------------------------------- testing the testers


def perturbed(outputs, graph: Graph, ulps: float = 1.0):
    """An interpreter that rounds every computed float the other way."""
    rng = np.random.default_rng(0)
    values = graph.bound()
    for node in topological(outputs, leaves=values):
        if node not in values:
            value = node_value(node, [values[each] for each in node.inputs])
            if is_float(value.dtype) and node.op.flops and not is_exact(node, graph):
                off = ulps * float_limits(value.dtype).eps * rng.choice((-1, 1), value.shape)
                value = (value.astype(np.float64) * (1 + off)).astype(value.dtype)
            values[node] = value
    return [values[node] for node in outputs]


def is_exact(node: Node, graph: Graph) -> bool:
    """Whether every executor gives the same bits."""
    return node.op.name in EXACT or (is_half(node.dtype) and node in graph.exact)


EXACT = {
    "full",
    "constant",
    "copy",
    "where",
    "stop_gradient",
    "abs",
    "relu",
    "sign",
    "negative",
} | {*("floor", "ceil", "round", "trunc", "maximum", "minimum", "max", "min", "cast")}


@settings(**FAST)
@given(ANY)
def test_graphs_are_legal_and_another_rounding_agrees(recipe):
    graph = graph_of(recipe)
    verify(graph.outputs)
    require_agreement(graph.outputs, graph, perturbed)


@settings(**{**FAST, "max_examples": 60})
@given(SMOOTH)
def test_another_rounding_agrees_on_gradients(recipe):
    graph = graph_of(recipe)
    outputs = gradients(graph)
    verify(outputs)
    require_agreement(outputs, graph, perturbed)


def sample_graphs(count: int, kinds=tuple(KINDS), dtypes=ALL) -> list[Graph]:
    """Graphs from recipes by a plain random generator, the same in every run."""
    rng = np.random.default_rng(5)
    made = []
    for _ in range(count):
        shapes = [
            tuple(int(n) for n in rng.choice((1, 2, 3, 5, 7), rng.integers(0, 4))) for _ in "abc"
        ]
        leaves = tuple((dtypes[rng.integers(len(dtypes))], shape, "input") for shape in shapes)
        numbers = rng.integers(0, 100, (12, 3)).tolist()
        steps = tuple(Step(kinds[rng.integers(len(kinds))], *each) for each in numbers)
        made.append(graph_of(Recipe(leaves, steps, (1, 2, 5), int(rng.integers(1000)))))
    return made


def test_the_bounds_are_tight_enough_to_find_a_mistake():
    """Most float results are known to six digits in float32; a change of 0.1 % is found.

    In half dtypes one of a few units in the last place is.
    """
    found = 0
    graphs = sample_graphs(200)
    for graph in graphs:
        outputs = [node for node in graph.outputs if is_float(node.dtype) and node.type.size]
        for node, limit in zip(outputs, bounds(outputs, graph.bound()), strict=True):
            value = np.abs(run([node], graph.bound())[0].astype(np.float64))
            change = max(1e-3, 8 * float_limits(node.dtype).eps)
            found += bool((change * value > limit).any()) or not value.any()
    assert found > 0.95 * sum(
        is_float(node.dtype) and node.type.size > 0 for graph in graphs for node in graph.outputs
    )


def test_a_program_that_drops_a_term_is_found():
    def careless(outputs: list[Node], graph: Graph) -> list[np.ndarray]:
        return [
            value * 1.001 if is_float(value.dtype) else value for value in perturbed(outputs, graph)
        ]

    wrong = 0
    for graph in sample_graphs(60, SMOOTH_KINDS, WIDE):
        try:
            require_agreement(graph.outputs, graph, careless)
        except AssertionError:
            wrong += 1
    assert wrong > 50


def test_the_graphs_cover_the_table():
    """Every op that a recipe can make is made, in several dtypes, with shared nodes."""
    ops: Counter[str] = Counter()
    dtypes: Counter[str] = Counter()
    shared = several = 0
    for graph in sample_graphs(400):
        order = topological(graph.outputs)
        ops.update(node.op.name for node in order)
        dtypes.update(node.dtype.name for node in order)
        users = Counter(each for node in order for each in node.inputs)
        shared += any(count > 1 for count in users.values())
        several += len(set(graph.outputs)) > 1
    within = {name for name, op in TABLE.items() if op.family in FAMILIES}
    assert within - set(ops) <= LEFT_TO_THE_WALK
    assert min(dtypes[dtype.name] for dtype in ALL) > 100
    assert shared > 300
    assert several > 300


# Compiled one by one in tests/ops; here their domains or values would get in the way.
LEFT_TO_THE_WALK = {
    *("acos", "acosh", "asin", "atan2", "atanh", "cosh", "cross_entropy", "exp2", "expm1", "log10"),
    *("invert", "isfinite", "isinf", "isnan", "log1p", "log2", "pow", "sinh", "tan", "threefry"),
    *("copy", "stop_gradient", "constant", "prod"),
}
# The others run between compiled parts, or are built of what these have.
FAMILIES = {
    *("leaves", "elementwise", "reduce", "movement", "contract", "indexing", "random", "composite"),
}
