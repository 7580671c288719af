"""scikit-learn's own checks of estimators, all of them, without expected failures."""

from __future__ import annotations

import pytest

pytest.importorskip("sklearn", reason="estimators need scikit-learn")
from sklearn.utils.estimator_checks import parametrize_with_checks

from kedja.estimators import MLPClassifier, MLPRegressor

BY_STEPS = [MLPClassifier(max_iter=100), MLPRegressor(max_iter=100)]
WHOLE = [MLPClassifier(solver="lbfgs", max_iter=100), MLPRegressor(solver="lbfgs", max_iter=100)]


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks(BY_STEPS)
def test_scikit_learns_checks(estimator, check):
    check(estimator)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks(WHOLE)
def test_scikit_learns_checks_with_lbfgs(estimator, check):
    check(estimator)
