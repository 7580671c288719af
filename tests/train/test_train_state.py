"""Training with state: batch norm and dropout inside `fit`, its checkpoints and its seeds."""

from __future__ import annotations

import numpy as np
import pytest

import kedja as kj
from kedja import nn
from kedja.ground.errors import ShapeError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(52, 6)).astype(np.float32)
Y = (X[:, 0] * X[:, 1] > 0).astype(np.int64)


def network(rate=0.3):
    keys = kj.random.split(kj.random.key(0))
    return nn.Sequential(
        nn.Linear(6, 16, key=keys[0]), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(rate),
        nn.Linear(16, 2, key=keys[1]),
    )  # fmt: skip


def fit(model, epochs=3, batch_size=16, **options):
    optimizer = kj.optim.SGD(0.1, momentum=0.9)
    return kj.fit(
        model, X, Y, loss="cross_entropy", optimizer=optimizer, epochs=epochs,
        batch_size=batch_size, progress=False, **options,
    )  # fmt: skip


def by_hand(model, epochs, batch, seed=0):
    """What `fit` does without shuffling, step by step."""
    optimizer = kj.optim.SGD(0.1, momentum=0.9)
    moments, count = optimizer.init(model), 0
    for _ in range(epochs):
        for start in range(0, len(X), batch):
            x, y = X[start : start + batch], Y[start : start + batch]
            with nn.training(kj.random.fold_in(kj.random.key(seed), count)) as state:
                grads = kj.grad(lambda m, x, y: nn.cross_entropy(m(x), y))(model, x, y)
            model = state.updated(model)
            model, moments = optimizer.update(model, grads, moments)
            count += 1
    return model


def assert_same(one, other, rtol=1e-4):
    for (name, first), second in zip(one.state_dict().items(), other.state_dict().values(),
                                     strict=True):  # fmt: skip
        np.testing.assert_allclose(first, second, rtol=rtol, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("tier", ["interpret", "compile"])
def test_fit_is_the_loop_of_the_documentation(tier):
    with kj.scope(tier=tier):
        history = fit(network(), epochs=2, shuffle=False, seed=5)
    assert history.model[1].num_batches_tracked.item() == 8
    assert_same(history.model, by_hand(network(), 2, 16, seed=5))


def test_a_network_with_state_learns_and_is_evaluated_as_inference():
    trainer = kj.Trainer(
        network(0.1), loss="cross_entropy", optimizer=kj.optim.Adam(0.02), batch_size=13,
        metrics=["accuracy"], progress=False,
    )  # fmt: skip
    history = trainer.fit(X, Y, epochs=40, validation=(X, Y))
    assert history.epochs[-1].validation["accuracy"] > 0.9
    figures = trainer.evaluate(X, Y)
    assert figures["loss"] == pytest.approx(history.epochs[-1].validation["loss"], rel=1e-5)
    predicted = history.model(X).numpy()
    np.testing.assert_allclose(trainer.predict(X), predicted, rtol=1e-4, atol=1e-5)
    assert np.mean(predicted.argmax(1) == Y) == pytest.approx(figures["accuracy"])


def test_a_resumed_run_has_the_same_bits(tmp_path):
    whole = fit(network(), epochs=4)
    fit(network(), epochs=2, checkpoint=tmp_path)
    resumed = fit(network(), epochs=4, checkpoint=tmp_path, resume=True)
    for name, each in whole.model.state_dict().items():
        np.testing.assert_array_equal(resumed.model.state_dict()[name], each)
    np.testing.assert_array_equal(resumed.losses, whole.losses)


def test_another_seed_drops_other_numbers():
    one, other = (fit(network(), epochs=1, shuffle=False, seed=seed) for seed in (0, 1))
    assert not np.array_equal(one.losses, other.losses)
    again = fit(network(), epochs=1, shuffle=False, seed=0)
    np.testing.assert_array_equal(again.losses, one.losses)


def test_frozen_layers_stay_as_they_are():
    model = network().at("0").freeze().at("1").freeze()
    trained = fit(model).model
    for name, each in model.state_dict().items():
        same = np.array_equal(trained.state_dict()[name], each)
        assert same == name.startswith(("0.", "1.")), name
    assert trained[0].is_frozen


def test_a_last_batch_of_one_example_is_an_error_before_the_first_step():
    with pytest.raises(ShapeError, match="over one element in training") as error:
        fit(network(), batch_size=17)
    assert "the last one of an epoch too" in error.value.fix
