"""Floor 3: derivatives, graph to graph. Start at `forward.py`, then `reverse.py`."""
