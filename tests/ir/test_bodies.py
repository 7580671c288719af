"""Formulas of ops with graphs inside: these are functions with names, defined below."""

from __future__ import annotations

from typing import Any

import numpy as np

import kedja as kj
from kedja.front.named import subject
from kedja.front.tensor import Tensor
from kedja.ir.formula import formula, written
from kedja.ir.graph import Node


def nodes(f: Any, **at: Any) -> list[Node]:
    """What a function computes."""
    return subject(f, at).outputs


def test_a_loop_calls_its_body():
    def total(c: Tensor, x: Tensor) -> Any:
        return c + x, c * 2

    found = written(nodes(lambda x: kj.scan(total, 0.0 * x[0], x), x=np.ones(3)))
    assert found.formulas[1].startswith("scan(body1, ") and found.formulas[1].endswith(", x)[1]")
    assert found.where == [("body1(carry, x)", "(carry + x, carry * 2)")]


def test_a_branch_calls_one_of_two():
    def bent(x: Tensor, y: Tensor) -> Any:
        return kj.cond(x > y, lambda x, y: x - y, lambda x, y: y - x, x, y)

    found = written(nodes(bent, x=1.0, y=2.0))
    assert found.formulas == ["cond(x > y, yes1, no1, x, y)[0]"]
    assert dict(found.where) == {"yes1(a, b)": "a - b", "no1(a, b)": "b - a"}


def test_functions_inside_functions_are_defined_too():
    def outer(c: Tensor, x: Tensor) -> Any:
        return kj.cond(c > x, lambda c: c * 2, lambda c: c + 1, c), None

    found = dict(written(nodes(lambda x: kj.scan(outer, x[0], x)[0], x=np.ones(3))).where)
    assert found["body1(carry, x)"] == "cond(carry > x, yes1, no1, carry)[0]"
    assert found["yes1(a)"] == "a * 2" and found["no1(a)"] == "a + 1"


def test_a_shared_graph_is_one_function():
    doubled = kj.checkpoint(lambda x: x + x)
    [node] = nodes(lambda x: doubled(x) * doubled(x + 1), x=1.0)
    found = written([node])
    assert found.formulas == ["checkpoint(body1, x)[0] * checkpoint(body2, x + 1)[0]"]
    assert [text for _, text in found.where] == ["a + a", "a + a"]


def test_a_single_formula_leaves_the_definitions_out():
    [node] = nodes(lambda x: kj.checkpoint(kj.sin)(x), x=1.0)
    assert formula(node) == "checkpoint(body1, x)[0]"
