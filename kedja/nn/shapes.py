"""Layers that only rename places: Flatten and Unflatten. Next: `activations.py`."""

from __future__ import annotations

import math
from typing import Any

from kedja.front.arithmetic import reshape
from kedja.front.tensor import Tensor, as_tensor
from kedja.nn.module import Module, layer_error

# --------------------------------------------------------------------------------- Flatten


class Flatten(Module):
    """The axes from `start_dim` to `end_dim` (both included) become one.

    Shapes: x (B, …) → y (B, product of the others), unless other axes are given.
    Raises ShapeError where x has no such axes.

    >>> import kedja as kj
    >>> Flatten()(kj.zeros((64, 28, 28))).shape
    (64, 784)
    """

    start_dim: int = 1
    end_dim: int = -1

    def __call__(self, x: Any) -> Tensor:
        """x (B, …) → (B, C)."""
        x = as_tensor(x)
        first, last = self.start_dim % max(x.ndim, 1), self.end_dim % max(x.ndim, 1)
        if not first <= last < x.ndim or self.start_dim >= x.ndim:
            raise layer_error(
                self,
                f"flattens axes {self.start_dim} to {self.end_dim}, got shape {list(x.shape)}",
                "the first axis counts the examples: give a batch, as in x[None]",
            )
        merged = math.prod(x.shape[first : last + 1])
        return reshape(x, (*x.shape[:first], merged, *x.shape[last + 1 :]))


# ------------------------------------------------------------------------------- Unflatten


class Unflatten(Module):
    """One axis becomes several: the inverse of Flatten.

    Shapes: x (… n …) → (… *unflattened_size …), one of whose extents may be −1. Raises ShapeError
    where the product is not n.

    >>> Unflatten(1, (2, 3))([[1, 2, 3, 4, 5, 6]]).tolist()
    [[[1, 2, 3], [4, 5, 6]]]
    """

    dim: int
    unflattened_size: tuple[int, ...]

    def __call__(self, x: Any) -> Tensor:
        """(… n …) → (… *unflattened_size …)."""
        x = as_tensor(x)
        if not -x.ndim <= self.dim < x.ndim:
            what = f"unflattens axis {self.dim}, got shape {list(x.shape)}"
            raise layer_error(self, what, "the input must have that axis")
        place, size = self.dim % x.ndim, tuple(self.unflattened_size)
        known = math.prod(n for n in size if n != -1)
        fits = known == x.shape[place] if -1 not in size else x.shape[place] % max(known, 1) == 0
        if not fits or size.count(-1) > 1:
            what = f"makes {list(size)} of axis {self.dim} of shape {list(x.shape)}"
            raise layer_error(self, what, f"the product must be {x.shape[place]}")
        filled = tuple(x.shape[place] // known if n == -1 else n for n in size)
        return reshape(x, (*x.shape[:place], *filled, *x.shape[place + 1 :]))
