"""The folder of a run: the checkpoint, and `run.json` with everything else about it.

Not here: the checkpoint itself (`kedja/train/checkpoint.py`). Next: `rows.py`, `predict.py`.

`run.json` is written when the run starts and again when it ends:

| key         | what it is                                                  |
|-------------|-------------------------------------------------------------|
| data        | `source`: DATA as it was given; for rows the target, too    |
| recipe      | `model`, and the other options                              |
| preparation | for rows: how raw data become inputs; the classes           |
| results     | what `--json` prints; null until the run has ended          |

A `Record` is that of a model of rows; families with other records `read` and `write` their own.
"""

from __future__ import annotations

import itertools
import json
import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from kedja.cli.recipes import MODELS, Recipe, network
from kedja.data import prepare
from kedja.data.prepare import Preparation
from kedja.ground.errors import CheckpointError, Interrupted, StorageError, UsageError
from kedja.io import atomic, weights
from kedja.models.tabular import TabularMLP
from kedja.nn import Sequential
from kedja.train import checkpoint
from kedja.version import __version__

FILE = "run.json"
FORMAT = 1
RUNS = "runs"

T = TypeVar("T")

_RESUMABLE: ContextVar[bool] = ContextVar("kedja_resumable", default=False)


@dataclass(frozen=True)
class Record:
    """What `run.json` says."""

    data: str
    target: str | None
    name: str
    recipe: Recipe
    preparation: Preparation
    results: Mapping[str, Any] | None = None


def path(folder: Path) -> Path:
    """Where the record of a run stands."""
    return folder / FILE


def exists(folder: Path) -> bool:
    """Whether a folder holds a run, whole or not."""
    return path(folder).exists() or checkpoint.exists(folder)


def save(folder: Path, record: Record) -> None:
    """Write the record, whole or not at all; StorageError where the disk refuses."""
    content = {
        "data": {"source": record.data, "target": record.target, "name": record.name},
        "recipe": record.recipe.to_json(),
        "preparation": record.preparation.to_json(),
        "results": record.results,
    }
    write(folder, content)


def write(folder: Path, content: Mapping[str, Any]) -> None:
    """Write `run.json`, whole or not at all; StorageError where the disk refuses."""
    whole = {"format": FORMAT, "kedja": __version__, **content}
    text = json.dumps(whole, indent=1, ensure_ascii=False)
    atomic.write_bytes(path(folder), text.encode())


def load(folder: Path) -> Record:
    """The record of a run on rows.

    Raises UsageError where there is no run or one of another kind, CheckpointError where the
    record is damaged.
    """
    model = model_of(folder)
    if model not in MODELS:
        what = f"{folder} is a run of the model {model}, which has no rows for inputs"
        raise UsageError(what, fix="name a run on pictures or on a table; agents: kedja play")
    return read(folder, _record)


def _record(value: Any) -> Record:
    source = value["data"]
    return Record(
        source["source"],
        source["target"],
        source["name"],
        Recipe.from_json(value["recipe"]),
        prepare.from_json(value["preparation"]),
        value["results"],
    )


def model_of(folder: Path) -> str:
    """The name of the model that a run trains; raises as `read` does."""
    return read(folder, lambda value: str(value["recipe"]["model"]))


def recipe_of(folder: Path) -> dict[str, Any]:
    """The options of a run; raises as `read` does."""
    return read(folder, lambda value: dict(value["recipe"]))


def sources_of(folder: Path) -> tuple[str, ...]:
    """DATA of a run, as it was given; raises as `read` does."""

    def found(value: Any) -> tuple[str, ...]:
        source = value["data"]["source"]
        return (source,) if isinstance(source, str) else tuple(source)

    return read(folder, found)


def read(folder: Path, take: Callable[[Any], T]) -> T:
    """What `take` makes of the content of `run.json`.

    Raises UsageError where there is no run, CheckpointError where the record is damaged: where
    `take` raises KeyError, TypeError or ValueError.
    """

    def checked(value: Any) -> T:
        if value["format"] != FORMAT:
            raise ValueError(f"format {value['format']}, expected {FORMAT}")
        return take(value)

    if not path(folder).exists():
        raise _no_run(folder)
    return read_json(path(folder), checked)


def read_json(where: Path, take: Callable[[Any], T]) -> T:
    """What `take` makes of the content of a run's JSON file.

    Raises CheckpointError where it is missing or damaged: where `take` raises KeyError, TypeError
    or ValueError.
    """
    try:
        text = where.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError(f"cannot read: {error}", where=str(where)) from error
    try:
        return take(json.loads(text))
    except (KeyError, TypeError, ValueError) as error:
        what = f"the record of the run is damaged: {type(error).__name__}: {error}"
        raise CheckpointError(what, where=str(where), fix="train again") from error


def _no_run(folder: Path) -> UsageError:
    """Where no run is, with the runs that there are."""
    if checkpoint.exists(folder):
        what = f"{folder} has lost its {FILE}, which says what the run was"
        return UsageError(what, fix="copy the whole folder again, or train anew")
    known = sorted(str(each.parent) for each in Path(RUNS).glob(f"*/{FILE}"))
    fix = f"there are: {', '.join(known[:8])}" if known else "train one: kedja train digits"
    return UsageError(f"{folder} holds no run", fix=fix)


