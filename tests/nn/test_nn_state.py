"""The state of modules: training, inference, keys, buffers; under jit, grad, vmap and scan."""

from __future__ import annotations

import gc

import numpy as np
import pytest

import kedja as kj
from kedja import nn
from kedja.front import tree
from kedja.ground.errors import ShapeError, TracingError, UsageError
from kedja.ir.graph import Node
from tests.nn.layers import normal

X = normal(6, 4).astype(np.float32)


def network(rate=0.5):
    keys = kj.random.split(kj.random.key(1))
    return nn.Sequential(
        nn.Linear(4, 5, key=keys[0]), nn.BatchNorm1d(5), nn.Dropout(rate),
        nn.Linear(5, 1, key=keys[1]),
    )  # fmt: skip


class Counter(nn.Module):
    """A user's layer with a buffer: how often it was called in training."""

    count: nn.Buffer

    def __call__(self, x):
        if nn.is_training():
            nn.record(self.count, nn.latest(self.count) + 1)
        return x * 1.0


def counter():
    return Counter(kj.tensor(0))


def step(model, key, x):
    """A training call as the documentation has it."""
    with nn.training(key) as state:
        y = model(x)
    return y, state.updated(model)


def assert_same(one, other, rtol=1e-6):
    first, second = one.state_dict(), other.state_dict()
    assert list(first) == list(second)
    for name in first:
        np.testing.assert_allclose(first[name], second[name], rtol=rtol, atol=1e-6)


# --------------------------------------------------------------------------- the plain way


def test_inference_is_plain_calling():
    model = network()
    np.testing.assert_array_equal(model(X), model(X))
    assert not nn.is_training()
    with nn.training(kj.random.key(0)):
        assert nn.is_training()
        inside = model(X)
        with nn.inference():
            assert not nn.is_training()
            np.testing.assert_array_equal(model(X), network()(X))
        assert nn.is_training()
    assert not nn.is_training()
    assert not np.allclose(inside, model(X))


def test_updating_leaves_the_original_alone():
    model = network()
    _, updated = step(model, kj.random.key(0), X)
    assert model[1].num_batches_tracked.item() == 0
    assert updated[1].num_batches_tracked.item() == 1
    assert updated[0].weight is model[0].weight
    assert tree.flatten(updated)[1] == tree.flatten(model)[1]


def test_a_module_called_twice_sees_what_it_recorded_first():
    model = counter()
    with nn.training() as state:
        model(model(model(X)))
        assert nn.latest(model.count).item() == 3
    assert state.updated(model).count.item() == 3
    assert nn.latest(model.count).item() == 0


def test_one_layer_at_two_places_has_one_state():
    layer = counter()
    model = nn.Sequential(layer, nn.ReLU(), layer)
    for run in (step, kj.jit(step)):
        _, updated = run(model, None, X)
        assert updated.state_dict() == {"0.count": 2, "2.count": 2}


def test_an_inner_training_is_a_state_of_its_own():
    model = counter()
    with nn.training() as outer:
        model(X)
        with nn.training() as inner:
            model(X)
    assert outer.updated(model).count.item() == inner.updated(model).count.item() == 1


def test_what_is_recorded_keeps_the_buffers_dtype_and_shape():
    model = counter()
    with nn.training() as state:
        model(X)
        nn.record(model.count, kj.tensor(2.5))
        with pytest.raises(ShapeError, match=r"a buffer of shape \[\] is recorded as \[2\]"):
            nn.record(model.count, [1, 2])
    assert state.updated(model).count.dtype == kj.int64


def test_the_same_key_gives_the_same_numbers_in_the_order_of_calls():
    first, second = nn.Dropout(0.5), nn.Dropout(0.5)
    ones = kj.ones(64)

    def masks(key):
        with nn.training(key):
            return [layer(ones).numpy() for layer in (first, second, first)]

    one, other = masks(kj.random.key(0)), masks(kj.random.key(0))
    np.testing.assert_array_equal(one, other)
    assert not np.array_equal(one[0], one[1])
    assert not np.array_equal(one[0], one[2])
    assert not np.array_equal(one[0], masks(kj.random.key(1))[0])


