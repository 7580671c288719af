"""Formulas: few parentheses, and never one too few: their text means what the graph computes."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import kedja as kj
from kedja.autodiff.reverse import gradient
from kedja.front.tensor import Tensor, from_node
from kedja.interpret.reference import run
from kedja.ir import algebra
from kedja.ir.algebra import Text
from kedja.ir.formula import formula, step, written
from kedja.ir.graph import Node, apply, full, parts, topological, variable
from kedja.ir.names import leaf_names, letters
from kedja.ir.op import TABLE, Bundle, Leaf, Type

float64 = np.dtype(np.float64)
X, Y = (variable(name, Type((), float64)) for name in "xy")
x, y = from_node(X), from_node(Y)


def array(name: str, *shape: int) -> Tensor:
    """An input of some shape."""
    return from_node(variable(name, Type(shape, float64)))


@pytest.mark.parametrize(
    ("f", "text"),
    [
        (lambda: 1 / (1 - kj.exp(-x)), "1 / (1 - exp(-x))"),
        (lambda: (x + y) * x, "(x + y) * x"),
        (lambda: x + y * x, "x + y * x"),
        (lambda: x - (y - x), "x - (y - x)"),
        (lambda: x - y - x, "x - y - x"),
        (lambda: x + (y - x), "x + y - x"),
        (lambda: x / (y * x), "x / (y * x)"),
        (lambda: x * (y / x), "x * y / x"),
        (lambda: x % (y * x), "x % (y * x)"),
        (lambda: -(x + y), "-(x + y)"),
        (lambda: kj.negative(-x), "-(-x)"),
        (lambda: (-x) ** y, "(-x) ** y"),
        (lambda: -(x**y), "-x ** y"),
        (lambda: x ** (y**x), "x ** y ** x"),
        (lambda: (x**y) ** x, "(x ** y) ** x"),
        (lambda: x ** (-y), "x ** -y"),
        (lambda: x**-2, "x ** -2"),
        (lambda: x**3, "x * x * x"),
        (lambda: x * -2, "x * -2"),
        (lambda: kj.where(x > y + 1, x, 0.1), "where(x > y + 1, x, 0.1)"),
        (lambda: kj.abs(x - y), "|x - y|"),
        (lambda: kj.maximum(x, y - 1), "max(x, y - 1)"),
    ],
)
def test_parentheses_are_as_few_as_can_be(f: Callable[[], Tensor], text: str) -> None:
    assert formula(f().node) == text


@pytest.mark.parametrize(
    ("f", "text"),
    [
        (lambda: 1 / (1 - kj.exp(-x)), "-exp(-x) / (1 - exp(-x)) ** 2"),
        (lambda: x * x * x, "3 * x ** 2"),
        (lambda: x**5, "5 * x ** 4"),
        (lambda: x**y, "y * x ** (y - 1)"),
        (lambda: kj.sqrt(x), "0.5 / sqrt(x)"),
        (lambda: x / 3, "1 / 3"),
        (lambda: (x - y) - (x + y), "0"),
        (lambda: kj.tanh(x), "1 - tanh(x) ** 2"),
        (lambda: kj.sigmoid(x), "sigmoid(x) * (1 - sigmoid(x))"),
        (lambda: kj.sin(0.8 * x) * 0.1, "0.08 * cos(0.8 * x)"),
        (lambda: kj.relu(x), "[x > 0]"),
        (lambda: x * 2 - (-x), "3"),
        (lambda: 7.0 * y, "0"),
    ],
)
def test_derivatives_are_printed_as_in_a_textbook(f: Callable[[], Tensor], text: str) -> None:
    found = gradient(f().node, [X])[0]
    assert (formula(found, simplify=True) if found is not None else "0") == text


def test_broadcasts_are_left_out_where_numpy_makes_them() -> None:
    a, w, b = array("a", 4, 3), array("w", 3, 2), array("b", 2)
    assert formula((a @ w + b * 2).node) == "a @ w + b * 2"
    assert (
        formula(kj.sum(kj.broadcast_to(b, (4, 2))).node) == "sum(broadcast(b, (4, 2)), axes=(0, 1))"
    )


def test_the_gradient_of_a_layer_reads_like_the_book() -> None:
    a, w, b = array("a", 4, 3), array("w", 3, 2), array("b", 2)
    loss = kj.sum(kj.tanh(a @ w + b))
    grads = gradient(loss.node, [a.node, w.node, b.node])
    inner = "(1 - tanh(a @ w + b) ** 2)"
    assert [formula(g, simplify=True) for g in grads if g is not None] == [
        f"{inner} @ w.T",
        f"a.T @ {inner}",
        f"sum({inner[1:-1]}, axes=(0,))",
    ]


def test_a_product_with_a_vector_is_written_without_its_reshapes() -> None:
    a, v = array("a", 4, 3), array("v", 3)
    assert formula((a @ v).node) == "a @ v"
    assert formula((v @ array("m", 3, 2)).node) == "v @ m"
    assert formula((v @ v).node) == "v @ v"
    assert formula((a @ (v * 2)).node) == "a @ (v * 2)"


def test_products_and_matrix_products_do_not_run_into_one_another() -> None:
    a, b = array("a", 3, 3), array("b", 3, 3)
    assert formula((a * (a @ b)).node) == "a * (a @ b)"
    assert formula((a @ (a @ b)).node) == "a @ (a @ b)"
    assert formula((a * b @ b).node) == "a * b @ b"
    assert formula((a * (a @ b)).node, simplify=True) == "a * (a @ b)"


def test_a_step_is_written_with_its_broadcast_and_its_numbers() -> None:
    b = array("b", 2)
    wide = kj.broadcast_to(b, (4, 2))
    assert step(wide.node, {b.node: "b"}) == "broadcast(b, (4, 2))"
    assert step((x * -2).node, {X: "x"}) == "x * -2"


def test_every_op_has_a_formula_that_can_be_written() -> None:
    rng = np.random.default_rng(0)
    for op in TABLE.values():
        for case in op.sample(rng):
            inputs = [variable(f"x{i}", Type(a.shape, a.dtype)) for i, a in enumerate(case.inputs)]
            made = apply(op.name, *inputs, **case.attrs)
            node = parts(made)[0] if isinstance(made.type, Bundle) else made
            for simplify in (False, True):
                assert formula(node, simplify=simplify)
            if not isinstance(op.lowering, Leaf):
                assert all(f"x{i}" in step(made, leaf_names(inputs)) for i in range(len(inputs)))


def test_long_formulas_name_the_parts_that_they_use_twice() -> None:
    value = x
    for _ in range(40):
        value = value * kj.sin(value)
    found = written([value.node])
    assert len(found.formulas[0]) < 100
    names = {"x": 0.7, "sin": math.sin}
    for name, text in found.where:
        names[name] = eval(text, {}, names)
    expected = run([value.node], {X: np.array(0.7)})[0]
    assert eval(found.formulas[0], {}, names) == pytest.approx(float(expected), rel=1e-12)


def test_names_are_unique_and_numbers_have_none() -> None:
    first, second = kj.tensor([1.0, 2.0], name="w"), kj.tensor([3.0, 4.0], name="w")
    loose = kj.tensor(np.ones((3, 2), np.float32))
    names = leaf_names(topological([(loose * first * second * 2).node]))
    assert sorted(names.values()) == ["t1", "w", "w_2"]
    assert formula((first + second).node) == "w + w_2"
    assert formula((kj.tensor([1.0, 0.5]) * 2).node) == "[1, 0.5] * 2"


def test_letters_avoid_what_is_taken_and_what_means_something() -> None:
    found = letters(["a", "c"])
    assert [next(found) for _ in range(4)] == ["b", "h", "i", "j"]
    assert "a1" in [next(found) for _ in range(30)]


def test_special_numbers_are_written() -> None:
    assert formula((x * math.inf).node) == "x * inf"
    assert formula((x + math.nan).node, simplify=True) == "x + nan"
    assert formula((x * 1e-300 * 1e-300).node, simplify=True) == "0 * x"


# ------------------------------------------------------------- the text means what is computed

BINARY = ["add", "subtract", "multiply", "divide", "pow"]
UNARY = ["negative", "sin", "exp", "copy"]
MEANING = {"sin": np.sin, "exp": np.exp, "np": np}


@st.composite
def graphs(draw: st.DrawFn) -> Node:
    """Scalar graphs of a dozen nodes over x, y and small numbers."""
    pool = [X, Y, *(full(value, (), float64) for value in (2, -3, 0.5, 1, 0))]
    for _ in range(draw(st.integers(1, 12))):
        if draw(st.booleans()):
            pool.append(apply(draw(st.sampled_from(UNARY)), draw(st.sampled_from(pool))))
        else:
            pair = draw(st.sampled_from(pool)), draw(st.sampled_from(pool))
            pool.append(apply(draw(st.sampled_from(BINARY)), *pair))
    return pool[-1]


def value_of(text: str, **names: float) -> float:
    """The text as Python would read it."""
    with np.errstate(all="ignore"):
        floats = {name: np.float64(each) for name, each in names.items()}
        return float(eval(text, {"__builtins__": {}}, {**MEANING, **floats}))


def finite(number: Any) -> bool:
    """Whether a number can be compared: finite, and not about to be rounded away."""
    return bool(np.isfinite(number)) and abs(number) < 1e12


@given(graphs())
def test_formulas_mean_what_the_graph_computes(node: Node) -> None:
    at = {X: np.array(0.7), Y: np.array(1.9)}
    order = topological([node])
    values = run(order, at)
    assume(all(finite(each) for each in values))
    text = formula(node)
    assume(not _integers_divide_badly(text))
    assert value_of(text, x=0.7, y=1.9) == pytest.approx(float(values[-1]), rel=1e-6, abs=1e-6)


@given(graphs())
def test_simplified_formulas_mean_it_too(node: Node) -> None:
    at = {X: np.array(0.7), Y: np.array(1.9)}
    values = run(topological([node]), at)
    assume(all(finite(each) for each in values))
    text = formula(node, simplify=True)
    assume("/ 0" not in text and not _integers_divide_badly(text))
    assert value_of(text, x=0.7, y=1.9) == pytest.approx(float(values[-1]), rel=1e-6, abs=1e-6)


def _integers_divide_badly(text: str) -> bool:
    """Python's own rules for whole numbers (0 ** -3 is an error) are not those of floats."""
    try:
        value_of(text, x=0.7, y=1.9)
    except (ZeroDivisionError, OverflowError, TypeError):
        return True
    return False


