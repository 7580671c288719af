"""Corpora: files as memory-mapped tokens in bounded memory, reused, and divided honestly."""

from __future__ import annotations

import json
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kedja.data import token_files
from kedja.data.cache import cache_folder
from kedja.data.corpus import Corpus
from kedja.data.tokenizer import Bytes, Characters
from kedja.data.tokens import ENDS
from kedja.ground.errors import DataError, StorageError, UsageError
from tests.paths import SHARED, needs

END = ENDS[1]
LINES = st.lists(st.sampled_from(["ada", "bea", "cleo", "d é"]), min_size=2, max_size=30)


@pytest.fixture
def write(tmp_path):
    def make(name, text):
        path = tmp_path / name
        path.write_bytes(text.encode())
        return path

    return make


def texts(corpus):
    """Each document without what it starts with."""
    return [corpus.tokenizer.decode(corpus.document(i)[1:]) for i in range(len(corpus.documents))]


def test_running_text(write):
    one, two = write("one.txt", "To be,\nor not\n"), write("two.txt", "to be\n")
    letters = Corpus.alphabet([one, two])
    assert letters.alphabet == "".join(sorted(set("To be,\nor not\n")))
    corpus = Corpus.read([one, two], letters)
    assert letters.decode(corpus.tokens) == "To be,\nor not\nto be\n"
    assert (corpus.tokens.dtype, corpus.documents, len(corpus)) == (np.uint16, None, 20)
    assert isinstance(corpus.tokens, np.memmap)
    assert corpus.bytes == 20


def test_running_text_ends_where_a_file_ends(write):
    files = [write("one.txt", "ab"), write("two.txt", "é")]
    tokenizer = Bytes([END, "<one>", "<two>"])
    corpus = Corpus.read(files, tokenizer, tags=["<one>", "<two>"])
    shown = tokenizer.decode(corpus.tokens, specials=True)
    assert shown == f"<one>ab{END}<two>é{END}"
    assert corpus.bytes == 4


def test_lists_together(write):
    """Two lists, each name after the tag of its list: one model can be asked for either."""
    files = [write("names.txt", "ada\r\n\r\n bea"), write("spells.txt", "Aid\nBane\n")]
    letters = Corpus.alphabet(files, ["<names>", "<spells>"])
    corpus = Corpus.read(files, letters, lines=True, tags=["<names>", "<spells>"])
    shown = [letters.decode(corpus.document(i), specials=True) for i in range(4)]
    assert shown == ["<names>ada\n", "<names>bea\n", "<spells>Aid\n", "<spells>Bane\n"]
    assert corpus.bytes == len("ada\nbea\nAid\nBane\n")
    assert len(corpus) == corpus.bytes == len(corpus.tokens) - 4


def test_documents_end_with_the_token_for_it(write):
    tokenizer = Bytes([END])
    corpus = Corpus.read([write("names.txt", "ada\nbea\n")], tokenizer, lines=True)
    assert [tokenizer.decode(corpus.document(i), specials=True) for i in (0, 1)] == [
        f"{END}ada{END}",
        f"{END}bea{END}",
    ]


def test_documents_start_with_the_token_for_it(write):
    tokenizer = Bytes(["<start>", "<end>"])
    corpus = Corpus.read([write("names.txt", "ada\nbea\n")], tokenizer, lines=True)
    assert tokenizer.decode(corpus.tokens, specials=True) == "<start>ada<end><start>bea<end>"
    assert tokenizer.decode(corpus.document(1), specials=True) == "<start>bea<end>"
    assert (len(corpus), corpus.bytes) == (8, 6)


def test_without_any_of_them_a_line_end_stands_before_the_first(write):
    corpus = Corpus.read([write("names.txt", "ada\nbea")], Bytes(), lines=True)
    assert Bytes().decode(corpus.tokens) == "\nada\nbea\n"
    assert [Bytes().decode(corpus.document(i)) for i in (0, 1)] == ["\nada\n", "\nbea\n"]


@given(LINES)
def test_in_memory(lines):
    text = "\n".join(lines)
    corpus = Corpus.of(text, Characters.of(text + "\n"), lines=True)
    assert texts(corpus) == [f"{line}\n" for line in lines]
    assert corpus.bytes == len(text.encode()) + 1
    running = Corpus.of(text, Bytes())
    assert running.tokenizer.decode(running.tokens) == text
    assert running.documents is None
    assert running.bytes == len(text.encode())


