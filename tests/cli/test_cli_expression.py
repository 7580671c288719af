"""The parser of expressions: what it reads, what it says, and that nothing else ever happens."""

from __future__ import annotations

import contextlib
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from kedja.cli.expression import CONSTANTS, FUNCTIONS, parse
from kedja.cli.options import assignments, box, number, point
from kedja.front.tensor import Tensor
from kedja.ground.dtypes import float64
from kedja.ground.errors import UsageError

MEANING = {
    "exp": np.exp, "log": np.log, "sqrt": np.sqrt, "sin": np.sin, "cos": np.cos, "tanh": np.tanh,
    "abs": np.abs, "max": max, "min": min, "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "relu": lambda x: max(x, 0.0), "pow": pow, "pi": math.pi, "e": math.e,
}  # fmt: skip


def value(text: str, **given: float) -> float:
    """What the parsed expression computes."""
    tensors = {name: Tensor(np.float64(each), float64) for name, each in given.items()}
    return float(parse(text)(**tensors).item())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 + exp(w0 + w1*x)", 1 + math.exp(0.5 - 1.5)),
        ("-x^2", -9.0),
        ("(-x)^2", 9.0),
        ("2^3^2", 512.0),
        ("2^-1", 0.5),
        ("2**3**2", 512.0),
        ("-2^2", -4.0),
        ("8/4/2", 1.0),
        ("8-4-2", 2.0),
        ("2+3*4", 14.0),
        ("+x - -x", 6.0),
        ("e^(x-3)", 1.0),
        ("pi - pi", 0.0),
        ("max(1, 2, x)", 3.0),
        ("min(x, w0)", 0.5),
        ("pow(x, 2)", 9.0),
        ("1e3 + .5 + 2.", 1002.5),
        ("\tx  ", 3.0),
        ("relu(-x) + abs(-x)", 3.0),
    ],
)
def test_expressions_mean_what_a_blackboard_says(text: str, expected: float) -> None:
    assert value(text, x=3.0, w0=0.5, w1=-0.5) == pytest.approx(expected)


def test_the_variables_are_sorted_as_people_count() -> None:
    assert parse("x10 + x2*x1 + a - pi*e").names == ("a", "x1", "x2", "x10")


def test_arrays_of_any_shape_go_in() -> None:
    grid = Tensor(np.ones((3, 4)), float64)
    assert parse("x*y + 1")(x=grid, y=2.0).shape == (3, 4)


def test_every_function_can_be_called() -> None:
    for name, (least, _, _) in FUNCTIONS.items():
        arguments = ", ".join(["0.5"] * least)
        assert not math.isnan(value(f"{name}({arguments})")) or name == "acosh"


@pytest.mark.parametrize(
    ("text", "message", "column"),
    [
        ("2x", "2 and x stand side by side", 2),
        ("2 (x)", "2 and (...) stand side by side", 3),
        ("(x)(y)", "(...) and (...) stand side by side", 4),
        ("x y", "x and y stand side by side", 3),
        ("x(3)", "there is no function 'x'", 1),
        ("1 + expp(x)", "there is no function 'expp'", 5),
        ("exp", "exp is a function", 1),
        ("x +", "a value is missing at the end", 4),
        ("* x", "a value is missing before '*'", 1),
        ("exp()", "a value is missing before ')'", 5),
        ("(x", "this parenthesis is not closed", 1),
        ("x)", "this parenthesis was never opened", 2),
        ("x, y", "a comma stands between", 2),
        ("(x, y)", "not part of an expression", 1),
        ("exp(x, y)", "exp takes 1 argument, not 2", 1),
        ("max(x)", "max takes 2 to 16 arguments, not 1", 1),
        ("x^2 + $", "'$' has no meaning", 7),
        ("a.b", "'.' has no meaning", 2),
        ("x if y else z", "'if' is a word of Python's", 3),
        ("True", "'True' is a word of Python's", 1),
        ("007", "007 begins with 0", 1),
        ("x^1e999", "too large", 3),
        ("_x", "'_x' is not a name", 1),
        ("1j", "1 and j stand side by side", 2),
        ("α + 1", "'α' has no meaning", 1),
        ("x\n+ y", "has no meaning", 2),
        ("(" * 61 + "x" + ")" * 61, "more than 60 parentheses", 61),
        ("-" * 62 + "x", "more than 60 expressions inside one another", 62),
    ],
)
def test_errors_point_at_the_column(text: str, message: str, column: int) -> None:
    with pytest.raises(UsageError) as raised:
        parse(text)
    what = raised.value.what
    assert message in what
    assert f"(column {column})" in what
    line, caret = what.splitlines()[1:3]
    assert caret.strip() == "^"
    pointed = f"{line} "[caret.index("^")]
    assert pointed == (text + " ")[column - 1].replace("\n", " ")


