"""Mathematical expressions typed by a person, read by a whitelist and never run as Python.

    1 + exp(w0 + w1*x)        sin(0.8*x1) * sin(0.6*x2) * e^(0.1*x1)

Numbers, names, `+ - * /`, powers as `^` or `**`, unary minus, parentheses, the functions of the
table below, and the constants pi and e. A power binds more tightly than a minus in front of it
and groups to the right, as on a blackboard: -x^2 is -(x^2), a^b^c is a^(b^c). Multiplication is
always written: 2*x, not 2x. Not here: the commands (`explain.py`, `descend.py`).
"""

from __future__ import annotations

import ast
import math
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import numpy as np

from kedja.front import arithmetic, functions
from kedja.front.tensor import Tensor, as_tensor, from_node
from kedja.ground.dtypes import float64
from kedja.ground.errors import UsageError
from kedja.ir.graph import full

LONGEST = 1000  # characters
DEEPEST = 60  # expressions inside one another
PRODUCT_POWERS = (1, 2, 3, 4)  # whole exponents that are written as products

ONE_ARGUMENT = """exp expm1 log log1p log2 log10 sqrt sin cos tan asin acos atan sinh cosh tanh
asinh acosh atanh sigmoid softplus silu gelu relu erf abs sign floor ceil""".split()

FUNCTIONS: dict[str, tuple[int, int, Callable[..., Tensor]]] = {
    **{name: (1, 1, getattr(functions, name)) for name in ONE_ARGUMENT},
    "max": (2, 16, lambda *xs: _folded(functions.maximum, xs)),
    "min": (2, 16, lambda *xs: _folded(functions.minimum, xs)),
    "pow": (2, 2, arithmetic.power),
}
CONSTANTS = {"pi": math.pi, "e": math.e}

OPERATORS: dict[type, Callable[..., Tensor]] = {
    ast.Add: functions.add,
    ast.Sub: functions.subtract,
    ast.Mult: functions.multiply,
    ast.Div: functions.divide,
}
ALLOWED = re.compile(r"[A-Za-z0-9_+\-*/^().,\s]")
GLUED = re.compile(r"(?<![A-Za-z0-9_.])(\d+\.?\d*(?:[eE][+-]?\d+)?)\s*(?=[A-Za-z_(])")
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


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
        """The expression as a tensor, from tensors (or numbers) of any shapes that broadcast."""
        tensors = {name: as_tensor(each) for name, each in values.items()}
        return as_tensor(_build(self._root, tensors))


def parse(text: str) -> Expression:
    """Read an expression. Raises UsageError that points at the column, never anything else."""
    _require_length(text)
    _require_characters(text)
    python, columns = _with_python_powers(text)
    root = _python_tree(text, python, columns)
    reader = _Reader(text, columns)
    reader.check(root, 0)
    return Expression(text.strip(), tuple(sorted(reader.names, key=_natural)), root)


def _natural(name: str) -> list[Any]:
    """x2 before x10: digits compare as numbers."""
    return [(0, int(p), "") if p.isdigit() else (1, 0, p) for p in re.split(r"(\d+)", name) if p]


# ----------------------------------------------------------------------------------- text


def fault(text: str, column: int, what: str, fix: str | None = None) -> UsageError:
    """An error that shows the expression with a caret under a column (from 0)."""
    start = max(0, min(column, len(text)) - 60)
    line = text[start : start + 120].replace("\n", " ").replace("\t", " ")
    caret = " " * (min(column, len(text)) - start) + "^"
    return UsageError(f"{what} (column {column + 1})\n    {line}\n    {caret}", fix=fix)


def _require_length(text: str) -> None:
    if not text.strip():
        raise UsageError("the expression is empty", fix='for example "1 + exp(w0 + w1*x)"')
    if len(text) > LONGEST:
        raise UsageError(
            f"the expression has {len(text)} characters", fix=f"at most {LONGEST} are read"
        )


