"""`kedja train DATA --model svm`: support-vector machines on tables and pictures of digits.

They are solved at once, so there are no epochs, and nothing to resume. Not here: the machines
(`kedja/estimators`). Next: `rows.py`.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

import kedja as kj
from kedja.cli import judging, runs
from kedja.cli.asked import Asked
from kedja.cli.families import Request
from kedja.cli.new_rows import new_rows
from kedja.cli.output import note, say, say_json
from kedja.data import prepare, source
from kedja.data.dataset import Dataset
from kedja.ground.errors import CheckpointError, Interrupted, UsageError
from kedja.ground.suggest import did_you_mean
from kedja.inspection.judged import Judged
from kedja.io import weights
from kedja.views import figures, plot_kernel_matrix

Array = np.ndarray[Any, np.dtype[Any]]
FILE = "svm.safetensors"
FITTED = ("support_", "support_vectors_", "n_support_", "dual_coef_", "intercept_", "coef_")
KERNELS = ("linear", "polynomial", "poly", "rbf")
MOST_ROWS = 20_000  # of a kernel other than linear: the matrix has as many rows and columns


# --------------------------------------------------------------------------------- training


def train(request: Request) -> None:
    """Solve for the machine on DATA, and test it on a fifth of the rows."""
    made = _recipe(request)
    data = request.data[0]
    found = source.load(data, target=request.given.get("target"), seed=made["seed"])
    x, y = _flat(found.train.inputs, found), found.train.targets
    _require(found, made, len(x))
    folder = runs.fresh(request.out, found.name, "svm")
    for line in (*found.describe(), _text(made), f"run: {folder}"):
        note(line)
    start = time.perf_counter()
    machine = _fitted(folder, made, x, y)
    results = _results(folder, machine, found, made) | {
        "train_seconds": time.perf_counter() - start
    }
    weights.save(folder / FILE, _arrays(machine), {"format": "np"})
    about = {"source": data, "target": request.given.get("target"), "name": found.name}
    preparation = found.preparation.to_json()
    content = {"data": about, "recipe": made, "preparation": preparation, "results": results}
    runs.write(folder, content)
    if request.json:
        say_json(results)
    else:
        for line in _summary(results):
            say(line)


def _fitted(folder: Path, made: Mapping[str, Any], x: Array, y: Array) -> Any:
    """The machine for these rows; after Ctrl-C the folder is free again."""
    try:
        return _machine(made).fit(x, y)
    except KeyboardInterrupt:
        with suppress(OSError):
            folder.rmdir()
        raise Interrupted("an svm is solved at once: nothing is kept, begin again") from None


def _recipe(request: Request) -> dict[str, Any]:
    """The options of a machine; UsageError for those that it does not have."""
    if request.resume:
        raise UsageError("an svm has nothing to resume", fix="train anew without --resume")
    if len(request.data) > 1:
        raise UsageError(f"{len(request.data)} data sets", fix="give one")
    kernel = request.given.get("kernel", "rbf")
    if kernel not in KERNELS:
        raise UsageError(f"there is no kernel {kernel!r}", fix=did_you_mean(kernel, KERNELS))
    rest = {"c": request.given.get("c", 1.0), "gamma": request.given.get("gamma", "scale")}
    return {"model": "svm", "kernel": kernel, **rest, "seed": request.given.get("seed", 0)}


def _require(found: Dataset, made: Mapping[str, Any], rows: int) -> None:
    if not found.classes:
        what = f"{found.target_name!r} holds numbers: an svm tells classes apart"
        raise UsageError(what, fix="name another --target, or leave --model out")
    if made["kernel"] != "linear" and rows > MOST_ROWS:
        what = f"a kernel of {rows:,} rows has {rows**2:,} numbers"
        raise UsageError(what, fix="--kernel linear, or a sample of the rows")


def _flat(inputs: Array, found: Any) -> Array:
    """Rows of numbers: a table's as they are, pictures' from 0 to 1."""
    preparation = getattr(found, "preparation", found)
    rows = inputs.reshape(len(inputs), -1).astype(np.float64)
    scaled: Array = (rows - float(preparation.shift)) * float(preparation.scale)
    return scaled


def _machine(made: Mapping[str, Any]) -> Any:
    if made["kernel"] == "linear":
        return kj.estimators.LinearSVM(C=made["c"], loss="hinge")
    return kj.estimators.KernelSVM(made["kernel"], C=made["c"], gamma=made["gamma"])


def _arrays(machine: Any) -> dict[str, Array]:
    """What the machine learned, as arrays by name."""
    found = {name: np.asarray(getattr(machine, name)) for name in FITTED if hasattr(machine, name)}
    gamma = {"gamma_": np.array([machine.gamma_])} if hasattr(machine, "gamma_") else {}
    return {**found, **gamma, "classes_": np.asarray(machine.classes_, np.int64)}


def _results(folder: Path, machine: Any, found: Dataset, made: Mapping[str, Any]) -> dict[str, Any]:
    x, y = _flat(found.test.inputs, found), found.test.targets
    common = np.bincount(found.train.targets).argmax()
    return {
        "task": "classification",
        "data": found.name,
        "target": found.target_name,
        "train_examples": len(found.train),
        "test_examples": len(found.test),
        **made,
        "test_accuracy": float(np.mean(machine.predict(x) == y)),
        "most_frequent_accuracy": float(np.mean(y == common)),
        "support_vectors": len(machine.support_) if hasattr(machine, "support_") else None,
        "run": str(folder),
    }


def _text(made: Mapping[str, Any]) -> str:
    width = f", gamma {made['gamma']}" if made["kernel"] in ("rbf", "polynomial", "poly") else ""
    return f"svm: {made['kernel']} kernel, C {made['c']:g}{width}, seed {made['seed']}"


def _summary(results: Mapping[str, Any]) -> Iterator[str]:
    yield f"{results['data']}: classification of {results['target']!r}"
    yield (
        f"test accuracy {results['test_accuracy']:.2%} on {results['test_examples']:,} examples; "
        f"the most frequent class alone {results['most_frequent_accuracy']:.2%}"
    )
    if results["support_vectors"] is not None:
        count, rows = results["support_vectors"], results["train_examples"]
        yield f"{count:,} of {rows:,} rows are support vectors"
    yield f"{results['train_seconds']:.2f} s"
    yield f"next: kedja predict {shlex.quote(results['run'])} FILE"


# ---------------------------------------------------------------------------------- asking


def predict(asked: Asked) -> None:
    """Print each row's class; `--plot` draws the kernel matrix of the rows, sorted by class."""
    if asked.given or asked.explain:
        raise UsageError("an svm has no --text and no --explain", fix="give FILES")
    if not asked.files:
        raise UsageError("there is nothing to predict", fix="give FILES")
    if asked.plot is not None:
        figures.require(asked.plot)
    machine, preparation = loaded(asked.run)
    rows = new_rows(asked, preparation)
    x = _flat(np.concatenate([each[None] for _, each in rows]), preparation)
    names = [preparation.target.classes[int(each)] for each in machine.predict(x)]
    if asked.plot is not None:
        _draw(asked.plot, machine, x, names)
    _tell(asked, [place for place, _ in rows], names)


