"""Training on pictures: the same bits however it is run, what is learned, figures, baselines."""

from __future__ import annotations

import numpy as np
import pytest

import kedja as kj
from kedja.data.augment import Augment
from kedja.data.dataset import Split
from kedja.data.pictures import Pictures, load
from kedja.ground.errors import Interrupted, UsageError
from kedja.train import pictures as training
from tests.data.drawn import CLASSES, picture

ALL = Augment(0.1, 10, 0.1, 0.1, True, 0.1, 0.2, 0.3)
TINY = {"widths": (4, 8), "hidden": (8,), "norm": True, "average": False}


def some(count: int = 24, side: int = 12) -> Pictures:
    rng = np.random.default_rng(0)
    y = np.arange(count) % 2
    x = np.stack([picture(CLASSES[each], side, rng) for each in y])
    held = count * 3 // 4
    parts = (Split(x[:held], y[:held]), Split(x[held:], y[held:]))
    return Pictures("shapes", CLASSES, (3, side, side), *parts)


def fitted(found: Pictures, **options):
    usual = {"epochs": 2, "batch_size": 7, "progress": False, "augment": ALL}
    config = training.usual_config(found, **TINY)
    return training.fit_pictures(found, **{"config": config, **usual, **options})


def test_any_number_of_threads_gives_the_same_bits():
    found = some()
    one, two = (fitted(found, threads=count).losses for count in (1, 2))
    np.testing.assert_array_equal(one, two)
    assert np.abs(fitted(found, augment=Augment()).losses - one).max() > 1e-4


@pytest.mark.parametrize("schedule", ["one_cycle", "constant", None])
def test_schedules_without_a_warm_up_get_none(schedule):
    assert len(fitted(some(), schedule=schedule, epochs=1).losses) == 3


def test_an_interrupted_run_goes_on_with_the_same_bits(tmp_path):
    found = some()
    whole = fitted(found).losses

    def stop(epoch, model):
        raise KeyboardInterrupt

    with pytest.raises(Interrupted):
        fitted(found, checkpoint=tmp_path, callbacks=[stop])
    resumed = fitted(found, checkpoint=tmp_path, resume=True)
    np.testing.assert_array_equal(resumed.losses, whole)


@pytest.mark.parametrize("model", training.MODELS)
def test_crosses_and_discs_are_learned(model):
    found = some(64)
    sizes = {"widths": (8, 16)} if model == "resnet" else TINY
    config = training.usual_config(found, model, **sizes)
    history = training.fit_pictures(
        found,
        config=config,
        augment=Augment(shift=0.05),
        epochs=20,
        batch_size=16,
        progress=False,
        optimizer=kj.optim.AdamW(1e-2),
    )
    figures = training.evaluate_pictures(history.model, found.test)
    assert figures.accuracy == history.validation["accuracy"] > 0.8
    assert figures.confusion.sum() == len(found.test)


def test_figures_count_what_is_taken_for_what():
    said, true = np.array([0, 1, 1, 1, 2]), np.array([0, 0, 0, 1, 2])
    found = training.measured(said, true, ("a", "b", "c"))
    assert found.accuracy == 0.6
    assert found.confusion.tolist() == [[1, 2, 0], [0, 1, 0], [0, 0, 1]]
    assert found.confused() == [("a", "b", 2)]
    assert found.classes["a"].recall == pytest.approx(1 / 3)
    assert found.balanced_accuracy == pytest.approx(7 / 9)


def test_the_nearest_neighbour_is_scikit_learns(monkeypatch):
    neighbors = pytest.importorskip("sklearn.neighbors")
    rng = np.random.default_rng(0)
    train = Split(rng.integers(0, 256, (50, 4, 4)).astype(np.uint8), rng.integers(0, 3, 50))
    test = Split(rng.integers(0, 256, (20, 4, 4)).astype(np.uint8), rng.integers(0, 3, 20))
    theirs = neighbors.KNeighborsClassifier(1).fit(train.inputs.reshape(50, -1), train.targets)
    wanted = theirs.score(test.inputs.reshape(20, -1), test.targets)
    for block in (7, 64):
        assert training.nearest(train, test, block) == (pytest.approx(wanted), 20)
    monkeypatch.setattr(training, "WORK", 50 * 16 * 5)
    assert training.nearest(train, test)[1] == 5


def test_logistic_regression_is_as_good_as_scikit_learns():
    linear = pytest.importorskip("sklearn.linear_model")
    found = load("digits")
    rows = [each.inputs.reshape(len(each), -1) / 255 for each in (found.train, found.test)]
    theirs = linear.LogisticRegression(max_iter=2000).fit(rows[0], found.train.targets)
    wanted = theirs.score(rows[1], found.test.targets)
    assert training.pixels_logistic(found) >= wanted - 0.01


def test_logistic_regression_on_the_pixels_learns_what_a_line_can_divide():
    x = np.zeros((40, 8, 8), np.uint8)
    y = np.arange(40) % 2
    x[y == 1, :4] = 200
    parts = (Split(x[:30], y[:30]), Split(x[30:], y[30:]))
    found = Pictures("halves", ("a", "b"), (1, 8, 8), *parts)
    assert training.pixels_logistic(found) == 1.0


def test_what_is_usual_follows_from_the_pictures():
    found = some()
    assert training.usual_augment(found).flip
    config = training.usual_config(found)
    assert config.mean == found.moments()[0]
    digits = Pictures("digits", CLASSES, (1, 28, 28), found.train, found.test, drawn=True)
    assert not training.usual_augment(digits).flip
    assert training.usual_epochs(60_000, 64) == 13
    assert training.usual_epochs(100, 32) == 60
    with pytest.raises(UsageError, match="no model 'cmm'"):
        training.usual_config(found, "cmm")
