"""Walks over graphs: remembered ones are right, and editing equals rebuilding everything."""

from __future__ import annotations

import pytest

from kedja.ground.dtypes import float32
from kedja.ir.graph import (
    apply,
    edited,
    full,
    rebuild,
    topological,
    transform,
    variable,
    walks_remembered,
)
from kedja.ir.op import Type


def diamond():
    x = variable("x", Type((3,), float32))
    left, right = apply("sin", x), apply("cos", x)
    return x, left, right, left + right


def test_a_remembered_walk_is_that_of_its_own_graph():
    x, left, right, top = diamond()
    with walks_remembered():
        for outputs in ([top], [top], [left], [left, right], [top]):
            assert topological(outputs) == _plain(outputs)
        assert topological([top], leaves={left}) == [left, x, right, top]
        assert topological(iter([top])) == [x, left, right, top]


def test_who_changes_a_list_changes_no_other_walk():
    _, _, _, top = diamond()
    with walks_remembered():
        topological([top]).clear()
        assert topological([top])[-1] is top


def _plain(outputs):
    """The walk outside, where nothing is remembered."""
    found = []

    def visit(node):
        if node not in found:
            for each in node.inputs:
                visit(each)
            found.append(node)

    for node in outputs:
        visit(node)
    return found


@pytest.mark.parametrize("name", ["sin", "cos", "add", "input", "tanh"])
def test_editing_equals_rebuilding(name):
    *_, top = diamond()
    outputs = [top, apply("exp", top), full(1, (3,), float32)]

    def edit(node):
        return full(2, node.shape, node.dtype) if node.op.name == name else node

    found = edited(outputs, edit)
    expected = transform(outputs, lambda node, inputs: edit(rebuild(node, inputs)))
    assert [_text(each) for each in found] == [_text(each) for each in expected]
    untouched = name not in {node.op.name for node in topological(outputs)}
    assert (found == outputs) == untouched


def _text(node):
    return f"{node.op.name}({', '.join(map(_text, node.inputs))})"
