"""From LLVM IR to object code, and from object code to callable addresses.

Not here: what the IR computes, nor where object code is kept (`runtime_cache.py`).
Next: `runtime_threads.py`.

The code model and the memory manager are llvmlite's defaults on purpose. On x86 that is the large
model, whose addresses take 64 bits: the small one is only right if all sections lie within 2 GiB,
which nothing guarantees in a process that holds large arrays (and llvmlite's own memory manager,
which does guarantee it, aborts there on objects that call libc).
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache

import llvmlite.binding as llvm

from kedja.compiler import llvm_ir as ir
from kedja.compiler.runtime_codegen import object_code
from kedja.compiler.runtime_target import Target
from kedja.ground.errors import VerificationError

MANY = b"KEDJAMANY"  # what the object code of several modules begins with
SIZE = struct.Struct("<Q")
PREFIX = "kedja_"  # without it, a symbol called `step` was bound to a function of libc


@lru_cache(maxsize=1)
def _initialise() -> None:
    """Register LLVM's code generators, all of them, so that other targets can be emitted."""
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()


def machine_of(target: Target) -> llvm.TargetMachine:
    """What generates code for a target."""
    _initialise()
    return llvm.Target.from_triple(target.triple).create_target_machine(
        cpu=target.cpu,
        features=target.features,
        opt=2,
        jit=True,
    )


def _parse(module: ir.Module | str, target: Target, machine: llvm.TargetMachine) -> llvm.ModuleRef:
    with _named():
        parsed = llvm.parse_assembly(str(module))
        parsed.triple = target.triple
        parsed.data_layout = str(machine.target_data)
        parsed.verify()
    return parsed


@contextmanager
def _named() -> Iterator[None]:
    """LLVM's errors under the name that they have here: a mistake of ours."""
    try:
        yield
    except RuntimeError as problem:
        raise VerificationError(f"LLVM refuses the emitted module: {problem}") from None


def _optimise(parsed: llvm.ModuleRef, machine: llvm.TargetMachine, level: int) -> None:
    options = llvm.create_pipeline_tuning_options(speed_level=level)
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(parsed, builder)


@contextmanager
def _plain_loops() -> Iterator[None]:
    """Without LLVM's rewriting of loops' address arithmetic while code is generated.

    It took a third of the time of compiling and gained nothing: kernels step their own pointers.
    The option is LLVM's for the whole process, so it is put back for others.
    """
    _set_plain_loops(+1)
    try:
        yield
    finally:
        _set_plain_loops(-1)


_option = threading.Lock()
_plain = 0  # how many threads generate code


def _set_plain_loops(change: int) -> None:
    global _plain
    with _option:
        _plain += change
        if _plain == max(0, change):  # the first one in, or the last one out
            llvm.set_option("kedja", f"-disable-lsr={'true' if _plain else 'false'}")


def _prepare(
    module: ir.Module | str, target: Target, passes: int
) -> tuple[llvm.ModuleRef, llvm.TargetMachine]:
    machine = machine_of(target)
    parsed = _parse(module, target, machine)
    if passes:
        _optimise(parsed, machine, passes)
    return parsed, machine


def compile_module(module: ir.Module | str, target: Target, *, passes: int = 0) -> bytes:
    """The object code of a module for a target.

    `passes` is the level (0 to 3) of LLVM's passes over the IR that run first; kernels that are
    emitted as vector code need none. Raises VerificationError if LLVM refuses the module.
    """
    parsed, machine = _prepare(module, target, passes)
    with _plain_loops():
        return bytes(machine.emit_object(parsed))


def code_of(text: str, machine: llvm.TargetMachine) -> bytes:
    """The object code of a `complete` module: several threads may ask for one at a time.

    No two of them may use the same machine. Raises VerificationError if LLVM refuses the module.
    """
    with _plain_loops(), _named():
        return object_code(text, machine)


def complete(module: ir.Module, target: Target) -> str:
    """The text of a module with all that LLVM must know of the target."""
    module.triple, module.data_layout = target.triple, layout_of(target)
    return str(module)


@lru_cache(maxsize=8)
def layout_of(target: Target) -> str:
    """What LLVM calls the data layout: how types lie in memory."""
    return str(machine_of(target).target_data)


def assembly(module: ir.Module | str, target: Target, *, passes: int = 0) -> str:
    """The assembly text of a module for a target, for people to read."""
    parsed, machine = _prepare(module, target, passes)
    with _plain_loops():
        return str(machine.emit_assembly(parsed))


def joined(objects: Sequence[bytes]) -> bytes:
    """The object code of several modules as one; that of a single one stays as it is."""
    if len(objects) == 1:
        return objects[0]
    sizes = (SIZE.pack(len(each)) for each in objects)
    return b"".join((MANY, SIZE.pack(len(objects)), *sizes, *objects))


def taken_apart(object_code: bytes) -> list[bytes]:
    """The object code of each module: what `joined` was given."""
    if not object_code.startswith(MANY):
        return [object_code]
    (count,) = SIZE.unpack_from(object_code, len(MANY))
    place = len(MANY) + SIZE.size * (1 + count)
    found = []
    for number in range(count):
        (size,) = SIZE.unpack_from(object_code, len(MANY) + SIZE.size * (1 + number))
        found.append(object_code[place : place + size])
        place += size
    return found


class Library:
    """Object code loaded into this process; its functions live as long as this object."""

    def __init__(self, object_code: bytes, target: Target) -> None:
        machine = machine_of(target)
        empty = llvm.parse_assembly(f'target triple = "{target.triple}"')
        self._engine = llvm.create_mcjit_compiler(empty, machine)
        for each in taken_apart(object_code):
            self._engine.add_object_file(llvm.ObjectFileRef.from_data(each))
        self._engine.finalize_object()
        self._addresses: dict[str, int] = {}

    def address(self, symbol: str) -> int:
        """The address of a function; VerificationError if the object has none of that name."""
        if symbol not in self._addresses:
            self._addresses[symbol] = self._looked_up(symbol)
        return self._addresses[symbol]

    def _looked_up(self, symbol: str) -> int:
        if not symbol.startswith(PREFIX):
            raise VerificationError(f"symbol {symbol!r} does not begin with {PREFIX!r}")
        found = int(self._engine.get_function_address(symbol))
        if not found:
            raise VerificationError(f"the object code has no function {symbol!r}")
        return found
