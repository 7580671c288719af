"""Embeddings and positions: against PyTorch where it has them, and by what they are for."""

from __future__ import annotations

import numpy as np
import pytest

import kedja as kj
from kedja import nn
from kedja.ground.errors import DtypeError, KedjaError, ShapeError, UsageError
from kedja.nn import functional
from tests.nn.layers import assert_like, assert_same_compiled, normal

V, D = 7, 4
INDEX = np.array([[1, 2, 2], [6, 0, 2]])
FLAT = np.array([1, 2, 2, 6, 0, 2, 3])


@pytest.mark.parametrize(
    "options", [{}, {"padding_idx": 2}, {"padding_idx": -1}, {"scale_grad_by_freq": True}]
)
@pytest.mark.parametrize("index", [INDEX, INDEX.astype(np.int32), np.array(3)])
def test_embedding_equals_pytorchs(options, index):
    torch = pytest.importorskip("torch")
    theirs = torch.nn.Embedding(V, D, **options)
    assert_like(torch, nn.Embedding(V, D, **options), theirs, index)


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
@pytest.mark.parametrize("padding", [None, 2])
@pytest.mark.parametrize("offsets", [None, [0, 3, 3], [0, 2, 6]])
def test_bags_equal_pytorchs(mode, padding, offsets):
    torch = pytest.importorskip("torch")
    options = {"mode": mode, "padding_idx": padding}
    theirs = torch.nn.EmbeddingBag(V, D, **options)
    given = {} if offsets is None else {"offsets": np.array(offsets)}
    index = INDEX if offsets is None else FLAT
    assert_like(torch, nn.EmbeddingBag(V, D, **options), theirs, index, **given)


def test_bags_with_weights_and_with_the_last_offset():
    torch = pytest.importorskip("torch")
    options = {"mode": "sum", "include_last_offset": True}
    ours, theirs = nn.EmbeddingBag(V, D, **options), torch.nn.EmbeddingBag(V, D, **options)
    offsets = np.array([0, 3, 7])
    assert_like(torch, ours, theirs, FLAT, offsets)
    assert_like(torch, ours, theirs, FLAT, offsets, per_sample_weights=normal(7))


def test_padding_starts_at_zero_and_stays_there():
    layer = nn.Embedding(V, D, padding_idx=2)
    assert not layer.weight[2].numpy().any()
    slope = kj.grad(lambda m: kj.sum(m(INDEX)))(layer)
    assert not slope.weight[2].numpy().any()
    assert slope.weight[1].numpy().any()


def test_given_vectors_are_frozen_unless_asked_for():
    vectors = normal(V, D).astype(np.float32)
    layer = nn.Embedding.from_pretrained(vectors)
    np.testing.assert_array_equal(layer(3), vectors[3])
    assert not kj.grad(lambda m: kj.sum(m(3)))(layer).weight.numpy().any()
    free = nn.Embedding.from_pretrained(vectors, freeze=False)
    assert kj.grad(lambda m: kj.sum(m(3)))(free).weight.numpy().any()


@pytest.mark.parametrize("count", [-1, 9])
def test_one_hot_equals_pytorchs(count):
    torch = pytest.importorskip("torch")
    expected = torch.nn.functional.one_hot(torch.tensor(INDEX), count).numpy()
    found = functional.one_hot(INDEX, count)
    assert found.dtype == kj.int64
    np.testing.assert_array_equal(found, expected)


def test_compiled_equals_interpreted():
    layer = nn.Embedding(V, D, padding_idx=1).astype(kj.float64)
    assert_same_compiled(kj.grad(lambda m, i: kj.sum(m(i) ** 2)), layer, INDEX)
    bag = nn.EmbeddingBag(V, D, mode="max").astype(kj.float64)
    assert_same_compiled(lambda m, i, o: m(i, o), bag, FLAT, np.array([0, 3, 3]))


