"""The other losses against PyTorch: values and gradients with all options; as layers; errors."""

from __future__ import annotations

import numpy as np
import pytest

import kedja as kj
from kedja import nn
from kedja.ground.errors import DataError, DtypeError, ShapeError, UsageError
from tests.nn.compare import assert_like_torch, deviation

torch = pytest.importorskip("torch")
F = torch.nn.functional

RNG = np.random.default_rng(0)
REDUCTIONS = ["mean", "sum", "none"]
X, Y = RNG.standard_normal((2, 3, 4)) * 2
SIGNS = RNG.choice([-1.0, 1.0], (3, 4))
BITS = (SIGNS > 0).astype(float)
WEIGHT = RNG.uniform(0.2, 2, 4)
FULL = RNG.uniform(0.2, 2, (3, 4))
LABELS = RNG.integers(0, 4, 3)
LISTS = np.array([[3, 0, -1, 1], [-1, 0, 1, 2], [0, 1, 2, 3]])
VECTORS = [RNG.standard_normal((5, 3)) for _ in range(3)]


def both(name, arrays, ours=(), **options):
    """One case: the name that both have, differentiable arrays, others, options."""
    return pytest.param(name, arrays, ours, options, id=f"{name}-{len(arrays)}-{options}")


CASES = [
    both("mse_loss", [X, Y]),
    both("mse_loss", [X, Y], weight=FULL),
    both("l1_loss", [X, Y]),
    both("l1_loss", [X, Y], weight=FULL),
    both("smooth_l1_loss", [X, Y]),
    both("smooth_l1_loss", [X, Y], beta=0.3),
    both("smooth_l1_loss", [X, Y], beta=0.0),
    both("huber_loss", [X, Y]),
    both("huber_loss", [X, Y], delta=0.4),
    both("huber_loss", [X, Y], delta=0.4, weight=FULL),
    both("poisson_nll_loss", [X, np.abs(Y)]),
    both("poisson_nll_loss", [X, np.abs(Y)], full=True),
    both("poisson_nll_loss", [np.abs(X), np.abs(Y)], log_input=False, full=True, eps=1e-3),
    both("gaussian_nll_loss", [X, Y, FULL]),
    both("gaussian_nll_loss", [X, Y, FULL], full=True, eps=1.0),
    both("gaussian_nll_loss", [X, Y, FULL[:, 0].copy()]),
    both("gaussian_nll_loss", [X, Y, FULL[:, :1].copy()]),
    both("gaussian_nll_loss", [X, Y, FULL[:1].copy()]),
    both("binary_cross_entropy", [1 / (1 + np.exp(-X)), BITS], weight=WEIGHT),
    both("binary_cross_entropy_with_logits", [X, BITS]),
    both("binary_cross_entropy_with_logits", [X, BITS], weight=WEIGHT, pos_weight=FULL),
    both("soft_margin_loss", [X], (SIGNS,)),
    both("multilabel_soft_margin_loss", [X, BITS]),
    both("multilabel_soft_margin_loss", [X, BITS], weight=WEIGHT),
    both("hinge_embedding_loss", [X], (SIGNS,)),
    both("hinge_embedding_loss", [X], (SIGNS,), margin=0.3),
    both("multi_margin_loss", [X], (LABELS,)),
    both("multi_margin_loss", [X], (LABELS,), p=2, margin=0.5, weight=WEIGHT),
    both("multi_margin_loss", [X[0].copy()], (LABELS[0],)),
    both("multilabel_margin_loss", [X], (LISTS,)),
    both("multilabel_margin_loss", [X[0].copy()], (LISTS[0],)),
    both("cosine_embedding_loss", VECTORS[:2], (np.array([1, -1, 1, -1, -1]),)),
    both("cosine_embedding_loss", VECTORS[:2], (np.array([1, -1, 1, -1, -1]),), margin=0.2),
    both("margin_ranking_loss", [X, Y], (SIGNS,)),
    both("margin_ranking_loss", [X, Y], (SIGNS,), margin=0.7),
    both("triplet_margin_loss", VECTORS),
    both("triplet_margin_loss", VECTORS, margin=3.0, p=1.0, swap=True),
    both("triplet_margin_loss", VECTORS, p=3.0, eps=1e-3, swap=True),
    both("triplet_margin_with_distance_loss", VECTORS, margin=2.0, swap=True),
]


@pytest.mark.parametrize("name, arrays, others, options", CASES)
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_values_and_gradients_equal_pytorchs(name, arrays, others, options, reduction):
    given = {k: torch.tensor(v) if hasattr(v, "shape") else v for k, v in options.items()}

    def theirs(*xs):
        return getattr(F, name)(*xs, *map(torch.tensor, others), reduction=reduction, **given)

    def ours(*xs):
        return getattr(nn, name)(*xs, *others, reduction=reduction, **options)

    def functional(*xs):
        return getattr(nn.functional, name)(*xs, *others, reduction=reduction, **options)

    for mine in (ours, functional):
        assert_like_torch(torch, mine, theirs, arrays, rtol=1e-8)


