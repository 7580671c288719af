"""Recurrent networks against PyTorch: layers, directions, projections, states, gradients."""

from __future__ import annotations

import numpy as np
import pytest

import kedja as kj
from kedja import nn
from kedja.front.control import scan
from kedja.ground.errors import ShapeError, UsageError
from tests.nn.layers import assert_like, assert_same_compiled, loaded, normal, trained

L, N, C, H = 4, 3, 5, 6
KINDS = ("RNN", "LSTM", "GRU")
OPTIONS = {
    "one layer": {},
    "two layers": {"num_layers": 2},
    "both ways": {"bidirectional": True},
    "two layers both ways": {"num_layers": 2, "bidirectional": True},
    "without bias": {"bias": False},
    "batch first": {"batch_first": True, "bidirectional": True},
}
CASES = [(kind, name) for kind in KINDS for name in OPTIONS]


def pair(torch, kind, **options):
    torch.manual_seed(0)
    return getattr(nn, kind)(C, H, **options), getattr(torch.nn, kind)(C, H, **options)


@pytest.mark.parametrize("kind, name", CASES)
def test_sequences_equal_pytorchs(kind, name):
    torch = pytest.importorskip("torch")
    ours, theirs = pair(torch, kind, **OPTIONS[name])
    assert_like(torch, ours, theirs, normal(L, N, C))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batch_first", [False, True])
def test_a_given_state_is_where_it_starts(kind, batch_first):
    torch = pytest.importorskip("torch")
    options = {"num_layers": 2, "bidirectional": True, "batch_first": batch_first}
    ours, theirs = pair(torch, kind, **options)
    state = normal(4, N, H, seed=1)
    given = (state, normal(4, N, H, seed=2)) if kind == "LSTM" else state
    shape = (N, L, C) if batch_first else (L, N, C)
    assert_like(torch, ours, theirs, normal(*shape), given)


@pytest.mark.parametrize("kind", KINDS)
def test_one_sequence_needs_no_batch(kind):
    torch = pytest.importorskip("torch")
    ours, theirs = pair(torch, kind, bidirectional=True, batch_first=True)
    assert_like(torch, ours, theirs, normal(L, C))
    state = normal(2, H, seed=1)
    given = (state, normal(2, H, seed=2)) if kind == "LSTM" else state
    assert_like(torch, ours, theirs, normal(L, C), given)


@pytest.mark.parametrize("layers", [1, 2])
def test_an_lstm_with_projection(layers):
    torch = pytest.importorskip("torch")
    ours, theirs = pair(torch, "LSTM", num_layers=layers, bidirectional=True, proj_size=2)
    state = (normal(2 * layers, N, 2, seed=1), normal(2 * layers, N, H, seed=2))
    assert_like(torch, ours, theirs, normal(L, N, C), state)


def test_relu_instead_of_tanh():
    torch = pytest.importorskip("torch")
    ours, theirs = pair(torch, "RNN", nonlinearity="relu", num_layers=2)
    assert_like(torch, ours, theirs, normal(L, N, C))
    with pytest.raises(UsageError, match="nonlinearity='sigmoid'"):
        nn.RNN(2, 3, nonlinearity="sigmoid")


@pytest.mark.parametrize("kind", ["RNNCell", "LSTMCell", "GRUCell"])
@pytest.mark.parametrize("bias", [True, False])
def test_cells_equal_pytorchs(kind, bias):
    torch = pytest.importorskip("torch")
    ours, theirs = pair(torch, kind, bias=bias)
    state = normal(N, H, seed=1)
    given = (state, normal(N, H, seed=2)) if kind == "LSTMCell" else state
    assert_like(torch, ours, theirs, normal(N, C))
    assert_like(torch, ours, theirs, normal(N, C), given)
    assert_like(torch, ours, theirs, normal(C))


@pytest.mark.parametrize("kind", KINDS)
def test_a_cell_in_a_scan_is_the_layer(kind):
    layer = getattr(nn, kind)(C, H, key=kj.random.key(0)).astype(kj.float64)
    cell = getattr(nn, f"{kind}Cell")(C, H).astype(kj.float64)
    cell = cell.load_state_dict({k.removesuffix("_l0"): v for k, v in layer.state_dict().items()})
    zero = kj.zeros((N, H), kj.float64)

    def step(state, x):
        after = cell(x, state)
        return after, after[0] if kind == "LSTM" else after

    _, y = scan(step, (zero, zero) if kind == "LSTM" else zero, normal(L, N, C))
    np.testing.assert_allclose(y, layer(normal(L, N, C))[0], rtol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_compiled_equals_interpreted(kind):
    layer = getattr(nn, kind)(C, H, num_layers=2, dropout=0.5, bidirectional=True)
    layer = layer.astype(kj.float64)
    assert_same_compiled(trained(lambda m, x: m(x)), layer, normal(L, N, C))
    loss = lambda m, x: kj.sum(m(x)[0] ** 2)  # noqa: E731
    assert_same_compiled(kj.grad(loss), layer, normal(L, N, C))


def test_dropout_lies_between_the_layers_alone():
    layer = nn.LSTM(C, H, num_layers=2, dropout=1.0).astype(kj.float64)
    x = normal(L, N, C)
    single = nn.LSTM(C, H, num_layers=2).astype(kj.float64).load_state_dict(layer.state_dict())
    np.testing.assert_allclose(layer(x)[0], single(x)[0])
    with nn.training():  # dropping everything needs no key
        y, (h, _) = layer(x)
    np.testing.assert_allclose(h[0], single(x)[1][0][0])  # the first layer is not dropped
    assert not np.allclose(y, single(x)[0])


def test_states_begin_with_the_extents_of_pytorchs_weights():
    torch = pytest.importorskip("torch")
    ours, theirs = pair(torch, "LSTM", num_layers=3, bidirectional=True, proj_size=2)
    sizes = {name: list(each.shape) for name, each in theirs.state_dict().items()}
    assert {name: list(each.shape) for name, each in ours.state_dict().items()} == sizes
    bound = 1 / np.sqrt(H)
    drawn = np.concatenate([each.ravel() for each in ours.state_dict().values()])
    assert np.abs(drawn).max() <= bound
    assert drawn.std() == pytest.approx(bound / np.sqrt(3), rel=0.05)
    loaded(ours, theirs)


def test_wrong_shapes_are_errors():
    layer = nn.Sequential(nn.LSTM(C, H))
    with pytest.raises(ShapeError, match=r"expects \(L, N, C\) or \(L, C\) with C=5") as error:
        layer(np.ones((2, 3, 4), np.float32))
    assert "layer 0 (LSTM)" in str(error.value)
    with pytest.raises(ShapeError, match=r"a state of \[1, 2, 6\], got \[1, 3, 6\]"):
        nn.GRU(C, H)(np.ones((4, 2, C), np.float32), np.zeros((1, 3, H), np.float32))
    with pytest.raises(UsageError, match="proj_size=6"):
        nn.LSTM(C, H, proj_size=6)
    with pytest.raises(ShapeError, match=r"a state of shape \[3, 6\]"):
        nn.GRUCell(C, H)(np.ones((3, C), np.float32), np.zeros((2, H), np.float32))


def test_layers_print_as_pytorchs():
    torch = pytest.importorskip("torch")
    for options in ({}, {"num_layers": 2, "bidirectional": True, "bias": False}):
        ours, theirs = pair(torch, "LSTM", **options)
        assert repr(ours).startswith("LSTM(5, 6")
        assert sorted(ours.extra_repr().split(", ")) == sorted(theirs.extra_repr().split(", "))
