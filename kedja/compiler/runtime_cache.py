"""Compiled objects on disk, so that a program compiled once starts at once the next time.

Not here: what a key is made of (the compiler's matter: graph, compiler version, target).
Next: `runtime.py`.

One file per key under `<cache folder>/compiled`: a header, the plan as JSON, the object code. The
header holds both lengths and a SHA-256 over key and content, so that a truncated, corrupt or
renamed file is never loaded. Files are written aside and moved into place; a cache that cannot be
written costs time, never a run. Safe to delete at any moment.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import struct
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import platformdirs

from kedja.ground.flags import flags

MAGIC = b"KEDJAOBJ"
VERSION = 1
HEADER = struct.Struct("<8sIQQ32s")  # magic, version, bytes of plan, bytes of code, SHA-256
SUFFIX = ".kedja"
LIMIT = 1 << 30  # bytes that the folder may hold

_log = logging.getLogger("kedja")
_warned: set[str] = set()


def cache_folder() -> Path:
    """The folder of all of kedja's caches: the flag `cache`, else the platform's."""
    chosen = flags().cache
    return Path(chosen) if chosen else Path(platformdirs.user_cache_dir("kedja"))


def compiled_folder() -> Path:
    """The folder of compiled objects."""
    return cache_folder() / "compiled"


def load(key: str) -> tuple[dict[str, Any], bytes] | None:
    """The plan and the object code stored under a key; None if absent or damaged."""
    if not flags().use_cache:
        return None
    path = _path(key)
    try:
        content = path.read_bytes()
    except OSError:
        return None
    found = _decode(key, content)
    if found is None:
        _log.warning("ignoring the damaged cache file %s; it will be written anew", path)
        return None
    with suppress(OSError):  # a read-only cache still serves; only its order of age stands still
        os.utime(path)
    return found


def store(key: str, plan: dict[str, Any], object_code: bytes) -> None:
    """Keep a plan and its object code under a key. Failure to write is logged once, not raised."""
    if not flags().use_cache:
        return
    path = _path(key)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_atomically(path, _encode(key, plan, object_code))
        _make_room(path.parent, LIMIT)
    except OSError as problem:
        _warn_once(f"compiled programs cannot be kept in {path.parent}: {problem}")


def _path(key: str) -> Path:
    """Keys that are not plain file names are hashed."""
    plain = key.replace("-", "").replace("_", "").isalnum() and key.isascii() and len(key) <= 120
    name = key if plain else hashlib.sha256(key.encode()).hexdigest()
    return compiled_folder() / f"{name}{SUFFIX}"


def _digest(key: str, body: bytes) -> bytes:
    return hashlib.sha256(key.encode() + b"\0" + body).digest()


def _encode(key: str, plan: dict[str, Any], object_code: bytes) -> bytes:
    text = json.dumps(plan, separators=(",", ":")).encode()
    body = text + object_code
    return HEADER.pack(MAGIC, VERSION, len(text), len(object_code), _digest(key, body)) + body


def _decode(key: str, content: bytes) -> tuple[dict[str, Any], bytes] | None:
    """What `_encode` wrote, or None if any byte of it is not as it was written."""
    if len(content) < HEADER.size:
        return None
    magic, version, text_bytes, code_bytes, digest = HEADER.unpack_from(content)
    body = content[HEADER.size :]
    if (magic, version, len(body)) != (MAGIC, VERSION, text_bytes + code_bytes):
        return None
    if _digest(key, body) != digest:
        return None
    return json.loads(body[:text_bytes]), body[text_bytes:]


def _write_atomically(path: Path, content: bytes) -> None:
    """Write to a temporary file beside the path and move it there; leave nothing behind."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise


def _make_room(folder: Path, limit: int) -> None:
    """Delete the files that were used longest ago until the rest fits the limit."""
    entries = []
    for entry in os.scandir(folder):
        with suppress(OSError):  # another process may have deleted it
            state = entry.stat()
            entries.append((state.st_mtime, state.st_size, entry.path))
    total = sum(size for _, size, _ in entries)
    for _, size, path in sorted(entries):
        if total <= limit:
            return
        with suppress(OSError):
            os.unlink(path)
        total -= size


def _warn_once(message: str) -> None:
    if message not in _warned:
        _warned.add(message)
        _log.warning(message)