LAYERS = {
    "MSELoss": ([X, Y], {}),
    "L1Loss": ([X, Y], {}),
    "SmoothL1Loss": ([X, Y], {"beta": 0.5}),
    "HuberLoss": ([X, Y], {"delta": 0.5}),
    "PoissonNLLLoss": ([X, np.abs(Y)], {"full": True}),
    "GaussianNLLLoss": ([X, Y, FULL], {"full": True}),
    "BCELoss": ([1 / (1 + np.exp(-X)), BITS], {"weight": WEIGHT}),
    "BCEWithLogitsLoss": ([X, BITS], {"pos_weight": WEIGHT}),
    "SoftMarginLoss": ([X, SIGNS], {}),
    "MultiLabelSoftMarginLoss": ([X, BITS], {"weight": WEIGHT}),
    "HingeEmbeddingLoss": ([X, SIGNS], {"margin": 0.5}),
    "MultiMarginLoss": ([X, LABELS], {"p": 2, "weight": WEIGHT}),
    "MultiLabelMarginLoss": ([X, LISTS], {}),
    "CosineEmbeddingLoss": ([*VECTORS[:2], np.array([1, -1, 1, -1, -1])], {"margin": 0.1}),
    "MarginRankingLoss": ([X, Y, SIGNS], {"margin": 0.1}),
    "TripletMarginLoss": (VECTORS, {"swap": True}),
    "TripletMarginWithDistanceLoss": (VECTORS, {"margin": 2.0}),
    "KLDivLoss": ([np.log(FULL), np.log(FULL[::-1].copy())], {"log_target": True}),
    "CrossEntropyLoss": ([X, LABELS], {"weight": WEIGHT, "label_smoothing": 0.1}),
    "NLLLoss": ([X, LABELS], {"weight": WEIGHT}),
}


@pytest.mark.filterwarnings("ignore:reduction")
@pytest.mark.parametrize("name", LAYERS)
def test_layers_equal_pytorchs(name):
    arrays, options = LAYERS[name]
    mine = {k: kj.tensor(v) if hasattr(v, "shape") else v for k, v in options.items()}
    other = {k: torch.tensor(v) if hasattr(v, "shape") else v for k, v in options.items()}
    for reduction in REDUCTIONS:
        ours = getattr(nn, name)(reduction=reduction, **mine)
        theirs = getattr(torch.nn, name)(reduction=reduction, **other)
        expected = theirs(*map(torch.tensor, arrays))
        np.testing.assert_allclose(ours(*arrays), expected, rtol=1e-10)
        assert ours.parameters() == []  # weights are buffers
        assert dict(ours.buffers()).keys() == dict(theirs.named_buffers()).keys()


# ----------------------------------------------------------------------- without a PyTorch


def test_hinge_by_hand():
    x, y = np.array([2.0, 0.5, -1.0]), np.array([1.0, -1.0, 1.0])
    np.testing.assert_allclose(nn.hinge_loss(x, y, "none"), [0, 1.5, 2])
    np.testing.assert_allclose(nn.hinge_loss(x, y, "none", squared=True), [0, 2.25, 4])
    np.testing.assert_allclose(nn.HingeLoss(margin=0.0, reduction="sum")(x, y), 1.5)
    with pytest.raises(DataError, match="targets other than -1 and 1"):
        nn.hinge_loss(x, [0, 1, 1])


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_contrasts_are_cross_entropies_of_products(symmetric, reduction):
    def theirs(q, k):
        scores = F.normalize(q) @ F.normalize(k).T / 0.3
        place = torch.arange(len(q))
        each = F.cross_entropy(scores, place, reduction=reduction)
        if symmetric:
            each = (each + F.cross_entropy(scores.T, place, reduction=reduction)) / 2
        return each

    def ours(q, k):
        return nn.info_nce(q, k, 0.3, reduction, symmetric=symmetric)

    assert_like_torch(torch, ours, theirs, VECTORS[:2])


def test_contrasts_with_negatives_of_their_own():
    def theirs(q, k, others):
        right = (q * k).sum(-1, keepdim=True)
        scores = torch.cat([right, q @ others.T], 1) / 0.5
        return F.cross_entropy(scores, torch.zeros(len(q), dtype=torch.int64))

    def ours(q, k, others):
        return nn.info_nce(q, k, 0.5, negatives=others, normalized=False)

    assert_like_torch(torch, ours, theirs, VECTORS)
    layer = nn.InfoNCELoss(temperature=kj.tensor(0.5), normalized=False)
    assert layer(*VECTORS).item() == pytest.approx(ours(*VECTORS).item(), rel=1e-6)
    assert kj.grad(lambda loss: loss(*VECTORS))(layer).temperature.item() != 0


