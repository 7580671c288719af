"""The examples of these pages are executed where they stand: in the docstrings."""

collect_ignore_glob = ["*.md"]
