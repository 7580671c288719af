"""Recommenders: recall and NDCG by their definition, baselines, training, recovery."""

from __future__ import annotations

import math

import numpy as np
import pytest

import kedja as kj
from kedja.data.generated_ratings import generate
from kedja.data.ratings import Ratings
from kedja.ground.errors import DataError, UsageError
from kedja.models import Factors, FactorsConfig, TwoTower, TwoTowerConfig, alike, recommend
from kedja.train import evaluate_ranking, fit_factors, fit_two_tower, item_knn, popularity
from kedja.train import recommending as training

QUIET = {"progress": False, "epochs": 30}


def rated(pairs, points=None, users=3, items=5) -> Ratings:
    user, item = (np.array(each, np.int32) for each in zip(*pairs, strict=True))
    rating = np.ones(len(user)) if points is None else np.array(points)
    names = tuple(map(str, range(users))), tuple(map(str, range(items)))
    return Ratings("made", *names, user, item, rating.astype(np.float32))


TRAIN = rated([(0, 0), (0, 1), (1, 0), (2, 0), (2, 2)])
TEST = rated([(0, 3), (0, 2), (1, 1)])


def test_recall_and_ndcg_are_those_of_the_definition():
    """User 0 is shown 3, 4 (hit, miss) and wants 3 and 2; user 1 is shown 4, 3 and wants 1."""
    scores = np.array([[9, 9, 0, 2, 1], [9, 1, 0, 2, 3], [0, 0, 0, 0, 0]])
    found = evaluate_ranking(lambda users: scores[users], TRAIN, TEST, k=2)
    assert found.users == 2
    assert found.recall == pytest.approx((1 / 2 + 0) / 2)
    assert found.ndcg == pytest.approx(1 / (1 + 1 / math.log2(3)) / 2)


def test_what_a_user_knows_is_never_recommended():
    everything = np.full((3, 5), 1.0)
    everything[:, 0] = 100
    found = evaluate_ranking(lambda users: everything[users], TRAIN, rated([(1, 0)]), k=1)
    assert found.recall == 0


def test_only_what_was_liked_counts():
    test = rated([(0, 3), (1, 1)], points=[5, 1])
    found = evaluate_ranking(popularity(TRAIN), TRAIN, test, relevant=4)
    assert found.users == 1
    with pytest.raises(DataError, match="no user of the test"):
        evaluate_ranking(popularity(TRAIN), TRAIN, test, relevant=6)


def test_popularity_counts():
    assert popularity(TRAIN)(np.array([1])).tolist() == [[3, 1, 1, 0, 0]]


def test_item_knn_is_the_shrunk_cosine():
    """Items 0 and 1 share one user of 3 and 1: cosine 1/√3, shrunk by 1/11."""
    weight = 1 / math.sqrt(3) / 11
    found = item_knn(TRAIN)(np.array([1]))[0]
    assert found == pytest.approx([0, weight, weight, 0, 0], rel=1e-5)


def test_item_knn_is_bounded(monkeypatch):
    monkeypatch.setattr("kedja.train.ranking.MOST_ITEMS", 4)
    with pytest.raises(UsageError, match="item-kNN of 5 items"):
        item_knn(TRAIN)


@pytest.mark.parametrize(
    "model", [Factors(FactorsConfig(4, 6, width=3)), TwoTower(TwoTowerConfig(4, 6, width=3))]
)
def test_scores_of_all_items_are_those_of_pairs(model):
    pairs = kj.tensor([[user, item] for user in (2, 0) for item in range(6)], kj.int32)
    one_by_one = model(pairs).numpy().reshape(2, 6)
    assert np.allclose(model.scores(np.array([2, 0])), one_by_one, rtol=1e-5, atol=1e-6)


def test_each_with_each_has_the_pairs_on_its_diagonal():
    model = TwoTower(TwoTowerConfig(4, 6, width=3))
    pairs = kj.tensor([[0, 5], [3, 2]], kj.int32)
    together = model.each_with_each(pairs).numpy()
    assert np.allclose(np.diagonal(together), model(pairs).numpy(), rtol=1e-5)


def test_an_item_twice_in_a_batch_does_not_compete_with_itself():
    model = TwoTower(TwoTowerConfig(4, 6, width=3))
    twice, once = kj.tensor([[0, 5], [1, 5]], kj.int32), kj.tensor([[0, 5]], kj.int32)
    assert training.softmax_loss(model, twice).item() == pytest.approx(0, abs=1e-6)
    assert training.softmax_loss(model, once).item() == pytest.approx(0, abs=1e-6)


def test_factors_are_found_again():
    made = generate(users=120, items=60, factors=2, each=30, noise=0.05, seed=1)
    train, test = made.ratings.split()
    model = fit_factors(train, width=2, progress=False, epochs=80).model
    assert training.recovery(model.users.weight.numpy(), made.users).min() > 0.95
    assert training.rating_error(model, test) < 0.5 * training.level_error(train, test)


@pytest.mark.parametrize("kind", ["pairs", "towers"])
def test_what_users_meet_is_ranked_better_than_by_popularity(kind):
    made = generate(users=150, items=60, factors=2, each=20, choosy=2.0, seed=2)
    train, test = made.ratings.split()
    fitted = (
        fit_factors(train, width=4, points=False, **QUIET)
        if kind == "pairs"
        else fit_two_tower(train, width=4, **QUIET)
    )
    mine = evaluate_ranking(fitted.model.scores, train, test)
    assert mine.ndcg > 1.2 * evaluate_ranking(popularity(train), train, test).ndcg


def test_the_same_seed_gives_the_same_bits():
    ratings = generate(users=20, items=15, factors=2, each=5).ratings
    runs = [fit_factors(ratings, width=2, points=False, epochs=2, progress=False) for _ in "ab"]
    first, second = (run.model.users.weight.numpy() for run in runs)
    assert np.array_equal(first, second)


def test_recommending_leaves_out_what_is_known():
    model = Factors(FactorsConfig(3, 4, width=2))
    for nobody in (-1, 10**6):
        with pytest.raises(UsageError, match="there is no user"):
            recommend(model, nobody)
    found = recommend(model, 1, count=10, without=[0, 2])
    assert {item for item, _ in found} == {1, 3}
    assert found[0][1] >= found[1][1]
    assert alike(model, 1, [1, 3])[0][0] == 1


def test_no_ratings_are_refused():
    with pytest.raises(DataError, match="there are no ratings"):
        fit_factors(TRAIN.rows(np.array([], np.int64)))
