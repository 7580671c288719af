"""One file from the network: from the first home that answers, checked, whole or not at all.

Not here: which files there are (`kedja/data/mnist.py`), and the decision to use the network at
all, which is the caller's. Next: `images.py`.

A download that breaks off leaves nothing behind and starts anew at the next call.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import closing

from kedja.ground.errors import DataError, UsageError
from kedja.io import atomic

# Called with the bytes received so far and the bytes expected (None where the server is silent).
Progress = Callable[[int, int | None], None]

CHUNK = 64 * 1024
TIMEOUT_SECONDS = 15.0


def fetch(
    urls: Sequence[str],
    path: str | os.PathLike[str],
    *,
    sha256: str,
    max_bytes: int,
    timeout: float = TIMEOUT_SECONDS,
    progress: Progress | None = None,
    fix: str = "check the network, then try again",
) -> None:
    """Download one file to `path`, trying its homes in order until one gives the right bytes.

    `sha256` is the expected checksum in hexadecimal; at most `max_bytes` are read; `timeout`
    bounds each wait for the server, in seconds; `progress` is called after each chunk.

    Raises DataError with every home's reason where none succeeds, `fix` telling the repair, and
    StorageError where the disk refuses. The file at `path` is replaced only by the right bytes.
    """
    reasons = []
    for url in urls:
        try:
            _fetch_one(url, path, sha256, max_bytes, timeout, progress)
            return
        except _HomeError as failure:
            reasons.append(f"{url}: {failure}")
    what = "the download failed ({})".format("; ".join(reasons) or "no address is known")
    raise DataError(what, where=os.fspath(path), fix=fix)


class _HomeError(Exception):
    """Why one home did not give the file; the next one may."""


def _fetch_one(
    url: str,
    path: str | os.PathLike[str],
    sha256: str,
    max_bytes: int,
    timeout: float,
    progress: Progress | None,
) -> None:
    digest = hashlib.sha256()
    with closing(_open(url, timeout)) as response, atomic.replacing(path) as write:
        expected = _announced_size(response, max_bytes)
        received = 0
        while chunk := _read(response):
            received += len(chunk)
            if received > max_bytes:
                raise _HomeError(f"it is larger than the {max_bytes} bytes expected")
            digest.update(chunk)
            write(chunk)
            if progress is not None:
                progress(received, expected)
        if expected is not None and received < expected:
            raise _HomeError(f"the connection broke off after {received} of {expected} bytes")
        if digest.hexdigest() != sha256:
            found = digest.hexdigest()
            raise _HomeError(f"wrong checksum (SHA-256 {found[:12]}…, expected {sha256[:12]}…)")


def _open(url: str, timeout: float) -> http.client.HTTPResponse:
    """Ask for the file. Only http and https: no address may reach into the local disk."""
    if not url.startswith(("https://", "http://")):
        raise UsageError(f"cannot download from {url!r}", fix="give an https address")
    request = urllib.request.Request(url, headers={"User-Agent": "kedja"})
    try:
        response: http.client.HTTPResponse = urllib.request.urlopen(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        with error:
            raise _HomeError(f"the server answered {error.code} {error.reason}") from error
    except urllib.error.URLError as error:
        raise _HomeError(_words(error.reason)) from error
    except (OSError, http.client.HTTPException) as error:
        raise _HomeError(_words(error)) from error
    return response


def _read(response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read(CHUNK)
    except (OSError, http.client.HTTPException) as error:
        raise _HomeError(f"the connection broke off: {_words(error)}") from error


def _words(reason: object) -> str:
    """A network error in the system's words, without its number."""
    if isinstance(reason, TimeoutError):
        return "no answer in time"
    strerror = getattr(reason, "strerror", None)
    return strerror or str(reason) or type(reason).__name__


def _announced_size(response: http.client.HTTPResponse, max_bytes: int) -> int | None:
    """The size that the server announces, refused before a byte is read if it is too large."""
    text = response.headers.get("Content-Length", "")
    if not text.isdecimal():
        return None
    if int(text) > max_bytes:
        raise _HomeError(f"it has {text} bytes, at most {max_bytes} are expected")
    return int(text)
