"""Schedules: the values of PyTorch's at every step, in and outside jit; errors of their options."""

from __future__ import annotations

import math

import numpy as np
import pytest

import kedja as kj
from kedja import optim
from kedja.ground.errors import UsageError

RATE = 0.4
COSINE = {"T_max": 7, "eta_min": 0.03}

# Ours, PyTorch's class and its options; the first argument of ours is the rate.
CASES = [
    ("ConstantLR", {}),
    ("ConstantLR", {"factor": 0.25, "total_iters": 3}),
    ("StepLR", {"step_size": 4, "gamma": 0.3}),
    ("StepLR", {"step_size": 1}),
    ("MultiStepLR", {"milestones": [2, 5, 5, 11], "gamma": 0.5}),
    ("MultiStepLR", {"milestones": []}),
    ("ExponentialLR", {"gamma": 0.9}),
    ("LinearLR", {}),
    ("LinearLR", {"start_factor": 1.0, "end_factor": 0.1, "total_iters": 9}),
    ("PolynomialLR", {}),
    ("PolynomialLR", {"total_iters": 13, "power": 2.5}),
    ("CosineAnnealingLR", COSINE),
    ("CosineAnnealingLR", {"T_max": 100}),
    ("CosineAnnealingWarmRestarts", {"T_0": 5}),
    ("CosineAnnealingWarmRestarts", {"T_0": 3, "T_mult": 2, "eta_min": 0.1}),
    ("CosineAnnealingWarmRestarts", {"T_0": 1, "T_mult": 3}),
]
IDS = [f"{name}({', '.join(f'{k}={v}' for k, v in options.items())})" for name, options in CASES]


def torchs(torch, make, steps, lr=RATE, **options):
    """The rates that PyTorch's scheduler sets."""
    opt = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)
    scheduler = make(opt, **options)
    rates = []
    for _ in range(steps):
        rates.append(opt.param_groups[0]["lr"])
        opt.step()
        scheduler.step()
    return rates


@pytest.mark.parametrize("name, options", CASES, ids=IDS)
def test_the_rates_are_pytorchs(name, options):
    torch = pytest.importorskip("torch")
    expected = torchs(torch, getattr(torch.optim.lr_scheduler, name), 30, **options)
    mine = getattr(optim, name)(RATE, **options)
    found = [mine(step) for step in range(30)]
    assert all(each.dtype == kj.float64 and each.shape == () for each in found)
    np.testing.assert_allclose([each.item() for each in found], expected, rtol=1e-11, atol=1e-15)


@pytest.mark.parametrize("strategy", ["cos", "linear"])
@pytest.mark.parametrize(
    "total, pct_start, three_phase",
    [(1, 0.3, False), (2, 0.3, False), (10, 0.3, False), (25, 0.5, False), (10, 0.3, True)],
)
def test_one_cycle_is_pytorchs(total, pct_start, three_phase, strategy):
    torch = pytest.importorskip("torch")
    options = {
        "total_steps": total,
        "pct_start": pct_start,
        "anneal_strategy": strategy,
        "three_phase": three_phase,
        "div_factor": 10.0,
        "final_div_factor": 100.0,
    }
    opt = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(opt, max_lr=RATE, **options)
    rate = optim.OneCycleLR(RATE, **options)
    momentum = rate.momentum()
    for step in range(total):
        group = opt.param_groups[0]
        assert rate(step).item() == pytest.approx(group["lr"], rel=1e-11)
        assert momentum(step).item() == pytest.approx(group["momentum"], rel=1e-11)
        opt.step()
        if step + 1 < total:  # PyTorch's raises when it is stepped beyond its end
            scheduler.step()
    if total > 2:
        assert rate(total + 5).item() == pytest.approx(RATE / 10 / 100)


def test_sequences_are_pytorchs():
    torch = pytest.importorskip("torch")
    kinds = torch.optim.lr_scheduler

    def make(opt):
        parts = [
            kinds.LinearLR(opt, start_factor=0.1, total_iters=4),
            kinds.ExponentialLR(opt, gamma=0.8),
            kinds.CosineAnnealingLR(opt, T_max=5),
        ]
        return kinds.SequentialLR(opt, parts, milestones=[4, 9])

    expected = torchs(torch, make, 20)
    parts = [
        optim.LinearLR(RATE, start_factor=0.1, total_iters=4),
        optim.ExponentialLR(RATE, gamma=0.8),
        optim.CosineAnnealingLR(RATE, T_max=5),
    ]
    mine = optim.SequentialLR(parts, [4, 9])
    np.testing.assert_allclose(
        [mine(t).item() for t in range(20)], expected, rtol=1e-11, atol=1e-15
    )


