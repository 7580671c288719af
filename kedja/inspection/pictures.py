"""A folder of pictures to be looked at: each of them small, and what would not open.

Not here: how files are found (`kedja/data/picture_files.py`) and decoded (`kedja/io/photos.py`).
Next: `sounds.py`.

Each picture is decoded once, one at a time, and kept as `SIDE` × `SIDE` pixels: enough to compare
two of them and to doubt a label. The name of the folder that it stands in is its label.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from kedja.data import picture_files
from kedja.data.batches import split_order
from kedja.ground.errors import DataError
from kedja.ground.suggest import listed
from kedja.inspection.cells import classes
from kedja.inspection.finding import Finding
from kedja.inspection.look import Look
from kedja.inspection.subject import SIDE, Subject
from kedja.io import photos

MOST = 100_000
Progress = Callable[[int, int], None]


def are_in(folder: str) -> bool:
    """Whether a folder, or one in it, holds a file that is named as a picture."""
    return next(picture_files.pictures_in(Path(folder)), None) is not None


def from_folder(folder: str, progress: Progress | None = None) -> tuple[Subject, Subject | None]:
    """The pictures of a folder, with the names of the folders in it as labels.

    Where it has a folder `train`, those are the data, and those of `test` (or `val`) are the test
    data. Raises MissingExtra without Pillow, DataError where no picture can be opened.
    """
    roots = picture_files.roots_of(Path(folder))[:2]
    parts = [_part(root, progress) for root in roots]
    return parts[0], parts[1] if len(parts) > 1 else None


def _part(folder: Path, progress: Progress | None) -> Subject:
    files, found = _files(folder)
    sketches, kept, broken = [], [], {}
    for place, file in enumerate(files, 1):
        try:
            sketches.append(photos.sketch(file, SIDE))
            kept.append(file)
        except DataError as error:
            broken[str(file.relative_to(folder))] = error.what
        if progress is not None:
            progress(place, len(files))
    if not kept:
        what = "none of the pictures can be opened" if files else "the folder holds no pictures"
        raise DataError(what, where=str(folder), fix="check the files")
    if broken:
        found.append(cannot_be_read("pictures", broken))
    names = [_label(folder, file) for file in kept]
    sizes = [each.size for each in sketches]
    return Subject(
        folder.resolve().name,
        "pictures",
        [str(file.relative_to(folder)) for file in kept],
        [each.digest for each in sketches],
        classes("folder", names) if any(names) else None,
        pixels=np.stack([each.pixels for each in sketches]),
        found=tuple(found),
        facts={"smallest": _shown(min(sizes)), "largest": _shown(max(sizes))}
        | {"sizes": len(set(sizes))},
    )


def _files(folder: Path) -> tuple[list[Path], list[Finding]]:
    """All files, or a sample of them and that it is one."""
    files = list(picture_files.pictures_in(folder))
    if len(files) <= MOST:
        return files, []
    chosen = sorted(split_order(len(files), 0)[:MOST].tolist())
    what = f"{MOST:,} pictures, drawn from {len(files):,}, were looked at"
    fix = "inspect parts of the folder for all of them"
    return [files[place] for place in chosen], [Finding("reading", "notice", what, fix)]


def _shown(size: tuple[int, int]) -> str:
    height, width = size
    return f"{width} × {height}"


def _label(folder: Path, file: Path) -> str | None:
    parts = file.relative_to(folder).parts
    return parts[0] if len(parts) > 1 else None


def cannot_be_read(kind: str, broken: dict[str, str]) -> Finding:
    """Files that are left out, and why, by name."""
    names = list(broken)
    first = f"{names[0]} ({broken[names[0]]})"
    return Finding(
        "reading",
        "defect",
        f"{len(broken):,} files cannot be read as {kind}: {listed([first, *names[1:]])}",
        "copy them again, or remove them",
        names,
        figures={"files": len(broken), "reasons": list(broken.values())},
    )


def blank(look: Look) -> Iterator[Finding]:
    """Pictures of a single colour: a lens cap, a failed export. Recordings without a sound."""
    pixels = look.data.pixels
    if pixels is None:
        return
    flat = pixels.reshape(len(pixels), -1, pixels.shape[3] if pixels.ndim == 4 else 1)
    rows = np.flatnonzero((flat == flat[:, :1]).all((1, 2)))
    if len(rows):
        yield _blank(look, rows)


def _blank(look: Look, rows: Any) -> Finding:
    where, count = look.data.named(rows), f"{len(rows):,}"
    check, what = "blank pictures", f"{count} pictures are of a single colour"
    if look.data.kind == "recordings":
        check, what = "silent recordings", f"{count} recordings are silent"
    return Finding(
        check, "defect", f"{what}: {listed(where, 3)}", "remove them", where, rows.tolist()
    )
