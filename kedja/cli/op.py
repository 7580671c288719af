"""`kedja op`: the record of an op for people: formula, derivative, and where each part stands.

Not here: the records themselves (`kedja/ops`). Next: `kedja/ir/op.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FunctionType
from typing import Annotated, Any, NamedTuple

import numpy as np
import typer

import kedja.ops
from kedja.cli.output import say, say_json
from kedja.front import evaluate
from kedja.front.derivation import Module, is_elementwise, module
from kedja.front.gates import gate
from kedja.front.tables import rendered
from kedja.ground.dtypes import float32, float64, is_float
from kedja.ground.errors import UsageError
from kedja.ground.flags import flags
from kedja.ground.suggest import did_you_mean
from kedja.ir.graph import Node, apply, make, variable
from kedja.ir.op import (
    TABLE,
    Bundle,
    Case,
    Kernel,
    Leaf,
    NoDerivative,
    OnHost,
    Op,
    OwnProgram,
    Type,
)

OPS = Path(kedja.ops.__file__).parent
ROOT = OPS.parent.parent
WIDE = 4096  # elements for which an elementwise op is compiled
UNCOMPILED = (Leaf, OnHost, OwnProgram)  # there is no code of such an op by itself
LONGEST_CELL = 90  # characters of a derivative in the list of all ops


class Facet(NamedTuple):
    """A part of a record and where it stands."""

    name: str
    place: str


def op(
    name: Annotated[str, typer.Argument(help="The op; all are listed without it.")] = "",
    code: Annotated[bool, typer.Option("--code", help="Print all of the machine code.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Print what an op is, its derivative, where each part of it stands, and its machine code."""
    if not name:
        _list(json)
        return
    if name not in TABLE:
        fix = did_you_mean(name, TABLE, otherwise="`kedja op` lists them")
        raise UsageError(f"there is no op named {name!r}", fix=fix)
    record = TABLE[name]
    compiled = assembly(record) if code or (_is_compiled(record) and not json) else ""
    if json:
        say_json({**_data(record), **({"code": compiled} if code else {})})
        return
    _print(record)
    if code:
        _print_code("code", compiled)
    else:
        _print_code("code of its longest inner loop (all of it: --code)", loop(compiled))


# ---------------------------------------------------------------------------------- listing


def _list(json: bool) -> None:
    if json:
        say_json({"ops": [_summary(each) for each in TABLE.values()]})
        return
    say(rendered(["op", "formula", "derivative"], [_row(each) for each in TABLE.values()]))


def _row(record: Op) -> list[str]:
    node, names = example(record)
    shown = module(node, names)
    derivative = "; ".join(_derivative(record, node, shown))
    short = len(derivative) <= LONGEST_CELL
    return [record.name, shown.formula, derivative if short else f"see `kedja op {record.name}`"]


def _summary(record: Op) -> dict[str, Any]:
    return {"op": record.name, "template": record.formula, "family": record.family}


# -------------------------------------------------------------------------------- one record


def _print(record: Op) -> None:
    say(record.name)
    say()
    for label, text in _lines(record):
        say(f"  {label:<12}{text}")
    say()
    for facet in facets(record):
        say(f"  {facet.name:<12}{facet.place}")


def _print_code(title: str, text: str) -> None:
    if text:
        say()
        say(f"  {title}")
        say()
        say(text.rstrip())


def _lines(record: Op) -> list[tuple[str, str]]:
    """What the record says, label by label."""
    node, names = example(record)
    shown = module(node, names)
    lines = [("formula", f"y = {shown.formula}"), *_derivative_lines(record, node, shown)]
    lines.append(("gate", gate(node, names) or "none: it is a leaf"))
    lines.append(("dtypes", ", ".join(each.name for each in record.dtypes)))
    lines.append(("lowering", _lowering(record)))
    lines.append(("cost", f"{record.flops:g} flops for each element of the output"))
    return lines


def _derivative_lines(record: Op, node: Node, shown: Module) -> list[tuple[str, str]]:
    """One line for each input, and how the rule is given."""
    texts = _derivative(record, node, shown)
    lines = [("derivative" if place == 0 else "", text) for place, text in enumerate(texts)]
    if not shown.elementwise and shown.partials:
        lines.append(("", "(g is the gradient that arrives)"))
    kind = type(record.derivative).__name__
    return [*lines, ("rule", RULES[kind])] if kind in RULES else lines


