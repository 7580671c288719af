"""`kedja train FILE… --model text-classifier`: e-mails and the like into classes.

DATA is JSON Lines with `text`, `label` and perhaps `id`, which is carried through to what
`kedja predict` prints. Not here: what all runs have in common (`../task.py`). Next: `masked.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from kedja import models, optim
from kedja.cli import judging, runs, task
from kedja.cli.asked import Asked, chosen
from kedja.cli.families import Request
from kedja.cli.output import note, say
from kedja.data import jsonlines, labelled, learned
from kedja.data.labelled import Labelled
from kedja.ground.errors import DataError, UsageError
from kedja.ground.suggest import listed
from kedja.inspection.judged import Judged
from kedja.models.text_classifier import Label, classify
from kedja.train import classification
from kedja.train.classification import Quality
from kedja.train.history import History

SHARE = 0.2  # of each class is held out
SHOWN = 8  # words of a text, with --explain; classes in a line
UNBALANCED = 10  # times rarer than the commonest class

USUAL = {
    "model": "text-classifier",
    "width": 64,
    "dropout": 0.2,
    "balanced": False,
    "batch": 32,
    "lr": classification.RATE,
    "weight_decay": classification.DECAY,
    "seed": 0,
}


def train(request: Request) -> None:
    """Train a classifier on the texts of DATA, and test it on a fifth of each class."""
    usual = dict(USUAL)
    if "epochs" not in request.given and request.earlier is None:
        count = len(_read(request.data))
        batch = request.given.get("batch", USUAL["batch"])
        usual["epochs"] = classification.usual_epochs(count, batch)
    task.run(request, usual, _prepare)


def _read(files: Sequence[str]) -> list[Labelled]:
    return [each for file in files for each in labelled.read(file)]


def _prepare(files: tuple[str, ...], made: task.Options) -> task.Prepared:
    found = _read(files)
    if learned.is_alone():
        rows, _ = classification.stratified(
            [str(each.label) for each in found], SHARE, made["seed"]
        )
        found = [found[row] for row in rows.tolist()]
    labels = [str(each.label) for each in found]
    train, test = classification.stratified(labels, SHARE, made["seed"])
    parts = [_part(found, rows.tolist()) for rows in (train, test)]
    if not parts[1][0]:
        raise DataError("too few texts to test on", fix="give five or more of each class")
    texts, names = parts[0]
    tokenizer = classification.vocabulary(texts)
    sizes = {"width": made["width"], "dropout": made["dropout"]}
    config = classification.config_for(tokenizer, labels, **sizes)

    def fit(**options: Any) -> History:
        rate = optim.AdamW(made["lr"], weight_decay=made["weight_decay"])
        return classification.fit_text_classifier(
            texts, names, validation=parts[1], tokenizer=tokenizer, config=config,
            balanced=made["balanced"], optimizer=rate, **options,
        )[0]  # fmt: skip

    return task.Prepared(
        models.TextClassifier(config),
        tokenizer,
        list(_about(labels, len(texts))),
        fit,
        partial(_figures, parts, tokenizer),
        _told,
        "FILE.jsonl",
    )


def _part(found: Sequence[Labelled], rows: Sequence[int]) -> tuple[list[str], list[str]]:
    return [found[row].text for row in rows], [str(found[row].label) for row in rows]


def _about(labels: Sequence[str], trained: int) -> Iterator[str]:
    counts = Counter(labels).most_common()
    yield f"{trained:,} texts to train on, {len(labels) - trained:,} held out"
    named = listed([f"{name} ({count:,})" for name, count in counts], SHOWN)
    yield f"{len(counts)} classes: {named}"
    if counts[0][1] >= UNBALANCED * counts[-1][1]:
        yield f"{counts[-1][0]} is rare: --balanced makes all classes count alike"


# ------------------------------------------------------------------------------- figures


def _figures(parts: Sequence[tuple[list[str], list[str]]], tokenizer: Any, model: Any) -> Any:
    """Accuracy, that of rare classes too, and the baselines' on the same texts."""
    (texts, labels), (asked, true) = parts
    classes = model.config.classes
    mine = classification.evaluate_classifier(model, asked, true, tokenizer=tokenizer)
    usual = [classification.most_frequent(labels)] * len(true)
    words = classification.bag_of_words(texts, labels, asked, tokenizer=tokenizer)
    return {
        "train_examples": len(texts),
        "test_examples": len(true),
        "test_accuracy": mine.accuracy,
        "test_balanced_accuracy": mine.balanced_accuracy,
        "bag_of_words_accuracy": classification.quality(words, true, classes).accuracy,
        "most_frequent_accuracy": classification.quality(usual, true, classes).accuracy,
        "classes": {name: asdict(of) for name, of in mine.classes.items()},
    }


