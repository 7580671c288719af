"""Files as the examples that a run on rows or grey pictures is asked about.

Not here: the answers (`predict.py`, `kernels.py`). Next: `predict.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kedja.data import table
from kedja.data.prepare import PicturePreparation, Preparation
from kedja.ground.errors import UsageError
from kedja.io import images

Array = np.ndarray[Any, np.dtype[Any]]
Row = tuple[dict[str, Any], Array]


def new_rows(files: Sequence[Path], preparation: Preparation) -> Iterator[Row]:
    """Each example with the place where it stands: its file, and its row in a table."""
    for file in files:
        if isinstance(preparation, PicturePreparation):
            yield {"file": str(file)}, _picture(file, preparation)
            continue
        _require_table(file)
        for number, row in enumerate(table.read_inputs(file, preparation), 1):
            yield {"file": str(file), "row": number}, row


def _picture(file: Path, preparation: PicturePreparation) -> Array:
    if file.suffix.lower() in (".csv", ".tsv"):
        raise UsageError(f"{file} is a table, but the run was trained on pictures")
    grey = images.read_gray(file, preparation.shape)
    return preparation.encode(grey)


def _require_table(file: Path) -> None:
    """A picture given to a run on a table is a mistake that can be named."""
    if file.suffix.lower() in (".png", ".jpg", ".jpeg", ".bmp", ".gif"):
        raise UsageError(f"{file} is a picture, but the run was trained on a table")
