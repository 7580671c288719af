"""Donated arguments on the short way of a call: their memory is used, and nobody is surprised."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import kedja as kj
from kedja import nn, optim
from kedja.front import donation
from kedja.front.tensor import from_value
from kedja.ground.errors import UsageError
from tests.front.calls import at_once, net


def test_donation_of_what_came_the_short_way():
    model = nn.Linear(300, 300)
    f = kj.jit(lambda m: kj.tree.map(lambda leaf: leaf + 1, m))
    g = kj.jit(lambda m: kj.tree.map(lambda leaf: leaf * 2, m), donate="m")
    other = f(f(model))
    kept = other.weight.numpy()
    before = kept.copy()
    twice = g(other)
    np.testing.assert_array_equal(twice.weight.numpy(), 2 * before)
    np.testing.assert_array_equal(kept, before)
    with pytest.raises(UsageError, match="given up"):
        f(other)
    with pytest.raises(UsageError, match="given up"):
        other.weight.numpy()
    for _ in range(3):
        twice = g(f(twice))
    np.testing.assert_allclose(twice.bias.numpy()[0], 2 * 8 * (model.bias.numpy()[0] + 2) + 14)


def donating(optimizer):
    @kj.jit(donate=("model", "state"))
    def step(model, state, x):
        loss, grads = kj.value_and_grad(lambda m: kj.mean(m(x) ** 2))(model)
        model, state = optimizer.update(model, grads, state)
        return model, state, loss

    return step


class AtOnce(nn.Module):
    """A module with a default, whose results are therefore made at once."""

    inner: nn.Linear
    scale: float = 0.5

    def __call__(self, x):
        return self.inner(x) * self.scale


@pytest.mark.parametrize("make", [net, lambda: AtOnce(nn.Linear(3, 4))], ids=["later", "at once"])
def test_donated_steps_take_the_short_way_and_give_what_others_give(long_ways, make):
    optimizer, x = optim.AdamW(0.01), kj.ones((2, 3))
    start = make().copy()
    model, state = start, optimizer.init(start)
    right, expected = start.copy(), optimizer.init(start)
    step, plain = donating(optimizer), kj.jit(donating(optimizer).__wrapped__)
    for _ in range(5):
        model, state, loss = step(model, state, x)
        right, expected, wanted = plain(right, expected, x)
        assert loss.item() == wanted.item()
    assert len(long_ways) == 2
    found, others = kj.tree.leaves((model, state)), kj.tree.leaves((right, expected))
    for one, other in zip(found, others, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())
    model, state, _ = step(model, state, x)  # everything was looked at, and is copied
    for one, other in zip(found, others, strict=True):
        with pytest.raises(UsageError, match="given up"):
            one.numpy()
        other.numpy()
    with pytest.raises(UsageError, match="given up"):
        step(start, state, x)
    assert len(long_ways) == 2


def test_a_donated_module_keeps_its_memory_as_long_as_nobody_looks(long_ways):
    g = kj.jit(lambda m: (kj.tree.map(lambda leaf: leaf * 2, m), kj.sum(m.bias)), donate="m")
    model, _ = g(nn.Linear(300, 300).copy())
    places = model._kept.inputs.addresses
    model, _ = g(model)
    assert model._kept.inputs.addresses == places
    for _ in range(2):
        model.in_features  # noqa: B018  makes the fields, but nobody sees values
        model, _ = g(model)
        assert model._kept.inputs.addresses == places
    weight = model.weight.numpy()
    model, _ = g(model)
    assert weight.ctypes.data == places[0]
    assert model._kept.inputs.addresses[0] != places[0]
    assert model._kept.inputs.addresses[1] == places[1]
    np.testing.assert_array_equal(model.weight.numpy(), 2 * weight)
    assert len(long_ways) == 1


def test_who_holds_a_donated_module_or_its_arrays_is_told(long_ways):
    g = kj.jit(lambda m, x: (kj.tree.map(lambda leaf: leaf * 2, m), kj.sum(x)), donate="m")
    model, _ = g(nn.Linear(3, 2).copy(), 1.0)
    for number in range(4):
        old = model
        shallow = copy.copy(old) if number % 2 else old
        bias = old.bias if number >= 2 else None
        model, _ = g(old, 1.0)
        with pytest.raises(UsageError, match="given up"):
            shallow.weight.numpy()
        with pytest.raises(UsageError, match="given up"):
            g(old, 1.0)
        with pytest.raises(UsageError, match="given up"):
            kj.jit(lambda m: m.bias + 1)(shallow)
        if bias is not None:
            with pytest.raises(UsageError, match="given up"):
                bias + 1


def test_an_argument_that_is_given_twice_is_not_written_over(long_ways):
    g = kj.jit(lambda m, x: (kj.tree.map(lambda leaf: leaf * 2, m), kj.sum(x)), donate="m")
    w = kj.jit(lambda a, b: (a + 1, b * 2), donate=("a", "b"))
    model, _ = g(nn.Linear(3, 2).copy(), 1.0)
    with pytest.raises(UsageError, match="given up"):
        g(model, model.weight)
    model, _ = g(nn.Linear(3, 2).copy(), 1.0)
    copied = copy.copy(model.weight)
    value = copied.numpy().copy()
    model, total = g(model, copied)
    assert total.item() == pytest.approx(value.sum(), rel=1e-5)
    np.testing.assert_array_equal(copied.numpy(), value)
    for start in (kj.ones(1000) * 3.0, w(kj.ones(1000) * 2.0, kj.ones(1000) * 1.0)[0]):
        a, b = w(start, start)
        assert (a.tolist()[0], b.tolist()[0]) == (4, 6)


def test_donated_arrays_outside_of_modules_take_the_short_way(long_ways):
    @kj.jit(donate="params")
    def step(params, x):
        return {"w": params["w"] + x, "b": params["b"] - x, "step": params["step"] + 1}, x

    params = {"w": kj.ones((20, 30)) * 1.0, "b": kj.zeros(3) + 0.0, "step": kj.tensor(0)}
    for number in range(5):
        if number == 4:
            params["w"].numpy()
        old = params
        params, _ = step(params, 1.0)
        for each in old.values():
            with pytest.raises(UsageError, match="given up"):
                each.numpy()
    assert params["w"].tolist() == [[6.0] * 30] * 20
    assert params["b"].tolist() == [-5.0] * 3
    assert params["step"].item() == 5
    assert len(long_ways) == 1


def test_threads_that_donate_models_of_their_own():
    g = kj.jit(lambda m, x: (kj.tree.map(lambda leaf: leaf + x, m), kj.sum(m.bias)), donate="m")
    wrong = []

    def work(number):
        model = kj.tree.map(lambda leaf: leaf * 0.0, nn.Linear(40, 40))
        for step in range(300):
            model, total = g(model, float(number))
            if total.item() != 40 * number * step:
                wrong.append((number, step))

    at_once(work)
    assert not wrong


@pytest.mark.parametrize("given", [kj.tensor, from_value, lambda array: kj.tensor(array) + 0])
def test_an_array_that_nobody_else_holds_is_not_copied(given):
    tensor = given(np.arange(6, dtype=np.float32))
    address = tensor.numpy().ctypes.data
    taken = donation.taken(tensor)
    assert taken.ctypes.data == address
    assert taken.flags.writeable
    assert taken.tolist() == [0, 1, 2, 3, 4, 5]


def test_an_array_that_somebody_else_holds_is_copied():
    tensor = kj.tensor([1.0, 2.0])
    held = tensor.numpy()
    taken = donation.taken(tensor)
    taken[0] = 5.0
    assert held.tolist() == [1.0, 2.0]
