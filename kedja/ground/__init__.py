"""Floor 0: errors, flags and dtypes. Imports nothing of kedja. Next: `kedja/ir`, the graph."""
