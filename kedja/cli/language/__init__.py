"""`kedja train` for models of language, one file for each family. Start at `decoder.py`."""
