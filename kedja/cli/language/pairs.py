"""`kedja train DATA --model encoder-decoder`: a network that turns one text into another.

DATA is `expressions`, arithmetic to be bracketed (`kedja/data/expressions.py`), or files of pairs:
lines of `<source> | <target>`, or JSON Lines with `prompt` and `answer`. Not here: what all runs
have in common (`../task.py`). Next: `labels.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from kedja import models, optim
from kedja.cli import task
from kedja.cli.asked import Asked
from kedja.cli.families import Request
from kedja.cli.output import say, write_text
from kedja.data import expressions, prompts
from kedja.data.batches import split_order
from kedja.ground.errors import UsageError
from kedja.models.translate import exact_match, translate
from kedja.train.history import History
from kedja.train.translation import characters, config_for, fit_translation

Pair = tuple[str, str]

EXPRESSIONS = expressions.NAME
TRAINED, LONGEST = (2, 7), 10  # numbers in an expression: trained, and asked for beside
COUNT, HELD, LONGER = 60_000, 1000, 200
SHARE = 0.1

USUAL = {
    "model": "encoder-decoder",
    "layers": 2,
    "heads": 4,
    "width": 64,
    "dropout": 0.0,
    "batch": 64,
    "epochs": 3,
    "lr": 2e-3,
    "seed": 0,
}
MANY_STEPS = 3000  # files of few pairs are seen more often, to this many steps


class Data(NamedTuple):
    """Pairs to train on, held-out ones, and further ones by what they are."""

    train: list[Pair]
    held: list[Pair]
    longer: dict[str, list[Pair]]


def train(request: Request) -> None:
    """Train an encoder–decoder on the pairs of DATA, and ask it for held-out ones."""
    given, usual = request.given, dict(USUAL)
    if "epochs" not in given and request.data != (EXPRESSIONS,) and request.earlier is None:
        pairs = len(_data(request.data, given.get("seed", 0)).train)
        batch = given.get("batch", USUAL["batch"])
        usual["epochs"] = max(3, min(200, round(MANY_STEPS * batch / pairs)))
    task.run(request, usual, _prepare)


def _prepare(files: tuple[str, ...], made: task.Options) -> task.Prepared:
    data = _data(files, made["seed"])
    tokenizer = characters([*data.train, *data.held])
    sizes = {"d_model": made["width"], "d_ff": 4 * made["width"], "num_layers": made["layers"]}
    config = config_for(tokenizer, num_heads=made["heads"], dropout=made["dropout"], **sizes)

    def fit(**options: Any) -> History:
        rate = optim.AdamW(made["lr"])
        held = data.held[: len(data.train)]
        return fit_translation(
            data.train, validation=_short(data.train, held), tokenizer=tokenizer, config=config,
            optimizer=rate, **options,
        )[0]  # fmt: skip

    about = f"{len(data.train):,} pairs to train on, {len(data.held):,} held out"
    text = data.held[0][0]
    return task.Prepared(
        models.EncoderDecoder(config),
        tokenizer,
        [about],
        fit,
        partial(_figures, data, tokenizer),
        _told,
        f"--text '{text}'",
    )


def _short(train: Sequence[Pair], held: Sequence[Pair]) -> list[Pair]:
    """Held-out pairs that are no longer than those to train on: only these fit the same rows."""
    most = [max(len(pair[side]) for pair in train) for side in (0, 1)]
    return [pair for pair in held if len(pair[0]) <= most[0] and len(pair[1]) <= most[1]]


def _data(files: Sequence[str], seed: int) -> Data:
    """Pairs from the generator of expressions, or from files, a tenth of them held out."""
    if EXPRESSIONS in files:
        if len(files) > 1:
            raise UsageError(f"{EXPRESSIONS} and files", fix="give one or the other")
        return _expressions(seed)
    pairs = [(each.prompt, each.answer) for file in files for each in prompts.read(file)]
    pairs = list(dict.fromkeys(pairs))
    held = round(SHARE * len(pairs))
    if not held:
        raise UsageError(f"{len(pairs)} different pairs", fix="give at least 10")
    order = split_order(len(pairs), seed).tolist()
    return Data([pairs[i] for i in order[held:]], [pairs[i] for i in order[:held]], {})


def _expressions(seed: int) -> Data:
    def bracketed(texts: Sequence[str]) -> list[Pair]:
        return [(text, expressions.bracket(text)) for text in texts]

    drawn = bracketed(expressions.draw(COUNT, *TRAINED, seed=seed))
    longer = {
        f"{numbers} numbers": bracketed(expressions.draw(LONGER, numbers, numbers, seed=seed))
        for numbers in range(TRAINED[1] + 1, LONGEST + 1)
    }
    return Data(drawn[HELD:], drawn[:HELD], longer)


# ------------------------------------------------------------------------------- figures


def _figures(data: Data, tokenizer: Any, model: Any) -> dict[str, Any]:
    """Exact match on held-out pairs; for expressions, what ignoring precedence would reach."""
    found: dict[str, Any] = {
        "train_pairs": len(data.train),
        "test_pairs": len(data.held),
        "test_exact_match": exact_match(model, data.held, tokenizer=tokenizer),
    }
    if data.longer:
        right = [_from_the_left(source) == target for source, target in data.held]
        found["from_the_left"] = sum(right) / len(right)
        found["longer"] = {
            name: exact_match(model, pairs, tokenizer=tokenizer)
            for name, pairs in data.longer.items()
        }
    return found


def _from_the_left(expression: str) -> str:
    """Brackets from the left, whatever the operators: right where precedence does not matter."""
    total = expression[0]
    for place in range(1, len(expression), 2):
        total = f"({total}{expression[place : place + 2]})"
    return total


def _told(results: Mapping[str, Any]) -> list[str]:
    count = results["test_pairs"]
    lines = [f"exact match {results['test_exact_match']:.1%} on {count:,} held-out pairs"]
    if "longer" in results:
        lines[0] += f", brackets from the left alone {results['from_the_left']:.1%}"
        parts = ", ".join(f"{name} {share:.1%}" for name, share in results["longer"].items())
        lines.append(f"longer than trained ({TRAINED[0]} to {TRAINED[1]} numbers): {parts}")
    return lines


# ------------------------------------------------------------------------------- asking


def predict(asked: Asked) -> None:
    """Print what becomes of each text; `--explain` shows whereto each token of it looked."""
    model, tokenizer = asked.model, asked.tokenizer
    found = translate(model, [text for _, text in asked.texts()], tokenizer=tokenizer)
    if asked.plot is not None:
        write_text(asked.plot, _looked(model, found[0], tokenizer).svg())
    if asked.json:
        asked.tell([each._asdict() for each in found])
        return
    for each in found:
        cut = "" if each.finished else "  (cut: it did not end)"
        say(f"{each.source} -> {each.text}{cut}")
        if asked.explain:
            say(_looked(model, each, tokenizer).text())


def _looked(model: Any, found: models.Translation, tokenizer: Any) -> models.Attention:
    return models.cross_attention(model, found.source, found.text, tokenizer=tokenizer)
