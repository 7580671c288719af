"""A package only so that pytest tells this folder's `conftest.py` from that of the tests."""
