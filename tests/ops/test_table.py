"""One test walks the whole table: every op, every sample, every dtype that it claims.

The rules themselves stand in `walk.py`, the compiled programs in `executors.py`.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from kedja.autodiff.forward import jvp
from kedja.autodiff.reverse import vjp
from kedja.ground.errors import VerificationError
from kedja.ir.graph import apply, full, is_full, make, zeros_like
from kedja.ir.op import TABLE, Case, NoDerivative, Op, OwnProgram, Partials, register
from kedja.ops.reduce import spread
from tests.fixtures import float32, float64, variables
from tests.ops import walk

OPS = [TABLE[name] for name in sorted(TABLE) if name != "part"]  # in every op with several outputs
COMPUTED = [op for op in OPS if op.name != "input"]
WITH_INPUTS = [op for op in OPS if walk.cases(op)[0].inputs]
OF_ANY_DTYPE = [op for op in WITH_INPUTS if not isinstance(op.lowering, OwnProgram)]
COMPOSITES = [op for op in OPS if op.expand is not None]
PLANTED = [(op, rule, wrong) for op in OPS for rule, wrong in walk.planted(op)]


def named(value: object) -> str:
    return value.name if isinstance(value, Op) else str(value)


# ------------------------------------------------------------------------------- the walk


@pytest.mark.parametrize("op", COMPUTED, ids=named)
def test_the_type_rule_gives_what_numpy_gives(op):
    for case in walk.variants(op):
        walk.type_rule(op, case)


@pytest.mark.parametrize("op", OF_ANY_DTYPE, ids=named)
def test_every_claimed_dtype_is_taken_and_all_others_are_refused(op):
    for case in walk.cases(op):
        walk.refusals(op, case)


@pytest.mark.parametrize("op", OPS, ids=named)
def test_the_formula_renders(op):
    for case in walk.cases(op):
        assert walk.formula(op, case)


@pytest.mark.parametrize("op", OPS, ids=named)
def test_both_modes_agree_with_finite_differences(op):
    for case in walk.cases(op):
        walk.first_order(op, case)


@pytest.mark.parametrize("op", OPS, ids=named)
def test_both_modes_agree_to_second_order(op):
    for case in walk.cases(op):
        walk.second_order(op, case)


@pytest.mark.parametrize("op", COMPOSITES, ids=named)
def test_a_composite_means_what_its_expansion_means(op):
    for case in walk.variants(op):
        walk.expansion(op, case)
        for special in walk.with_specials(case):
            walk.expansion(op, special)


WITHOUT = [op for op in WITH_INPUTS if isinstance(op.derivative, NoDerivative)]


@pytest.mark.parametrize("op", WITHOUT, ids=named)
def test_an_op_without_derivative_says_why_and_gives_none_back(op):
    assert len(op.derivative.reason) > 10
    for case in walk.cases(op):
        xs = variables(case.inputs)
        node = make(op, xs, case.attrs)
        assert vjp([node], [zeros_like(node)], xs) == [None] * len(xs)
        (tangent,) = jvp([node], {x: full(1, x.shape, x.dtype) for x in xs})
        assert is_full(tangent, 0)


# ------------------------------------------------------------------------- testing the tester


@pytest.mark.parametrize(("op", "rule", "wrong"), PLANTED, ids=named)
def test_a_derivative_wrong_by_a_twentieth_of_a_percent_is_found(op, rule, wrong):
    with pytest.raises(AssertionError):
        for case in walk.cases(op):
            walk.first_order(wrong, case)


def test_wrong_derivatives_are_planted_in_every_kind_of_rule():
    kinds = {(type(op.derivative).__name__, rule.rstrip(" 012")) for op, rule, _ in PLANTED}
    assert kinds == {
        ("Partials", "∂"),
        ("Linear", "transpose"),
        ("Linear", "tangent"),
        ("Multilinear", "transpose"),
        ("Forward", "forward"),
        ("Forward", "transpose"),
    }


def test_a_wrong_second_derivative_is_found():
    """tanh' = 1 − y², given as a graph whose own derivative is wrong: 1 − stop(y)·y."""

    def partial(y, x):
        return 1 - apply("stop_gradient", y) * y

    wrong = replace(TABLE["tanh"], derivative=Partials((partial,)))
    (case,) = walk.cases(wrong)
    walk.first_order(wrong, case)
    with pytest.raises(AssertionError):
        walk.second_order(wrong, case)


def test_a_wrong_type_rule_is_found():
    wrong = replace(TABLE["argmax"], type=lambda x, *, axis: x)
    with pytest.raises(AssertionError):
        walk.type_rule(wrong, walk.cases(wrong)[0])


def test_a_claim_of_too_many_dtypes_is_found():
    wrong = replace(TABLE["exp"], dtypes=TABLE["add"].dtypes)
    with pytest.raises(AssertionError):
        walk.refusals(wrong, walk.cases(wrong)[0])


def test_a_wrong_expansion_is_found():
    right = TABLE["softmax"].expand
    wrong = replace(TABLE["softmax"], expand=lambda x, *, axes: 1.0005 * right(x, axes=axes))
    with pytest.raises(AssertionError):
        walk.expansion(wrong, walk.cases(wrong)[0])


def test_an_expansion_that_overflows_is_found():
    """exp(x)/Σexp(x) is softmax on the samples, and NaN where an element is infinite."""

    def naive(x, *, axes):
        powers = apply("exp", x)
        return powers / spread(apply("sum", powers, axes=axes), x, axes)

    wrong = replace(TABLE["softmax"], expand=naive)
    case = Case((np.full((2, 3), 800.0),), {"axes": (1,)})
    walk.expansion(wrong, walk.cases(wrong)[0])
    with pytest.raises(AssertionError):
        walk.expansion(wrong, case)


def test_a_record_without_a_facet_cannot_be_made():
    for facet in ("type", "numpy", "sample", "formula", "dtypes"):
        with pytest.raises(VerificationError, match=facet):
            replace(TABLE["exp"], **{facet: None})
    with pytest.raises(VerificationError, match="expand"):
        replace(TABLE["softmax"], expand=None)


def test_a_name_is_entered_once():
    with pytest.raises(VerificationError, match="twice"):
        register([TABLE["exp"]], "elementwise")


# --------------------------------------------------------------------- facts about single ops


def test_the_cast_of_a_gradient_goes_back_to_the_input_dtype():
    case = Case((np.linspace(-2, 2, 5),), {"dtype": float32})
    f, arrays = walk.reverse_gradient(TABLE["cast"], case)
    xs = variables(arrays)
    assert f(*xs).dtype == float64


def test_one_hot_counts_beyond_its_index_dtype():
    """A class number may be a byte where there are more than 256 classes."""
    index = np.array([0, 1, 44, 255], np.uint8)
    walk.expansion(TABLE["one_hot"], Case((index,), {"count": 300, "dtype": float32}))
