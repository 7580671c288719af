"""Networks as scikit-learn estimators: for Pipeline, GridSearchCV and everything around them.

Needs the extra `learn`. Start at `classifier.py`; `network.py` trains. Tables of mixed columns are
for `table.py`, support-vector machines stand in `svm.py` and `kernel_svm.py`. Not here: other
networks (`kedja/nn`), trained by `kj.fit`.
"""

from kedja.ground.errors import MissingExtra

try:
    from kedja.estimators.classifier import MLPClassifier
    from kedja.estimators.kernel_svm import KernelSVM
    from kedja.estimators.kernels import kernel_matrix
    from kedja.estimators.regressor import MLPRegressor
    from kedja.estimators.svm import LinearSVM
    from kedja.estimators.table import TableClassifier, TableRegressor
except ModuleNotFoundError as error:
    if (error.name or "").split(".")[0] != "sklearn":
        raise
    raise MissingExtra("scikit-learn", "learn", "kj.estimators") from error

__all__ = [
    "KernelSVM",
    "LinearSVM",
    "MLPClassifier",
    "MLPRegressor",
    "TableClassifier",
    "TableRegressor",
    "kernel_matrix",
]
