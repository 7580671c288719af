"""What goes around optimisers: clipping, accumulation, averages, groups; Lion and Muon alone."""

from __future__ import annotations

import numpy as np
import pytest

import kedja as kj
from kedja import nn, optim
from kedja.front import tree
from kedja.ground.errors import ShapeError, UsageError
from tests.optim.against_torch import gradients, ours, start

RNG = np.random.default_rng(0)
TIERS = ["interpret", "compile"]


def tensors(arrays):
    return {name: kj.tensor(each) for name, each in arrays.items()}


# -------------------------------------------------------------------------------- clipping


@pytest.mark.parametrize("norm_type", [1.0, 2.0, 3.5, float("inf")])
@pytest.mark.parametrize("max_norm", [0.5, 1e4])
def test_clipping_by_norm_is_pytorchs(norm_type, max_norm):
    torch = pytest.importorskip("torch")
    grads = gradients(start(), 1)[0]
    leaves = {name: torch.zeros(each.shape, dtype=torch.float64) for name, each in grads.items()}
    for name, leaf in leaves.items():
        leaf.grad = torch.tensor(grads[name])
    expected = torch.nn.utils.clip_grad_norm_(leaves.values(), max_norm, norm_type)
    found, norm = optim.clip_grad_norm(tensors(grads), max_norm, norm_type)
    assert norm.item() == pytest.approx(expected.item(), rel=1e-12)
    for name, leaf in leaves.items():
        np.testing.assert_allclose(found[name], leaf.grad, rtol=1e-12)


def test_clipping_by_value_is_pytorchs():
    torch = pytest.importorskip("torch")
    grads = gradients(start(), 1)[0]
    found = optim.clip_grad_value(tensors(grads), 0.3)
    for name, each in grads.items():
        leaf = torch.zeros(each.shape, dtype=torch.float64)
        leaf.grad = torch.tensor(each)
        torch.nn.utils.clip_grad_value_([leaf], 0.3)
        np.testing.assert_array_equal(found[name], leaf.grad)


def test_norms_of_nothing_and_of_empty_arrays():
    assert optim.global_norm({}).item() == 0
    for norm_type in (2.0, float("inf")):
        assert optim.global_norm({"a": kj.zeros(0)}, norm_type).item() == 0
        clipped, _ = optim.clip_grad_norm({"a": kj.zeros(0), "b": kj.zeros(2)}, 1.0, norm_type)
        np.testing.assert_array_equal(clipped["b"], [0, 0])


def test_the_norm_of_half_dtypes_does_not_overflow():
    g = kj.full((100,), 3000.0, "float16")
    assert optim.global_norm(g).item() == pytest.approx(30000)
    clipped, _ = optim.clip_grad_norm(g, 1.0)
    assert clipped.dtype == kj.float16
    np.testing.assert_allclose(clipped.numpy().astype(float), 0.1, rtol=1e-2)


def test_optimizers_clip():
    params, grads = start(), gradients(start(), 5)
    clipped = [
        {k: g.numpy() for k, g in optim.clip_grad_norm(tensors(each), 0.1)[0].items()}
        for each in grads
    ]
    found = ours(optim.ClipNorm(optim.Adam(0.1), 0.1), params, grads)
    for one, other in zip(found, ours(optim.Adam(0.1), params, clipped), strict=True):
        for name in params:
            np.testing.assert_allclose(one[name], other[name], rtol=1e-14)
    held = [{k: np.clip(g, -0.1, 0.1) for k, g in each.items()} for each in grads]
    found = ours(optim.ClipValue(optim.SGD(0.1), 0.1), params, grads)
    for one, other in zip(found, ours(optim.SGD(0.1), params, held), strict=True):
        np.testing.assert_array_equal(one["w"], other["w"])


# ------------------------------------------------------------------- accumulation, averages


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("inside_jit", [False, True])
def test_four_small_batches_count_as_a_large_one(tier, inside_jit):
    params, grads = start(), gradients(start(), 12)
    whole = [
        {name: sum(each[name] for each in grads[i : i + 4]) / 4 for name in params}
        for i in (0, 4, 8)
    ]
    expected = ours(optim.AdamW(0.1), params, whole)
    opt = optim.Accumulate(optim.AdamW(0.1), 4)
    with kj.scope(tier=tier):
        update = kj.jit(opt.update) if inside_jit else opt.update
        now, state = tensors(params), opt.init(tensors(params))
        for step, each in enumerate(grads):
            before = now
            now, state = update(now, tensors(each), state)
            done = (step + 1) // 4
            target = expected[done - 1] if done else params
            for name in params:
                np.testing.assert_allclose(now[name], target[name], rtol=1e-10, atol=1e-14)
                if (step + 1) % 4:
                    np.testing.assert_array_equal(now[name], before[name])
    assert state["inner"]["step"].item() == 3


