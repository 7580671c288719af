"""Weights: every dtype and shape comes back bit for bit, and no damaged file is taken."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of
from safetensors.numpy import load_file, save_file

from kedja.ground.dtypes import bfloat16
from kedja.ground.errors import CheckpointError, DtypeError, StorageError, UsageError
from kedja.io import weights

DTYPES = ["?", "u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8", ">f4", ">i8"]
NAMES = st.text(min_size=1, max_size=8).filter(lambda name: name != "__metadata__")
ARRAYS = st.sampled_from(DTYPES).flatmap(
    lambda dtype: arrays_of.arrays(dtype, arrays_of.array_shapes(min_dims=0, min_side=0))
)


def sample() -> dict[str, np.ndarray]:
    return {
        "layer.weight": np.arange(12, dtype=np.float32).reshape(3, 4),
        "layer.bias": np.float64([1.5, np.nan, -np.inf]),
        "mask": np.array([True, False]),
        "step": np.array(7, np.int64),
        "none": np.zeros((0, 4), np.uint8),
    }


def assert_same(found: dict[str, np.ndarray], given: dict[str, np.ndarray]) -> None:
    assert set(found) == set(given)
    for name, array in given.items():
        native = array.astype(array.dtype.newbyteorder("="))
        assert found[name].dtype == native.dtype
        assert found[name].shape == array.shape
        assert found[name].tobytes() == native.tobytes()


@given(st.dictionaries(NAMES, ARRAYS, max_size=4), st.dictionaries(st.text(), st.text()))
@settings(max_examples=60, deadline=None)
def test_round_trip(arrays, metadata):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        weights.save(path, arrays, metadata)
        found, texts = weights.load(path)
        assert_same(load_file(path), arrays)
    assert_same(found, arrays)
    assert texts == metadata


def test_strided_arrays_are_stored_as_they_look(tmp_path):
    base = np.arange(24.0).reshape(4, 6)
    given = {"transposed": base.T, "stepped": base[::2, ::-1], "fortran": np.asfortranarray(base)}
    weights.save(tmp_path / "file", given)
    assert_same(weights.load(tmp_path / "file")[0], given)


def test_bfloat16_comes_back_bit_for_bit_and_reads_as_torchs(tmp_path):
    bits = np.arange(2**16, dtype=np.uint16)
    given = {"a": bits.view(bfloat16), "none": np.zeros((0, 2), bfloat16), "b": np.zeros(3)}
    weights.save(tmp_path / "file", given)
    found, _ = weights.load(tmp_path / "file")
    assert_same(found, given)
    torch = pytest.importorskip("torch")
    theirs = pytest.importorskip("safetensors.torch").load_file(tmp_path / "file")
    assert theirs["a"].dtype == torch.bfloat16
    np.testing.assert_array_equal(theirs["a"].view(torch.uint16).numpy(), bits)


def test_the_same_content_gives_the_same_bytes(tmp_path):
    metadata = {f"key{i}": str(i) for i in range(8)}
    weights.save(tmp_path / "a", sample(), metadata)
    backwards = dict(reversed(sample().items()))
    weights.save(tmp_path / "b", backwards, dict(reversed(metadata.items())))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_loaded_arrays_can_be_written_to(tmp_path):
    weights.save(tmp_path / "file", sample())
    found, _ = weights.load(tmp_path / "file")
    found["layer.weight"][0, 0] = 5
    assert weights.load(tmp_path / "file")[0]["layer.weight"][0, 0] == 0


def test_files_of_other_programs_load_without_a_checksum(tmp_path):
    save_file(sample(), tmp_path / "file", {"format": "pt"})
    found, texts = weights.load(tmp_path / "file")
    assert_same(found, sample())
    assert texts == {"format": "pt"}


def test_a_header_as_long_as_a_pickle_starts_is_no_pickle(tmp_path):
    # The file starts with the header's length; 0x280 bytes look like a pickle's first two.
    path = tmp_path / "file"
    for size in range(300, 640, 4):
        weights.save(path, {}, {"text": "x" * size})
        if path.read_bytes().startswith(b"\x80\x02"):
            break
    assert path.read_bytes().startswith(b"\x80\x02")
    assert weights.load(path)[1] == {"text": "x" * size}


@given(st.integers(0, 10**6), st.integers(0, 7))
@settings(max_examples=150, deadline=None)
def test_no_flipped_bit_passes(place, bit):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        weights.save(path, sample(), {"epoch": "3"})
        data = bytearray(path.read_bytes())
        data[place % len(data)] ^= 1 << bit
        path.write_bytes(data)
        try:
            found, _ = weights.load(path)
        except CheckpointError:
            return
        # Only the name of the checksum itself can be hit without notice: the arrays are whole.
        assert_same(found, sample())
        assert weights.CHECKSUM.encode() not in data


def test_no_truncated_file_passes(tmp_path):
    path = tmp_path / "file"
    weights.save(path, sample())
    data = path.read_bytes()
    for size in range(len(data)):
        path.write_bytes(data[:size])
        with pytest.raises(CheckpointError, match="damaged, or is not safetensors"):
            weights.load(path)


def test_swapped_values_are_noticed(tmp_path):
    save_file({"a": np.zeros(2)}, tmp_path / "file", {weights.CHECKSUM: "0" * 64})
    with pytest.raises(CheckpointError, match="does not match its checksum"):
        weights.load(tmp_path / "file")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"PK\x03\x04rest", "a zip archive"),
        (b"\x80\x02}q\x00", "a pickle"),
        (b"\x93NUMPY\x01\x00", "a NumPy file"),
        (b"", "damaged, or is not safetensors"),
        (b"\xff" * 64, "damaged, or is not safetensors"),
        (b"hello, world, this is text", "damaged, or is not safetensors"),
    ],
)
def test_foreign_files(tmp_path, content, reason):
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=reason) as caught:
        weights.load(path)
    assert caught.value.where == str(path)
    assert caught.value.fix


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(CheckpointError, match="No such file"):
        weights.load(tmp_path / "absent")
    with pytest.raises(CheckpointError, match="cannot read"):
        weights.load(tmp_path)


def test_a_dtype_that_numpy_lacks(tmp_path):
    header = b'{"a":{"dtype":"F8_E4M3","shape":[1],"data_offsets":[0,1]}}'
    path = tmp_path / "file"
    path.write_bytes(len(header).to_bytes(8, "little") + header + b"\0")
    with pytest.raises(CheckpointError, match="dtype that NumPy lacks"):
        weights.load(path)


def test_what_cannot_be_saved(tmp_path):
    path = tmp_path / "file"
    with pytest.raises(DtypeError, match="'a' has dtype complex128"):
        weights.save(path, {"a": np.zeros(1, complex)})
    with pytest.raises(DtypeError, match="object"):
        weights.save(path, {"a": np.array([None])})
    with pytest.raises(UsageError, match="reserved"):
        weights.save(path, {}, {weights.CHECKSUM: "x"})
    with pytest.raises(UsageError, match="reserved"):
        weights.save(path, {"__metadata__": np.zeros(1)})
    with pytest.raises(UsageError, match="not a text"):
        weights.save(path, {}, {"step": 3})
    assert not path.exists()


def test_a_refused_write_keeps_the_old_file(tmp_path):
    with pytest.raises(StorageError, match="folder does not exist"):
        weights.save(tmp_path / "absent" / "file", sample())
