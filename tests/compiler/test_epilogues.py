"""Products that store several values: activations beside sums, updates of weights and moments."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import kedja as kj
from kedja import nn, optim
from kedja.front.loop import Loop
from kedja.models import gpt2

Activation = Callable[[kj.Tensor], kj.Tensor]


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


def test_the_slope_of_an_activation_is_stored_in_place_of_its_parts():
    """The way back reads one value and multiplies: neither the sums nor their tanh are kept."""
    with kj.scope(use_cache=False):
        plan = Loop(network, *start(16, 33), watch="loss")._program.program.plan
    forward, back = "matmul 16x20x33 multiply add", "matmul 16x3x33 multiply"
    labels = [launch.label for launch in plan.launches]
    assert any(label.startswith(forward) for label in labels)
    assert any(label.startswith(back) for label in labels)
    assert not any("tanh" in label for label in labels)


def arena(layers: int, activation: Activation, optimizer: optim.Optimizer) -> int:
    """The bytes that a step of a plain network takes beside its arguments."""

    def step(carry: tuple, fixed: dict) -> tuple:
        def loss(weights: list) -> kj.Tensor:
            x = fixed["x"]
            for w in weights:
                x = activation(x @ w)
            return kj.mean(x)

        weights, state = carry
        return optimizer.update(weights, kj.grad(loss)(weights), state)

    rng = np.random.default_rng(0)
    weights = [normal(rng, 32, 32) for _ in range(layers)]
    carry = weights, optimizer.init(weights)
    return Loop(step, carry, {"x": normal(rng, 256, 32)})._program.program.plan.arena_bytes


@pytest.mark.parametrize("optimizer", [optim.SGD(0.1), optim.AdamW(0.1)], ids=["sgd", "adamw"])
@pytest.mark.parametrize(("activation", "kept"), [(kj.tanh, 1), (kj.gelu, 2)], ids=["tanh", "gelu"])
def test_a_layer_keeps_what_its_way_back_needs_and_nothing_else(activation, kept, optimizer):
    """No cotangent waits for an update: neither for those of other weights, nor for the numbers
    that an optimiser makes of its count of steps."""
    value = 256 * 32 * 4
    more = arena(24, activation, optimizer) - arena(12, activation, optimizer)
    assert more <= 12 * kept * value * 1.1


def test_products_read_a_turned_value_where_it_stands():
    """Long expressions end at the value itself: no copy is turned for the gradient of a weight."""
    model = gpt2.GPT2(gpt2.GPT2Config(17, 8, 16, n_layer=4, n_head=2, dropout=0.0))
    x = kj.zeros((4, 8), dtype=kj.int64)

    def step(carry: object, fixed: dict) -> object:
        def loss(model: gpt2.GPT2) -> kj.Tensor:
            return nn.cross_entropy(model(fixed["x"]).reshape(-1, 17), fixed["x"].reshape(-1))

        return kj.tree.map(lambda w, g: w - 0.1 * g, carry, kj.grad(loss)(carry))

    plan = Loop(step, model, {"x": x})._program.program.plan
    assert not any(launch.label.startswith("transpose @ h.") for launch in plan.launches)


def test_a_nan_leaves_the_weights_as_they_were():
    carry, fixed = start(16, 33)
    fixed["x"] = fixed["x"] * float("nan")
    loop = Loop(network, carry, fixed, watch="loss")
    assert loop.run(1).status != "done"
    for mine, theirs in zip(
        kj.tree.leaves(loop.carry["weights"]), kj.tree.leaves(carry["weights"]), strict=True
    ):
        np.testing.assert_array_equal(mine.numpy(), theirs.numpy())


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


def picked_and_added(x: kj.Tensor, w: kj.Tensor, table: kj.Tensor, index: kj.Tensor) -> kj.Tensor:
    return kj.tanh(x @ w + kj.take(table, index, axis=0))


@pytest.mark.parametrize(("rows", "width"), [(16, 33), (40, 64), (3, 10)])
def test_rows_that_an_index_picks_are_added_in_the_product(rows, width):
    rng = np.random.default_rng(1)
    index = kj.asarray(rng.integers(0, 9, rows))
    given = normal(rng, rows, 20), normal(rng, 20, width), normal(rng, 9, width), index
    found = []
    for tier in ("compile", "interpret"):
        with kj.scope(tier=tier, use_cache=False), kj.profile() as profile:
            found.append(kj.jit(picked_and_added)(*given).numpy())
        if tier == "compile":
            assert [kernel.name for kernel in profile.kernels] == [f"matmul {rows}x20x{width} tanh"]
    np.testing.assert_allclose(*found, rtol=1e-5, atol=1e-6)
