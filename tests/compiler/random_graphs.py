"""Random well-typed graphs over the table of ops, from recipes that hypothesis can shrink.

A recipe is a list of leaves and of steps, and every recipe makes a graph. Not here: the steps
(`graph_steps.py`), and how close the results must be (`rounding.py`).
Next: `test_random_graphs.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

from kedja.ground.dtypes import FLOATS, UNSIGNED, bool_, is_float
from kedja.ir.graph import Node, apply, constant, full, variable
from kedja.ir.op import Type
from tests.compiler.graph_steps import EXTENTS, KINDS, LARGEST, Graph, Step, pooled, tamed
from tests.fixtures import total


@dataclass(frozen=True)
class Recipe:
    """What a graph is made from."""

    leaves: tuple[tuple[np.dtype, tuple[int, ...], str], ...]
    steps: tuple[Step, ...]
    outputs: tuple[int, ...]
    seed: int


def recipes(kinds: Sequence[str], dtypes: Sequence[np.dtype], longest: int) -> st.SearchStrategy:
    """Recipes with these kinds of steps, from leaves of these dtypes."""
    number = st.integers(0, 99)
    shape = st.lists(st.sampled_from(EXTENTS), max_size=4).map(tuple)
    leaf = st.tuples(st.sampled_from(list(dtypes)), shape, st.sampled_from(("input", "constant")))
    return st.builds(
        Recipe,
        leaves=st.lists(leaf, min_size=1, max_size=4).map(tuple),
        steps=st.lists(
            st.builds(Step, st.sampled_from(list(kinds)), number, number, number),
            min_size=1,
            max_size=longest,
        ).map(tuple),
        outputs=st.lists(number, max_size=4).map(tuple),
        seed=st.integers(0, 2**16),
    )


def graph_of(recipe: Recipe) -> Graph:
    """The graph that a recipe makes: the newest node and some others are its outputs."""
    graph = Graph()
    rng = np.random.default_rng(recipe.seed)
    for dtype, shape, kind in recipe.leaves:
        graph.pool.append(_leaf(graph, quantised(rng, dtype, shape), kind))
    for step in recipe.steps:
        graph.pool.append(tamed(graph, KINDS[step.kind](graph, step)))
    graph.outputs = [pooled(graph, place) for place in (0, *recipe.outputs)]
    return graph


def _leaf(graph: Graph, value: np.ndarray, kind: str) -> Node:
    if kind == "input":
        node = variable(f"x{len(graph.inputs)}", Type(value.shape, value.dtype))
        graph.inputs.append(node)
    else:
        node = constant(value)
    graph.values[node] = value
    graph.exact.add(node)
    return node


def quantised(rng: np.random.Generator, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
    """Eighths for floats, small whole numbers for integers: sums of them tie often and exactly."""
    while math.prod(shape) > LARGEST // 4:
        shape = shape[1:]
    if is_float(dtype):
        return np.asarray(rng.integers(-16, 17, shape) / 8).astype(dtype)
    least = 0 if dtype in UNSIGNED else -9
    return np.asarray(rng.integers(least, 2 if dtype == bool_ else 10, shape)).astype(dtype)


def loss_of(graph: Graph) -> Node:
    """One float64 number from all float outputs."""
    whole = full(0.0, (), FLOATS[1])
    for node in graph.outputs:
        if is_float(node.dtype):
            whole = whole + total(apply("cast", node, dtype=FLOATS[1]))
    return whole
