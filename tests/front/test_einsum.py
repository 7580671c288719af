"""`kj.einsum` means what NumPy's means: values, gradients, errors, the order of multiplication."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kedja as kj
from kedja.front.einsum import best_order
from kedja.ground.errors import ShapeError, UsageError
from kedja.ir.graph import topological
from tests.fixtures import TIERS

RNG = np.random.default_rng(0)
EXTENTS = {"a": 2, "b": 3, "c": 4, "d": 1, "e": 5}

CASES = [
    ("ij,jk->ik", (2, 3), (3, 4)),
    ("ij,jk", (2, 3), (3, 4)),
    ("ba", (2, 3)),
    ("ii", (3, 3)),
    ("ii->i", (3, 3)),
    ("iij->j", (3, 3, 4)),
    ("iii", (3, 3, 3)),
    ("ijij->ij", (2, 3, 2, 3)),
    ("...ij,...jk->...ik", (5, 2, 3), (1, 3, 4)),
    ("...ij,jk", (5, 2, 3), (3, 4)),
    ("...i,...i", (2, 3), (2, 3)),
    ("i...j,j...->...", (2, 4, 3), (3, 4)),
    ("bhqd,bhkd->bhqk", (2, 3, 4, 5), (2, 3, 6, 5)),
    ("bhqk,bhkd->bqhd", (2, 3, 4, 5), (2, 3, 5, 2)),
    ("i,j,k->kji", (2,), (3,), (4,)),
    ("ab,bc,cd,de->ae", (2, 3), (3, 4), (4, 5), (5, 2)),
    ("ij->", (2, 3)),
    ("...", (2, 3)),
    ("i...->...", (2, 3, 4)),
    ("ij,ij->", (2, 3), (2, 3)),
    ("ij,kj->", (2, 3), (4, 3)),
    ("ab,ac->abc", (2, 3), (2, 4)),
    ("ij,j->ij", (2, 3), (1,)),
    ("ij,jk->ik", (2, 1), (3, 4)),
    (",i->i", (), (3,)),
    ("i,i", (0,), (0,)),
    ("ij,jk->ik", (2, 0), (0, 3)),
    (" i j , j k -> i k ", (2, 3), (3, 4)),
    ("a,b,c,d,e,f,g,h->", *((2,),) * 8),
    ("ab,bc,cd,de,ef,fg,gh->ah", *((2, 2),) * 7),
]


def arrays(shapes) -> list[np.ndarray]:
    return [RNG.standard_normal(shape) for shape in shapes]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0])
def test_it_means_what_numpys_means(case):
    text, *shapes = case
    given = arrays(shapes)
    found = kj.einsum(text, *given)
    np.testing.assert_allclose(found.numpy(), np.einsum(text, *given), rtol=1e-12, atol=1e-12)
    assert found.shape == np.einsum(text, *given).shape


@st.composite
def problems(draw):
    """Random subscripts of one to three arrays, with repeated labels, sums and any output."""
    labels = st.text(alphabet="abcde", max_size=3)
    inputs = draw(st.lists(labels, min_size=1, max_size=3))
    known = sorted(set("".join(inputs)))
    output = "".join(draw(st.permutations(known))[: draw(st.integers(0, len(known)))])
    dots = [draw(st.sampled_from(((), (), (1,), (3,), (2, 3), (2, 1)))) for _ in inputs]
    joined = [f"{'...' if d else ''}{text}" for d, text in zip(dots, inputs, strict=True)]
    shapes = [(*d, *(EXTENTS[label] for label in t)) for d, t in zip(dots, inputs, strict=True)]
    arrow = f"->{'...' if any(dots) else ''}{output}"
    return ",".join(joined) + arrow, arrays(shapes)


@given(problems())
@settings(max_examples=300)
def test_random_subscripts(problem):
    text, given = problem
    expected = np.einsum(text, *given)
    found = kj.einsum(text, *given)
    assert found.shape == expected.shape, text
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-10, atol=1e-10, err_msg=text)


@given(problems())
@settings(max_examples=60)
def test_gradients(problem):
    """The derivative by one operand is the sum over the others: einsum is linear in each."""
    text, given = problem
    weights = RNG.standard_normal(np.einsum(text, *given).shape)
    for place, x in enumerate(given):
        direction = RNG.standard_normal(x.shape)
        moved = [*given[:place], direction, *given[place + 1 :]]
        expected = np.sum(weights * np.einsum(text, *moved))
        gradient = kj.grad(lambda *xs: kj.sum(kj.einsum(text, *xs) * weights), place)(*given)
        assert gradient.shape == x.shape
        assert np.sum(gradient.numpy() * direction) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("tier", TIERS)
def test_compiled_and_batched(tier):
    a, b = arrays([(4, 2, 3), (4, 3, 5)])
    with kj.scope(tier=tier):
        found = kj.jit(lambda a, b: kj.einsum("bij,bjk->ik", a, b))(a, b)
        mapped = kj.vmap(lambda a, b: kj.einsum("ij,jk->ik", a, b))(a, b)
    np.testing.assert_allclose(found.numpy(), np.einsum("bij,bjk->ik", a, b))
    np.testing.assert_allclose(mapped.numpy(), a @ b)


def test_integers_keep_their_dtype_and_dtypes_meet():
    ints = np.array([[1, 2], [3, 4]], np.int8)
    assert kj.einsum("ij,jk->ik", ints, ints).dtype == "int8"
    np.testing.assert_array_equal(kj.einsum("ij,jk->ik", ints, ints).numpy(), ints @ ints)
    assert kj.einsum("i,i", [1, 2], [0.5, 1.0]).dtype == "float32"


# ---------------------------------------------------------------------------------- order


def test_a_product_is_one_matmul_without_transposes():
    names = ops_of("ij,jk->ik", (2, 3), (3, 4))
    assert names.count("matmul") == 1
    assert "transpose" not in names
    assert ops_of("bhqd,bhkd->bhqk", (2, 3, 4, 5), (2, 3, 6, 5)).count("transpose") == 1


def ops_of(text, *shapes) -> list[str]:
    inputs = [kj.tensor(each) for each in arrays(shapes)]
    return [node.op.name for node in topological([kj.einsum(text, *inputs).node])]


def test_chains_are_multiplied_in_the_cheapest_order():
    """A vector at the end of a chain of matrices makes every product one of a vector."""
    extents = dict.fromkeys("abcd", 100) | {"e": 1}
    labels = [{"a", "b"}, {"b", "c"}, {"c", "d"}, {"d", "e"}]
    assert best_order(labels, {"a", "e"}, extents) == [(2, 3), (1, 2), (0, 1)]


# --------------------------------------------------------------------------------- errors


X, Y = np.ones((2, 3)), np.ones((3, 4))
WRONG = [
    (lambda: kj.einsum("ij,jk", X), UsageError, "describes 2 arrays"),
    (lambda: kj.einsum("ijk", X), ShapeError, "an array with 2 axes"),
    (lambda: kj.einsum("i", X), ShapeError, "an array with 2 axes"),
    (lambda: kj.einsum("ij->k", X), UsageError, "no array has 'k'"),
    (lambda: kj.einsum("ij->ii", X), UsageError, "'i' twice"),
    (lambda: kj.einsum("i1", X), UsageError, "'1' is no label"),
    (lambda: kj.einsum("i..j", X), UsageError, "'.' is no label"),
    (lambda: kj.einsum("ii", X), ShapeError, "'i' is 2 and 3 in one array"),
    (lambda: kj.einsum("ij,ij", X, Y), ShapeError, "'i' is 2 in one array and 3 in another"),
    (lambda: kj.einsum("...,...", X, Y), ShapeError, "... is 3 in one array and 4 in another"),
]


@pytest.mark.parametrize(("call", "kind", "message"), WRONG, ids=lambda value: "")
def test_wrong_subscripts_are_refused_with_the_line(call, kind, message):
    with pytest.raises(kind) as caught:
        call()
    assert message in str(caught.value)
    assert f"{__file__}:{call.__code__.co_firstlineno}" in str(caught.value)
