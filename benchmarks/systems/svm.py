"""The linear support-vector machine beside scikit-learn's, and three ways to expand features.

Not here: the machines (`kedja/estimators`). Next: `house_prices.py`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from sklearn import datasets
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler
from sklearn.svm import LinearSVC

from benchmarks.systems.results import Chosen, Result
from kedja.estimators import KernelSVM, LinearSVM, MLPClassifier, kernel_matrix
from kedja.views import compare_boundaries, plot_kernel_matrix

Array = np.ndarray[Any, np.dtype[Any]]

TITLE = "Support-vector machines"
DATA: dict[str, Callable[..., Any]] = {
    "iris": datasets.load_iris,
    "digits": datasets.load_digits,
    "breast cancer": datasets.load_breast_cancer,
}
GOAL = 1e-3  # how far the objectives may be apart, as a part of scikit-learn's
TIE = 1e-6
LOSSES = ("hinge", "squared_hinge")


def run(chosen: Chosen) -> Iterator[Result]:
    """Objectives and predictions beside LinearSVC's, then the pictures."""
    for name, load in DATA.items():
        x, y = load(return_X_y=True)
        for loss in LOSSES:
            yield _compared(name, StandardScaler().fit_transform(x), y, loss)
    yield from _expanded(chosen)


def _compared(name: str, x: Array, y: Array, loss: str) -> Result:
    """The same loss, C = 1 and penalised intercept on both sides, standardised features."""
    ours, seconds = _timed(LinearSVM(loss=loss, tol=1e-9), x, y)
    theirs, their_seconds = _timed(_linear_svc(loss), x, y)
    costs = [objectives(each, x, y, loss) for each in (ours, theirs)]
    apart = float(np.abs(costs[0] / costs[1] - 1).max())
    tied, alike = _agreement(ours, theirs, x)
    notes = [
        f"{tied} on two margins at once, a tie" if tied else "",
        f"kedja: Σ objectives {costs[0].sum():.6g}, {seconds:.2f} s with compiling",
        f"proven gap ≤ {(ours.dual_gap_ / ours.objective_).max():.0e}",
    ]
    return Result(
        f"{name}, {loss}: objective beside LinearSVC's, predictions alike",
        f"{apart:.1e} apart, {alike:,} of {len(y):,}",
        goal="0.1 %, all alike",
        met=apart <= GOAL and alike == len(y),
        baseline=f"LinearSVC: Σ objectives {costs[1].sum():.6g}, {their_seconds:.2f} s",
        note="; ".join(filter(None, notes)),
    )


def _linear_svc(loss: str) -> LinearSVC:
    return LinearSVC(loss=loss, dual=True, tol=1e-9, max_iter=1_000_000, random_state=0)


def _timed(machine: Any, x: Array, y: Array) -> tuple[Any, float]:
    start = time.perf_counter()
    machine.fit(x, y)
    return machine, time.perf_counter() - start


def _agreement(ours: Any, theirs: Any, x: Array) -> tuple[int, int]:
    """How many rows are named differently in a tie, and how many alike, with these.

    By the hinge loss a row may lie exactly on the margins of two classes, both of which then say
    −1: rounding decides between them, on either side.
    """
    differ = np.flatnonzero(ours.predict(x) != theirs.predict(x))
    said = np.sort(np.atleast_2d(ours.decision_function(x[differ])), axis=1) if len(differ) else x
    tied = int((said[:, -1] - said[:, -2] < TIE).sum()) if len(differ) else 0
    return tied, len(x) - len(differ) + tied


def objectives(machine: Any, x: Array, y: Array, loss: str) -> Array:
    """½‖w‖² + ½b² + Σ loss of each class against the others, from the fitted w and b."""
    positive = machine.classes_ if len(machine.classes_) > 2 else machine.classes_[1:]
    signs = np.where(y[:, None] == positive, 1.0, -1.0)  # (N, problems)
    short = np.maximum(1 - signs * (x @ machine.coef_.T + machine.intercept_), 0)
    losses = (short if loss == "hinge" else short**2).sum(axis=0)
    size = (machine.coef_**2).sum(axis=1) + np.asarray(machine.intercept_) ** 2
    total: Array = 0.5 * size + losses
    return total


# ------------------------------------------------------------------------------- expansions


def _expanded(chosen: Chosen) -> Iterator[Result]:
    """Linear machines on two moons after three expansions of their two features."""
    x, y = datasets.make_moons(300, noise=0.2, random_state=0)
    asked, right = datasets.make_moons(2000, noise=0.2, random_state=1)
    flat = LinearSVM().fit(x, y).score(asked, right)
    steps = 50 if chosen.quick else 3000
    machines = {
        "by hand: products up to x³": make_pipeline(PolynomialFeatures(3), LinearSVM(C=10)),
        "by a kernel: RBF": KernelSVM("rbf", C=10, gamma=1.0),
        "learned by a network": MLPClassifier(
            (32, 32), solver="lbfgs", alpha=1.0, max_iter=steps, tol=1e-3, random_state=0
        ),
    }
    for name, machine in machines.items():
        machine.fit(x, y)
        yield Result(
            f"two moons, features expanded {name}: accuracy on 2,000 new points",
            f"{machine.score(asked, right):.1%}",
            baseline=f"linear, not expanded: {flat:.1%}",
        )
    if chosen.pictures is not None:
        names = {name: machine.predict for name, machine in machines.items()}
        figure = compare_boundaries(names, x, y)
        _save(figure, chosen.pictures / "feature-expansions.png")
        _save(_digits_alike(), chosen.pictures / "kernel-matrix.png")
        drawn = "[borders](images/feature-expansions.png), [K](images/kernel-matrix.png)"
        yield Result("two moons three ways, and a kernel's matrix", drawn)


def _digits_alike() -> Any:
    """K of 300 digits, sorted by class."""
    x, y = datasets.load_digits(return_X_y=True)
    rows = np.random.default_rng(0).permutation(len(x))[:300]
    draw = partial(plot_kernel_matrix, kernel_matrix(x[rows], kernel="rbf"), y[rows])
    return draw().figure


def _save(figure: Any, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=80)
