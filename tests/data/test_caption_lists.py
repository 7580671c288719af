"""Lists of captions as people have them, and the files that they name."""

from __future__ import annotations

import json
import unicodedata

import pytest

from kedja.data import caption_lists
from kedja.data.caption_lists import Line, Places
from kedja.ground.errors import DataError

PAIRS = [("one.png", "a cat, black"), ("one.png", "ein Kätzchen"), ("two.png", "红色的圆")]
COCO = {
    "images": [{"id": 7, "file_name": "one.png"}, {"id": 3, "file_name": "two.png"}],
    "annotations": [
        {"image_id": 7, "caption": "a cat, black"},
        {"image_id": 7, "caption": "ein Kätzchen"},
        {"image_id": 3, "caption": "红色的圆"},
    ],
}


def columns(head: str) -> str:
    return f"{head}\n" + "".join(f'{file},"{caption}"\n' for file, caption in PAIRS)


def objects(*names: str) -> str:
    rows = (dict(zip(names, pair, strict=True)) for pair in PAIRS)
    return "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)


LISTS = {
    "captions.csv": columns("File,Caption"),
    "captions.tsv": columns("image,text").replace(',"', '\t"').replace("image,", "image\t"),
    "captions.txt": "".join(f"{file}\t{caption}\n" for file, caption in PAIRS),
    "captions.jsonl": objects("file", "caption"),
    "metadata.csv": columns("file_name,text"),
    "metadata.jsonl": objects("file_name", "text"),
    "captions_train2017.json": json.dumps(COCO),
}


@pytest.mark.parametrize("name", LISTS)
def test_every_kind_says_the_same(tmp_path, name):
    (tmp_path / name).write_text(LISTS[name], encoding="utf-8")
    assert caption_lists.find(tmp_path) == tmp_path / name
    found = caption_lists.read(tmp_path / name)
    assert [(line.file, line.caption) for line in found] == PAIRS


def test_a_text_file_with_columns_as_flickr_has_it(tmp_path):
    file = tmp_path / "captions.txt"
    file.write_text(columns("image,caption"), encoding="utf-8")
    assert [(line.file, line.caption) for line in caption_lists.read(file)] == PAIRS


@pytest.mark.parametrize(
    "head", ["Bild,Beschreibung", "", "anything,caption", "Image ,what it shows"]
)
def test_columns_are_known_by_what_stands_in_them(tmp_path, head):
    file = tmp_path / "captions.csv"
    file.write_text(columns(head).lstrip())
    rows = [(line.file, line.caption) for line in caption_lists.read(file)]
    assert rows == PAIRS
    assert caption_lists.read(file)[0].where.endswith(f"line {2 if head else 1}")


def test_texts_beside_pictures_are_their_captions(tmp_path):
    for name, content in (
        ("a/one.txt", "a cat, black\nein Kätzchen\n"),
        ("two.caption", "红色的圆"),
        ("three.txt", ""),
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content, encoding="utf-8")
        (tmp_path / name).with_suffix(".png").write_bytes(b"")
    assert caption_lists.find(tmp_path) == tmp_path
    found = {(line.file, line.caption) for line in caption_lists.read(tmp_path)}
    wanted = [("a/one.png", "a cat, black"), ("a/one.png", "ein Kätzchen")]
    assert found == {*wanted, ("two.png", "红色的圆"), ("three.png", "")}
    for name in ("a/one.txt", "two.caption"):
        (tmp_path / name).write_text("0 0.5 0.5 0.2 0.2\n")  # a box, as YOLO has it
    assert caption_lists.find(tmp_path) is None


def test_metadata_without_captions_is_no_list(tmp_path):
    (tmp_path / "metadata.csv").write_text("file_name,label\na.png,1\n")
    assert caption_lists.find(tmp_path) is None
    assert caption_lists.find(tmp_path / "nowhere") is None
    (tmp_path / "what we saw.csv").write_text("image,description\na.png,red\n")
    assert caption_lists.find(tmp_path) == tmp_path / "what we saw.csv"


def test_a_line_that_stands_twice_is_taken_once(tmp_path):
    file = tmp_path / "captions.txt"
    file.write_text("a.png\tred\na.png\tred\na.png\tround\n")
    assert [line.caption for line in caption_lists.read(file)] == ["red", "round"]


REFUSED = {
    "no object": ("captions.json", "[1, 2", "this is no JSON"),
    "a list": ("captions.json", "[1, 2]", "no list of captions"),
    "no pictures": ("captions.json", '{"annotations": []}', "there is no 'images'"),
    "a strange picture": (
        "captions.json",
        '{"images": [], "annotations": [{"image_id": 4, "caption": "a"}]}',
        "there is no 4",
    ),
    "no column": ("captions.csv", "a,b\n1,2\n", "no column names the pictures; there are: a, b"),
    "two texts": ("captions.csv", "a,b,c\n1.png,x,y\n", "no column is called caption"),
    "one column": ("captions.csv", "file\n1.png\n", "there are: no others"),
    "a number": ("captions.jsonl", '{"file": "a.png", "caption": 3}', "no text"),
    "Latin-1": ("captions.txt", b"a.png\tgr\xfcn\n", "is not UTF-8 text"),
    "nothing": ("captions.txt", "\n", "the file is empty"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(tmp_path, name):
    file, content, message = REFUSED[name]
    (tmp_path / file).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError, match=message):
        caption_lists.read(tmp_path / file)


@pytest.fixture
def places(tmp_path):
    for name in ("one.png", "below/two.png", "below/three.png", "aside/three.png"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
    (tmp_path / unicodedata.normalize("NFD", "grün.png")).write_bytes(b"")
    return Places(tmp_path)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("one.png", "one.png"),
        ("./below/two.png", "below/two.png"),
        ("two.png", "below/two.png"),  # the one file of this name
        ("one.png#3", "one.png"),
        ("aside/three.png", "aside/three.png"),
        (unicodedata.normalize("NFC", "grün.png"), unicodedata.normalize("NFD", "grün.png")),
    ],
)
def test_names_are_found(places, name, path):
    assert places.of(Line(name, "", "")) == places.folder / path


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("four.png", "no such file"),
        ("three.png", "no such file"),  # there are two of them
        ("../one.png", "is not in the folder"),
        ("/etc/hostname", "is not in the folder"),
        ("", "no such file"),
        ("a\0b.png", "no such file"),
        (300 * "a", "no such file"),
    ],
)
def test_names_that_lead_nowhere(places, name, message):
    with pytest.raises(DataError, match=message) as error:
        places.of(Line(name, "", "list, line 3"))
    assert error.value.where == "list, line 3"