def _derivative(record: Op, node: Node, shown: Module) -> list[str]:
    if isinstance(record.derivative, NoDerivative):
        return [f"none: {record.derivative.reason}"]
    if isinstance(node.type, Bundle):
        return ["by a rule for all its outputs together"]
    if not is_float(node.dtype):
        return [f"none: its values are {node.dtype.name}"]
    if not any(is_float(each.dtype) for each in node.inputs):
        return [f"none: its input is {node.inputs[0].dtype.name}"]
    return shown.texts() or ["zero almost everywhere"]


RULES = {
    "Partials": "partial derivatives, by which the gradient and the tangent are multiplied",
    "Linear": "linear: the gradient goes through the transpose",
    "Multilinear": "linear in each input: the gradient goes through the transposes",
    "Forward": "a rule for the tangent, which is transposed for the gradient",
    "ByExpansion": "that of the subgraph which the op names",
    "Inner": "rules of its own for both modes",
}


def _lowering(record: Op) -> str:
    match record.lowering:
        case Kernel(name):
            return f"kernel {name}: a loop nest of its own"
        case OnHost(reason):
            return f"on the host: {reason}"
        case other:
            return LOWERINGS[type(other).__name__]


LOWERINGS = {
    "Pointwise": "pointwise: each output element from the inputs' elements at its index",
    "Reindex": "reindex: each output element is an input element at another index",
    "Fold": "fold: a reduction over axes",
    "ByExpansion": "by expansion: a name for a subgraph",
    "Leaf": "leaf: it is given, not computed",
    "OwnProgram": "programs of its own for the graphs inside, run between the compiled parts",
}


def _data(record: Op) -> dict[str, Any]:
    node, names = example(record)
    shown = module(node, names)
    none = isinstance(record.derivative, NoDerivative)
    return {
        **_summary(record),
        "example": shown.formula,
        "derivative": None if none else shown.partials,
        "gate": gate(node, names),
        "dtypes": [each.name for each in record.dtypes],
        "lowering": type(record.lowering).__name__,
        "flops": record.flops,
        "where": {facet.name: facet.place for facet in facets(record)},
    }


def example(record: Op) -> tuple[Node, dict[Node, str]]:
    """The op applied to inputs called x, or a and b, or x1, x2, x3 …; and these names.

    Of the sample calls the first is taken whose inputs and output are floats with elements. An op
    without samples of its own takes the outputs of another one, called `several`.
    """
    cases = record.sample(np.random.default_rng(0))
    if not cases:
        return _example_of_part(record)
    case = next((each for each in cases if _is_telling(record, each)), cases[0])
    labels = _labels(len(case.inputs))
    inputs = [
        variable(label, Type(array.shape, array.dtype))
        for label, array in zip(labels, case.inputs, strict=True)
    ]
    node = make(record, inputs, case.attrs)
    return node, {**dict(zip(inputs, labels, strict=True)), node: "y"}


def _example_of_part(record: Op) -> tuple[Node, dict[Node, str]]:
    """The second of two outputs."""
    inputs = [variable(label, Type((3,), float64)) for label in ("a", "b")]
    several = apply("bundle", *inputs)
    node = make(record, [several], {"place": 1})
    return node, {several: "several", node: "y"}


def _is_telling(record: Op, case: Case) -> bool:
    types = [Type(each.shape, each.dtype) for each in case.inputs]
    result = record.type(*types, **case.attrs)
    if isinstance(result, Bundle):
        return True
    return all(each.size for each in types) and is_float(result.dtype)


def _labels(count: int) -> list[str]:
    if count == 1:
        return ["x"]
    return ["a", "b"][:count] if count <= 2 else [f"x{i + 1}" for i in range(count)]


# ---------------------------------------------------------------------------- where it stands


