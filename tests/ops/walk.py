"""The walk over the table: what must hold for every record, as functions of the record.

They take the record, not its name, so that the testers can be tested: a copy with a mistake planted
in it must fail. Not here: compiled programs (`executors.py`). Next: `test_table.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from string import Formatter

import numpy as np

from kedja.autodiff.check import check
from kedja.autodiff.forward import jvp
from kedja.autodiff.reverse import vjp
from kedja.ground.dtypes import ALL, UNSIGNED, bool_, convert, is_float, is_half, is_integer
from kedja.ground.errors import DtypeError
from kedja.ground.limits import float_limits
from kedja.interpret.reference import run, run_graph, widened
from kedja.ir.graph import Node, apply, constant, expanded, make, parts
from kedja.ir.op import (
    Bundle,
    Case,
    Forward,
    Linear,
    Multilinear,
    NoDerivative,
    Op,
    OwnProgram,
    Partials,
    Type,
)
from tests.fixtures import float32, float64, total, variables
from tests.ops import gauge

FORWARD_ONLY = ("while_loop",)  # its tangents are checked in tests/front/test_front_control.py
SPECIAL = (np.nan, np.inf, -np.inf, 0.0, -0.0)
STEP = 1e-4
SMOOTH = 1e-9  # what finite differences with this step leave in float64: h⁴ and rounding/h, 1e-11
SINGLE = 1e-6  # the same for an output that is rounded to float32, with steps of 1


# --------------------------------------------------------------------------- sample calls


def cases(op: Op) -> list[Case]:
    """The op's own samples."""
    return list(op.sample(np.random.default_rng(7)))


def variants(op: Op) -> Iterator[Case]:
    """The samples in every dtype that the op claims, and its other inputs in all they may be."""
    for case in cases(op):
        if not case.inputs:
            yield from _leaves(op, case)
            continue
        if isinstance(op.lowering, OwnProgram):  # the graphs inside fix the dtypes
            yield case
            continue
        for dtype in op.dtypes:
            yield recast(case, alike(case, 0), dtype)
        for place in others(case):
            for dtype in ALL:
                changed = recast(case, alike(case, place), dtype)
                if accepts(op, changed):
                    yield changed


def _leaves(op: Op, case: Case) -> Iterator[Case]:
    for dtype in ALL:
        attrs = dict(case.attrs)
        if "dtype" in attrs:
            attrs["dtype"] = dtype
        if op.name == "constant":
            attrs["value"] = cast(attrs["value"], dtype)
        if accepts(op, Case((), attrs)):
            yield Case((), attrs)


def alike(case: Case, place: int) -> list[int]:
    """The inputs that share the dtype of one of them."""
    kind = case.inputs[place].dtype
    return [i for i, each in enumerate(case.inputs) if each.dtype == kind]


def others(case: Case) -> list[int]:
    """One input of each dtype that is not the first input's."""
    kinds = {each.dtype: i for i, each in reversed(list(enumerate(case.inputs)))}
    return [i for dtype, i in kinds.items() if dtype != case.inputs[0].dtype]


def recast(case: Case, places: Sequence[int], dtype: np.dtype) -> Case:
    """The same call with some inputs in another dtype."""
    return Case(
        tuple(cast(x, dtype) if i in places else x for i, x in enumerate(case.inputs)), case.attrs
    )


