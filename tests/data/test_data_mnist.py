"""MNIST from folders, from the cache and from a server on this machine."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from kedja.data import idx, mnist
from kedja.data.cache import cache_folder
from kedja.ground.errors import DataError, StorageError
from kedja.ground.flags import scope
from tests.paths import SHARED, needs

PARTS = {
    "train-images-idx3": 6,
    "train-labels-idx1": 6,
    "t10k-images-idx3": 4,
    "t10k-labels-idx1": 4,
}


def write_small(folder, end="-ubyte.gz", dash="-"):
    """Four files of a tiny data set: picture i is filled with i, its label is i mod 3."""
    folder.mkdir(exist_ok=True)
    for part, rows in PARTS.items():
        numbers = np.arange(rows, dtype=np.uint8)
        images = np.broadcast_to(numbers[:, None, None], (rows, 5, 4))
        stem, kind = part.rsplit("-", 1)
        array = images if kind == "idx3" else numbers % 3
        idx.write(folder / f"{stem}{dash}{kind}{end}", array)
    return folder


@pytest.mark.parametrize("end", ["-ubyte", "-ubyte.gz"])
@pytest.mark.parametrize("dash", ["-", "."])
def test_both_styles_of_names(tmp_path, end, dash):
    found = mnist.from_folder(write_small(tmp_path / "small", end, dash))
    assert found.name == "small"
    assert (found.kind, found.task, found.classes) == ("images", "classification", ("0", "1", "2"))
    assert found.train.inputs.shape == (6, 5, 4)
    assert found.train.inputs.dtype == np.uint8
    assert found.train.targets.dtype == np.int64
    assert found.train.targets.tolist() == [0, 1, 2, 0, 1, 2]
    assert found.test.inputs[:, 0, 0].tolist() == [0, 1, 2, 3]
    assert found.preparation.scale == np.float32(1 / 255)


def test_missing_files_are_named(tmp_path):
    folder = write_small(tmp_path / "small")
    (folder / "t10k-labels-idx1-ubyte.gz").unlink()
    (folder / "train-images-idx3-ubyte.gz").unlink()
    with pytest.raises(DataError, match=r"missing: train-images.*, t10k-labels") as caught:
        mnist.from_folder(folder)
    assert caught.value.where == str(folder)
    assert "train-labels" not in str(caught.value)


def test_a_truncated_file_is_named(tmp_path):
    folder = write_small(tmp_path / "small", "-ubyte")
    path = folder / "train-labels-idx1-ubyte"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match="6 of uint8; there are 5") as caught:
        mnist.from_folder(folder)
    assert caught.value.where == str(path)


@pytest.mark.parametrize(
    ("name", "array", "reason"),
    [
        ("train-labels-idx1", np.zeros(5, np.uint8), "6 training pictures and 5 labels"),
        (
            "t10k-images-idx3",
            np.zeros((4, 5, 5), np.uint8),
            r"differ in size: \(5, 4\) and \(5, 5\)",
        ),
        ("t10k-images-idx3", np.zeros((4, 5), np.uint8), "test files hold 2 axes of uint8"),
        ("train-labels-idx1", np.zeros(6, np.int32), "1 axes of int32"),
    ],
)
def test_files_that_do_not_fit(tmp_path, name, array, reason):
    folder = write_small(tmp_path / "small")
    idx.write(folder / f"{name}-ubyte.gz", array)
    with pytest.raises(DataError, match=reason):
        mnist.from_folder(folder)


def test_no_rows_at_all(tmp_path):
    folder = write_small(tmp_path / "small")
    idx.write(folder / "t10k-images-idx3-ubyte.gz", np.zeros((0, 5, 4), np.uint8))
    idx.write(folder / "t10k-labels-idx1-ubyte.gz", np.zeros(0, np.uint8))
    with pytest.raises(DataError, match="0 test pictures"):
        mnist.from_folder(folder)


@needs(SHARED / "mnist")
def test_the_originals():
    found = mnist.from_folder(SHARED / "mnist")
    assert found.train.inputs.shape == (60_000, 28, 28)
    assert found.test.inputs.shape == (10_000, 28, 28)
    assert found.train.targets[:5].tolist() == [5, 0, 4, 1, 9]
    assert len(found.classes) == 10


# SHA-256 of the four files' content, unpacked, as others publish it.
CONTENT = (
    "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
)


@needs(SHARED / "mnist")
@pytest.mark.parametrize("file", mnist.FILES, ids=lambda file: file.part)
def test_the_sizes_and_checksums_are_those_of_the_originals(file):
    data = (SHARED / "mnist" / file.name).read_bytes()
    content = hashlib.sha256(gzip.decompress(data)).hexdigest()
    assert content == CONTENT[mnist.FILES.index(file)]
    # The copy at hand of the training pictures has the original content, packed more tightly:
    # `gzip -6` with the time 0x3290827a gives back the public file and its checksum.
    if file.part != "train-images":
        assert len(data) == file.size
        assert hashlib.sha256(data).hexdigest() == file.sha256


class Quiet(SimpleHTTPRequestHandler):
    """Serves a folder; breaks the file off in the middle while `server.broken` is set."""

    def log_message(self, *args):
        pass

    def copyfile(self, source, outputfile):
        self.server.asked.append(self.path)
        data = source.read()
        outputfile.write(data[: len(data) // 2] if self.server.broken else data)


@pytest.fixture
def served(tmp_path, monkeypatch):
    """A cache folder, and a server that stands in for the data's public home."""
    home = write_small(tmp_path / "home")
    files = []
    for file in mnist.FILES:
        data = (home / file.name).read_bytes()
        sha256 = hashlib.sha256(data).hexdigest()
        files.append(dataclasses.replace(file, size=len(data), sha256=sha256))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(mnist, "FILES", tuple(files))
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=home)) as server:
        server.asked, server.broken = [], False
        monkeypatch.setattr(mnist, "HOMES", (f"http://127.0.0.1:{server.server_port}/",))
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        with scope(cache=str(tmp_path / "cache")):
            yield server
        server.shutdown()
        thread.join()