def facets(record: Op) -> list[Facet]:
    """Each part of a record with file and line."""
    found = [Facet("record", _record_place(record))]
    for name in ("type", "numpy", "sample", "expand"):
        part = getattr(record, name)
        if part is not None:
            found.append(Facet(name, place(part)))
    held = {"derivative": record.derivative, "lowering": record.lowering, "batch": record.batch}
    for name, holder in held.items():
        rules = [each for value in vars(holder).values() for each in _callables(value)]
        if rules:
            found.append(Facet(name, ", ".join(dict.fromkeys(map(place, rules)))))
    if isinstance(record.xla, FunctionType):
        found.append(Facet("xla", place(record.xla)))
    return found


def _callables(value: Any) -> Sequence[Callable[..., Any]]:
    if callable(value):
        return [value]
    return [each for each in value if callable(each)] if isinstance(value, tuple) else []


def place(function: Callable[..., Any]) -> str:
    """File and line of a function; for one of NumPy's its name, also inside a wrapper."""
    if not isinstance(function, FunctionType):
        home = "numpy" if isinstance(function, np.ufunc) else getattr(function, "__module__", "")
        return f"{home}.{getattr(function, '__name__', function)}"
    own = f"{_shown(function.__code__.co_filename)}:{function.__code__.co_firstlineno}"
    inner = [cell.cell_contents for cell in function.__closure__ or ()]
    wrapped = [each for each in inner if callable(each) and not isinstance(each, type)]
    return f"{place(wrapped[0])} (through {own})" if wrapped else own


def _shown(file: str) -> str:
    """The path from the folder that holds the package; of other packages from theirs."""
    path = Path(file)
    for base in (ROOT, Path(np.__file__).parent.parent):
        if path.is_relative_to(base):
            return path.relative_to(base).as_posix()
    return path.name


def _record_place(record: Op) -> str:
    """The line of the op's family on which its name stands first."""
    pattern = re.compile(rf'\b(?!{CHECKS})\w+\(\s*"{re.escape(record.name)}",')
    for file in sorted(OPS.glob("*.py"), key=lambda each: each.stem != record.family):
        text = file.read_text(encoding="utf-8")
        match = pattern.search(text)
        if match:
            return f"{_shown(str(file))}:{text.count(chr(10), 0, match.start()) + 1}"
    return "kedja/ops"


CHECKS = "apply|lookup|require|elementwise"  # calls that name an op without making its record


# ---------------------------------------------------------------------------- machine code


def _is_compiled(record: Op) -> bool:
    """Whether there is code to show without being asked for it."""
    return flags().tier != "interpret" and not isinstance(record.lowering, UNCOMPILED)


def assembly(record: Op) -> str:
    """What the op compiles to on this machine; UsageError for ops that are not compiled.

    Elementwise ops are compiled for one long axis, others for their sample's shapes, in float32.
    """
    if isinstance(record.lowering, UNCOMPILED):
        raise UsageError(f"{record.name} is not compiled: {_lowering(record)}")
    node, _ = example(record)
    wide = is_elementwise(node)
    types = [_compiled_type(each.type, wide) for each in node.inputs]
    inputs = [variable(f"x{i}", each) for i, each in enumerate(types)]
    output = make(record, inputs, node.attrs)
    return str(evaluate.compiler("cpu").assembly_of([output], inputs))


def _compiled_type(given: Type, wide: bool) -> Type:
    return Type(
        (WIDE,) if wide else given.shape, float32 if given.dtype == float64 else given.dtype
    )


LABEL = re.compile(r"(\.?L\w+):")
JUMP = re.compile(r"\s+(?:j\w+|b(?:\.\w+)?|cbn?z\s+\w+,|tbn?z\s+\w+,\s*#\d+,)\s+(\.?L\w+)\s*$")


def loop(text: str) -> str:
    """The longest loop of an assembly that contains no other; empty where there is none."""
    lines = text.splitlines()
    at: dict[str, int] = {}
    found: list[tuple[int, int]] = []
    for number, line in enumerate(lines):
        label, jump = LABEL.match(line), JUMP.match(line)
        if label:
            at[label.group(1)] = number
        elif jump and jump.group(1) in at:
            found.append((at[jump.group(1)], number))
    inner = [(a, b) for a, b in found if not any(a < c and d < b for c, d in found)]
    start, end = max(inner, key=lambda span: span[1] - span[0], default=(0, -1))
    return "\n".join(lines[start : end + 1])
