"""Data sets: recognised, read, split, and prepared for a network. Start at `source.py`."""
