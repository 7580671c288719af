"""`kedja train FILE… --model bert`: a model that fills in hidden words of running text.

Not here: what all runs have in common (`../task.py`), the training (`kedja/train/masked.py`).
Next: `vectors.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from kedja import models, optim
from kedja.cli import task
from kedja.cli.asked import Asked
from kedja.cli.families import Request
from kedja.cli.output import say
from kedja.data import text as textfile
from kedja.data.corpus import Corpus
from kedja.data.words import MASK, UNKNOWN, Words
from kedja.models.bert import Filled, fill
from kedja.train import masked
from kedja.train.history import History

LEAST = 2  # words that occur less often are not learned

USUAL = {
    "model": "bert",
    "layers": 2,
    "heads": 4,
    "width": 128,
    "context": 64,
    "dropout": 0.1,
    "vocabulary": 8000,
    "batch": 32,
    "epochs": 60,
    "lr": masked.RATE,
    "weight_decay": 0.01,
    "seed": 0,
}


def train(request: Request) -> None:
    """Train a masked language model on the texts of DATA; the last tenth is held out."""
    task.run(request, USUAL, _prepare)


def words(files: tuple[str, ...], most: int, least: int, specials: list[str]) -> Words:
    """The words of text files, read piece by piece; one that is cut between two may be lost."""
    pieces = (line for file in files for _, line in textfile.lines(file))
    return Words.of(pieces, most, least=least, specials=specials)


def _prepare(files: tuple[str, ...], made: task.Options) -> task.Prepared:
    tokenizer = words(files, made["vocabulary"], LEAST, [UNKNOWN, MASK])
    train, held = Corpus.read(files, tokenizer).split(seed=made["seed"])
    config = masked.config_for(
        tokenizer,
        hidden_size=made["width"],
        intermediate_size=4 * made["width"],
        num_hidden_layers=made["layers"],
        num_attention_heads=made["heads"],
        max_position_embeddings=made["context"],
        dropout=made["dropout"],
    )

    def fit(**options: Any) -> History:
        rate = optim.AdamW(made["lr"], weight_decay=made["weight_decay"])
        return masked.fit_masked(train, validation=held, config=config, optimizer=rate, **options)

    return task.Prepared(
        models.Bert(config),
        tokenizer,
        list(_about(tokenizer, train, held)),
        fit,
        partial(_figures, train, held),
        _told,
        f'--text "… {MASK} …"',
    )


def _about(tokenizer: Words, train: Corpus, held: Corpus) -> Iterator[str]:
    yield f"{len(train):,} words to train on, {len(held):,} held out"
    rare = float((held.tokens >= len(tokenizer.words)).mean())
    yield f"{len(tokenizer.words):,} words are learned, {rare:.1%} of the held-out are others"


def _figures(train: Corpus, held: Corpus, model: Any) -> dict[str, Any]:
    found = masked.evaluate_masked(model, held, train)
    return {f"test_{name}": value for name, value in found._asdict().items()}


def _told(results: Mapping[str, Any]) -> list[str]:
    return [
        f"hidden words of held-out text: {results['test_accuracy']:.2%} guessed, "
        f"{results['test_loss']:.3f} nats each, on {results['test_words']:,} words",
        f"a guess by frequency alone: {results['test_unigram_accuracy']:.2%}, "
        f"{results['test_unigram_loss']:.3f} nats",
    ]


# ------------------------------------------------------------------------------- asking


def predict(asked: Asked) -> None:
    """Print each text with its blanks filled, and the likeliest words for each blank."""
    asked.require_plain("a masked language model")
    model, tokenizer = asked.model, asked.tokenizer
    found = [fill(model, text, tokenizer=tokenizer) for _, text in asked.texts()]
    if asked.json:
        asked.tell([_json(each) for each in found])
        return
    for each in found:
        say(each.text)
        for blank in each.blanks:
            shares = ", ".join(f"{word} {share:.1%}" for word, share in blank.guesses)
            say(f"  word {blank.place + 1}: {shares}")


def _json(found: Filled) -> dict[str, Any]:
    blanks = [{"place": each.place, "guesses": dict(each.guesses)} for each in found.blanks]
    return {"text": found.text, "blanks": blanks}
