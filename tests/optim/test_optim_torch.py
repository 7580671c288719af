"""Every optimiser that PyTorch has follows it step by step, whatever the options are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kedja as kj
from kedja import optim
from tests.optim.against_torch import (
    assert_same_steps,
    gradients,
    in_float64,
    matrices,
    ours,
    start,
    theirs,
)

torch = pytest.importorskip("torch")

STEPS = 12
DECAYS = st.sampled_from([0.0, 0.01, 0.5])
FLAGS = st.booleans()
RATES = st.sampled_from([1e-3, 0.05, 0.7])
SMALL = st.sampled_from([1e-10, 1e-8, 1e-3])
BETAS = st.tuples(st.sampled_from([0.0, 0.5, 0.9]), st.sampled_from([0.0, 0.3, 0.99, 0.9999]))
HIGH_BETAS = st.tuples(st.sampled_from([0.0, 0.9]), st.sampled_from([0.3, 0.8, 0.99, 0.9999]))

OPTIONS = {
    "SGD": {
        "lr": RATES,
        "momentum": st.sampled_from([0.0, 0.5, 0.9]),
        "dampening": st.sampled_from([0.0, 0.3]),
        "weight_decay": DECAYS,
        "nesterov": FLAGS,
        "maximize": FLAGS,
    },
    "ASGD": {
        "lr": RATES,
        "lambd": st.sampled_from([0.0, 1e-4, 0.1]),
        "alpha": st.sampled_from([0.5, 0.75]),
        "t0": st.sampled_from([0.0, 3.0, 1e6]),
        "weight_decay": DECAYS,
        "maximize": FLAGS,
    },
    "Adam": {
        "lr": RATES,
        "betas": BETAS,
        "eps": SMALL,
        "weight_decay": DECAYS,
        "amsgrad": FLAGS,
        "maximize": FLAGS,
        "decoupled_weight_decay": FLAGS,
    },
    "AdamW": {
        "lr": RATES,
        "betas": BETAS,
        "eps": SMALL,
        "weight_decay": DECAYS,
        "amsgrad": FLAGS,
        "maximize": FLAGS,
    },
    "Adamax": {
        "lr": RATES,
        "betas": BETAS,
        "eps": SMALL,
        "weight_decay": DECAYS,
        "maximize": FLAGS,
    },
    "NAdam": {
        "lr": RATES,
        "betas": BETAS,
        "eps": SMALL,
        "weight_decay": DECAYS,
        "momentum_decay": st.sampled_from([0.0, 4e-3, 0.3]),
        "decoupled_weight_decay": FLAGS,
        "maximize": FLAGS,
    },
    "RAdam": {
        "lr": RATES,
        "betas": HIGH_BETAS,
        "eps": SMALL,
        "weight_decay": DECAYS,
        "decoupled_weight_decay": FLAGS,
        "maximize": FLAGS,
    },
    "RMSprop": {
        "lr": RATES,
        "alpha": st.sampled_from([0.5, 0.9, 0.99]),
        "eps": SMALL,
        "weight_decay": DECAYS,
        "momentum": st.sampled_from([0.0, 0.9]),
        "centered": FLAGS,
        "maximize": FLAGS,
    },
    "Adagrad": {
        "lr": RATES,
        "lr_decay": st.sampled_from([0.0, 0.5]),
        "weight_decay": DECAYS,
        "initial_accumulator_value": st.sampled_from([0.0, 0.1]),
        "eps": SMALL,
        "maximize": FLAGS,
    },
    "Adadelta": {
        "lr": RATES,
        "rho": st.sampled_from([0.5, 0.9]),
        "eps": SMALL,
        "weight_decay": DECAYS,
        "maximize": FLAGS,
    },
    "Rprop": {
        "lr": RATES,
        "etas": st.sampled_from([(0.5, 1.2), (0.1, 3.0)]),
        "step_sizes": st.sampled_from([(1e-6, 50), (0.01, 0.06)]),
        "maximize": FLAGS,
    },
    "Adafactor": {
        "lr": RATES,
        "beta2_decay": st.sampled_from([-0.8, -0.3, 0.0]),
        "eps": st.sampled_from([(None, 1e-3), (1e-5, 0.5)]),
        "d": st.sampled_from([1.0, 1.7]),
        "weight_decay": DECAYS,
        "maximize": FLAGS,
    },
}


def allowed(name, options):
    """What both refuse is not compared."""
    if name == "SGD" and options["nesterov"]:
        return options["momentum"] > 0 and options["dampening"] == 0
    return True


@pytest.mark.parametrize("name", OPTIONS)
@settings(max_examples=8)
@given(data=st.data())
def test_every_step_equals_pytorchs_to_rounding(name, data):
    options = data.draw(st.fixed_dictionaries(OPTIONS[name]).filter(lambda o: allowed(name, o)))
    seed = data.draw(st.integers(0, 3))
    params = start(seed)
    grads = gradients(params, STEPS, seed)
    # centered: the root of a difference that cancels magnifies the last bit
    rtol = 1e-7 if options.get("centered") else 1e-11
    assert_same_steps(
        ours(getattr(optim, name)(**options), params, grads),
        theirs(torch, name, {**options, "foreach": False}, params, grads),
        rtol,
    )


@pytest.mark.parametrize("name", OPTIONS)
def test_the_defaults_are_pytorchs(name):
    params = start()
    grads = gradients(params, 100)
    rate = {"lr": 1e-3} if name == "SGD" else {}  # ours has none to start from
    assert_same_steps(
        ours(getattr(optim, name)(**rate), params, grads),
        theirs(torch, name, {"foreach": False}, params, grads),
        1e-12,
    )


@pytest.mark.parametrize("name", OPTIONS)
def test_float32_parameters_stay_close(name):
    params = start()
    grads = gradients(params, STEPS)
    rate = {"lr": 1e-3} if name == "SGD" else {}
    assert_same_steps(
        ours(getattr(optim, name)(**rate), params, grads, "float32"),
        theirs(torch, name, {"foreach": False}, params, grads, "float32"),
        3e-5,
    )


def test_the_averages_of_asgd_are_pytorchs():
    params = start()
    grads = gradients(params, STEPS)
    opt = optim.ASGD(0.1, t0=2)
    now = {name: kj.tensor(each) for name, each in params.items()}
    state = opt.init(now)
    np.testing.assert_array_equal(opt.averaged(now, state)["w"], params["w"])
    leaves = {k: torch.tensor(v, requires_grad=True) for k, v in params.items()}
    with in_float64(torch):
        reference = torch.optim.ASGD(list(leaves.values()), lr=0.1, t0=2, foreach=False)
        for each in grads:
            now, state = opt.update(now, {k: kj.tensor(g) for k, g in each.items()}, state)
            for k, leaf in leaves.items():
                leaf.grad = torch.tensor(each[k])
            reference.step()
            average = opt.averaged(now, state)
            for k, leaf in leaves.items():
                found = reference.state[leaf]["ax"]
                np.testing.assert_allclose(average[k], found, rtol=1e-10, atol=1e-10)


# ------------------------------------------------------------------------------------ Muon

MUON = {
    "lr": RATES,
    "weight_decay": DECAYS,
    "momentum": st.sampled_from([0.0, 0.8, 0.95]),
    "nesterov": FLAGS,
    "ns_steps": st.integers(1, 6),
    "adjust_lr_fn": st.sampled_from([None, "original", "match_rms_adamw"]),
}


@settings(max_examples=8)
@given(options=st.fixed_dictionaries(MUON))
def test_muon_without_rounding_equals_pytorchs(options):
    """PyTorch's turns the matrix into bfloat16; here it is kept in float64, and so is ours."""
    params = matrices()
    grads = gradients(params, STEPS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.Tensor, "bfloat16", lambda self: self.clone())
        expected = theirs(torch, "Muon", options, params, grads)
    mine = ours(optim.Muon(**options, ns_dtype=None), params, grads)
    assert_same_steps(mine, expected, 1e-11)


@pytest.mark.parametrize("nesterov", [False, True])
def test_muon_rounds_to_bfloat16_as_pytorchs(nesterov):
    params = matrices()
    grads = gradients(params, STEPS)
    options = {"lr": 0.1, "nesterov": nesterov}
    mine = ours(optim.Muon(**options), params, grads)
    expected = theirs(torch, "Muon", options, params, grads)
    assert_same_steps(mine, expected, 0.02)
    exact = ours(optim.Muon(**options, ns_dtype=None), params, grads)
    distance = lambda steps: max(  # noqa: E731
        np.abs(one[name] - other[name]).max()
        for one, other in zip(steps, expected, strict=True)
        for name in one
    )
    assert distance(mine) < distance(exact)  # the rounding is theirs, not just any