def test_chains_are_pytorchs():
    torch = pytest.importorskip("torch")
    kinds = torch.optim.lr_scheduler

    def make(opt):
        parts = [
            kinds.ConstantLR(opt, factor=0.5, total_iters=3),
            kinds.StepLR(opt, step_size=4, gamma=0.5),
            kinds.ExponentialLR(opt, gamma=0.9),
        ]
        return kinds.ChainedScheduler(parts, optimizer=opt)

    expected = torchs(torch, make, 15)
    parts = [
        optim.ConstantLR(1.0, factor=0.5, total_iters=3),
        optim.StepLR(1.0, step_size=4, gamma=0.5),
        optim.ExponentialLR(1.0, gamma=0.9),
    ]
    mine = optim.ChainedLR(RATE, parts)
    np.testing.assert_allclose([mine(t).item() for t in range(15)], expected, rtol=1e-11)


def test_warm_up_and_cosine():
    mine = optim.WarmupCosineLR(2.0, warmup=3, total=11, eta_min=0.5)
    found = [mine(t).item() for t in range(13)]
    np.testing.assert_allclose(found[:4], [0.5, 1.0, 1.5, 2.0])
    assert found[7] == pytest.approx(1.25)
    np.testing.assert_allclose(found[11:], 0.5)
    assert (np.diff(found[3:12]) < 0).all()


def test_any_function_of_the_step_serves():
    mine = optim.LambdaLR(0.5, lambda t: 1 / (1 + t))
    assert [mine(t).item() for t in (0, 1, 3)] == [0.5, 0.25, 0.125]
    chained = optim.ChainedLR(1.0, [mine, optim.StepLR(1.0, 1, 0.5)])
    assert chained(1).item() == 0.25


@pytest.mark.parametrize("tier", ["interpret", "compile"])
def test_schedules_work_inside_jit(tier):
    schedules = [
        optim.WarmupCosineLR(1.0, 3, 10),
        optim.CosineAnnealingWarmRestarts(1.0, 2, 2),
        optim.MultiStepLR(1.0, (2, 4)),
        optim.StepLR(1.0, 3),
        optim.SequentialLR([optim.LinearLR(1.0), optim.PolynomialLR(1.0, 9, 2.0)], [5]),
        optim.OneCycleLR(1.0, 12),
    ]
    with kj.scope(tier=tier):
        compiled = kj.jit(lambda step: [each(step) for each in schedules])
        for step in (0, 3, 8):
            found = [each.item() for each in compiled(kj.tensor(step))]
            np.testing.assert_allclose(found, [each(step).item() for each in schedules], rtol=1e-12)


@pytest.mark.parametrize("make", [optim.SGD, optim.AdamW, optim.RAdam, optim.Lion])
def test_optimizers_follow_them(make):
    rate = optim.StepLR(0.1, step_size=2, gamma=0.5)
    w = v = kj.tensor([1.0, -2.0], kj.float64)
    g = kj.tensor([1.0, 3.0], kj.float64)
    opt = make(rate)
    state, other = opt.init(w), make(0.1).init(v)
    for step in range(5):
        w, state = opt.update(w, g, state)
        v, other = make(rate(step).item()).update(v, g, other)
        np.testing.assert_allclose(w, v, rtol=1e-14)


