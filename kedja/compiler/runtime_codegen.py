"""LLVM's code generator, for several threads at once.

llvmlite lets one thread at a time call LLVM, since its users share a context. Modules that have a
context each need no such lock (LLVM Programmer's Manual, "Threads and LLVM"), so the same library
is called here without it. Python's own lock is given up only in the two calls that take long:
whoever has given it up waits for up to 5 ms until others that compute let go of it.
Not here: what is compiled (`runtime_object.py`). Next: `runtime_background.py`.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import POINTER, byref, c_char_p, c_int, c_size_t, c_void_p
from functools import lru_cache
from typing import Any

import llvmlite.binding as llvm
from llvmlite.binding import ffi

TEXT = POINTER(c_char_p)
SHORT: dict[str, tuple[Any, ...]] = {  # what each function gives and takes
    "ContextCreate": (c_void_p,),
    "ContextDispose": (None, c_void_p),
    "DisposeModule": (None, c_void_p),
    "DisposeString": (None, c_char_p),
    "GetBufferStart": (c_void_p, c_void_p),
    "GetBufferSize": (c_size_t, c_void_p),
    "DisposeMemoryBuffer": (None, c_void_p),
    "VerifyModule": (c_int, c_void_p, TEXT),
}
LONG: dict[str, tuple[Any, ...]] = {
    "ParseAssembly": (c_void_p, c_void_p, c_char_p, TEXT),
    "TargetMachineEmitToMemory": (c_void_p, c_void_p, c_void_p, c_int, TEXT),
}


@lru_cache(maxsize=1)
def _functions() -> dict[str, Any]:
    name = ffi.lib._name
    short, long = ctypes.PyDLL(name), ctypes.CDLL(name)
    return {**_declared(short, SHORT), **_declared(long, LONG)}


def _declared(library: Any, table: dict[str, tuple[Any, ...]]) -> dict[str, Any]:
    found = {}
    for name, (result, *arguments) in table.items():
        function = library[f"LLVMPY_{name}"]  # each look-up gives a new one
        function.restype, function.argtypes = result, arguments
        found[name] = function
    return found


def object_code(text: str, machine: llvm.TargetMachine) -> bytes:
    """The object code of a module in LLVM's assembly, which names its target and layout.

    No other thread may use the machine meanwhile. Raises RuntimeError where LLVM refuses the text.
    """
    with _parsed(text) as module:
        call = _functions()
        with _message() as problem:
            if call["VerifyModule"](module, byref(problem)):
                raise _refused(problem)
        with _message() as problem:
            buffer = call["TargetMachineEmitToMemory"](machine, module, 1, byref(problem))
            if not buffer:
                raise _refused(problem)
        try:
            return ctypes.string_at(call["GetBufferStart"](buffer), call["GetBufferSize"](buffer))
        finally:
            call["DisposeMemoryBuffer"](buffer)


@contextmanager
def _parsed(text: str) -> Iterator[int]:
    """A module in a context of its own."""
    call = _functions()
    context = call["ContextCreate"]()
    try:
        with _message() as problem:
            module = call["ParseAssembly"](context, text.encode(), byref(problem))
            if not module:
                raise _refused(problem)
        try:
            yield module
        finally:
            call["DisposeModule"](module)
    finally:
        call["ContextDispose"](context)


@contextmanager
def _message() -> Iterator[c_char_p]:
    """Where LLVM leaves the text of an error."""
    text = c_char_p()
    try:
        yield text
    finally:
        if text:
            _functions()["DisposeString"](text)


def _refused(problem: c_char_p) -> RuntimeError:
    return RuntimeError((problem.value or b"no reason given").decode(errors="replace"))
