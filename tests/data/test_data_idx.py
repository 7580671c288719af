"""IDX files: round trips, and a clear error for every way in which a file can be wrong."""

from __future__ import annotations

import gzip
import tempfile
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from kedja.data import idx
from kedja.ground.errors import DataError, DtypeError, StorageError

DTYPES = ["u1", "i1", ">i2", "<i2", "i4", "f4", "f8"]
ARRAYS = st.sampled_from(DTYPES).flatmap(
    lambda dtype: arrays_of.arrays(dtype, arrays_of.array_shapes(min_side=0, max_dims=4))
)


def header(type_byte: int, *sizes: int) -> bytes:
    return bytes([0, 0, type_byte, len(sizes)]) + b"".join(n.to_bytes(4, "big") for n in sizes)


def refuse(path: Path, content: bytes, reason: str) -> None:
    path.write_bytes(content)
    with pytest.raises(DataError, match=reason) as caught:
        idx.read(path)
    assert caught.value.where == str(path)
    assert caught.value.fix


@given(ARRAYS, st.sampled_from(["file", "file.gz"]))
@settings(max_examples=100, deadline=None)
def test_round_trip(array, name):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        idx.write(path, array)
        found = idx.read(path)
        packed = path.read_bytes()[:2] == b"\x1f\x8b"
    assert packed == (name == "file.gz")
    assert found.dtype == array.dtype.newbyteorder("=")
    assert found.dtype.isnative
    np.testing.assert_array_equal(found, array)


def test_the_bytes_are_those_of_the_format(tmp_path):
    idx.write(tmp_path / "file", np.array([[1, -2]], np.int16))
    assert (tmp_path / "file").read_bytes() == header(0x0B, 1, 2) + b"\x00\x01\xff\xfe"


def test_strided_arrays_are_written_as_they_look(tmp_path):
    array = np.arange(24, dtype=np.uint8).reshape(4, 6).T[::2]
    idx.write(tmp_path / "file", array)
    np.testing.assert_array_equal(idx.read(tmp_path / "file"), array)


@pytest.mark.parametrize("name", ["file", "file.gz"])
def test_no_truncated_file_is_read(tmp_path, name):
    path = tmp_path / name
    idx.write(path, np.arange(40, dtype=np.uint8).reshape(4, 10))
    data = path.read_bytes()
    for size in range(len(data)):
        refuse(path, data[:size], "not an IDX file|ends early|announces|gzip")


def test_truncation_names_what_was_expected_and_found(tmp_path):
    data = header(8, 3, 4) + bytes(10)
    refuse(tmp_path / "file", data, r"12 bytes of values, 3 × 4 of uint8; there are 10")
    refuse(tmp_path / "file.gz", gzip.compress(data), r"expected 12 bytes .*, found 10")


def test_surplus_is_refused(tmp_path):
    data = header(8, 3, 4) + bytes(13)
    refuse(tmp_path / "file", data, "there are 13")
    refuse(tmp_path / "file.gz", gzip.compress(data), "found more")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "found an empty file"),
        (b"\x00\x00\x08", "found 00 00 08"),
        (b"\x89PNG\r\n\x1a\n", "not an IDX file.*found 89 50 4e 47"),
        (b"\x00\x00\x07\x01\x00\x00\x00\x00", "not an IDX file"),
        (header(8), "0 axes"),
        (header(8, *[1] * 33), "33 axes"),
        (header(8, 2)[:6], "ends early: expected 1 sizes of 4 bytes, found 2"),
    ],
)
def test_wrong_headers(tmp_path, content, reason):
    refuse(tmp_path / "file", content, reason)
    if content:
        refuse(tmp_path / "file.gz", gzip.compress(content), reason)


@pytest.mark.parametrize("wrap", [bytes, gzip.compress])
def test_a_lying_header_takes_no_memory(tmp_path, wrap):
    path = tmp_path / "file"
    lies = [(0xFFFFFFFF,), (2**16, 2**15), (2**31, 2**31, 2**31), (0, 2**32 - 1, 2**32 - 1)]
    tracemalloc.start()
    for sizes in lies:
        refuse(path, wrap(header(8, *sizes)), "the header announces")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2_000_000


def test_a_gzip_bomb_is_read_no_further_than_announced(tmp_path):
    path = tmp_path / "bomb.gz"
    bomb = gzip.compress(header(8, 10, 10) + bytes(100_000_000))
    tracemalloc.start()
    refuse(path, bomb, "expected 100 bytes .* found more")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2_000_000


def test_damaged_gzip_data(tmp_path):
    idx.write(tmp_path / "file.gz", np.arange(100, dtype=np.uint8))
    data = bytearray((tmp_path / "file.gz").read_bytes())
    data[-6] ^= 1  # in the checksum
    refuse(tmp_path / "file.gz", bytes(data), "damaged gzip data: CRC")


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_damage_gives_data_errors_only(data):
    good = header(8, 3, 4) + bytes(12)
    content = bytearray(data.draw(st.sampled_from([good, gzip.compress(good)])))
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        path.write_bytes(content)
        try:
            idx.read(path)
        except DataError as error:
            assert error.where == str(path)


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(DataError, match="No such file"):
        idx.read(tmp_path / "absent")
    with pytest.raises(DataError, match="Is a directory"):
        idx.read(tmp_path)


def test_what_cannot_be_written(tmp_path):
    with pytest.raises(DtypeError, match="int64"):
        idx.write(tmp_path / "file", np.zeros(1, np.int64))
    with pytest.raises(DataError, match="0 axes"):
        idx.write(tmp_path / "file", np.zeros((), np.uint8))
    with pytest.raises(StorageError):
        idx.write(tmp_path / "absent" / "file", np.zeros(1, np.uint8))
    assert not list(tmp_path.iterdir())
