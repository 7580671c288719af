"""`TableRegressor`, `TableClassifier`: the network for tables as scikit-learn estimators.

They take tables as they are: numbers and texts side by side, with missing values, as a data frame
or an array; standardising, categories and pieces are learned from the training rows and kept
inside. Not here: the network (`kedja/models/tabular.py`), its training (`kedja/train/tables.py`).
Next: `kedja/data/table.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from kedja.data import date_columns, dates, prepare, table
from kedja.data.csvfile import MISSING
from kedja.data.prepare import RawColumn, TablePreparation, Target
from kedja.front.functions import softmax
from kedja.ground.errors import DataError, UsageError
from kedja.models.tabular import TabularConfig, TabularMLP, inputs_of
from kedja.train import tables
from kedja.train.evaluation import predict

Array = np.ndarray[Any, np.dtype[Any]]


class BaseTable(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """What both estimators share: columns, networks and their training."""

    networks_: list[TabularMLP]
    preparation_: TablePreparation

    def __init__(
        self,
        hidden_layer_sizes: str | Sequence[int] = "auto",
        *,
        pieces: int | str = "auto",
        width: int = tables.WIDTH,
        dropout: float = 0.1,
        learning_rate_init: float = tables.RATE,
        weight_decay: float = tables.DECAY,
        batch_size: int | str = "auto",
        max_iter: int | str = "auto",
        validation_fraction: float = tables.HELD_OUT,
        n_iter_no_change: int = tables.PATIENCE,
        n_networks: int = 1,
        random_state: Any = None,
        verbose: bool = False,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.pieces = pieces
        self.width = width
        self.dropout = dropout
        self.learning_rate_init = learning_rate_init
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.n_networks = n_networks
        self.random_state = random_state
        self.verbose = verbose

    def _trained(self, cells: dict[str, Array], target: Target, y: Array) -> Self:
        rows = len(y)
        read = {name: _raw(column) for name, column in cells.items()}
        raw = {name: each.values for name, each in read.items()}
        kept, notes = table.choose(raw, table.MAX_CODES)
        self.notes_ = [*notes, *table.read_notes(read, kept)]
        first = {name: each.day_first for name, each in read.items()}
        fitted = table.fit(kept, _or(self.pieces, prepare.pieces_for(rows)), first)
        self.preparation_ = TablePreparation(fitted, target)
        self._require()
        hidden = self.hidden_layer_sizes
        sizes = tables.usual_hidden(rows)
        if not isinstance(hidden, str):
            sizes = tuple(map(int, np.ravel(hidden)))
        config = TabularConfig(
            inputs_of(self.preparation_),
            max(1, len(target.classes)),
            sizes,
            dropout=self.dropout,
            width=self.width,
        )
        random, x = check_random_state(self.random_state), self.preparation_.encode(kept)
        seeds = [int(random.randint(2**31 - 1)) for _ in range(self.n_networks)]
        histories = [self._fitted(x, y, config, seed) for seed in seeds]
        self.networks_ = [each.model for each in histories]
        self.n_iter_ = max(len(each.epochs) for each in histories)
        return self

    def _require(self) -> None:
        """UsageError for options that make no sense and that nothing else would notice."""
        for name in ("hidden_layer_sizes", "pieces", "batch_size", "max_iter"):
            given = getattr(self, name)
            if isinstance(given, str) and given != "auto":
                raise UsageError(f"{name} is {given!r}", fix="give a number, or 'auto'")
        for name, least in (("n_networks", 1), ("batch_size", 1), ("pieces", 0), ("width", 0)):
            given = getattr(self, name)
            if not isinstance(given, str) and given < least:
                raise UsageError(f"{name} is {given}", fix=f"give {least} or more")

    def _fitted(self, x: Array, y: Array, config: TabularConfig, seed: int) -> Any:
        batch = _or(self.batch_size, tables.usual_batch(len(x)))
        return tables.fit_table(
            x,
            y,
            config,
            epochs=_or(self.max_iter, tables.usual_epochs(len(x), batch)),
            batch_size=batch,
            lr=self.learning_rate_init,
            weight_decay=self.weight_decay,
            patience=self.n_iter_no_change,
            held_out=self.validation_fraction,
            seed=seed,
            progress=bool(self.verbose),
        )

    def _cells(self, X: Any, y: Any = None, **options: Any) -> tuple[dict[str, Array], Any]:
        """The table's columns by name, each of its own dtype, and y; all checked."""
        given = {"dtype": None, "ensure_all_finite": "allow-nan", **options}
        fits = y is not None or options.get("reset", True)
        if fits:
            checked, y = validate_data(self, X, y, **given)
        else:
            checked = validate_data(self, X, **given)
        names = getattr(self, "feature_names_in_", [f"x{i}" for i in range(checked.shape[1])])
        if hasattr(X, "columns") and hasattr(X, "dtypes"):  # a data frame
            return {str(name): np.asarray(X[name]) for name in names}, y
        return {str(name): checked[:, place] for place, name in enumerate(names)}, y

    def _outputs(self, X: Any) -> list[Array]:
        """What each network says of the rows."""
        check_is_fitted(self, "networks_")
        cells, _ = self._cells(X, reset=False)
        columns = self.preparation_.columns
        raw = {each.name: _like(each, cells[each.name]) for each in columns}
        # In float64, so that a row's answer does not depend on how many others are asked with it.
        inputs = self.preparation_.encode(raw).astype(np.float64)
        return [predict(each.astype(np.float64), inputs) for each in self.networks_]

    def __getstate__(self) -> dict[str, Any]:
        """Pickled as plain arrays, without the networks that follow from them."""
        state: dict[str, Any] = {**super().__getstate__()}
        if "networks_" in state:
            made = state.pop("networks_")
            arrays = [{k: np.array(v) for k, v in each.state_dict().items()} for each in made]
            state["_arrays"] = made[0].config, arrays
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        config, arrays = state.pop("_arrays", (None, []))
        super().__setstate__(state)
        if arrays:
            self.networks_ = [TabularMLP(config).load_state_dict(each) for each in arrays]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        return tags


