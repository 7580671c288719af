"""Floor 1: the graph. Start at `op.py` (what an op is), then `graph.py` (what a node is)."""