def test_averages_are_pytorchs():
    torch = pytest.importorskip("torch")
    swa = torch.optim.swa_utils
    model = torch.nn.Linear(3, 2).double()
    averaged = swa.AveragedModel(model, multi_avg_fn=swa.get_ema_multi_avg_fn(0.8))
    reference = torch.optim.SGD(model.parameters(), lr=0.1)
    params = {k: kj.tensor(v.detach().numpy()) for k, v in model.named_parameters()}
    opt = optim.EMA(optim.SGD(0.1), decay=0.8)
    state = opt.init(params)
    for _ in range(6):
        grads = {k: RNG.standard_normal(v.shape) for k, v in params.items()}
        for k, leaf in model.named_parameters():
            leaf.grad = torch.tensor(grads[k])
        reference.step()
        averaged.update_parameters(model)
        params, state = opt.update(params, tensors(grads), state)
        found = opt.averaged(params, state)
        for k, leaf in averaged.module.named_parameters():
            np.testing.assert_allclose(found[k], leaf.detach().numpy(), rtol=1e-12)


def test_averages_are_found_through_wrappers_and_groups():
    inner = optim.EMA(optim.SGD(0.5), 0.5)
    opt = optim.ClipNorm(optim.Groups({"a": inner, "b": optim.SGD(0.5)}, {"x": "a", "*": "b"}), 9)
    params = {"x": kj.tensor(0.0), "y": kj.tensor(0.0)}
    state = opt.init(params)
    for g in (1.0, 2.0):
        params, state = opt.update(params, {k: kj.tensor(g) for k in params}, state)
    found = opt.averaged(params, state)
    assert [found["x"].item(), found["y"].item()] == pytest.approx([-1.0, -1.5])


# ---------------------------------------------------------------------------------- groups


def test_groups_are_pytorchs():
    torch = pytest.importorskip("torch")
    params, grads = start(), gradients(start(), 5)
    leaves = {k: torch.tensor(v, requires_grad=True) for k, v in params.items()}
    groups = [
        {"params": [leaves["w"], leaves["k"]], "weight_decay": 0.3},
        {"params": [leaves["b"], leaves["s"]], "weight_decay": 0.0, "lr": 0.02},
    ]
    reference = torch.optim.AdamW(groups, lr=0.1)
    found = ours(optim.no_decay(optim.AdamW(0.1, weight_decay=0.3), lr=0.02), params, grads)
    for each, one in zip(grads, found, strict=True):
        for k, leaf in leaves.items():
            leaf.grad = torch.tensor(each[k])
        reference.step()
        for k, leaf in leaves.items():
            np.testing.assert_allclose(one[k], leaf.detach().numpy(), rtol=1e-12)


def network():
    return nn.mlp([3, 4, 2], "tanh", key=kj.random.key(0)).astype(kj.float64)


def test_groups_by_path_and_frozen_parameters():
    net = network()
    opt = optim.Groups(
        {"frozen": optim.Frozen(), "slow": optim.SGD(0.1), "fast": optim.SGD(1.0)},
        by={"0.*": "frozen", "*.bias": "slow", "*": "fast"},
    )
    ones = tree.map(kj.ones_like, net)
    moved, state = opt.update(net, ones, opt.init(net))
    change = {k: (before - after).mean().item() for (k, before), (_, after) in zip(
        net.parameters(), moved.parameters(), strict=True
    )}  # fmt: skip
    assert change == pytest.approx({"0.weight": 0, "0.bias": 0, "2.weight": 1, "2.bias": 0.1})
    assert sorted(state) == ["fast", "frozen", "slow"]
    faster = opt.with_lr(2.0)
    assert {each.lr for each in faster.optimizers.values()} == {2.0}


