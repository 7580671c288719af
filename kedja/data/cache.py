"""Where data are kept between runs: below the flag `cache`, else in the platform's folder.

It is safe to delete. Not here: compiled programs (`kedja/compiler/runtime_cache.py`), what is kept
(`mnist.py`, `pictures.py`, `token_files.py`). Next: `mnist.py`.
"""

from __future__ import annotations

from pathlib import Path

import platformdirs

from kedja.ground.flags import flags


def cache_folder(name: str) -> Path:
    """The folder for one kind of data."""
    root = flags().cache or platformdirs.user_cache_dir("kedja", appauthor=False)
    return Path(root) / "data" / name
