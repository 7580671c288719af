"""What DATA means: names, folders, files; and what is said where it means nothing."""

from __future__ import annotations

import socket

import numpy as np
import pytest

from kedja.data import idx, mnist, source
from kedja.ground.errors import DataError, UsageError
from kedja.ground.flags import scope
from kedja.ground.suggest import did_you_mean


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty current folder without a network."""

    def refuse(*args, **options):
        raise AssertionError("a network access that nobody asked for")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_folder(folder):
    folder.mkdir()
    for file in mnist.FILES:
        array = np.zeros((4, 3, 3) if file.axes == 3 else 4, np.uint8)
        idx.write(folder / file.name, array)


def test_digits(here):
    pytest.importorskip("sklearn")
    (here / "digits").mkdir()
    assert source.load("digits").name == "digits"


def test_a_folder(here):
    write_folder(here / "mine")
    assert source.load("mine").name == "mine"
    assert source.load("./mine/").name == "mine"


@pytest.mark.parametrize("name", ["t.csv", "t.CSV", "t.tsv"])
def test_a_table(here, name):
    (here / name).write_text("x,z,y\n1,2,a\n2,5,b\n3,3,a\n4,4,b\n")
    found = source.load(name, target="x", seed=3)
    assert (found.kind, found.target_name) == ("table", "x")


def test_mnist_is_the_only_one_to_use_the_network(here, monkeypatch):
    calls = []
    monkeypatch.setattr(mnist, "load", lambda progress: calls.append(progress))
    source.load("mnist", progress=print)
    assert calls == [print]


def test_a_target_for_pictures(here):
    write_folder(here / "mine")
    for data in ("mine", "mnist", "digits"):
        with pytest.raises(UsageError, match="holds pictures"):
            source.load(data, target="x")


@pytest.mark.parametrize(
    ("data", "fix"),
    [
        ("mnsit", "did you mean 'mnist'?"),
        ("Digits", "did you mean 'digits'?"),
        ("hosues.csv", "did you mean 'houses.csv'?"),
        ("sub/tabel.csv", "did you mean 'sub/table.csv'?"),
        ("quite-something-else", source._ANY),
        ("absent/table.csv", source._ANY),
        ("", source._ANY),
    ],
)
def test_unknown_names(here, data, fix):
    (here / "houses.csv").touch()
    (here / "sub").mkdir()
    (here / "sub" / "table.csv").touch()
    with pytest.raises(UsageError) as caught:
        source.load(data)
    assert repr(data) in caught.value.what
    assert caught.value.fix == fix
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("data", ["x" * 300, "a\0b", "\n"])
def test_names_that_no_file_can_have(here, data):
    with pytest.raises(UsageError, match="no data set, folder or file"):
        source.load(data)


def test_files_of_another_kind(here):
    (here / "story.txt").write_text("Once upon a time, there was a file.\n")
    with pytest.raises(UsageError, match="not recognised") as caught:
        source.load("story.txt")
    assert caught.value.where == "story.txt"
    assert ".csv" in caught.value.fix


def test_folders_of_another_kind(here):
    with pytest.raises(UsageError, match="the folder is empty") as caught:
        source.load(".")
    assert caught.value.fix == source._ANY
    (here / "table.csv").touch()
    with pytest.raises(UsageError) as caught:
        source.load(".")
    assert "table.csv" in caught.value.fix
    for name, what in (("one.png", "do not lie in folders"), ("one.wav", "recordings"), ("a", "")):
        (here / name).mkdir()
        (here / name / name).touch()
        with pytest.raises(UsageError, match=what or "nothing that is recognised"):
            source.load(name)


def test_folders_with_some_of_the_files(here):
    write_folder(here / "mine")
    (here / "mine" / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(DataError, match=r"missing: t10k-labels-idx1-ubyte\.gz"):
        source.load("mine")


def test_without_network_and_cache(here, monkeypatch):
    def no_network(*args, **options):
        raise OSError(101, "Network is unreachable")

    monkeypatch.setattr(socket, "create_connection", no_network)
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    with scope(cache=str(here)), pytest.raises(DataError, match="unreachable") as caught:
        source.load("mnist")
    assert "kedja train FOLDER" in caught.value.fix


def test_suggestions():
    assert did_you_mean("alpah", ["Alpha", "beta"]) == "did you mean 'Alpha'?"
    assert did_you_mean("zzz", ["a", "b"]) == "one of: a, b"
    assert did_you_mean("zzz", ["a", "b"], otherwise="neither") == "neither"
    assert did_you_mean("zzz", [f"n{i}" for i in range(20)]).endswith("n11, …")
