"""Pytrees: taken apart and put together again, with the names of the places."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

import kedja as kj
from kedja.front import tree
from kedja.ground.errors import UsageError


class Pair(NamedTuple):
    left: object
    right: object


@dataclass
class Layer:
    weight: object
    bias: object
    name: str


tree.register(
    Layer,
    lambda layer: tree.Parts(("weight", "bias"), (layer.weight, layer.bias), layer.name),
    lambda name, children: Layer(*children, name),
)

KEYS = st.text("abc", min_size=1, max_size=3)
TREES = st.recursive(
    st.integers() | st.none() | st.text(max_size=3),
    lambda below: st.one_of(
        st.lists(below, max_size=3),
        st.lists(below, max_size=3).map(tuple),
        st.dictionaries(KEYS, below, max_size=3),
        st.builds(Pair, below, below),
        st.builds(Layer, below, below, KEYS),
    ),
    max_leaves=20,
)


@given(TREES)
def test_round_trip(x):
    leaves, structure = tree.flatten(x)
    assert tree.unflatten(structure, leaves) == x
    assert structure.leaves == len(leaves)
    assert [leaf for _, leaf in tree.paths(x)] == leaves
    assert tree.leaves(x) == leaves


@given(TREES)
def test_structures_are_values(x):
    first, second = tree.flatten(x)[1], tree.flatten(x)[1]
    assert first == second
    assert hash(first) == hash(second)


@given(TREES)
def test_map_keeps_the_structure(x):
    marked = tree.map(lambda leaf: f"leaf {leaf!r}", x)
    assert tree.flatten(marked)[1] == tree.flatten(x)[1]
    assert tree.leaves(marked) == [f"leaf {leaf!r}" for leaf in tree.leaves(x)]


@given(TREES)
def test_paths_are_unique(x):
    names = [name for name, _ in tree.paths(x)]
    assert len(set(names)) == len(names)


def test_types_tell_structures_apart():
    forms = (
        [1, 2],
        (1, 2),
        Pair(1, 2),
        {"a": 1, "b": 2},
        {"a": 1, "c": 2},
        Layer(1, 2, "x"),
        Layer(1, 2, "y"),
    )
    structures = [tree.flatten(form)[1] for form in forms]
    assert len(set(structures)) == len(forms)


def test_paths_read_like_attributes():
    x = {"layers": [Layer(1, 2, "a"), Layer(3, None, "b")], "scale": Pair(4, [5])}
    assert tree.paths(x) == [
        ("layers.0.weight", 1),
        ("layers.0.bias", 2),
        ("layers.1.weight", 3),
        ("scale.left", 4),
        ("scale.right.0", 5),
    ]


def test_the_order_of_a_dict_does_not_matter():
    assert tree.flatten({"b": 1, "a": 2}) == tree.flatten({"a": 2, "b": 1})


def test_none_has_no_leaves():
    assert tree.leaves([None, (), {}, [None]]) == []


def test_other_objects_are_leaves():
    x = OrderedDict(a=1)
    assert tree.leaves([x, {1, 2}, "abc"]) == [x, {1, 2}, "abc"]


def test_trees_of_different_structure_are_refused():
    with pytest.raises(UsageError, match="different structure"):
        tree.map(lambda a, b: a, [1, 2], [1, (2,)])
    with pytest.raises(UsageError, match="3 leaves for a tree of 2"):
        tree.unflatten(tree.flatten([1, 2])[1], [1, 2, 3])


def test_map_over_several_trees():
    x, y = {"a": [1, 2]}, {"a": [10, 20]}
    assert tree.map(lambda a, b: a + b, x, y) == {"a": [11, 22]}


def test_gradients_have_the_structure_of_the_argument():
    model = {"layers": [Layer(kj.tensor([2.0]), kj.tensor([1.0]), "a")], "scale": kj.tensor(3.0)}

    def loss(m, x):
        layer = m["layers"][0]
        return kj.sum((layer.weight * x + layer.bias) * m["scale"])

    grads = kj.grad(loss)(model, kj.tensor([5.0]))
    assert tree.flatten(grads)[1] == tree.flatten(model)[1]
    assert tree.map(lambda t: t.tolist(), grads)["layers"][0] == Layer([15.0], [3.0], "a")
    assert grads["scale"].item() == 11
