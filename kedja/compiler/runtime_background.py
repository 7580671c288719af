"""Modules compiled by LLVM in threads of their own, while Python goes on emitting the next one.

LLVM does not hold Python's lock while it works, so they share the time on several cores. Where a
program is cut into modules depends on its kernels alone, and so does its code.
Not here: what is compiled (`codegen.py`), and how (`runtime_object.py`). Next: `runtime_cache.py`.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor

from kedja.compiler.llvm_module import KernelModule
from kedja.compiler.runtime_object import code_of, complete, joined, machine_of
from kedja.compiler.runtime_target import Target
from kedja.compiler.runtime_threads import usable_cores

MOST = 4  # threads: more would wait for Python, which emits the modules


class Background:
    """Compiles the modules that it is given. Its threads end with it."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._executor = ThreadPoolExecutor(min(MOST, usable_cores()), "kedja llvm")
        self._objects: list[Future[bytes]] = []

    def add(self, module: KernelModule) -> None:
        """Compile a module, which does not change any more."""
        text, machine = complete(module, self._target), machine_of(self._target)
        self._objects.append(self._executor.submit(code_of, text, machine))

    def finish(self, last: KernelModule) -> bytes:
        """The object code of all modules; raises what went wrong in a thread."""
        if not self._objects:
            return code_of(complete(last, self._target), machine_of(self._target))
        self.add(last)
        return joined([each.result() for each in self._objects])