def _require_characters(text: str) -> None:
    for column, each in enumerate(text):
        if not ALLOWED.match(each) or not each.isascii() or each in "\r\n\f\v":
            what = f"{each!r} has no meaning in an expression"
            raise fault(text, column, what, fix="numbers, names, + - * / ^ ( ) and commas")
    found = GLUED.search(text)
    if found is not None and not _is_exponent(text, found):
        rest = text[found.end() :]
        raise fault(
            text,
            found.end(),
            f"{found.group(1)} and {rest[:1]!r} stand side by side",
            fix=f"write the multiplication: {found.group(1)}*{_first_word(rest)}",
        )


def _is_exponent(text: str, found: re.Match[str]) -> bool:
    """Whether the letter after the digits belongs to the number, as in 1e5."""
    return bool(re.match(r"[eE][+-]?\d", text[found.end(1) :]))


def _first_word(rest: str) -> str:
    word = NAME.match(rest)
    return word.group(0) if word else "("


def _with_python_powers(text: str) -> tuple[str, list[int]]:
    """`^` as `**` (the same sign in Python), and for each character its column in the original."""
    columns: list[int] = []
    pieces = []
    for column, each in enumerate(text):
        piece = "**" if each == "^" else " " if each == "\t" else each
        pieces.append(piece)
        columns += [column] * len(piece)
    return "".join(pieces), [*columns, len(text)]


def _python_tree(text: str, python: str, columns: list[int]) -> ast.expr:
    stripped = python.lstrip(" ")
    shift = len(python) - len(stripped)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            root = ast.parse(stripped, mode="eval").body
    except SyntaxError as error:
        place = columns[min(max(0, (error.offset or 1) - 1 + shift), len(columns) - 1)]
        raise _syntax_fault(text, place) from None
    except (ValueError, RecursionError, MemoryError):
        raise UsageError("the expression cannot be read", fix="make it shorter") from None
    for each in ast.walk(root):
        if isinstance(each, ast.expr):
            each.col_offset += shift
    return root


def _syntax_fault(text: str, column: int) -> UsageError:
    opened, closed = text.count("("), text.count(")")
    if opened != closed:
        missing = "a closing parenthesis" if opened > closed else "an opening parenthesis"
        return fault(text, column, f"{missing} is missing")
    return fault(
        text, column, "this is not an expression", fix="write the sign between two values: 2*x"
    )


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
                raise self.fault(node, "this is not part of an expression", fix=KNOWN)

    def _number(self, node: ast.Constant) -> None:
        value = node.value
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self.fault(node, f"{value!r} is not a number")
        if _as_float(value) is None:
            raise self.fault(node, "this number is too large", fix="at most 1.8e308")

    def _name(self, node: ast.Name) -> None:
        if node.id in FUNCTIONS:
            raise self.fault(node, f"{node.id} is a function", fix=f"write {node.id}(...)")
        if not NAME.fullmatch(node.id):
            raise self.fault(node, f"{node.id!r} is not a name", fix="begin it with a letter")
        if node.id not in CONSTANTS:
            self.names.add(node.id)

    def _call(self, node: ast.Call, depth: int) -> None:
        if not isinstance(node.func, ast.Name):
            raise self.fault(node, "a function's name is missing", fix="multiplication: 2*(x)")
        name = node.func.id
        if name not in FUNCTIONS:
            raise self._unknown(node, name)
        if node.keywords or any(isinstance(each, ast.Starred) for each in node.args):
            raise self.fault(node, f"{name} takes plain arguments", fix=f"write {name}(x)")
        least, most, _ = FUNCTIONS[name]
        if not least <= len(node.args) <= most:
            count = str(least) if least == most else f"{least} to {most}"
            noun = "argument" if count == "1" else "arguments"
            raise self.fault(node, f"{name} takes {count} {noun}, not {len(node.args)}")
        for each in node.args:
            self.check(each, depth + 1)

    def _unknown(self, node: ast.Call, name: str) -> UsageError:
        close = get_close_matches(name, FUNCTIONS, 1)
        if close:
            return self.fault(node, f"there is no function {name!r}", fix=f"{close[0]}(...)?")
        fix = f"for a product write {name}*(...); {KNOWN}"
        return self.fault(node, f"there is no function {name!r}", fix=fix)


