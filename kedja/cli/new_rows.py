"""Files as the examples that a run on rows or grey pictures is asked about.

Not here: the answers (`predict.py`, `kernels.py`). Next: `predict.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from kedja.cli.asked import Asked
from kedja.data import picture_files, table
from kedja.data.prepare import PicturePreparation, Preparation, TablePreparation
from kedja.ground.errors import UsageError
from kedja.io import images

Array = np.ndarray[Any, np.dtype[Any]]
Row = tuple[dict[str, Any], Array]


def new_rows(asked: Asked, preparation: Preparation) -> list[Row]:
    """Each example with the place where it stands: its file, and its row in a table."""
    if isinstance(preparation, PicturePreparation):
        files = asked.below(picture_files.pictures_in)
        pictures = asked.each(files, lambda file: _picture(file, preparation))
        return [({"file": str(file)}, picture) for file, picture in pictures]
    tables = asked.each(asked.files, lambda file: _table(file, preparation))
    return [
        ({"file": str(file), "row": number}, row)
        for file, rows in tables
        for number, row in enumerate(rows, 1)
    ]


def _picture(file: Path, preparation: PicturePreparation) -> Array:
    if file.suffix.lower() in (".csv", ".tsv"):
        raise UsageError(f"{file} is a table, but the run was trained on pictures")
    grey = images.read_gray(file, preparation.shape)
    return preparation.encode(grey)


def _table(file: Path, preparation: TablePreparation) -> Array:
    _require_table(file)
    return table.read_inputs(file, preparation)


def _require_table(file: Path) -> None:
    """A picture given to a run on a table is a mistake that can be named."""
    if file.suffix.lower() in (".png", ".jpg", ".jpeg", ".bmp", ".gif"):
        raise UsageError(f"{file} is a picture, but the run was trained on a table")
