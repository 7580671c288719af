"""A loss that becomes NaN or infinite: the step, the first bad node, and what is kept."""

from __future__ import annotations

import re

import numpy as np
import pytest
from train_problems import blobs, interpreted, network, plane, tier

import kedja as kj
from kedja.ground.errors import NonFiniteError
from kedja.train import checkpoint, stepper

__all__ = ["interpreted", "tier"]

X, Y = plane(20)
OPTIONS = {"batch_size": 8, "epochs": 30, "progress": False}


def line(seed=0):
    return kj.nn.Linear(3, 1, key=kj.random.key(seed))


def test_a_rate_that_is_too_high(tier):
    with pytest.raises(NonFiniteError) as caught:
        kj.fit(line(), X, Y, loss="mse", optimizer=kj.optim.SGD(30.0), **OPTIONS)
    text = str(caught.value)
    assert "the loss became infinite in step" in text
    assert re.search(r"first value that is not finite: (a \* a|sum\(a, .*\)), float32\[", text)
    assert "lower the learning rate" in text


def test_the_step_is_the_first_bad_one(tier):
    """The counter in the data makes the logarithm's argument 0 at a known step."""
    x = np.arange(20, 0, -1, dtype=np.float32)
    x[13:] = 0

    def loss(model, rows):
        return kj.mean(kj.log(rows)) + 0 * kj.sum(model["w"])

    with pytest.raises(NonFiniteError) as caught:
        kj.fit(
            {"w": np.ones(1, np.float32)},
            x,
            loss=loss,
            optimizer=kj.optim.SGD(0.1),
            shuffle=False,
            **(OPTIONS | {"batch_size": 2}),
        )
    assert "step 7 (epoch 1, step 7 of 10)" in str(caught.value)
    assert "log(" in str(caught.value)
    assert "a, float32[2], is between 0 and 8" in str(caught.value)
    assert "a logarithm of 0" in str(caught.value)
    assert "test_train_nonfinite.py" in str(caught.value)


def test_the_layer_is_named(interpreted):
    class Root(kj.nn.Module):
        shift: float

        def __call__(self, x):
            return kj.sqrt(x - self.shift)

    model = kj.nn.Sequential(line(), Root(1e6))
    with pytest.raises(NonFiniteError) as caught:
        kj.fit(model, X, Y, loss="mse", optimizer=kj.optim.SGD(0.1), **OPTIONS)
    assert "layer: 1" in str(caught.value)
    assert "sqrt(" in str(caught.value)
    assert "return kj.sqrt(x - self.shift)" in str(caught.value)


def test_bad_data_are_named_by_row(interpreted):
    x = X.copy()
    x[17, 2] = np.nan
    with pytest.raises(NonFiniteError, match="row 17 of x"):
        kj.fit(line(), x, Y, loss="mse", optimizer=kj.optim.SGD(0.1), **OPTIONS)


def test_an_update_that_spoils_the_weights_is_named(interpreted):
    """The loss is finite, its gradient is not: the next step's loss is NaN."""

    def loss(model, rows):
        w = kj.sum(model["w"])
        return kj.sqrt(w) + 0 * kj.sum(rows)

    with pytest.raises(NonFiniteError) as caught:
        kj.fit({"w": np.zeros(1, np.float32)}, X, loss=loss, optimizer=kj.optim.SGD(0.1), **OPTIONS)
    assert "step 2 " in str(caught.value)
    assert "after an update that made model.w infinite" in str(caught.value)
    assert "maybe in a derivative, as of a root at 0" in str(caught.value)


def test_large_weights_that_an_update_spoils_are_only_named(interpreted, monkeypatch):
    """Too large for keeping them as they were before the call: no step is replayed."""
    monkeypatch.setattr(stepper, "REMEMBERED_BYTES", 0)

    def loss(model, rows):
        return kj.sqrt(kj.sum(model["w"])) + 0 * kj.sum(rows)

    with pytest.raises(NonFiniteError) as caught:
        kj.fit({"w": np.zeros(1, np.float32)}, X, loss=loss, optimizer=kj.optim.SGD(0.1), **OPTIONS)
    assert "step 2 " in str(caught.value)
    assert "after an update that made model.w not finite" in str(caught.value)


def test_masked_infinities_are_not_blamed(interpreted):
    """−∞ in a score that softmax turns into 0 is no mistake; the logarithm after it is."""
    mask = np.array([0.0, -np.inf, 0.0], np.float32)

    def loss(model, rows):
        shares = kj.softmax(rows * model["w"] + mask)
        return kj.mean(kj.log(shares))

    with pytest.raises(NonFiniteError) as caught:
        kj.fit({"w": np.ones(3, np.float32)}, X, loss=loss, optimizer=kj.optim.SGD(0.1), **OPTIONS)
    assert "not finite: log(" in str(caught.value)


def test_the_checkpoint_keeps_the_last_good_weights(tier, tmp_path):
    x, y = blobs(20)

    def sudden(p, t):
        return kj.nn.cross_entropy(p, t) + 0 * kj.log(3.0 - kj.max(kj.abs(p)))

    with pytest.raises(NonFiniteError):
        kj.fit(
            network(),
            x,
            y,
            loss=sudden,
            optimizer=kj.optim.SGD(5.0),
            checkpoint=tmp_path,
            checkpoint_seconds=1e-6,
            **OPTIONS,
        )
    arrays, state = checkpoint.load(tmp_path)
    assert all(np.isfinite(each).all() for each in arrays.values())
    assert state.stopped == ""


def test_the_trainer_keeps_the_weights_before_the_bad_step(interpreted):
    trainer = kj.Trainer(
        line(), loss="mse", optimizer=kj.optim.SGD(30.0), batch_size=8, progress=False
    )
    with pytest.raises(NonFiniteError):
        trainer.fit(X, Y, epochs=30)
    assert np.isfinite(trainer.history.losses).all()
    assert len(trainer.history.losses) > 3
    assert all(np.isfinite(leaf.numpy()).all() for leaf in kj.tree.leaves(trainer.model))


def test_a_loss_that_overflows_in_validation_only_is_recorded(interpreted):
    history = kj.fit(
        line(),
        X,
        Y,
        loss="mse",
        optimizer=kj.optim.SGD(0.01),
        validation=(X * np.float32(1e30), Y),
        **(OPTIONS | {"epochs": 2}),
    )
    assert history.stopped == "epochs"
    assert not np.isfinite(history.column("loss")).any()
