"""Sets of recordings: folders and archives, what their names mean, and what is wrong with others.

Not here: single files (`test_data_sound.py`).
"""

from __future__ import annotations

import io
import tarfile

import numpy as np
import pytest

from kedja.data import recordings
from kedja.ground.errors import DataError, UsageError

soundfile = pytest.importorskip("soundfile")


def wave(hertz: float = 440, seconds: float = 0.2, rate: int = 8000) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, np.sin(np.arange(int(seconds * rate)) * hertz), rate, format="WAV")
    return file.getvalue()


def folder(tmp_path, names, content=None):
    for name in names:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content or wave())
    return tmp_path


def archive(file, names, content=None):
    with tarfile.open(file, "w:gz") as made:
        for name in names:
            data = content or wave()
            member = tarfile.TarInfo(name)
            member.size = len(data)
            made.addfile(member, io.BytesIO(data))
    return file


SIDE_BY_SIDE = ["10_ben_0.wav", "1_anna_0.wav", "2_anna_0.wav"]


def test_names_side_by_side_are_label_speaker_index(tmp_path):
    found = recordings.load(folder(tmp_path, SIDE_BY_SIDE))
    assert found.labels == ("10", "1", "2")
    assert found.classes == ("1", "2", "10")
    assert found.targets.tolist() == [2, 0, 1]
    assert found.speakers == ("ben", "anna", "anna")
    assert found.inputs.shape == (3, found.shape.frames, 40)


def test_folders_are_classes(tmp_path):
    found = recordings.load(folder(tmp_path, ["yes/a.wav", "no/b.flac", "no/c.wav"]))
    assert found.labels == ("no", "no", "yes")
    assert found.speakers is None


def test_a_pattern_says_what_names_mean(tmp_path):
    path = folder(tmp_path, ["yes/anna_nohash_0.wav", "no/ben_nohash_1.wav"])
    found = recordings.load(path, pattern="{label}/{speaker}_nohash_{index}")
    assert found.labels == ("no", "yes")
    assert found.speakers == ("ben", "anna")


def test_an_archive_is_the_same_as_its_folder(tmp_path):
    inside = archive(tmp_path / "a.tar.gz", [f"set/{name}" for name in SIDE_BY_SIDE])
    one = recordings.load(inside)
    other = recordings.load(folder(tmp_path / "b", SIDE_BY_SIDE))
    assert (one.labels, one.speakers) == (other.labels, other.speakers)
    assert np.array_equal(one.inputs, other.inputs)
    assert recordings.count(inside) == 3


def test_names_of_an_archive_are_never_paths(tmp_path):
    """Members that point out of the folder are read like any other; nothing is written."""
    names = ["../../evil/1_a_0.wav", "/etc/2_b_0.wav", "._3_c_0.wav", "readme.txt"]
    found = recordings.load(archive(tmp_path / "a.tar.gz", names), pattern=recordings.USUAL)
    assert found.labels == ("1", "2")
    assert [each.name for each in tmp_path.iterdir()] == ["a.tar.gz"]


def test_links_in_an_archive_are_not_followed(tmp_path):
    file = archive(tmp_path / "a.tar", SIDE_BY_SIDE)
    with tarfile.open(file, "w") as made:
        link = tarfile.TarInfo("3_c_0.wav")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        made.addfile(link)
    with pytest.raises(DataError, match="no files of sound"):
        recordings.load(file)


def test_long_recordings_are_cut_and_the_commonest_rate_is_taken(tmp_path):
    path = folder(tmp_path, [f"{n % 2}_a_{n}.wav" for n in range(60)])
    (path / "1_a_long.wav").write_bytes(wave(seconds=3))
    (path / "0_a_fine.wav").write_bytes(wave(rate=44_100))
    found = recordings.load(path)
    assert found.cut == 1
    assert found.shape.rate == 8000
    assert 0.2 <= found.shape.samples / found.shape.rate < 0.25
    assert recordings.load(path, seconds=3, rate=4000).shape.rate == 4000


def test_one_long_recording_of_a_few_decides_no_length(tmp_path):
    path = folder(tmp_path, [f"{label}_a_{i}.wav" for label in "xy" for i in range(4)])
    (path / "x_a_9.wav").write_bytes(wave(seconds=20))
    found = recordings.load(path)
    assert found.shape.samples < 8000
    assert found.cut == 1


def test_sets_are_recognised_by_what_they_hold(tmp_path):
    assert recordings.are_in(str(folder(tmp_path / "a", SIDE_BY_SIDE)))
    assert recordings.are_in(str(archive(tmp_path / "a.tgz", SIDE_BY_SIDE)))
    assert not recordings.are_in(str(folder(tmp_path / "b", ["a.png", "b.csv"])))
    assert not recordings.are_in(str(archive(tmp_path / "b.tar.gz", ["a.txt"])))
    (tmp_path / "c.tar.gz").write_bytes(b"no archive")
    assert not recordings.are_in(str(tmp_path / "c.tar.gz"))
    assert not recordings.are_in(str(tmp_path / "none"))


def test_a_few_that_cannot_be_read_are_left_out_and_named(tmp_path):
    path = folder(tmp_path, ["1_a_0.wav", "1_a_1.wav", "2_a_0.wav", "2_b_3.wav"])
    (path / "1_a_1.wav").write_bytes(b"text")
    soundfile.write(path / "2_b_3.wav", np.full(900, np.nan), 8000, subtype="FLOAT")
    found = recordings.load(path)
    assert found.names == ("1_a_0.wav", "2_a_0.wav")
    assert len(found.inputs) == len(found.labels) == len(found.targets) == 2
    [note] = found.notes
    assert "1_a_1.wav (this is no sound that can be read" in note
    assert "2_b_3.wav (some of its samples are no numbers" in note


def test_each_bad_set_has_its_message(tmp_path):
    def refused(path, message, kind=DataError, **options):
        with pytest.raises(kind, match=message):
            recordings.load(path, **options)

    refused(tmp_path, "no files of sound")
    refused(tmp_path / "none", "neither a folder nor an archive")
    refused(folder(tmp_path / "a", ["1_a_0.wav", "song.wav"]), "song.wav is not {label}_{speaker}")
    refused(folder(tmp_path / "b", ["1_a_0.wav", "1_a_1.wav"]), "one class only: 1")
    good = folder(tmp_path / "c", SIDE_BY_SIDE)
    refused(good, "the pattern", UsageError, pattern="{speaker}_{index}")
    refused(good, "the pattern", UsageError, pattern="{label}_{person}")
    for place in range(4):
        (good / f"3_a_{place}.wav").write_bytes(b"text")
    refused(good, "4 of 7 recordings cannot be read: 3_a_0.wav .this is no sound that can be read")
    cut = archive(tmp_path / "cut.tar.gz", SIDE_BY_SIDE)
    cut.write_bytes(cut.read_bytes()[:-600])
    refused(cut, "archive cannot be read|truncated|ended")
    twice = archive(tmp_path / "twice.tar.gz", ["1_a_0.wav", "1_a_0.wav"])
    refused(twice, "there twice")
