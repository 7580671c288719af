"""The sweep over widths and batch sizes. Start at `points.py`; then `run.py`, `show.py`."""
