"""The package onnx: imported when it is first needed.

Not here: what is read and written with it (`reading.py`, `export`). Next: `reading.py`.
"""

from __future__ import annotations

from typing import Any

from kedja.ground.errors import MissingExtra


def load() -> Any:
    """The package onnx; MissingExtra, with the line that installs it, where it is not there."""
    try:
        import onnx
        import onnx.numpy_helper
    except ImportError:
        raise MissingExtra("onnx", "onnx", "reading and writing ONNX models") from None
    return onnx


def decode_errors() -> tuple[type[Exception], ...]:
    """What reading a damaged file raises."""
    from google.protobuf.message import DecodeError

    return DecodeError, ValueError
