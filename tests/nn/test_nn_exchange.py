"""Weights exchanged with PyTorch through safetensors, both ways; the same outputs follow."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import kedja as kj
from kedja import nn

X = np.random.default_rng(0).standard_normal((7, 4)).astype(np.float32)


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


def theirs(torch):
    layers = torch.nn
    return layers.Sequential(
        layers.Linear(4, 6), layers.GELU(), layers.Sequential(layers.Linear(6, 5), layers.Tanh()),
        layers.Linear(5, 3, bias=False),
    )  # fmt: skip


def ours():
    return nn.Sequential(
        nn.Linear(4, 6), nn.GELU(), nn.Sequential(nn.Linear(6, 5), nn.Tanh()),
        nn.Linear(5, 3, bias=False),
    )  # fmt: skip


def test_pytorchs_weights_load(torch, tmp_path):
    from safetensors.torch import save_file as save_torch  # needs torch, an optional package

    net = theirs(torch)
    save_torch(net.state_dict(), tmp_path / "net.safetensors")
    loaded = ours().load_state_dict(load_file(tmp_path / "net.safetensors"))
    expected = net(torch.tensor(X)).detach().numpy()
    np.testing.assert_allclose(loaded(X), expected, rtol=1e-5, atol=1e-6)


def test_our_weights_load_in_pytorch(torch, tmp_path):
    from safetensors.torch import load_file as load_torch  # needs torch, an optional package

    net = ours()
    save_file(net.state_dict(), tmp_path / "net.safetensors")
    other = theirs(torch)
    assert list(other.state_dict()) == list(net.state_dict())
    other.load_state_dict(load_torch(tmp_path / "net.safetensors"))
    expected = other(torch.tensor(X)).detach().numpy()
    np.testing.assert_allclose(net(X), expected, rtol=1e-5, atol=1e-6)


def test_a_state_dict_of_tensors_loads_directly(torch):
    net = theirs(torch)
    loaded = ours().load_state_dict(net.state_dict())
    np.testing.assert_array_equal(loaded[0].weight, net[0].weight.detach().numpy())
    again = ours().load_state_dict(dict(loaded.parameters()))
    np.testing.assert_array_equal(again[3].weight, loaded[3].weight)


def test_the_gradients_of_a_network_equal_pytorchs(torch):
    labels = np.array([0, 1, 2, 0, 1, 2, 0])
    net = theirs(torch).double()
    x = X.astype(np.float64)
    loss = torch.nn.functional.cross_entropy(net(torch.tensor(x)), torch.tensor(labels))
    loss.backward()
    mine = ours().astype(kj.float64).load_state_dict(net.state_dict())
    value, gradient = kj.value_and_grad(lambda m: nn.cross_entropy(m(x), labels))(mine)
    assert value.item() == pytest.approx(loss.item(), rel=1e-12)
    expected = {name: each.grad.numpy() for name, each in net.named_parameters()}
    for name, each in gradient.parameters():
        np.testing.assert_allclose(each, expected[name], rtol=1e-9, atol=1e-14)
