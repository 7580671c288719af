"""`kedja generate`: text from a language model, token by token.

The text appears on standard output as it is drawn. Several samples follow each other, one to a
line, or divided by lines of dashes where a sample has several lines. Not here: the drawing itself
(`kedja/models/generate.py`), training (`train.py`). Next: `attention.py`.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from kedja.cli import runs
from kedja.cli.help import panel
from kedja.cli.language import texts
from kedja.cli.output import note, say, say_json
from kedja.front.tables import plain
from kedja.ground.errors import UsageError
from kedja.models import folder
from kedja.models.generate import Choice, Sample, stream

TEXT, DRAWING, OUTPUT = panel("Text"), panel("Drawing"), panel("Output")
DTYPES = ("float32", "bfloat16", "float16", "float64")
DIVIDER = "-" * 40
NUMBERS = ("probability", "bits")


def generate(
    run: Annotated[
        Path,
        typer.Argument(help="The folder of a run, or of a GPT-2.", show_default=False),
    ],
    prompt: Annotated[str, TEXT(help="What the text begins with.")] = "",
    tokens: Annotated[int, TEXT(help="The most tokens of a sample.")] = 200,
    stop: Annotated[
        list[str] | None,
        TEXT(help="End before this text; may be given several times.", metavar="TEXT"),
    ] = None,
    count: Annotated[int, TEXT(help="How many samples.")] = 1,
    temperature: Annotated[
        float, DRAWING(help="Below 1 safer, above 1 wilder; 0: the most probable token.")
    ] = 1.0,
    top_k: Annotated[
        int | None, DRAWING("--top-k", help="Draw from the k most probable tokens.")
    ] = None,
    top_p: Annotated[
        float | None,
        DRAWING("--top-p", help="Draw from the fewest tokens with this probability together."),
    ] = None,
    seed: Annotated[int, DRAWING(help="The same seed gives the same text.")] = 0,
    dtype: Annotated[
        str | None, DRAWING(help="The dtype of the weights: bfloat16.", metavar="DTYPE")
    ] = None,
    explain: Annotated[
        bool, OUTPUT("--explain", help="Each token's probability, runners-up and surprise.")
    ] = False,
    json: Annotated[bool, OUTPUT("--json", help="Print one JSON object.")] = False,
) -> None:
    """Write text with the language model of RUN, after a prompt."""
    if dtype is not None and dtype not in DTYPES:
        raise UsageError(f"--dtype {dtype}", fix=f"one of {', '.join(DTYPES)}")
    model, tokenizer = folder.load(run, dtype)
    if tokenizer is None:
        what = f"{run} has no {folder.TOKENIZER}, so there is no text"
        raise UsageError(what, fix="copy the tokenizer.json of the model into it")
    _require_list(run, prompt)
    options: dict[str, Any] = {
        "tokens": tokens,
        "temperature": temperature,
        "top_k": top_k,
        "top_p": top_p,
        "stop": stop or (),
        "seed": seed,
        "count": count,
    }
    pieces = stream(model, prompt, tokenizer, **options, explain=explain)
    shown = None if json or explain or count > 1 else prompt
    samples = _drawn(pieces, shown, count)
    if json:
        say_json({"run": str(run), "prompt": prompt, **options, "samples": _jsons(samples)})
    elif shown is None:
        _say(samples, prompt, explain)
    _tell(samples, model)


def _require_list(run: Path, prompt: str) -> None:
    """Raise UsageError for a prompt without a tag, where a run has learned several lists.

    Each line that it learned began with its list's tag, so that it goes on from nothing else.
    """
    if not runs.path(run).exists():
        return
    lines = runs.read(run, lambda content: bool(content["recipe"].get("lines")))
    tags = texts.tags(runs.sources_of(run), lines) if lines else []
    if tags and not prompt.startswith(tuple(tags)):
        what = f"the run has learned several lists, and the prompt {prompt!r} names none of them"
        examples = (shlex.quote(f"{tag}{prompt}") for tag in tags)
        raise UsageError(what, fix=" or ".join(f"--prompt {each}" for each in examples))


def _drawn(pieces: Any, shown: str | None, count: int) -> list[Sample]:
    """All samples; one alone is written while it grows, after `shown`."""
    found: list[Sample | None] = [None] * count
    begun = False
    for piece in pieces:
        found[piece.number] = piece.whole
        if shown is None:
            continue
        sys.stdout.write(piece.text if begun else shown + piece.text)
        sys.stdout.flush()
        begun = True
    if begun:
        say()
    return [each for each in found if each is not None]


def _say(samples: Sequence[Sample], prompt: str, explain: bool) -> None:
    """Whole samples, one after the other."""
    texts = [prompt + each.text for each in samples]
    divided = explain or any("\n" in text for text in texts)
    for number, (sample, text) in enumerate(zip(samples, texts, strict=True)):
        if divided and number:
            say(DIVIDER)
        say(text)
        if explain:
            say()
            say(table(sample.choices))


def table(choices: Sequence[Choice]) -> str:
    """One line for each token, and the mean of the surprise."""
    rows = [
        [_visible(each.text), f"{each.probability:.1%}", f"{each.bits:.2f}", _runners(each)]
        for each in choices
    ]
    mean = sum(each.bits for each in choices) / max(1, len(choices))
    lines = plain(("token", *NUMBERS, "runners-up"), rows, NUMBERS)
    return f"{lines}\n\n{mean:.2f} bits per token; probabilities are the model's own"


def _runners(each: Choice) -> str:
    return ", ".join(f"{_visible(text)} {share:.1%}" for text, share in each.runners)


def _visible(text: str) -> str:
    """Text whose spaces and line ends can be seen."""
    return text if text.isprintable() and text.strip() == text and text else repr(text)


def _jsons(samples: Sequence[Sample]) -> list[dict[str, Any]]:
    return [
        {
            "text": each.text,
            "tokens": each.tokens.tolist(),
            "ended": each.ended,
            **({"choices": [choice._asdict() for choice in each.choices]} if each.choices else {}),
        }
        for each in samples
    ]


def _tell(samples: Sequence[Sample], model: Any) -> None:
    """Say what a reader would not expect."""
    longest = max(each.tokens.size for each in samples)
    if model.context is not None and longest >= model.context:
        note(
            f"longer than the model's context of {model.context} tokens: where it was full, "
            f"the text went on from its latest half"
        )