KNOWN = f"functions: {', '.join(FUNCTIONS)}"


def _as_float(value: int | float) -> float | None:
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


# -------------------------------------------------------------------------------- building


def _build(node: ast.expr, tensors: Mapping[str, Tensor]) -> Tensor:
    """The tensor of a checked tree. Numbers are float64 constants, so that nothing is computed
    while the expression is read."""
    match node:
        case ast.Constant(value):
            return from_node(full(float(value), (), float64))
        case ast.Name(name):
            return tensors[name] if name in tensors else _constant(name)
        case ast.UnaryOp(ast.USub(), inner):
            return _negative(_build(inner, tensors))
        case ast.UnaryOp(_, inner):
            return _build(inner, tensors)
        case ast.BinOp(base, ast.Pow(), exponent):
            return _power(base, exponent, tensors)
        case ast.BinOp(left, operator, right):
            function = OPERATORS[type(operator)]
            return function(_build(left, tensors), _build(right, tensors))
        case ast.Call(ast.Name("pow"), [base, exponent]):
            return _power(base, exponent, tensors)
        case ast.Call(ast.Name(name), arguments):
            return FUNCTIONS[name][2](*(_build(each, tensors) for each in arguments))
    raise UsageError("this expression was not read by parse()")


def _constant(name: str) -> Tensor:
    if name not in CONSTANTS:
        raise UsageError(f"no value for {name}")
    return from_node(full(CONSTANTS[name], (), float64))


def _negative(x: Tensor) -> Tensor:
    """-x; a number with its sign stays a number."""
    if x.node.op.name == "full":
        return from_node(full(-x.node.attrs["value"], x.shape, x.dtype))
    return functions.negative(x)


def _power(base: ast.expr, exponent: ast.expr, tensors: Mapping[str, Tensor]) -> Tensor:
    """e^x is exp(x); small whole powers are products, which are right for negative numbers too."""
    if isinstance(base, ast.Name) and base.id == "e":
        return functions.exp(_build(exponent, tensors))
    raised = _build(exponent, tensors)
    if raised.node.op.name == "full" and raised.node.attrs["value"] in PRODUCT_POWERS:
        return as_tensor(arithmetic.power(_build(base, tensors), int(raised.node.attrs["value"])))
    return as_tensor(arithmetic.power(_build(base, tensors), raised))


# ---------------------------------------------------------------- options that give numbers


def number(text: str, option: str) -> float:
    """A finite number from an option's text."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UsageError(f"{option}: {text.strip()!r} is not a number", fix="for example 0.5")
    return value


def assignments(text: str, option: str) -> dict[str, float]:
    """`w0=-1,w1=0.5` as names and numbers."""
    found: dict[str, float] = {}
    for part in filter(str.strip, text.split(",")):
        name, sign, value = (each.strip() for each in part.partition("="))
        if not sign or not NAME.fullmatch(name):
            raise UsageError(f"{option}: {part.strip()!r}", fix=f"{option} name=value,name=value")
        if name in CONSTANTS or name in FUNCTIONS:
            raise UsageError(f"{option}: {name} has a meaning already", fix="use another name")
        if name in found:
            raise UsageError(f"{option}: {name} is given twice")
        found[name] = number(value, option)
    return found


def require_values(expression: Expression, given: Mapping[str, float], option: str) -> None:
    """UsageError unless every variable has a value, and every value a variable."""
    missing = [name for name in expression.names if name not in given]
    if missing:
        example = ",".join(f"{name}=1" for name in missing)
        raise UsageError(f"no value for {', '.join(missing)}", fix=f"{option} {example}")
    for name in given:
        if name not in expression.names:
            known = ", ".join(expression.names) or "none"
            raise UsageError(f"{option}: there is no variable {name!r}", fix=f"it has: {known}")


def float64_tensors(values: Mapping[str, float]) -> dict[str, Tensor]:
    """Numbers as named float64 tensors."""
    return {name: Tensor(np.float64(value), float64, name=name) for name, value in values.items()}
