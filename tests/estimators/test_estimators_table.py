"""Tables as they are: texts, missing values, several networks, refusals."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="estimators need scikit-learn")
from sklearn.utils.estimator_checks import parametrize_with_checks

from kedja.estimators import TableClassifier, TableRegressor
from kedja.ground.errors import DataError, UsageError

QUICK = {"max_iter": 40, "random_state": 0}


def rows(n=300, seed=0):
    """A number, a text with gaps, a number with gaps; y is a step in the first and the text's."""
    random = np.random.default_rng(seed)
    size, town = random.uniform(0, 10, n), random.choice(["Ulm", "Bonn", None], n)
    empty = np.where(random.random(n) < 0.2, np.nan, random.normal(size=n))
    worth = {"Ulm": 3.0, "Bonn": -3.0, None: 0.0}
    y = np.where(size > 5, 10.0, 0.0) + [worth[each] for each in town]
    return np.array([size, town, empty], dtype=object).T, y


@pytest.fixture(scope="module")
def fitted():
    x, y = rows()
    return TableRegressor(**QUICK).fit(x, y)


def test_mixed_columns_are_learned(fitted):
    assert fitted.score(*rows(seed=1)) > 0.9
    kinds = [column.type for column in fitted.preparation_.columns]
    assert kinds == ["numeric", "coded", "numeric"]


def test_texts_that_were_never_seen_count_as_the_others(fitted):
    unknown, missing = fitted.predict([[2.0, "Köln", 0.0], [2.0, None, 0.0]])
    assert unknown == missing


def test_a_pickle_says_the_same(fitted):
    x, _ = rows(seed=1)
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.predict(x), fitted.predict(x))


def test_several_networks_are_averaged():
    x, y = rows(100)
    both = TableRegressor(n_networks=2, max_iter=3, random_state=0).fit(x, y)
    each = []
    for network in both.networks_:
        alone = pickle.loads(pickle.dumps(both))
        alone.networks_ = [network]
        each.append(alone.predict(x))
    np.testing.assert_allclose(both.predict(x), np.mean(each, axis=0), rtol=1e-5)
    assert (each[0] != each[1]).any()


def test_classes_of_texts():
    x, y = rows()
    labels = np.where(y > 5, "dear", "cheap")
    net = TableClassifier(**QUICK).fit(x, labels)
    asked, right = rows(seed=1)
    assert net.score(asked, np.where(right > 5, "dear", "cheap")) > 0.95
    np.testing.assert_allclose(net.predict_proba(asked).sum(axis=1), 1)


class NotAvailable:
    """As pandas' NA: neither equal to itself nor not."""

    def __ne__(self, other):
        return self

    def __bool__(self):
        raise TypeError("boolean value of NA is ambiguous")


def test_columns_with_not_available_cells_are_read():
    x, y = rows(60)
    gaps = x.copy()
    gaps[::7, 0], gaps[::5, 1] = NotAvailable(), NotAvailable()
    plain = x.copy()
    plain[::7, 0], plain[::5, 1] = np.nan, None
    options = {"max_iter": 2, "random_state": 0}
    said = [TableRegressor(**options).fit(each, y).predict(each) for each in (gaps, plain)]
    np.testing.assert_array_equal(*said)


def test_dates_are_numbers_and_weekdays_matter():
    days = np.datetime64("2023-01-02") + np.arange(400)
    y = np.where(np.arange(400) % 7 >= 5, 3.0, 0.0)
    forms = {
        "texts": [f"{each:%d/%m/%Y}" for each in days.tolist()],
        "dates": days.tolist(),
        "moments": days,
    }
    said = {}
    for name, column in forms.items():
        x = np.array(column)[:, None]
        made = TableRegressor(max_iter=60, random_state=0).fit(x, y)
        (dated,) = made.preparation_.columns
        assert [part.name for part in dated.parts] == ["time", "month", "day", "weekday"]
        assert dated.day_first == (True if name == "texts" else None)
        said[name] = made.predict(x)
    assert np.mean((said["texts"] - y) ** 2) < 0.1 * y.var()
    np.testing.assert_array_equal(said["texts"], said["dates"])
    np.testing.assert_array_equal(said["texts"], said["moments"])


def test_texts_where_dates_were_are_refused():
    x = np.array([[f"2024-01-{day:02d}"] for day in range(1, 30)], dtype=object)
    made = TableRegressor(max_iter=1, random_state=0).fit(x, np.arange(29.0))
    with pytest.raises(DataError, match="'x0' held dates in training"):
        made.predict([["yesterday"]])


def test_texts_where_numbers_were_are_refused(fitted):
    with pytest.raises(DataError, match="'x0' held numbers in training"):
        fitted.predict([["large", "Ulm", 0.0]])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks([TableRegressor(max_iter=60), TableClassifier(max_iter=60)])
def test_scikit_learns_checks_of_tables(estimator, check):
    check(estimator)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_networks": 0}, "n_networks is 0"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"pieces": -1}, "pieces is -1"),
        ({"hidden_layer_sizes": "large"}, "hidden_layer_sizes is 'large'"),
    ],
)
def test_options_that_make_no_sense_are_told(options, message):
    with pytest.raises(UsageError, match=message):
        TableRegressor(**options).fit(*rows(40))


def test_one_hidden_layer_may_be_a_number():
    fitted = TableRegressor(8, max_iter=1, random_state=0).fit(*rows(40))
    assert fitted.networks_[0].config.hidden == (8,)