@given(st.text(st.sampled_from("ab \n"), min_size=1), st.integers(1, 20), st.integers(1, 30))
@settings(max_examples=60)
def test_stretches_are_the_text(tmp_path_factory, text, size, longest):
    """Nothing is lost or moved where running text is cut, and lines are counted."""
    path = tmp_path_factory.getbasetemp() / "stretches.txt"
    path.write_text(text + "x")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(token_files, "STRETCH", size)
        patch.setattr(token_files, "LONGEST", longest)
        found = list(token_files.stretches(str(path)))
    assert "".join(piece for _, piece in found) == text + "x"
    counted = [1 + (text + "x").count("\n", 0, at) for at in _starts(found)]
    assert [line for line, _ in found] == counted


def _starts(found):
    return np.cumsum([0, *[len(piece) for _, piece in found]])[:-1].tolist()


# ----------------------------------------------------------------------------- division


def test_the_end_of_running_text_is_held_out():
    corpus = Corpus.of("abcdefghij" * 10, Characters("abcdefghij"))
    train, held = corpus.split(0.1)
    assert (len(train), len(held)) == (90, 10)
    assert np.concatenate([train.tokens, held.tokens]).tolist() == corpus.tokens.tolist()
    assert train.bytes == 90
    assert np.shares_memory(train.tokens, corpus.tokens)


@given(LINES, st.floats(0.05, 0.6), st.integers(0, 5))
def test_documents_are_divided_whole(lines, share, seed):
    corpus = Corpus.of("\n".join(lines), Bytes(), lines=True)
    try:
        train, held = corpus.split(share, seed=seed)
    except UsageError:
        assert len(set(lines)) == 1 or round(len(lines) * share) == 0 or len(set(lines)) < 5
        return
    assert sorted(texts(train) + texts(held)) == sorted(f"{line}\n" for line in lines)
    assert not set(texts(train)) & set(texts(held))  # equal ones stand on one side
    assert len(train) + len(held) == len(corpus)
    assert train.bytes + held.bytes == corpus.bytes


def test_the_drawn_share_and_the_seed():
    corpus = Corpus.of("\n".join(f"name {i}" for i in range(1000)), Bytes(), lines=True)
    train, held = corpus.split(0.1, seed=3)
    assert (len(train.documents), len(held.documents)) == (900, 100)
    again = corpus.split(0.1, seed=3)[1]
    other = corpus.split(0.1, seed=4)[1]
    assert again.documents.tolist() == held.documents.tolist()
    assert other.documents.tolist() != held.documents.tolist()
    assert 300 < held.documents[:, 0].mean() / len(corpus) * 1000 < 700  # from everywhere


@pytest.mark.parametrize(("share", "text"), [(0, "ab"), (1, "ab"), (-0.1, "ab"), (0.1, "a")])
def test_a_part_that_would_be_empty(share, text):
    for lines in (False, True):
        with pytest.raises(UsageError):
            Corpus.of(text, Bytes(), lines=lines).split(share)


# ----------------------------------------------------------------------------- token files


def test_a_second_run_reuses_the_tokens(write, tmp_path):
    file, calls = write("a.txt", "abc\nabd\n"), []

    def read(**options):
        calls.clear()
        options = {"folder": tmp_path / "run", **options}
        return Corpus.read([file], Bytes(), progress=lambda *done: calls.append(done), **options)

    first = read()
    assert calls == [(8, 8)]
    assert read().tokens.tolist() == first.tokens.tolist()
    assert calls == []  # found
    file.write_text("abc\nabe\n")
    assert Bytes().decode(read().tokens) == "abc\nabe\n"
    assert calls  # other content
    assert read(lines=True).documents.tolist() == [[0, 5], [4, 9]]
    assert calls  # other options


@pytest.mark.parametrize("damage", ["tokens.bin", "documents.bin", "corpus.json", "json"])
def test_damaged_token_files_are_written_anew(write, tmp_path, damage):
    file, folder = write("a.txt", "abc\nabd\n"), tmp_path / "run"
    Corpus.read([file], Bytes(), lines=True, folder=folder)
    if damage == "json":
        (folder / "corpus.json").write_text('{"digest": 1')
    elif damage == "corpus.json":
        (folder / damage).unlink()
    else:
        (folder / damage).write_bytes(b"12")
    again = Corpus.read([file], Bytes(), lines=True, folder=folder)
    assert texts(again) == ["abc\n", "abd\n"]


def test_the_cache_is_the_usual_place(write):
    file = write("a.txt", "some text of its own")
    corpus = Corpus.read([file], Bytes())
    assert str(corpus.tokens.filename).startswith(str(cache_folder("tokens")))


