"""Data sets: recognised, read, split, and prepared for a network. Start at `source.py`."""

from kedja.data.dataset import Dataset, Split
from kedja.data.source import load

__all__ = ["Dataset", "Split", "load"]
