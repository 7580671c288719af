"""The short way of a call: that it is taken, and gives what the long way would have given."""

from __future__ import annotations

import copy
import gc
import pickle
import sys
import weakref

import numpy as np
import pytest

import kedja as kj
from kedja import nn, optim
from kedja.front.precision import products_in
from kedja.ground.errors import DtypeError
from tests.front.calls import at_once, net


def trained(model, optimizer, steps, compiled=True):
    """A model after some steps, called step by step as a user would."""
    rng = np.random.default_rng(0)
    x = kj.tensor(rng.standard_normal((5, 3)).astype(np.float32))
    y = kj.tensor(rng.standard_normal((5, 2)).astype(np.float32))

    def step(model, state, x, y):
        loss, grads = kj.value_and_grad(lambda m: kj.mean((m(x) - y) ** 2))(model)
        model, state = optimizer.update(model, grads, state)
        return model, state, loss

    run = kj.jit(step) if compiled else step
    state, losses = optimizer.init(model), []
    for _ in range(steps):
        model, state, loss = run(model, state, x, y)
        losses.append(loss)
    return model, state, [each.item() for each in losses]


# ---------------------------------------------------------------------------- what is recognised


def test_a_loop_of_steps_takes_the_short_way_from_the_second_step_on(long_ways):
    for model in (nn.Sequential(nn.Linear(3, 2)), net()):
        long_ways.clear()
        trained(model, optim.AdamW(0.01), 6)
        assert len(long_ways) == 1


@pytest.mark.parametrize("optimizer", [optim.SGD(0.1), optim.AdamW(0.01)], ids=["SGD", "AdamW"])
def test_steps_give_what_uncompiled_steps_give(optimizer):
    model = net()
    mine, state, losses = trained(model, optimizer, 8)
    right, expected, others = trained(model, optimizer, 8, compiled=False)
    np.testing.assert_allclose(losses, others, rtol=1e-4)
    for found, wanted in ((mine, right), (state, expected)):
        assert kj.tree.flatten(found)[1] == kj.tree.flatten(wanted)[1]
        for one, other in zip(kj.tree.leaves(found), kj.tree.leaves(wanted), strict=True):
            np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(
    "arguments",
    [
        (np.ones((2, 3), np.float32),),
        (kj.ones((2, 3)),),
        (2.5,),
        (7,),
        (True,),
        ([kj.ones(2), (np.ones(3), None)],),
        ({"a": kj.ones(2), "b": {"c": 1.0}},),
        (kj.ones(2), "name"),
    ],
    ids=["array", "tensor", "float", "int", "bool", "list", "dict", "static"],
)
def test_each_kind_of_argument_is_recognised(long_ways, arguments):
    f = kj.jit(lambda *args: [each + 1 for each in kj.tree.leaves(args) if each != "name"])
    expected = [each.tolist() for each in f(*arguments)]
    for _ in range(3):
        assert [each.tolist() for each in f(*arguments)] == expected
    assert len(long_ways) == 1


def test_arguments_by_name_are_recognised_in_any_order(long_ways):
    f = kj.jit(lambda a, b=1.0, *, c: a + 10 * b + 100 * c)
    for _ in range(2):
        assert f(1.0, b=2.0, c=3.0).item() == 321
        assert f(c=3.0, a=1.0, b=2.0).item() == 321
        assert f(1.0, c=3.0).item() == 311
        assert f(1.0, c=4.0).item() == 411
    assert len(long_ways) == 3


def test_many_kinds_of_calls_in_turn(long_ways):
    f = kj.jit(lambda x: x + 1)
    for _ in range(20):
        for size in range(1, 8):
            assert f(np.zeros(size, np.float32)).tolist() == [1] * size
    long_ways.clear()
    for size in (3, 3, 3, 4, 4, 4):
        assert f(np.zeros(size, np.float32)).tolist() == [1] * size
    assert len(long_ways) <= 2
    for _ in range(20):
        assert f(np.zeros((2, 4))[:, ::2]).shape == (2, 2)


def test_another_kind_of_argument_is_not_taken_for_the_last_one():
    f = kj.jit(lambda x, how=None: (x * 2, how))
    g = kj.jit(lambda x, how: x * 2 if how == "double" else x + 1)
    for x in (1.0, 1, True, np.float32([1, 2]), np.float64([1, 2]), np.ones((2, 1)), kj.ones(2)):
        for _ in range(2):
            np.testing.assert_array_equal(f(x)[0].numpy(), np.asarray(kj.tensor(x)) * 2)
            assert f(x)[0].dtype == kj.tensor(x).astype(f(x)[0].dtype).dtype
    for _ in range(2):
        assert g(3.0, "double").item() == 6
        assert g(3.0, "more").item() == 4
        assert g(3.0, how="double").item() == 6


