"""Mathematical expressions typed by a person, read by a whitelist and never run as Python.

    1 + exp(w0 + w1*x)        sin(0.8*x1) * sin(0.6*x2) * e^(0.1*x1)

Numbers, names, `+ - * /`, powers as `^` or `**`, unary minus, parentheses, the functions of the
table below, and the constants pi and e. A power binds more tightly than a minus in front of it
and groups to the right, as on a blackboard: -x^2 is -(x^2), a^b^c is a^(b^c). Multiplication is
always written: 2*x, not 2x. Not here: the first look at the text (`scan.py`) and the commands
(`explain.py`, `descend.py`). Next: `options.py`.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from kedja.cli.scan import DEEPEST, check, fault
from kedja.front import arithmetic, functions
from kedja.front.tensor import Tensor, as_tensor, from_node
from kedja.ground.dtypes import float64
from kedja.ground.errors import UsageError
from kedja.ground.suggest import did_you_mean
from kedja.ir.graph import full

PRODUCT_POWERS = (1, 2, 3, 4)  # whole exponents that are written as products

# fmt: off
ONE_ARGUMENT = (
    "exp", "expm1", "log", "log1p", "log2", "log10", "sqrt", "sin", "cos", "tan", "asin", "acos",
    "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "sigmoid", "softplus", "silu",
    "gelu", "relu", "erf", "abs", "sign", "floor", "ceil",
)
# fmt: on
FUNCTIONS: dict[str, tuple[int, int, Callable[..., Tensor]]] = {
    **{name: (1, 1, getattr(functions, name)) for name in ONE_ARGUMENT},
    "max": (2, 16, lambda *xs: _folded(functions.maximum, xs)),
    "min": (2, 16, lambda *xs: _folded(functions.minimum, xs)),
    "pow": (2, 2, arithmetic.power),
}
CONSTANTS = {"pi": math.pi, "e": math.e}
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
KNOWN = f"the functions are {', '.join(FUNCTIONS)}"

OPERATORS: dict[type, Callable[..., Tensor]] = {
    ast.Add: functions.add,
    ast.Sub: functions.subtract,
    ast.Mult: functions.multiply,
    ast.Div: functions.divide,
}


def _folded(function: Callable[..., Tensor], xs: tuple[Any, ...]) -> Tensor:
    """max(a, b, c) as max(max(a, b), c)."""
    result = xs[0]
    for each in xs[1:]:
        result = function(result, each)
    return as_tensor(result)


@dataclass(frozen=True)
class Expression:
    """An expression that was read: its text, its variables by name, and what it computes."""

    text: str
    names: tuple[str, ...]
    _root: ast.expr

    def __call__(self, **values: Any) -> Tensor:
        """The expression as a tensor, from tensors (or numbers) of any shapes that broadcast.

        >>> parse("1 + x^2")(x=3.0).item()
        10.0
        """
        tensors = {name: as_tensor(each) for name, each in values.items()}
        return as_tensor(_build(self._root, tensors))


def parse(text: str) -> Expression:
    """Read an expression. Raises UsageError that points at the column, never anything else."""
    check(text)
    python, columns = _with_python_powers(text)
    reader = _Reader(text, columns)
    root = _python_tree(text, python)
    reader.check(root, 0)
    return Expression(text.strip(), tuple(sorted(reader.names, key=natural)), root)


def natural(name: str) -> list[tuple[int, int, str]]:
    """A key for sorting in which x2 stands before x10: digits compare as numbers."""
    parts = re.split(r"(\d+)", name)
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts if part]


def _with_python_powers(text: str) -> tuple[str, list[int]]:
    """`^` as `**` (the same sign in Python), and for each character its column in the original."""
    columns: list[int] = []
    pieces = []
    for column, each in enumerate(text):
        piece = "**" if each == "^" else " " if each == "\t" else each
        pieces.append(piece)
        columns += [column] * len(piece)
    return "".join(pieces), [*columns, len(text)]


def _python_tree(text: str, python: str) -> ast.expr:
    """The syntax tree, with columns that count from the beginning of the text."""
    stripped = python.lstrip(" ")
    try:
        root = ast.parse(stripped, mode="eval").body
    except SyntaxError:
        raise fault(text, 0, "this is not an expression") from None
    except (ValueError, RecursionError, MemoryError):
        raise UsageError("the expression is nested too deeply", fix="make it shorter") from None
    for each in ast.walk(root):
        if isinstance(each, ast.expr):
            each.col_offset += len(python) - len(stripped)
    return root


# ------------------------------------------------------------------------------- whitelist


class _Reader:
    """Walks the tree, lets only the whitelist through, and collects the variables."""

    def __init__(self, text: str, columns: list[int]) -> None:
        self._text = text
        self._columns = columns
        self.names: set[str] = set()

    def fault(self, node: ast.expr, what: str, fix: str | None = None) -> UsageError:
        return fault(self._text, self._columns[node.col_offset], what, fix)

    def check(self, node: ast.expr, depth: int) -> None:
        if depth > DEEPEST:
            raise self.fault(node, f"more than {DEEPEST} expressions inside one another")
        match node:
            case ast.Constant():
                self._number(node)
            case ast.Name():
                self._name(node)
            case ast.UnaryOp(ast.USub() | ast.UAdd(), inner):
                self.check(inner, depth + 1)
            case ast.BinOp(left, ast.Add() | ast.Sub() | ast.Mult() | ast.Div() | ast.Pow(), right):
                self.check(left, depth + 1)
                self.check(right, depth + 1)
            case ast.Call():
                self._call(node, depth)
            case _:
                raise self.fault(node, "this is not part of an expression")

    def _number(self, node: ast.Constant) -> None:
        value = node.value
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self.fault(node, f"{value!r} is not a number")
        if not _is_representable(value):
            raise self.fault(node, "this number is too large", fix="at most 1.8e308")

    def _name(self, node: ast.Name) -> None:
        if node.id in FUNCTIONS:
            raise self.fault(node, f"{node.id} is a function", fix=f"write {node.id}(...)")
        if not NAME.fullmatch(node.id):
            raise self.fault(node, f"{node.id!r} is not a name", fix="begin it with a letter")
        if node.id not in CONSTANTS:
            self.names.add(node.id)

    def _call(self, node: ast.Call, depth: int) -> None:
        assert isinstance(node.func, ast.Name), "scan.py lets only names stand before parentheses"
        name = node.func.id
        if name not in FUNCTIONS:
            raise self._unknown(node, name)
        least, most, _ = FUNCTIONS[name]
        if not least <= len(node.args) <= most:
            count = str(least) if least == most else f"{least} to {most}"
            noun = "argument" if count == "1" else "arguments"
            raise self.fault(node, f"{name} takes {count} {noun}, not {len(node.args)}")
        for each in node.args:
            self.check(each, depth + 1)

    def _unknown(self, node: ast.Call, name: str) -> UsageError:
        fix = did_you_mean(name, FUNCTIONS, otherwise=f"a product is {name}*(...); {KNOWN}")
        return self.fault(node, f"there is no function {name!r}", fix=fix)


def _is_representable(value: int | float) -> bool:
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False


# -------------------------------------------------------------------------------- building


def _build(node: ast.expr, tensors: Mapping[str, Tensor]) -> Tensor:
    """The tensor of a checked tree. Numbers are float64 constants, so that nothing is computed
    while the expression is read."""
    match node:
        case ast.Constant(value):
            return _number(float(value))  # type: ignore[arg-type]
        case ast.Name(name):
            return tensors[name] if name in tensors else _constant(name)
        case ast.UnaryOp(ast.USub(), inner):
            return _negative(_build(inner, tensors))
        case ast.UnaryOp(_, inner):
            return _build(inner, tensors)
        case ast.BinOp(base, ast.Pow(), exponent) | ast.Call(ast.Name("pow"), [base, exponent]):
            return _power(base, exponent, tensors)
        case ast.BinOp(left, operator, right):
            return OPERATORS[type(operator)](_build(left, tensors), _build(right, tensors))
        case ast.Call(ast.Name(name), arguments):
            return FUNCTIONS[name][2](*(_build(each, tensors) for each in arguments))
    raise AssertionError("parse() lets nothing else through")


def _number(value: float) -> Tensor:
    return from_node(full(value, (), float64))


def _constant(name: str) -> Tensor:
    if name not in CONSTANTS:
        raise UsageError(f"no value for {name}")
    return _number(CONSTANTS[name])


def _negative(x: Tensor) -> Tensor:
    """-x; a number with its sign stays a number."""
    if x.node.op.name == "full":
        return _number(-x.node.attrs["value"])
    return functions.negative(x)


def _power(base: ast.expr, exponent: ast.expr, tensors: Mapping[str, Tensor]) -> Tensor:
    """e^x is exp(x); small whole powers are products, which are right for negative numbers too."""
    raised = _build(exponent, tensors)
    if isinstance(base, ast.Name) and base.id == "e":
        return functions.exp(raised)
    times = raised.node.attrs["value"] if raised.node.op.name == "full" else None
    found = _build(base, tensors)
    return as_tensor(arithmetic.power(found, int(times) if times in PRODUCT_POWERS else raised))
