"""Support-vector machines: the optimum beside scikit-learn's, kernels, refusals.

Not here: scikit-learn's own checks (`test_estimators_checks.py`).
"""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="estimators need scikit-learn")
from sklearn import datasets
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC

import kedja as kj
from kedja.estimators import KernelSVM, LinearSVM, kernel_matrix, margin
from kedja.ground.errors import DataError, ShapeError, UsageError

LOSSES = ("hinge", "squared_hinge")


@pytest.fixture(scope="module")
def iris():
    x, y = datasets.load_iris(return_X_y=True)
    return StandardScaler().fit_transform(x), y


def objective(svm, x, y, loss):
    """½‖w‖² + ½(b/s)² + C Σ loss of the first problem, from the fitted w and b."""
    sign = np.where(y == svm.classes_[0 if len(svm.classes_) > 2 else 1], 1, -1)
    short = np.maximum(1 - sign * (x @ svm.coef_[0] + svm.intercept_[0]), 0)
    size = svm.coef_[0] @ svm.coef_[0] + (svm.intercept_[0] / svm.intercept_scaling) ** 2
    return 0.5 * size + svm.C * (short if loss == "hinge" else short**2).sum()


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("options", [{}, {"C": 0.1, "intercept_scaling": 10.0}])
def test_the_optimum_is_linear_svcs(iris, loss, options):
    x, y = iris
    ours = LinearSVM(loss=loss, tol=1e-8, **options).fit(x, y)
    theirs = LinearSVC(loss=loss, tol=1e-8, max_iter=200_000, random_state=0, **options).fit(x, y)
    assert objective(ours, x, y, loss) == pytest.approx(objective(theirs, x, y, loss), rel=1e-6)
    assert ours.objective_[0] == pytest.approx(objective(ours, x, y, loss), rel=1e-9)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-3)
    assert (ours.predict(x) == theirs.predict(x)).all()


@pytest.mark.parametrize("loss", LOSSES)
def test_the_gap_bounds_the_error(iris, loss):
    x, y = iris[0], iris[1] == 1
    exact = LinearSVM(loss=loss, tol=1e-9).fit(x, y).objective_[0]
    rough = LinearSVM(loss=loss, tol=1e-2).fit(x, y)
    assert -1e-9 <= rough.objective_[0] - exact <= rough.dual_gap_[0] <= 1e-2 * exact


def test_columns_of_very_different_sizes_need_no_scaling():
    x, y = datasets.load_breast_cancer(return_X_y=True)  # up to 4,254, down to 0.001
    svm = LinearSVM(loss="squared_hinge").fit(x, y)
    assert svm.n_iter_ < 100
    assert svm.score(x, y) > 0.96


def test_weights_are_repeated_rows(iris):
    x, y = iris
    times = np.arange(len(x)) % 3
    weighed = LinearSVM(tol=1e-9).fit(x, y, sample_weight=times)
    repeated = LinearSVM(tol=1e-9).fit(np.repeat(x, times, axis=0), np.repeat(y, times))
    np.testing.assert_allclose(weighed.coef_, repeated.coef_, atol=1e-5)


def test_many_features_are_solved_by_products_with_the_hessian(iris, monkeypatch):
    x, y = iris
    whole = LinearSVM(tol=1e-8).fit(x, y)
    monkeypatch.setattr(margin, "DENSE", 2)
    np.testing.assert_allclose(LinearSVM(tol=1e-8).fit(x, y).coef_, whole.coef_, atol=1e-5)


def test_too_few_steps_are_told(iris):
    with pytest.warns(ConvergenceWarning, match="did not converge in 1 steps"):
        LinearSVM(max_iter=1, loss="hinge").fit(*iris)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"loss": "log"}, "one of hinge, squared_hinge"),
        ({"penalty": "l1"}, "there is 'l2'"),
        ({"C": 0}, "C must be a number above 0"),
        ({"max_iter": 0}, "max_iter must be a whole number from 1"),
    ],
)
def test_bad_parameters_are_named(iris, options, text):
    with pytest.raises(ValueError, match=text):
        LinearSVM(**options).fit(*iris)


# ------------------------------------------------------------------------------------ kernels


@pytest.mark.parametrize("kernel", ["linear", "poly", "rbf"])
@pytest.mark.parametrize("classes", [2, 3])
def test_kernel_machines_decide_as_svc_does(iris, kernel, classes):
    x, y = iris[0], np.minimum(iris[1], classes - 1)
    ours, theirs = KernelSVM(kernel).fit(x[::2], y[::2]), SVC(kernel=kernel).fit(x[::2], y[::2])
    assert (ours.predict(x) == theirs.predict(x)).mean() > 0.99  # ties may fall otherwise
    if classes == 2:
        np.testing.assert_allclose(
            ours.decision_function(x), theirs.decision_function(x), atol=1e-8
        )


def test_a_kernel_of_ones_own_is_a_function_of_two_arrays(iris):
    x, y = iris
    own = KernelSVM(lambda a, b: (1 + kj.asarray(a) @ kj.asarray(b).T) ** 2).fit(x, y)
    known = KernelSVM("polynomial", gamma=1.0, degree=2, coef0=1.0).fit(x, y)
    np.testing.assert_allclose(own.decision_function(x), known.decision_function(x), atol=1e-8)


def test_a_kernel_matrix_is_that_of_the_formula(iris):
    x = iris[0][::10]
    distances = ((x[:, None] - x[None]) ** 2).sum(-1)
    np.testing.assert_allclose(
        kernel_matrix(x, kernel="rbf", gamma=0.3), np.exp(-0.3 * distances), atol=1e-12
    )
    np.testing.assert_allclose(
        kernel_matrix(x, x[:3], "poly", gamma=2.0, degree=2, coef0=1.0),
        (2 * x @ x[:3].T + 1) ** 2,
    )


def test_kernels_refuse_what_does_not_fit(iris):
    x, y = iris
    with pytest.raises(UsageError, match="no kernel 'rbg'"):
        kernel_matrix(x, kernel="rbg")
    with pytest.raises(UsageError, match="gamma is 0"):
        kernel_matrix(x, gamma=0)
    with pytest.raises(ShapeError, match="rows of 4 and of 2 numbers"):
        kernel_matrix(x, x[:, :2])
    with pytest.raises(ShapeError, match="one number for each pair"):
        KernelSVM(lambda a, b: np.zeros(3)).fit(x, y)


@pytest.mark.parametrize("degree", [-1, 1.5])
def test_degrees_are_whole_numbers(degree):
    with pytest.raises(UsageError, match="degree is"):
        kernel_matrix([[0.0], [1.0]], kernel="polynomial", degree=degree)


def test_a_kernel_that_gives_nan_is_told():
    with pytest.raises(DataError, match="the kernel gave NaN"):
        kernel_matrix([[0.0], [1.0]], kernel=lambda a, b: np.full((len(a), len(b)), np.nan))