def test_downloads_once(served):
    seen = []
    first = mnist.load(progress=lambda *report: seen.append(report))
    assert first.name == "mnist"
    assert first.train.targets.tolist() == [0, 1, 2, 0, 1, 2]
    assert {name for name, _, _ in seen} == {file.name for file in mnist.FILES}
    assert len(served.asked) == 4
    mnist.load()
    assert len(served.asked) == 4


def test_a_damaged_cache_is_downloaded_again(served):
    mnist.load()
    path = cache_folder("mnist") / mnist.FILES[1].name
    path.write_bytes(gzip.compress(b"rubbish"))
    assert mnist.load().train.targets.tolist() == [0, 1, 2, 0, 1, 2]
    assert served.asked[4:] == ["/train-labels-idx1-ubyte.gz"]


def test_an_interrupted_download_leaves_nothing_and_starts_again(served):
    served.broken = True
    with pytest.raises(DataError, match="broke off after") as caught:
        mnist.load()
    assert "kedja train FOLDER" in caught.value.fix
    assert not list(cache_folder("mnist").iterdir())
    served.broken = False
    assert len(mnist.load().train) == 6


def test_no_network_is_told_in_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(mnist, "HOMES", ("http://127.0.0.1:1/",))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with scope(cache=str(tmp_path)), pytest.raises(DataError, match="refused") as caught:
        mnist.load()
    assert "\n" not in caught.value.what
    assert caught.value.fix == (
        "without a network, give a folder with the four files: kedja train FOLDER"
    )


def test_a_cache_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with scope(cache=str(tmp_path / "file")), pytest.raises(StorageError) as caught:
        mnist.load()
    assert "KEDJA_CACHE" in caught.value.fix or "delete" in caught.value.fix


def test_the_cache_folder_follows_the_flag(tmp_path):
    with scope(cache=str(tmp_path)):
        assert cache_folder("mnist") == tmp_path / "data" / "mnist"
    with scope(cache=""):
        assert "kedja" in str(cache_folder("mnist"))
