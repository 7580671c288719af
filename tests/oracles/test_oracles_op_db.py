"""PyTorch's operator database as an oracle: values and vector-Jacobian products of its samples.

`python -m tests.oracles` prints the counts. Next: `test_oracles_module_db.py`.
"""

from __future__ import annotations

import warnings

import pytest

import kedja as kj

torch = pytest.importorskip("torch")
pytest.importorskip("expecttest", reason="PyTorch's databases need it")

from tests.oracles import comparison, offered  # noqa: E402  only where PyTorch is installed
from tests.oracles.comparison import Row  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")  # PyTorch's own, of its deprecated operators
OFFERED_AT_LEAST = 150


@pytest.fixture(scope="module")
def operators():
    """The operators by name. Importing them takes seconds."""
    torch.set_num_threads(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return comparison.operators()


@pytest.mark.parametrize("name", offered.ROWS)
@pytest.mark.parametrize("most", [16, pytest.param(None, marks=pytest.mark.slow)])
def test_an_operator_agrees_with_pytorchs(name, most, operators):
    result = comparison.outcome(operators[name], offered.ROWS[name], most)
    assert not result.differences, "\n\n".join(result.differences[:3])
    assert result.agreeing, f"all samples are skipped: {dict(result.skipped)}"


@pytest.mark.slow
@pytest.mark.parametrize("name", offered.ROWS)
@pytest.mark.parametrize("backend", ["cpu", "xla"])
def test_a_compiled_operator_agrees_with_pytorchs(name, backend, operators):
    if backend == "xla":
        pytest.importorskip("jax")
    with kj.scope(tier="compile", backend=backend):
        result = comparison.outcome(operators[name], offered.ROWS[name], most=3, compiled=True)
    assert not result.differences, "\n\n".join(result.differences[:3])
    if not result.agreeing:
        pytest.skip(f"nothing that can be compiled: {dict(result.skipped)}")


def test_every_operator_that_both_have_stands_in_the_table(operators):
    assert not offered.missing(operators)


def test_the_table_names_operators_that_there_are(operators):
    assert offered.ROWS.keys() | offered.LEFT_OUT.keys() <= operators.keys()
    assert not offered.ROWS.keys() & offered.LEFT_OUT.keys()


def test_enough_is_offered():
    assert len(offered.ROWS) >= OFFERED_AT_LEAST


def test_what_is_left_out_has_a_reason():
    reasons = [
        *offered.LEFT_OUT.values(),
        *(why for row in offered.ROWS.values() for why in row.skip),
    ]
    assert all(len(reason) > 5 for reason in reasons)


# ----------------------------------------------------------------------- the tester is tested


def leaky(x):
    """A gradient that is lost on the way."""
    return kj.stop_gradient(kj.exp(x))


PLANTED = [
    ("tanh", Row(lambda x: kj.tanh(x) * 1.0001), "result 0"),
    ("exp", Row(lambda x: leaky(x)), "gradient 0"),
    ("exp", Row(lambda x: leaky(x) + 0.9999 * (kj.exp(x) - leaky(x))), "gradient 0"),
    ("argmax", Row(lambda x, *a, **o: kj.astype(kj.argmax(x), kj.int32)), "int32"),
    ("argmax", Row(lambda x, *a, **o: kj.argmax(x, keepdims=True)), "PyTorch has ()"),
    ("sort", Row(lambda x, *a, **o: kj.sort(x)), "1 results where PyTorch has 2"),
    ("exp", Row(lambda x: kj.exp(x, 3)), "TypeError"),
]


@pytest.mark.parametrize(("name", "row", "message"), PLANTED)
def test_a_planted_difference_is_found(name, row, message, operators):
    found = comparison.outcome(operators[name], row).differences
    assert any(message in each for each in found)


def test_a_function_without_a_row_is_found(operators, monkeypatch):
    monkeypatch.delitem(offered.ROWS, "linalg.inv")
    assert offered.missing(operators) == ["linalg.inv: kj.linalg.inv"]


def test_a_wider_comparison_needs_a_reason():
    with pytest.raises(ValueError, match="without a reason"):
        Row(kj.exp, rtol=1e-2)
