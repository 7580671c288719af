"""Networks from sizes."""

from __future__ import annotations

import numpy as np
import pytest

import kedja as kj
from kedja import nn
from kedja.ground.errors import UsageError


def test_mlp_has_activations_between_its_layers():
    net = nn.mlp([4, 5, 2], "leaky-relu")
    assert [type(each).__name__ for each in net] == ["Linear", "LeakyReLU", "Linear"]
    assert net(np.ones((3, 4), np.float32)).shape == (3, 2)
    assert len(nn.mlp([4, 2])) == 1


def test_the_key_decides_all_weights_and_the_layers_differ():
    first, second = (nn.mlp([3, 3, 3], key=kj.random.key(2)) for _ in range(2))
    np.testing.assert_array_equal(first[2].weight, second[2].weight)
    assert not np.array_equal(first[0].weight, first[2].weight)


def test_initialisers_can_be_chosen():
    ones = nn.mlp([2, 3, 1], init=nn.init.ones)
    np.testing.assert_array_equal(ones[0].weight, np.ones((3, 2)))
    plain = nn.mlp([100, 50, 1], init="default", key=kj.random.key(0))
    assert np.abs(plain[0].weight).max() <= 0.1
    assert np.abs(plain[0].bias).max() > 0
    auto = nn.mlp([100, 50, 1], key=kj.random.key(0))
    assert np.abs(auto[0].weight).max() > 0.2
    assert np.abs(auto[0].bias).max() == 0


def test_wrong_arguments():
    with pytest.raises(UsageError, match=r"mlp of sizes \[4\]"):
        nn.mlp([4])
    with pytest.raises(UsageError, match="unknown activation 'rello'"):
        nn.mlp([4, 2], "rello")
    with pytest.raises(UsageError, match="init 'xavier'"):
        nn.mlp([4, 2], init="xavier")
    with pytest.raises(UsageError, match="out_features=0"):
        nn.mlp([4, 0, 2])
