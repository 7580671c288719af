"""Words as tokens: which are known, unknown ones, the file."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kedja.data import tokenizer
from kedja.data.words import Words, words_of
from kedja.ground.errors import DataError, UsageError

TEXT = "To be, or not to be: that is the question. Don't be!"


def test_words_and_marks() -> None:
    assert list(words_of("Don't—stop_it!  42 (ok)")) == [
        *("don't", "—", "stop", "_", "it", "!", "42", "(", "ok", ")")
    ]
    assert list(words_of("L’été, naïve")) == ["l’été", ",", "naïve"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Großer grüner Kreis", ["großer", "grüner", "kreis"]),
        ("cafe\u0301 = caf\u00e9", ["café", "=", "café"]),
        ("红圆 red", ["红", "圆", "red"]),
        ("赤い円。", ["赤", "い", "円", "。"]),
        ("लाल वृत्त।", ["लाल", "वृत्त", "।"]),
        ("Красный ёж", ["красный", "ёж"]),
        ("빨간 원 🙂", ["빨간", "원", "🙂"]),
    ],
)
def test_words_of_other_scripts(text: str, words: list[str]) -> None:
    assert list(words_of(text)) == words


def test_the_most_frequent_words_come_first() -> None:
    words = Words.of([TEXT, "to be"], most=3)
    assert words.words == ["be", "to", "!"]
    assert Words.of([TEXT], least=2).words == ["be", "to"]
    assert words.size == 4
    assert words.encode("TO be or").tolist() == [1, 0, 3]
    assert words.widths.tolist() == [2, 2, 1, 0]


def test_decoding_writes_marks_where_they_belong() -> None:
    words = Words.of([TEXT + " (a b)"], specials=["[UNK]", "[MASK]"])
    assert words.decode(words.encode("Don't be, (a b)!")) == "don't be, (a b)!"
    tokens = words.encode("to [MASK] or xyz", specials=True)
    assert words.decode(tokens) == "to or"
    assert words.decode(tokens, specials=True) == "to [MASK] or [UNK]"
    assert words.token(int(tokens[1])) == "[MASK]"


@given(st.text(max_size=60))
def test_what_is_decoded_has_the_same_tokens(text: str) -> None:
    words = Words(["a", "b", "!", "(", "ab"], ["[UNK]"])
    tokens = words.encode(text)
    known = [each for each in tokens.tolist() if each < 5]
    assert words.encode(words.decode(tokens)).tolist() == known


def test_several_texts_at_once() -> None:
    words = Words.of([TEXT])
    tokens, counts = words.encode_many(["to be", "", "or"])
    assert counts.tolist() == [2, 0, 1]
    assert tokens.tolist() == [*words.encode("to be or")]


def test_the_file(tmp_path: Path) -> None:
    words = Words.of([TEXT, "été"], specials=["[UNK]", "[MASK]"])
    words.save(tmp_path)
    found = tokenizer.load(tmp_path)
    assert found == words
    assert found.digest == words.digest != Words.of([TEXT]).digest


def test_errors() -> None:
    with pytest.raises(DataError, match="no word occurs 3 times"):
        Words.of(["a b"], least=3)
    with pytest.raises(UsageError, match="'a' stands 2 times"):
        Words(["a", "a"])
    with pytest.raises(DataError, match="the word 'c' is not among the 2"):
        Words(["a", "b"], ["[PAD]"]).encode("a c")