def test_wrong_use_is_an_error():
    layer = nn.Embedding(V, D)
    with pytest.raises(DtypeError, match="embedding with indices of float32"):
        layer([1.0])
    with pytest.raises(KedjaError, match="7"):
        layer([7]).numpy()
    with pytest.raises(UsageError, match="padding_idx=9"):
        nn.Embedding(V, D, padding_idx=9)
    with pytest.raises(UsageError, match="a forward pass does not change weights"):
        nn.Embedding(V, D, max_norm=1.0)
    with pytest.raises(UsageError, match="mode='min'"):
        nn.EmbeddingBag(V, D, mode="min")(INDEX)
    with pytest.raises(ShapeError, match=r"bags of equal length \(B, L\)"):
        nn.EmbeddingBag(V, D)(FLAT)
    with pytest.raises(UsageError, match="mode='sum' takes them"):
        nn.EmbeddingBag(V, D)(INDEX, per_sample_weights=INDEX * 1.0)


# --------------------------------------------------------------------------------- positions


def test_waves_are_those_of_the_paper():
    found = functional.sinusoidal(kj.arange(5), 6).numpy()
    for t in range(5):
        for i in range(3):
            angle = t / 10000 ** (2 * i / 6)
            assert found[t, 2 * i] == pytest.approx(np.sin(angle), abs=1e-6)
            assert found[t, 2 * i + 1] == pytest.approx(np.cos(angle), abs=1e-6)
    x = normal(2, 5, 6).astype(np.float32)
    np.testing.assert_allclose(nn.SinusoidalPositions()(x), x + found, rtol=1e-6)
    np.testing.assert_allclose(nn.SinusoidalPositions()(x[:, 2:], 2), (x + found)[:, 2:], rtol=1e-6)


@pytest.mark.parametrize("interleaved", [False, True])
def test_turned_vectors_know_their_distance_alone(interleaved):
    rope = nn.RotaryEmbedding(interleaved=interleaved)
    q, k = (np.broadcast_to(normal(8, seed=i), (6, 8)) for i in (0, 1))
    scores = (rope(q) @ rope(k).mT).numpy()
    for apart in range(-5, 6):
        diagonal = np.diagonal(scores, apart)
        np.testing.assert_allclose(diagonal, diagonal[0], rtol=1e-5)
    assert scores[0, 0] == pytest.approx(q[0] @ k[0])
    assert scores[1, 0] != pytest.approx(scores[0, 0])


def test_rotation_equals_its_definition():
    x = normal(2, 3, 5, 8)
    angle = np.arange(5)[:, None] / 10000 ** (np.arange(4) / 4)
    half = np.exp(1j * angle) * (x[..., :4] + 1j * x[..., 4:])
    expected = np.concatenate([half.real, half.imag], -1)
    np.testing.assert_allclose(functional.rotary(x), expected, rtol=1e-5, atol=1e-6)
    pairs = np.exp(1j * angle) * (x[..., 0::2] + 1j * x[..., 1::2])
    expected = np.stack([pairs.real, pairs.imag], -1).reshape(x.shape)
    found = functional.rotary(x, interleaved=True)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_an_offset_continues_a_sequence():
    rope, learned = nn.RotaryEmbedding(), nn.LearnedPositions(8, 4)
    x = normal(6, 4).astype(np.float32)
    for layer in (rope, learned):
        whole = layer(x)
        later = kj.jit(lambda m, x, start: m(x, start))(layer, x[4:], 4)
        np.testing.assert_allclose(later, whole[4:], rtol=1e-5, atol=1e-6)


def test_positions_refuse_what_they_cannot_hold():
    with pytest.raises(ShapeError, match=r"has 4 places, got shape \[5, 2\] from 0"):
        nn.LearnedPositions(4, 2)(np.ones((5, 2), np.float32))
    with pytest.raises(ShapeError, match=r"has 4 places, got shape \[3, 2\] from 2"):
        nn.LearnedPositions(4, 2)(np.ones((3, 2), np.float32), 2)
    with pytest.raises(UsageError, match="vectors of 3 numbers"):
        nn.SinusoidalPositions()(np.ones((2, 3), np.float32))
