"""Files: weights, pictures, downloads, ONNX, and writing that never loses the old file.

`kj.io.save(path, arrays)` and `kj.io.load(path)` are those of `weights.py`; `kj.io.onnx` is loaded
when it is first used.
"""

from __future__ import annotations

import importlib
from types import ModuleType

from kedja.io.weights import load, save

__all__ = ["load", "onnx", "save"]


def __getattr__(name: str) -> ModuleType:
    if name == "onnx":
        return importlib.import_module("kedja.io.onnx")
    raise AttributeError(f"module 'kedja.io' has no attribute {name!r}")