def test_unknown_groups_are_named():
    net = network()
    wrong = optim.Groups({"fast": optim.SGD(1.0)}, by=lambda path, p: "fats")
    with pytest.raises(UsageError, match=r"'0\.weight' belongs to the group 'fats'") as error:
        wrong.init(net)
    assert "did you mean 'fast'" in error.value.fix
    with pytest.raises(UsageError, match=r"no pattern fits the parameter '0\.weight'"):
        optim.Groups({"fast": optim.SGD(1.0)}, by={"2.*": "fast"}).init(net)
    with pytest.raises(UsageError, match="groups have a rate each"):
        _ = wrong.lr
    with pytest.raises(UsageError, match="by=3"):
        optim.Groups({"fast": optim.SGD(1.0)}, by=3)
    with pytest.raises(UsageError, match="has no weight decay"):
        optim.no_decay(optim.SGD(0.1))


@pytest.mark.parametrize("kind", [optim.ClipNorm, optim.ClipValue, optim.EMA, optim.Accumulate])
def test_only_optimizers_are_wrapped(kind):
    for wrong in (0.1, optim.SGD, None):
        with pytest.raises(UsageError, match="no optimizer"):
            kind(wrong)


@pytest.mark.parametrize(
    "make, what",
    [
        (lambda o: optim.ClipNorm(o, -1), "max_norm=-1"),
        (lambda o: optim.ClipNorm(o, 1.0, 0), "norm_type=0"),
        (lambda o: optim.ClipValue(o, -1), "clip_value=-1"),
        (lambda o: optim.EMA(o, 1.0), "decay=1.0"),
        (lambda o: optim.Accumulate(o, 0), "steps=0"),
        (lambda o: optim.Muon(adjust_lr_fn="none"), "adjust_lr_fn='none'"),
        (lambda o: optim.Muon(ns_steps=100), "ns_steps=100"),
        (lambda o: optim.Muon(ns_dtype="int32"), "ns_dtype='int32'"),
        (lambda o: optim.Adafactor(d=0.0), "d=0.0"),
        (lambda o: optim.Adafactor(beta2_decay=0.8), "beta2_decay=0.8"),
        (lambda o: optim.Adafactor(eps=(-1e-30, 1e-3)), "eps=-1e-30"),
        (lambda o: optim.Rprop(etas=(1.0, 0.5)), "etas=(1.0, 0.5)"),
        (lambda o: optim.Adagrad(lr_decay=-0.5), "lr_decay=-0.5"),
        (lambda o: optim.Adadelta(rho=1.1), "rho=1.1"),
        (lambda o: optim.NAdam(momentum_decay=-0.2), "momentum_decay=-0.2"),
        (lambda o: optim.RAdam(betas=(1.0, 0.0)), "betas=1.0"),
        (lambda o: optim.SGD(0.1, momentum="high"), "momentum='high'"),
        (lambda o: optim.Lion(betas=(0.9, 1.0)), "betas=1.0"),
    ],
)
def test_options_out_of_range_are_named(make, what):
    with pytest.raises(UsageError) as error:
        make(optim.SGD(0.1))
    assert what in str(error.value)


# -------------------------------------------------------------------------- Lion and Muon


@pytest.mark.parametrize("decay", [0.0, 0.2])
def test_lion_by_its_formula(decay):
    params, grads = start(), gradients(start(), 6)
    found = ours(optim.Lion(0.1, betas=(0.8, 0.95), weight_decay=decay), params, grads)
    for name, p in params.items():
        m = np.zeros_like(p)
        for each, after in zip(grads, found, strict=True):
            g = each[name]
            p = p - 0.1 * (np.sign(0.8 * m + (1 - 0.8) * g) + decay * p)
            m = 0.95 * m + (1 - 0.95) * g
            np.testing.assert_allclose(after[name], p, rtol=1e-12)


@pytest.mark.parametrize("shape", [(5, 5), (8, 3), (3, 8), (1, 4)])
def test_muons_matrix_is_nearly_orthogonal(shape):
    from_singular = np.linalg.svd(
        optim.muon.orthogonalized(kj.tensor(RNG.standard_normal(shape)), steps=8).numpy(),
        compute_uv=False,
    )
    assert (from_singular > 0.5).all()
    assert (from_singular < 1.3).all()


def test_muon_is_for_matrices():
    with pytest.raises(ShapeError, match=r"'0\.bias' has shape \[4\]") as error:
        optim.Muon().init(network())
    assert "kj.optim.Groups" in error.value.fix


def test_loops_of_updates_grow_no_graph():
    opt, w = optim.EMA(optim.Adam(0.1)), kj.tensor([1.0, 2.0])
    state = opt.init(w)
    for _ in range(3):
        w, state = opt.update(w, kj.tensor([1.0, 1.0]), state)
        assert all(not each.node.inputs for each in tree.leaves((w, state)))