def test_numbers_that_do_not_fit_are_told_as_before():
    f, g = kj.jit(lambda x: x * 1), kj.jit(lambda x: x + 1)
    assert g(2**62).item() == g(2**62).item() == 2**62 + 1
    with pytest.raises(DtypeError, match="int64"):
        g(2**63)
    f(1.0)
    for value in (3.4e38, -3.4e38, float("inf"), float("nan")):
        np.testing.assert_array_equal(f(value).numpy(), np.float32(value))


@pytest.mark.parametrize("layout", ["read-only", "columns", "reversed", "empty", "bfloat16"])
def test_arrays_of_any_layout_and_dtype(layout):
    base = np.arange(24, dtype=np.float32).reshape(4, 6)
    x = {
        "read-only": base.copy(),
        "columns": base[:, ::2],
        "reversed": base[::-1],
        "empty": base[:0],
        "bfloat16": base.astype(kj.bfloat16),
    }[layout]
    if layout == "read-only":
        x.setflags(write=False)
    f = kj.jit(lambda x: x + 1)
    for _ in range(3):
        np.testing.assert_array_equal(f(x).numpy(), x + 1)
        np.testing.assert_array_equal(f(kj.tensor(x)).numpy(), x + 1)


def test_flags_and_surroundings_are_looked_at_in_each_call():
    f = kj.jit(lambda x, w: x @ w)
    x, w = kj.full((4, 64), 1.001), kj.full((64, 4), 1.001)
    exact = f(x, w).numpy()
    f(x, w)
    with products_in(kj.bfloat16):
        for _ in range(2):
            assert (f(x, w).numpy() != exact).any()
    with kj.scope(tier="interpret"):
        np.testing.assert_allclose(f(x, w).numpy(), exact, rtol=1e-5)
    for threads in (1, 2, 3):
        with kj.scope(threads=threads):
            np.testing.assert_array_equal(f(x, w).numpy(), exact)


def test_inside_traces_and_gradients_the_call_is_part_of_the_graph():
    f = kj.jit(lambda x: kj.sum(x * x))
    x = kj.tensor([1.0, 2.0])
    for _ in range(2):
        assert f(x).item() == 5
        assert kj.grad(f)(x).tolist() == [2, 4]
        assert kj.jit(lambda t: f(t) + 1)(x).item() == 6
        assert kj.vmap(f)(kj.ones((3, 2))).tolist() == [2, 2, 2]
    x.requires_grad_()
    f(x).backward()
    assert x.grad.tolist() == [2, 4]


def test_a_parameter_that_wants_a_gradient_later_is_noticed():
    model = nn.Linear(2, 1)
    f = kj.jit(lambda m, x: kj.sum(m(x)))
    for _ in range(3):
        f(model, kj.ones(2))
    model.weight.requires_grad_()
    f(model, kj.ones(2)).backward()
    assert model.weight.grad.tolist() == [[1, 1]]


# ------------------------------------------------------------------------ what is kept with modules


def test_a_module_that_is_changed_all_the_same_is_looked_at_again():
    model = net()
    f = kj.jit(lambda m, x: m(x))
    x = kj.ones((1, 3))

    def agrees():
        for _ in range(2):
            np.testing.assert_allclose(f(model, x).numpy(), model(x).numpy(), rtol=1e-4, atol=1e-6)

    agrees()
    model.layers[1] = nn.Linear(4, 4)
    agrees()
    model.layers[0].bias = kj.full(4, 3.0)
    agrees()
    model.layers.append(nn.Linear(4, 4))
    agrees()
    model.heads["c"] = nn.Linear(4, 2)
    agrees()
    del model.heads["a"]
    agrees()
    model.heads = {"only": nn.Linear(4, 2)}
    agrees()
    model = model.replace(layers=[nn.Linear(3, 4)])
    agrees()