def cast(x: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Samples in another dtype: floats become integers away from zero, which may be divisors."""
    if dtype == bool_:
        return x > 0 if is_float(x.dtype) else x % 2 == 1
    if is_float(x.dtype) and is_integer(dtype):
        x = np.sign(x) * np.ceil(np.abs(x))
    return convert(np.abs(x) if dtype in UNSIGNED and x.dtype != bool_ else x, dtype)


def accepts(op: Op, case: Case) -> bool:
    """Whether the type rule takes these dtypes; any refusal must be a DtypeError."""
    try:
        typed(op, case)
    except DtypeError:
        return False
    return True


def typed(op: Op, case: Case) -> Type | Bundle:
    """What the op's type rule gives."""
    return op.type(*(Type(x.shape, x.dtype) for x in case.inputs), **case.attrs)


# --------------------------------------------------------------------------------- outputs


def outputs(op: Op, xs: Sequence[Node], case: Case) -> list[Node]:
    """The op's output, or all of several, as far as they can be compared."""
    node = make(op, xs, case.attrs)
    several = isinstance(node.type, Bundle)
    return gauge.invariants(op.name, parts(node)) if several else [node]


def whole(op: Op, xs: Sequence[Node], case: Case) -> Node:
    """The op's output; the floats of several outputs as one vector."""
    found = outputs(op, xs, case)
    floats = [each for each in found if is_float(each.dtype)]
    if len(found) == 1 or not floats:
        return found[0]
    flat = (apply("reshape", each, shape=(each.type.size,)) for each in floats)
    return apply("concatenate", *flat, axis=0)


def whole_type(op: Op, case: Case) -> Type:
    """The type of that."""
    found = typed(op, case)
    return whole(op, variables(case.inputs), case).type if isinstance(found, Bundle) else found


# ------------------------------------------------------------------------------- the rules


def type_rule(op: Op, case: Case) -> None:
    """The type rule gives what NumPy gives; the interpreter rounds float32 to a half dtype."""
    own = (run_graph,) if isinstance(op.lowering, OwnProgram) else ()
    node = make(op, variables(case.inputs), case.attrs)
    value = op.numpy(*own, *widened(node, case.inputs), **case.attrs)
    several = isinstance(node.type, Bundle)
    found = [np.asarray(each) for each in (value if several else (value,))]
    for kind, each in zip(node.type.parts if several else (node.type,), found, strict=True):
        rounded = is_half(kind.dtype) and each.dtype == float32
        expected = Type(kind.shape, float32 if rounded else kind.dtype)
        assert expected == Type(each.shape, each.dtype), describe(op, case)


def refusals(op: Op, case: Case) -> None:
    """Dtypes that the op does not claim are refused, and so are inputs that do not match."""
    places = alike(case, 0)
    for dtype in ALL:
        wrong = recast(case, places, dtype)
        assert (dtype in op.dtypes) == accepts(op, wrong), describe(op, wrong)
    for place in (i for i in places if i):
        wrong = recast(case, [place], float32 if case.inputs[0].dtype != float32 else float64)
        assert not accepts(op, wrong), describe(op, wrong)


def formula(op: Op, case: Case) -> str:
    """The formula's template renders, and mentions every input and no unknown attribute."""
    names = [f"x{i}" for i in range(len(case.inputs))]
    template = op.formula.replace("{*}", ", ".join(names))
    text = Formatter().vformat(template, names, case.attrs)
    assert all(name in text for name in names), text
    assert "{" not in text
    return text


def first_order(op: Op, case: Case) -> None:
    """Both modes agree with finite differences."""
    if not differentiable(op, case):
        return
    step, bound = _resolution(op, case)
    found = check(lambda *xs: whole(op, xs, case), case.inputs, step=step)
    assert found.worst() < bound, f"{describe(op, case)}: {found}"


def second_order(op: Op, case: Case) -> None:
    """Both modes of the reverse gradient, and of the forward tangent, agree likewise."""
    if not differentiable(op, case) or whole_type(op, case).dtype != float64:
        return
    for derive in (reverse_gradient, forward_tangent):
        f, arrays = derive(op, case)
        found = check(f, arrays, step=STEP)
        assert found.worst() < SMOOTH, f"{describe(op, case)}, {derive.__name__}: {found}"


def differentiable(op: Op, case: Case) -> bool:
    """Whether float64 goes in and floats come out that hold its digits, with a derivative."""
    if isinstance(op.derivative, NoDerivative) or op.name in FORWARD_ONLY:
        return False
    result = whole_type(op, case).dtype
    fine = is_float(result) and not is_half(result)
    return fine and any(x.dtype == float64 for x in case.inputs)


def _resolution(op: Op, case: Case) -> tuple[float, float]:
    """The step of the differences and what they leave; linear ops take steps of any size."""
    if whole_type(op, case).dtype == float32:
        return 1.0, SINGLE
    return (1.0 if isinstance(op.derivative, Linear) else STEP), SMOOTH


Derived = tuple[Callable[..., Node], list[np.ndarray]]


def reverse_gradient(op: Op, case: Case) -> Derived:
    """Σ w·x̄ over all float inputs, w random, as a function of the inputs and of the cotangent."""
    rng = np.random.default_rng(1)
    weights = [rng.standard_normal(x.shape) for x in case.inputs]
    cotangent = rng.standard_normal(whole_type(op, case).shape)

    def f(*nodes: Node) -> Node:
        *xs, g = nodes
        grads = vjp([whole(op, xs, case)], [g], xs)
        terms = (
            total(constant(w) * each)
            for w, x, each in zip(weights, xs, grads, strict=True)
            if each is not None and is_float(x.dtype)
        )
        return sum(terms, start=total(0 * g))

    return f, [*case.inputs, cotangent]


def forward_tangent(op: Op, case: Case) -> Derived:
    """J·t as a function of the inputs and of their tangents."""
    rng = np.random.default_rng(2)
    moving = [i for i, x in enumerate(case.inputs) if is_float(x.dtype)]
    tangents = [rng.standard_normal(case.inputs[i].shape) for i in moving]

    def f(*nodes: Node) -> Node:
        xs, ts = nodes[: len(case.inputs)], nodes[len(case.inputs) :]
        pairs = {xs[i]: t for i, t in zip(moving, ts, strict=True)}
        return jvp([whole(op, xs, case)], pairs)[0]

    return f, [*case.inputs, *tangents]


def expansion(op: Op, case: Case) -> None:
    """A composite's NumPy facet is the interpretation of the subgraph that it names."""
    assert op.expand is not None
    xs = variables(case.inputs)
    named = make(op, xs, case.attrs)
    opened = expanded(named)
    assert opened.type == typed(op, case), describe(op, case)
    found, expected = run([opened, named], dict(zip(xs, case.inputs, strict=True)))
    if not is_float(expected.dtype):
        np.testing.assert_array_equal(found, expected, err_msg=describe(op, case))
        return
    scale = float_limits(expected.dtype).eps * 16
    wide = (each.astype(np.float64) for each in (found, expected))
    np.testing.assert_allclose(*wide, scale, scale, err_msg=describe(op, case))


def with_specials(case: Case) -> Iterator[Case]:
    """The call with NaN, ±∞ or ±0 in place of one element and of all, and with two infinities."""
    places = [i for i, x in enumerate(case.inputs) if is_float(x.dtype) and x.size]
    for place in places:
        for value in SPECIAL:
            for where in (slice(0, 1), slice(None)):
                yield _planted_value(case, place, where, value)
        first = _planted_value(case, place, slice(0, 1), np.inf)
        yield _planted_value(first, place, slice(1, 2), -np.inf)
        yield _planted_value(first, place, slice(1, 2), np.inf)


def _planted_value(case: Case, place: int, where: slice, value: float) -> Case:
    arrays = [x.copy() for x in case.inputs]
    arrays[place].reshape(-1)[where] = value
    return Case(tuple(arrays), case.attrs)


def describe(op: Op, case: Case) -> str:
    """The call in one line."""
    types = ", ".join(str(Type(x.shape, x.dtype)) for x in case.inputs)
    attrs = {name: value for name, value in case.attrs.items() if not isinstance(value, np.ndarray)}
    return f"{op.name}({types}) {attrs or ''}"


# ------------------------------------------------------------------------- testing the tester

WRONG = 1.0005  # a derivative that is wrong by 0.05 %


def planted(op: Op) -> Iterator[tuple[str, Op]]:
    """Copies of a record, each with one rule of its derivative wrong by 0.05 %."""
    match op.derivative:
        case Partials(rules):
            for i, each in _present(rules):
                yield f"∂{i}", replace(op, derivative=Partials(_with(rules, i, _wrong(each))))
        case Linear(rules, tangent):
            if callable(rules):
                yield "transpose", replace(op, derivative=Linear(_wrong(rules), tangent))
            else:
                for i, each in _present(rules):
                    changed = Linear(_with(rules, i, _wrong(each)), tangent)
                    yield f"transpose {i}", replace(op, derivative=changed)
            if tangent is not None:
                yield "tangent", replace(op, derivative=Linear(rules, _wrong(tangent)))
        case Multilinear(rules):
            for i, each in _present(rules):
                changed = Multilinear(_with(rules, i, _wrong(each)))
                yield f"transpose {i}", replace(op, derivative=changed)
        case Forward(rule, transposes):
            yield "forward", replace(op, derivative=Forward(_wrong(rule), transposes))
            for i, each in _present(transposes or ()):
                changed = Forward(rule, _with(transposes or (), i, _wrong(each)))
                yield f"transpose {i}", replace(op, derivative=changed)


Rule = Callable[..., Node | None]


def _present(rules: Sequence[Rule | None]) -> list[tuple[int, Rule]]:
    return [(i, each) for i, each in enumerate(rules) if each is not None]


def _with(rules: Sequence[Rule | None], place: int, rule: Rule) -> tuple[Rule | None, ...]:
    return (*rules[:place], rule, *rules[place + 1 :])


def _wrong(rule: Rule) -> Rule:
    def scaled(*args: object) -> Node | None:
        right = rule(*args)
        if isinstance(right, list):
            return [None if each is None else WRONG * each for each in right]
        return None if right is None else WRONG * right

    return scaled
