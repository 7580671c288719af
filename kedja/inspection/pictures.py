"""A folder of pictures to be looked at: each of them small, and what would not open.

Not here: pictures for training (`kedja/data`). Next: `features.py`.

Each picture is decoded once, one at a time, and kept as `SIDE` × `SIDE` pixels: enough to compare
two of them and to doubt a label. The name of the folder that it stands in is its label.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from kedja.data.batches import split_order
from kedja.ground.errors import DataError, MissingExtra
from kedja.inspection.cells import classes
from kedja.inspection.finding import Finding, listed
from kedja.inspection.look import Look
from kedja.inspection.subject import Array, Subject

SUFFIXES = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
SIDE = 16
MOST = 100_000
MAX_PIXELS = 2**28  # a picture that announces more is taken for a bomb


def are_in(folder: str) -> bool:
    """Whether a folder, or one in it, holds a file that is named as a picture."""
    return next(_files(folder), None) is not None


def _files(folder: str) -> Iterator[Path]:
    """The pictures of a folder and of those in it, in the order of their names."""
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if name.lower().endswith(SUFFIXES) and not name.startswith("."):
                yield Path(place, name)


def from_folder(folder: str) -> Subject:
    """The pictures of a folder, with the names of the folders in it as labels.

    Raises MissingExtra without Pillow, DataError where no picture can be opened.
    """
    files = list(_files(folder))
    found: list[Finding] = []
    if len(files) > MOST:
        chosen = sorted(split_order(len(files), 0)[:MOST].tolist())
        found.append(_sampled(len(files)))
        files = [files[place] for place in chosen]
    pixels, keys, kept, broken, sizes = [], [], [], [], []
    for file in files:
        opened = _opened(file)
        if opened is None:
            broken.append(file)
            continue
        small_one, key, size = opened
        pixels.append(small_one)
        keys.append(key)
        kept.append(file)
        sizes.append(size)
    if not kept:
        raise DataError("none of the pictures can be opened", where=folder, fix="check the files")
    if broken:
        found.append(_broken(folder, broken))
    names = [_label(folder, file) for file in kept]
    return Subject(
        Path(folder).name or folder,
        "pictures",
        [str(file.relative_to(folder)) for file in kept],
        keys,
        classes("folder", names) if any(names) else None,
        pixels=np.stack(pixels),
        found=tuple(found),
        facts={"smallest": " × ".join(map(str, min(sizes))), **_largest(sizes)},
    )


def _largest(sizes: list[tuple[int, int]]) -> dict[str, Any]:
    return {"largest": " × ".join(map(str, max(sizes))), "sizes": len(set(sizes))}


def _label(folder: str, file: Path) -> str | None:
    parts = file.relative_to(folder).parts
    return parts[0] if len(parts) > 1 else None


def _opened(file: Path) -> tuple[Array, bytes, tuple[int, int]] | None:
    """A picture's small pixels uint8 (SIDE, SIDE, 3), its key and its size; None if damaged."""
    try:
        from PIL import Image, ImageOps
    except ImportError:
        raise MissingExtra("Pillow", "vision", "a folder of pictures") from None
    try:
        with Image.open(file) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                return None
            whole = ImageOps.exif_transpose(picture).convert("RGBA")
            flat = Image.new("RGBA", whole.size, "white")
            flat.alpha_composite(whole)
            colours = flat.convert("RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None
    key = hashlib.blake2b(colours.tobytes(), digest_size=16)
    key.update(f"{colours.size}".encode())
    little = colours.resize((SIDE, SIDE), Image.Resampling.BOX)
    return np.asarray(little, np.uint8), key.digest(), colours.size


def _broken(folder: str, broken: list[Path]) -> Finding:
    where = [str(file.relative_to(folder)) for file in broken]
    return Finding(
        "reading",
        "defect",
        f"{len(broken):,} files cannot be opened as pictures: {listed(where)}",
        "copy them again, or remove them",
        where,
        figures={"files": len(broken)},
    )


def _sampled(count: int) -> Finding:
    what = f"{MOST:,} pictures, drawn from {count:,}, were looked at"
    return Finding("reading", "notice", what, "inspect parts of the folder for all of them")


def blank(look: Look) -> Iterator[Finding]:
    """Pictures of a single colour: a lens cap, a failed export."""
    pixels = look.data.pixels
    if pixels is None:
        return
    flat = pixels.reshape(len(pixels), -1, pixels.shape[3] if pixels.ndim == 4 else 1)
    rows = np.flatnonzero((flat == flat[:, :1]).all((1, 2)))
    if len(rows):
        where = look.data.named(rows)
        what = f"{len(rows):,} pictures are of a single colour: {listed(where, 3)}"
        yield Finding("blank pictures", "defect", what, "remove them", where, rows.tolist())