def _told(results: Mapping[str, Any]) -> list[str]:
    lines = [
        f"test accuracy {results['test_accuracy']:.2%} on {results['test_examples']:,} texts "
        f"(mean of the classes {results['test_balanced_accuracy']:.2%})",
        f"beside it: words by logistic regression {results['bag_of_words_accuracy']:.2%}, "
        f"the most frequent class {results['most_frequent_accuracy']:.2%}",
    ]
    worst = sorted(results["classes"].items(), key=lambda pair: pair[1]["recall"])[:SHOWN]
    parts = (f"{name} {of['recall']:.0%} of {of['count']}" for name, of in worst if of["count"])
    return [*lines, f"found of each class: {', '.join(parts)}"]


# ------------------------------------------------------------------------------- asking


def predict(asked: Asked) -> None:
    """Print each text's class; `--explain` shows the words that spoke for it most."""
    if asked.plot is not None:
        raise UsageError("a classifier of texts draws nothing", fix="leave --plot out")
    model, tokenizer = asked.model, asked.tokenizer
    given = list(_given(asked))
    found = classify(model, [each.text for each in given], tokenizer=tokenizer)
    rows = list(zip(given, found, strict=True))
    known = [row for row in rows if row[0].label is not None]
    checked = _checked(known, model.config.classes) if known else None
    if asked.json:
        quality = {} if checked is None else {"quality": asdict(checked)}
        asked.tell([_json(*row) for row in rows], **quality)
        return
    width = max(len(_place(each)) for each in given)
    for each, answer in rows:
        say(f"{_place(each).ljust(width)}  {chosen(answer)}")
        if asked.explain:
            say(f"{' ' * width}  {_words(answer)}")
    if checked is not None:
        note(_verdict(checked, len(known)))


def _checked(rows: Sequence[tuple[Labelled, Label]], classes: Sequence[str]) -> Quality:
    """How good the answers are where the files say what is right."""
    said, true = [answer.label for _, answer in rows], [str(given.label) for given, _ in rows]
    return classification.quality(said, true, classes)


def _verdict(of: Quality, count: int) -> str:
    text = f"{of.accuracy:.2%} of {count:,} labelled texts are right"
    if not of.unseen:
        return text
    names = ", ".join(f"{name} ({times})" for name, times in of.unseen.items())
    return f"{text}; labels that were never trained: {names}"


def _given(asked: Asked) -> Iterator[Labelled]:
    """The texts of the command line, of JSON Lines, or of text files line by line."""
    records = [file for file in asked.files if jsonlines.is_named_so(file)]
    for _, found in asked.each(records, lambda file: list(labelled.read(file, labels=False))):
        yield from found
    lines = [file for file in asked.files if file not in records]
    if lines or asked.given or not records:
        for where, text in asked.texts(lines):
            yield Labelled(text, None, None, where)


def _place(given: Labelled) -> str:
    return given.where if given.id is None else str(given.id)


def _json(given: Labelled, answer: Label) -> dict[str, Any]:
    return {
        "id": given.id,
        "where": given.where,
        "label": answer.label,
        "probability": answer.probabilities[answer.label],
        "probabilities": answer.probabilities,
    }


def _words(answer: Label) -> str:
    """The words with the largest shares, for and against."""
    strongest = sorted(answer.words, key=lambda pair: -abs(pair[1]))[:SHOWN]
    return ", ".join(f"{word} {share:+.2f}" for word, share in strongest) or "no words"


# ------------------------------------------------------------------------------- judging


def judged(run: Path, data: str | None) -> Judged:
    """Whether each text of `data`, or of those held out of the training, is classified right."""
    own = [data] if data else list(runs.sources_of(run))
    saved, seed = models.load(run), runs.read(run, lambda content: int(content["recipe"]["seed"]))
    given = _read(own)
    rows: Sequence[int] = range(len(given))
    if data is None:
        labels = [str(each.label) for each in given]
        rows = classification.stratified(labels, SHARE, seed)[1].tolist()
        judging.require_same(run, ", ".join(own), len(rows))
    texts, true = _part(given, rows)
    assert saved.tokenizer is not None
    found = classify(saved.model, texts, tokenizer=saved.tokenizer)
    said = [each.label for each in found]
    return judging.by_names(", ".join(own), true, said, _columns(own, rows))


def _columns(files: Sequence[str], rows: Sequence[int]) -> dict[str, Any]:
    """What else the objects hold, and how many words their texts have."""
    records = [record for file in files for _, record in jsonlines.records(file, labelled.EXAMPLE)]
    chosen = [records[row] for row in rows]
    names = dict.fromkeys(name for record in chosen for name in record)
    rest = [name for name in names if name not in ("text", "label")]
    words = {"words": [len(str(record["text"]).split()) for record in chosen]}
    return words | {name: [_cell(record.get(name)) for record in chosen] for name in rest}


def _cell(value: Any) -> Any:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if value is None or number or isinstance(value, str) else str(value)