def test_a_loop_of_updates_keeps_no_graph():
    model = network()
    for seed in range(3):
        _, model = step(model, kj.random.key(seed), X)
    gc.collect()
    before = sum(type(each) is Node for each in gc.get_objects())
    for seed in range(5):
        _, model = step(model, kj.random.key(seed), X)
    gc.collect()
    assert sum(type(each) is Node for each in gc.get_objects()) <= before + 10


# ------------------------------------------------------------------------ transformations


def by_hand(steps=3):
    """Some steps outside of any transformation."""
    model = network()
    for seed in range(steps):
        _, model = step(model, kj.random.key(seed), X)
    return model


@pytest.mark.parametrize("tier", ["interpret", "compile"])
def test_under_jit(tier):
    model = network()
    with kj.scope(tier=tier):
        run = kj.jit(step)
        for seed in range(3):
            _, model = run(model, kj.random.key(seed), X)
    assert_same(model, by_hand())


def loss_of(model, key, x):
    y, updated = step(model, key, x)
    return kj.mean(y * y), updated


@pytest.mark.parametrize("compiled", [False, True])
def test_under_grad_the_updated_model_is_returned_beside_the_loss(compiled):
    optimizer = kj.optim.SGD(0.1, momentum=0.9)

    def train(model, moments, key, x):
        (loss, model), grads = kj.value_and_grad(loss_of, has_aux=True)(model, key, x)
        return (*optimizer.update(model, grads, moments), loss)

    run = kj.jit(train) if compiled else train
    model = network()
    moments = optimizer.init(model)
    for seed in range(3):
        model, moments, loss = run(model, moments, kj.random.key(seed), X)
    assert model[1].num_batches_tracked.item() == 3
    assert np.isfinite(loss.item())
    again, moments = network(), optimizer.init(network())
    for seed in range(3):
        with nn.training(kj.random.key(seed)) as state:  # around grad: the buffers are the same
            grads = kj.grad(lambda m: kj.mean(m(X) ** 2))(again)
        again, moments = optimizer.update(again, grads, moments)
        again = state.updated(again)
    assert_same(model, again, rtol=1e-4)


def test_gradients_equal_pytorchs_training_mode():
    torch = pytest.importorskip("torch")
    layers = torch.nn
    theirs = layers.Sequential(
        layers.Linear(4, 5), layers.BatchNorm1d(5), layers.Dropout(0.0), layers.Linear(5, 1)
    ).double()
    ours = network(0.0).astype(kj.float64).load_state_dict(theirs.state_dict())
    x = normal(6, 4)
    loss = (theirs(torch.tensor(x)) ** 2).mean()
    loss.backward()
    (value, updated), grads = kj.value_and_grad(loss_of, has_aux=True)(ours, None, x)
    assert value.item() == pytest.approx(loss.item(), rel=1e-12)
    for name, each in theirs.named_parameters():
        expected = each.grad.numpy()
        np.testing.assert_allclose(grads.state_dict()[name], expected, rtol=1e-8, atol=1e-12)
    for name, each in theirs.state_dict().items():
        np.testing.assert_allclose(updated.state_dict()[name], each.numpy(), rtol=1e-12)


