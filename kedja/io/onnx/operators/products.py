"""Products of matrices, einsum, determinants. Next: `quantization.py`."""

from __future__ import annotations

from kedja.front import functions, linalg
from kedja.front.arithmetic import cast
from kedja.front.einsum import einsum
from kedja.front.tensor import Tensor
from kedja.ground.dtypes import float64, is_float
from kedja.io.onnx.call import Call, Value
from kedja.io.onnx.plan import Operator


def matmul(call: Call, a: Tensor, b: Tensor) -> Tensor:
    """The matrix product as in NumPy."""
    return functions.matmul(a, b)


def gemm(call: Call, a: Tensor, b: Tensor, c: Value = None) -> Tensor:
    """alpha·A·B + beta·C, either factor transposed if that is said."""
    a = a.mT if call.get("transA", 0) else a
    b = b.mT if call.get("transB", 0) else b
    product = _times(functions.matmul(a, b), call.get("alpha", 1.0))
    if c is None:
        return product
    return product + _times(c, call.get("beta", 1.0))


def _times(x: Tensor, factor: float) -> Tensor:
    if factor == 1:
        return x
    return x * factor if is_float(x.dtype) else cast(cast(x, float64) * factor, x.dtype)


def product_of_letters(call: Call, *operands: Tensor) -> Tensor:
    """Einstein's summation."""
    return einsum(call.need("equation").replace(" ", ""), *operands)


def determinant(call: Call, x: Tensor) -> Tensor:
    """The determinant of each matrix."""
    return linalg.det(x)


# fmt: off
OPERATORS = (
    Operator("Det",    determinant),
    Operator("Einsum", product_of_letters),
    Operator("Gemm",   gemm),
    Operator("MatMul", matmul),
)
# fmt: on
