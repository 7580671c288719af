"""The machine's limits: multiply-adds from registers, and bytes from memory. Start at `peak.py`."""
