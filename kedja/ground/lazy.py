"""Names of a package that are loaded when they are first used, so that importing it stays cheap.

Not here: the names of `kedja` itself (`kedja/__init__.py`), which has two spellings for some.
Next: `kedja/train/__init__.py`, which uses it.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any

from kedja.ground.suggest import did_you_mean


def names(package: str, files: Mapping[str, str]) -> Callable[[str], Any]:
    """A package's `__getattr__`: `files` says which names, with spaces between, a file holds.

    >>> load = names("kedja.ground", {"errors": "UsageError DataError"})
    >>> load("DataError").__name__
    'DataError'
    >>> load("DataErorr")
    Traceback (most recent call last):
    AttributeError: module 'kedja.ground' has no attribute 'DataErorr': did you mean 'DataError'?
    """
    home = {name: file for file, held in files.items() for name in held.split()}

    def load(name: str) -> Any:
        if name not in home:
            fix = did_you_mean(name, home)
            raise AttributeError(f"module {package!r} has no attribute {name!r}: {fix}")
        return getattr(importlib.import_module(f"{package}.{home[name]}"), name)

    return load
