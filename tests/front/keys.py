"""Random keys of `x[key]` for hypothesis, and what they name, counted out one by one.

Next: `test_index_keys.py`, `test_at.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

SHAPES = arrays_of.array_shapes(min_dims=1, max_dims=4, min_side=1, max_side=4)


@st.composite
def keys(draw: Any, shape: tuple[int, ...], masks: bool = True) -> tuple[Any, ...]:
    """Integers, slices, None, `...`, arrays of integers that broadcast, masks of some axes."""
    wide = draw(arrays_of.array_shapes(min_dims=1, max_dims=2, min_side=1, max_side=3))
    parts: list[Any] = []
    masked = False
    axis = 0
    while axis < len(shape):
        kind = draw(st.sampled_from(("integer", "slice", "slice", "array", "array", "mask")))
        if kind == "mask" and (masked or not masks):
            kind = "slice"
        if kind == "mask":
            masked = True
            count = draw(st.integers(1, len(shape) - axis))
            parts.append(draw(mask_of(shape[axis : axis + count], wide)))
            axis += count
            continue
        parts.append(draw(_part(kind, shape[axis], wide)))
        axis += 1
    return tuple(_with_extras(draw, parts))


def _part(kind: str, extent: int, wide: tuple[int, ...]) -> Any:
    if kind == "integer":
        return st.integers(-extent, extent - 1)
    if kind == "slice":
        return st.slices(extent)
    return integer_arrays(extent, wide)


def integer_arrays(extent: int, wide: tuple[int, ...]) -> Any:
    """Arrays of places whose shapes broadcast to `wide`."""
    narrow = st.tuples(*(st.sampled_from((1, n)) for n in wide))
    shapes = st.tuples(narrow, st.integers(0, len(wide))).map(lambda pair: pair[0][pair[1] :])
    dtypes = st.sampled_from((np.int64, np.int32, np.int8))
    return shapes.flatmap(
        lambda shape: arrays_of.arrays(dtypes, shape, elements=st.integers(-extent, extent - 1))
    )


@st.composite
def mask_of(draw: Any, shape: tuple[int, ...], wide: tuple[int, ...]) -> np.ndarray:
    """A mask that is true at as many places as the other arrays' last axis, or at one."""
    size = int(np.prod(shape))
    count = min(size, wide[-1]) if size >= wide[-1] else 1
    count = draw(st.sampled_from((count, 1))) if count == wide[-1] else 1
    chosen = draw(st.permutations(range(size)))[:count]
    mask = np.zeros(size, bool)
    mask[list(chosen)] = True
    return mask.reshape(shape)


def _with_extras(draw: Any, parts: list[Any]) -> list[Any]:
    """A new axis somewhere, `...` in place of some full slices or of nothing, a shorter key."""
    if draw(st.booleans()):
        parts.insert(draw(st.integers(0, len(parts))), None)
    if draw(st.booleans()):
        return parts[: draw(st.integers(0, len(parts)))]
    if draw(st.booleans()):
        place = draw(st.integers(0, len(parts)))
        stop = place
        while stop < len(parts) and isinstance(parts[stop], slice):
            stop += 1
        parts[place:stop] = [...]
    return parts


def counted(shape: tuple[int, ...], key: Any) -> np.ndarray:
    """The places in row-major order that a key names, by NumPy."""
    return np.arange(np.prod(shape, dtype=int)).reshape(shape)[key]
