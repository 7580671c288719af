"""array-api-strict as the oracle of the standard, and how its arrays are compared with tensors.

Not here: the dtypes that the standard does not have (`test_array_api_halves.py`).
Next: `test_array_api_names.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

import kedja as kj

strict = pytest.importorskip("array_api_strict")
strict.set_array_api_strict_flags(api_version="2024.12")

SIGNED = ("int8", "int16", "int32", "int64")
UNSIGNED = ("uint8", "uint16", "uint32", "uint64")
INTEGERS = (*SIGNED, *UNSIGNED)
FLOATS = ("float32", "float64")
NUMBERS = (*INTEGERS, *FLOATS)
ALL = ("bool", *NUMBERS)

SHAPES = arrays_of.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
FILLED = arrays_of.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4)
PRECISION = {"float32": 2e-6, "float64": 1e-13}


def numbers(
    dtype: str,
    shape: tuple[int, ...],
    seed: int,
    low: float | None = None,
    high: float | None = None,
) -> np.ndarray:
    """Numbers of a dtype: small ones that do not overflow, NaN and ∞ where nothing bounds them."""
    rng = np.random.default_rng(seed)
    if dtype == "bool":
        return np.asarray(rng.integers(0, 2, shape), bool)
    if dtype in FLOATS:
        ends = (-20.0 if low is None else low, 20.0 if high is None else high)
        wide = rng.uniform(*ends, shape)
        kind = rng.integers(0, 3 if low is None else 2, shape)
        special = rng.choice([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0], shape)
        return np.asarray(np.choose(kind, (wide, np.round(wide), special)), dtype)
    least = 0 if dtype in UNSIGNED else -10
    start = least if low is None else max(least, int(low))
    return np.asarray(rng.integers(start, int(10 if high is None else high) + 1, shape), dtype)


def arrays(dtypes: Any, shape: Any = SHAPES, low: float | None = None, high: float | None = None):
    """A strategy of NumPy arrays of one dtype or of any of several; `shape` may be one too."""
    kinds = st.just(dtypes) if isinstance(dtypes, str) else st.sampled_from(dtypes)
    shapes = shape if isinstance(shape, st.SearchStrategy) else st.just(shape)
    seeds = st.integers(0, 2**32 - 1)
    return st.builds(lambda k, s, seed: numbers(k, s, seed, low, high), kinds, shapes, seeds)


def both(array: Any) -> tuple[kj.Tensor, Any]:
    """The same array as a tensor and as the oracle has it; numbers stay numbers."""
    if isinstance(array, np.ndarray):
        return kj.asarray(array), strict.asarray(array)
    return array, array


def same(found: Any, expected: Any, *, exact: bool = True, what: str = "") -> None:
    """Dtype, shape and elements agree."""
    if isinstance(expected, (tuple, list)):
        assert len(found) == len(expected), what
        for mine, right in zip(found, expected, strict=True):
            same(mine, right, exact=exact, what=what)
        return
    assert isinstance(found, kj.Tensor), what
    right = np.asarray(expected)
    assert found.dtype == right.dtype, f"{what}: {found.dtype}, not {right.dtype}"
    assert found.shape == right.shape, f"{what}: {found.shape}, not {right.shape}"
    bound = 0.0 if exact else PRECISION.get(right.dtype.name, 0.0)
    np.testing.assert_allclose(found.numpy(), right, rtol=bound, atol=bound, err_msg=what)
