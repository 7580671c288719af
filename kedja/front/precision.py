"""In which dtype products are computed: the switch behind mixed precision.

Inside `products_in("bfloat16")`, the inputs of matrix products and convolutions are rounded to
bfloat16, the product is added up in float32 and rounded once, and comes back in the dtype of its
inputs; so is the product on the way back, since the casts are part of the graph. Everything else
is as it was. Not here: the policy for users (`kedja/nn/precision.py`). Next: `arithmetic.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from kedja.ground.dtypes import DType, is_float

PRODUCTS = frozenset({"matmul", "convolution", "attention"})

_dtype: ContextVar[DType | None] = ContextVar("kedja_products", default=None)


@contextmanager
def products_in(dtype: DType | None) -> Iterator[None]:
    """Products are computed in this dtype (None: in that of their inputs)."""
    token = _dtype.set(dtype)
    try:
        yield
    finally:
        _dtype.reset(token)


def product_dtype() -> DType | None:
    """The dtype of products here; None for that of their inputs."""
    return _dtype.get()


def narrower(dtype: DType) -> DType | None:
    """What a product of this dtype is computed in, where that is something else."""
    wanted = _dtype.get()
    if wanted is None or not is_float(dtype) or dtype.itemsize <= wanted.itemsize:
        return None
    return wanted
