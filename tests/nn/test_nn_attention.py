"""Attention against PyTorch: masks of all kinds, grouped heads, caches, gradients."""

from __future__ import annotations

import numpy as np
import pytest

import kedja as kj
from kedja import nn
from kedja.ground.errors import ShapeError, UsageError
from kedja.nn import functional
from tests.nn.compare import assert_like_torch
from tests.nn.layers import assert_like, assert_same_compiled, normal, trained

N, H, L, S, D, E = 2, 4, 3, 5, 6, 8
attention = functional.scaled_dot_product_attention


def some(*shape, seed=0):
    """A bool mask with both values in each row."""
    mask = np.random.default_rng(seed).uniform(size=shape) < 0.5
    mask[..., 0] = True
    mask[..., 1] = False
    return mask


MASKS = {
    "none": {},
    "causal": {"is_causal": True},
    "bool": {"attn_mask": some(L, S)},
    "bool of each head": {"attn_mask": some(N, H, L, S)},
    "float": {"attn_mask": normal(L, S)},
    "float of each example": {"attn_mask": normal(N, 1, L, S)},
    "float with -inf": {"attn_mask": np.where(some(L, S), 0.0, -np.inf)},
    "scale": {"scale": 0.3, "is_causal": True},
}


@pytest.mark.parametrize("name", MASKS)
def test_the_function_equals_pytorchs(name):
    torch = pytest.importorskip("torch")
    options = MASKS[name]
    theirs = {k: torch.tensor(v) if k == "attn_mask" else v for k, v in options.items()}
    arrays = [normal(N, H, L, D), normal(N, H, S, D, seed=1), normal(N, H, S, D + 1, seed=2)]
    compute = torch.nn.functional.scaled_dot_product_attention
    assert_like_torch(
        torch, lambda *x: attention(*x, **options), lambda *x: compute(*x, **theirs), arrays
    )


@pytest.mark.parametrize("options", [{}, {"is_causal": True}, {"attn_mask": some(N, H, L, S)}])
@pytest.mark.parametrize("groups", [1, 2, 4])
def test_grouped_queries_equal_pytorchs(groups, options):
    torch = pytest.importorskip("torch")
    heads = H // groups
    theirs = {k: torch.tensor(v) if k == "attn_mask" else v for k, v in options.items()}
    arrays = [normal(N, H, L, D), normal(N, heads, S, D, seed=1), normal(N, heads, S, D, seed=2)]
    compute = torch.nn.functional.scaled_dot_product_attention
    assert_like_torch(
        torch,
        lambda *x: attention(*x, **options, enable_gqa=True),
        lambda *x: compute(*x, **theirs, enable_gqa=True),
        arrays,
    )


def test_a_query_that_may_attend_to_nothing_gets_zero():
    mask = some(L, S)
    mask[1] = False
    x = [normal(L, D), normal(S, D, seed=1), normal(S, D, seed=2)]
    y = attention(*x, mask)
    assert not y[1].numpy().any()
    slopes = kj.grad(lambda *x: kj.sum(attention(*x, mask) ** 2), (0, 1, 2))(*x)
    assert all(np.isfinite(each).all() for each in slopes)
    assert not slopes[0][1].numpy().any()
    added = attention(*x, np.where(mask, 0.0, -np.inf))
    np.testing.assert_array_equal(added, y)


def test_weights_are_dropped_in_training_alone():
    x = [normal(N, H, L, D)] * 3
    np.testing.assert_array_equal(attention(*x, dropout_p=0.5), attention(*x))
    with nn.training(kj.random.key(0)):
        assert not np.allclose(attention(*x, dropout_p=0.5), attention(*x))


# ---------------------------------------------------------------------- multi-head attention

MODULES = {
    "plain": ({}, (E, E)),
    "batch first": ({"batch_first": True}, (E, E)),
    "without bias": ({"bias": False}, (E, E)),
    "other widths": ({"kdim": 5, "vdim": 7}, (5, 7)),
    "more keys": ({"add_bias_kv": True, "add_zero_attn": True}, (E, E)),
}


def modules(torch, options):
    torch.manual_seed(0)
    theirs = torch.nn.MultiheadAttention(E, H, **options)
    with torch.no_grad():
        for place, each in enumerate(theirs.parameters()):
            each.copy_(torch.tensor(normal(*each.shape, seed=place) / 2))
    return nn.MultiheadAttention(E, H, **options), theirs


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize("mask", ["none", "attn", "padding", "both"])
def test_modules_equal_pytorchs(name, mask):
    torch = pytest.importorskip("torch")
    options, (k, v) = MODULES[name]
    ours, theirs = modules(torch, options)
    shape = (
        (lambda length, width: (N, length, width))
        if options.get("batch_first")
        else (lambda length, width: (length, N, width))
    )
    given = {}
    if mask in ("attn", "both"):
        given["attn_mask"] = ~some(L, S)
    if mask in ("padding", "both"):
        given["key_padding_mask"] = np.array([[False] * S, [False, False, False, True, True]])
    x = normal(*shape(L, E)), normal(*shape(S, k), seed=1), normal(*shape(S, v), seed=2)
    assert_like(torch, ours, theirs, *x, **given)


@pytest.mark.parametrize("average", [True, False])
def test_float_masks_of_each_head_and_unaveraged_weights(average):
    torch = pytest.importorskip("torch")
    ours, theirs = modules(torch, {})
    x = normal(L, N, E), normal(S, N, E, seed=1), normal(S, N, E, seed=2)
    mask = normal(N * H, L, S)
    assert_like(torch, ours, theirs, *x, attn_mask=mask, average_attn_weights=average)


