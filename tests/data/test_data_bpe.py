"""Byte-pair encoding: round trips, Hugging Face's files in and out, errors."""

from __future__ import annotations

import builtins
import json
import tempfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kedja.data import token_files, tokenizer
from kedja.data.bpe import BPE
from kedja.data.corpus import Corpus
from kedja.data.tokens import ENDS
from kedja.ground.errors import DataError, MissingExtra, UsageError
from tests.paths import SHARED, needs

library = pytest.importorskip("tokenizers")

SAMPLE = "the cat sat on the mat, and the other cat sat on the cat.\n" * 3
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@pytest.fixture(scope="module")
def pairs():
    return BPE.of(SAMPLE, 268, ["<pad>", ENDS[1]])


@pytest.fixture(scope="module")
def gpt2_text():
    """A file with all that GPT-2's has: bytes, merges, its end of text as the last token."""
    return json.dumps(json.loads(BPE.of(SAMPLE, 270, [ENDS[1]])._text))


@given(text=TEXT)
def test_round_trip(pairs, text):
    tokens = pairs.encode(text)
    assert tokens.dtype == np.int32
    assert pairs.decode(tokens) == pairs.decode(tokens, specials=True) == text
    assert pairs.widths[tokens].sum() == len(text.encode())
    assert tokens.max(initial=0) < 266  # no special token comes from text


@given(st.lists(TEXT, max_size=5))
@settings(max_examples=20)
def test_many_texts_are_each_one_after_the_other(pairs_texts):
    pairs = BPE.of(SAMPLE, 270)
    tokens, counts = pairs.encode_many(pairs_texts)
    expected = [pairs.encode(text).tolist() for text in pairs_texts]
    assert counts.tolist() == [len(each) for each in expected]
    assert tokens.tolist() == [each for one in expected for each in one]


def test_special_tokens(pairs):
    assert pairs.specials == {"<pad>": 266, ENDS[1]: 267}
    assert pairs.size == 268
    text = f"the cat{ENDS[1]}"
    assert pairs.decode(pairs.encode(text)) == text
    named = pairs.encode(text, specials=True)
    assert named[-1] == 267
    assert pairs.decode(named) == "the cat"
    assert pairs.decode(named, specials=True) == text
    assert pairs.widths[[266, 267]].tolist() == [0, 0]


def test_tokens_for_people(pairs):
    assert [pairs.token(number) for number in pairs.encode("the cat")] == ["the", " cat"]
    assert [pairs.token(number) for number in pairs.encode("é")] == ["\\xc3", "\\xa9"]
    assert pairs.token(267) == ENDS[1]


def test_training_is_the_same_every_time():
    text = SHARED / "text" / "names.txt"
    sample = text.read_text()[:20_000] if text.exists() else SAMPLE
    assert BPE.of(sample, 300) == BPE.of(sample, 300)
    assert BPE.of(sample, 262) != BPE.of(sample, 263)  # the sample has merges for both


def test_training_from_files(tmp_path):
    file = tmp_path / "a.txt"
    file.write_text(SAMPLE)
    assert BPE.train([file], 270) == BPE.of(SAMPLE, 270)


def test_small_texts_give_fewer_tokens():
    assert BPE.of("ab", 300).size == 256


def test_saved_and_loaded(pairs):
    with tempfile.TemporaryDirectory() as folder:
        pairs.save(folder)
        again = tokenizer.load(folder)
    assert isinstance(again, BPE)
    assert again == pairs
    assert hash(again) == hash(pairs)
    assert again.encode(SAMPLE).tolist() == pairs.encode(SAMPLE).tolist()


def test_a_file_of_the_library_goes_through_unchanged(tmp_path, gpt2_text):
    (tmp_path / "tokenizer.json").write_text(gpt2_text)
    tokenizer.load(tmp_path).save(tmp_path)
    assert (tmp_path / "tokenizer.json").read_text() == gpt2_text
    theirs = library.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    assert theirs.encode(SAMPLE).ids == tokenizer.load(tmp_path).encode(SAMPLE).tolist()


def test_truncation_and_padding_of_a_file_are_not_applied(gpt2_text):
    content = json.loads(gpt2_text)
    inner = library.Tokenizer.from_str(gpt2_text)
    inner.enable_truncation(4)
    inner.enable_padding(length=10)
    assert len(BPE(inner.to_str()).encode(SAMPLE)) == len(BPE(gpt2_text).encode(SAMPLE)) > 10
    assert content["truncation"] is None


