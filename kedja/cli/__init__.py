"""Floor 8: the command line. Start at `main.py` and `commands.py`."""