# ------------------------------------------------------------------------------------ algebra


def test_sums_take_equal_terms_together() -> None:
    a, b = algebra.atom(Text("a")), algebra.atom(Text("b"))
    twice = algebra.add(a, algebra.add(b, a))
    assert algebra.written(twice).text == "2 * a + b"
    assert algebra.written(algebra.add(a, algebra.scale(a, Fraction(-1)))).text == "0"


def test_products_take_equal_factors_together_and_keep_sums_whole() -> None:
    a = algebra.atom(Text("a"))
    more = algebra.add(a, algebra.number(1))
    assert algebra.written(algebra.multiply(more, more)).text == "(a + 1) ** 2"
    assert algebra.written(algebra.multiply(more, algebra.power(more, Fraction(-1)))).text == "1"
    below = algebra.power(algebra.multiply(a, more), Fraction(-1))
    assert algebra.written(below).text == "1 / (a * (a + 1))"


def test_a_factor_that_is_a_sum_keeps_its_parentheses_behind_a_minus() -> None:
    a, b = algebra.atom(Text("a")), algebra.atom(Text("b"))
    whole = algebra.multiply(algebra.multiply(b, algebra.add(a, b)), algebra.power(b, Fraction(-1)))
    assert algebra.written(algebra.add(a, algebra.scale(whole, Fraction(-1)))).text == "a - (a + b)"
    assert algebra.written(algebra.scale(whole, Fraction(-1))).text == "-(a + b)"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Fraction(1, 2), "0.5 * a"),
        (Fraction(1, 3), "a / 3"),
        (Fraction(2, 3), "2 * a / 3"),
        (Fraction(1, 1024), "a / 1024"),
        (Fraction(-5), "-5 * a"),
        (Fraction("1.1283791670955126"), "1.1283791671 * a"),
    ],
)
def test_numbers_are_decimals_where_these_are_short(value: Fraction, text: str) -> None:
    assert algebra.written(algebra.scale(algebra.atom(Text("a")), value)).text == text
