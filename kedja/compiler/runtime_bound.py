"""A native function of one address as a Python callable without arguments.

A call through ctypes takes half a microsecond, most of it spent on converting arguments. Where
Python is CPython, a small emitted function is made a built-in one by the stable part of Python's C
interface, with the address as its `self`: a tenth of that. It lets other threads run meanwhile,
as ctypes does. Not here: what is called (`runtime_direct.py`). Next: `runtime_direct.py`.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import llvmlite.binding as llvm

from kedja.compiler import llvm_ir as ir
from kedja.compiler.llvm_blocks import I32, I64, PTR, declare, function
from kedja.compiler.runtime_object import Library

NO_ARGUMENTS = 4  # METH_NOARGS
USED = ("PyLong_AsVoidPtr", "PyLong_FromLong", "PyEval_SaveThread", "PyEval_RestoreThread")

IS_CPYTHON = sys.implementation.name == "cpython"


class _Method(ctypes.Structure):
    """CPython's PyMethodDef."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("function", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("text", ctypes.c_char_p),
    )


def emit_bound(module: ir.Module, name: str, called: ir.Function) -> None:
    """`PyObject* NAME(PyObject* self, PyObject* none)`: the number that `called(self)` returns."""
    long = I32 if ctypes.sizeof(ctypes.c_long) == 4 else I64
    b, made = function(module, name, {"self": PTR, "none": PTR}, PTR)
    address = b.call(declare(module, "PyLong_AsVoidPtr", [PTR], PTR), [made.args[0]])
    state = b.call(declare(module, "PyEval_SaveThread", [], PTR), [])
    status = b.call(called, [address])
    b.call(declare(module, "PyEval_RestoreThread", [PTR]), [state])
    wide = status if long is I32 else b.zext(status, I64)
    b.ret(b.call(declare(module, "PyLong_FromLong", [long], PTR), [wide]))


def declare_python() -> None:
    """Tell LLVM where the functions of this Python are; before the code is loaded."""
    for name in USED if IS_CPYTHON else ():
        found = ctypes.cast(getattr(ctypes.pythonapi, name), ctypes.c_void_p).value
        llvm.add_symbol(name, found)


class Binder:
    """Binds a function to addresses: `bound` as emitted above, or where there is none, `plain`."""

    def __init__(self, library: Library, bound: str, plain: str) -> None:
        self._library = library  # what was bound lives as long as this object
        if IS_CPYTHON:
            self._method = _Method(bound.encode(), library.address(bound), NO_ARGUMENTS, None)
            pointer, any_object = ctypes.c_void_p, ctypes.py_object
            kind = ctypes.PYFUNCTYPE(any_object, pointer, any_object, pointer)
            self._make: Any = kind(("PyCFunction_NewEx", ctypes.pythonapi))
        else:
            kind = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p)
            self._plain = kind(library.address(plain))

    def __call__(self, address: int) -> Callable[[], int]:
        """The function of that address."""
        if not IS_CPYTHON:
            return partial(self._plain, address)
        made: Callable[[], int] = self._make(ctypes.addressof(self._method), address, None)
        return made
