"""The operators that are not read, and why: what an error says when a model has one.

Not here: element types without a counterpart (`kedja/io/onnx/elements.py`).
Next: `kedja/io/onnx/reading.py`.
"""

from __future__ import annotations

TEXT = "texts are no arrays here"
TREES = "decision trees are no networks"

LEFT_OUT = {
    "ImageDecoder": "it decodes picture files: kj.io.images does, outside of the model",
    "RegexFullMatch": TEXT,
    "StringConcat": TEXT,
    "StringNormalizer": TEXT,
    "StringSplit": TEXT,
    "TfIdfVectorizer": "it counts n-grams of tokens, of texts above all",
    "ai.onnx.ml.TreeEnsemble": TREES,
    "ai.onnx.ml.TreeEnsembleClassifier": TREES,
    "ai.onnx.ml.TreeEnsembleRegressor": TREES,
    "ai.onnx.preview.training.Gradient": "kj.grad differentiates the whole model",
}
