"""Pictures drawn for the tests: crosses and discs, in files of a folder for each class.

Not here: the tests (`test_data_pictures.py`, `tests/cli/test_cli_pictures.py`).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

CLASSES = ("cross", "disc")


def picture(name: str, side: int, rng: np.random.Generator, coloured: bool = True) -> np.ndarray:
    """One picture, uint8 (side, side, 3): the figure is bright, its ground dark."""
    y, x = np.mgrid[:side, :side] - side / 2 - rng.normal(size=(2, 1, 1))
    if name == "disc":
        inside = y * y + x * x < (side / 3) ** 2
    else:
        inside = (abs(y) < side / 8) | (abs(x) < side / 8)
    ink, ground = rng.integers(140, 250, 3), rng.integers(0, 60, 3)
    if not coloured:
        ink[:], ground[:] = ink[0], ground[0]
    noise = rng.integers(0, 5, (side, side, 1))
    return (np.where(inside[..., None], ink, ground) + noise).astype(np.uint8)


def folder(root: Path, count: int = 10, side: int = 16, coloured: bool = True, seed: int = 0):
    """`count` files for each class below `root`, which is given back."""
    from PIL import Image

    rng = np.random.default_rng(seed)
    for name in CLASSES:
        (root / name).mkdir(parents=True)
        for number in range(count):
            pixels = picture(name, side, rng, coloured)
            Image.fromarray(pixels).save(root / name / f"{number}.png")
    return root
