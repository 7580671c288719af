"""Data sets: recognised, read, split, and prepared for a network. Start at `source.py`.

The names below are loaded when they are first used: training on arrays needs none of the readers.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kedja.data.bpe import BPE
    from kedja.data.corpus import Corpus
    from kedja.data.dataset import Dataset, Split
    from kedja.data.source import load
    from kedja.data.tokenizer import Bytes, Characters, Tokenizer

__all__ = ["BPE", "Bytes", "Characters", "Corpus", "Dataset", "Split", "Tokenizer", "load"]

_HOME = {
    "BPE": "bpe",
    "Bytes": "tokenizer",
    "Characters": "tokenizer",
    "Corpus": "corpus",
    "Dataset": "dataset",
    "Split": "dataset",
    "Tokenizer": "tokenizer",
    "load": "source",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'kedja.data' has no attribute {name!r}")
    return getattr(importlib.import_module(f"kedja.data.{_HOME[name]}"), name)