class TableRegressor(RegressorMixin, BaseTable):  # type: ignore[misc]
    """Numbers from tables with columns of numbers and texts, with missing values.

    X is a data frame or an array (N, columns), y (N,). Numbers are parted into `pieces` that become
    `width` numbers, dates become numbers first (time, month, weekday …), texts are learned vectors;
    then comes a multilayer perceptron (`hidden_layer_sizes`, `dropout`), trained by AdamW
    (`learning_rate_init`, `weight_decay`) for at most `max_iter` epochs, the best one on the share
    `validation_fraction` of the rows kept. "auto" follows from the number of rows. With
    `n_networks` several are trained from different seeds, and their answers averaged. See
    `kedja.models.TabularMLP` for formula and source.

    Fitted: `networks_`, `preparation_`, `notes_` (columns left out, and why; how dates were read),
    `n_iter_`.

    >>> import numpy as np
    >>> x = np.array([[i % 7, "red" if i % 2 else None] for i in range(80)], dtype=object)
    >>> y = np.array([row[0] + (5 if row[1] else 0) for row in x])
    >>> float(TableRegressor(random_state=0, max_iter=60).fit(x, y).score(x, y)) > 0.9
    True
    """

    def fit(self, X: Any, y: Any) -> Self:
        """Train on the rows X (N, columns) and their numbers y (N,)."""
        cells, y = self._cells(X, y, y_numeric=True, ensure_min_samples=2)
        values = np.asarray(y, np.float64)
        target = prepare.fit_number_target("y", values)
        return self._trained(cells, target, target.encode(values))

    def predict(self, X: Any) -> Array:
        """A number for each row: (N,)."""
        outputs = self._outputs(X)
        return self.preparation_.target.restore(np.mean(outputs, axis=0)[:, 0])


