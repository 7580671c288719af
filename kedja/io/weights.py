"""Arrays by name in a safetensors file, with a checksum over everything in it.

Not here: which arrays a network has (`kedja/nn`), and what else a run needs to resume
(`kedja/train`). Next: `download.py`.

The format is an eight-byte length, a JSON header, and the arrays' bytes one after the other;
any safetensors reader takes it. It is written here, not by the library, because the library
shuffles the metadata: the same content must give the same file, bit for bit.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from kedja.ground.errors import CheckpointError, DtypeError, UsageError
from kedja.io import atomic

Array = np.ndarray[Any, np.dtype[Any]]

CHECKSUM = "kedja.sha256"

# The format's name of each dtype.
_CODES = {
    "bool": "BOOL",
    "uint8": "U8",
    "int8": "I8",
    "uint16": "U16",
    "int16": "I16",
    "float16": "F16",
    "bfloat16": "BF16",
    "uint32": "U32",
    "int32": "I32",
    "float32": "F32",
    "uint64": "U64",
    "int64": "I64",
    "float64": "F64",
}

# How files start that people mistake for safetensors.
_FOREIGN = {
    b"PK\x03\x04": "a zip archive (PyTorch's own format, or NumPy's npz)",
    b"\x80\x02": "a pickle (an old PyTorch checkpoint)",
    b"\x93NUMPY": "a NumPy file (npy)",
    b"\x89HDF": "an HDF5 file (Keras)",
    b"GGUF": "a GGUF file",
}


def save(
    path: str | os.PathLike[str],
    arrays: Mapping[str, Array],
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write arrays and texts to a safetensors file, whole or not at all.

    The same content gives the same bytes. A SHA-256 over names, dtypes, shapes, values and
    metadata is added to the metadata under `CHECKSUM`, which is therefore a reserved key.
    Raises DtypeError for an array that the format cannot hold, UsageError for a reserved or
    non-text name, StorageError where the disk refuses.
    """
    texts = dict(metadata or {})
    _check_names(arrays, texts)
    flat = {name: _little_endian(name, array) for name, array in arrays.items()}
    texts[CHECKSUM] = _checksum(flat, texts)
    # The widest dtype first, so that every array starts at a multiple of its item size.
    order = sorted(flat, key=lambda name: (-flat[name].itemsize, name))
    header = _header(flat, order, texts)
    with atomic.replacing(path) as write:
        write(header)
        for name in order:
            write(_raw(flat[name]))


def load(path: str | os.PathLike[str]) -> tuple[dict[str, Array], dict[str, str]]:
    """Read the arrays and the metadata (without the checksum) of a safetensors file.

    Files of other programs have no checksum of ours and are read without one. Raises
    CheckpointError where the file is missing, truncated, damaged, or not safetensors at all.
    """
    where = os.fspath(path)
    start = _first_bytes(where)
    try:
        with safe_open(where, framework="np") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            texts = dict(file.metadata() or {})
    except (SafetensorError, OSError, ValueError) as error:
        raise _foreign(where, start) or _damaged(where, str(error)) from error
    except (AttributeError, KeyError, TypeError) as error:
        # The library looks a dtype up that NumPy lacks (floats of 8 bits and fewer).
        what = f"it holds an array of a dtype that NumPy lacks ({error})"
        raise CheckpointError(what, where=where, fix="convert the array to float32") from error
    announced = texts.pop(CHECKSUM, None)
    if announced is not None and announced != _checksum(arrays, texts):
        raise _damaged(where, "its content does not match its checksum")
    return arrays, texts


def _damaged(where: str, reason: str) -> CheckpointError:
    what = f"the file is damaged, or is not safetensors: {reason}"
    return CheckpointError(what, where=where, fix="use another copy, or train again")


def _foreign(where: str, start: bytes) -> CheckpointError | None:
    """The error for a file of another known kind; asked only once the library has refused it."""
    for magic, name in _FOREIGN.items():
        if start.startswith(magic):
            fix = "convert it with safetensors' save_file first"
            return CheckpointError(f"this is {name}, not safetensors", where=where, fix=fix)
    return None


def _first_bytes(where: str) -> bytes:
    try:
        with open(where, "rb") as file:
            return file.read(8)
    except OSError as error:
        reason = error.strerror or str(error)
        fix = "check the path"
        raise CheckpointError(f"cannot read: {reason}", where=where, fix=fix) from error


def _check_names(arrays: Mapping[str, Array], texts: Mapping[str, str]) -> None:
    for name in [*arrays, *texts, *texts.values()]:
        if not isinstance(name, str):
            what = f"{name!r} is not a text, as names and metadata are"
            raise UsageError(what, fix="give strings, for instance by json.dumps")
    for taken in ({CHECKSUM} & set(texts)) | ({"__metadata__"} & set(arrays)):
        raise UsageError(f"the name {taken!r} is reserved", fix="choose another name")


def _little_endian(name: str, array: Array) -> Array:
    """The array as the format stores it: row-major, little-endian."""
    given = np.asarray(array)
    if given.dtype.name not in _CODES:
        what = f"array {name!r} has dtype {given.dtype.name}, which safetensors cannot hold"
        raise DtypeError(what, fix=f"one of {', '.join(_CODES)}")
    return np.asarray(given, dtype=given.dtype.newbyteorder("<"), order="C")


def _header(flat: Mapping[str, Array], order: list[str], texts: Mapping[str, str]) -> bytes:
    """The length and the JSON that say which bytes are which array's."""
    entries: dict[str, Any] = {"__metadata__": dict(sorted(texts.items()))}
    end = 0
    for name in order:
        array = flat[name]
        begin, end = end, end + array.nbytes
        entries[name] = {
            "dtype": _CODES[array.dtype.name],
            "shape": list(array.shape),
            "data_offsets": [begin, end],
        }
    text = json.dumps(entries, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the data starts at a multiple of eight bytes
    return len(text).to_bytes(8, "little") + text


def _raw(array: Array) -> memoryview:
    """The array's bytes, without a copy."""
    return array.reshape(-1).view(np.uint8).data


def _checksum(arrays: Mapping[str, Array], texts: Mapping[str, str]) -> str:
    """SHA-256, in hexadecimal, of all arrays in the order of their names, and of the metadata."""
    digest = hashlib.sha256(json.dumps(dict(texts), sort_keys=True).encode())
    for name in sorted(arrays):
        array = _little_endian(name, arrays[name])
        digest.update(json.dumps([name, array.dtype.name, array.shape]).encode())
        digest.update(_raw(array))
    return digest.hexdigest()
