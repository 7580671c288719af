"""States: pure, of one structure, traceable; schedules; errors; the lookup by name."""

from __future__ import annotations

import numpy as np
import pytest

import kedja as kj
from kedja import nn, optim
from kedja.front import tree
from kedja.front.loop import Loop
from kedja.ground.errors import DtypeError, ShapeError, UsageError

ALL = [
    optim.GradientDescent(0.1),
    optim.SGD(0.1),
    optim.SGD(0.1, momentum=0.9),
    optim.SGD(0.1, momentum=0.9, dampening=0.5),
    optim.Adam(0.1),
    optim.AdamW(0.1, weight_decay=0.1),
    optim.RMSprop(0.1),
    optim.RMSprop(0.1, centered=True, momentum=0.5),
    optim.Adam(lambda step: 0.1 / (1 + step)),
    optim.Adam(0.1, amsgrad=True, maximize=True),
    optim.ASGD(0.1, t0=1),
    optim.Adamax(0.1),
    optim.NAdam(0.1, weight_decay=0.1),
    optim.RAdam(0.1, betas=(0.9, 0.9)),
    optim.Adagrad(0.1, lr_decay=0.1),
    optim.Adadelta(0.1),
    optim.Rprop(0.1),
    optim.Adafactor(0.1),
    optim.Lion(0.1),
    optim.ClipNorm(optim.SGD(0.1), 0.01),
    optim.ClipValue(optim.Adam(0.1), 0.01),
    optim.Accumulate(optim.SGD(0.1, momentum=0.9), 2),
    optim.EMA(optim.ClipNorm(optim.Lion(optim.StepLR(0.1, 2))), 0.9),
    optim.no_decay(optim.AdamW(0.1)),
    optim.Groups(
        {"matrix": optim.Muon(0.1, ns_dtype=None), "rest": optim.Adam(0.1)},
        by=lambda path, p: "matrix" if p.ndim == 2 else "rest",
    ),
    optim.OnPlateau(optim.SGD(0.1)),
]
X = np.random.default_rng(0).standard_normal((5, 3))


def model():
    return nn.mlp([3, 4, 2], "tanh", key=kj.random.key(0)).astype(kj.float64)


def loss(model, x):
    return nn.mse_loss(model(x), kj.ones((5, 2)))


@pytest.fixture(params=ALL, ids=lambda opt: type(opt).__name__)
def opt(request):
    return request.param


def stepped(opt, model, count):
    state = opt.init(model)
    for _ in range(count):
        model, state = opt.update(model, kj.grad(loss)(model, X), state)
    return model, state


def test_structure_and_dtypes_never_change(opt):
    first = opt.init(model())
    _, later = stepped(opt, model(), 3)
    assert tree.flatten(first)[1] == tree.flatten(later)[1]
    types = [[each.node.type for each in tree.leaves(state)] for state in (first, later)]
    assert types[0] == types[1]


def test_updates_change_nothing_in_place(opt):
    net = model()
    before = net.state_dict()
    state = opt.init(net)
    kept = [each.numpy().copy() for each in tree.leaves(state)]
    opt.update(net, kj.grad(loss)(net, X), state)
    for each, old in zip(tree.leaves(state), kept, strict=True):
        np.testing.assert_array_equal(each, old)
    for name, each in net.parameters():
        np.testing.assert_array_equal(each, before[name])


TIERS = ["interpret", "compile"]


@pytest.mark.parametrize("tier", TIERS)
def test_a_loop_carries_the_state(opt, tier):
    def step(carry, x):
        grads = kj.grad(loss)(carry["model"], x)
        moved, state = opt.update(carry["model"], grads, carry["state"])
        return {"model": moved, "state": state}

    net = model()
    expected, _ = stepped(opt, net, 5)
    with kj.scope(tier=tier):
        loop = Loop(step, {"model": net, "state": opt.init(net)}, X)
        loop.run(2)
        loop.run(3)
    found = loop.carry
    for name, each in found["model"].parameters():
        np.testing.assert_allclose(each, dict(expected.parameters())[name], rtol=1e-9)


