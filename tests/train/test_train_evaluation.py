"""Metrics and the loss over a whole set, whatever the batches; early stopping; the history."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from train_problems import blobs, interpreted, network, plane, tier

import kedja as kj
from kedja.ground.errors import ShapeError, UsageError
from kedja.train import EarlyStopping, Epoch, History
from kedja.train import evaluation as evaluation_module
from kedja.train.evaluation import batch_size

__all__ = ["interpreted", "tier"]

SGD = kj.optim.SGD(0.1)


def trainer(model, **options):
    return kj.Trainer(model, optimizer=SGD, progress=False, **options)


@pytest.mark.parametrize("count", [1, 7, 45])
def test_loss_and_accuracy_equal_numpy(tier, count, monkeypatch):
    monkeypatch.setattr(evaluation_module, "LARGEST", 10)
    x, y = blobs(count)
    model = network()
    found = trainer(model, loss="cross_entropy", metrics=("accuracy",)).evaluate(x, y)
    z = model(x).numpy().astype(np.float64)
    each = np.log(np.exp(z).sum(1)) - z[np.arange(count), y]
    assert found["loss"] == pytest.approx(each.mean(), rel=1e-5)
    assert found["accuracy"] == (z.argmax(1) == y).mean()


@pytest.mark.parametrize("count", [2, 23])
def test_regression_metrics_equal_sklearn(interpreted, count, monkeypatch):
    metrics = pytest.importorskip("sklearn.metrics")
    monkeypatch.setattr(evaluation_module, "LARGEST", 5)
    monkeypatch.setattr(evaluation_module, "SMALLEST", 4)
    x, y = plane(count)
    targets = np.stack([y, y**2], axis=1)
    model = network(2, inputs=3)
    found = trainer(model, loss="mse", metrics=("rmse", "mae", "r2")).evaluate(x, targets)
    p = model(x).numpy()
    squared = metrics.mean_squared_error(targets, p)
    assert found["loss"] == pytest.approx(squared, rel=1e-5)
    assert found["rmse"] == pytest.approx(math.sqrt(squared), rel=1e-5)
    assert found["mae"] == pytest.approx(metrics.mean_absolute_error(targets, p), rel=1e-5)
    assert found["r2"] == pytest.approx(metrics.r2_score(targets, p), rel=1e-4)


def test_r2_of_a_constant_target(interpreted):
    model = kj.nn.Linear(2, 1).replace(weight=kj.zeros((1, 2)), bias=kj.zeros(1))
    x = np.ones((4, 2), np.float32)
    ours = trainer(model, loss="mse", metrics=("r2",))
    assert ours.evaluate(x, np.zeros(4))["r2"] == 1
    assert ours.evaluate(x, np.ones(4))["r2"] == 0


def test_binary_accuracy_of_logits_and_of_probabilities(interpreted):
    x = np.array([[-2.0], [-0.5], [0.5], [2.0]], np.float32)
    y = np.array([0.0, 1.0, 1.0, 1.0], np.float32)
    one = kj.nn.Linear(1, 1).replace(weight=kj.ones((1, 1)), bias=kj.zeros(1))
    logits = trainer(one, loss="binary_cross_entropy_with_logits", metrics=("accuracy",))
    assert logits.evaluate(x, y)["accuracy"] == 0.75
    chances = kj.nn.Sequential(one, kj.nn.Sigmoid())
    shares = trainer(chances, loss="binary_cross_entropy", metrics=("accuracy",))
    assert shares.evaluate(x, y)["accuracy"] == 0.75
    assert shares.evaluate(x, y.astype(np.int64))["accuracy"] == 0.75


def test_one_hot_targets_and_an_own_metric(interpreted):
    x, y = blobs(20)
    rows = np.eye(3, dtype=np.float32)[y]
    model = network()

    def spread(p, t):
        return kj.mean(kj.abs(p))

    found = trainer(model, loss="mse", metrics=("accuracy", spread)).evaluate(x, rows)
    z = model(x).numpy()
    assert found["accuracy"] == (z.argmax(1) == y).mean()
    assert found["spread"] == pytest.approx(np.abs(z).mean(), rel=1e-5)


def test_unknown_and_doubled_metrics_are_refused(interpreted):
    with pytest.raises(UsageError, match="unknown metric 'acuracy'"):
        trainer(network(), loss="mse", metrics=("acuracy",))
    with pytest.raises(UsageError, match="two figures are called 'r2'"):
        trainer(network(), loss="mse", metrics=("r2", "r2"))
    wrong = trainer(network(), loss="cross_entropy", metrics=(lambda p, t: p,))
    with pytest.raises(ShapeError, match="returned no scalar"):
        wrong.evaluate(*blobs(5))


def test_a_metric_needs_targets(interpreted):
    def loss(model, x):
        return kj.mean(x @ model["w"])

    ours = trainer({"w": np.ones((4, 1), np.float32)}, loss=loss, metrics=("r2",))
    with pytest.raises(UsageError, match="needs targets"):
        ours.evaluate(blobs(5)[0])


@given(st.integers(1, 5000))
def test_the_evaluations_batches_cover_everything(count):
    size = batch_size(count)
    assert 1 <= size <= 512
    assert count % size == 0 or all(count % each for each in range(64, 513))


def test_a_fraction_is_held_out_by_the_seed(interpreted):
    x, y = blobs(40)
    options = {"loss": "cross_entropy", "optimizer": SGD, "progress": False, "batch_size": 8}
    first = kj.fit(network(), x, y, validation=0.25, **options)
    again = kj.fit(network(), x, y, validation=0.25, **options)
    other = kj.fit(network(), x, y, validation=0.25, seed=1, **options)
    assert first.steps == 4  # 30 examples in batches of 8
    assert first.validation == again.validation
    assert first.validation != other.validation


# -------------------------------------------------------------------------- early stopping


def rows(*losses):
    return [Epoch(i, 0.0, {"loss": loss}, 0.0, 0.0) for i, loss in enumerate(losses, 1)]


@pytest.mark.parametrize(
    ("losses", "delta", "best", "over"),
    [
        ((3, 2, 1), 0.0, 3, False),
        ((1, 2, 3), 0.0, 1, True),
        ((2, 1, 1, 1), 0.0, 2, True),
        ((2, 1, 0.95, 0.93), 0.1, 2, True),
        ((2, 1, 0.95, 0.85), 0.1, 4, False),
        ((math.nan, 2, 3), 0.0, 2, False),
        ((1, math.nan, math.nan), 0.0, 1, True),
        ((math.nan, math.nan, math.nan), 0.0, 1, True),
    ],
)
def test_when_early_stopping_stops(losses, delta, best, over):
    early = EarlyStopping(patience=2, min_delta=delta)
    assert early.best(rows(*losses)) == best
    assert early.is_over(rows(*losses)) is over


def test_accuracy_should_rise():
    early = EarlyStopping(patience=1, monitor="accuracy")
    found = [Epoch(i, 0.0, {"loss": 0.0, "accuracy": a}, 0.0, 0.0) for i, a in ((1, 0.5), (2, 0.6))]
    assert early.best(found) == 2
    assert not early.is_over(found)


def overfitting(**options):
    """A run whose validation gets worse from some epoch on: its labels are wrong."""
    x, y = blobs(30)
    return kj.fit(
        network(),
        x,
        y,
        loss="cross_entropy",
        optimizer=kj.optim.SGD(0.5),
        batch_size=8,
        validation=(x, np.where(np.arange(30) < 12, (y + 1) % 3, y)),
        progress=False,
        **options,
    )


def test_early_stopping_restores_the_best_weights(interpreted, tmp_path):
    seen = []
    history = overfitting(
        epochs=60,
        early_stopping=EarlyStopping(patience=3),
        checkpoint=tmp_path,
        callbacks=(lambda row, model: seen.append(model),),
    )
    losses = history.column("loss")
    best = int(np.argmin(losses))
    assert history.stopped == "early stopping"
    assert len(losses) == best + 4 < 60
    expected = seen[best].state_dict()
    for name, value in history.model.state_dict().items():
        np.testing.assert_array_equal(value, expected[name])
    again = overfitting(
        epochs=60, early_stopping=EarlyStopping(patience=3), checkpoint=tmp_path, resume=True
    )
    assert again.stopped == "early stopping"
    np.testing.assert_array_equal(again.model[0].weight.numpy(), expected["0.weight"])


def test_early_stopping_can_leave_the_last_weights(interpreted):
    seen = []
    history = overfitting(
        epochs=60,
        early_stopping=EarlyStopping(patience=3, restore_best=False),
        callbacks=(lambda row, model: seen.append(model),),
    )
    last = seen[-1].state_dict()["0.weight"]
    np.testing.assert_array_equal(history.model[0].weight.numpy(), last)


def test_a_run_that_ends_by_its_epochs_is_extended_from_the_last_weights(interpreted, tmp_path):
    early = EarlyStopping(patience=50)
    whole = overfitting(epochs=20, early_stopping=early)
    part = overfitting(epochs=12, early_stopping=early, checkpoint=tmp_path)
    assert part.stopped == "epochs"
    longer = overfitting(epochs=20, early_stopping=early, checkpoint=tmp_path, resume=True)
    np.testing.assert_array_equal(longer.losses, whole.losses)
    np.testing.assert_array_equal(longer.model[0].weight.numpy(), whole.model[0].weight.numpy())


def test_early_stopping_needs_something_to_watch(interpreted):
    x, y = blobs(20)
    options = {"loss": "cross_entropy", "optimizer": SGD, "progress": False}
    with pytest.raises(UsageError, match="watches 'loss', which is not measured"):
        kj.fit(network(), x, y, early_stopping=EarlyStopping(), **options)
    early = EarlyStopping(monitor="r2")
    with pytest.raises(UsageError, match="'r2', which is not measured"):
        kj.fit(network(), x, y, early_stopping=early, validation=0.2, **options)
    with pytest.raises(UsageError, match="patience is 0"):
        EarlyStopping(patience=0)
    with pytest.raises(UsageError, match="min_delta"):
        EarlyStopping(min_delta=-1)


# --------------------------------------------------------------------------------- history


def test_columns_of_the_history():
    history = History(None, np.zeros(2), rows(3, 2))
    assert history.column("loss") == [3, 2]
    assert history.column("train_loss") == [0, 0]
    with pytest.raises(UsageError, match="no figure 'accuracy'"):
        history.column("accuracy")


def test_predictions_pass_through_prepare(interpreted):
    x, _ = blobs(5)
    model = network()
    ours = trainer(model, loss="mse", prepare=lambda raw: raw * 2)
    np.testing.assert_allclose(ours.predict(x), model(x * 2).numpy(), rtol=1e-6)
