"""What attention tells a listener is what it computes, whichever way it is computed."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

import kedja as kj
from kedja import nn

attend = nn.functional.scaled_dot_product_attention


def heads(seed: int = 0) -> list[kj.Tensor]:
    """Queries, keys and values (2, 3, 5, 4)."""
    keys = kj.random.split(kj.random.key(seed), 3)
    return [kj.random.normal(key, (2, 3, 5, 4)) for key in keys]


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_weights_times_values_are_the_output(causal: bool, masked: bool) -> None:
    q, k, v = heads()
    mask = kj.tensor(np.arange(5) != 3) if masked else None
    with nn.looking() as looks:
        y = attend(q, k, v, mask, is_causal=causal)
    (look,) = looks
    np.testing.assert_allclose((look.weights @ v).numpy(), y.numpy(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        attend(q, k, v, mask, is_causal=causal).numpy(), y.numpy(), atol=1e-6
    )
    np.testing.assert_allclose(look.weights.numpy().sum(-1), 1, rtol=1e-6)
    np.testing.assert_allclose(look.scores.numpy(), (q @ k.mT / 2).numpy(), rtol=1e-5, atol=1e-6)
    assert not (causal and np.triu(look.weights.numpy(), 1).any())
    assert not (masked and look.weights.numpy()[..., 3].any())


def test_shared_heads_are_told_of_each_query_head() -> None:
    q, k, v = heads()
    with nn.looking() as looks:
        attend(q, k[:, :1], v[:, :1], enable_gqa=True)
    assert looks[0].weights.shape == (2, 3, 5, 5)


def test_each_layer_is_told_by_its_path_and_nobody_hears_outside() -> None:
    layer = partial(nn.TransformerEncoderLayer, 8, 2, batch_first=True, dim_feedforward=8)
    network = nn.Sequential(layer(), layer())
    x = kj.ones((1, 4, 8))
    with nn.looking() as looks:
        network(x)
        with nn.looking() as inner:
            network(x)
    network(x)
    assert [each.layer for each in looks] == ["0.self_attn", "1.self_attn"]
    assert len(inner) == 2
    assert looks[0].weights.shape == (1, 2, 4, 4)
