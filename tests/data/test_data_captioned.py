"""Captioned pictures: lists of every kind, what is refused, honest halves, drawn shapes."""

from __future__ import annotations

import json

import numpy as np
import pytest

from kedja.data import captioned, shapes
from kedja.ground.errors import DataError, UsageError

Image = pytest.importorskip("PIL.Image")
COLOURS = {"red": (200, 0, 0), "green": (0, 200, 0), "blue": (0, 0, 200), "grey": (90, 90, 90)}


@pytest.fixture
def folder(tmp_path):
    """Twelve pictures of one colour each, in different shades."""
    where = tmp_path / "colours"
    where.mkdir()
    for number in range(12):
        name = list(COLOURS)[number % 4]
        shade = tuple(min(255, part + number) for part in COLOURS[name])
        Image.new("RGB", (20, 24), shade).save(where / f"{number}.png")
    return where


def rows(count=12):
    return [(f"{n}.png", f"shade {n} of {list(COLOURS)[n % 4]}") for n in range(count)]


LISTS = {
    "captions.csv": lambda: "file,caption\n" + "".join(f"{a},{b}\n" for a, b in rows()),
    "captions.tsv": lambda: "image\tText\n" + "".join(f"{a}\t{b}\n" for a, b in rows()),
    "captions.txt": lambda: "".join(f"{a}\t{b}\n" for a, b in rows()),
    "captions.jsonl": lambda: "".join(
        json.dumps({"file_name": a, "caption": b}) + "\n" for a, b in rows()
    ),
}


@pytest.mark.parametrize("name", LISTS)
def test_lists_of_every_kind_are_read(folder, name):
    (folder / name).write_text(LISTS[name]())
    assert captioned.are_in(str(folder))
    found = captioned.load(str(folder), size=(16, 16))
    assert found.shape == (3, 16, 16)
    assert len(found.train) + len(found.test) == 12
    assert set(found.train.captions).isdisjoint(found.test.captions)
    shown = dict(zip(found.train.captions, found.train.pictures, strict=True))
    caption = found.train.captions[0]
    number = int(caption.split()[1])
    expected = np.minimum(255, np.array(COLOURS[caption.split()[-1]]) + number)
    assert np.array_equal(shown[caption][8, 8], expected)


def test_a_picture_stays_on_one_side_with_all_its_captions(folder):
    (folder / "again.png").write_bytes((folder / "0.png").read_bytes())
    lines = [f"{n}.png\t{word} {n}" for n in range(12) for word in ("warm", "cold")]
    (folder / "captions.txt").write_text("\n".join([*lines, "again.png\tquite another"]))
    for seed in range(5):
        found = captioned.load(str(folder), size=(16, 16), seed=seed)
        assert len(found.train) + len(found.test) == 25
        train = {each.tobytes() for each in found.train.pictures}
        assert train.isdisjoint(each.tobytes() for each in found.test.pictures)
        assert len(set(found.train.numbers.tolist())) == len(train)
    assert "of 10 pictures" in found.describe()[0]


REFUSED = {
    "no tab": ("captions.txt", "0.png a red one\n1.png another\n", "the line has no tab"),
    "no caption": (
        "captions.csv",
        "file,size\n0.png,3\n1.png,4\n",
        "no column is called caption",
    ),
    "one row": ("captions.txt", "0.png\tred\n", "captions in the list: 1"),
    "out of the folder": (
        "captions.txt",
        "".join(f"../{n}.png\ta {n}\n" for n in range(5)),
        "is not in the folder",
    ),
    "missing files": (
        "captions.txt",
        "".join(f"a{n}.png\ta {n}\n" for n in range(5)),
        "5 of 5 lines cannot be used, first a0.png: there is no such file",
    ),
    "no captions": (
        "captions.tsv",
        "file\tcaption\n" + "".join(f"{n}.png\t \n" for n in range(5)),
        "5 of 5 lines cannot be used, first 0.png: there is no caption",
    ),
    "one picture": (
        "captions.txt",
        "".join(f"1.png\tcaption {n}\n" for n in range(5)),
        "1 different pictures",
    ),
    "one caption": (
        "captions.txt",
        "".join(f"{n}.png\tred\n" for n in range(5)),
        "all captions are 'red'",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(folder, name):
    file, text, message = REFUSED[name]
    (folder / file).write_text(text)
    with pytest.raises(DataError, match=message):
        captioned.load(str(folder))


def test_a_picture_that_cannot_be_read_is_named(folder):
    (folder / "5.png").write_bytes(b"no picture")
    (folder / "captions.txt").write_text(LISTS["captions.txt"]())
    found = captioned.load(str(folder), size=(16, 16))
    assert len(found.train) + len(found.test) == 11
    assert found.notes[0] == "from captions.txt"
    assert found.notes[1].startswith("1 left out: 5.png: this is not a picture")


def test_digits_are_captioned_by_their_labels():
    pytest.importorskip("sklearn")
    found = captioned.load("digits", seed=1)
    assert found.shape == (1, 8, 8)
    for caption, answer in zip(found.test.captions, found.answers, strict=True):
        assert captioned.WORDS[answer] in caption
    assert found.asked[7] == "a seven"
    assert len(set(found.train.captions)) == 80


def test_a_data_set_without_captions_is_refused(tmp_path, folder):
    with pytest.raises(UsageError):
        captioned.load(str(tmp_path / "nothing"))
    with pytest.raises(DataError, match="there is no list of captions"):
        captioned.load(str(folder))


def test_pairs_of_the_test_are_new_and_their_parts_are_not():
    found = captioned.drawn(600, 50)
    new = shapes.unseen()
    words = " ".join(found.train.captions)
    for colour, shape in new:
        assert colour in words
        assert shape in words
        assert not any(colour in each and shape in each for each in found.train.captions)
    assert {tuple(each.split()) for each in found.test.captions} <= new
    for caption, answer in zip(found.test.captions, found.answers, strict=True):
        assert found.asked[answer] == caption


def test_shapes_are_of_their_colour_and_reproducible():
    pictures, found = shapes.draw(40, seed=3)
    again, _ = shapes.draw(40, seed=3)
    assert np.array_equal(pictures, again)
    for picture, what in zip(pictures, found, strict=True):
        bright = picture[picture.sum(-1) > 0.8 * picture.sum(-1).max()].mean(0)
        colours = np.array(list(shapes.COLOURS.values()), float)
        cosines = colours @ bright / np.linalg.norm(colours, axis=1)
        close = np.argsort(-cosines)[:2]
        assert list(shapes.COLOURS).index(what.colour) in close


@pytest.mark.parametrize("shape", shapes.SHAPES)
def test_every_shape_has_an_inside_and_an_outside(shape):
    y, x = np.mgrid[-1.5:1.5:61j, -1.5:1.5:61j]
    inside = shapes.OUTSIDE[shape](x, y) < 0
    assert 0.05 < inside.mean() < 0.5
    assert not inside[[0, -1]].any()
    assert not inside[:, [0, -1]].any()


def test_at_most_half_of_the_pairs_can_be_new():
    with pytest.raises(UsageError, match="33 pairs"):
        shapes.unseen(33)
