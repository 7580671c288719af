"""Values and gradients of composed functions equal PyTorch's, in float64, to second order.

PyTorch is another implementation by other people: what both get wrong in the same way would have to
be a coincidence. Single ops are checked against finite differences in `tests/ops`.
"""

from __future__ import annotations

import numpy as np
import pytest

import kedja as kj

torch = pytest.importorskip("torch")

RNG = np.random.default_rng(3)
X = RNG.standard_normal((4, 5))
W = RNG.standard_normal((5, 3))
V = RNG.standard_normal(3)
POSITIVE = RNG.uniform(0.5, 3, (4, 5))
LABELS = np.array([0, 2, 1, 1])
F = torch.nn.functional


def mine_layer_norm(x):
    apart = x - kj.mean(x, axis=-1, keepdims=True)
    return apart / kj.sqrt(kj.mean(apart * apart, axis=-1, keepdims=True) + 1e-5)


def mine_attention(x, w):
    q = x @ w
    scores = q @ q.T / 3**0.5
    ones = kj.tensor(np.tril(np.ones((4, 4), bool)))
    return kj.sum(kj.softmax(kj.where(ones, scores, -np.inf), axis=-1) @ x)


def torch_attention(x, w):
    q = x @ w
    scores = (q @ q.T / 3**0.5).masked_fill(~torch.tril(torch.ones(4, 4, dtype=bool)), -np.inf)
    return (torch.softmax(scores, -1) @ x).sum()


def mine_mixture(x):
    return kj.sum(kj.logsumexp(x, axis=1) ** 2) - kj.sum(kj.max(x, axis=0) * kj.min(x, axis=0))


def torch_mixture(x):
    return (torch.logsumexp(x, 1) ** 2).sum() - (torch.amax(x, 0) * torch.amin(x, 0)).sum()


def mine_angles(x, a):
    return kj.sum(kj.atan2(x, a) * kj.sin(x) + kj.cosh(kj.tanh(a)) - kj.erf(x))


def torch_angles(x, a):
    return (torch.atan2(x, a) * torch.sin(x) + torch.cosh(torch.tanh(a)) - torch.erf(x)).sum()


def mine_gather(x):
    chosen = kj.take(x, np.array([0, 0, 3]), axis=1)
    return kj.sum(chosen**2) + kj.sum(x[1:, ::-2] * x[:-1, ::2])


def torch_gather(x):
    return (x[:, [0, 0, 3]] ** 2).sum() + (x[1:].flip(1)[:, ::2] * x[:-1, ::2]).sum()


def mine_moves(x, w):
    wide = kj.concat([x.T, w], axis=1).reshape(7, 5)
    return kj.sum(wide[2:5] * kj.stack([x[0], x[1], x[0]]))


def torch_moves(x, w):
    wide = torch.cat([x.T, w], 1).reshape(7, 5)
    return (wide[2:5] * torch.stack([x[0], x[1], x[0]])).sum()


def mine_gates(x):
    return kj.sum(kj.gelu(x) * kj.silu(x) + kj.gelu(x, "tanh"))


def torch_gates(x):
    return (F.gelu(x) * F.silu(x) + F.gelu(x, approximate="tanh")).sum()


def mine_powers(a, x):
    return kj.sum(a**x + kj.log(a) * kj.sqrt(a) / (1 + x * x))


def torch_powers(a, x):
    return (a**x + torch.log(a) * torch.sqrt(a) / (1 + x * x)).sum()


