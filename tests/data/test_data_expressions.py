"""Expressions are bracketed as Python reads them, and drawn the same everywhere."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kedja.data.expressions import bracket, draw
from kedja.ground.errors import DataError, UsageError

SIGNS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}


def by_python(expression: str) -> str:
    """The bracketing according to Python's own parser."""

    def shown(node: ast.expr) -> str:
        if isinstance(node, ast.BinOp):
            return f"({shown(node.left)}{SIGNS[type(node.op)]}{shown(node.right)})"
        assert isinstance(node, ast.Constant)
        return str(node.value)

    return shown(ast.parse(expression, mode="eval").body)


numbers = st.integers(1, 120).map(str)
rest = st.lists(st.tuples(st.sampled_from("+-*/"), numbers), max_size=12)


@given(numbers, rest)
def test_brackets_are_pythons(first: str, more: list[tuple[str, str]]) -> None:
    expression = first + "".join(map("".join, more))
    assert bracket(expression) == by_python(expression)


def test_the_example_of_the_lectures() -> None:
    assert bracket("1+2*3/4") == "(1+((2*3)/4))"


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("", "the end at character 1"),
        ("1+", "the end at character 3"),
        ("1+*2", "'*' at character 3"),
        ("1 +2", "' ' at character 2"),
        ("(1+2)", "'(' at character 1"),
    ],
)
def test_what_is_no_expression_is_named_with_its_place(expression: str, found: str) -> None:
    with pytest.raises(DataError, match=found.replace("*", r"\*").replace("(", r"\(")):
        bracket(expression)


def test_drawn_expressions_differ_and_have_the_lengths_asked_for() -> None:
    drawn = draw(500, 2, 5, seed=3)
    assert len(set(drawn)) == 500
    assert {(len(each) + 1) // 2 for each in drawn} == {2, 3, 4, 5}
    assert set("".join(drawn)) == set("123456789+-*/")
    assert all(len(by_python(each)) == 2 * len(each) - 1 for each in drawn)  # 2 more per operation


def test_the_seed_and_the_stream_decide() -> None:
    assert draw(20, 2, 6, seed=1) == draw(20, 2, 6, seed=1)
    assert draw(20, 2, 6, seed=1) != draw(20, 2, 6, seed=2)
    assert draw(20, 2, 6, seed=1) != draw(20, 2, 6, seed=1, stream=1)


def test_more_expressions_than_there_are() -> None:
    assert len(draw(9, 1, 1)) == 9
    with pytest.raises(UsageError, match="10 different expressions"):
        draw(10, 1, 1)
    with pytest.raises(UsageError, match="5 to 3 numbers"):
        draw(10, 5, 3)
