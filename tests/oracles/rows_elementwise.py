"""Rows of the table: functions of single elements, and Python's operators.

Next: `rows_arrays.py`.
"""

from __future__ import annotations

import kedja as kj
from tests.oracles.comparison import Row, same

FACTOR = {"alpha=: write a + alpha*b": lambda s: "alpha" in s.kwargs}
OPERATORS = "radd rsub rmul rmod rpow rmatmul rand ror rxor"


def operator(name: str) -> Row:
    """A method of tensors such as `__radd__`."""
    return Row(lambda x, other: getattr(x, f"__{name}__")(other))


ROWS = {
    **same(
        kj,
        "abs acos acosh asin asinh atan atan2 atanh ceil copysign cos cosh deg2rad erf exp exp2 "
        "expm1 floor floor_divide fmax fmin fmod frac heaviside hypot isclose allclose isfinite "
        "isin isinf isnan isneginf isposinf lerp log log10 log1p log2 logaddexp logical_and "
        "logical_not logical_or logical_xor logit maximum minimum nan_to_num nextafter positive "
        "rad2deg reciprocal remainder round rsqrt sigmoid sign signbit sin sinc sinh sqrt square "
        "tan tanh trunc pow xlogy mul neg eq ne lt le gt ge true_divide "
        "bitwise_and bitwise_or bitwise_xor bitwise_not bitwise_left_shift bitwise_right_shift",
    ),
    **{f"__{name}__": operator(name) for name in OPERATORS.split()},
    "__rdiv__": operator("rtruediv"),
    "add": Row(kj.add, FACTOR),
    "sub": Row(kj.sub, FACTOR),
    "div.no_rounding_mode": Row(kj.div),
    "div.floor_rounding": Row(lambda a, b, rounding_mode: kj.floor_divide(a, b)),
    "round.decimals_0": Row(kj.round),
    "round.decimals_3": Row(kj.round),
    "round.decimals_neg_3": Row(kj.round),
    "max.binary": Row(kj.maximum),
    "min.binary": Row(kj.minimum),
    "clamp": Row(kj.clamp),
    "clamp_min": Row(lambda x, low: kj.clip(x, low)),
    "clamp_max": Row(lambda x, high: kj.clip(x, None, high)),
    "where": Row(lambda x, condition, y: kj.where(condition, x, y)),
}
