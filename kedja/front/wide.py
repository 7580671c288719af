"""Functions that compute as a whole in float32 or float64, also for arrays of halves and integers.

float16 and bfloat16 are widened once, and the results are rounded once at the end; integers become
float32. Next: `linalg.py`, `sorting.py`, which use it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kedja.front import arithmetic
from kedja.front import tensor as front
from kedja.ground.dtypes import DType, float32, is_float, is_half, promote

if TYPE_CHECKING:
    from kedja.front.tensor import Tensor


def wide(x: Any) -> tuple[Tensor, DType]:
    """x in float32 or float64, and the dtype in which results are wanted."""
    x = front.as_tensor(x)
    kind = x.dtype if is_float(x.dtype) else float32
    return arithmetic.cast(x, float32 if is_half(kind) else kind), kind


def wide_together(a: Any, b: Any) -> tuple[Tensor, Tensor, DType]:
    """Two arrays in the one wide dtype in which they meet, and the dtype of results."""
    a, b = front.as_tensor(a), front.as_tensor(b)
    common = promote(a.dtype, b.dtype)
    kind = common if is_float(common) else float32
    target = float32 if is_half(kind) else kind
    return arithmetic.cast(a, target), arithmetic.cast(b, target), kind


def narrow(x: Tensor, kind: DType) -> Tensor:
    """A result in the dtype in which it is wanted."""
    return arithmetic.cast(x, kind)
