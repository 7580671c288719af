"""`kedja train`: the options of all models; which of them a model has is said in `families.py`.

Not here: the training itself, one file for each family (`rows.py`, `language/`).
Next: `families.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from kedja.cli import families

AGENTS: Any = {"rich_help_panel": "Environments"}


def train(
    command: typer.Context,
    data: Annotated[
        list[str],
        typer.Argument(
            help="digits, mnist, a folder with MNIST's files or with pictures in folders, "
            "CSV files, text files, JSON Lines, ratings, recordings, expressions, or an "
            "environment such as kedja/TwoPoles-v0.",
            show_default=False,
        ),
    ],
    model: Annotated[
        str | None,
        typer.Option(
            help="For rows: mlp, linear, svm; for pictures: cnn, resnet, autoencoder, and with "
            "captions clip; for text: gpt, rnn, lstm, gru, bert, embedding, encoder-decoder, "
            "text-classifier; for ratings: factors, two-tower; for sound: spectrogram-cnn; for "
            "series: autoregression, series-lstm, series-transformer; for environments: cma-es, "
            "genetic.",
            metavar="NAME",
            show_default="mlp, cnn or gpt",
        ),
    ] = None,
    base: Annotated[
        Path | None,
        typer.Option(
            "--from",
            help="Teach this trained model to answer the prompts of DATA.",
            metavar="RUN",
        ),
    ] = None,
    lora: Annotated[
        int | None, typer.Option(help="Learn adapters of this rank alone.", metavar="RANK")
    ] = None,
    merge: Annotated[
        bool | None,
        typer.Option("--merge", help="Write the model with its adapters in it, too."),
    ] = None,
    test: Annotated[
        str | None,
        typer.Option(help="Prompts to be asked; a tenth of DATA unless given.", metavar="FILE"),
    ] = None,
    layers: Annotated[
        int | None, typer.Option(help="Blocks of a gpt, or recurrent layers.")
    ] = None,
    heads: Annotated[int | None, typer.Option(help="Heads of attention.")] = None,
    width: Annotated[int | None, typer.Option(help="Channels of each token.")] = None,
    context: Annotated[int | None, typer.Option(help="Tokens that are looked at together.")] = None,
    dropout: Annotated[float | None, typer.Option(help="The share dropped in training.")] = None,
    tokenizer: Annotated[
        str | None,
        typer.Option(
            help="characters, bytes, bpe, or a folder with a tokenizer.json.", metavar="KIND"
        ),
    ] = None,
    vocabulary: Annotated[int | None, typer.Option(help="How many tokens bpe learns.")] = None,
    lines: Annotated[
        bool | None,
        typer.Option("--lines/--running", help="Each line is a text, or all are one."),
    ] = None,
    target: Annotated[
        str | None, typer.Option(help="The column to predict; the last unless given.")
    ] = None,
    horizon: Annotated[
        int | None, typer.Option(help="How many steps are forecast.", rich_help_panel="Series")
    ] = None,
    season: Annotated[
        int | None,
        typer.Option(
            help="Steps of a season, 1 for none; found unless given.", rich_help_panel="Series"
        ),
    ] = None,
    level: Annotated[
        float | None,
        typer.Option(
            help="The share of values that intervals should hold: 0.9.", rich_help_panel="Series"
        ),
    ] = None,
    date: Annotated[
        str | None,
        typer.Option(help="The column of dates.", metavar="COLUMN", rich_help_panel="Series"),
    ] = None,
    past: Annotated[
        str | None,
        typer.Option(
            help="Further columns to learn from, of which the past is known.",
            metavar="COLUMNS",
            rich_help_panel="Series",
        ),
    ] = None,
    known: Annotated[
        str | None,
        typer.Option(
            help="Further columns that are known in advance.",
            metavar="COLUMNS",
            rich_help_panel="Series",
        ),
    ] = None,
    every: Annotated[
        str | None,
        typer.Option(
            help="Gather rows into steps: day, 15min, month.",
            metavar="STEP",
            rich_help_panel="Series",
        ),
    ] = None,
    gather: Annotated[
        str | None,
        typer.Option(
            help="How rows are gathered: mean, sum, last.", metavar="HOW", rich_help_panel="Series"
        ),
    ] = None,
    day_first: Annotated[
        bool | None,
        typer.Option(
            "--day-first/--month-first", help="What 01/02/2024 is.", rich_help_panel="Series"
        ),
    ] = None,
    hidden: Annotated[
        str | None, typer.Option(help="The sizes of the hidden layers: 128,64.", metavar="SIZES")
    ] = None,
    activation: Annotated[
        str | None, typer.Option(help="relu, tanh, sigmoid, gelu …", metavar="NAME")
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(
            help="Pixels of the pictures: 48, or 48x64 (height × width).",
            metavar="SIDE",
            rich_help_panel="Pictures",
        ),
    ] = None,
    augment: Annotated[
        str | None,
        typer.Option(
            help="By how much they are changed: none, or shift=0.1,rotate=10,zoom=0.1,shear=0.1,"
            "flip,brightness=0.1,contrast=0.2,cutout=0.3.",
            metavar="CHANGES",
            rich_help_panel="Pictures",
        ),
    ] = None,
    widths: Annotated[
        str | None,
        typer.Option(
            help="Channels of each stage: 16,32,64.",
            metavar="SIZES",
            rich_help_panel="Pictures",
        ),
    ] = None,
    depth: Annotated[
        int | None,
        typer.Option(help="Layers or blocks in each stage.", rich_help_panel="Pictures"),
    ] = None,
    optimizer: Annotated[
        str | None, typer.Option(help="sgd, adam, adamw, rmsprop, lion, muon …", metavar="NAME")
    ] = None,
    lr: Annotated[float | None, typer.Option(help="The learning rate.")] = None,
    kernel: Annotated[
        str | None,
        typer.Option(help="Of an svm: linear, polynomial, rbf.", metavar="NAME"),
    ] = None,
    c: Annotated[
        float | None,
        typer.Option("--c", help="Of an svm: the cost of an example beyond its margin."),
    ] = None,
    gamma: Annotated[
        float | None, typer.Option(help="Of an svm's kernel: how near an example must be.")
    ] = None,
    schedule: Annotated[
        str | None,
        typer.Option(
            help="The rate over the run: constant, cosine, linear, one_cycle, step.", metavar="NAME"
        ),
    ] = None,
    warmup: Annotated[
        int | None, typer.Option(help="Updates in which the rate rises at first.")
    ] = None,
    clip: Annotated[float | None, typer.Option(help="The largest norm of the gradients.")] = None,
    accumulate: Annotated[int | None, typer.Option(help="Batches for one update.")] = None,
    ema: Annotated[
        float | None, typer.Option(help="Test a running average of the weights: 0.999.")
    ] = None,
    precision: Annotated[
        str | None, typer.Option(help="The dtype of products: bfloat16.", metavar="DTYPE")
    ] = None,
    weight_decay: Annotated[
        float | None, typer.Option(help="How much weights decay; times the rate.")
    ] = None,
    batch: Annotated[int | None, typer.Option(help="Examples in a minibatch.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the data.")] = None,
    steps: Annotated[int | None, typer.Option(help="Updates, for text.")] = None,
    recurrent: Annotated[
        bool | None,
        typer.Option("--recurrent/--forward", help="Whether a policy remembers.", **AGENTS),
    ] = None,
    population: Annotated[
        int | None, typer.Option(help="Candidates of a generation.", **AGENTS)
    ] = None,
    sigma: Annotated[
        float | None, typer.Option(help="How widely the first weights are spread.", **AGENTS)
    ] = None,
    generations: Annotated[
        int | None, typer.Option(help="When to give up looking.", **AGENTS)
    ] = None,
    episodes: Annotated[
        int | None, typer.Option(help="Episodes in which a candidate is tried.", **AGENTS)
    ] = None,
    limit: Annotated[
        int | None, typer.Option(help="Steps of an episode at most.", **AGENTS)
    ] = None,
    fitness: Annotated[
        str | None,
        typer.Option(help="reward, or for poles gruau, which wants calm.", **AGENTS),
    ] = None,
    goal: Annotated[
        float | None, typer.Option(help="The fitness that is enough.", **AGENTS)
    ] = None,
    balanced: Annotated[
        bool | None, typer.Option("--balanced", help="Rare classes of texts count as much.")
    ] = None,
    evaluations: Annotated[
        int | None, typer.Option(help="How often held-out text is evaluated on the way.")
    ] = None,
    patience: Annotated[
        int | None, typer.Option(help="Evaluations without a better one that end the training.")
    ] = None,
    samples: Annotated[
        int | None, typer.Option(help="How many texts are shown after each evaluation.")
    ] = None,
    noise: Annotated[
        float | None,
        typer.Option(
            help="What an autoencoder's pictures are disturbed by, of 1 for the brightest.",
            rich_help_panel="Pictures",
        ),
    ] = None,
    implicit: Annotated[
        bool | None,
        typer.Option(
            "--implicit/--points", help="Rank what users met, or predict the points they gave."
        ),
    ] = None,
    leave_out: Annotated[
        str | None,
        typer.Option(
            help="Test on a speaker who is not trained on; `each` tests every one in turn.",
            metavar="SPEAKER",
            rich_help_panel="Sound",
        ),
    ] = None,
    pattern: Annotated[
        str | None,
        typer.Option(
            help="What files are called: '{label}/{speaker}_{index}'.",
            metavar="PATTERN",
            rich_help_panel="Sound",
        ),
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(
            help="How much of each recording is heard; nearly all unless given.",
            rich_help_panel="Sound",
        ),
    ] = None,
    rate: Annotated[
        int | None,
        typer.Option(
            help="Samples a second; the recordings' own unless given.", rich_help_panel="Sound"
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="The same seed gives the same bits.")] = None,
    threads: Annotated[
        int | None, typer.Option(help="Worker threads; one per core unless given.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an earlier run.")] = False,
    out: Annotated[
        Path | None,
        typer.Option(help="The run's folder; runs/NAME-MODEL unless given.", metavar="RUN"),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Train a network on DATA and test it; options that are not given are chosen to suit DATA."""
    given = {name: value for name, value in command.params.items() if value is not None}
    if "base" in given:
        given["from"] = given.pop("base")
    for name in ("data", "out", "resume", "threads", "json"):
        given.pop(name, None)
    families.train(families.Request(tuple(data), given, out, resume, threads, json))
