"""Recommenders on ratings that were made of known factors. Next: `results.py`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks.systems.results import Chosen, Result
from kedja import optim
from kedja.data.generated_ratings import Made, generate
from kedja.train import ranking, recommending

TITLE = "Recommenders: known factors found again, and what users will meet"
SEEDS = (0, 1, 2)
FACTORS = 4


def run(chosen: Chosen) -> Iterator[Result]:
    """Recovery at low noise, then ranking of what users meet, over three seeds."""
    seeds = SEEDS[:1] if chosen.quick else SEEDS
    yield from _recovered([_low_noise(seed, chosen) for seed in seeds])
    for name, fit in (("factors", _factors), ("two towers", _towers)):
        yield from _ranked(name, [_ranking(fit, seed, chosen) for seed in seeds])


def _low_noise(seed: int, chosen: Chosen) -> dict[str, float]:
    """Correlations with what the ratings were made of, and errors on the latest fifth."""
    made = generate(users=400, items=300, factors=FACTORS, each=60, noise=0.1, seed=seed)
    train, test = made.ratings.split()
    history = recommending.fit_factors(train, width=FACTORS, seed=seed, **_options(0.01, chosen))
    model = history.model
    users, items = model.users.weight.numpy(), model.items.weight.numpy()
    return {
        "users": float(recommending.recovery(users, made.users).min()),
        "items": float(recommending.recovery(items, made.items).min()),
        "affinity": float(np.corrcoef((users @ items.T).ravel(), made.affinity.ravel())[0, 1]),
        "rmse": recommending.rating_error(model, test),
        "levels": recommending.level_error(train, test),
    }


def _recovered(found: list[dict[str, float]]) -> Iterator[Result]:
    least = {name: min(each[name] for each in found) for name in ("users", "items", "affinity")}
    low = min(least.values())
    yield Result(
        "correlation with the true factors, noise 0.1",
        f"users {least['users']:.4f}, items {least['items']:.4f}, p·q {least['affinity']:.4f}",
        "≥ 0.95",
        low >= 0.95,
        "",
        f"least of {FACTORS} canonical correlations, worst of {len(found)} seeds",
    )
    rmse, levels = (float(np.mean([each[name] for each in found])) for name in ("rmse", "levels"))
    what = "error of held-out ratings, noise 0.1"
    yield Result(what, f"{rmse:.3f}", "", None, f"levels of users and items {levels:.3f}")


def _ranking(fit: Any, seed: int, chosen: Chosen) -> dict[str, ranking.Ranking]:
    made = generate(users=600, items=300, factors=FACTORS, each=40, choosy=1.0, seed=seed)
    train, test = made.ratings.split()
    history = fit(train, seed, chosen)
    sides = {
        "model": history.model.scores,
        "item-kNN": ranking.item_knn(train),
        "popularity": ranking.popularity(train),
        "the true chances": _true(made),
    }
    return {name: ranking.evaluate_ranking(scores, train, test) for name, scores in sides.items()}


def _true(made: Made) -> ranking.Scores:
    """What the next item was drawn by, popularity by its counts: nearly the best there can be."""
    counts = np.bincount(made.ratings.item, minlength=len(made.ratings.items))
    scores = made.affinity + np.log(counts + 1)
    return lambda users: scores[users]


def _factors(train: Any, seed: int, chosen: Chosen) -> Any:
    return recommending.fit_factors(
        train, width=8, points=False, seed=seed, **_options(0.3, chosen)
    )


def _towers(train: Any, seed: int, chosen: Chosen) -> Any:
    return recommending.fit_two_tower(train, width=8, seed=seed, **_options(3.0, chosen))


def _options(decay: float, chosen: Chosen) -> dict[str, Any]:
    return {
        "optimizer": optim.AdamW(1e-2, weight_decay=decay),
        "threads": chosen.threads,
        "progress": False,
        **({"epochs": 1} if chosen.quick else {}),
    }


def _ranked(name: str, found: list[dict[str, ranking.Ranking]]) -> Iterator[Result]:
    for figure in ("recall", "ndcg"):
        means = {
            side: float(np.mean([getattr(each[side], figure) for each in found]))
            for side in found[0]
        }
        mine = means.pop("model")
        rivals = ("item-kNN", "popularity")
        others = ", ".join(f"{side} {value:.3f}" for side, value in means.items())
        yield Result(
            f"{name}: {'recall' if figure == 'recall' else 'NDCG'}@10",
            f"{mine:.3f}",
            "above popularity and item-kNN",
            all(mine > means[side] for side in rivals),
            others,
            f"mean of {len(found)} seeds",
        )
