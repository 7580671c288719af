"""The benchmark: kedja against its peers on this machine. Start at `__main__.py`."""
