"""Estimators as people use them: pipelines, searches, texts as labels, sparse data, odd options."""

from __future__ import annotations

import copy
import pickle
import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="estimators need scikit-learn")
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_digits, make_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.neural_network import MLPClassifier as TheirClassifier
from sklearn.neural_network import MLPRegressor as TheirRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import kedja as kj
from kedja.estimators import MLPClassifier, MLPRegressor
from kedja.train.stepper import Stepper

QUICK = {"max_iter": 30, "random_state": 0, "learning_rate_init": 0.01}
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(scope="module")
def digits():
    x, y = load_digits(return_X_y=True)
    return train_test_split((x / 16).astype(np.float32), y, random_state=0, stratify=y)


def test_digits_as_well_as_scikit_learns(digits):
    x, x_test, y, y_test = digits
    options = {"hidden_layer_sizes": (64,), "max_iter": 60, "random_state": 0}
    ours = MLPClassifier(**options).fit(x, y).score(x_test, y_test)
    theirs = TheirClassifier(**options).fit(x, y).score(x_test, y_test)
    assert ours > 0.96
    assert ours > theirs - 0.01


def test_a_pipeline_in_a_grid_search(digits):
    x, x_test, y, y_test = digits
    names = np.array(["zero", "one", "two", *map(str, range(3, 10))])
    pipeline = make_pipeline(StandardScaler(), MLPClassifier(**QUICK))
    grid = {"mlpclassifier__hidden_layer_sizes": [(16,), (32,)], "mlpclassifier__dropout": [0, 0.2]}
    search = GridSearchCV(pipeline, grid, cv=2).fit(x[:600], names[y[:600]])
    assert search.score(x_test, names[y_test]) > 0.9
    assert set(search.predict(x_test)) <= set(names)
    proba = search.predict_proba(x_test)
    np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-5)


def test_clones_copies_and_pickles(digits):
    x, x_test, y, _ = digits
    net = MLPClassifier((16,), batch_norm=True, **QUICK).fit(x, y)
    assert not hasattr(clone(net), "classes_")
    for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        np.testing.assert_array_equal(other.predict_proba(x_test), net.predict_proba(x_test))


def test_sparse_is_dense(digits):
    x, x_test, y, _ = digits
    dense = MLPClassifier((16,), **QUICK).fit(x, y)
    thin = MLPClassifier((16,), **QUICK).fit(sparse.csr_matrix(x), y)
    np.testing.assert_array_equal(
        thin.predict_proba(sparse.csc_matrix(x_test)), dense.predict_proba(x_test)
    )


def test_the_same_seed_gives_the_same_bits(digits):
    x, x_test, y, _ = digits
    options = {"dropout": 0.3, "batch_norm": True, **QUICK}
    first, second = (MLPClassifier((16,), **options).fit(x, y) for _ in range(2))
    np.testing.assert_array_equal(first.predict_proba(x_test), second.predict_proba(x_test))


def test_class_weights_move_the_border():
    x, y = make_classification(2000, weights=[0.95], flip_y=0.05, random_state=0)
    plain = MLPClassifier((8,), **QUICK).fit(x, y)
    fair = MLPClassifier((8,), class_weight="balanced", **QUICK).fit(x, y)
    recall = [(net.predict(x[y == 1]) == 1).mean() for net in (plain, fair)]
    assert recall[1] > recall[0] + 0.1
    custom = MLPClassifier((8,), class_weight={0: 1, 1: 50}, **QUICK).fit(x, y)
    assert (custom.predict(x[y == 1]) == 1).mean() >= recall[1] - 0.05


def test_a_weight_of_zero_is_an_absent_example(digits):
    x, x_test, y, _ = digits
    weight = np.ones(len(x))
    weight[300:] = 0
    options = {"shuffle": False, **QUICK}
    weighed = MLPClassifier((16,), **options).fit(x, y, sample_weight=weight)
    cut = MLPClassifier((16,), **options).fit(x[:300], y[:300])
    np.testing.assert_array_equal(weighed.predict_proba(x_test), cut.predict_proba(x_test))


def test_early_stopping_keeps_the_best(digits):
    x, x_test, y, y_test = digits
    net = MLPClassifier(
        (32,), early_stopping=True, learning_rate_init=0.01, max_iter=300, random_state=0
    ).fit(x, y)
    assert net.n_iter_ < 300
    assert net.best_validation_score_ == max(net.validation_scores_)
    assert net.score(x_test, y_test) > 0.93


def test_partial_fit_sees_one_part_after_the_other(digits):
    x, x_test, y, y_test = digits
    net = MLPClassifier((32,), learning_rate_init=0.01, random_state=0)
    with pytest.raises(ValueError, match="classes"):
        clone(net).partial_fit(x[:10], y[:10])
    for _ in range(15):
        for rows in np.array_split(np.arange(len(x)), 4):
            net.partial_fit(x[rows], y[rows], classes=np.arange(10))
    assert net.score(x_test, y_test) > 0.93
    assert len(net.loss_curve_) == 60


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_parts_of_one_epoch_each_are_epochs_of_one_run(digits, solver):
    """The optimiser's moments go on from call to call, so do the examples seen."""
    x, _, y, _ = digits
    options = {"solver": solver, "shuffle": False, "random_state": 0, "max_iter": 3}
    whole = MLPClassifier((16,), **options).fit(x, y)
    parts = MLPClassifier((16,), **options)
    for _ in range(3):
        parts.partial_fit(x, y, classes=np.arange(10))
    np.testing.assert_allclose(parts.loss_curve_, whole.loss_curve_, rtol=1e-6)
    assert parts.t_ == whole.t_ == 3 * len(x)


