"""All kinds of data: texts, JSON Lines, folders of pictures, and what cannot be read."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest

from kedja.ground.errors import DataError, ShapeError, UsageError
from kedja.inspection import inspect, inspect_arrays

WORDS = [f"word{n}" for n in range(300)]


def texts(count: int = 120, seed: int = 0) -> list[dict[str, object]]:
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        label = int(rng.integers(0, 2))
        words = [
            *rng.choice(WORDS, 14),
            *rng.choice(("buy", "win", "cash") if label else ("meeting", "report", "team"), 5),
        ]
        made.append({"text": " ".join(words), "label": ("mail", "spam")[label]})
    return made


def write(path, records):
    path.write_text("".join(f"{json.dumps(each)}\n" for each in records))
    return path


def test_clean_texts_have_no_findings(tmp_path):
    report = inspect(write(tmp_path / "a.jsonl", texts()))
    assert report.kind == "texts"
    assert not report.findings


def test_copies_of_texts_are_found(tmp_path):
    records = texts()
    again = {**records[3], "text": records[3]["text"].upper()}
    near = {**records[9], "text": f"{records[9]['text']} and more"}
    other = {**records[4], "label": "mail" if records[4]["label"] == "spam" else "spam"}
    report = inspect(write(tmp_path / "a.jsonl", [*records, again, near, other]))
    found = {each.check: set(each.rows) for each in report.defects}
    assert found["duplicates"] == {120}
    assert found["near-duplicates"] == {121}
    assert found["conflicting labels"] == {4, 122}


def test_texts_that_are_nearly_all_copies_are_looked_at(tmp_path):
    records = [{"text": ("win cash now", "")[n % 2], "label": "ab"[n % 2]} for n in range(80)]
    report = inspect(write(tmp_path / "a.jsonl", records))
    assert {each.check for each in report.findings} == {"duplicates"}


def test_texts_in_training_and_test_data_are_found(tmp_path):
    records, test = texts(), texts(40, seed=1)
    near = {**records[9], "text": f"oh, {records[9]['text']}"}
    data, held = write(tmp_path / "a.jsonl", records), write(tmp_path / "b.jsonl", test)
    assert not inspect(data, test=held).findings
    held = write(tmp_path / "b.jsonl", [*test, records[0], near])
    found = [list(each.rows) for each in inspect(data, test=held).defects]
    assert found == [[40], [41]]


def test_lines_of_a_text_are_looked_at(tmp_path):
    file = tmp_path / "play.txt"
    file.write_text("To be, or not to be, that is the question.\n" * 3 + "Enter Hamlet.\n\n")
    report = inspect(file)
    assert report.facts["examples"] == 4
    assert not report.defects


def test_objects_without_text_are_a_table(tmp_path):
    records = [{"a": n * 1.5, "b": "xy"[n % 2], "label": n % 3} for n in range(30)]
    report = inspect(write(tmp_path / "a.jsonl", records), label="label")
    assert report.kind == "table"
    assert [each.name for each in report.summaries] == ["label (label)", "a", "b"]


# ------------------------------------------------------------------------------------- pictures


@pytest.fixture
def folder(tmp_path):
    image = pytest.importorskip("PIL.Image")
    rng = np.random.default_rng(0)
    for name, colour in (("cats", 60), ("dogs", 180)):
        place = tmp_path / "pets" / name
        place.mkdir(parents=True)
        for number in range(8):
            pixels = (rng.integers(0, 60, (20, 24, 3)) + colour).astype(np.uint8)
            image.fromarray(pixels).save(place / f"{number}.png")
    return tmp_path / "pets"


def test_a_folder_of_pictures(folder):
    report = inspect(folder)
    assert report.facts["labels"] == {"cats": 8, "dogs": 8}
    assert report.facts["about"]["largest"] == "24 × 20"
    assert not report.defects


def test_damaged_blank_and_copied_pictures_are_found(folder):
    from PIL import Image

    (folder / "cats" / "broken.png").write_bytes(b"\x89PNG no picture")
    Image.new("RGB", (20, 20), "black").save(folder / "dogs" / "black.png")
    (folder / "dogs" / "copy.png").write_bytes((folder / "dogs" / "3.png").read_bytes())
    (folder / "dogs" / "cat.png").write_bytes((folder / "cats" / "3.png").read_bytes())
    found = {each.check: list(each.where) for each in inspect(folder).defects}
    assert found["reading"] == ["cats/broken.png"]
    assert found["blank pictures"] == ["dogs/black.png"]
    assert found["duplicates"] == ["dogs/3.png = dogs/copy.png"]
    assert found["conflicting labels"] == ["cats/3.png: cats, dogs/cat.png: dogs"]


def test_near_copies_of_digits_are_found():
    from kedja.data import digits

    x = digits.load().train.inputs[:400]
    y = digits.load().train.targets[:400]
    assert not inspect_arrays(x, y).defects
    near = x[:3].copy()
    near[:, 3, 3] += 1
    (found,) = inspect_arrays(np.concatenate([x, near]), np.r_[y, y[:3]]).defects
    assert found.check == "near-duplicates"
    assert list(found.rows) == [400, 401, 402]


def test_copies_with_less_contrast_or_other_light_are_found():
    from kedja.data import digits

    x = digits.load().train.inputs[:300].astype(np.float64)
    near = np.concatenate([x[:2] * 0.7 + 3, x[2:4] + 2])
    (found,) = inspect_arrays(np.concatenate([x, near])).defects
    assert found.check == "near-duplicates"
    assert list(found.rows) == [300, 301, 302, 303]


def test_a_folder_with_training_and_test_pictures_is_both(folder, tmp_path):
    whole = tmp_path / "whole"
    (whole / "test").mkdir(parents=True)
    folder.rename(whole / "train")
    (whole / "test" / "cats").mkdir()
    copied = (whole / "train" / "cats" / "3.png").read_bytes()
    (whole / "test" / "cats" / "7.png").write_bytes(copied)
    report = inspect(whole)
    assert report.facts["labels"] == {"cats": 8, "dogs": 8}
    assert report.facts["test_examples"] == 1
    (found,) = report.defects
    assert (found.check, list(found.where)) == ("leaks", ["test cats/7.png = cats/3.png"])


def test_one_picture_in_other_formats_is_one_picture(folder):
    from PIL import Image

    with Image.open(folder / "cats" / "2.png") as picture:
        picture.save(folder / "cats" / "again.bmp")
        picture.convert("RGBA").save(folder / "cats" / "clear.png")
    Image.new("RGB", (2, 2)).save(folder / "dogs" / "tiny.png")
    found = {each.check: each for each in inspect(folder).defects}
    assert found["duplicates"].where == ["cats/2.png = cats/again.bmp = cats/clear.png"]
    assert "dogs/tiny.png (the picture has 2 × 2 pixels" in found["reading"].what


# ------------------------------------------------------------------------------------ recordings


@pytest.fixture
def voices(tmp_path):
    soundfile = pytest.importorskip("soundfile")
    draw = np.random.default_rng(0)
    for part, people in (("known", "ab"), ("new", "bc")):
        (tmp_path / part).mkdir()
        for label, hertz in (("low", 300), ("high", 1500)):
            for person, index in itertools.product(people, range(4)):
                t = np.arange(int(8000 * draw.uniform(0.2, 0.25))) / 8000
                wave = 0.3 * np.sin(2 * np.pi * hertz * t) + 0.01 * draw.normal(size=len(t))
                soundfile.write(tmp_path / part / f"{label}_{person}_{index}.wav", wave, 8000)
    return tmp_path


def test_recordings_have_the_classes_and_speakers_of_their_names(voices):
    report = inspect(voices / "known")
    assert report.kind == "recordings"
    assert report.facts["labels"] == {"high": 8, "low": 8}
    assert {each.name for each in report.summaries} == {"class (label)", "seconds", "speaker"}
    assert not report.defects
    (found,) = inspect(voices / "known", test=voices / "new").defects
    assert found.check == "leaks"
    assert found.where == ["b"]


def test_damaged_silent_and_copied_recordings_are_found(voices):
    import soundfile

    known = voices / "known"
    (known / "low_a_7.wav").write_bytes(b"RIFF no sound")
    soundfile.write(known / "low_a_8.wav", np.zeros(2000), 8000)
    (known / "low_b_9.wav").write_bytes((known / "low_a_1.wav").read_bytes())
    (known / "high_b_9.wav").write_bytes((known / "low_a_2.wav").read_bytes())
    found = {each.check: list(each.where) for each in inspect(known).defects}
    assert found["reading"] == ["low_a_7.wav"]
    assert found["silent recordings"] == ["low_a_8.wav"]
    assert found["duplicates"] == ["low_a_1.wav = low_b_9.wav"]
    assert found["conflicting labels"] == ["high_b_9.wav: high, low_a_2.wav: low"]


# ------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("name", "content", "options", "kind", "message"),
    [
        ("a.csv", "a,b\n1,2\n3,4\n", {"label": "c"}, UsageError, "no column 'c'"),
        ("a.txt", "one line\n", {"label": "c"}, UsageError, "no labels"),
        ("a.jsonl", '{"text": "a"}\n', {"label": "c"}, UsageError, "no object has 'c'"),
        ("a.jsonl", "[1]\n", {}, DataError, "no JSON object"),
        ("a.csv", "a,b\n1,2,3\n", {}, DataError, "3 cells"),
        ("a.png", "no picture", {}, UsageError, "single picture"),
    ],
)
def test_bad_input_has_one_clear_message(tmp_path, name, content, options, kind, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(kind, match=message):
        inspect(tmp_path / name, **options)


def test_names_and_folders_that_are_not_there(tmp_path):
    with pytest.raises(UsageError, match="no data set"):
        inspect("digitz")
    with pytest.raises(DataError, match="neither pictures nor recordings"):
        inspect(tmp_path)
    with pytest.raises(UsageError, match="of its own"):
        inspect("digits", label="x")
    with pytest.raises(ShapeError, match="one label for each"):
        inspect_arrays(np.zeros((4, 2)), np.zeros(5))
