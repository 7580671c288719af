"""`kedja train FILE… --model embedding`: a vector for each word, by the company it keeps.

Not here: what all runs have in common (`../task.py`), the training (`kedja/train/vectors.py`), the
map (`word_map.py`). Next: `word_map.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from kedja import models, optim
from kedja.cli import task
from kedja.cli.asked import Asked
from kedja.cli.families import Request
from kedja.cli.language import word_map
from kedja.cli.language.masked import words
from kedja.cli.output import say
from kedja.data.corpus import Corpus
from kedja.data.words import UNKNOWN
from kedja.ground.errors import UsageError
from kedja.models.word_vectors import Vocabulary, WordVectorsConfig
from kedja.train import vectors
from kedja.train.history import History

LEAST = 5  # rarer words have too little company to be known by
SHARE = 0.1

USUAL = {
    "model": "embedding",
    "width": 100,
    "context": vectors.WINDOW,
    "vocabulary": 20_000,
    "batch": 1024,
    "epochs": 20,
    "lr": vectors.RATE,
    "seed": 0,
}


def train(request: Request) -> None:
    """Learn the vectors of the words of DATA; the last tenth of the text is held out."""
    task.run(request, USUAL, _prepare)


def _prepare(files: tuple[str, ...], made: task.Options) -> task.Prepared:
    tokenizer = words(files, made["vocabulary"], LEAST, [UNKNOWN])
    train, held = Corpus.read(files, tokenizer).split(SHARE, seed=made["seed"])

    def fit(**options: Any) -> History:
        return vectors.fit_word_vectors(
            train, width=made["width"], window=made["context"],
            optimizer=optim.Adam(made["lr"]), **options,
        )  # fmt: skip

    different = f"{len(tokenizer.words):,} different ones that occur {LEAST} times"
    about = f"{len(train):,} words to train on, {len(held):,} held out, {different}"
    return task.Prepared(
        models.WordVectors(WordVectorsConfig(tokenizer.size, made["width"])),
        tokenizer,
        [about],
        fit,
        partial(_figures, train, held),
        _told,
        f"--text {tokenizer.words[min(100, len(tokenizer.words) - 1)]}",
    )


def _figures(train: Corpus, held: Corpus, model: Any) -> dict[str, Any]:
    special = min(train.tokenizer.specials.values())
    found = vectors.ranking(model, held.tokens, train.tokens, special=special)
    return {"test_ranking": found.learned, "counted_ranking": found.counted, "pairs": found.pairs}


def _told(results: Mapping[str, Any]) -> list[str]:
    return [
        f"of {results['pairs']:,} held-out words, the next one fits better than a stranger in "
        f"{results['test_ranking']:.1%} (by counted pairs {results['counted_ranking']:.1%}, "
        "by chance 50 %)"
    ]


# ------------------------------------------------------------------------------- asking


def predict(asked: Asked) -> None:
    """One word: its neighbours. Three, `man woman king`: what is to king as woman to man."""
    if asked.explain:
        raise UsageError("word vectors explain nothing", fix="leave --explain out")
    found = Vocabulary(asked.model, asked.words)
    texts = [text for _, text in asked.texts()] if asked.given or asked.files else []
    if asked.plot is not None:
        word_map.draw(asked.plot, found, [word for text in texts for word in text.split()])
    elif not texts:
        raise UsageError("there is no word to look up", fix="give --text WORD, or --plot FILE")
    answers = {text: _nearest(found, text) for text in texts}
    if asked.json:
        rows = [{"text": text, "words": dict(near)} for text, near in answers.items()]
        asked.tell(rows)
        return
    for text, near in answers.items():
        say(f"{text}: {', '.join(f'{word} {cosine:.2f}' for word, cosine in near)}")


def _nearest(found: Vocabulary, text: str) -> list[tuple[str, float]]:
    parts = text.split()
    if len(parts) == 3:
        a, b, c = parts
        return found.analogy(a, b, c)
    if len(parts) == 1:
        return found.neighbours(parts[0])
    fix = "one word for its neighbours, three for an analogy: --text 'man woman king'"
    raise UsageError(f"{len(parts)} words: {text!r}", fix=fix)