def test_warm_start_goes_on(digits):
    x, _, y, _ = digits
    net = MLPClassifier((16,), warm_start=True, max_iter=5, random_state=0)
    first = net.fit(x, y).loss_
    assert net.fit(x, y).loss_ < first


@pytest.mark.parametrize(
    "solver", ["adam", "adamw", "sgd", "lbfgs", "rmsprop", "lion", kj.optim.NAdam(0.01)], ids=str
)
def test_every_solver_learns(solver):
    x, y = make_classification(400, class_sep=2.0, random_state=1)
    rate = 0.003 if solver == "lion" else 0.01
    net = MLPClassifier((8,), solver=solver, max_iter=100, learning_rate_init=rate, random_state=0)
    assert net.fit(x, y).score(x, y) > 0.93


@pytest.mark.parametrize("learning_rate", ["constant", "invscaling", "adaptive"])
def test_the_rates_of_sgd(learning_rate):
    x, y = make_classification(400, class_sep=2.0, random_state=1)
    net = MLPClassifier(
        (8,), solver="sgd", learning_rate=learning_rate, learning_rate_init=0.1, random_state=0
    )
    assert net.fit(x, y).score(x, y) > 0.9


def test_several_labels_and_one_class():
    x = np.random.default_rng(0).standard_normal((200, 4))
    labels = (x[:, :3] > 0).astype(int)
    net = MLPClassifier((16,), max_iter=200, learning_rate_init=0.02, random_state=0).fit(x, labels)
    assert net.predict(x).shape == (200, 3)
    assert (net.predict(x) == labels).mean() > 0.95
    alone = MLPClassifier((4,), max_iter=2).fit(x, np.full(200, "only"))
    assert set(alone.predict(x)) == {"only"}


def test_numbers():
    x, y = load_diabetes(return_X_y=True)
    options = {"hidden_layer_sizes": 16, "alpha": 1.0, "max_iter": 300, "random_state": 0}
    ours, theirs = (
        cross_val_score(make_pipeline(StandardScaler(), kind(**options)), x, y / 100, cv=3).mean()
        for kind in (MLPRegressor, TheirRegressor)
    )
    assert ours > theirs - 0.05
    both = MLPRegressor(hidden_layer_sizes=16, **QUICK).fit(x, np.column_stack([y, -y]))
    assert both.predict(x).shape == (len(x), 2)


def test_counts_by_the_poisson_loss():
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 1, (800, 1))
    y = rng.poisson(np.exp(2 * x[:, 0]))
    net = MLPRegressor("poisson", (16,), max_iter=200, learning_rate_init=0.01, random_state=0)
    found = net.fit(x, y).predict(np.array([[0.0], [1.0]]))
    np.testing.assert_allclose(found, [1, np.e**2], rtol=0.25)


def test_the_network_behind_it_is_kedjas(digits):
    x, _, y, _ = digits
    net = MLPClassifier((8,), **QUICK).fit(x, y)
    assert isinstance(net.network_, kj.nn.Sequential)
    assert [w.shape for w in net.coefs_] == [(64, 8), (8, 10)]
    z = net.network_(x[:5]).numpy()
    np.testing.assert_allclose(
        net.predict_log_proba(x[:5]),
        z - np.log(np.exp(z).sum(1, keepdims=True)),
        atol=1e-6,
        rtol=1e-5,
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hidden_layer_sizes": (0,)}, "hidden_layer_sizes"),
        ({"alpha": -1}, "alpha"),
        ({"dropout": 1}, "dropout"),
        ({"max_iter": 0}, "max_iter"),
        ({"batch_size": -3}, "batch_size"),
        ({"learning_rate": "fast"}, "learning_rate"),
        ({"solver": "adma"}, "did you mean"),
        ({"activation": "relo"}, "did you mean"),
        ({"solver": "lbfgs", "dropout": 0.5}, "solver='adam'"),
    ],
)
def test_wrong_parameters_are_named(options, message):
    x, y = make_classification(50, random_state=0)
    with pytest.raises(ValueError, match=message):
        MLPClassifier(**options).fit(x, y)


def test_what_does_not_converge_is_told():
    x, y = make_classification(50, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ConvergenceWarning, match="2 iterations"):
            MLPClassifier(max_iter=2).fit(x, y)


@pytest.mark.parametrize("options", [{}, {"dropout": 0.3}, {"solver": "sgd", "shuffle": False}])
def test_further_calls_of_partial_fit_trace_nothing_and_give_the_same_bits(options, monkeypatch):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((3, 40, 5)), rng.integers(0, 2, (3, 40))
    traced = []
    before = Stepper._loop
    monkeypatch.setattr(Stepper, "_loop", lambda *given: traced.append(1) or before(*given))
    one = MLPClassifier((8,), random_state=1, **options)
    other = MLPClassifier((8,), random_state=1, **options)
    seen = None
    for turn, (x, labels) in enumerate(zip(X, y, strict=True)):
        one.partial_fit(x, labels, classes=[0, 1])
        if seen is None:
            held, seen = one.network_, one.coefs_[0].copy()
            assert len(traced) == 1
        assert len(traced) == 1 + turn  # those of the other one
        other = pickle.loads(pickle.dumps(other)).partial_fit(x, labels, classes=[0, 1])
    np.testing.assert_array_equal(held[0].weight.numpy().T, seen)
    for mine, right in zip(one.coefs_, other.coefs_, strict=True):
        np.testing.assert_array_equal(mine, right)
    one.partial_fit(X[0][:7], y[0][:7])
    assert one.loss_curve_[:3] == other.loss_curve_
