"""Files: weights, pictures, downloads, ONNX, and writing that never loses the old file.

`kj.io.save(path, arrays)` and `kj.io.load(path)` are those of `weights.py`.
"""

from kedja.io.weights import load, save

__all__ = ["load", "save"]
