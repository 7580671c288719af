"""A layer of ours beside PyTorch's, in float64: names, outputs, gradients, both executors.

Next: `test_nn_norms.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import kedja as kj
from kedja import nn
from kedja.front import tree

RTOL = 1e-9


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    """Normal numbers in float64."""
    return np.random.default_rng([seed, *shape]).standard_normal(shape)


def flat(outputs: Any) -> list[Any]:
    """The arrays in nested tuples; None is left out."""
    if isinstance(outputs, (list, tuple)):
        return [leaf for each in outputs for leaf in flat(each)]
    return [] if outputs is None else [outputs]


def weighted(each: Any, place: int) -> np.ndarray:
    """Weights of a sum that no symmetry of a layer cancels."""
    return np.linspace(0.5, 1.5 + place, int(np.prod(each.shape))).reshape(tuple(each.shape))


def loaded(ours: nn.Module, theirs: Any) -> nn.Module:
    """Our layer in float64 with their weights; both name them alike, in one order."""
    theirs.double()
    state = theirs.state_dict()
    assert list(ours.state_dict()) == list(state)
    return ours.astype(kj.float64).load_state_dict(state)


def assert_like(
    torch: Any,
    ours: nn.Module,
    theirs: Any,
    *inputs: Any,
    train: bool = False,
    skip: tuple[str, ...] = (),
    call: Callable[..., Any] | None = None,
    **options: Any,
) -> nn.Module:
    """Outputs and gradients of all parameters and float inputs agree; returns our layer.

    `options` are keyword arguments, arrays among them; `skip` names parameters whose gradient
    PyTorch does not have.
    """
    ours = loaded(ours, theirs)
    theirs.train(train).zero_grad()
    leaves = [_leaf(torch, each) for each in inputs]
    others = {name: _leaf(torch, each, False) for name, each in options.items()}
    expected = flat(theirs(*leaves, **others))
    sum((e * torch.tensor(weighted(e, i))).sum() for i, e in enumerate(expected)).backward()

    def objective(model: Any, *arrays: Any) -> Any:
        found = flat((call or type(model).__call__)(model, *arrays, **options))
        loss = sum(kj.sum(y * kj.tensor(weighted(y, i))) for i, y in enumerate(found))
        return loss, found

    floats = [i for i, each in enumerate(inputs) if all(is_float(one) for one in flat(each))]
    argnums = (0, *(1 + i for i in floats))
    gradients, found = run(objective, argnums, ours, inputs, train)
    for y, e in zip(found, expected, strict=True):
        np.testing.assert_allclose(y, e.detach().numpy(), rtol=RTOL, atol=1e-11)
    theirs_of = dict(theirs.named_parameters())
    for name, g in gradients[0].parameters():
        if name not in skip:
            np.testing.assert_allclose(g, theirs_of[name].grad.numpy(), rtol=RTOL, atol=1e-11)
    for place, g in zip(floats, gradients[1:], strict=True):
        for one, other in zip(flat(g), flat(leaves[place]), strict=True):
            np.testing.assert_allclose(one, other.grad.numpy(), rtol=RTOL, atol=1e-11)
    return ours


def run(objective: Any, argnums: Any, ours: Any, inputs: Any, train: bool) -> Any:
    """Gradients and outputs; in training inside `nn.training`."""
    gradient = kj.grad(objective, argnums, has_aux=True)
    if not train:
        return gradient(ours, *inputs)
    with nn.training(kj.random.key(0)):
        return gradient(ours, *inputs)


def is_float(each: Any) -> bool:
    """Whether an input is an array of floats."""
    return isinstance(each, np.ndarray) and each.dtype.kind == "f"


def _leaf(torch: Any, each: Any, tracked: bool = True) -> Any:
    if isinstance(each, tuple):
        return tuple(_leaf(torch, one, tracked) for one in each)
    if not isinstance(each, np.ndarray):
        return each
    return torch.tensor(each, requires_grad=tracked and is_float(each))


def assert_same_compiled(function: Callable[..., Any], *inputs: Any, rtol: float = 1e-9) -> None:
    """A function gives the same, compiled and interpreted."""
    with kj.scope(tier="interpret"):
        expected = tree.leaves(kj.jit(function)(*inputs))
    with kj.scope(tier="compile"):
        found = tree.leaves(kj.jit(function)(*inputs))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=rtol, atol=1e-11)


def trained(function: Callable[..., Any], seed: int = 0) -> Callable[..., Any]:
    """`function(model, …)` in training, with the updated model beside its answer."""

    def both(model: Any, *inputs: Any) -> Any:
        with nn.training(kj.random.key(seed)) as state:
            y = function(model, *inputs)
        return y, state.carried(model)

    return both