def _tell(asked: Asked, places: Sequence[Mapping[str, Any]], names: Sequence[str]) -> None:
    if asked.json:
        found = [{**place, "class": name} for place, name in zip(places, names, strict=True)]
        asked.tell(found, task="classification")
        return
    for place, name in zip(places, names, strict=True):
        say(f"{':'.join(map(str, place.values()))}  {name}")


def scored(machine: Any, preparation: prepare.Preparation, y: Array) -> Callable[[Array], float]:
    """The share of right answers, as a function of the rows (N, F)."""
    return lambda x: float(np.mean(machine.predict(_flat(x, preparation)) == y))


def loaded(run: Path) -> tuple[Any, prepare.Preparation]:
    """The machine and the preparation of a run."""
    made, preparation = runs.read(
        run, lambda value: (dict(value["recipe"]), prepare.from_json(value["preparation"]))
    )
    arrays, _ = weights.load(run / FILE)
    machine = _machine(made)
    needed = {"coef_", "intercept_"} if made["kernel"] == "linear" else set(FITTED[:-1])
    if not needed <= set(arrays):
        raise CheckpointError("the machine's numbers are incomplete", where=str(run / FILE))
    for name, array in arrays.items():
        setattr(machine, name, float(array[0]) if name == "gamma_" else array)
    width = arrays["coef_" if made["kernel"] == "linear" else "support_vectors_"].shape[1]
    machine.n_features_in_ = width
    return machine, preparation


def _draw(file: Path, machine: Any, x: Array, names: Sequence[str]) -> None:
    matrix = (
        x @ x.T if isinstance(machine, kj.estimators.LinearSVM) else machine.kernel_matrix(x, x)
    )
    figures.save(plot_kernel_matrix(matrix, names).figure, file)
    note(f"wrote {file}")


# --------------------------------------------------------------------------------- judging


def judged(run: Path, data: str | None) -> Judged:
    """Which answers of the machine of a run are wrong, row by row."""
    machine, preparation = loaded(run)
    given = examples(run, preparation, data)
    answers = machine.predict(_flat(given.inputs, preparation))
    name = data or runs.sources_of(run)[0]
    return judging.by_numbers(name, preparation.target, given, answers)


def examples(run: Path, preparation: prepare.Preparation, data: str | None) -> judging.Rows:
    """Rows whose answer is known: those of `data`, or those held out of the run's training."""
    about, seed = runs.read(run, lambda value: (value["data"], int(value["recipe"]["seed"])))
    own = str(about["source"])

    def read() -> Dataset:
        return source.load(own, target=about["target"], seed=seed)

    return judging.rows(run, preparation, own, read, data)
