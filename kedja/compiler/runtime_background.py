"""Modules compiled by LLVM in a thread of their own, while Python goes on emitting the next one.

LLVM does not hold Python's lock while it works, so the two share the time on two cores. Where a
program is cut into modules depends on its kernels alone, and so does its code.
Not here: what is compiled (`codegen.py`), and how (`runtime_object.py`). Next: `runtime_cache.py`.
"""

from __future__ import annotations

import threading
from queue import SimpleQueue

from kedja.compiler.llvm_module import KernelModule
from kedja.compiler.runtime_object import compile_module, joined
from kedja.compiler.runtime_target import Target


class Background:
    """Compiles the modules that it is given, in their order."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._waiting: SimpleQueue[str | None] = SimpleQueue()
        self._objects: list[bytes] = []
        self._error: BaseException | None = None
        self._thread: threading.Thread | None = None

    def add(self, module: KernelModule) -> None:
        """Compile a module, which does not change any more."""
        self._waiting.put(str(module))
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="kedja llvm", daemon=True)
            self._thread.start()

    def finish(self, last: KernelModule) -> bytes:
        """The object code of all modules; raises what went wrong in the thread."""
        if self._thread is None:
            return compile_module(last, self._target)
        self._waiting.put(str(last))
        self._waiting.put(None)
        self._thread.join()
        if self._error is not None:
            raise self._error
        return joined(self._objects)

    def _work(self) -> None:
        try:
            while (text := self._waiting.get()) is not None:
                self._objects.append(compile_module(text, self._target))
        except BaseException as error:  # raised again by `finish`, in the thread that waits
            self._error = error
