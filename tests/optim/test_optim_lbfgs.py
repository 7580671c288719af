"""L-BFGS: PyTorch's steps, evaluations and decisions; its state; errors of wrong use."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kedja as kj
from kedja import nn, optim
from kedja.front import tree
from kedja.ground.errors import DtypeError, TracingError, UsageError

RNG = np.random.default_rng(0)
HESSIAN = (lambda a: a @ a.T + 0.1 * np.eye(6))(RNG.standard_normal((6, 6)))
START = RNG.standard_normal((2, 3))


def quadratic(xp, w):
    """w A w/2 − Σw."""
    flat = w.reshape(6)
    return xp.sum(flat * (xp.asarray(HESSIAN) @ flat)) / 2 - xp.sum(flat)


def rosenbrock(xp, w):
    """A bent valley: the search must turn."""
    x = w.reshape(6)
    return xp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def rough(xp, w):
    """Far from a quadratic: brackets must be zoomed into."""
    return xp.sum(xp.sin(3 * w) + 0.1 * w * w) + xp.sum(xp.exp(-w * w)) * 2


LOSSES = {"quadratic": quadratic, "rosenbrock": rosenbrock, "rough": rough}


def theirs(torch, loss, options, updates, start=START):
    w = torch.tensor(start, requires_grad=True)
    opt = torch.optim.LBFGS([w], **options)

    def closure():
        opt.zero_grad()
        value = loss(torch, w)
        value.backward()
        return value

    found = []
    for _ in range(updates):
        before = opt.step(closure).item()
        state = opt.state[w]
        found.append((w.detach().numpy().copy(), before, state["func_evals"], state["n_iter"]))
    return found


@pytest.mark.parametrize("name", LOSSES)
@settings(max_examples=25, derandomize=True)  # a search decides on the last bit, if rarely
@given(
    options=st.fixed_dictionaries(
        {
            "lr": st.sampled_from([1.0, 0.1, 1e-3]),
            "max_iter": st.sampled_from([1, 4, 20]),
            "max_eval": st.sampled_from([None, 3, 50]),
            "history_size": st.sampled_from([1, 3, 100]),
            "tolerance_grad": st.sampled_from([1e-7, 0.1]),
            "tolerance_change": st.sampled_from([1e-9, 1e-3]),
            "line_search_fn": st.sampled_from([None, "strong_wolfe"]),
        }
    )
)
def test_every_update_equals_pytorchs(name, options):
    """As closely as PyTorch follows itself from a start that differs in the last bits.

    Where a step is not searched for, rounding may grow tenfold with every move.
    """
    torch = pytest.importorskip("torch")
    loss = LOSSES[name]
    expected = theirs(torch, loss, options, 4)
    shaken = theirs(torch, loss, options, 4, START * (1 + 1e-14))
    opt, w = optim.LBFGS(**options), kj.tensor(START)
    state = opt.init(w)
    for (end, before, *counts), (other, *_, looks, moves) in zip(expected, shaken, strict=True):
        noise = np.abs(end - other).max()
        if not noise < 1e-9 or counts != [looks, moves]:
            return  # from here on PyTorch does not follow itself
        w, state = opt.update(w, lambda w: loss(kj, w), state)
        np.testing.assert_allclose(w, end, rtol=1e-12, atol=1e3 * noise + 1e-12)
        assert state["loss"].item() == pytest.approx(before, rel=1e-9, abs=1e6 * noise + 1e-9)
        assert [state["evaluations"].item(), state["step"].item()] == counts


@pytest.mark.parametrize("name", LOSSES)
def test_a_minimum_is_found(name):
    opt, w = optim.LBFGS(line_search_fn="strong_wolfe", max_iter=100), kj.tensor(START)
    loss = lambda w: LOSSES[name](kj, w)  # noqa: E731
    w, _ = opt.update(w, loss, opt.init(w))
    assert np.abs(kj.grad(loss)(w).numpy()).max() < 1e-4


def test_a_module_is_fitted_by_a_compiled_loss_with_data():
    x = RNG.standard_normal((40, 3))
    y = x @ np.array([[1.0], [-2.0], [0.5]]) + 3

    @kj.jit
    def loss(model, x, y):
        return nn.mse_loss(model(x), y)

    model = nn.Linear(3, 1).astype(kj.float64)
    opt = optim.LBFGS(line_search_fn="strong_wolfe")
    state = opt.init(model)
    for _ in range(3):
        model, state = opt.update(model, loss, state, x, y)
    np.testing.assert_allclose(model.weight, [[1.0, -2.0, 0.5]], atol=1e-4)
    np.testing.assert_allclose(model.bias, [3.0], atol=1e-4)


def test_the_state_is_a_tree_of_tensors_from_which_it_goes_on():
    opt, loss = optim.LBFGS(max_iter=3), lambda w: quadratic(kj, w)
    w = kj.tensor(START)
    state = opt.init(w)
    w, state = opt.update(w, loss, state)
    leaves, structure = tree.flatten(state)
    copied = tree.unflatten(structure, [kj.tensor(each.numpy()) for each in leaves])
    assert structure == tree.flatten(opt.init(w))[1]
    one, other = opt.update(w, loss, state)[0], opt.update(w, loss, copied)[0]
    np.testing.assert_array_equal(one, other)


def test_dtypes_and_marks_are_kept():
    w = {"a": kj.tensor([3.0], requires_grad=True), "b": kj.ones(2, kj.float64)}
    opt = optim.LBFGS()
    moved, _ = opt.update(w, lambda w: kj.sum(w["a"] ** 2) + kj.sum(w["b"] ** 2), opt.init(w))
    assert moved["a"].requires_grad
    assert [moved["a"].dtype, moved["b"].dtype] == [kj.float32, kj.float64]
    assert abs(moved["a"].item()) < 1e-3


def test_it_stops_at_once_where_the_loss_is_flat():
    opt, w = optim.LBFGS(), kj.tensor([1.0, 2.0])
    moved, state = opt.update(w, lambda w: kj.sum(w * 0), opt.init(w))
    np.testing.assert_array_equal(moved, w)
    assert [state["evaluations"].item(), state["step"].item()] == [1, 0]


def test_wrong_use_is_named():
    opt, w = optim.LBFGS(), kj.tensor([1.0, 2.0])
    state = opt.init(w)
    with pytest.raises(UsageError, match="L-BFGS was given Tensor for the loss"):
        opt.update(w, w, state)
    with pytest.raises(TracingError, match="decides on values"):
        kj.jit(lambda w: opt.update(w, kj.sum, state)[0])(w)
    with pytest.raises(DtypeError, match="is int64"):
        opt.init(kj.tensor([1, 2]))
    for options in ({"max_iter": 0}, {"history_size": 2.5}, {"line_search_fn": "armijo"}):
        with pytest.raises(UsageError, match=str(next(iter(options.values())))):
            optim.LBFGS(**options)
