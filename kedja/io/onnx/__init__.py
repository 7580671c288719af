"""ONNX: models of other systems read as modules, and modules written for other systems.

`load` reads, `save` and `export` write. Everything needs the extra `onnx`, which is loaded when it
is first used. The page is `docs/onnx.md`. Start at `model.py` and `exporting.py`.
"""

from __future__ import annotations

from kedja.io.onnx.exporting import OPSET, export, save
from kedja.io.onnx.model import OnnxModel, load

__all__ = ["OPSET", "OnnxModel", "export", "load", "save"]
