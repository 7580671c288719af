"""Containers, Bilinear, distances, Flatten and Unflatten, against PyTorch where it has them."""

from __future__ import annotations

import math
from collections import OrderedDict

import numpy as np
import pytest

import kedja as kj
from kedja import nn
from kedja.front import tree
from kedja.ground.errors import ShapeError, UsageError
from kedja.nn import functional
from tests.nn.compare import assert_like_torch
from tests.nn.layers import assert_like, normal


def test_a_sequential_with_names():
    net = nn.Sequential({"second": nn.Linear(4, 3), "act": nn.ReLU(), "first": nn.Linear(3, 2)})
    assert list(net.state_dict()) == [
        "second.weight", "second.bias", "first.weight", "first.bias"
    ]  # fmt: skip
    again = tree.unflatten(tree.flatten(net)[1], tree.leaves(net))
    np.testing.assert_array_equal(again(np.ones((1, 4))), net(np.ones((1, 4))))
    assert isinstance(net[1], nn.ReLU)
    assert list(net[:2].state_dict()) == ["second.weight", "second.bias"]
    assert len(nn.Sequential(OrderedDict(a=nn.ReLU(), b=kj.tanh))) == 2
    with pytest.raises(UsageError, match="layer wrong of Sequential is 3"):
        nn.Sequential({"wrong": 3})


def test_lists_and_dicts_name_what_they_hold_as_pytorch_does():
    torch = pytest.importorskip("torch")

    class Ours(nn.Module):
        def __init__(self):
            self.layers = nn.ModuleList([nn.Linear(4, 4) for _ in range(3)])
            self.heads = nn.ModuleDict({"z": nn.Linear(4, 1), "a": nn.Linear(4, 2)})
            self.gains = nn.ParameterList([kj.ones(4), kj.ones(4)])
            self.others = nn.ParameterDict({"b": kj.ones(4), "q": kj.ones(4)})

        def __call__(self, x):
            for layer in self.layers[:-1] + self.layers[2:]:
                x = kj.tanh(layer(x)) * self.gains[0]
            x = x * self.others["q"] + self.gains[1] + self.others["b"]
            return self.heads["z"](x), self.heads["a"](x)

    class Theirs(torch.nn.Module):
        def __init__(self):
            super().__init__()
            lib, ones = torch.nn, lambda: torch.nn.Parameter(torch.ones(4))
            self.layers = lib.ModuleList([lib.Linear(4, 4) for _ in range(3)])
            self.heads = lib.ModuleDict({"z": lib.Linear(4, 1), "a": lib.Linear(4, 2)})
            self.gains = lib.ParameterList([ones(), ones()])
            self.others = lib.ParameterDict({"b": ones(), "q": ones()})

        def forward(self, x):
            for layer in self.layers:
                x = torch.tanh(layer(x)) * self.gains[0]
            x = x * self.others["q"] + self.gains[1] + self.others["b"]
            return self.heads["z"](x), self.heads["a"](x)

    assert_like(torch, Ours(), Theirs(), normal(3, 4))


def test_the_collections_read_as_pythons():
    heads = nn.ModuleDict({"z": nn.ReLU(), "a": nn.Tanh()})
    assert list(heads) == list(heads.keys()) == ["z", "a"]
    assert "a" in heads and "b" not in heads and len(heads) == 2
    assert [name for name, _ in heads.items()] == ["z", "a"]
    assert isinstance(list(heads.values())[1], nn.Tanh)
    assert isinstance(nn.ModuleList([nn.ReLU(), nn.Tanh()])[1:][0], nn.Tanh)
    gains = nn.ParameterList([1.0, 2.0])
    assert gains[1].item() == 2
    assert repr(gains) == "ParameterList(0=float32[], 1=float32[])"
    with pytest.raises(UsageError):
        nn.ModuleList([nn.ReLU])


# ------------------------------------------------------------------------- other small layers


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("lead", [(), (5,), (2, 3)])
def test_bilinear_equals_pytorchs(bias, lead):
    torch = pytest.importorskip("torch")
    ours, theirs = nn.Bilinear(3, 4, 2, bias), torch.nn.Bilinear(3, 4, 2, bias)
    assert_like(torch, ours, theirs, normal(*lead, 3), normal(*lead, 4))
    assert ours.extra_repr() == theirs.extra_repr()


def test_bilinear_refuses_inputs_that_do_not_fit():
    with pytest.raises(ShapeError, match="expects inputs with 4 features"):
        nn.Bilinear(3, 4, 2)(np.ones((5, 3)), np.ones((5, 3)))
    with pytest.raises(ShapeError, match="expects inputs of equal length"):
        nn.Bilinear(3, 4, 2)(np.ones((5, 3)), np.ones((6, 4)))


@pytest.mark.parametrize("dim", [0, 1, -1])
def test_cosine_similarity_equals_pytorchs(dim):
    torch = pytest.importorskip("torch")
    ours, theirs = nn.CosineSimilarity(dim), torch.nn.CosineSimilarity(dim)
    assert_like_torch(torch, ours, theirs, [normal(3, 4), normal(3, 4, seed=1)])
    assert_like_torch(torch, ours, theirs, [normal(3, 4), normal(1, 4, seed=1)])


@pytest.mark.parametrize("p", [1.0, 2.0, 3.5, math.inf])
@pytest.mark.parametrize("keepdim", [False, True])
def test_pairwise_distance_equals_pytorchs(p, keepdim):
    torch = pytest.importorskip("torch")
    ours, theirs = (
        nn.PairwiseDistance(p, keepdim=keepdim),
        torch.nn.PairwiseDistance(p, 1e-6, keepdim),
    )
    assert_like_torch(torch, ours, theirs, [normal(3, 4), normal(3, 4, seed=1)])


@pytest.mark.parametrize("p", [0.0, 1.0, 2.0, 3.5, math.inf])
def test_distances_of_all_pairs_equal_pytorchs(p):
    torch = pytest.importorskip("torch")
    ours = lambda x: functional.pdist(x, p)  # noqa: E731
    assert_like_torch(torch, ours, lambda x: torch.nn.functional.pdist(x, p), [normal(4, 3)])
    with pytest.raises(ShapeError, match=r"pdist of shape \[3\]"):
        functional.pdist(np.ones(3))


@pytest.mark.parametrize("p", [0.0, 1.0, 2.0, 3.0])
def test_normalize_equals_pytorchs(p):
    torch = pytest.importorskip("torch")
    theirs = lambda x: torch.nn.functional.normalize(x, p)  # noqa: E731
    assert_like_torch(torch, lambda x: functional.normalize(x, p), theirs, [normal(3, 4)])
    zero = kj.grad(lambda x: kj.sum(functional.normalize(x)))(np.zeros((2, 3)))
    assert np.isfinite(zero).all()


def test_unflatten_undoes_flatten():
    torch = pytest.importorskip("torch")
    x = normal(4, 6, 2)
    for dim, size in ((1, (2, 3)), (1, (2, -1)), (-2, (3, 2)), (0, (2, 2))):
        expected = torch.nn.Unflatten(dim, size)(torch.tensor(x)).numpy()
        np.testing.assert_array_equal(nn.Unflatten(dim, size)(x), expected)
    with pytest.raises(ShapeError, match=r"makes \[4, 2\] of axis 1 of shape \[4, 6, 2\]"):
        nn.Unflatten(1, (4, 2))(x)
    np.testing.assert_array_equal(nn.Flatten(start_dim=0, end_dim=1)(x), x.reshape(24, 2))