# fmt: off
FUNCTIONS = {
    #               inputs      kedja                                   PyTorch
    "perceptron":   ((X, W, V), lambda x, w, b: kj.sum(kj.sigmoid(x @ w + b)),
                                lambda x, w, b: torch.sigmoid(x @ w + b).sum()),
    "tanh layer":   ((X, W),    lambda x, w: kj.mean(kj.tanh(x @ w) ** 2),
                                lambda x, w: (torch.tanh(x @ w) ** 2).mean()),
    "entropy":      ((X,),      lambda x: -kj.sum(kj.softmax(x) * kj.log_softmax(x)),
                                lambda x: -(x.softmax(-1) * x.log_softmax(-1)).sum()),
    "cross entropy": ((X, W),   lambda x, w: kj.mean(kj.cross_entropy_each(x @ w, LABELS)),
                                lambda x, w: F.cross_entropy(x @ w, torch.tensor(LABELS))),
    "layer norm":   ((X, V),    lambda x, v: kj.sum(mine_layer_norm(x)[:, :3] * v),
                                lambda x, v: (F.layer_norm(x, (5,))[:, :3] * v).sum()),
    "attention":    ((X, W),    mine_attention,                         torch_attention),
    "extrema":      ((X,),      mine_mixture,                           torch_mixture),
    "gates":        ((X,),      mine_gates,                             torch_gates),
    "elu by where": ((X,),      lambda x: kj.sum(kj.softplus(x) * kj.where(x > 0, x, kj.expm1(x))),
                                lambda x: (F.softplus(x) * F.elu(x)).sum()),
    "powers":       ((POSITIVE, X), mine_powers,                        torch_powers),
    "angles":       ((X, POSITIVE), mine_angles,                        torch_angles),
    "gather":       ((X,),      mine_gather,                            torch_gather),
    "moves":        ((X, W),    mine_moves,                             torch_moves),
    "batches":      ((X, W),    lambda x, w: kj.sum((x.reshape(2, 2, 5) @ (w * w)) ** 3),
                                lambda x, w: ((x.reshape(2, 2, 5) @ (w * w)) ** 3).sum()),
}
# fmt: on
over_functions = pytest.mark.parametrize(
    ("arrays", "mine", "theirs"), list(FUNCTIONS.values()), ids=list(FUNCTIONS)
)


def leaves(arrays):
    return [torch.tensor(each, requires_grad=True) for each in arrays]


@over_functions
def test_values_and_gradients_equal(arrays, mine, theirs):
    given = leaves(arrays)
    expected = theirs(*given)
    expected.backward()
    places = tuple(range(len(arrays)))
    value, grads = kj.value_and_grad(mine, places)(*map(kj.tensor, arrays))
    np.testing.assert_allclose(value.numpy(), expected.item(), rtol=1e-12)
    for g, leaf in zip(grads, given, strict=True):
        np.testing.assert_allclose(g.numpy(), leaf.grad.numpy(), rtol=1e-9, atol=1e-12)


@over_functions
def test_second_derivatives_equal(arrays, mine, theirs):
    """The gradient of Σ w·∇f, w fixed and random."""
    rng = np.random.default_rng(1)
    weights = [rng.standard_normal(each.shape) for each in arrays]
    given = leaves(arrays)
    grads = torch.autograd.grad(theirs(*given), given, create_graph=True)
    product = sum((g * torch.tensor(w)).sum() for g, w in zip(grads, weights, strict=True))
    expected = torch.autograd.grad(product, given, allow_unused=True)
    places = tuple(range(len(arrays)))

    def weighted(*xs):
        found = kj.grad(mine, places)(*xs)
        return sum(kj.sum(g * w) for g, w in zip(found, weights, strict=True))

    found = kj.grad(weighted, places)(*map(kj.tensor, arrays))
    for mine_g, their_g in zip(found, expected, strict=True):
        their_g = np.zeros(mine_g.shape) if their_g is None else their_g.numpy()
        np.testing.assert_allclose(mine_g.numpy(), their_g, rtol=1e-8, atol=1e-11)


@over_functions
def test_forward_mode_equals(arrays, mine, theirs):
    rng = np.random.default_rng(2)
    tangents = [rng.standard_normal(each.shape) for each in arrays]
    given = leaves(arrays)
    grads = torch.autograd.grad(theirs(*given), given)
    expected = sum((g.numpy() * t).sum() for g, t in zip(grads, tangents, strict=True))
    _, found = kj.jvp(mine, list(map(kj.tensor, arrays)), tangents)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-9, atol=1e-12)


def test_backward_accumulates_as_in_torch():
    theirs = torch.tensor(W, requires_grad=True)
    mine = kj.tensor(W, requires_grad=True)
    for _ in range(3):
        (torch.tensor(X) @ theirs).sum().backward()
        kj.sum(kj.tensor(X) @ mine).backward()
    np.testing.assert_allclose(mine.grad.numpy(), theirs.grad.numpy())


def test_steps_of_descent_are_the_same():
    """Twenty steps of gradient descent on a layer, by `backward` and an update in place."""
    theirs = torch.tensor(W, requires_grad=True)
    mine = kj.tensor(W, requires_grad=True)
    for _ in range(20):
        loss = F.cross_entropy(torch.tensor(X) @ theirs, torch.tensor(LABELS))
        (g,) = torch.autograd.grad(loss, [theirs])
        theirs = (theirs - 0.1 * g).detach().requires_grad_()
        kj.mean(kj.cross_entropy_each(kj.tensor(X) @ mine, LABELS)).backward()
        mine -= 0.1 * mine.grad
    np.testing.assert_allclose(mine.numpy(), theirs.detach().numpy(), rtol=1e-12)
