"""Users whom a recommender has not met: what they rated is enough to recommend to them."""

from __future__ import annotations

import numpy as np
import pytest

from kedja import models
from kedja.data.generated_ratings import generate
from kedja.ground.errors import DataError, UsageError
from kedja.models import new_users
from kedja.train import ranking, recommending

NEW = 20  # the last users of all


@pytest.fixture(scope="module")
def made():
    return generate(users=120, items=60, factors=2, each=30, noise=0.1, choosy=2.0, seed=0).ratings


@pytest.fixture(scope="module")
def learned(made):
    """Models that have not seen the last users, by what was asked of them."""
    old = made.rows(np.flatnonzero(made.user < len(made.users) - NEW))
    options = {"width": 4, "epochs": 40, "progress": False}
    return {
        "points": recommending.fit_factors(old, points=True, **options).model,
        "order": recommending.fit_factors(old, points=False, **options).model,
        "towers": recommending.fit_two_tower(old, **options).model,
    }


def mine(ratings, user):
    """The earlier two thirds of what a user rated, and the rest."""
    rows = np.flatnonzero(ratings.user == user)
    return rows[:20], rows[20:]


def test_points_of_new_users_are_predicted(made, learned):
    model, errors, levels = learned["points"], [], []
    for user in range(len(made.users) - NEW, len(made.users)):
        known, rest = mine(made, user)
        said = dict(
            models.recommend_new(model, made.item[known], made.rating[known], count=60, error=0.3)
        )
        errors += [said[int(made.item[row])] - made.rating[row] for row in rest]
        level = made.rating[known].mean()
        levels += [level - made.rating[row] for row in rest]
    assert np.sqrt(np.mean(np.square(errors))) < 0.7 * np.sqrt(np.mean(np.square(levels)))


@pytest.mark.parametrize("asked", ["order", "towers"])
def test_what_new_users_meet_next_is_found(made, learned, asked):
    old = made.rows(np.flatnonzero(made.user < len(made.users) - NEW))
    counts = ranking.popularity(old)(np.array([0]))[0]
    hits = {"model": 0, "popular": 0}
    for user in range(len(made.users) - NEW, len(made.users)):
        known, rest = (made.item[rows] for rows in mine(made, user))
        found = models.recommend_new(learned[asked], known, count=10)
        popular = models.recommenders.best_of(counts, 10, known)
        assert not {item for item, _ in found} & set(known.tolist())
        for name, some in (("model", found), ("popular", popular)):
            hits[name] += len({item for item, _ in some} & set(rest.tolist()))
    assert hits["model"] > hits["popular"]


def test_the_vector_is_where_the_loss_is_least(made, learned):
    known = new_users._known(learned["order"], points=False)
    met = np.array([3, 5, 9])
    p = new_users._by_order(known, met)
    least = new_users._loss(known, met, p)[0]
    for step in np.random.default_rng(0).normal(size=(20, len(p))) * 0.05:
        assert new_users._loss(known, met, p + step)[0] > least


def test_points_solve_their_equation(learned):
    known = new_users._known(learned["points"], points=True)
    met, points = np.array([3, 5, 9]), np.array([4.0, 2.0, 3.0])
    p = new_users._by_points(known, met, points, 0.5)
    rest = points - known.scores(p)[met]
    slope = -known.vectors[met].T @ rest / 0.25 + known.precision @ (p - known.mean)
    np.testing.assert_allclose(slope, 0, atol=1e-8)


@pytest.mark.parametrize(
    ("asked", "given", "error", "message"),
    [
        ("order", ([],), DataError, "nothing is known"),
        ("order", ([60],), UsageError, "there is no item 60"),
        ("order", ([-1, 2],), UsageError, "there is no item -1"),
        ("points", ([1, 2], [3.0]), UsageError, "1 points of 2 items"),
        ("points", ([1], [np.nan]), UsageError, "1 points of 1 items"),
        ("towers", ([1], [3.0]), UsageError, "they predict no points"),
    ],
)
def test_what_is_refused(learned, asked, given, error, message):
    with pytest.raises(error, match=message):
        models.recommend_new(learned[asked], *given)


def test_an_error_of_nothing_is_refused(learned):
    with pytest.raises(UsageError, match="error is 0"):
        models.recommend_new(learned["points"], [1], [2.0], error=0)


def test_one_user_alone_is_enough():
    one = generate(users=1, items=10, factors=2, each=8, seed=0).ratings
    model = recommending.fit_factors(one, width=2, epochs=2, progress=False).model
    found = models.recommend_new(model, [0, 1], [5.0, 1.0])
    assert np.isfinite([score for _, score in found]).all()


def test_factors_decay_less_where_users_are_seldom_in_a_batch(made):
    decays = [recommending.usual_decay(made, batch, points=False) for batch in (256, 8, 4)]
    assert decays[0] == 0.3
    assert decays[1] == pytest.approx(2 * decays[2], rel=0.05)
    assert recommending.usual_decay(made, 256, points=True) == 0.1
