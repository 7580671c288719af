"""Prompts and their answers: what a model that speaks already is taught to say to a question.

Not here: how they become tokens and a loss (`kedja/train/answers.py`). Next: `labelled.py`.

Two kinds of files: text with one `<sentence> | <answer>` on each line (the last `|` divides), and
JSON Lines with `prompt` and `answer`. What a model reads is the prompt, a blank, the answer, and
the token that ends a text; a `|` is not among it, which the text before may never have had.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from kedja.data import jsonlines
from kedja.data import text as textfile
from kedja.data.batches import split_order
from kedja.ground.errors import DataError, UsageError

MARK = "|"
EXAMPLE = {"prompt": "2 + 2 =", "answer": "4"}


@dataclass(frozen=True)
class Prompt:
    """A prompt, its answer, and where it stands, for errors."""

    prompt: str
    answer: str
    where: str = ""


def read(path: str | os.PathLike[str]) -> list[Prompt]:
    """The prompts of a file, `.jsonl` or text.

    Raises DataError as `text.pieces` does, and where a line has no prompt or no answer.
    """
    return list(_from_json(path) if jsonlines.is_named_so(path) else _from_text(path))


def are_in(path: str | os.PathLike[str]) -> bool:
    """Whether a file seems to hold prompts: by its name, or by a `|` in its first line."""
    if jsonlines.is_named_so(path):
        return True
    first = next(iter(textfile.lines(path)), (0, ""))[1]
    return MARK in first


def divide(
    prompts: Sequence[Prompt], validation: float, seed: int
) -> tuple[list[Prompt], list[Prompt]]:
    """What to train on and what to hold out, drawn by the seed; equal prompts go together.

    Raises UsageError where a part would be empty.
    """
    if not 0 < validation < 1:
        raise UsageError(f"validation is {validation}", fix="a fraction between 0 and 1")
    names = list(dict.fromkeys(each.prompt for each in prompts))
    held = round(len(names) * validation)
    if not 0 < held < len(names):
        what = f"validation={validation} of {len(names)} different prompts leaves one part empty"
        raise UsageError(what, fix="give more prompts, or another fraction")
    drawn = {names[place] for place in np.sort(split_order(len(names), seed)[:held]).tolist()}
    train = [each for each in prompts if each.prompt not in drawn]
    return train, [each for each in prompts if each.prompt in drawn]


def _from_json(path: str | os.PathLike[str]) -> Iterator[Prompt]:
    for where, record in jsonlines.records(path, EXAMPLE):
        prompt = jsonlines.text(record, "prompt", where)
        answer = jsonlines.text(record, "answer", where)
        yield Prompt(prompt.strip(), answer.strip(), where)


def _from_text(path: str | os.PathLike[str]) -> Iterator[Prompt]:
    for number, line in textfile.lines(path):
        where = f"{os.fspath(path)}, line {number}"
        prompt, mark, answer = (each.strip() for each in line.rpartition(MARK))
        if not (prompt and answer):
            raise DataError(_reason(line, mark, prompt), where=where, fix=_fix(line))
        yield Prompt(prompt, answer, where)


def _reason(line: str, mark: str, prompt: str) -> str:
    if not mark:
        return f"there is no {MARK!r} between a sentence and its answer: {line.strip()[:40]!r}"
    return f"there is no {'answer after' if prompt else 'sentence before'} the {MARK!r}"


def _fix(line: str) -> str:
    if line.lstrip().startswith("{"):
        return "call a file of JSON objects .jsonl"
    return "write: Where was Ada born? | London"