def test_results_can_be_looked_into_copied_and_pickled():
    model, state, _ = trained(nn.Sequential(nn.Linear(3, 2), nn.Tanh()), optim.AdamW(0.01), 3)
    assert isinstance(model, nn.Sequential)
    assert [name for name, _ in model.parameters()] == ["0.weight", "0.bias"]
    assert state["step"].item() == 3
    expected = model(kj.ones(3)).numpy()
    f = kj.jit(lambda m, x: m(x))
    f(model, kj.ones(3))
    for other in (
        copy.copy(model),
        copy.deepcopy(model),
        pickle.loads(pickle.dumps(model)),
        model.replace(),
        model.freeze().unfreeze(),
        kj.tree.map(lambda leaf: leaf, model),
    ):
        assert other is not model
        np.testing.assert_allclose(f(other, kj.ones(3)).numpy(), expected, rtol=1e-5)
    doubled = kj.tree.map(lambda leaf: leaf * 2, model)
    np.testing.assert_array_equal(doubled[0].weight.numpy(), 2 * model[0].weight.numpy())


def test_tied_arrays_stay_tied():
    class Tied(nn.Module):
        a: kj.Tensor
        b: kj.Tensor

    w = kj.ones(2) * 1.0
    f = kj.jit(lambda m: kj.tree.map(lambda leaf: leaf + 1, m))
    model = Tied(w, w)
    for _ in range(3):
        model = f(model)
    assert model.a is model.b
    assert model.a.tolist() == [4, 4]
    loose = f(Tied(kj.ones(2), kj.zeros(2)))
    assert loose.b.tolist() == [1, 1]


def test_buffers_stay_buffers():
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    f = kj.jit(lambda m: kj.tree.map(lambda leaf: leaf, m))
    assert [name for name, _ in f(f(model)).buffers()] == [name for name, _ in model.buffers()]


# ------------------------------------------------------------------------------ memory of results


def test_results_never_share_memory_with_other_results():
    f = kj.jit(lambda x: (x, [x * 2, x + 1], kj.sum(x)))
    found = [f(np.full(3, i, np.float32)) for i in range(20)]
    for i, (same, (double, more), total) in enumerate(found):
        assert same.tolist() == [i] * 3
        assert double.tolist() == [2 * i] * 3
        assert more.tolist() == [i + 1] * 3
        assert total.item() == 3 * i


def test_results_cannot_be_written_to():
    for out in kj.jit(lambda x: [x, kj.ones(100_000)])(kj.ones(3)):
        for _ in range(2):
            with pytest.raises(ValueError, match="read-only"):
                out.numpy()[0] = 5


def test_a_result_that_stands_alone_keeps_nothing_else_alive():
    f = kj.jit(lambda x: ([x + 1, x + 2], kj.sum(x)))
    f(kj.ones(3))
    (one, two), total = f(kj.ones(3))
    assert one._block[0] is two._block[0]
    assert total._block[0] is not one._block[0]


def test_memory_stays_the_same_over_many_calls():
    model = nn.Sequential(nn.Linear(4, 5), nn.Sigmoid(), nn.Linear(5, 2))
    optimizer = optim.AdamW(0.001)

    @kj.jit
    def step(model, state, x):
        loss, grads = kj.value_and_grad(lambda m: kj.sum(m(x) ** 2))(model)
        model, state = optimizer.update(model, grads, state)
        return model, state, loss

    x, state = np.ones((1, 4), np.float32), optimizer.init(model)

    def run(count):
        nonlocal model, state
        for _ in range(count):
            model, state, _ = step(model, state, x)
        gc.collect()
        return sys.getallocatedblocks()

    run(1_000)
    before = run(1_000)
    after = run(100_000)
    assert abs(after - before) < 500


def test_what_is_dropped_is_gone():
    f = kj.jit(lambda m: kj.tree.map(lambda leaf: leaf + 1, m))
    model = f(f(nn.Linear(3, 2)))
    gone = weakref.ref(model), weakref.ref(model.weight)
    f(model)
    del model
    gc.collect()
    assert [each() for each in gone] == [None, None]


def test_threads_with_arguments_of_their_own():
    f = kj.jit(lambda m, x, s: (kj.tree.map(lambda leaf: leaf + s, m), kj.sum(m(x)) * s))
    model = nn.Linear(64, 64)
    f(model, kj.ones(64), 1.0)
    wrong = []

    def work(number):
        mine, x = kj.tree.map(lambda leaf: leaf * 0.0, model), np.full(64, 1.0, np.float32)
        for step in range(200):
            mine, _ = f(mine, x, float(number))
            if not (mine.bias.numpy() == number * (step + 1)).all():
                wrong.append((number, step))

    at_once(work)
    assert not wrong