def test_self_attention_makes_one_product_and_needs_no_batch():
    torch = pytest.importorskip("torch")
    ours, theirs = modules(torch, {})
    both = lambda m, x, **options: m(x, x, x, **options)  # noqa: E731

    class Self(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = theirs

        def forward(self, x, **options):
            return self.inner(x, x, x, **options)

    class Ours(nn.Module):
        inner: nn.Module

        def __call__(self, x, **options):
            return both(self.inner, x, **options)

    assert_like(torch, Ours(ours), Self(), normal(L, E))
    assert_like(torch, Ours(ours), Self(), normal(L, N, E), need_weights=False)


def test_causal_without_a_mask():
    layer = nn.MultiheadAttention(E, H, batch_first=True).astype(kj.float64)
    x = kj.tensor(normal(N, L, E))
    mask = np.triu(np.ones((L, L), bool), 1)
    expected, weights = layer(x, x, x, attn_mask=mask)
    found, _ = layer(x, x, x, is_causal=True, need_weights=False)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert not np.triu(weights[0].numpy(), 1).any()


def test_it_starts_as_pytorchs():
    layer = nn.MultiheadAttention(64, 4, add_bias_kv=True, key=kj.random.key(0))
    bound = np.sqrt(6 / (64 + 3 * 64))
    weight = layer.in_proj_weight.numpy()
    assert np.abs(weight).max() <= bound
    assert weight.std() == pytest.approx(bound / np.sqrt(3), rel=0.02)
    assert not layer.in_proj_bias.numpy().any()
    assert not layer.out_proj.bias.numpy().any()
    assert layer.bias_k.numpy().std() == pytest.approx(np.sqrt(2 / (64 + 64)), rel=0.2)


# ------------------------------------------------------------------------------------ caches


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("pieces", [[1, 1, 1, 1, 1, 1], [4, 2], [6], [1, 3, 2]])
def test_decoding_piece_by_piece_equals_the_whole(batch_first, pieces):
    layer = nn.MultiheadAttention(E, H, batch_first=batch_first).astype(kj.float64)
    x = kj.tensor(normal(N, 6, E) if batch_first else normal(6, N, E))
    expected, _ = layer(x, x, x, is_causal=True)
    cache, start, found = layer.new_cache(N, 8), 0, []
    for count in pieces:
        part = x[:, start : start + count] if batch_first else x[start : start + count]
        y, cache = layer.decode(part, cache)
        found.append(y)
        start += count
    np.testing.assert_allclose(kj.concat(found, 1 if batch_first else 0), expected, rtol=1e-9)
    assert cache.length.item() == 6


def test_a_cache_is_a_carry_and_an_argument():
    layer = nn.MultiheadAttention(E, H, batch_first=True).astype(kj.float64)
    x = kj.tensor(normal(N, 6, E))
    expected, _ = layer(x, x, x, is_causal=True)

    @kj.jit
    def decode(layer, x, cache):
        def step(cache, x):
            y, cache = layer.decode(x[:, None], cache)
            return cache, y[:, 0]

        cache, y = kj.scan(step, cache, x.transpose(1, 0, 2))
        return y.transpose(1, 0, 2), cache

    y, cache = decode(layer, x, layer.new_cache(N, 6))
    np.testing.assert_allclose(y, expected, rtol=1e-9)
    assert isinstance(cache, nn.KVCache)
    with pytest.raises(UsageError, match="1 places more into a cache with 6 of 6 filled"):
        layer.decode(x[:, :1], cache)


def test_a_cache_refuses_other_shapes():
    cache = nn.KVCache.empty(N, H, 4, D)
    with pytest.raises(ShapeError, match=r"keys \[2, 4, 1, 5\] into a cache of \[2, 4, 4, 6\]"):
        cache.append(kj.ones((N, H, 1, 5)), kj.ones((N, H, 1, D)))


def test_compiled_equals_interpreted():
    layer = nn.MultiheadAttention(E, H, dropout=0.3, batch_first=True).astype(kj.float64)
    x = normal(N, L, E)
    assert_same_compiled(trained(lambda m, x: m(x, x, x, is_causal=True)), layer, x)
    loss = lambda m, x: kj.sum(m(x, x, x, attn_mask=~some(L, L))[0] ** 2)  # noqa: E731
    assert_same_compiled(kj.grad(loss), layer, x)


# ------------------------------------------------------------------------------------ errors


def test_shapes_that_do_not_fit_are_errors():
    q = np.ones((H, L, D))
    with pytest.raises(ShapeError, match="queries and keys have equal last axes"):
        attention(q, np.ones((H, S, D + 1)), np.ones((H, S, D)))
    with pytest.raises(ShapeError, match="as many values as keys"):
        attention(q, np.ones((H, S, D)), np.ones((H, S + 1, D)))
    with pytest.raises(ShapeError, match="divide those of the queries"):
        attention(q, np.ones((3, S, D)), np.ones((3, S, D)), enable_gqa=True)
    with pytest.raises(UsageError, match="8 numbers in 3 heads"):
        nn.MultiheadAttention(8, 3)
    layer = nn.MultiheadAttention(E, H)
    with pytest.raises(ShapeError, match="give all three in one layout"):
        layer(np.ones((L, N, E)), np.ones((S, N, E)), np.ones((S + 1, N, E)))
