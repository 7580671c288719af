"""Small data sets for the tests of `kedja inspect`: clean ones, and what is planted in them.

Next: `test_inspection_checks.py`.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

ROWS = 400
NAMES = ("height", "weight", "age", "city", "kind")
CITIES = ("Lund", "Ystad", "Malmö")


def rows(seed: int = 0, count: int = ROWS) -> list[list[str]]:
    """A clean table: two classes that four columns tell apart, nearly always."""
    rng = np.random.default_rng(seed)
    kinds = rng.integers(0, 2, count)
    found = []
    for kind in kinds:
        height, weight, age = rng.normal((170 + 12 * kind, 60 + 15 * kind, 40), (5, 5, 9))
        city = CITIES[rng.choice(3, p=(0.5, 0.3, 0.2) if kind else (0.2, 0.3, 0.5))]
        numbers = [f"{height:.2f}", f"{weight:.3f}", f"{age:.2f}"]
        found.append([*numbers, city, ("cat", "dog")[kind]])
    return found


def write(path: Path, table: list[list[str]], names: tuple[str, ...] = NAMES) -> Path:
    """A table as a CSV file."""
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([names, *table])
    return path