@pytest.mark.parametrize("compiled", [False, True])
def test_under_vmap_each_example_has_its_own_state(compiled):
    model, xs = network(), normal(3, 6, 4).astype(np.float32)
    keys = kj.stack([kj.random.key(seed) for seed in range(3)])
    mapped = kj.vmap(step, in_axes=(None, 0, 0))
    y, updated = (kj.jit(mapped) if compiled else mapped)(model, keys, xs)
    for place in range(3):
        expected, alone = step(model, keys[place], xs[place])
        np.testing.assert_allclose(y[place], expected, rtol=1e-5, atol=1e-6)
        mean = updated[1].running_mean[place]
        np.testing.assert_allclose(mean, alone[1].running_mean, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("tier", ["interpret", "compile"])
def test_under_scan_it_is_opened_inside_the_body(tier):
    def train(model, keys, xs):
        def body(model, each):
            y, model = step(model, *each)
            return model, y

        return kj.scan(body, model, (keys, xs))

    xs = normal(3, 6, 4).astype(np.float32)
    keys = kj.stack([kj.random.key(seed) for seed in range(3)])
    with kj.scope(tier=tier):
        model, ys = kj.jit(train)(network(), keys, xs)
    expected = network()
    for place in range(3):
        y, expected = step(expected, keys[place], xs[place])
        np.testing.assert_allclose(ys[place], y, rtol=1e-5, atol=1e-6)
    assert_same(model, expected, rtol=1e-5)


def test_under_checkpoint_keys_come_from_outside():
    model = nn.Sequential(nn.Linear(4, 4, key=kj.random.key(0)), nn.Dropout(0.5))

    def loss(model, call):
        with nn.training(kj.random.key(3)):
            return kj.sum(call(model, X) ** 2)

    plain = kj.grad(loss)(model, lambda m, x: m(x))
    saved = kj.grad(loss)(model, kj.checkpoint(lambda m, x: m(x)))
    np.testing.assert_allclose(saved[0].weight, plain[0].weight, rtol=1e-6)


def test_gradients_pass_by_buffers_and_integers():
    gradient = kj.grad(lambda m: kj.mean(m(X)))(network())
    assert gradient[1].num_batches_tracked.dtype == kj.int64
    assert not gradient[1].running_mean.numpy().any()
    assert tree.flatten(gradient)[1] == tree.flatten(network())[1]
    tangent = tree.map(kj.ones_like, network())
    _, moved = kj.jvp(lambda m: kj.mean(m(X)), (network(),), (tangent,))
    _, pull = kj.vjp(lambda m: kj.mean(m(X)), network())
    (pulled,) = pull(1.0)
    products = [
        kj.sum(a * b).item()
        for (_, a), (_, b) in zip(pulled.parameters(), tangent.parameters(), strict=True)
    ]
    assert moved.item() == pytest.approx(sum(products), rel=1e-4)


# --------------------------------------------------------------------------------- mistakes


def test_dropout_without_a_key_names_the_fix():
    with nn.training(), pytest.raises(UsageError, match=r"nn\.training has no key") as error:
        network()(X)
    assert "nn.training(kj.random.key(0))" in error.value.fix
    assert "in layer 2" in str(error.value)


def test_a_key_is_a_key():
    with pytest.raises(UsageError, match="a key of int64"), nn.training(7):
        pass


@pytest.mark.parametrize("transform", [kj.jit, kj.vmap, kj.checkpoint])
def test_a_state_opened_outside_of_a_trace_records_nothing_inside(transform):
    model = counter()
    with nn.training(), pytest.raises(TracingError, match="opened outside") as error:
        transform(lambda x: model(x))(X)
    assert "open nn.training inside the function that is traced" in error.value.fix


def test_neither_does_a_loops_body_draw_from_outside():
    layer = nn.Dropout(0.5)
    with nn.training(kj.random.key(0)), pytest.raises(TracingError, match="draws random numbers"):
        kj.scan(lambda c, x: (c, layer(x)), 0.0, X)


def test_a_compiled_function_is_traced_again_in_training():
    model = nn.Sequential(nn.Linear(4, 2), nn.Dropout(0.5))
    run = kj.jit(lambda m, x: m(x))
    run(model, X)
    with nn.training(kj.random.key(0)), pytest.raises(TracingError, match="opened outside"):
        run(model, X)
    run(model, X)


def test_a_state_that_leaves_its_trace_says_so():
    kept = []

    @kj.jit
    def run(model, x):
        with nn.training() as state:
            kept.append(state)
            return model(x)

    run(counter(), X)
    with pytest.raises(TracingError, match="its values mean nothing outside"):
        kept[0].updated(counter())


def test_updating_another_model_is_an_error():
    with nn.training() as state:
        counter()(X)
    with pytest.raises(UsageError, match="none of the 1 buffers that were recorded belongs"):
        state.updated(network())
    with nn.training() as state:
        pass
    with pytest.raises(UsageError, match="no layer ran inside"):
        state.updated(network())
    with nn.training(kj.random.key(0)) as state:
        nn.Dropout(0.5)(X)  # nothing is recorded: nothing changes
    model = nn.Dropout(0.5)
    assert state.updated(model) is model


def test_recording_and_drawing_need_training():
    with pytest.raises(UsageError, match=r"recorded outside of nn\.training"):
        nn.record(counter().count, 1)
    with pytest.raises(UsageError, match=r"drawn outside of nn\.training"):
        nn.next_key()