def test_an_interrupted_write_leaves_nothing_to_be_taken_for_whole(write, tmp_path):
    file, folder = write("a.txt", "abc\n" * 10), tmp_path / "run"
    Corpus.read([file], Bytes(), folder=folder)
    file.write_text("abd\n" * 10)  # equally long: sizes alone would not tell

    def interrupt(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Corpus.read([file], Bytes(), folder=folder, progress=interrupt)
    assert [each.name for each in folder.iterdir()] == ["tokens.bin"]  # the old one, whole
    assert Bytes().decode(Corpus.read([file], Bytes(), folder=folder).tokens) == "abd\n" * 10


def test_a_failure_in_the_text_leaves_nothing(write, tmp_path):
    file = tmp_path / "a.txt"
    file.write_bytes(b"good\n" * 50_000 + b"\xff")
    with pytest.raises(DataError, match="place 250,000") as caught:
        Corpus.read([file], Bytes(), folder=tmp_path / "run")
    assert caught.value.where == f"{file}, line 50001"
    assert list((tmp_path / "run").iterdir()) == []


def test_a_file_larger_than_the_memory_allowed(tmp_path):
    """24 MB of text and 48 of tokens pass through 24 MB of memory."""
    file = tmp_path / "large.txt"
    with file.open("w") as out:
        for number in range(24):
            out.write(f"line {number:04d} of a long text\n" * 40_000)
    assert file.stat().st_size > 23_000_000
    tracemalloc.start()
    try:
        corpus = Corpus.read([file], Corpus.alphabet([file]), folder=tmp_path / "run")
        train, _ = corpus.split()
        assert corpus.bytes == file.stat().st_size
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 24_000_000
    assert len(corpus.tokens) == file.stat().st_size
    assert corpus.tokenizer.decode(train.tokens[-28:-1]) in file.read_text()


def test_many_tokens_need_four_bytes(tmp_path):
    file = tmp_path / "a.txt"
    file.write_text("a\U00010000")
    alphabet = "".join(chr(code) for code in range(0x20000) if not 0xD800 <= code < 0xE000)
    corpus = Corpus.read([file], Characters(alphabet))
    assert corpus.tokens.dtype == np.uint32
    assert corpus.tokenizer.decode(corpus.tokens) == "a\U00010000"


# ----------------------------------------------------------------------------- errors


@pytest.mark.parametrize("lines", [True, False])
def test_an_unknown_character_has_its_place_in_the_file(write, lines):
    file = write("a.txt", "abc\n\nab\nabüc\n")
    with pytest.raises(DataError) as caught:
        Corpus.read([file], Characters("abc\n"), lines=lines)
    assert caught.value.where == f"{file}, line 4, column 3"


@pytest.mark.parametrize(
    ("files", "options", "kind", "reason"),
    [
        ([], {}, UsageError, "no files"),
        ("a.txt", {}, UsageError, "one path"),
        (["a.txt"], {"tags": ["<a>", "<b>"]}, UsageError, "2 tags for 1 files"),
        (["a.txt"], {"tags": ["<a>"]}, UsageError, "no special token '<a>'"),
        (["missing.txt"], {}, DataError, "No such file"),
    ],
)
def test_what_cannot_be_read(files, options, kind, reason):
    with pytest.raises(kind, match=reason) as caught:
        Corpus.read(files, Bytes(), **options)
    assert caught.value.fix


def test_an_empty_file_among_others(write):
    with pytest.raises(DataError, match="empty"):
        Corpus.read([write("a.txt", "abc"), write("b.txt", "\n")], Bytes())
    with pytest.raises(DataError, match="no text"):
        Corpus.of(" \n", Bytes())


def test_a_folder_that_cannot_be_made(write):
    file = write("a.txt", "abc")
    with pytest.raises(StorageError):
        Corpus.read([file], Bytes(), folder=file / "inside")


def test_running_text_has_no_documents():
    with pytest.raises(UsageError, match="lines=True"):
        Corpus.of("abc", Bytes()).document(0)


@needs(SHARED / "text" / "names.txt")
def test_the_list_of_names(tmp_path):
    file = SHARED / "text" / "names.txt"
    corpus = Corpus.read([file], Corpus.alphabet([file]), lines=True, folder=tmp_path)
    assert (corpus.tokenizer.size, len(corpus.documents)) == (27, 32_033)
    assert corpus.bytes == file.stat().st_size + (not file.read_text().endswith("\n"))
    train, held = corpus.split(0.1)
    assert not set(texts(train)) & set(texts(held))
    assert json.loads((tmp_path / "corpus.json").read_text())["documents"] == 32_033
