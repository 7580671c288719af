"""Values that are computed when somebody first looks at them, and once: initial weights.

A tensor holds a `Later` where it would hold its node. Unlike a node it never becomes part of a
graph: who asks for the tensor's node gets a constant of the value, so a weight is not drawn again
in each graph. A model that takes its weights from a file never draws any. Next: `tensor.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import copy_context

import numpy as np

from kedja.ground.dtypes import DType


class Later:
    """What will compute a value of a shape and a dtype, as it would have been computed here.

    That is with the flags of here, and in no trace that begins later.
    """

    __slots__ = ("_compute", "_here", "dtype", "shape")

    def __init__(
        self, shape: tuple[int, ...], dtype: DType, compute: Callable[[], np.ndarray]
    ) -> None:
        self.shape = shape
        self.dtype = dtype
        self._compute = compute
        self._here = copy_context()

    def value(self) -> np.ndarray:
        """The value; asked for again, it is computed again to the same bits."""
        return self._here.copy().run(self._compute)
