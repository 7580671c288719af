"""Characters and bytes as tokens: round trips, the file, and errors that name the place."""

from __future__ import annotations

import json
import os
import tempfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kedja.data import tokenizer
from kedja.data.tokenizer import Bytes, Characters
from kedja.ground.errors import DataError, KedjaError, StorageError, UsageError

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
NAMES = st.lists(st.sampled_from(["<end>", "<e", "<end", "[MASK]", ".", "\n"]), unique=True)


def both(text, specials=()):
    return Characters.of(text + "x", specials), Bytes(specials)


@given(TEXT, NAMES)
def test_round_trip(text, specials):
    for each in both(text, specials):
        tokens = each.encode(text)
        assert tokens.dtype == np.int32
        assert each.decode(tokens) == each.decode(tokens, specials=True) == text
        assert tokens.max(initial=0) < each.size - len(specials)
        assert each.widths[tokens].sum() == len(text.encode())


@given(st.lists(st.sampled_from(["<end>", "[M]", "é", "ab<", "\n", "<en"]), max_size=12))
def test_special_tokens_in_text(parts):
    text = "".join(parts)
    for each in both("éab<\nend>[M]", ["<end>", "[M]"]):
        tokens = each.encode(text, specials=True)
        first = each.size - 2
        assert [t for t in tokens if t >= first] == [
            each.specials[part] for part in _named(text, ["<end>", "[M]"])
        ]
        assert each.decode(tokens, specials=True) == text
        assert each.decode(tokens) == text.replace("<end>", "").replace("[M]", "")
        assert each.widths[tokens].sum() == len(each.decode(tokens).encode())


def _named(text, names):
    """The names in the text from left to right, found the slow way."""
    while text:
        name = next((name for name in names if text.startswith(name)), None)
        if name:
            yield name
        text = text[len(name or "x") :]


def test_the_longest_name_wins():
    each = Bytes(["<e", "<end>"])
    assert each.encode("<end><e", specials=True).tolist() == [257, 256]


@given(TEXT, NAMES)
@settings(max_examples=30)
def test_saved_and_loaded(text, specials):
    for each in both(text, specials):
        with tempfile.TemporaryDirectory() as folder:
            each.save(folder)
            assert os.listdir(folder) == ["tokenizer.json"]
            again = tokenizer.load(folder)
        assert again == each
        assert hash(again) == hash(each)
        assert again.encode(text).tolist() == each.encode(text).tolist()
        assert again.specials == each.specials


def test_what_differs_has_another_digest():
    kinds = [Bytes(), Bytes(["a"]), Characters("ab"), Characters("ba"), Characters("a", ["b"])]
    assert len({each.digest for each in kinds}) == len(kinds)
    assert Bytes() != Characters("ab")


def test_the_order_of_unicode_and_nanogpt():
    """nanoGPT numbers sorted(set(text)); weights trained there keep their meaning."""
    assert Characters.of("banana!").alphabet == "!abn"
    assert Characters.of("banana!").encode("nab").tolist() == [3, 1, 2]


def test_tokens_for_people():
    letters, plain = both("né\n", ["<end>"])
    assert [letters.token(i) for i in range(letters.size)] == ["\n", "n", "x", "é", "<end>"]
    assert [plain.token(i) for i in (65, 10, 195, 256)] == ["A", "\\x0a", "\\xc3", "<end>"]


def test_bytes_that_are_no_text():
    assert Bytes().decode([110, 195]) == "n\ufffd"
    assert Bytes(["<end>"]).decode([195, 256, 169], specials=True) == "\ufffd<end>\ufffd"


def test_an_unknown_character_has_its_place():
    with pytest.raises(DataError) as caught:
        Characters("abc\n").encode("ab\nacü")
    assert str(caught.value).startswith("line 2, column 3: the character 'ü' (U+00FC) is not among")
    assert "'abc\\n'" in caught.value.fix
    with pytest.raises(DataError, match="column 11"):
        Characters("abc", ["<e>"]).encode("a<e>ab<e>bX", specials=True)


def test_an_unknown_character_between_known_ones():
    for letter in "\0b\U0010ffff":
        with pytest.raises(DataError, match="not among the 2 known ones"):
            Characters("ac").encode(letter)


def test_half_of_a_pair():
    with pytest.raises(DataError, match="surrogate") as caught:
        Bytes().encode("a\ud800")
    assert caught.value.where == "line 1, column 2"


@pytest.mark.parametrize("wrong", [[-1], [260], [0.5], [[0, 1], [2, 999]]])
def test_numbers_that_are_no_tokens(wrong):
    for each in (Bytes(), Characters("abc")):
        with pytest.raises(DataError):
            each.decode(wrong)
    with pytest.raises(DataError):
        Bytes().token(256)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Characters("aba"),
        lambda: Characters("ab", ["x", "x"]),
        lambda: Bytes([""]),
        lambda: Bytes("<end>"),
        lambda: Characters.of(""),
    ],
)
def test_what_cannot_be_an_alphabet(make):
    with pytest.raises(KedjaError) as caught:
        make()
    assert isinstance(caught.value, UsageError | DataError)
    assert caught.value.fix


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"kedja": 2, "type": "bytes", "specials": []}',
        '{"kedja": 1, "type": "sounds", "specials": []}',
        '{"kedja": 1, "type": "characters", "specials": []}',
        '{"kedja": 1, "type": "characters", "alphabet": "aa", "specials": []}',
        '{"kedja": 1, "type": "characters", "alphabet": 5, "specials": []}',
        '{"kedja": 1, "type": "bytes", "specials": [3]}',
        '{"kedja": 1, "type": "bytes", "specials": "<end>"}',
        b"\xff\xfe",
    ],
)
def test_a_damaged_file(tmp_path, content):
    file = tmp_path / "tokenizer.json"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError) as caught:
        tokenizer.load(tmp_path)
    assert caught.value.where == str(file)
    assert caught.value.fix


def test_no_file(tmp_path):
    with pytest.raises(DataError, match="No such file"):
        tokenizer.load(tmp_path)


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    Characters("old").save(tmp_path)
    monkeypatch.setattr("os.replace", _refuse)
    with pytest.raises(StorageError):
        Characters("new").save(tmp_path)
    assert json.loads((tmp_path / "tokenizer.json").read_text())["alphabet"] == "old"
    assert len(list(tmp_path.iterdir())) == 1


def _refuse(*_):
    raise OSError(28, "No space left on device")
