"""What the fields of a module hold: taken apart and put together again, without loss."""

from __future__ import annotations

from collections import namedtuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import kedja as kj
from kedja import nn
from kedja.ground.errors import UsageError
from kedja.nn import fields

Pair = namedtuple("Pair", "left right")

PLAIN = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text())
ARRAYS = st.builds(lambda n: np.full(3, n), st.integers(0, 9))
VALUES = st.recursive(
    st.one_of(PLAIN, ARRAYS, st.just(nn.ReLU())),
    lambda inner: st.one_of(
        st.lists(inner),
        st.lists(inner).map(tuple),
        st.dictionaries(st.text(max_size=3), inner),
        st.builds(Pair, inner, inner),
    ),
    max_leaves=8,
)


def assert_same(a, b):
    assert type(a) is type(b)
    if isinstance(a, dict):
        assert set(a) == set(b)
        for key in a:
            assert_same(a[key], b[key])
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b)
        for one, other in zip(a, b, strict=True):
            assert_same(one, other)
    elif isinstance(a, (np.ndarray, nn.Module)):
        assert a is b
    else:
        assert a == b


@given(st.dictionaries(st.text(max_size=3), VALUES))
def test_join_undoes_split(given_fields):
    names, children, static, _ = fields.split(given_fields.items(), nn.Module)
    assert len(names) == len(children)
    hash(static)
    assert_same(fields.join(static, children), given_fields)
    again = fields.split(given_fields.items(), nn.Module)
    assert again.static == static


def test_names_are_dotted_paths():
    value = {"b": [np.zeros(1), (nn.ReLU(), 3)], "a": Pair(np.ones(2), None)}
    found = fields.split([("net", value), ("size", 3)], nn.Module)
    assert found.names == ("net.b.0", "net.b.1.0", "net.a.left")


def test_inlined_fields_drop_their_own_name():
    found = fields.split([("layers", (np.zeros(1), np.zeros(2)))], nn.Module, "layers")
    assert found.names == ("0", "1")


@pytest.mark.parametrize("one, other", [(1, True), (1, 1.0), ("1", 1), ((1, 2), [1, 2])])
def test_static_values_differ_by_type_too(one, other):
    first = fields.split([("x", one)], nn.Module).static
    second = fields.split([("x", other)], nn.Module).static
    assert first != second


def test_functions_compare_by_identity():
    static = fields.split([("f", kj.exp)], nn.Module).static
    assert static == fields.split([("f", kj.exp)], nn.Module).static
    assert static != fields.split([("f", kj.log)], nn.Module).static


def test_values_that_cannot_be_compared_are_refused():
    with pytest.raises(UsageError, match="field 'seen' of a module holds set"):
        fields.split([("seen", {1, 2})], nn.Module)
