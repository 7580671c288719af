"""The options of `fit` around the optimiser: schedules, clipping, accumulation, averages."""

from __future__ import annotations

import numpy as np
import pytest

import kedja as kj
from kedja import optim
from kedja.ground.errors import CheckpointError, UsageError
from tests.train.train_problems import StopAt, StopError, bits, blobs, network, tier  # noqa: F401

X, Y = blobs(48)
OPTIONS = {"loss": "cross_entropy", "batch_size": 8, "progress": False}
EPOCHS, STEPS = 3, 18  # 6 steps in each epoch


def fitted(optimizer, epochs=EPOCHS, **options):
    """A run on the same data from the same start."""
    return kj.fit(network(), X, Y, optimizer=optimizer, epochs=epochs, **{**OPTIONS, **options})


def assert_same(one, other):
    assert bits(one) == bits(other)


@pytest.mark.parametrize("name", ["cosine", "linear", "one_cycle", "step", "constant"])
def test_schedules_go_over_the_whole_run(tier, name):  # noqa: F811
    found = fitted(optim.SGD(0.1), schedule=name)
    rate = optim.schedule(name, 0.1, STEPS)
    assert_same(found, fitted(optim.SGD(rate)))
    assert (bits(found) == bits(fitted(optim.SGD(0.1)))) == (name == "constant")


def test_a_warm_up_comes_before_the_schedule():
    found = fitted(optim.Adam(0.1), schedule="cosine", warmup=4)
    assert_same(found, fitted(optim.Adam(optim.schedule("cosine", 0.1, STEPS, 4))))
    alone = fitted(optim.Adam(0.1), warmup=4)
    assert_same(alone, fitted(optim.Adam(optim.LinearLR(0.1, 1 / 5, 1.0, 4))))


