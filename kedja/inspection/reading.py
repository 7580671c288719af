"""Data as the user names it, recognised and read as something to look at.

| data                                  | becomes                                               |
|---------------------------------------|-------------------------------------------------------|
| `digits`, `mnist`, MNIST's own folder | pictures, with the test pictures that belong to them  |
| CSV, TSV                              | a table; the label is the last column                 |
| JSON Lines with `text`                | texts, with `label`, `id`, `annotator` if there are   |
| other JSON Lines                      | a table of their values                               |
| a folder of pictures                  | pictures; the folder that one stands in is its label; |
|                                       | of `train` and `test` folders, both                   |
| recordings, a folder or an archive    | recordings, with class and speaker by their names     |
| other text                            | texts, one a line, without labels                     |

Not here: the single readers (`tables.py`, `texts.py`, `pictures.py`, `sounds.py`).
Next: `checks.py`.
"""

from __future__ import annotations

import os

from kedja.data import jsonlines, mnist, recordings, source
from kedja.data.dataset import Dataset, Split
from kedja.ground.errors import DataError, UsageError
from kedja.inspection import arrays, pictures, sounds, tables, texts
from kedja.inspection.subject import Labels, Subject
from kedja.io import photos


def load(
    data: str | os.PathLike[str],
    *,
    test: str | os.PathLike[str] | None = None,
    label: str | None = None,
    progress: pictures.Progress | None = None,
) -> tuple[Subject, Subject | None]:
    """The data set that `data` means, and the one to test on, if there is one.

    `label` names the column of a table, or the key of JSON Lines, that is to be predicted; `none`
    says that there is none. `progress(done, total)` is told of each file of a folder.
    Raises UsageError where nothing of that name or kind is found, DataError where the content
    cannot be read.
    """
    where = os.fspath(data)
    if _is_dataset(where):
        return _dataset(where, test, label)
    found, own = _file(where, label, progress)
    if test is None:
        return found, own
    files = found.kind in ("pictures", "recordings")
    name = None if files or found.labels is None else found.labels.name
    held, _ = _file(os.fspath(test), label or name, progress)
    if held.kind != found.kind:
        what = f"{where} holds {found.kind}, {held.name} holds {held.kind}"
        raise UsageError(what, fix="give test data of the same kind")
    return found, held


def _is_dataset(where: str) -> bool:
    return where in source.NAMES or (os.path.isdir(where) and mnist.has_files(where))


def _dataset(
    where: str, test: str | os.PathLike[str] | None, label: str | None
) -> tuple[Subject, Subject]:
    if test is not None or label is not None:
        what = f"{where} has test pictures and labels of its own"
        raise UsageError(what, fix="leave --test and --label out")
    found = source.load(where)
    return _half(found, found.train), _half(found, found.test)


def _half(found: Dataset, split: Split) -> Subject:
    labels = Labels(found.target_name, found.classes, split.targets)
    return arrays.pictures(found.name, split.inputs, labels)


def _file(
    where: str, label: str | None, progress: pictures.Progress | None
) -> tuple[Subject, Subject | None]:
    """The examples of a file or a folder, and those that a folder has for testing."""
    if recordings.are_in(where):
        _require_no_label(where, label, "recordings have the labels that their names say")
        return sounds.from_recordings(where, progress), None
    if os.path.isdir(where):
        _require_pictures(where)
        _require_no_label(where, label, "pictures have the labels that their folders say")
        return pictures.from_folder(where, progress)
    return _single(where, label), None


def _single(where: str, label: str | None) -> Subject:
    if not os.path.exists(where):
        source.load(where)  # says what comes close to the name
    if where.lower().endswith(source.TABLE_SUFFIXES):
        return tables.from_csv(where, label)
    if jsonlines.is_named_so(where):
        return texts.from_json_lines(where, label)
    if photos.is_named_so(where):
        raise UsageError("this is a single picture", where=where, fix="give its folder")
    _require_no_label(where, label, "a text file has no labels")
    return texts.from_text(where)


def _require_no_label(where: str, label: str | None, why: str) -> None:
    if label not in (None, tables.NO_LABEL):
        raise UsageError(f"there is no {label!r}: {why}", where=where, fix="leave the label out")


def _require_pictures(where: str) -> None:
    if pictures.are_in(where):
        return
    tables_in = [each for each in sorted(os.listdir(where)) if each.endswith((".csv", ".tsv"))]
    fix = "give a folder of pictures or of recordings, or a file"
    if tables_in:
        fix = f"give one of its tables: {', '.join(tables_in[:3])}"
    what = "the folder holds neither pictures nor recordings"
    raise DataError(what, where=where, fix=fix)
