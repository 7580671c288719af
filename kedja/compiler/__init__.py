"""Floor 4: from a graph to machine code. `pipeline.py` lists the passes in their order."""
