"""Where the tests find real data, and how they skip with a reason where it is not there.

Not here: the data itself, which is no part of the project. Next: `tests/data`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared" / "data"


def needs(path: Path) -> pytest.MarkDecorator:
    """Skip a test where a file or folder is missing."""
    return pytest.mark.skipif(not path.exists(), reason=f"needs {path.name} in {path.parent}")
