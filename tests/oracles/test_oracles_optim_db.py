"""PyTorch's optimiser database as an oracle: the same steps in float64, to rounding.

With all that one program may ask of an optimiser at once, see `tests/optim/test_optim_torch.py`.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

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
pytest.importorskip("expecttest", reason="PyTorch's databases need it")
pytestmark = pytest.mark.filterwarnings("ignore")  # PyTorch's own

NAMES = "ASGD Adadelta Adafactor Adagrad Adam AdamW Adamax LBFGS Muon NAdam RAdam RMSprop Rprop SGD"
NOT_OFFERED = {"SparseAdam": "kedja has no sparse gradients"}
STEPS = 10
RTOL = 1e-11


@pytest.fixture(scope="module")
def optimizers():
    """The entries by name. Importing them takes seconds."""
    torch.set_num_threads(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torch.testing._internal.common_optimizers import optim_db  # takes seconds

        return {each.optim_cls.__name__: each for each in optim_db}


def cases(info: Any) -> list[dict[str, Any]]:
    """The options of every input; rates that are tensors in float64, as everything here."""
    found = info.optim_inputs_func(device="cpu", dtype=torch.float64)
    wide = lambda x: x.double() if isinstance(x, torch.Tensor) else x  # noqa: E731
    return [{name: wide(x) for name, x in each.kwargs.items()} for each in found]


def plain(name: str, options: dict[str, Any]) -> dict[str, Any]:
    """The options with numbers for tensors; PyTorch's SGD has a rate by default."""
    rate = {"lr": 1e-3} if name == "SGD" else {}
    numbers = {k: v.item() if isinstance(v, torch.Tensor) else v for k, v in options.items()}
    return {**rate, **numbers}


def assert_steps(name: str, options: dict[str, Any], change: dict[str, Any] | None = None) -> None:
    """Ours, with some options changed, gives what PyTorch's gives."""
    params = matrices() if name == "Muon" else start()
    grads = gradients(params, STEPS)
    exact = {"ns_dtype": None} if name == "Muon" else {}
    mine = getattr(optim, name)(**plain(name, options), **exact, **(change or {}))
    kind = {} if name == "Muon" else {"foreach": False}
    assert_same_steps(
        ours(mine, params, grads), theirs(torch, name, {**options, **kind}, params, grads), RTOL
    )


@pytest.mark.parametrize("name", [name for name in NAMES.split() if name != "LBFGS"])
def test_steps_equal_pytorchs(name, optimizers, monkeypatch):
    """PyTorch's Muon turns matrices into bfloat16; here they stay in float64, as in ours."""
    if name == "Muon":
        monkeypatch.setattr(torch.Tensor, "bfloat16", lambda self: self.clone())
    for options in cases(optimizers[name]):
        assert_steps(name, options)


def bowl(xp: Any, w: Any) -> Any:
    """A quadratic, longer in one direction than in others."""
    x = w.reshape(6)
    return xp.sum((x[1:] - x[:-1]) ** 2) + xp.sum(x * x) / 10 - xp.sum(x)


def test_steps_of_lbfgs_equal_pytorchs(optimizers):
    """Twice four moves: where a step is not searched for, each move magnifies rounding tenfold."""
    for options in ({**each, "max_iter": 4} for each in cases(optimizers["LBFGS"])):
        w = torch.tensor(np.linspace(-1.2, 1.0, 6), requires_grad=True)
        with in_float64(torch):
            reference = torch.optim.LBFGS([w], **options)
        mine, now = optim.LBFGS(**plain("LBFGS", options)), kj.tensor(w.detach().numpy().copy())
        state = mine.init(now)
        for _ in range(2):
            reference.step(lambda w=w, opt=reference: backward(opt, w))
            now, state = mine.update(now, lambda p: bowl(kj, p), state)
            np.testing.assert_allclose(now, w.detach().numpy(), rtol=1e-9)


def backward(opt: Any, w: Any) -> Any:
    """PyTorch's closure."""
    opt.zero_grad()
    value = bowl(torch, w)
    value.backward()
    return value


def test_every_optimiser_that_both_have_is_compared(optimizers):
    assert {name for name in optimizers if hasattr(optim, name)} == set(NAMES.split())
    assert set(optimizers) - set(NAMES.split()) == set(NOT_OFFERED)


@pytest.mark.parametrize(("name", "change"), [("Adam", {"eps": 1e-7}), ("SGD", {"momentum": 0.1})])
def test_a_planted_difference_is_found(name, change):
    with pytest.raises(AssertionError, match="at step"):
        assert_steps(name, {}, change)