def test_the_momentum_may_follow_one_too():
    torch = pytest.importorskip("torch")
    leaf = torch.tensor([1.0, -2.0], dtype=torch.float64, requires_grad=True)
    reference = torch.optim.SGD([leaf], lr=1.0, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(reference, max_lr=0.1, total_steps=8)
    rate = optim.OneCycleLR(0.1, total_steps=8)
    opt, w = optim.SGD(rate, momentum=rate.momentum()), kj.tensor([1.0, -2.0], kj.float64)
    state = opt.init(w)
    for step in range(8):
        g = np.array([math.sin(step), 1.0])
        leaf.grad = torch.tensor(g)
        reference.step()
        w, state = opt.update(w, kj.tensor(g), state)
        np.testing.assert_allclose(w, leaf.detach().numpy(), rtol=1e-12)
        if step < 7:
            scheduler.step()


def test_the_first_beta_of_adam_may_follow_one():
    torch = pytest.importorskip("torch")
    leaf = torch.tensor([1.0, -2.0], dtype=torch.float64, requires_grad=True)
    reference = torch.optim.Adam([leaf], lr=1.0)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(reference, max_lr=0.1, total_steps=8)
    rate = optim.OneCycleLR(0.1, total_steps=8)
    opt = optim.Adam(rate, betas=(rate.momentum(), 0.999))
    w = kj.tensor([1.0, -2.0], kj.float64)
    state = opt.init(w)
    for step in range(8):
        g = np.array([math.sin(step), 1.0])
        leaf.grad = torch.tensor(g)
        reference.step()
        w, state = opt.update(w, kj.tensor(g), state)
        np.testing.assert_allclose(w, leaf.detach().numpy(), rtol=1e-12)
        if step < 7:
            scheduler.step()


# --------------------------------------------------------------------------------- by name


@pytest.mark.parametrize("name", optim.SCHEDULES)
def test_every_schedule_has_a_name(name):
    rate = optim.schedule(name, 0.1, steps=100)
    values = [rate(t).item() if callable(rate) else rate for t in (0, 50, 99)]
    assert 0 < max(values) <= 0.1 + 1e-12
    assert values[-1] < 0.02 or name == "constant"


@pytest.mark.parametrize("name", ["constant", "cosine", "linear"])
def test_a_warm_up_comes_first(name):
    rate = optim.schedule(name, 1.0, steps=20, warmup=4)
    np.testing.assert_allclose([rate(t).item() for t in range(5)], [0.2, 0.4, 0.6, 0.8, 1.0])


@pytest.mark.parametrize(
    "make, what",
    [
        (lambda: optim.schedule("cosin", 0.1, 10), "unknown schedule 'cosin'"),
        (lambda: optim.schedule("step", 0.1, 10, 2), "'step' with a warm-up"),
        (lambda: optim.schedule("cosine", 0.1, 10, 10), "a warm-up of 10"),
        (lambda: optim.StepLR(0.1, 0), "step_size=0"),
        (lambda: optim.StepLR(-0.1, 3), "lr=-0.1"),
        (lambda: optim.MultiStepLR(0.1, (2.5,)), "milestones=2.5"),
        (lambda: optim.CosineAnnealingLR(0.1, 0), "T_max=0"),
        (lambda: optim.WarmupCosineLR(0.1, 5, 5), "total=5"),
        (lambda: optim.OneCycleLR(0.1, 0), "total_steps=0"),
        (lambda: optim.OneCycleLR(0.1, 10, pct_start=2), "pct_start=2"),
        (lambda: optim.OneCycleLR(0.1, 10, anneal_strategy="sin"), "anneal_strategy='sin'"),
        (lambda: optim.SequentialLR([optim.StepLR(0.1, 1)], [1]), "1 schedules and 1"),
        (lambda: optim.ChainedLR(0.1, [optim.OneCycleLR(0.1, 9)]), "ChainedLR of OneCycleLR"),
        (lambda: optim.LinearLR(0.1, total_iters=0), "total_iters=0"),
    ],
)
def test_options_out_of_range_are_named(make, what):
    with pytest.raises(UsageError) as error:
        make()
    assert what in str(error.value)


# --------------------------------------------------------------------------------- plateau


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("threshold_mode", ["rel", "abs"])
@pytest.mark.parametrize("patience, cooldown, min_lr", [(0, 0, 0.0), (2, 0, 0.0), (1, 2, 0.07)])
def test_plateaus_are_pytorchs(mode, threshold_mode, patience, cooldown, min_lr):
    torch = pytest.importorskip("torch")
    options = {
        "mode": mode,
        "factor": 0.5,
        "patience": patience,
        "threshold": 0.01,
        "threshold_mode": threshold_mode,
        "cooldown": cooldown,
        "min_lr": min_lr,
    }
    opt = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=RATE)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(opt, **options)
    rule = optim.ReduceLROnPlateau(**options)
    state = rule.init(RATE)
    figures = np.random.default_rng(0).normal(0, 1, 40) * np.linspace(1, 0.1, 40)
    for figure in figures:
        scheduler.step(figure)
        state = rule.update(state, figure)
        assert state["lr"].item() == pytest.approx(opt.param_groups[0]["lr"], rel=1e-12)
        assert state["best"].item() == scheduler.best
        assert state["bad"].item() == scheduler.num_bad_epochs
        assert state["cooling"].item() == scheduler.cooldown_counter


def test_the_rule_of_a_plateau_works_inside_jit():
    rule = optim.ReduceLROnPlateau(factor=0.5, patience=0)
    update = kj.jit(rule.update)
    state = other = rule.init(1.0)
    for figure in (3.0, 3.0, 1.0, 2.0):
        state, other = update(state, kj.tensor(figure)), rule.update(other, figure)
    assert state["lr"].item() == other["lr"].item() == 0.25


def test_an_optimizer_on_a_plateau_slows_down():
    opt = optim.OnPlateau(optim.SGD(0.8), optim.ReduceLROnPlateau(factor=0.5, patience=0))
    w = kj.tensor(1.0)
    state = opt.init(w)
    moved, state = opt.update(w, w, state)
    assert moved.item() == pytest.approx(0.2)
    for figure in (1.0, 1.0):
        state = opt.observe(state, figure)
    moved, state = kj.jit(lambda w, state: opt.update(w, w, state))(w, state)
    assert moved.item() == pytest.approx(0.6)


def test_wrong_options_of_a_plateau():
    with pytest.raises(UsageError, match="mode='least'"):
        optim.ReduceLROnPlateau(mode="least")
    with pytest.raises(UsageError, match=r"factor=1\.5"):
        optim.ReduceLROnPlateau(factor=1.5)
    with pytest.raises(UsageError, match="whose rate is no number"):
        optim.OnPlateau(optim.SGD(optim.StepLR(0.1, 1)))
