"""`kedja train RATINGS --model factors|two-tower`: what users will like, by what users liked.

`kedja predict` recommends to users by their names and to new users by a file of their ratings, and
finds items like one.

DATA is a file of users, items, ratings and times, or a folder of MovieLens. The latest fifth is
held out. Where points are predicted, the latest tenth of the rest says when to stop; where what
users met is ranked, all of it is learned, since the loss says little of the order. Not here: what
all runs have in common (`task.py`), reading (`kedja/data/ratings.py`), the figures
(`kedja/train/ranking.py`). Next: `kedja/train/recommending.py`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from kedja import optim
from kedja.cli import runs, task
from kedja.cli.asked import Asked
from kedja.cli.families import Request
from kedja.cli.output import note, say, say_json
from kedja.data import learned
from kedja.data import ratings as reading
from kedja.data.ratings import Ratings
from kedja.front.tables import plain
from kedja.ground.errors import DataError, UsageError
from kedja.ground.suggest import did_you_mean
from kedja.models.new_users import recommend_new
from kedja.models.recommenders import Factors, alike, recommend
from kedja.train import ranking, recommending
from kedja.train.early_stopping import EarlyStopping

NAMES = "names.json"  # what the numbers of users and items are called
SHARE, WATCHED = 0.2, 0.1
PATIENCE = 5
COUNT = 10
USUAL = {"model": "factors", "width": 8, "batch": 256, "lr": 1e-2, "seed": 0}
DECAY = 3.0  # of two towers


def train(request: Request) -> None:
    """Train a recommender on the ratings of DATA and test it on the latest fifth of them."""
    model = request.given.get("model", "factors")
    if request.given.get("implicit") is False and model == "two-tower":
        what = "--points: two towers rank what users met, they predict no points"
        raise UsageError(what, fix="leave it out, or --model factors")
    usual = USUAL if request.earlier is not None else _usual(request, model)
    task.run(request, usual, _prepare)


def _usual(request: Request, model: str) -> dict[str, Any]:
    found = _read(request.data)
    implicit = request.given.get("implicit", model == "two-tower" or not found.explicit)
    batch = request.given.get("batch", USUAL["batch"])
    return {
        **USUAL,
        "implicit": implicit,
        "weight_decay": DECAY
        if model == "two-tower"
        else recommending.usual_decay(found, batch, not implicit),
        "epochs": recommending.usual_epochs(len(found), batch),
    }


def _read(data: Sequence[str]) -> Ratings:
    if len(data) > 1:
        raise UsageError(f"{len(data)} files of ratings", fix="give one file, or one folder")
    return reading.read(data[0])


def _prepare(data: tuple[str, ...], made: task.Options) -> task.Prepared:
    found = _read(data)
    if learned.is_alone():
        found, _ = found.split(SHARE, made["seed"])
    train, test = found.split(SHARE, made["seed"])
    fit, model = _fit(train, made)
    when = "the latest" if found.time is not None else "drawn"
    parts = f"{len(train):,} ratings to train on, {when} {len(test):,} to test on"
    return task.Prepared(
        model,
        None,
        [*found.describe(), parts],
        fit,
        partial(_figures, train, test, made["implicit"]),
        _told,
        f"--text {json.dumps(found.users[0], ensure_ascii=False)}",
        {NAMES: {"users": found.users, "items": found.items, "titles": found.titles}},
    )


def _fit(train: Ratings, made: task.Options) -> tuple[Any, Any]:
    """The training, and the model before it."""
    optimizer = optim.AdamW(made["lr"], weight_decay=made["weight_decay"])
    usual: dict[str, Any] = {"width": made["width"], "optimizer": optimizer}
    if made["model"] == "two-tower":
        towers = recommending.two_tower_for(train, made["width"], made["seed"])
        return partial(recommending.fit_two_tower, train, **usual), towers
    points = not made["implicit"]
    factors = recommending.factors_for(train, made["width"], made["seed"], points)
    if points:
        train, watched = train.split(WATCHED, made["seed"])
        usual |= {"validation": watched, "early_stopping": EarlyStopping(PATIENCE)}
    return partial(recommending.fit_factors, train, points=points, **usual), factors


# ------------------------------------------------------------------------------- figures


def _figures(train: Ratings, test: Ratings, implicit: bool, model: Any) -> dict[str, Any]:
    """What the model reaches, beside the baselines on the same ratings.

    Liked is what has at least the mean of the points in training; all of it without points.
    """
    liked = float(train.rating.mean()) if train.explicit else None
    sides = {"test": model.scores, "popularity": ranking.popularity(train, liked)}
    if len(train.items) <= ranking.MOST_ITEMS:
        sides["item_knn"] = ranking.item_knn(train)
    found: dict[str, Any] = {
        "train_ratings": len(train),
        "test_ratings": len(test),
        "liked_from": liked,
        **_rankings(sides, train, test, liked),
    }
    if not implicit and isinstance(model, Factors):
        found["test_rmse"] = recommending.rating_error(model, test)
        found["levels_rmse"] = recommending.level_error(train, test)
    return found


def _rankings(
    sides: Mapping[str, ranking.Scores], train: Ratings, test: Ratings, liked: float | None
) -> dict[str, Any]:
    try:
        found = {
            name: ranking.evaluate_ranking(scores, train, test, k=COUNT, relevant=liked)
            for name, scores in sides.items()
        }
    except DataError as error:
        note(f"no ranking is measured: {error.what}")
        return {}
    return {name: each._asdict() for name, each in found.items()}


def _told(results: Mapping[str, Any]) -> list[str]:
    lines = []
    if "test_rmse" in results:
        lines.append(
            f"test error {results['test_rmse']:.4f} points (root of the mean square); "
            f"by levels of users and items alone {results['levels_rmse']:.4f}"
        )
    rows = [
        [name, f"{each['recall']:.1%} ± {each['recall_error']:.1%}",
         f"{each['ndcg']:.3f} ± {each['ndcg_error']:.3f}"]
        for key, name in (
            ("test", results["model"]), ("item_knn", "item-kNN"), ("popularity", "popularity")
        )
        if (each := results.get(key))
    ]  # fmt: skip
    if rows:
        users = results["test"]["users"]
        head = ("", f"recall@{COUNT}", f"NDCG@{COUNT}")
        lines += [
            f"what {users:,} users liked later, among all items:",
            plain(head, rows, head[1:]),
        ]
    return lines


# -------------------------------------------------------------------------------- asking


def predict(asked: Asked) -> None:
    """A user's name: what to recommend; an item's: what is like it; ratings: what for new users.

    `--explain` says which items of theirs are like what is recommended.
    """
    if asked.plot is not None:
        raise UsageError("a recommender draws nothing", fix="leave --plot out")
    names = runs.read_json(asked.run / NAMES, _Names.of)
    lists = [file for file in asked.files if reading.are_in(str(file))]
    rows = [row for file in lists for row in _of_new_users(asked, names, reading.read(file))]
    rest = replace(asked, files=[file for file in asked.files if file not in lists])
    if rest.files or rest.given or not lists:
        met = _met(asked.run)
        rows += [row for _, name in rest.texts() for row in _answers(asked, names, met, name)]
    if asked.json:
        say_json({"run": str(asked.run), "predictions": rows})
        return
    for row in rows:
        because = f"  (like {', '.join(row['like'])})" if row["like"] else ""
        say(f"{row['user']}  {row['title']}  {row['score']:.3g}{because}")


class _Names(NamedTuple):
    """The numbers of users and items by their names, and what items are called."""

    users: dict[str, int]
    items: dict[str, int]
    titles: dict[str, str]

    @classmethod
    def of(cls, value: Any) -> _Names:
        users, items = (
            {name: number for number, name in enumerate(value[kind])} for kind in ("users", "items")
        )
        return cls(users, items, dict(value["titles"] or {}))

    def called(self) -> list[str]:
        """What each item is called."""
        return [self.titles.get(item, item) for item in self.items]

    def item(self, name: str) -> int | None:
        """The number of an item, by its name or what it is called."""
        called = self.called()
        return self.items.get(name, called.index(name) if name in called else None)


def _answers(
    asked: Asked, names: _Names, met: Mapping[str, Sequence[str]], name: str
) -> Iterator[dict[str, Any]]:
    """What to recommend to a user, or what is like an item: the best first."""
    if name in names.users:
        known = [names.items[item] for item in met.get(name, ())]
        found = recommend(asked.model, names.users[name], COUNT, known)
        return _rows(asked, names, name, found, known)
    item = names.item(name)
    if item is None:
        fix = did_you_mean(name, [*names.users, *names.called()])
        raise UsageError(f"there is no user and no item {name!r}", fix=fix)
    others = [each for each in range(len(names.items)) if each != item]
    return _rows(asked, names, name, alike(asked.model, item, others, COUNT), [])


def _rows(
    asked: Asked,
    names: _Names,
    user: str,
    found: Sequence[tuple[int, float]],
    known: Sequence[int],
) -> Iterator[dict[str, Any]]:
    """A row for each item that was found for a user who knows some others."""
    called, spelled = names.called(), list(names.items)
    for item, score in found:
        near = alike(asked.model, item, known) if asked.explain and known else []
        yield {
            "user": user,
            "item": spelled[item],
            "title": called[item],
            "score": score,
            "like": [called[each] for each, _ in near],
        }


def _of_new_users(asked: Asked, names: _Names, given: Ratings) -> Iterator[dict[str, Any]]:
    """What to recommend to each user of a file of ratings, by what stands there alone."""
    implicit, error = runs.read(asked.run, _asked_for)
    there = np.array([names.items.get(item, -1) for item in given.items])[given.item]
    if (there < 0).any():
        note(f"{given.name}: {(there < 0).sum():,} ratings of items that are not known")
    for user, name in enumerate(given.users):
        mine = np.flatnonzero((given.user == user) & (there >= 0))
        if not len(mine):
            note(f"{given.name}: nothing of what {name} rated is known")
            continue
        points = None if implicit else given.rating[mine]
        items = there[mine].tolist()
        found = recommend_new(asked.model, items, points, count=COUNT, error=error)
        yield from _rows(asked, names, name, found, items)


def _asked_for(content: Mapping[str, Any]) -> tuple[bool, float]:
    """Whether a run ranks what was met, and how far its points are off, 1 where that is unknown."""
    results = content["results"] or {}
    return bool(content["recipe"]["implicit"]), float(results.get("test_rmse", 1.0))


def _met(run: Path) -> dict[str, list[str]]:
    """What each user has rated, by the data of the run, if it is still there."""
    try:
        found = _read(runs.sources_of(run))
    except DataError:
        note("the ratings are not where they were: what is recommended may be known already")
        return {}
    known: dict[str, list[str]] = {}
    for user, item in zip(found.user.tolist(), found.item.tolist(), strict=True):
        known.setdefault(found.users[user], []).append(found.items[item])
    return known