def test_schedules_of_ones_own_are_told_the_updates():
    asked = []

    def halves(rate, updates):
        asked.append((rate, updates))
        return optim.StepLR(rate, updates, 0.5)

    fitted(optim.SGD(0.1), schedule=halves, accumulate=2)
    assert asked[-1] == (0.1, STEPS // 2)


def test_gradients_are_clipped(tier):  # noqa: F811
    found = fitted(optim.SGD(0.1), clip_norm=0.1, clip_value=0.05)
    assert_same(found, fitted(optim.ClipNorm(optim.ClipValue(optim.SGD(0.1), 0.05), 0.1)))
    assert bits(found) != bits(fitted(optim.SGD(0.1)))


def test_batches_are_accumulated(tier):  # noqa: F811
    small = fitted(optim.Adam(0.05), accumulate=2, batch_size=8, shuffle=False)
    large = fitted(optim.Adam(0.05), batch_size=16, shuffle=False)
    for one, other in zip(kj.tree.leaves(small.model), kj.tree.leaves(large.model), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_the_average_is_validated_and_given(tier):  # noqa: F811
    seen = []
    found = fitted(
        optim.SGD(0.5),
        ema=0.9,
        validation=(X, Y),
        callbacks=[lambda row, model: seen.append(model) and None],
    )
    raw = fitted(optim.SGD(0.5), validation=(X, Y))
    np.testing.assert_array_equal(found.losses, raw.losses)  # training itself is the same
    assert found.validation["loss"] != raw.validation["loss"]
    assert found.validation["loss"] == pytest.approx(
        kj.nn.cross_entropy(found.model(X), Y).item(), rel=1e-5
    )
    np.testing.assert_array_equal(seen[-1][0].weight, found.model[0].weight)


def test_asgd_gives_its_average():
    found = fitted(optim.ASGD(0.5, t0=2))
    assert bits(found) != bits(fitted(optim.ASGD(0.5)))
    np.testing.assert_array_equal(found.losses, fitted(optim.ASGD(0.5)).losses)


ALL = {
    "schedule": "cosine",
    "warmup": 2,
    "clip_norm": 0.5,
    "accumulate": 2,
    "ema": 0.8,
    "validation": (X, Y),
}


@pytest.mark.parametrize("stop", [1, 4, 6])
def test_an_interrupted_run_ends_with_the_same_bits(tmp_path, stop):
    whole = fitted(optim.AdamW(0.05), **ALL)
    with pytest.raises(StopError):
        fitted(optim.AdamW(0.05), **{**ALL, "progress": StopAt(stop)}, checkpoint=tmp_path / "run")
    resumed = fitted(optim.AdamW(0.05), **ALL, checkpoint=tmp_path / "run", resume=True)
    assert_same(resumed, whole)
    again = fitted(optim.AdamW(0.05), **ALL, checkpoint=tmp_path / "run", resume=True)
    assert bits(again)[:-1] == bits(whole)[:-1]  # a finished run gives the average once more


def test_a_run_with_an_average_is_extended(tmp_path):
    options = {"ema": 0.8, "validation": (X, Y)}
    fitted(optim.AdamW(0.05), 2, **options, checkpoint=tmp_path / "run")
    extended = fitted(optim.AdamW(0.05), 4, **options, checkpoint=tmp_path / "run", resume=True)
    assert_same(extended, fitted(optim.AdamW(0.05), 4, **options))


def test_a_schedule_over_another_number_of_steps_is_another_run(tmp_path):
    fitted(optim.SGD(0.1), 1, schedule="cosine", checkpoint=tmp_path / "run")
    with pytest.raises(CheckpointError, match="schedule is cosine over 12 steps") as error:
        fitted(optim.SGD(0.1), 2, schedule="cosine", checkpoint=tmp_path / "run", resume=True)
    assert "cosine over 6 steps" in str(error.value)


# --------------------------------------------------------------------------------- plateau


RULE = optim.ReduceLROnPlateau(factor=0.5, patience=0, threshold=0.3)


def on_plateau():
    return optim.OnPlateau(optim.SGD(0.8), RULE)


def test_the_rate_falls_on_a_plateau(tier):  # noqa: F811
    """The figures are the validation's losses, else those of the training."""
    for options in ({"validation": (X, Y)}, {}):
        found = fitted(on_plateau(), 12, **options)
        state, rate = RULE.init(0.8), []
        for row in found.epochs:
            rate.append(state["lr"].item())
            state = RULE.update(state, row.validation.get("loss", row.train_loss))
        assert rate[-1] < 0.8
        steps = iter(np.repeat(rate, 6))
        model, opt = network(), None
        x, y = kj.tensor(X), kj.tensor(Y)
        orders = [kj.data.batches.epoch_order(len(X), epoch, 0) for epoch in range(12)]
        for rows in np.concatenate(orders).reshape(-1, 8):
            opt = optim.SGD(float(next(steps)))
            grads = kj.grad(lambda m: kj.nn.cross_entropy(m(x[rows]), y[rows]))(model)  # noqa: B023
            model, _ = opt.update(model, grads, opt.init(model))
        for one, other in zip(kj.tree.leaves(found.model), kj.tree.leaves(model), strict=True):
            np.testing.assert_allclose(one, other, rtol=2e-3, atol=1e-4)


@pytest.mark.parametrize("stop", [3, 8])
def test_a_plateau_is_remembered(tmp_path, stop):
    options = {"validation": (X, Y), "shuffle": False}
    whole = fitted(on_plateau(), 8, **options)
    folder = tmp_path / "run"
    with pytest.raises(StopError):
        fitted(on_plateau(), 8, **{**options, "progress": StopAt(stop)}, checkpoint=folder)
    assert_same(fitted(on_plateau(), 8, **options, checkpoint=folder, resume=True), whole)


# ------------------------------------------------------------------------------------ errors


@pytest.mark.parametrize(
    "optimizer, options, what",
    [
        (optim.LBFGS(), {}, "L-BFGS looks at the loss over all examples"),
        (optim.SGD(0.1), {"schedule": "cosin"}, "unknown schedule 'cosin'"),
        (optim.SGD(0.1), {"schedule": "step", "warmup": 2}, "'step' with a warm-up"),
        (optim.SGD(0.1), {"warmup": -1}, "warmup=-1"),
        (optim.SGD(0.1), {"warmup": STEPS}, f"a warm-up of {STEPS}"),
        (optim.SGD(0.1), {"accumulate": 0}, "accumulate=0"),
        (optim.SGD(0.1), {"clip_norm": -1}, "max_norm=-1"),
        (optim.SGD(0.1), {"ema": 2}, "decay=2"),
        (optim.SGD(0.1), {"precision": "float16"}, "products in float16"),
        (optim.SGD(0.1), {"precision": "int8"}, "products in int8"),
        (optim.SGD(optim.StepLR(0.1, 2)), {"schedule": "cosine"}, "whose rate is no number"),
    ],
)
def test_options_that_do_not_fit_are_named(optimizer, options, what):
    with pytest.raises(UsageError) as error:
        fitted(optimizer, **options)
    assert what in str(error.value)


def test_labels_that_are_ignored_may_be_in_the_data():
    y = Y.copy()
    y[::3] = -100
    found = kj.fit(network(), X, y, optimizer=optim.SGD(0.5), epochs=10, **OPTIONS)
    kept = y != -100
    assert (found.model(X).numpy().argmax(1) == y)[kept].mean() > 0.9
