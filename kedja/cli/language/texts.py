"""DATA of language models: text files, recognised, as a tokenizer and a corpus.

Not here: how files are read (`kedja/data/corpus.py`). Next: `recipe.py`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from kedja.data import text as textfile
from kedja.data import tokenizer as tokenizers
from kedja.data.bpe import BPE
from kedja.data.corpus import Corpus
from kedja.data.tokenizer import Bytes
from kedja.data.tokens import Tokenizer
from kedja.ground.errors import UsageError
from kedja.ground.suggest import did_you_mean

END = "<end>"
KINDS = ("characters", "bytes", "bpe")
MOST_CHARACTERS = 512  # a larger alphabet is told apart by bytes

# A list has lines of a few words, and no empty ones between them; so much of a file is looked at.
LINE_CHARACTERS, LINE_WORDS = 64, 4
LOOKED_AT = 2**16


def is_list(files: Sequence[str]) -> bool:
    """Whether each line of each file is a text by itself, as a name is."""
    return all(_looks_like_a_list(next(textfile.pieces(file, LOOKED_AT))) for file in files)


def _looks_like_a_list(text: str) -> bool:
    lines = text.rstrip("\n").split("\n")
    whole = lines[:-1] if len(text) >= LOOKED_AT // 2 else lines  # the last may be cut
    short = (each.strip() and len(each) <= LINE_CHARACTERS for each in whole)
    words = sum(len(each.split()) for each in whole)
    return len(whole) > 1 and all(short) and words <= LINE_WORDS * len(whole)


def tags(files: Sequence[str], lines: bool) -> list[str]:
    """A special token for each of several lists, by the files' names: `<names>`, `<spells>`.

    A text that begins with one of them is to be of that list. None for a single list, nor for
    running texts. Raises UsageError where two files have one name.
    """
    if not lines or len(files) < 2:
        return []
    found = [f"<{re.sub(r'[^0-9A-Za-z]+', '-', Path(file).stem).strip('-')}>" for file in files]
    if len(set(found)) < len(found):
        what = f"two lists are called {next(each for each in found if found.count(each) > 1)}"
        raise UsageError(what, fix="rename one of the files")
    return found


def tokenizer(
    files: Sequence[str], kind: str | None, vocabulary: int | None, specials: Sequence[str]
) -> Tokenizer:
    """The tokenizer that is asked for: a kind, or the folder of a `tokenizer.json`.

    Where nothing is asked for: characters, or bytes where there are very many characters. Raises
    UsageError for what is neither, or has no such option.
    """
    if vocabulary is not None and kind != "bpe":
        raise UsageError("--vocabulary without --tokenizer bpe", fix="give both, or none")
    if kind == "bytes":
        return Bytes(specials)
    if kind == "bpe":
        return BPE.train(files, vocabulary or 4096, specials)
    if kind not in (None, "characters"):
        return _stored(kind)
    found = Corpus.alphabet(files, specials)
    return Bytes(specials) if kind is None and found.size > MOST_CHARACTERS else found


def _stored(folder: str) -> Tokenizer:
    if not Path(folder).is_dir():
        fix = did_you_mean(folder, KINDS, otherwise="a kind, or a folder with a tokenizer.json")
        raise UsageError(f"there is no tokenizer {folder!r}", fix=fix)
    return tokenizers.load(folder)


def describe(files: Sequence[str], corpus: Corpus, held: Corpus) -> list[str]:
    """What was recognised, in lines for people."""
    names = ", ".join(islice(map(str, files), 3)) + (" …" if len(files) > 3 else "")
    both = (corpus, held)
    if corpus.documents is not None and held.documents is not None:
        counts = [f"{len(corpus.documents):,}", f"{len(held.documents):,}"]
        what = f"a list: {counts[0]} lines to train on, {counts[1]} held out"
    else:
        what = "running text: its end is held out"
    kind = type(corpus.tokenizer).__name__.lower()
    sizes = " and ".join(f"{len(each):,}" for each in both)
    return [f"{names}: {what}", f"{corpus.tokenizer.size:,} tokens ({kind}); {sizes} of them"]
