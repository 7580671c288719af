"""Where in a sequence something stands: learned vectors, fixed waves, rotations.

Not here: the attention that uses them (`attention.py`). Next: `attention.py`.
Dimensions: T places, D numbers for each, `…` examples and heads.
"""

from __future__ import annotations

import math
from typing import Any

from kedja.front import functions, random
from kedja.front.arithmetic import call, cast, concatenate, reshape
from kedja.front.tensor import Tensor, as_tensor
from kedja.ground.dtypes import float32, int64, is_half
from kedja.ground.errors import ShapeError, UsageError
from kedja.ir.graph import locating
from kedja.nn import init
from kedja.nn.activation_functions import floating
from kedja.nn.checks import require_positive
from kedja.nn.module import Module, layer_error

# -------------------------------------------------------------------------------- functions


def places(count: int, offset: Any = 0) -> Tensor:
    """offset, offset + 1 … : `count` whole numbers; the offset may be a tensor."""
    return functions.arange(count, dtype=int64) + as_tensor(offset).astype(int64)


def sinusoidal(positions: Any, dim: int, base: float = 10000.0) -> Tensor:
    """y_2i = sin(t·base^(−2i/D)), y_2i+1 = cos(t·base^(−2i/D)) for each position t.

    Shapes: positions (…) → (…, D), float32. Raises UsageError for an odd D.
    Source: A. Vaswani et al.: Attention is all you need (2017).
    """
    angle = _angles(positions, dim, base)  # (… D/2)
    waves = functions.stack([functions.sin(angle), functions.cos(angle)], -1)  # (… D/2 2)
    return reshape(waves, (*angle.shape[:-1], dim))


def rotary(
    x: Any, positions: Any = None, base: float = 10000.0, interleaved: bool = False
) -> Tensor:
    """Each pair of numbers turned by the angle t·base^(−2i/D), t its place in the sequence.

    Shapes: x (…, T, D), positions (T,) or broadcasting to (…, T) → as x. Pairs are (i, i + D/2), as
    in Llama, or neighbours (2i, 2i + 1) with `interleaved`, as in the paper. The product of two
    turned vectors depends on the distance of their places alone.
    Source: J. Su et al.: RoFormer (2021).
    """
    x = floating(x)
    with locating():
        if x.ndim < 2:
            raise ShapeError(f"rotary of {list(x.shape)}", fix="the last axes are (T, D)")
    where_at = places(x.shape[-2]) if positions is None else positions
    angle = _angles(where_at, x.shape[-1], base)  # (… T D/2)
    if not is_half(x.dtype):
        angle = cast(angle, x.dtype)
    first, second = _pairs(cast(x, float32) if is_half(x.dtype) else x, interleaved)
    cosine, sine = functions.cos(angle), functions.sin(angle)
    turned = (first * cosine - second * sine, second * cosine + first * sine)
    if interleaved:
        return cast(reshape(functions.stack(turned, -1), x.shape), x.dtype)
    return cast(concatenate(turned, -1), x.dtype)


def _angles(positions: Any, dim: int, base: float) -> Tensor:
    """t·base^(−2i/D): (…) → (…, D/2)."""
    with locating():
        if dim < 2 or dim % 2:
            raise UsageError(f"positions as vectors of {dim} numbers", fix="an even number")
    rate = functions.arange(0, dim, 2).astype(float32) * (-math.log(base) / dim)
    return functions.expand_dims(as_tensor(positions).astype(float32), -1) * functions.exp(rate)


def _pairs(x: Tensor, interleaved: bool) -> tuple[Tensor, Tensor]:
    half = x.shape[-1] // 2
    if not interleaved:
        return x[..., :half], x[..., half:]
    split = reshape(x, (*x.shape[:-1], half, 2))  # (… D/2 2)
    return split[..., 0], split[..., 1]


# ----------------------------------------------------------------------------------- layers


class LearnedPositions(Module):
    """y_t = x_t + weight[t + offset]: a learned vector is added at each place.

    Shapes: x (…, T, D) → the same; `weight` (T_max, D), which starts normal with standard
    deviation 0.02. Raises ShapeError for more than T_max places.
    Source: A. Radford et al.: Improving language understanding by generative pre-training (2018).

    >>> LearnedPositions(16, 4)([[0.0, 0.0, 0.0, 0.0]]).shape
    (1, 4)
    """

    weight: Tensor

    def __init__(self, max_length: int, dim: int, *, key: Tensor | None = None) -> None:
        require_positive("LearnedPositions", max_length=max_length, dim=dim)
        key = random.next_key() if key is None else key
        self.weight = init.normal(key, (max_length, dim), 0.0, 0.02)

    def __call__(self, x: Any, offset: Any = 0) -> Tensor:
        """x (…, T, D) → the same; `offset` is the place of the first."""
        x = floating(x)
        known = isinstance(offset, int)
        if x.ndim < 2 or x.shape[-2] + (offset if known else 0) > self.weight.shape[0]:
            raise layer_error(
                self,
                f"has {self.weight.shape[0]} places, got shape {list(x.shape)} from {offset}",
                "shorter sequences (…, T, D), or a larger max_length",
            )
        rows = call("take", self.weight, places(x.shape[-2], offset), axis=0)  # (T D)
        y: Tensor = x + rows
        return y

    def extra_repr(self) -> str:
        """The extents."""
        return f"{self.weight.shape[0]}, {self.weight.shape[1]}"


class SinusoidalPositions(Module):
    """y_t = x_t + waves of t; see `functional.sinusoidal`. There is nothing to learn.

    Shapes: x (…, T, D) → the same, D even, any T.
    Source: A. Vaswani et al.: Attention is all you need (2017).

    >>> SinusoidalPositions()([[0.0, 0.0]])
    Tensor([[0., 1.]], float32)
    """

    base: float = 10000.0

    def __call__(self, x: Any, offset: Any = 0) -> Tensor:
        """x (…, T, D) → the same; `offset` is the place of the first."""
        x = floating(x)
        waves = sinusoidal(places(x.shape[-2], offset), x.shape[-1], self.base)
        y: Tensor = x + cast(waves, x.dtype)
        return y


class RotaryEmbedding(Module):
    """Queries and keys turned by angles that grow with their place; see `functional.rotary`.

    Shapes: x (…, T, D) → the same, D (of one head) even. Apply it to the queries and to the keys,
    not to the values. Source: J. Su et al.: RoFormer (2021).

    >>> import kedja as kj
    >>> rope, x = RotaryEmbedding(), kj.ones((3, 4))
    >>> y = rope(x)
    >>> abs((y[0] @ y[1]).item() - (y[1] @ y[2]).item()) < 1e-6
    True
    """

    base: float = 10000.0
    interleaved: bool = False

    def __call__(self, x: Any, offset: Any = 0) -> Tensor:
        """x (…, T, D) → the same; `offset` is the place of the first."""
        x = floating(x)
        return rotary(x, places(x.shape[-2], offset), self.base, self.interleaved)