def test_losses_far_out_neither_overflow_nor_vanish():
    z = np.array([-1000.0, 1000.0], np.float32)
    np.testing.assert_array_equal(nn.soft_margin_loss(z, [1, 1], "none"), [1000, 0])
    rows = nn.multilabel_soft_margin_loss(z.reshape(2, 1), [[1], [1]], "none")
    np.testing.assert_array_equal(rows, [1000, 0])
    far = nn.info_nce([[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [1.0, 0.0]], 1e-3)
    assert far.item() == pytest.approx(1000)
    same = [[1.0, 2.0]]
    gradient = kj.grad(lambda a: nn.triplet_margin_loss(a, same, [[5.0, 6.0]], eps=0.0))(same)
    assert np.isfinite(gradient).all()
    zeros = np.zeros((1, 2))
    gradient = kj.grad(lambda a: nn.cosine_embedding_loss(a, zeros, [1]))(zeros)
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize(
    "loss, x",
    [
        (lambda x: nn.huber_loss(x, Y, delta=0.7), X),
        (lambda x: nn.gaussian_nll_loss(x, Y, kj.exp(x)), X),
        (lambda x: nn.poisson_nll_loss(x, np.abs(Y), full=True), X),
        (lambda x: nn.multi_margin_loss(x, LABELS, p=2), X),
        (lambda x: nn.multilabel_margin_loss(x, LISTS), X),
        (lambda x: nn.triplet_margin_loss(x, *VECTORS[1:]), VECTORS[0]),
        (lambda x: nn.info_nce(x, VECTORS[1], symmetric=True), VECTORS[0]),
    ],
)
def test_derivatives_equal_finite_differences(loss, x):
    assert deviation(loss, x) < 1e-6


def test_the_gradient_passes_to_a_variance_that_is_held():
    gradient = kj.grad(lambda v: nn.gaussian_nll_loss([1.0], [0.0], v, eps=0.5))(np.array([0.1]))
    leaf = torch.tensor([0.1], dtype=torch.float64, requires_grad=True)
    F.gaussian_nll_loss(torch.tensor([1.0]), torch.tensor([0.0]), leaf, eps=0.5).backward()
    np.testing.assert_allclose(gradient, leaf.grad)


@pytest.mark.parametrize("tier", ["interpret", "compile"])
def test_every_layer_works_inside_jit(tier):
    with kj.scope(tier=tier):
        for name in ("HuberLoss", "MultiMarginLoss", "MultiLabelMarginLoss", "TripletMarginLoss"):
            arrays, options = LAYERS[name]
            given = {k: kj.tensor(v) if hasattr(v, "shape") else v for k, v in options.items()}
            layer = getattr(nn, name)(**given)
            graded = kj.value_and_grad(lambda layer, x, *rest: layer(x, *rest), 1)
            found = kj.jit(graded)(layer, *arrays)
            expected = layer(*arrays)
            np.testing.assert_allclose(found[0], expected, rtol=1e-12)
            assert np.isfinite(found[1]).all()


@pytest.mark.parametrize(
    "call, error, what",
    [
        (lambda: nn.huber_loss(X, Y, delta=0), UsageError, "delta=0"),
        (lambda: nn.smooth_l1_loss(X, Y, beta=-1), UsageError, "beta=-1"),
        (lambda: nn.multi_margin_loss(X, LABELS, p=3), UsageError, "p=3"),
        (lambda: nn.multi_margin_loss(X, LABELS + 9), DataError, "with 4 classes"),
        (lambda: nn.multilabel_margin_loss(X, LISTS + 0.0), DtypeError, "labels of float64"),
        (lambda: nn.multilabel_margin_loss(X, LISTS[:2]), ShapeError, "labels [2, 4]"),
        (lambda: nn.multilabel_margin_loss(X, LISTS + 1), DataError, "no class"),
        (lambda: nn.triplet_margin_loss(*VECTORS, margin=0), UsageError, "margin=0"),
        (lambda: nn.cosine_embedding_loss(*VECTORS[:2], [1, 1]), ShapeError, "targets [2]"),
        (lambda: nn.cosine_embedding_loss(*VECTORS[:2], [0] * 5), DataError, "-1 and 1"),
        (lambda: nn.margin_ranking_loss(X, Y, np.ones(3)), ShapeError, "[3, 4]"),
        (lambda: nn.gaussian_nll_loss(X, Y, -FULL), DataError, "a variance below 0"),
        (lambda: nn.gaussian_nll_loss(X, Y, np.ones(2)), ShapeError, "variances [2]"),
        (lambda: nn.info_nce(X, Y[:2]), ShapeError, "keys [2, 4]"),
        (lambda: nn.info_nce(X, Y, negatives=np.ones((2, 3))), ShapeError, "negatives [2, 3]"),
        (lambda: nn.info_nce(X, Y, negatives=Y, symmetric=True), UsageError, "symmetric"),
        (lambda: nn.mse_loss(X, Y, weight=np.ones(3)), ShapeError, "weight [3]"),
        (lambda: nn.soft_margin_loss(X, SIGNS, "all"), UsageError, "reduction 'all'"),
    ],
)
def test_wrong_use_is_named(call, error, what):
    with pytest.raises(error) as caught:
        call()
    assert what in str(caught.value)
