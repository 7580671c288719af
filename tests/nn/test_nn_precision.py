"""Mixed precision: what is rounded and what is not; gradients, jit, fit; the loss curve."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

import kedja as kj
from kedja import nn, optim
from kedja.ground.errors import CheckpointError, DtypeError, UsageError

RNG = np.random.default_rng(0)
TIERS = ["interpret", "compile"]


def rounded(x):
    """x with the seven bits after the point that bfloat16 has."""
    return np.asarray(x, np.float32).astype(ml_dtypes.bfloat16).astype(np.float32)


def rows(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


A, B = rows(5, 64), rows(64, 3)


@pytest.fixture(params=TIERS)
def tier(request):
    with kj.scope(tier=request.param):
        yield request.param


# --------------------------------------------------------------------------- what is rounded


def test_products_round_their_inputs_and_once_their_result(tier):
    mixed = kj.mixed_precision(kj.matmul)
    exact = rounded(A) @ rounded(B)
    found = mixed(A, B)
    assert found.dtype == kj.float32
    np.testing.assert_array_equal(found, rounded(found))
    np.testing.assert_allclose(found, exact, rtol=2**-8, atol=1e-6)
    wrong = np.abs(rounded(exact) - found.numpy()) > 0
    assert wrong.mean() < 0.1  # where float32's sums differ in their last bit
    assert np.abs(found.numpy() - A @ B).max() > 1e-4


def test_sums_stay_in_float32(tier):
    """256 + 1 is 256 in bfloat16: a sum that were rounded at each step would stop there."""
    ones = np.ones((1, 4096), np.float32)
    assert kj.mixed_precision(kj.matmul)(ones, ones.T).item() == 4096


def test_products_of_the_gradients_are_rounded_too(tier):
    weight = rows(5, 3)
    loss = kj.mixed_precision(lambda a, b: kj.sum((a @ b) * weight))
    of_a, of_b = kj.grad(loss, (0, 1))(A, B)
    assert of_a.dtype == of_b.dtype == kj.float32
    np.testing.assert_allclose(of_a, rounded(weight) @ rounded(B).T, rtol=2**-7, atol=1e-2)
    np.testing.assert_array_equal(of_a, rounded(of_a))
    np.testing.assert_array_equal(of_b, rounded(of_b))


@pytest.mark.parametrize(
    "function",
    [
        lambda x: kj.sum(x * x),
        lambda x: kj.softmax(x),
        lambda x: nn.functional.layer_norm(x, x.shape[-1]),
        lambda x: nn.cross_entropy(x, np.arange(5)),
        lambda x: kj.exp(x) + 1,
    ],
)
def test_everything_else_is_as_it_was(function):
    np.testing.assert_array_equal(
        kj.mixed_precision(function)(kj.tensor(A)), function(kj.tensor(A))
    )


@pytest.mark.parametrize(
    "layer, shape",
    [
        (lambda: nn.Linear(64, 4, key=kj.random.key(0)), (5, 64)),
        (lambda: nn.Conv2d(2, 3, 3, key=kj.random.key(0)), (1, 2, 6, 6)),
        (lambda: nn.ConvTranspose1d(2, 3, 3, key=kj.random.key(0)), (1, 2, 6)),
        (lambda: nn.LSTM(4, 3, key=kj.random.key(0)), (5, 2, 4)),
        (lambda: nn.TransformerEncoderLayer(8, 2, 16, key=kj.random.key(0)), (1, 5, 8)),
    ],
)
def test_layers_compute_their_products_in_bfloat16(layer, shape):
    model, x = layer(), kj.tensor(rows(*shape))
    one = lambda y: y[0] if isinstance(y, tuple) else y  # noqa: E731
    exact, found = one(model(x)), one(kj.mixed_precision(model)(x))
    assert found.dtype == kj.float32
    distance = np.abs(exact.numpy() - found.numpy()).max()
    assert 0 < distance < 0.05


def test_attention_is_computed_in_bfloat16(tier):
    q, k, v = (kj.tensor(rows(1, 2, 6, 8)) for _ in range(3))
    attention = nn.functional.scaled_dot_product_attention
    exact, found = attention(q, k, v), kj.mixed_precision(attention)(q, k, v)
    np.testing.assert_array_equal(found, rounded(found))
    assert 0 < np.abs(exact.numpy() - found.numpy()).max() < 0.05


def test_narrow_products_are_left_alone_and_wide_ones_come_back():
    half = kj.mixed_precision(kj.matmul)(kj.tensor(A, "bfloat16"), kj.tensor(B, "bfloat16"))
    assert half.dtype == kj.bfloat16
    wide = kj.mixed_precision(kj.matmul)(A.astype(np.float64), B.astype(np.float64))
    assert wide.dtype == kj.float64
    np.testing.assert_array_equal(wide, rounded(wide))
    whole = kj.mixed_precision(kj.matmul)(kj.ones((2, 2), "int32"), kj.ones((2, 2), "int32"))
    assert whole.dtype == kj.int32
    np.testing.assert_array_equal(kj.mixed_precision(kj.matmul, "float32")(A, B), kj.matmul(A, B))


# ------------------------------------------------------------------------------- composition


def test_jit_knows_the_policy(tier):
    product = kj.jit(kj.matmul)
    mixed = kj.mixed_precision(product)
    for _ in range(2):
        exact, rough = product(A, B), mixed(A, B)
        np.testing.assert_array_equal(rough, rounded(rough))
        np.testing.assert_allclose(exact, A @ B, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(kj.jit(kj.mixed_precision(kj.matmul))(A, B), mixed(A, B))


def test_transformations_go_through_it():
    mixed = kj.mixed_precision(lambda a, b: kj.sum(kj.tanh(a @ b)))
    batched = kj.vmap(kj.grad(mixed), in_axes=(0, None))(np.stack([A, 2 * A]), B)
    for one, a in zip(batched, (A, 2 * A), strict=True):
        np.testing.assert_allclose(one, kj.grad(mixed)(a, B), rtol=2**-7, atol=1e-3)

    def step(c, x):
        return c, kj.matmul(c, x)

    _, products = kj.mixed_precision(lambda c, xs: kj.scan(step, c, xs))(A, np.stack([B, B]))
    np.testing.assert_array_equal(products[1], rounded(products[1]))


def test_the_policy_holds_in_its_scope_alone():
    policy = nn.Policy()
    with policy.scope():
        inside = kj.matmul(A, B)
        with nn.Policy("float32").scope():
            np.testing.assert_array_equal(kj.matmul(A, B), A @ B)
    np.testing.assert_array_equal(inside, rounded(inside))
    np.testing.assert_allclose(kj.matmul(A, B), A @ B, rtol=1e-6)
    assert policy.compute == "bfloat16"


# ----------------------------------------------------------------------------------- modules


def network():
    layers = [
        nn.Linear(64, 8, key=kj.random.key(0)),
        nn.BatchNorm1d(8),
        nn.ReLU(),
        nn.Linear(8, 3, key=kj.random.key(1)),
    ]
    return nn.Sequential(*layers)


def test_a_module_keeps_its_names_weights_and_buffers():
    model = network()
    mixed = kj.mixed_precision(model)
    assert list(mixed.state_dict()) == list(model.state_dict())
    assert [path for path, _ in mixed.parameters()] == [path for path, _ in model.parameters()]
    assert all(leaf.dtype == kj.float32 for _, leaf in mixed.parameters())
    again = mixed.load_state_dict(model.state_dict())
    np.testing.assert_array_equal(again(A), mixed(A))
    with nn.training() as state:
        mixed(A)
    moved = state.updated(mixed)
    assert moved.model[1].num_batches_tracked.item() == 1
    inner = nn.Sequential(mixed, nn.ReLU())
    assert next(iter(inner.state_dict())) == "0.0.weight"
    with pytest.raises(Exception, match=r"layer 0\.0 \(Linear\)"):
        inner(np.zeros((2, 5), np.float32))


def test_gradients_are_shaped_like_the_module(tier):
    mixed = kj.mixed_precision(network())

    def loss(model):
        return nn.cross_entropy(model(A), [0, 1, 2, 0, 1])

    value, grads = kj.jit(kj.value_and_grad(loss))(mixed)
    assert value.dtype == kj.float32
    assert grads.model[0].weight.shape == (8, 64)
    exact = kj.grad(loss)(mixed.model)
    np.testing.assert_allclose(grads.model[0].weight, exact[0].weight, atol=0.02)
    opt = optim.AdamW(0.1)
    moved, _ = opt.update(mixed, grads, opt.init(mixed))
    assert moved.policy == mixed.policy


# ---------------------------------------------------------------------------------- training


@pytest.fixture(scope="module")
def digits():
    found = kj.data.load("digits", seed=0)
    flat = lambda part: part.inputs.reshape(len(part), -1).astype(np.float32) / 16  # noqa: E731
    return (flat(found.train), found.train.targets), (flat(found.test), found.test.targets)


def trained(digits, model=None, **options):
    (x, y), test = digits
    model = nn.mlp([64, 32, 10], "relu", key=kj.random.key(0)) if model is None else model
    return kj.fit(
        model,
        x,
        y,
        loss="cross_entropy",
        optimizer=optim.Adam(3e-3),
        epochs=6,
        validation=test,
        metrics=["accuracy"],
        progress=False,
        **options,
    )


def test_the_loss_curve_lies_beside_that_of_float32(tier, digits):
    whole, mixed = trained(digits), trained(digits, precision="bfloat16")
    assert (whole.losses != mixed.losses).any()
    np.testing.assert_allclose(mixed.losses, whole.losses, rtol=0.02, atol=0.005)
    curves = [[row.train_loss for row in each.epochs] for each in (whole, mixed)]
    np.testing.assert_allclose(curves[1], curves[0], rtol=0.005)
    assert abs(whole.validation["accuracy"] - mixed.validation["accuracy"]) <= 0.01
    assert mixed.validation["accuracy"] > 0.9
    assert all(leaf.dtype == kj.float32 for _, leaf in mixed.model.parameters())


def test_weights_in_bfloat16_alone_would_lose_small_updates(digits):
    """Why the master weights are float32: a step of 1/1000 of a weight is below half a bit."""
    opt, g = optim.SGD(1e-3), kj.tensor([1.0])
    for dtype, moves in (("float32", True), ("bfloat16", False)):
        w = kj.tensor([1.0], dtype)
        assert (opt.update(w, g, opt.init(w))[0].item() != 1.0) == moves


def test_fit_and_the_wrapped_module_are_the_same(digits):
    one = trained(digits, precision="bfloat16")
    other = trained(digits, kj.mixed_precision(nn.mlp([64, 32, 10], "relu", key=kj.random.key(0))))
    np.testing.assert_array_equal(one.losses, other.losses)
    np.testing.assert_array_equal(one.model[0].weight, other.model.model[0].weight)


def test_prediction_and_resume_use_the_same_precision(digits, tmp_path):
    (x, y), _ = digits
    options = {"loss": "cross_entropy", "optimizer": optim.SGD(0.1), "progress": False}
    folder = tmp_path / "run"
    trainer = kj.Trainer(
        nn.mlp([64, 10], key=kj.random.key(0)), precision="bfloat16", checkpoint=folder, **options
    )
    trainer.fit(x[:64], y[:64])
    found = trainer.predict(x[:5])
    np.testing.assert_array_equal(found, kj.mixed_precision(trainer.model)(x[:5]))
    other = kj.Trainer(nn.mlp([64, 10], key=kj.random.key(0)), checkpoint=folder, **options)
    with pytest.raises(CheckpointError, match="precision is none, in the checkp"):
        other.fit(x[:64], y[:64], resume=True)


# ------------------------------------------------------------------------------------ errors


def test_wrong_policies_are_named():
    with pytest.raises(UsageError, match="float16 need loss scaling") as error:
        nn.Policy("float16")
    assert "bfloat16" in error.value.fix
    with pytest.raises(UsageError, match="products in int32"):
        nn.Policy("int32")
    with pytest.raises(DtypeError, match="bfloat17"):
        kj.mixed_precision(kj.matmul, "bfloat17")
    with pytest.raises(UsageError, match="mixed_precision of int"):
        kj.mixed_precision(3)
