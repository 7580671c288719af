"""Texts that are nearly the same: MinHash of their shingles, then the share itself.

A shingle is a run of three words. The share of common shingles of two texts (Jaccard's index) is
the chance that the least hash of both is the same; texts that share all hashes of one of the bands
are compared. With `BANDS` bands of `ROWS` hashes, a pair of index J is missed with probability
(1 − J^ROWS)^BANDS: 0.003 % at 0.8. Source: A. Broder, "On the resemblance and containment of
documents" (1997).

Not here: pairs of rows and pictures (`neighbours.py`). Next: `duplicates.py`.
"""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from kedja.inspection.subject import Array
from kedja.inspection.texts import folded

WORDS = 3
BANDS, ROWS = 20, 4
ALIKE = 0.7  # of the shingles in common
_FEWEST = 8  # shingles; of shorter texts a few common ones are no wonder
_PRIME = 2**31 - 1
_CROWD = 50  # texts that share a band are compared with so many before them


def shingles(text: str) -> frozenset[int]:
    """The runs of three words of a text, as numbers."""
    words = folded(text).split()
    runs = zip(*(words[start:] for start in range(WORDS)), strict=False)
    return frozenset(zlib.crc32(" ".join(run).encode()) % _PRIME for run in runs)


def jaccard(a: frozenset[int], b: frozenset[int]) -> float:
    """The share of both that is in both."""
    return len(a & b) / max(len(a | b), 1)


def near_texts(texts: Sequence[str], rows: Array) -> tuple[list[tuple[int, int]], Array]:
    """Pairs of these rows whose texts are alike, and how much, (n,)."""
    sets = {int(row): shingles(texts[row]) for row in rows}
    long = [row for row, found in sets.items() if len(found) >= _FEWEST]
    candidates = _candidates({row: _least(sets[row]) for row in long})
    alike = {pair: jaccard(sets[pair[0]], sets[pair[1]]) for pair in sorted(candidates)}
    kept = {pair: value for pair, value in alike.items() if value >= ALIKE}
    return list(kept), np.array(list(kept.values()))


_DRAWN = np.random.default_rng(1997).integers(1, _PRIME, (2, BANDS * ROWS), np.int64)


def _least(found: frozenset[int]) -> Array:
    """The least of each hash over the shingles: int64 (BANDS · ROWS,)."""
    numbers = np.fromiter(found, np.int64, len(found))[:, None]
    hashes: Array = ((numbers * _DRAWN[0] + _DRAWN[1]) % _PRIME).min(0)
    return hashes


def _candidates(least: dict[int, Array]) -> set[tuple[int, int]]:
    """Pairs that share all hashes of a band."""
    pairs = set()
    for band in range(BANDS):
        buckets: dict[bytes, list[int]] = defaultdict(list)
        for row, hashes in least.items():
            bucket = buckets[hashes[band * ROWS : (band + 1) * ROWS].tobytes()]
            pairs |= {(before, row) for before in bucket[-_CROWD:]}
            bucket.append(row)
    return pairs
