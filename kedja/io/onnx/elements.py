"""The element types of ONNX, and which dtype each is here.

The numbers are those of `TensorProto.DataType` in onnx.proto. Next: `plan.py`.
"""

from __future__ import annotations

from kedja.ground import dtypes
from kedja.ground.dtypes import DType
from kedja.ground.errors import UnsupportedError

CODES = {
    1: dtypes.float32,
    2: dtypes.uint8,
    3: dtypes.int8,
    4: dtypes.uint16,
    5: dtypes.int16,
    6: dtypes.int32,
    7: dtypes.int64,
    9: dtypes.bool_,
    10: dtypes.float16,
    11: dtypes.float64,
    12: dtypes.uint32,
    13: dtypes.uint64,
    16: dtypes.bfloat16,
}
CODE_OF = {dtype: code for code, dtype in CODES.items()}
LEFT_OUT = {
    0: "undefined",
    8: "string",
    14: "complex64",
    15: "complex128",
    17: "float8e4m3fn",
    18: "float8e4m3fnuz",
    19: "float8e5m2",
    20: "float8e5m2fnuz",
    21: "uint4",
    22: "int4",
    23: "float4e2m1",
    24: "float8e8m0",
    25: "uint2",
    26: "int2",
}


def dtype_of(code: int, what: str = "") -> DType:
    """The dtype of an element type; UnsupportedError, by its name, for those that are none here.

    `what` is the input or the array that has this type.
    """
    found: DType | None = CODES.get(code)
    if found is not None:
        return found
    name = LEFT_OUT.get(code, f"number {code}")
    raise UnsupportedError(
        f"{what or 'a value'} has the ONNX element type {name}",
        fix=f"kedja has {', '.join(each.name for each in CODES.values())}",
    )
