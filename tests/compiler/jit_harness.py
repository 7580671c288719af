"""Compiles one elementwise expression into a loop over arrays, so that tests can run it on numbers.

It is a miniature of what the compiler does with a fused loop, and knows nothing of graphs. One
kernel steps over whole vectors of a chosen width; width 1 is the scalar tail.
Next: `tests/compiler/test_llvm_math.py`.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

import llvmlite.binding as llvm
import numpy as np

from kedja.compiler import llvm_ir as ir

Emit = Callable[..., ir.Value]  # takes the builder and the loaded operands

KERNEL = "kedja_test_kernel"
_POINTER = ir.PointerType()
_LONG = ir.IntType(64)
_FLUSH = 0x8040  # MXCSR: denormal results (bit 15) and operands (bit 6) become 0


def kernel_ir(emit: Emit, scalar: ir.Type, width: int, arity: int) -> ir.Module:
    """A module with `kernel(in…, out, n)`: n is a multiple of the width."""
    module = ir.Module("kernel")
    takes = [_POINTER] * (arity + 1) + [_LONG]
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), takes), KERNEL)
    head, loop, done = (function.append_basic_block(name) for name in ("head", "loop", "done"))
    builder = ir.IRBuilder(head)
    builder.branch(loop)
    builder.position_at_end(loop)
    i = builder.phi(_LONG)
    i.add_incoming(_LONG(0), head)
    lanes = scalar if width == 1 else ir.VectorType(scalar, width)
    size = 4 if isinstance(scalar, ir.FloatType) else 8
    places = [builder.gep(base, [i], source_etype=scalar) for base in function.args[:-1]]
    operands = [builder.load(place, lanes, align=size) for place in places[:-1]]
    builder.store(emit(builder, *operands), places[-1], align=size)
    after = builder.add(i, _LONG(width))
    i.add_incoming(after, builder.block)  # not `loop`: the expression may have opened blocks
    builder.cbranch(builder.icmp_signed("<", after, function.args[-1]), loop, done)
    builder.position_at_end(done)
    builder.ret_void()
    return module


@contextmanager
def denormals_flushed() -> Iterator[None]:
    """Denormal results and operands become 0 in this thread, as in compiled programs (x86 only)."""
    read, write = (_control_word(f"llvm.x86.sse.{verb}mxcsr") for verb in ("st", "ld"))
    word = ctypes.c_uint32()
    read(ctypes.byref(word))
    before = word.value
    write(ctypes.byref(ctypes.c_uint32(before | _FLUSH)))
    try:
        yield
    finally:
        write(ctypes.byref(ctypes.c_uint32(before)))


@cache
def _control_word(intrinsic: str) -> Callable[..., None]:
    """A native function that reads or writes the floating-point control word at a pointer."""
    module = ir.Module("control")
    of = ir.FunctionType(ir.VoidType(), [_POINTER])
    function = ir.Function(module, of, KERNEL)
    builder = ir.IRBuilder(function.append_basic_block())
    builder.call(ir.Function(module, of, intrinsic), function.args)
    builder.ret_void()
    return _native(module, ctypes.c_void_p)


def host_machine() -> llvm.TargetMachine:
    """A target machine for the host, from the features it really has."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=llvm.get_host_cpu_features().flatten(), opt=2
    )


def cross_machine(triple: str, cpu: str, features: str) -> llvm.TargetMachine:
    """A target machine for another processor; it can emit code, not run it."""
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    return llvm.Target.from_triple(triple).create_target_machine(cpu=cpu, features=features, opt=2)


def optimised(module: ir.Module, machine: llvm.TargetMachine) -> llvm.ModuleRef:
    """The module parsed, verified and run through LLVM's O2 passes."""
    parsed = llvm.parse_assembly(str(module))
    parsed.verify()
    builder = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(2))
    builder.getModulePassManager().run(parsed, builder)
    return parsed


def undefined_symbols(elf: bytes) -> list[str]:
    """The names that a 64-bit little-endian ELF object expects from others."""
    (sections,) = struct.unpack_from("<Q", elf, 0x28)
    size, count = struct.unpack_from("<HH", elf, 0x3A)
    headers = [struct.unpack_from("<IIQQQQII", elf, sections + size * i) for i in range(count)]
    names = []
    for _, kind, _, _, offset, length, link, _ in headers:
        if kind != 2:  # not the symbol table
            continue
        strings = headers[link][4]
        for at in range(offset, offset + length, 24):
            name, _, _, section = struct.unpack_from("<IBBH", elf, at)
            if name and section == 0:
                end = elf.index(b"\0", strings + name)
                names.append(elf[strings + name : end].decode())
    return names


class Kernel:
    """An elementwise expression compiled for the host; call it with arrays of one dtype."""

    def __init__(self, emit: Emit, dtype: np.dtype, width: int, arity: int = 1) -> None:
        scalar = ir.FloatType() if dtype == np.float32 else ir.DoubleType()
        self.dtype, self.width = np.dtype(dtype), width
        takes = [ctypes.c_void_p] * (arity + 1) + [ctypes.c_int64]
        self.native = _native(kernel_ir(emit, scalar, width, arity), *takes)

    def __call__(self, *operands: np.ndarray) -> np.ndarray:
        """The expression at each element; operands are padded to whole vectors."""
        n = len(operands[0])
        padded = -(-n // self.width) * self.width
        arrays = [np.ones(padded, self.dtype) for _ in operands]
        for array, operand in zip(arrays, operands, strict=True):
            array[:n] = operand
        out = np.empty(padded, self.dtype)
        self.native(*(array.ctypes.data for array in [*arrays, out]), padded)
        return out[:n]


def _native(module: ir.Module, *takes: type) -> Callable[..., None]:
    """The module's function as a callable, which keeps its machine code alive."""
    # An engine owns its target machine, so it gets one of its own.
    engine = llvm.create_mcjit_compiler(optimised(module, host_machine()), host_machine())
    engine.finalize_object()
    function = ctypes.CFUNCTYPE(None, *takes)(engine.get_function_address(KERNEL))
    function.engine = engine  # type: ignore[attr-defined]
    return function
