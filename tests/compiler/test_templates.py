"""Nests of equal structure are made once: copies read and store their own values.

Networks of equal layers, of which each gives away other values: whatever of a layer's arithmetic
is stored in one must not be taken for what is stored in the next.
"""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import kedja as kj

KEPT = ("product", "biased", "active", "gate", "scaled")


def layer(x: kj.Tensor, w: kj.Tensor, b: kj.Tensor) -> dict[str, kj.Tensor]:
    """One layer, by the names of its values."""
    product = x @ w
    biased = product + b
    active = kj.tanh(biased)
    gate = kj.sigmoid(biased * 0.5)
    return dict(zip(KEPT, (product, biased, active, gate, active * gate), strict=True))


@settings(max_examples=30, deadline=None)
@given(
    layers=st.lists(st.sets(st.sampled_from(KEPT)), min_size=2, max_size=6),
    width=st.sampled_from([1, 3, 16, 17]),
    rows=st.sampled_from([1, 4, 9]),
)
def test_equal_layers_that_give_away_different_values(layers, width, rows):
    random = np.random.default_rng(width * rows)
    weights = [random.standard_normal((width, width)).astype(np.float32) for _ in layers]
    biases = [random.standard_normal(width).astype(np.float32) for _ in layers]
    x = random.standard_normal((rows, width)).astype(np.float32)

    def network(x, weights, biases):
        given_away = []
        for kept, w, b in zip(layers, weights, biases, strict=True):
            values = layer(x, w, b)
            given_away.append({name: values[name] for name in sorted(kept)})
            x = values["scaled"]
        return x, given_away

    arguments = kj.tree.map(kj.tensor, (x, weights, biases))
    expected, found = network(*arguments), kj.jit(network)(*arguments)
    pairs = zip(kj.tree.leaves(expected), kj.tree.leaves(found), strict=True)
    for one, other in pairs:
        np.testing.assert_allclose(np.asarray(other), np.asarray(one), rtol=2e-5, atol=2e-6)
