"""Operators that draw random numbers, from kedja's own keys.

The generators of other systems are not imitated: the numbers are others than theirs, of the same
distribution. A `seed` gives the same numbers in every call; without one they come from the open
`nn.training(key)`, else from the process's sequence. Next: `reduce.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kedja.front import functions, random
from kedja.front.arithmetic import cast
from kedja.front.tensor import Tensor
from kedja.ground.dtypes import DType, float32, int32, is_half
from kedja.io.onnx import elements
from kedja.io.onnx.call import Call
from kedja.io.onnx.plan import Operator
from kedja.nn import state


def key_of(call: Call) -> Tensor:
    """What an operator draws from."""
    seed = call.get("seed")
    if seed is not None:
        return random.key(int(np.float32(seed).view(np.uint32)))
    opened = state.current()
    return random.next_key() if opened is None else opened.next_key()


def dropout_mask(call: Call, x: Tensor, ratio: float) -> Tensor:
    """True with probability 1 − ratio."""
    return random.bernoulli(key_of(call), 1 - ratio, x.shape)


def _dtype(call: Call, default: DType) -> DType:
    code = call.get("dtype")
    return default if code is None else elements.dtype_of(code)


def _wide(dtype: DType) -> DType:
    return float32 if is_half(dtype) else dtype


def uniform(call: Call, shape: Sequence[int], dtype: DType) -> Tensor:
    """Uniform in [low, high)."""
    low, high = call.get("low", 0.0), call.get("high", 1.0)
    return cast(random.uniform(key_of(call), tuple(shape), low, high, _wide(dtype)), dtype)


def normal(call: Call, shape: Sequence[int], dtype: DType) -> Tensor:
    """Normal of a mean and a scale."""
    drawn = random.normal(key_of(call), tuple(shape), _wide(dtype))
    return cast(drawn * call.get("scale", 1.0) + call.get("mean", 0.0), dtype)


def of_shape(draw: Any) -> Any:
    """The shape is an attribute."""
    return lambda call: draw(call, call.need("shape"), _dtype(call, float32))


def like(draw: Any) -> Any:
    """The shape (and the dtype) of a tensor."""
    return lambda call, x: draw(call, x.shape, _dtype(call, x.dtype))


def bernoulli(call: Call, probability: Tensor) -> Tensor:
    """1 with the probability that stands at each place."""
    drawn = random.uniform(key_of(call), probability.shape, dtype=_wide(probability.dtype))
    hit = functions.less(drawn, cast(probability, drawn.dtype))
    return cast(hit, _dtype(call, probability.dtype))


def multinomial(call: Call, logits: Tensor) -> Tensor:
    """Classes drawn by their unnormalised log-probabilities (N, C) → (N, samples)."""
    count, (rows, classes) = call.get("sample_size", 1), logits.shape
    drawn = random.uniform(key_of(call), (rows, count, classes), 1e-7, 1.0)
    noise = functions.negative(functions.log(functions.negative(functions.log(drawn))))
    scores = functions.reshape(cast(logits, float32), (rows, 1, classes)) + noise
    return cast(functions.argmax(scores, -1), _dtype(call, int32))


# fmt: off
OPERATORS = (
    Operator("Bernoulli",         bernoulli),
    Operator("Multinomial",       multinomial),
    Operator("RandomNormal",      of_shape(normal)),
    Operator("RandomNormalLike",  like(normal)),
    Operator("RandomUniform",     of_shape(uniform)),
    Operator("RandomUniformLike", like(uniform)),
)
# fmt: on
