"""Vectors read from memory and written to it: all their lanes, or those of a mask.

Not here: arithmetic on lanes (`llvm_math_lanes.py`), which lanes count (`llvm_kernel.py`).
Next: `llvm_values.py`, `llvm_matmul_vectors.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from kedja.compiler import llvm_ir as ir
from kedja.compiler.llvm_blocks import I1, I32, I64, PTR, as_i64, declare, i32


@lru_cache(maxsize=256)
def first_lanes(count: int, lanes: int) -> ir.Constant:
    """The mask of the first `count` of `lanes` lanes."""
    return ir.Constant(ir.VectorType(I1, lanes), [int(lane < count) for lane in range(lanes)])


def lanes_below(b: ir.IRBuilder, left: ir.Value, lanes: int) -> ir.Value:
    """The mask of the lanes whose number is below `left`."""
    numbers = ir.Constant(ir.VectorType(I64, lanes), list(range(lanes)))
    kind = ir.VectorType(I64, lanes)
    first = b.insert_element(ir.Constant(kind, ir.Undefined), as_i64(left), ir.Constant(I32, 0))
    zeros = ir.Constant(ir.VectorType(I32, lanes), [0] * lanes)
    spread = b.shuffle_vector(first, ir.Constant(kind, ir.Undefined), zeros)
    return b.icmp_signed("<", numbers, spread)


def suffix(kind: ir.Type) -> str:
    """A vector type's name inside intrinsics' names.

    >>> suffix(ir.VectorType(ir.FloatType(), 16))
    'v16f32'
    """
    scalar = kind.element
    if isinstance(scalar, ir.IntType):
        return f"v{kind.count}i{scalar.width}"
    return f"v{kind.count}{'f32' if isinstance(scalar, ir.FloatType) else 'f64'}"


def load_lanes(
    b: ir.IRBuilder, kind: ir.Type, address: ir.Value, size: int, mask: ir.Value | None
) -> ir.Value:
    """The vector at an address, aligned to its elements of `size` bytes; 0 outside the mask."""
    if mask is None:
        return b.load(address, typ=kind, align=size)
    name = f"llvm.masked.load.{suffix(kind)}.p0"
    made = declare(b.module, name, [PTR, I32, mask.type, kind], kind)
    return b.call(made, [address, i32(size), mask, ir.Constant(kind, 0)])


def store_lanes(
    b: ir.IRBuilder, value: ir.Value, address: ir.Value, size: int, mask: ir.Value | None
) -> None:
    """Write a vector; memory outside the mask stays as it is."""
    if mask is None:
        b.store(value, address, align=size)
    elif _is_first_alone(mask):
        b.store(b.extract_element(value, i32(0)), address, align=size)
    else:
        kind = value.type
        name = f"llvm.masked.store.{suffix(kind)}.p0"
        made = declare(b.module, name, [kind, PTR, I32, mask.type])
        b.call(made, [value, address, i32(size), mask])


def _is_first_alone(mask: ir.Value) -> bool:
    """Whether a mask is known to have the first lane only.

    LLVM makes a scalar store of it, and where the lanes were truncated just before, as those of
    bfloat16 and short integers are, one of the type before: it wrote past the element.
    """
    if not isinstance(mask, ir.Constant):
        return False
    lanes: Sequence[int] = mask.constant
    first, *others = lanes
    return first == 1 and not any(others)
