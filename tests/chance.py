"""A plugin of pytest: every test and example draws the same numbers, whichever ran before it.

Processes share the tests in another way in every run, so what a generator of a module, or the
default keys, give to a test would depend on chance. Next: `conftest.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kedja.front import random

_beginnings: dict[np.random.Generator, Any] = {}


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """The default sequences and the module's generators stand where they stood at first."""
    random.seed(0)
    np.random.seed(0)  # NumPy's own sequence, which scikit-learn takes where it is given none
    for each in vars(getattr(item, "module", None) or item).values():
        if isinstance(each, np.random.Generator):
            begun = _beginnings.setdefault(each, each.bit_generator.state)
            each.bit_generator.state = begun
