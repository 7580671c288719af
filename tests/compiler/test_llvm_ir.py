"""LLVM's IR as text: LLVM reads back what was meant."""

from __future__ import annotations

import ctypes
import math
import struct

import llvmlite.binding as llvm
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kedja.compiler import llvm_ir as ir
from kedja.compiler.llvm_blocks import F32, F64, I32, I64, PTR, VOID, call_pointer, function, i64
from kedja.compiler.runtime_object import Library, compile_module
from kedja.compiler.runtime_target import host_target


def called(module: ir.Module, name: str, result, *arguments):
    """The function, called with 64-bit integers."""
    library = Library(compile_module(module, host_target()), host_target())
    takes = [ctypes.c_int64] * len(arguments)
    return ctypes.CFUNCTYPE(result, *takes)(library.address(name))(*arguments)


@given(st.floats(width=32))
def test_a_float32_keeps_its_bits(number):
    check_bits(F32, number, "<f")


@given(st.floats())
def test_a_float64_keeps_its_bits(number):
    check_bits(F64, number, "<d")


@given(st.floats(width=16))
def test_a_float16_keeps_its_bits(number):
    check_bits(ir.HalfType(), number, "<e")


def check_bits(kind, number, code):
    """LLVM's own text of the constant is that of the same number."""
    module = ir.Module("constants")
    value = ir.GlobalVariable(module, kind, "x")
    value.initializer = ir.Constant(kind, number)
    (found,) = llvm.parse_assembly(str(module)).global_variables
    text = str(found).rsplit(" ", 1)[1]
    if text.startswith("0xH"):
        bits = struct.unpack("<e", int(text[3:], 16).to_bytes(2, "little"))[0]
    elif text.startswith("0x"):
        bits = struct.unpack("<d", int(text[2:], 16).to_bytes(8, "little"))[0]
    else:
        bits = float(text)
    if math.isnan(number):
        assert math.isnan(bits)
    else:
        assert struct.pack(code, bits) == struct.pack(code, number)


SMALL = st.integers(-5, 5)


@pytest.mark.parametrize("name", ["add", "sub", "mul", "and_", "or_", "xor"])
@given(x=SMALL, y=SMALL)
def test_arithmetic_of_constants_is_that_of_instructions(name, x, y):
    b, _ = function(ir.Module("folded"), "kedja_f", {})
    found = getattr(b, name)(i64(x), i64(y))
    expected = {"add": x + y, "sub": x - y, "mul": x * y}
    expected |= {"and_": x & y, "or_": x | y, "xor": x ^ y}
    if isinstance(found, ir.Constant):
        assert found.constant == expected[name]


def test_neutral_numbers_add_no_instruction():
    b, made = function(ir.Module("neutral"), "kedja_f", {"x": I64})
    (x,) = made.args
    same = [b.add(x, i64(0)), b.add(i64(0), x), b.sub(x, i64(0)), b.mul(i64(1), x)]
    same += [b.udiv(x, i64(1)), b.sdiv(x, i64(1)), b.select(ir.Constant(ir.IntType(1), 1), x, x)]
    assert all(each is x for each in same)
    assert b.sub(i64(0), x) is not x
    assert b.udiv(i64(1), x) is not x
    assert b.add(ir.Constant(I32, 0), ir.Constant(I32, 0)).text.startswith("%")


@pytest.mark.parametrize("sign", ["<", "<=", ">", ">=", "==", "!="])
@pytest.mark.parametrize("x", [-1, 0, 1])
def test_comparisons_of_constants(sign, x):
    module = ir.Module("compared")
    b, made = function(module, "kedja_f", {"x": I64}, I64)
    known = b.icmp_signed(sign, i64(x), i64(0))
    other = b.icmp_signed(sign, made.args[0], i64(0))
    b.ret(b.zext(b.xor(known, other), I64))
    assert called(module, "kedja_f", ctypes.c_int64, x) == 0


def test_a_function_is_called_at_its_address_and_with_more_arguments():
    module = ir.Module("calls")
    kind = ir.FunctionType(I32, [PTR, I64, PTR], var_arg=True)
    to_text = ir.Function(module, kind, "snprintf")
    twice, inner = function(module, "kedja_twice", {"x": I64}, I64)
    twice.ret(twice.mul(inner.args[0], i64(2)))
    b, made = function(module, "kedja_f", {"x": I64}, I64)
    form = ir.GlobalVariable(module, ir.ArrayType(ir.IntType(8), 5), "form")
    form.initializer = ir.Constant(form.kind, list(b"%lld\0"))
    form.linkage, form.global_constant = "internal", True
    none = ir.Constant(PTR, None)
    length = b.call(to_text, [none, i64(0), form, made.args[0]])
    b.ret(b.add(b.sext(length, I64), call_pointer(b, inner, made.args, I64)))
    assert called(module, "kedja_f", ctypes.c_int64, 12345) == 5 + 2 * 12345


def test_metadata_of_a_store_and_of_a_branch_are_read():
    module = ir.Module("metadata")
    b, made = function(module, "kedja_f", {"place": PTR, "x": I64})
    place, x = made.args
    with b.if_else(b.icmp_signed("<", x, i64(0)), likely=False) as (negative, positive):
        with negative:
            b.store(x, place).set_metadata("nontemporal", module.add_metadata([i64(1)]))
        with positive:
            b.store(x, place)
    b.ret_void()
    text = str(llvm.parse_assembly(str(module)))
    assert "!nontemporal" in text
    assert "!prof" in text
    assert VOID.text == "void"


def test_types_are_equal_by_what_they_are():
    assert ir.VectorType(F32, 8) == ir.VectorType(ir.FloatType(), 8)
    assert len({ir.IntType(8), ir.IntType(8), ir.IntType(16)}) == 2
    assert ir.VectorType(F32, 8) != ir.ArrayType(F32, 8)


def test_a_constant_of_a_type_without_numbers_is_refused():
    with pytest.raises(TypeError, match="no constants of type void"):
        ir.Constant(VOID, 1)