class TableClassifier(ClassifierMixin, BaseTable):  # type: ignore[misc]
    """Classes from tables with columns of numbers and texts; options as for `TableRegressor`.

    >>> import numpy as np
    >>> x = np.array([[i % 7, "red" if i % 2 else "blue"] for i in range(80)], dtype=object)
    >>> y = np.where(x[:, 1] == "red", "warm", "cold")
    >>> float(TableClassifier(random_state=0, max_iter=60).fit(x, y).score(x, y))
    1.0
    """

    def fit(self, X: Any, y: Any) -> Self:
        """Train on the rows X (N, columns) and their classes y (N,)."""
        cells, y = self._cells(X, y, ensure_min_samples=2)
        check_classification_targets(y)
        self.classes_, numbers = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"y has one class only, {self.classes_.tolist()[0]!r}: two are needed")
        target = Target("y", tuple(map(str, self.classes_)))
        return self._trained(cells, target, numbers.astype(np.int64))

    def predict_proba(self, X: Any) -> Array:
        """The probability of each class, the mean of the networks': (N, classes)."""
        outputs = self._outputs(X)
        shares = [softmax(each.astype(np.float64)).numpy() for each in outputs]
        total: Array = np.mean(shares, axis=0)
        return total

    def predict(self, X: Any) -> Array:
        """The most probable class of each row: (N,)."""
        best = self.predict_proba(X).argmax(axis=1)
        chosen: Array = self.classes_[best]
        return chosen


def _or(given: Any, usual: int) -> int:
    return usual if isinstance(given, str) else int(given)


# -------------------------------------------------------------------------------- the cells


def _raw(column: Array) -> table.Typed:
    """Numbers where all known cells are numbers, or texts that are; dates likewise; else texts."""
    found = _numbers(column)
    if found is not None:
        return table.Typed(found)
    times = _times(column)
    if times is not None:
        return table.Typed(times)
    texts = _texts(column)
    read = date_columns.read(texts)
    if read is None or read.bad:
        return table.Typed(texts)
    return table.Typed(read.values, "; ".join(read.notes), read.day_first)


def _like(column: prepare.Column, cells: Array) -> RawColumn:
    """Cells of new rows as they were read in training; DataError for texts instead of numbers."""
    if isinstance(column, prepare.Coded):
        return _texts(cells)
    if isinstance(column, prepare.Dated):
        return _dates_like(column, cells)
    found = _numbers(cells)
    if found is None:
        raise _changed(column.name, "numbers", "missing numbers as NaN")
    return found


def _dates_like(column: prepare.Dated, cells: Array) -> Array:
    times = _times(cells)
    if times is not None:
        return times
    texts = _texts(cells)
    read = dates.parse(texts, numbers=False, day_first=column.day_first)
    if read.bad:
        raise _changed(column.name, "dates", "missing dates as None or NaT")
    return read.values


def _changed(name: str, held: str, missing: str) -> DataError:
    what = f"column {name!r} held {held} in training, now it holds texts"
    return DataError(what, fix=f"give the columns in the order of the training, {missing}")


def _times(column: Array) -> Array | None:
    """Dates as datetime64[us]; None for other cells."""
    if column.dtype.kind == "M":
        return column.astype("M8[us]")
    return date_columns.of_objects(column.tolist()) if column.dtype.kind == "O" else None


def _numbers(column: Array) -> Array | None:
    """Cells as float64, NaN where missing; None where a known one is no number."""
    if column.dtype.kind in "fiub":
        return column.astype(np.float64)
    try:
        found = np.array([np.nan if _is_missing(cell) else float(cell) for cell in column])
    except (TypeError, ValueError):
        return None
    if np.isinf(found).any():
        raise ValueError("Input X contains infinity")
    return found


def _texts(column: Array) -> list[str | None]:
    return [None if _is_missing(cell) else str(cell).strip() for cell in column.tolist()]


def _is_missing(cell: Any) -> bool:
    """None, NaN and their like, or one of the texts that mean it."""
    if date_columns.is_nothing(cell):
        return True
    return isinstance(cell, str) and cell.strip().lower() in MISSING
