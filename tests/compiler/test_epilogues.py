"""Products that store several values: activations beside sums, updates of weights and moments."""

from __future__ import annotations

import numpy as np
import pytest

import kedja as kj
from kedja import nn, optim
from kedja.front.loop import Loop


def normal(rng: np.random.Generator, *shape: int) -> kj.Tensor:
    return kj.tensor(rng.standard_normal(shape).astype(np.float32) * 0.3)


def network(carry: dict, fixed: dict) -> dict:
    """One step of AdamW on two layers with GELU."""

    def loss(weights: dict) -> kj.Tensor:
        hidden = kj.gelu(fixed["x"] @ weights["in"] + weights["bias"], approximate="tanh")
        return kj.mean((hidden @ weights["out"]) ** 2)

    value, gradient = kj.value_and_grad(loss)(carry["weights"])
    weights, state = optim.AdamW(0.01).update(carry["weights"], gradient, carry["state"])
    return {"weights": weights, "state": state, "loss": value}


def start(rows: int, width: int) -> tuple[dict, dict]:
    rng = np.random.default_rng(0)
    weights = {
        "in": normal(rng, 20, width),
        "bias": normal(rng, width),
        "out": normal(rng, width, 3),
    }
    carry = {"weights": weights, "state": optim.AdamW(0.01).init(weights), "loss": kj.tensor(0.0)}
    return carry, {"x": normal(rng, rows, 20)}


def trained(rows: int, width: int, **flags: object) -> list[np.ndarray]:
    carry, fixed = start(rows, width)
    with kj.scope(**flags):
        loop = Loop(network, carry, fixed, watch="loss")
        for _ in range(3):
            assert loop.run(1).status == "done"
        return [leaf.numpy() for leaf in kj.tree.leaves(loop.carry)]


@pytest.mark.parametrize(("rows", "width"), [(16, 33), (7, 64), (40, 16)])
def test_updates_in_the_product_follow_the_interpreter(rows, width):
    compiled = trained(rows, width, tier="compile", use_cache=False)
    for mine, theirs in zip(compiled, trained(rows, width, tier="interpret"), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=2e-4, atol=2e-6)


def test_moments_and_weight_are_stored_by_the_product_of_the_gradient():
    with kj.scope(use_cache=False):
        plan = Loop(network, *start(16, 33), watch="loss")._program.program.plan
    products = [launch for launch in plan.launches if launch.label.startswith("matmul")]
    updates = [launch for launch in products if launch.label.count(" add") + 1 >= 3]
    assert len(updates) == 2
    assert all(launch.commits for launch in updates)
    assert any(" tanh multiply" in launch.label for launch in products)


def test_a_nan_leaves_the_weights_as_they_were():
    carry, fixed = start(16, 33)
    fixed["x"] = fixed["x"] * float("nan")
    loop = Loop(network, carry, fixed, watch="loss")
    assert loop.run(1).status != "done"
    for mine, theirs in zip(
        kj.tree.leaves(loop.carry["weights"]), kj.tree.leaves(carry["weights"]), strict=True
    ):
        np.testing.assert_array_equal(mine.numpy(), theirs.numpy())


def test_updates_do_not_wait_for_one_another():
    """The gradients of a deep network are not all alive at once."""

    def step(carry: list, fixed: dict) -> list:
        def loss(weights: list) -> kj.Tensor:
            x = fixed["x"]
            for w in weights:
                x = kj.tanh(x @ w)
            return kj.mean(x)

        return kj.tree.map(lambda w, g: w - 0.1 * g, carry, kj.grad(loss)(carry))

    def arena(layers: int) -> int:
        rng = np.random.default_rng(0)
        carry = [normal(rng, 32, 32) for _ in range(layers)]
        loop = Loop(step, carry, {"x": normal(rng, 256, 32)})
        return loop._program.program.plan.arena_bytes

    value = 256 * 32 * 4
    assert arena(24) - arena(12) <= 12 * value * 1.1  # what the way back needs, and no cotangents


@pytest.mark.parametrize("size", [5, 16])
def test_two_convolutions_that_are_added_share_one_end(size):
    """The sum is the only user of both: the first one ends with it, the second one is read."""
    random = np.random.default_rng(size)
    x = random.standard_normal((2, 3, size, size)).astype(np.float32)
    v, w = (random.standard_normal((4, 3, 3, 3)).astype(np.float32) for _ in range(2))

    def f(x, v, w):
        conv = nn.functional.conv2d
        return kj.relu(conv(x, v, padding=1) + conv(x, w, padding=1))

    found = kj.jit(f)(x, v, w).numpy()
    expected = f(*map(kj.tensor, (x, v, w))).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
