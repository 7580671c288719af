"""Floor 3: the NumPy meaning of every graph, in `reference.py`."""
