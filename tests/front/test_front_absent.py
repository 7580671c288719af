"""Names that people bring along from other systems are answered with what stands here instead.

Not here: names that are misspelled.
"""

from __future__ import annotations

import copy

import numpy as np
import pytest

import kedja as kj
from kedja import nn, optim
from kedja.ground.absent import MODULE, OPTIMIZER, TENSOR
from kedja.ground.errors import UsageError

CASES = [
    *((nn.Sequential(nn.Linear(2, 2)), name, text) for name, text in MODULE.items()),
    *((optim.Adam(0.1), name, text) for name, text in OPTIMIZER.items()),
    *((kj.ones(2), name, text) for name, text in TENSOR.items()),
]


@pytest.mark.parametrize(("thing", "name", "text"), CASES, ids=lambda each: str(each)[:20])
def test_a_name_from_elsewhere_says_what_stands_here(thing, name, text):
    assert not hasattr(thing, name)
    with pytest.raises(AttributeError) as found:
        getattr(thing, name)
    assert str(found.value) == f"{type(thing).__name__} has no {name!r}: {text}"


@pytest.mark.parametrize("thing", [nn.Linear(2, 2), optim.SGD(0.1), kj.ones(2)])
def test_any_other_name_is_simply_absent(thing):
    assert getattr(thing, "no_such_name", 7) == 7
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = thing.no_such_name
    assert type(copy.deepcopy(thing)) is type(thing)


def test_numpys_sums_are_those_of_tensors():
    x = kj.tensor([[1.0, 5.0], [3.0, 7.0]])
    for name in ("sum", "prod", "mean", "max", "min", "any", "all"):
        found, expected = getattr(np, name)(x, axis=0), getattr(np, name)(x.numpy(), axis=0)
        assert isinstance(found, kj.Tensor)
        np.testing.assert_array_equal(found.numpy(), expected)
    assert np.mean(x, dtype=np.float64).dtype == kj.float64
    assert kj.grad(lambda x: np.sum(x * x))(x).tolist() == [[2, 10], [6, 14]]
    with pytest.raises(UsageError, match="nothing is written"):
        np.sum(x, axis=0, out=np.zeros(2))


def test_an_optimiser_is_made_not_named():
    x = np.zeros((4, 2), np.float32)
    with pytest.raises(UsageError, match="the optimizer is the class Adam"):
        kj.fit(nn.Linear(2, 1), x, x[:, :1], loss="mse", optimizer=optim.Adam)
    with pytest.raises(UsageError, match="validation data of 3 parts"):
        kj.fit(
            nn.Linear(2, 1), x, x[:, :1], loss="mse", optimizer=optim.Adam(), validation=(x,) * 3
        )