def test_words_in_pieces(tmp_path):
    """BERT's kind: words fall into pieces, unknown ones into [UNK], nothing is put around."""
    vocab = {"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "play": 3, "##ing": 4, "the": 5}
    inner = library.Tokenizer(library.models.WordPiece(vocab, unk_token="[UNK]"))
    inner.pre_tokenizer = library.pre_tokenizers.BertPreTokenizer()
    inner.normalizer = library.normalizers.BertNormalizer(lowercase=True)
    inner.decoder = library.decoders.WordPiece()
    inner.post_processor = library.processors.BertProcessing(("[SEP]", 2), ("[CLS]", 1))
    inner.add_special_tokens(["[UNK]", "[CLS]", "[SEP]"])
    (tmp_path / "tokenizer.json").write_text(inner.to_str())
    bert = tokenizer.load(tmp_path)
    assert bert.encode("The playing cat").tolist() == [5, 3, 4, 0]
    assert bert.decode([5, 3, 4]) == "the playing"
    assert bert.widths.tolist() == [0, 0, 0, 4, 3, 3]
    with pytest.raises(UsageError, match="end a document"):
        Corpus.of("the\nplay", bert, lines=True)


# ----------------------------------------------------------------------------- corpora


@given(text=st.text(st.sampled_from("ab ,.'s\n\t"), min_size=1))
@settings(max_examples=200)
def test_stretches_are_encoded_as_the_whole(pairs, tmp_path_factory, text):
    """Where running text is cut, no token would have gone across."""
    path = tmp_path_factory.getbasetemp() / "stretches.txt"
    path.write_text(text + "x")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(token_files, "STRETCH", 3)
        pieces = [piece for _, piece in token_files.stretches(str(path))]
    tokens, _ = pairs.encode_many(pieces)
    assert tokens.tolist() == pairs.encode(text + "x").tolist()


@needs(SHARED / "text" / "shakespeare.txt")
def test_shakespeare():
    file = SHARED / "text" / "shakespeare.txt"
    pairs = BPE.train([file], 512, [ENDS[1]])
    corpus = Corpus.read([file], pairs)
    text = file.read_text()
    assert pairs.decode(corpus.tokens) == text
    assert corpus.tokens.tolist() == [*pairs.encode(text).tolist(), pairs.specials[ENDS[1]]]
    assert corpus.bytes == len(text.encode())
    assert 1.5 < corpus.bytes / len(corpus) < 3


# ----------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("make", "kind", "reason"),
    [
        (lambda: BPE.of("text", 100), UsageError, "do not hold 256 bytes"),
        (lambda: BPE.of("text", 257, ["<a>", "<b>"]), UsageError, "2 special tokens"),
        (lambda: BPE.of("text", 300, ["<a>", "<a>"]), UsageError, "2 times"),
        (lambda: BPE.of("", 300), DataError, "empty"),
        (lambda: BPE.train(["missing.txt"], 300), DataError, "cannot read"),
        (lambda: BPE("{}"), DataError, "cannot be read"),
        (lambda: BPE.of("a", 256).encode("a\ud800"), DataError, "surrogate"),
        (lambda: BPE.of("a", 256).encode_many(["a", "\ud800"]), DataError, "surrogate"),
        (lambda: BPE.of("a", 256).decode([256]), DataError, "no token 256"),
    ],
)
def test_what_cannot_be(make, kind, reason):
    with pytest.raises(kind, match=reason) as caught:
        make()
    assert caught.value.fix


def test_a_damaged_file(tmp_path):
    file = tmp_path / "tokenizer.json"
    file.write_text('{"version": "1.0", "model": {"type": "Sounds"}}')
    with pytest.raises(DataError, match="damaged") as caught:
        tokenizer.load(tmp_path)
    assert caught.value.where == str(file)


def test_without_the_library(monkeypatch, gpt2_text):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "tokenizers":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    for make in (lambda: BPE(gpt2_text), lambda: BPE.of("text", 300)):
        with pytest.raises(MissingExtra) as caught:
            make()
        assert caught.value.fix == "pip install 'kedja[text]'"
