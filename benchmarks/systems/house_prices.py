"""House prices in California beside trees, a line and neighbours, on the same five folds.

The options of the network were chosen on parts of the training rows alone; the folds' test rows
were not looked at. Not here: the network (`kedja/models/tabular.py`). Next: `svm.py`.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from benchmarks.systems.results import Chosen, Result
from kedja.data import csvfile, table
from kedja.estimators import TableRegressor
from kedja.inspection.importance import permutation_importance

Array = np.ndarray[Any, np.dtype[Any]]

TITLE = "House prices"
FILE = "tabular/california_housing.csv"
TARGET = "median_house_value"
FOLDS = 5
WITHIN = 1.10  # of the boosted trees' error is the goal
ALPHAS = np.logspace(-3, 3, 13)
MEMBERS = 3
SINGLE, TOGETHER = f"a network, mean of {MEMBERS} seeds", f"{MEMBERS} networks, averaged"
SHOWN = 4  # columns, by importance


def run(chosen: Chosen) -> Iterator[Result]:
    """The root of the mean square error of each model over five folds, then what matters."""
    if chosen.data is None:
        raise SystemExit("house_prices needs --data FOLDER")
    names, x, y = read(chosen.data / FILE)
    rows = slice(0, 1500) if chosen.quick else slice(None)
    x, y = x[rows], y[rows]
    errors, seconds = _measured(names, x, y)
    trees, line = errors["boosted trees"], errors["ridge"]
    for name in (SINGLE, TOGETHER):
        mine = errors[name]
        yield Result(
            f"RMSE of {name}, {FOLDS} folds",
            f"{_text(mine)} $, {mine.mean() / trees.mean():.3f} × the trees'",
            goal=f"≤ {WITHIN:.2f} × the trees', below ridge",
            met=bool(mine.mean() <= WITHIN * trees.mean() and mine.mean() < line.mean()),
            baseline=f"HistGradientBoosting {_text(trees)}, ridge {_text(line)}, "
            f"10 nearest neighbours {_text(errors['neighbours'])}",
            note=f"{seconds[name]:.0f} s for a fold, the trees {seconds['boosted trees']:.1f} s",
        )
    yield _important(names, x, y)


def read(file: Path) -> tuple[list[str], Array, Array]:
    """The columns' names, the rows as objects (numbers with NaN, texts), the prices."""
    cells = csvfile.read(file)
    prices = csvfile.numbers(cells, TARGET).values
    names = [name for name in cells.columns if name != TARGET]
    columns = [table.typed(cells, name).values for name in names]
    return names, np.array(columns, dtype=object).T, prices


def baselines(names: list[str], x: Array) -> dict[str, Any]:
    """scikit-learn's models: trees with defaults, a line with its own α, ten neighbours."""
    texts = [place for place in range(len(names)) if isinstance(x[0, place], str)]
    numbers = [place for place in range(len(names)) if place not in texts]

    def columns() -> Any:
        filled = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
        return make_column_transformer(
            (filled, numbers), (OneHotEncoder(handle_unknown="ignore"), texts)
        )

    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    ordered = make_column_transformer((codes, texts), ("passthrough", numbers))
    trees = HistGradientBoostingRegressor(categorical_features=list(range(len(texts))))
    return {
        "boosted trees": make_pipeline(ordered, trees.set_params(random_state=0)),
        "ridge": make_pipeline(columns(), RidgeCV(ALPHAS)),
        "neighbours": make_pipeline(columns(), KNeighborsRegressor(10, weights="distance")),
    }


def _measured(names: list[str], x: Array, y: Array) -> tuple[dict[str, Array], dict[str, float]]:
    """Each model's error on every fold, and the seconds that a fold took."""
    errors: dict[str, list[float]] = {}
    seconds: dict[str, float] = {}
    for train, test in KFold(FOLDS, shuffle=True, random_state=0).split(x):
        models = {
            TOGETHER: TableRegressor(random_state=0, n_networks=MEMBERS),
            **baselines(names, x),
        }
        for name, model in models.items():
            start = time.perf_counter()
            model.fit(x[train], y[train])
            seconds[name] = seconds.get(name, 0.0) + (time.perf_counter() - start) / FOLDS
            errors.setdefault(name, []).append(_error(model, x[test], y[test]))
        alone = [_error(each, x[test], y[test]) for each in _members(models[TOGETHER])]
        errors.setdefault(SINGLE, []).append(float(np.mean(alone)))
    seconds[SINGLE] = seconds[TOGETHER] / MEMBERS
    return {name: np.array(each) for name, each in errors.items()}, seconds


def _members(model: TableRegressor) -> Iterator[TableRegressor]:
    """Each network by itself, since a single one owes a part of its error to its seed."""
    for each in model.networks_:
        alone = copy.copy(model)
        alone.networks_ = [each]
        yield alone


def _error(model: Any, x: Array, y: Array) -> float:
    return float(np.sqrt(np.mean((model.predict(x) - y) ** 2)))


def _text(errors: Array) -> str:
    return f"{errors.mean():,.0f} ± {errors.std(ddof=1):,.0f}"


def _important(names: list[str], x: Array, y: Array) -> Result:
    """Which columns the network leans on, on the first fold's test rows."""
    train, test = next(KFold(FOLDS, shuffle=True, random_state=0).split(x))
    model = TableRegressor(random_state=0).fit(x[train], y[train])

    def score(rows: Array) -> float:
        return -_error(model, rows, y[test])

    places = {name: [place] for place, name in enumerate(names)}
    found = permutation_importance(score, x[test], places, repeats=10)
    told = [f"{e.name} +{e.mean:,.0f} ({e.low:,.0f}–{e.high:,.0f})" for e in found[:SHOWN]]
    return Result("RMSE where a column is shuffled (95 % of 10 shuffles)", "; ".join(told))
