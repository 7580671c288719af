"""What holds for every test: graphs are verified after each pass; no example has a time limit.

Next: `fixtures.py`.
"""

from __future__ import annotations

import os

from hypothesis import settings

os.environ.setdefault("KEDJA_VERIFY", "1")

settings.register_profile("kedja", deadline=None)  # the machine may be busy with other work
settings.load_profile("kedja")
