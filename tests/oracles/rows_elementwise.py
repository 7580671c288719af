"""Rows of the table: functions of single elements, and their operators.

Next: `rows_arrays.py`.
"""

from __future__ import annotations

import kedja as kj
from tests.oracles.comparison import Row, same

# fmt: off
ROWS = {
    **same(
        kj,
        "abs acos acosh asin asinh atan atan2 atanh ceil copysign cos cosh erf exp expm1 floor "
        "floor_divide hypot isfinite isinf isnan log log10 log1p log2 logaddexp logical_and "
        "logical_not logical_or logical_xor maximum minimum nextafter positive reciprocal remainder "
        "sigmoid sign signbit sin sinh sqrt square tan tanh trunc pow "
        "bitwise_and bitwise_or bitwise_xor bitwise_not bitwise_left_shift bitwise_right_shift",
    ),
    "add": Row(kj.add, {"a factor of one operand": lambda s: "alpha" in s.kwargs}),
    "sub": Row(kj.subtract, {"a factor of one operand": lambda s: "alpha" in s.kwargs}),
    "mul": Row(kj.multiply),
    "div.no_rounding_mode": Row(kj.divide),
    "true_divide": Row(kj.divide),
    "div.floor_rounding": Row(lambda a, b, rounding_mode: kj.floor_divide(a, b)),
    "neg": Row(kj.negative),
    "eq": Row(kj.equal),
    "ne": Row(kj.not_equal),
    "lt": Row(kj.less),
    "le": Row(kj.less_equal),
    "gt": Row(kj.greater),
    "ge": Row(kj.greater_equal),
    "max.binary": Row(kj.maximum),
    "min.binary": Row(kj.minimum),
    "clamp": Row(kj.clip),
    "clamp_min": Row(lambda x, low: kj.clip(x, low)),
    "clamp_max": Row(lambda x, high: kj.clip(x, None, high)),
    "round": Row(kj.round),
    "where": Row(lambda x, condition, y: kj.where(condition, x, y)),
    "__radd__": Row(kj.Tensor.__radd__),
    "__rsub__": Row(kj.Tensor.__rsub__),
    "__rmul__": Row(kj.Tensor.__rmul__),
    "__rdiv__": Row(kj.Tensor.__rtruediv__),
    "__rmod__": Row(kj.Tensor.__rmod__),
    "__rpow__": Row(kj.Tensor.__rpow__),
    "__rmatmul__": Row(kj.Tensor.__rmatmul__),
    "__rand__": Row(kj.Tensor.__rand__),
    "__ror__": Row(kj.Tensor.__ror__),
    "__rxor__": Row(kj.Tensor.__rxor__),
}
# fmt: on