@pytest.mark.parametrize("tier", TIERS)
def test_jit_takes_and_returns_the_state(opt, tier):
    with kj.scope(tier=tier):

        @kj.jit
        def step(net, state):
            return opt.update(net, kj.grad(loss)(net, X), state)

        net, state = model(), opt.init(model())
        for _ in range(2):
            net, state = step(net, state)
    expected, _ = stepped(opt, model(), 2)
    for name, each in net.parameters():
        np.testing.assert_allclose(each, dict(expected.parameters())[name], rtol=1e-9)


def test_the_dtype_of_the_parameters_is_kept(opt):
    params = {"a": kj.ones(2, kj.float32), "b": kj.ones(2, kj.float64)}
    grads = {"a": kj.ones(2, kj.float64), "b": kj.ones(2, kj.float32)}
    moved, state = opt.update(params, grads, opt.init(params))
    assert [moved["a"].dtype, moved["b"].dtype] == [kj.float32, kj.float64]
    again, _ = opt.update(moved, grads, state)
    assert again["a"].dtype == kj.float32


def test_marked_parameters_become_fresh_marked_leaves(opt):
    w = kj.tensor([1.0, 2.0], requires_grad=True, name="w")
    state = opt.init(w)
    for _ in range(3):
        kj.sum(w * w).backward()
        before = w
        w, state = opt.update(w, w.grad, state)
        assert w.requires_grad
        assert w.grad is None
        assert w is not before
    assert w.node.attrs["name"] == "w"
    plain, other = kj.tensor([1.0, 2.0]), opt.init(kj.ones(2))
    for _ in range(3):
        plain, other = opt.update(plain, 2 * plain, other)
    np.testing.assert_array_equal(plain, w)


def test_states_of_marked_parameters_keep_no_history():
    opt, w = optim.SGD(0.1, momentum=0.9, weight_decay=0.1), kj.tensor([1.0], requires_grad=True)
    w, state = opt.update(w, kj.tensor([1.0]), opt.init(w))
    assert not any(each.tracks for each in tree.leaves(state))


def test_single_tensors_and_numbers_are_trees_too():
    opt = optim.SGD(0.5)
    moved, _ = opt.update(kj.tensor(1.0), kj.tensor(1.0), opt.init(kj.tensor(1.0)))
    assert moved.item() == 0.5
    moved, _ = opt.update({"w": 2.0}, {"w": 1.0}, opt.init({"w": 2.0}))
    assert moved["w"].item() == 1.5


# ------------------------------------------------------------------------------- schedules


@pytest.mark.parametrize("kind", [optim.GradientDescent, optim.SGD, optim.Adam, optim.RMSprop])
def test_rates_may_follow_the_step(kind):
    rates = [0.1, 0.05, 0.025]
    scheduled = kind(lambda step: 0.1 * 0.5 ** step.astype(kj.float64))
    w = v = kj.tensor([1.0, -2.0])
    state, other = scheduled.init(w), kind(rates[0]).init(v)
    for rate in rates:
        w, state = scheduled.update(w, kj.tensor([1.0, 3.0]), state)
        v, other = kind(rate).update(v, kj.tensor([1.0, 3.0]), other)
        np.testing.assert_allclose(w, v, rtol=1e-6)


# ---------------------------------------------------------------------------------- errors


def test_gradients_must_fit():
    opt, net = optim.SGD(0.1), model()
    with pytest.raises(UsageError, match="another structure"):
        opt.update(net, net.parameters(), opt.init(net))
    wrong = kj.grad(loss)(net, X)
    wrong = wrong.replace(layers=(wrong[0].replace(bias=kj.ones(1)), *wrong.layers[1:]))
    with pytest.raises(ShapeError, match=r"a gradient of shape \[1\] for 0.bias of \[4\]"):
        opt.update(net, wrong, opt.init(net))


def test_parameters_are_floats():
    with pytest.raises(DtypeError, match=r"the parameter 'a\.b' is int64"):
        optim.SGD(0.1).init({"a": {"b": kj.tensor([1, 2])}})