def load_network(folder: Path, record: Record) -> Sequential | TabularMLP:
    """The trained network of a run.

    Raises CheckpointError where the weights are missing, damaged, or do not fit the record.
    """
    where = checkpoint.path(folder)
    arrays, _ = weights.load(where)
    start = "model."
    state = {name[len(start) :]: each for name, each in arrays.items() if name.startswith(start)}
    try:
        return network(record.recipe, record.preparation).load_state_dict(state)
    except UsageError as error:
        raise CheckpointError(error.what, where=str(where), fix="train again") from error


# ----------------------------------------------------------------------------- which folder


def fresh(out: Path | None, name: str, model: str) -> Path:
    """A folder for a new run, made now: `out`, or `runs/NAME-MODEL` with a number if need be.

    Raises UsageError where `out` holds a run already, StorageError where it cannot be made.
    """
    if out is not None:
        if exists(out):
            raise UsageError(
                f"{out} holds a run already",
                fix="--resume goes on with it; for another run name another folder",
            )
        make(out, exist_ok=True)
        return out
    base = Path(RUNS) / re.sub(r"[/\\:]", "-", f"{name}-{model}")  # which are no part of a name
    for number in itertools.count(1):
        folder = base if number == 1 else base.with_name(f"{base.name}-{number}")
        try:
            make(folder, exist_ok=False)
        except FileExistsError:
            continue
        return folder
    raise AssertionError


def make(folder: Path, *, exist_ok: bool) -> None:
    """Make a folder; UsageError where a file has the name, StorageError where the disk refuses."""
    try:
        folder.mkdir(parents=True, exist_ok=exist_ok)
    except FileExistsError:
        if not exist_ok:
            raise
        raise UsageError(f"{folder} is a file", fix="name a folder") from None
    except OSError as error:
        reason = error.strerror or str(error)
        what = f"cannot make the folder: {reason}"
        raise StorageError(what, where=str(folder), fix="choose another --out") from error


def newest(data: Sequence[str]) -> Path | None:
    """The run on this data that was written last; None if there is none."""
    found = []
    for file in Path(RUNS).glob(f"*/{FILE}"):
        with suppress(CheckpointError, UsageError, OSError):
            if sources_of(file.parent) == tuple(data):
                found.append((file.stat().st_mtime, str(file.parent)))
    return Path(max(found)[1]) if found else None


def command(data: Sequence[str], folder: Path) -> str:
    """The command line that goes on with a run."""
    return shlex.join(["kedja", "train", *data, "--out", str(folder), "--resume"])


def keep(folder: Path, data: Sequence[str], made: Mapping[str, Any], results: Any) -> None:
    """Write `run.json` of a run that is told by its data, options and results alone."""
    write(folder, {"data": {"source": list(data)}, "recipe": dict(made), "results": results})


def continued(
    folder: Path, data: Sequence[str], given: Mapping[str, Any], longer: str | None = None
) -> dict[str, Any]:
    """The options of a run that goes on; of those `given` only `longer` may be another than before.

    Raises UsageError where the command line contradicts the run.
    """
    made = recipe_of(folder)
    require_same_data(folder, data, sources_of(folder))
    for name, value in given.items():
        if value != made.get(name) and name != longer:
            option = f"--{name.replace('_', '-')}"
            raise other_data(folder, option, str(value), str(made.get(name)))
    return {**made, **given}


@contextmanager
def resumable(again: str, folder: Path, where: str = "") -> Iterator[None]:
    """Whatever stops the work within, what is said of it names the command that goes on.

    Ctrl-C becomes Interrupted, which says what the work said of it, or `where` it was. The
    StorageError of a disk that refused a write says it, too. Work within other such work is gone on
    with by the command of that one.
    """
    if _RESUMABLE.get():
        yield
        return
    token = _RESUMABLE.set(True)
    try:
        yield
    except KeyboardInterrupt as error:
        said = filter(None, [str(error) or where, f"go on with: {again}"])
        raise Interrupted("; ".join(said), str(folder)) from None
    except StorageError as error:
        fix = "; then ".join(filter(None, [error.fix, f"go on with: {again}"]))
        raise StorageError(error.what, where=error.where, fix=fix) from None
    finally:
        _RESUMABLE.reset(token)


def nothing_kept(folder: Path) -> UsageError:
    """Where a run was cut off so early, or so hard, that there is no model of it to use."""
    again = command(sources_of(folder), folder)
    return UsageError(f"{folder} holds no finished model yet", fix=f"go on with: {again}")


def tested(folder: Path) -> str:
    """Where Ctrl-C stopped a run whose network is trained and kept."""
    return f"in the test; the trained network is in {folder}"


def require_same_data(folder: Path, now: Sequence[str], before: Sequence[str]) -> None:
    """Raise UsageError where a run that goes on is given other data than it was started with."""
    same = [_same_path(*pair) for pair in zip(now, before, strict=False)]
    if len(now) != len(before) or not all(same):
        raise other_data(folder, "DATA", " ".join(now), " ".join(before))


def other_data(folder: Path, option: str, now: str, before: str | None) -> UsageError:
    """The error for a run that goes on with something else than it was started with."""
    return UsageError(
        f"{option} is {now}, but {folder} was started with {before}",
        fix="resume with the same data, or train anew without --resume",
    )


def _same_path(one: str, other: str) -> bool:
    return one == other or Path(one).resolve() == Path(other).resolve()
