"""IDX files, the format of MNIST: reading and writing, compressed by gzip or not.

Not here: which files make a data set (`mnist.py`). Next: `mnist.py`.

The format: two zero bytes, a byte for the dtype, a byte for the number of axes, each axis as a
big-endian uint32, then the values in row-major order, big-endian. Whether a file is compressed
shows in its first two bytes, not in its name. A file's header is believed only as far as the
file's size can bear it: no more memory is taken than that, and no more than `MAX_BYTES`.
Source: the MNIST page of Y. LeCun, C. Cortes and C. Burges.
"""

from __future__ import annotations

import gzip
import io
import math
import os
import zlib
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from kedja.ground.errors import DataError, DtypeError
from kedja.io import atomic

Array = np.ndarray[Any, np.dtype[Any]]

MAX_BYTES = 4 * 1024**3
MAX_AXES = 32

_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_TYPE_BYTES = {np.dtype(text).newbyteorder("="): byte for byte, text in _DTYPES.items()}

GZIP_MAGIC = b"\x1f\x8b"
# Deflate shrinks at most 1,032 times; a file that announces more than that is lying.
_GZIP_LIMIT = 1032

_REPAIR = "download the file again"


def read(path: str | os.PathLike[str]) -> Array:
    """Read an IDX file as an array of the machine's byte order.

    Raises DataError, naming what was expected and what was found, where the file is missing,
    truncated, too long, damaged, or not IDX.
    """
    where = os.fspath(path)
    try:
        with open(where, "rb") as raw:
            size = os.fstat(raw.fileno()).st_size
            if raw.peek(2)[:2] != GZIP_MAGIC:
                return _read_array(raw, where, least=size, most=size)
            with gzip.open(raw) as unpacked:
                return _read_array(unpacked, where, least=0, most=size * _GZIP_LIMIT)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"damaged gzip data: {error}", where=where, fix=_REPAIR) from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise DataError(f"cannot read: {reason}", where=where, fix="check the path") from error


def write(path: str | os.PathLike[str], array: Array) -> None:
    """Write an array as an IDX file, compressed if the name ends in `.gz`, whole or not at all.

    Raises DtypeError for a dtype that IDX lacks, DataError for no axes or too many,
    StorageError where the disk refuses.
    """
    where = os.fspath(path)
    byte = _TYPE_BYTES.get(array.dtype.newbyteorder("="))
    if byte is None:
        names = ", ".join(dtype.name for dtype in _TYPE_BYTES)
        raise DtypeError(f"IDX files cannot hold {array.dtype.name}", fix=f"one of {names}")
    if not 1 <= array.ndim <= MAX_AXES:
        raise DataError(f"an array of {array.ndim} axes", where=where, fix=f"1 to {MAX_AXES} axes")
    sizes = np.array(array.shape, ">u4").tobytes()
    data = bytes([0, 0, byte, array.ndim]) + sizes + array.astype(_DTYPES[byte]).tobytes()
    packed = Path(where).suffix == ".gz"
    atomic.write_bytes(where, gzip.compress(data, mtime=0) if packed else data)


def _read_array(file: io.BufferedIOBase, where: str, least: int, most: int) -> Array:
    """Read header and values of a file that holds `least` to `most` bytes, header included."""
    dtype, shape = _read_header(file, where)
    expected = math.prod(shape) * dtype.itemsize
    content = f"{expected} bytes of values, {' × '.join(map(str, shape))} of {dtype.name}"
    if math.prod(max(size, 1) for size in shape) * dtype.itemsize > MAX_BYTES:
        _fail(f"the header announces {content}; at most {MAX_BYTES} are read", where)
    header = 4 + 4 * len(shape)
    if not least <= header + expected <= most:
        room = max(0, most - header)
        bound = "there are" if least else "the compressed file holds at most"
        _fail(f"the header announces {content}; {bound} {room}", where)
    values = np.empty(expected, np.uint8)
    found = _fill(file, values)
    if found < expected:
        _fail(f"expected {content}, found {found}", where)
    # One byte more is enough to learn that there is more, as in a gzip bomb.
    if file.read(1):
        _fail(f"expected {content}, found more", where)
    return values.view(dtype).reshape(shape).astype(dtype.newbyteorder("="), copy=False)


def _read_header(file: io.BufferedIOBase, where: str) -> tuple[np.dtype[Any], tuple[int, ...]]:
    start = file.read(4)
    if len(start) < 4 or start[:2] != b"\0\0" or start[2] not in _DTYPES:
        expected = "two zero bytes, a type byte 08 to 0e, and the number of axes"
        found = start.hex(" ") or "an empty file"
        _fail(f"not an IDX file: expected {expected}; found {found}", where)
    axes = start[3]
    if not 1 <= axes <= MAX_AXES:
        _fail(f"the header announces {axes} axes, expected 1 to {MAX_AXES}", where)
    sizes = file.read(4 * axes)
    if len(sizes) < 4 * axes:
        _fail(f"the header ends early: expected {axes} sizes of 4 bytes, found {len(sizes)}", where)
    return np.dtype(_DTYPES[start[2]]), tuple(np.frombuffer(sizes, ">u4").tolist())


def _fill(file: io.BufferedIOBase, values: Array) -> int:
    """Read into `values` until it is full or the file ends; the number of bytes read."""
    rest = values.data
    while rest:
        count = file.readinto(rest)
        if not count:
            break
        rest = rest[count:]
    return values.size - len(rest)


def _fail(what: str, where: str) -> NoReturn:
    raise DataError(what, where=where, fix=_REPAIR)
