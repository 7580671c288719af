"""Folders of pictures: recognised, read, divided honestly, kept in a file where they are many."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from kedja.data import learned, picture_files, pictures
from kedja.ground.errors import DataError, UsageError
from kedja.io import photos
from tests.data.drawn import CLASSES, folder

pytest.importorskip("PIL")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KEDJA_CACHE", str(tmp_path / "cache"))


def test_a_folder_of_folders_is_recognised(tmp_path):
    root = folder(tmp_path / "shapes", 2)
    assert pictures.are_in(str(root))
    assert not pictures.are_in(str(root / "disc"))  # pictures, but no classes
    assert not pictures.are_in(str(tmp_path / "nothing"))
    assert not pictures.are_in("mnist")


def test_pictures_tell_what_they_are_and_a_side_makes_squares(tmp_path):
    found = pictures.load(str(folder(tmp_path / "shapes")), size=8)
    assert found.shape == (3, 8, 8)
    assert repr(found).splitlines()[1] == "2 classes: cross, disc"


def test_a_fifth_of_each_class_is_held_out(tmp_path):
    found = pictures.load(str(folder(tmp_path / "shapes", 10)))
    assert found.classes == CLASSES
    assert found.shape == (3, 16, 16)
    assert found.train.inputs.shape == (16, 16, 16, 3)
    assert np.bincount(found.train.targets).tolist() == [8, 8]
    assert np.bincount(found.test.targets).tolist() == [2, 2]
    assert (
        "coloured pictures of 16 × 16 pixels, 16 to train on, 4 to test on" in found.describe()[0]
    )


def test_names_and_places_change_nothing_but_the_seed_does(tmp_path):
    root = folder(tmp_path / "shapes", 20)
    first = pictures.load(str(root))
    for number, file in enumerate(sorted((root / "disc").iterdir())):
        (root / "disc" / "deep").mkdir(exist_ok=True)
        shutil.move(file, root / "disc" / "deep" / f"{number * 37 % 100}-x.png")
    again, other = pictures.load(str(root)), pictures.load(str(root), seed=1)

    def tested(of):
        return sorted(each.tobytes() for each in of.test.inputs)

    assert tested(first) == tested(again) != tested(other)


@pytest.mark.parametrize("seed", range(5))
def test_copies_never_lie_on_both_sides(tmp_path, seed):
    root = folder(tmp_path / "shapes", 10)
    for number in range(5):
        for copy in range(3):
            shutil.copy(root / "disc" / f"{number}.png", root / "disc" / f"copy{number}-{copy}.png")
    found = pictures.load(str(root), seed=seed)
    train = {each.tobytes() for each in found.train.inputs}
    assert not train & {each.tobytes() for each in found.test.inputs}
    assert "15 pictures are copies" in "".join(found.notes)
    assert len(found.test) > 2


def test_a_picture_in_two_classes_is_told_and_not_tested(tmp_path):
    root = folder(tmp_path / "shapes", 6)
    shutil.copy(root / "disc" / "0.png", root / "cross" / "also.png")
    for seed in range(6):
        found = pictures.load(str(root), seed=seed)
        assert "warning: the same picture in several classes" in "".join(found.notes)
        assert not any(name.endswith(("disc/0.png", "also.png")) for name in found.test_files)


@pytest.mark.parametrize(
    ("train", "name"),
    [
        *(("train", name) for name in picture_files.TEST_FOLDERS + picture_files.SHOWN_FOLDERS),
        *(("Training", "Testing"), ("training_set", "test-set"), ("TRAIN", "Validation Set")),
    ],
)
def test_a_folder_that_is_divided_stays_so(tmp_path, train, name):
    folder(tmp_path / "shapes" / "train", 6)
    folder(tmp_path / "shapes" / name, 3, seed=1)
    known = tmp_path / "shapes" / name / "disc" / "0.png"
    shutil.copy(known, tmp_path / "shapes" / "train" / "disc" / "known.png")
    (tmp_path / "shapes" / "train").rename(tmp_path / "shapes" / train)
    found = pictures.load(str(tmp_path / "shapes"))
    assert (len(found.train), len(found.test)) == (12, 6)
    assert "1 copies of pictures to test on are left out of training" in "".join(found.notes)


def test_what_is_to_be_validated_on_is_neither_trained_nor_tested_on(tmp_path):
    shapes = tmp_path / "shapes"
    for seed, (name, count) in enumerate({"train": 6, "val": 2, "test": 3}.items()):
        folder(shapes / name, count, seed=seed)
    shutil.copy(shapes / "val" / "disc" / "0.png", shapes / "train" / "disc" / "known.png")
    found = pictures.load(str(shapes))
    assert (len(found.train), len(found.validation), len(found.test)) == (12, 4, 6)
    assert "12 to train on, 4 to validate on, 6 to test on" in found.describe()[0]
    first = photos.read(shapes / "val" / "cross" / "0.png", found.shape)
    assert np.array_equal(found.validation.inputs[0], first)
    assert found.validation.targets.tolist() == [0, 0, 1, 1]
    assert all("/test/" in name for name in found.test_files)
    with learned.learned_alone():
        trial = pictures.load(str(shapes))
    assert (len(trial.train), trial.validation, len(trial.test)) == (12, None, 4)


def test_another_folder_is_tested_on(tmp_path):
    root = folder(tmp_path / "shapes", 4)
    other = folder(tmp_path / "new", 2, seed=1)
    found = pictures.load(str(root), test=str(other))
    assert (len(found.train), len(found.test)) == (8, 4)
    assert all(str(other) in name for name in found.test_files)
    for data, test in ((str(root), str(tmp_path / "none")), ("digits", str(other))):
        with pytest.raises(UsageError, match="--test"):
            pictures.load(data, test=test)


def test_folders_around_the_classes_are_told(tmp_path):
    folder(tmp_path / "all" / "one", 5)
    with pytest.raises(DataError) as caught:
        pictures.load(str(tmp_path / "all"))
    assert caught.value.fix == f"give {tmp_path / 'all' / 'one'}, if that holds the classes"
    folder(tmp_path / "all" / "two", 5, seed=1)
    [note] = pictures.load(str(tmp_path / "all")).notes
    assert note.startswith("warning: each class holds the folders cross, disc")
    (tmp_path / "all" / "two" / "disc").rename(tmp_path / "all" / "two" / "ring")
    assert not pictures.load(str(tmp_path / "all")).notes


def test_pictures_of_kinds_that_are_not_read_are_named(tmp_path):
    root = folder(tmp_path / "shapes", 5)
    (root / "disc" / "phone.HEIC").write_bytes(b"")
    [note] = pictures.load(str(root)).notes
    assert "phone.HEIC; as PNG or JPEG they would be read" in note


def test_classes_to_test_on_alone_are_an_error(tmp_path):
    folder(tmp_path / "shapes" / "train", 3)
    (folder(tmp_path / "shapes" / "test", 3, seed=1) / "disc").rename(
        tmp_path / "shapes" / "test" / "star"
    )
    with pytest.raises(DataError, match="no pictures to train on of star"):
        pictures.load(str(tmp_path / "shapes"))


def test_few_damaged_files_are_named_and_left_out_many_are_an_error(tmp_path):
    root = folder(tmp_path / "shapes", 10)
    whole = (root / "disc" / "0.png").read_bytes()
    (root / "disc" / "no.png").write_bytes(b"nothing")
    (root / "disc" / "half.png").write_bytes(whole[: len(whole) // 2])  # its head is whole
    (root / "disc" / "notes.txt").write_text("not a picture, and not named so")
    (root / "disc" / ".hidden.png").write_bytes(b"")
    found = pictures.load(str(root))
    assert len(found.train) + len(found.test) == 20
    text = "".join(found.notes)
    assert "left out, not readable" in text
    assert "no.png" in text
    assert "half.png" in text
    assert "hidden" not in text
    for number in range(8):
        (root / "disc" / f"bad{number}.png").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"10 of 30 pictures cannot be read: .*bad0\.png"):
        pictures.load(str(root))


@pytest.mark.parametrize("names", [(), ("one",)])
def test_one_class_is_an_error(tmp_path, names):
    for name in names:
        folder(tmp_path / "all" / name, 1)
    (tmp_path / "all").mkdir(exist_ok=True)
    with pytest.raises(DataError, match="one class at most"):
        pictures.load(str(tmp_path / "all"))


def test_empty_classes_are_left_out_and_single_pictures_are_not_tested(tmp_path):
    root = folder(tmp_path / "shapes", 5)
    (root / "star").mkdir()
    shutil.copytree(root / "disc", root / "ring")
    for number in range(1, 5):
        (root / "ring" / f"{number}.png").unlink()
    (root / "disc" / "0.png").unlink()
    found = pictures.load(str(root))
    assert found.classes == ("cross", "disc", "ring")
    notes = "".join(found.notes)
    assert "left out, without pictures: star" in notes
    assert "no picture to test on of ring" in notes


def test_grey_pictures_have_one_channel_and_numbers_are_in_order(tmp_path):
    root = folder(tmp_path / "shapes", 5, side=100, coloured=False)
    (root / "cross").rename(root / "10")
    (root / "disc").rename(root / "9")
    found = pictures.load(str(root))
    assert found.classes == ("9", "10")
    assert found.shape == (1, 64, 64)
    assert found.train.inputs.shape == (8, 64, 64)
    assert pictures.load(str(root), size=(20, 24)).shape == (1, 20, 24)


def test_digits_are_bytes_too():
    pytest.importorskip("sklearn")
    found = pictures.load("digits")
    assert found.shape == (1, 8, 8)
    assert found.train.inputs.dtype == np.uint8
    assert found.train.inputs.max() == 255
    with pytest.raises(UsageError, match="--size for digits"):
        pictures.load("digits", size=(16, 16))


def test_moments_are_those_of_the_training_pictures(tmp_path):
    found = pictures.load(str(folder(tmp_path / "shapes", 10)))
    mean, std = found.moments()
    values = found.train.inputs.reshape(-1, 3) / 255
    np.testing.assert_allclose(mean, values.mean(0), atol=1e-6)
    np.testing.assert_allclose(std, values.std(0), atol=1e-6)


def test_many_pictures_are_decoded_once_into_a_file(tmp_path, monkeypatch):
    root = folder(tmp_path / "shapes", 10)
    whole = (root / "disc" / "0.png").read_bytes()
    (root / "disc" / "half.png").write_bytes(whole[: len(whole) // 2])
    plain = pictures.load(str(root))
    monkeypatch.setattr(pictures, "LARGE", 100)
    mapped = pictures.load(str(root))
    assert isinstance(mapped.train.inputs, np.memmap)
    monkeypatch.setattr(pictures.photos, "read", lambda *_: pytest.fail("decoded again"))
    again = pictures.load(str(root))
    for each in (mapped, again):
        np.testing.assert_array_equal(each.train.inputs, plain.train.inputs)
        np.testing.assert_array_equal(each.test.targets, plain.test.targets)
        assert each.notes == plain.notes


@pytest.mark.parametrize("text", ["", "7", "600", "32x", "a", "8x8x8"])
def test_sizes_that_are_none(text):
    with pytest.raises(UsageError, match="--size"):
        pictures.parse_size(text)
