"""Values that are computed when somebody looks at them: once, and as where they were made."""

from __future__ import annotations

import pickle
from copy import copy, deepcopy

import numpy as np
import pytest

import kedja as kj
from kedja import nn
from kedja.front.later import Later
from kedja.front.tensor import Tensor, from_later
from kedja.ground.errors import DtypeError, ShapeError


def counted(calls: list[int]) -> Tensor:
    """A tensor of three numbers that writes down when it is computed."""

    def compute() -> np.ndarray:
        calls.append(1)
        return np.array([1.0, 2.0, 3.0], np.float32)

    return from_later(Later((3,), np.dtype(np.float32), compute))


def test_its_type_is_known_before_its_value_is():
    calls: list[int] = []
    x = counted(calls)
    assert (x.shape, x.dtype, x.ndim, x.size) == ((3,), kj.float32, 1, 3)
    assert x.is_computed
    assert x.is_known
    assert not x.is_given_up
    assert not x.requires_grad
    assert not calls


def test_it_is_computed_once_by_whoever_looks_first():
    calls: list[int] = []
    x = counted(calls)
    for _ in range(2):
        assert (x + x).tolist() == [2.0, 4.0, 6.0]
        assert kj.jit(lambda y: y * 2)(x).tolist() == [2.0, 4.0, 6.0]
    assert x.requires_grad_().requires_grad
    assert len(calls) == 1


@pytest.mark.parametrize("twin", [copy, deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_have_the_same_value(twin):
    assert twin(counted([])).tolist() == [1.0, 2.0, 3.0]


def test_weights_are_the_same_wherever_they_are_looked_at():
    """Inside a trace random numbers are a graph of their own, whose normal ones round otherwise."""
    shape = 400, 400
    looked_at = nn.init.normal(kj.random.key(3), shape).numpy()
    closed_over = nn.init.normal(kj.random.key(3), shape)
    in_trace = kj.jit(lambda x: x + closed_over)(kj.zeros(shape)).numpy()
    assert np.array_equal(in_trace, looked_at)
    in_graph = nn.init.normal(kj.random.key(3), shape)
    with kj.scope(tier="compile"):
        assert np.array_equal((in_graph + 0).numpy(), looked_at)


def test_weights_that_a_file_replaces_are_never_drawn(monkeypatch):
    state = nn.mlp([4, 3, 2]).state_dict()

    def refuse(*_: object) -> None:
        raise AssertionError("drawn")

    monkeypatch.setattr(Later, "value", refuse)
    assert nn.mlp([4, 3, 2], init="default").load_state_dict(state).num_parameters == 23


def test_mistakes_are_errors_where_the_weight_is_made():
    with pytest.raises(ShapeError):
        nn.init.uniform(kj.random.key(0), (2, -1))
    with pytest.raises(DtypeError):
        nn.init.normal(kj.random.key(0), (2, 2), dtype=kj.int32)
