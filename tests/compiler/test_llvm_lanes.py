"""Vectors are written up to the last lane of their mask, and no further."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest

import kedja as kj
from kedja.compiler import llvm_ir as ir
from kedja.compiler.llvm_blocks import I32, I64, PTR, function
from kedja.compiler.llvm_lanes import first_lanes, lanes_below, load_lanes, store_lanes
from kedja.compiler.runtime_object import Library, compile_module
from kedja.compiler.runtime_target import host_target

LANES = 16


def written(count: int, bits: int, *, known: bool) -> np.ndarray:
    """Memory of -1 after the first `count` of 16 lanes were truncated and stored there."""
    module = ir.Module()
    b, made = function(module, "kedja_store", {"x": PTR, "y": PTR, "count": I64})
    x, y, given = made.args
    wide = load_lanes(b, ir.VectorType(I32, LANES), x, 4, None)
    narrow = b.trunc(wide, ir.VectorType(ir.IntType(bits), LANES)) if bits < 32 else wide
    mask = first_lanes(count, LANES) if known else lanes_below(b, given, LANES)
    store_lanes(b, narrow, y, bits // 8, mask)
    b.ret_void()
    library = Library(compile_module(module, host_target()), host_target())
    kind = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 3)
    values = np.arange(LANES, dtype=np.int32)
    memory = np.full(2 * LANES, -1, f"int{bits}")
    kind(library.address("kedja_store"))(values.ctypes.data, memory.ctypes.data, count)
    return memory


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("bits", [8, 16, 32])
@pytest.mark.parametrize("count", [1, 2, 3, 8, 15, 16])
def test_nothing_is_written_behind_the_last_lane(count: int, bits: int, known: bool) -> None:
    memory = written(count, bits, known=known)
    np.testing.assert_array_equal(memory[:count], np.arange(count))
    np.testing.assert_array_equal(memory[count:], -1)


@pytest.mark.parametrize("to", ["int8", "int16", "uint8", "bfloat16", "float16", "bool"])
@pytest.mark.parametrize("count", [17, 33, 65])
def test_a_last_element_alone_is_not_stored_through_a_mask(count: int, to: str, capfd) -> None:
    """LLVM wrote two or four of it (see `store_lanes`); the kernel's text shows what is stored."""
    dtype = kj.bool if to == "bool" else getattr(kj, to)
    x = kj.tensor(np.arange(count, dtype=np.int32))
    with kj.scope(debug=5, cache=False):
        kj.jit(lambda x: x.astype(dtype))(x).numpy()
    shown = capfd.readouterr()
    assert "define" in shown.err + shown.out
    assert "masked.store" not in shown.err + shown.out
