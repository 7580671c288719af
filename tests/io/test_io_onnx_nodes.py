"""The node tests that ship with the package onnx: what agrees, and what is unsupported by name.

Each test either agrees with the expected outputs within its own tolerances, or raises
UnsupportedError that names an entry of the tables here; an entry that starts to agree is an error,
too. Not here: models as modules (`test_io_onnx_model.py`).
"""

from __future__ import annotations

from collections import Counter
from functools import cache

import numpy as np
import pytest

from kedja.ground.errors import UnsupportedError
from kedja.io import onnx as io_onnx
from tests.io.onnx_cases import (
    answers,
    described,
    node_cases,
    require_equal,
    require_same_type,
)

onnx = pytest.importorskip("onnx")

AT_LEAST = 900  # with any version of onnx that has these tests
AT_LEAST_OF_NEW = 1640  # with onnx 1.23 or newer

NO_DTYPE = "kedja has no dtype for it"
TEXT = "texts are no arrays here"
# Operator or element type: why there is no counterpart.
UNSUPPORTED = {
    "string": TEXT,
    "float8e4m3fn": NO_DTYPE,
    "float8e4m3fnuz": NO_DTYPE,
    "float8e5m2": NO_DTYPE,
    "float8e5m2fnuz": NO_DTYPE,
    "float8e8m0": NO_DTYPE,
    "float4e2m1": NO_DTYPE,
    "int4": NO_DTYPE,
    "uint4": NO_DTYPE,
    "int2": NO_DTYPE,
    "uint2": NO_DTYPE,
    "ImageDecoder": "it decodes picture files",
    "RegexFullMatch": TEXT,
    "StringConcat": TEXT,
    "StringNormalizer": TEXT,
    "StringSplit": TEXT,
    "TfIdfVectorizer": "it counts n-grams of tokens",
    "ai.onnx.ml.TreeEnsemble": "decision trees are no networks",
}

# Tests that draw random numbers: the expected ones come from NumPy's own generator, so types and
# shapes are compared, and the numbers' distribution in `test_io_onnx_operators.py`.
RANDOM = ("test_bernoulli", "test_training_dropout")
NOT_RANDOM = ("test_training_dropout_zero_ratio",)

# Tests whose expected values carry more rounding than the tolerance allows: float16 rounded at
# every step of a softmax (ours rounds once), a Fourier transform in complex64 that is 1.9e-7 where
# the exact value is 0.
ROUNDED = {
    "test_attention_4d_causal_fp16": {"rtol": 2**-9},
    "test_attention_4d_causal_fp16_expanded": {"rtol": 2**-9},
    "test_dft_inverse": {"atol": 1e-6},
    "test_dft_inverse_opset19": {"atol": 1e-6},
}


def is_random(name: str) -> bool:
    return name.startswith(RANDOM) and not name.startswith(NOT_RANDOM)


@cache
def verdict(place: int, compiled: bool = False) -> str:
    """`agrees`, `types`, the name of what is unsupported, or what is wrong."""
    case = node_cases()[place]
    try:
        model = io_onnx.load(case.model)
        found = answers(model, case, compiled=compiled)
    except UnsupportedError as error:
        names = described(case.model) & set(UNSUPPORTED)
        named = sorted(name for name in names if name in str(error))
        return named[0] if named else f"WRONG: unsupported without an entry: {error}"
    assert len(found) == len(case.outputs)
    tolerances = {"rtol": case.rtol, "atol": case.atol, **ROUNDED.get(case.name, {})}
    try:
        for expected, output in zip(case.outputs, found, strict=True):
            if is_random(case.name):
                require_same_type(expected, output.numpy())
            else:
                require_equal(expected, output, **tolerances)
    except AssertionError as error:
        return f"WRONG: {error}"
    return "types" if is_random(case.name) else "agrees"


def verdicts() -> dict[str, str]:
    return {case.name: verdict(place) for place, case in enumerate(node_cases())}


def test_no_node_test_disagrees():
    wrong = {name: text for name, text in verdicts().items() if text.startswith("WRONG")}
    assert not wrong, "\n".join(f"{name}: {text[:500]}" for name, text in wrong.items())


def test_at_least_so_many_agree():
    counts = Counter(verdicts().values())
    is_new = tuple(map(int, onnx.__version__.split(".")[:2])) >= (1, 23)
    assert counts["agrees"] >= (AT_LEAST_OF_NEW if is_new else AT_LEAST), counts


def test_what_is_unsupported_stands_in_the_table_and_nothing_else_does():
    """A test with an entry of the table is refused by that name; each entry is needed."""
    used = set()
    for case, text in zip(node_cases(), verdicts().values(), strict=True):
        listed = described(case.model) & set(UNSUPPORTED)
        if listed:
            assert text in listed, f"{case.name} is listed ({listed}), but: {text}"
            used.add(text)
        else:
            assert text in ("agrees", "types"), f"{case.name}: {text}"
    operators = {name for name in UNSUPPORTED if name[0].isupper() or "." in name}
    present = set().union(*(described(case.model) for case in node_cases()))
    assert operators & present <= used | {"RegexFullMatch", *_of_texts()}


def _of_texts() -> set[str]:
    """Operators that are refused by their element type already."""
    return {name for name, reason in UNSUPPORTED.items() if reason is TEXT}


def test_the_tables_of_exceptions_name_tests_that_exist():
    names = {case.name for case in node_cases()}
    assert set(ROUNDED) <= names
    assert all(any(name.startswith(each) for name in names) for each in (*RANDOM, *NOT_RANDOM))


def test_a_wrong_value_would_be_found():
    case = next(each for each in node_cases() if each.name == "test_tanh")
    (output,) = answers(io_onnx.load(case.model), case)
    require_equal(case.outputs[0], output, case.rtol, case.atol)
    with pytest.raises(AssertionError):
        require_equal(case.outputs[0] * np.float32(1.01), output, case.rtol, case.atol)
    with pytest.raises(AssertionError):
        require_equal(case.outputs[0].astype(np.float64), output, case.rtol, case.atol)


def compiled_places(step: int) -> list[int]:
    """The places of tests that agree, every `step`-th of them."""
    agreeing = [place for place, text in enumerate(verdicts().values()) if text == "agrees"]
    return agreeing[::step]


def require_compiled(step: int) -> None:
    wrong = {}
    for place in compiled_places(step):
        text = verdict(place, compiled=True)
        if text != "agrees":
            wrong[node_cases()[place].name] = text[:500]
    refused = {name: text for name, text in wrong.items() if "is traced" in text}
    assert wrong == refused, wrong
    assert len(refused) <= 2, refused


def test_a_sample_agrees_when_it_is_compiled():
    require_compiled(step=15)


@pytest.mark.slow
def test_all_agree_when_they_are_compiled():
    require_compiled(step=1)
