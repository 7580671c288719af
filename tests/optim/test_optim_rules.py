"""Each optimiser's rule: 20 steps equal PyTorch's to rounding, and by hand where it is short."""

from __future__ import annotations

from decimal import Decimal, getcontext

import numpy as np
import pytest

import kedja as kj
from kedja import optim
from kedja.optim.base import remaining

STEPS = 20
RNG = np.random.default_rng(0)
START = {"w": RNG.standard_normal((3, 4)), "b": RNG.standard_normal(4)}
GRADS = [
    {
        name: RNG.standard_normal(each.shape) * 10.0 ** RNG.integers(-3, 3)
        for name, each in START.items()
    }
    for _ in range(STEPS)
]

CASES = [
    (optim.GradientDescent, "SGD", {"lr": 0.1}),
    (optim.SGD, "SGD", {"lr": 0.1}),
    (optim.SGD, "SGD", {"lr": 0.1, "weight_decay": 0.3}),
    (optim.SGD, "SGD", {"lr": 0.1, "momentum": 0.9}),
    (optim.SGD, "SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
    (optim.SGD, "SGD", {"lr": 0.1, "momentum": 0.5, "dampening": 0.3}),
    (optim.SGD, "SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01}),
    (optim.Adam, "Adam", {"lr": 0.01}),
    (optim.Adam, "Adam", {"lr": 0.1, "betas": (0.5, 0.7), "eps": 1e-3}),
    (optim.Adam, "Adam", {"lr": 0.1, "betas": (0.0, 0.9999), "weight_decay": 0.1}),
    (optim.AdamW, "AdamW", {"lr": 0.01}),
    (optim.AdamW, "AdamW", {"lr": 0.1, "betas": (0.8, 0.95), "weight_decay": 0.5}),
    (optim.AdamW, "AdamW", {"lr": 0.1, "weight_decay": 0.0}),
    (optim.RMSprop, "RMSprop", {"lr": 0.01}),
    (optim.RMSprop, "RMSprop", {"lr": 0.1, "alpha": 0.5, "eps": 1e-2, "weight_decay": 0.1}),
    (optim.RMSprop, "RMSprop", {"lr": 0.1, "momentum": 0.9}),
    (optim.RMSprop, "RMSprop", {"lr": 0.1, "centered": True, "momentum": 0.5}),
]
NAMES = [f"{kind.__name__}({', '.join(f'{k}={v}' for k, v in o.items())})" for kind, _, o in CASES]


def ours(opt, dtype):
    """The parameters after each step."""
    params = {name: kj.tensor(each, dtype) for name, each in START.items()}
    state = opt.init(params)
    for grads in GRADS:
        params, state = opt.update(
            params, {k: kj.tensor(g, dtype) for k, g in grads.items()}, state
        )
        yield {name: each.numpy() for name, each in params.items()}


def theirs(torch, name, options, dtype):
    params = {k: torch.tensor(v, dtype=dtype, requires_grad=True) for k, v in START.items()}
    opt = getattr(torch.optim, name)(list(params.values()), foreach=False, **options)
    for grads in GRADS:
        for k, each in params.items():
            each.grad = torch.tensor(grads[k], dtype=dtype)
        opt.step()
        yield {k: each.detach().numpy().copy() for k, each in params.items()}


@pytest.mark.parametrize("kind, name, options", CASES, ids=NAMES)
@pytest.mark.parametrize("dtype, rtol", [("float64", 1e-13), ("float32", 3e-6)])
def test_steps_equal_pytorchs(kind, name, options, dtype, rtol):
    torch = pytest.importorskip("torch")
    pairs = zip(
        ours(kind(**options), dtype),
        theirs(torch, name, options, getattr(torch, dtype)),
        strict=True,
    )
    for step, (mine, expected) in enumerate(pairs):
        for each in START:
            assert mine[each].dtype == dtype
            size = max(np.abs(each).max() for each in expected.values())
            np.testing.assert_allclose(
                mine[each], expected[each], rtol=rtol, atol=rtol * size, err_msg=f"step {step}"
            )


def test_momentum_by_hand():
    opt, w = optim.SGD(0.1, momentum=0.9), kj.tensor(1.0, kj.float64)
    state = opt.init(w)
    w, state = opt.update(w, kj.tensor(2.0), state)
    assert w.item() == pytest.approx(1 - 0.1 * 2)
    w, state = opt.update(w, kj.tensor(1.0), state)
    assert w.item() == pytest.approx(0.8 - 0.1 * (0.9 * 2 + 1))
    assert state["velocity"].item() == pytest.approx(2.8)


def test_adams_first_step_is_the_rate_whatever_the_gradient():
    for size in (1e-3, 1.0, 1e6):
        opt, w = optim.Adam(0.01), kj.tensor(1.0, kj.float64)
        w, _ = opt.update(w, kj.tensor(size, kj.float64), opt.init(w))
        assert w.item() == pytest.approx(0.99, rel=1e-6)


@pytest.mark.parametrize("decay", [0.9, 0.999, 0.9999999])
@pytest.mark.parametrize("steps", [1, 3, 1000, 10**9])
def test_corrections_are_exact_in_float32_runs(decay, steps):
    getcontext().prec = 60
    found = remaining(decay, kj.tensor(steps - 1)).item()
    expected = 1 - Decimal(decay) ** steps
    assert found == pytest.approx(float(expected), rel=1e-12)


def test_full_gradient_and_sgd_agree_without_momentum():
    for mine, other in zip(
        ours(optim.GradientDescent(0.1), "float32"), ours(optim.SGD(0.1), "float32"), strict=True
    ):
        np.testing.assert_array_equal(mine["w"], other["w"])


@pytest.mark.parametrize(
    "opt",
    [
        optim.GradientDescent(0.1),
        optim.SGD(0.05, momentum=0.9, nesterov=True),
        optim.Adam(0.1),
        optim.AdamW(0.1),
        optim.RMSprop(0.03, centered=True),
    ],
    ids=lambda opt: type(opt).__name__,
)
def test_a_valley_is_descended(opt):
    target = np.array([1.0, -2.0])

    def loss(w):
        return kj.sum((w - kj.tensor(target)) ** 2 * kj.tensor([1.0, 3.0]))

    step = kj.jit(lambda w, state: opt.update(w, kj.grad(loss)(w), state))
    w = kj.zeros(2)
    state = opt.init(w)
    for _ in range(100):
        w, state = step(w, state)
    np.testing.assert_allclose(w, target, atol=0.06)
