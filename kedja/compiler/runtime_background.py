"""Modules compiled by LLVM in a thread of their own, while Python goes on emitting the next one.

LLVM does not hold Python's lock while it works, so the two share the time on two cores. Where a
program is cut into modules depends on its kernels alone, and so does its code.
Not here: what is compiled (`codegen.py`), and how (`runtime_object.py`). Next: `runtime_cache.py`.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor

from kedja.compiler.llvm_module import KernelModule
from kedja.compiler.runtime_object import compile_module, joined
from kedja.compiler.runtime_target import Target


class Background:
    """Compiles the modules that it is given, in their order. Its thread ends with it."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._executor = ThreadPoolExecutor(1, "kedja llvm")
        self._objects: list[Future[bytes]] = []

    def add(self, module: KernelModule) -> None:
        """Compile a module, which does not change any more."""
        text = str(module)
        self._objects.append(self._executor.submit(compile_module, text, self._target))

    def finish(self, last: KernelModule) -> bytes:
        """The object code of all modules; raises what went wrong in the thread."""
        if not self._objects:
            return compile_module(last, self._target)
        self.add(last)
        return joined([each.result() for each in self._objects])