def test_empty_and_endless_expressions_are_refused() -> None:
    for text in ("", "   ", "x+" * 600 + "x"):
        with pytest.raises(UsageError):
            parse(text)


def test_a_missing_value_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="no value for y"):
        parse("x + y")(x=1.0)


def test_great_powers_do_not_hang() -> None:
    assert value("9^9^9^9") == math.inf


# ---------------------------------------------------------------------------- any text at all


@given(st.text(max_size=60))
@example("__import__('os').system('true')")
@example("lambda: 0")
@example("[x for x in (1).__class__.__mro__]")
@example("x" + "\x00")
@example("f'{x}'")
@example("x := 1")
@example("1if x else 2")
@example("\u00b2")
@example("𝐱")
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = parse(text)
    except UsageError:
        return
    assert not set(found.names) & (set(FUNCTIONS) | set(CONSTANTS))


SIGNS = st.text("x1y2e.()+-*/^,# \t_sinexpmax", max_size=40)


@given(SIGNS)
def test_any_mixture_of_signs_is_read_or_refused(text: str) -> None:
    try:
        found = parse(text)
    except UsageError:
        return
    found(**dict.fromkeys(found.names, 0.5)).item()


@st.composite
def expressions(draw: st.DrawFn, depth: int = 4) -> str:
    """Expressions that Python reads in the same way, with powers as ^ or **."""
    if depth == 0 or draw(st.booleans()):
        leaf = draw(st.sampled_from(["x", "y", "2", "0.5", "1e1", "pi", "e", "3"]))
        return draw(st.sampled_from([leaf, f"-{leaf}", f"({leaf})"]))
    inner = expressions(depth=depth - 1)
    kind = draw(st.sampled_from(["+", "-", "*", "/", "^", "**", "call", "two", "minus", "wrap"]))
    a = draw(inner)
    if kind == "call":
        return f"{draw(st.sampled_from(['exp', 'sin', 'tanh', 'abs', 'sigmoid', 'relu']))}({a})"
    if kind == "two":
        return f"{draw(st.sampled_from(['max', 'min']))}({a}, {draw(inner)})"
    if kind in ("minus", "wrap"):
        return f"-({a})" if kind == "minus" else f"({a})"
    return f"{a}{draw(st.sampled_from(['', ' ']))}{kind} {draw(inner)}"


@given(expressions())
def test_expressions_agree_with_python(text: str) -> None:
    assume(len(text) <= 900)
    names: dict[str, Any] = {"x": np.float64(0.7), "y": np.float64(-1.3), **MEANING}
    try:
        with np.errstate(all="ignore"):
            expected = eval(text.replace("^", "**"), {"__builtins__": {}}, names)
    except (ZeroDivisionError, OverflowError, TypeError):
        return  # Python's own numbers raise where floats give infinity, or a complex compared
    assume(not isinstance(expected, complex))
    assume(np.isfinite(expected))
    given = {name: float(names[name]) for name in "xy" if name in parse(text).names}
    found = value(text, **given)
    assume(np.isfinite(found))  # max(nan, 1) is 1 for Python's max, nan for NumPy's
    assert found == pytest.approx(float(expected), rel=1e-6, abs=1e-9)


# ------------------------------------------------------------------------------------ options


def test_options_are_read_by_name_and_by_place() -> None:
    assert assignments("w0=-1, w1=0.5,", "--at") == {"w0": "-1", "w1": "0.5"}
    assert point("2,-3", ("a", "b"), "--start") == {"a": 2.0, "b": -3.0}
    assert point("b=2,a=1e-3", ("a", "b"), "--start") == {"a": 0.001, "b": 2.0}
    assert box("-2:3,-2:2", ("x1", "x2"), "--box") == {"x1": (-2, 3), "x2": (-2, 2)}
    assert box("y=0:1,x=2:2", ("x", "y"), "--box") == {"x": (2, 2), "y": (0, 1)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("2", "gives 1 for 2"),
        ("2,3,4", "gives 3 for 2"),
        ("2,x", "'x' is not a number"),
        ("2,", "'' is not a number"),
        ("nan,1", "'nan' is not a number"),
        ("a=1", "no value for b"),
        ("a=1,b=2,c=3", "no variable 'c'"),
        ("a=1,a=2", "a is given twice"),
        ("a=1,2", "'2' is not name=value"),
        ("pi=3,a=1", "pi has a meaning already"),
    ],
)
def test_wrong_points_are_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        point(text, ("a", "b"), "--start")


@pytest.mark.parametrize("text", ["1,2", "3:1,0:1", "0:x,0:1", "0:1", ":,:", "0:1:2,0:1"])
def test_wrong_boxes_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--box"):
        box(text, ("a", "b"), "--box")


@given(st.text(max_size=20))
def test_any_number_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(UsageError):
        assert math.isfinite(number(text, "--rate"))