@pytest.mark.parametrize(
    "make, what",
    [
        (lambda: optim.SGD(-0.1), "SGD with lr=-0.1"),
        (lambda: optim.SGD("fast"), "SGD with lr='fast'"),
        (lambda: optim.SGD(float("nan")), "SGD with lr=nan"),
        (lambda: optim.SGD(0.1, momentum=-1), "momentum=-1"),
        (lambda: optim.SGD(0.1, nesterov=True), "nesterov needs momentum"),
        (lambda: optim.SGD(0.1, 0.9, True, 0.1), "no dampening"),
        (lambda: optim.Adam(betas=(0.9, 1.0)), "betas=1.0"),
        (lambda: optim.Adam(betas=(0.9,)), "betas=(0.9,)"),
        (lambda: optim.AdamW(eps=-1), "AdamW with eps=-1"),
        (lambda: optim.RMSprop(alpha=1), "alpha=1"),
        (lambda: optim.RMSprop(weight_decay=-1), "weight_decay=-1"),
        (lambda: optim.GradientDescent(-1), "GradientDescent with lr=-1"),
    ],
)
def test_options_out_of_range_are_named(make, what):
    with pytest.raises(UsageError) as error:
        make()
    assert what in str(error.value)


# --------------------------------------------------------------------------------- by name


@pytest.mark.parametrize("name", optim.OPTIMIZERS)
def test_every_optimizer_has_a_name(name):
    assert type(optim.optimizer(name, lr=0.1)) is optim.OPTIMIZERS[name]


def test_names_may_be_spelled_in_several_ways():
    assert optim.optimizer("AdamW") == optim.AdamW()
    assert optim.optimizer("Gradient-Descent", lr=0.1) == optim.GradientDescent(0.1)
    assert optim.optimizer("sgd", lr=0.1, momentum=0.9) == optim.SGD(0.1, momentum=0.9)


def test_unknown_names_and_options():
    with pytest.raises(UsageError, match="unknown optimizer: 'admaw'") as error:
        optim.optimizer("admaw")
    assert "did you mean 'adamw'" in error.value.fix
    with pytest.raises(UsageError, match="unknown option of adam: 'beta'") as error:
        optim.optimizer("adam", beta=0.9)
    assert "did you mean 'betas'" in error.value.fix
    with pytest.raises(UsageError, match="sgd needs lr"):
        optim.optimizer("sgd")


# --------------------------------------------------------------------------------- modules


def with_buffers():
    layers = [
        nn.Linear(3, 4, key=kj.random.key(0)),
        nn.BatchNorm1d(4),
        nn.Linear(4, 2, key=kj.random.key(1)),
    ]
    return nn.Sequential(*layers).astype(kj.float64)


def test_buffers_and_frozen_parameters_stay_what_they_are(opt):
    net = with_buffers().at("2").freeze()
    grads = tree.map(kj.ones_like, net)
    state = opt.init(net)
    for _ in range(2):
        moved, state = opt.update(net, grads, state)
        for (name, before), (_, after) in zip(tree.paths(net), tree.paths(moved), strict=True):
            fixed = name.startswith("2.") or name in dict(net.buffers())
            assert (before is after) == fixed or isinstance(opt, optim.Accumulate)
    slots = [name for name, leaf in tree.paths(state) if leaf.ndim]
    assert not any("running" in name or "2." in name for name in slots)
    average = opt.averaged(moved, state)
    assert average[1].running_mean is moved[1].running_mean


def test_statistics_recorded_in_training_go_on(opt):
    net, state = with_buffers(), None
    state = opt.init(net)

    def objective(net):
        with nn.training() as layers:
            value = nn.mse_loss(net(kj.tensor(X)), kj.ones((5, 2)))
        return value, layers.updated(net)

    @kj.jit
    def step(net, state):
        (_, net), grads = kj.value_and_grad(objective, has_aux=True)(net)
        return opt.update(net, grads, state)

    for _ in range(2):
        net, state = step(net, state)
    assert net[1].num_batches_tracked.item() == 2


class Tied(nn.Module):
    """One matrix at both ends."""

    first: kj.Tensor
    last: kj.Tensor

    def __call__(self, x):
        return (x @ self.first) @ self.last.mT


def test_tied_weights_have_one_slot_and_stay_tied():
    weight = kj.tensor(np.random.default_rng(0).standard_normal((3, 2)))
    net, opt = Tied(weight, weight), optim.EMA(optim.Adam(0.1))
    state = opt.init(net)
    assert [name for name, _ in tree.paths(state["inner"]["mean"])] == ["first"]
    grads = kj.grad(lambda net: kj.sum(net(kj.tensor(X)) ** 2))(net)
    moved, state = opt.update(net, grads, state)
    assert moved.first is moved.last
    assert opt.averaged(moved, state).first is opt.averaged(moved, state).last
