"""`kedja train`: the options of all models, in the panels of its help.

Which of them a model has is said in `families.py`, where their numbers make sense in `bounds.py`.
Not here: the training itself, one file for each family (`rows.py`, `language/`).
Next: `families.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from inspect import signature
from pathlib import Path
from typing import Annotated, Any

import typer

from kedja.cli import families
from kedja.cli.help import Shown, panel, table
from kedja.data import source
from kedja.ground.errors import DataError

MODEL, TRAINING, RUN = panel("Model"), panel("Training"), panel("Run")
TABLES, PICTURES, SOUND, SERIES = map(panel, ("Tables", "Pictures", "Sound", "Series"))
RATINGS, TEXT, TUNING = map(panel, ("Ratings", "Text", "Fine-tuning"))
MACHINES, ENVIRONMENTS = map(panel, ("Support-vector machines", "Environments"))
GAMES = panel("Board games")
FROM = {"base": "from"}  # `from` cannot name a parameter
ALL = (
    "No model has all of these options: add --model NAME, or DATA, to this line to see those that "
    "it has. The models, by what DATA holds:"
)
ALWAYS = ("data", "out", "resume", "threads", "json")  # what every run has


def train(
    command: typer.Context,
    data: Annotated[
        list[str],
        typer.Argument(help=f"{source.KINDS}.", metavar="DATA", show_default=False),
    ],
    model: Annotated[
        str | None, MODEL(help="The network; what suits DATA unless given.", metavar="NAME")
    ] = None,
    layers: Annotated[
        int | None, MODEL(help="Blocks of a transformer, or recurrent layers.")
    ] = None,
    width: Annotated[int | None, MODEL(help="Channels of a layer, or numbers of a code.")] = None,
    heads: Annotated[int | None, MODEL(help="Heads of attention.")] = None,
    hidden: Annotated[
        str | None, MODEL(help="The sizes of the hidden layers: 128,64.", metavar="SIZES")
    ] = None,
    widths: Annotated[
        str | None, MODEL(help="Channels of each stage: 16,32,64.", metavar="SIZES")
    ] = None,
    depth: Annotated[int | None, MODEL(help="Layers or blocks in each stage.")] = None,
    activation: Annotated[
        str | None, MODEL(help="relu, tanh, sigmoid, gelu …", metavar="NAME")
    ] = None,
    context: Annotated[
        int | None, MODEL(help="Tokens, or steps of a series, that are looked at together.")
    ] = None,
    dropout: Annotated[float | None, MODEL(help="The share dropped in training.")] = None,
    gamma: Annotated[
        float | None,
        MODEL(help="Of a kernel: how near examples must be; of an agent: how far it looks ahead."),
    ] = None,
    epochs: Annotated[
        int | None, TRAINING(help="Passes over the data, or over a round of an agent.")
    ] = None,
    steps: Annotated[
        int | None, TRAINING(help="Updates, for text; steps in environments, for agents.")
    ] = None,
    batch: Annotated[int | None, TRAINING(help="Examples in a minibatch.")] = None,
    optimizer: Annotated[
        str | None, TRAINING(help="sgd, adam, adamw, rmsprop, lion, muon …", metavar="NAME")
    ] = None,
    lr: Annotated[float | None, TRAINING(help="The learning rate.")] = None,
    schedule: Annotated[
        str | None,
        TRAINING(
            help="The rate over the run: constant, cosine, linear, one_cycle, step.", metavar="NAME"
        ),
    ] = None,
    warmup: Annotated[
        int | None, TRAINING(help="Updates in which the rate rises at first.")
    ] = None,
    weight_decay: Annotated[
        float | None, TRAINING(help="How much weights decay; times the rate.")
    ] = None,
    clip: Annotated[float | None, TRAINING(help="The largest norm of the gradients.")] = None,
    accumulate: Annotated[int | None, TRAINING(help="Batches for one update.")] = None,
    ema: Annotated[
        float | None, TRAINING(help="Test a running average of the weights: 0.999.")
    ] = None,
    precision: Annotated[
        str | None, TRAINING(help="The dtype of products: bfloat16.", metavar="DTYPE")
    ] = None,
    patience: Annotated[
        int | None, TRAINING(help="Evaluations without a better one that end the training.")
    ] = None,
    augment: Annotated[
        str | None,
        TRAINING(
            help="How they are changed: none, or of pictures some of shift, rotate, zoom, shear, "
            "flip, brightness, contrast, cutout, such as shift=0.1,rotate=10,flip; of sounds some "
            "of shift, stretch, warp, tilt, noise, frame_mask, band_mask.",
            metavar="CHANGES",
        ),
    ] = None,
    seed: Annotated[int | None, TRAINING(help="The same seed gives the same bits.")] = None,
    target: Annotated[
        str | None, TABLES(help="The column to predict; the last unless given.", metavar="COLUMN")
    ] = None,
    task: Annotated[
        str | None,
        TABLES(
            help="regression or classification, where few whole numbers may be either.",
            metavar="TASK",
        ),
    ] = None,
    size: Annotated[
        str | None,
        PICTURES(help="Pixels of the pictures: 48, or 48x64 (height × width).", metavar="SIDE"),
    ] = None,
    noise: Annotated[
        float | None,
        PICTURES(help="What an autoencoder's pictures are disturbed by, of 1 for the brightest."),
    ] = None,
    leave_out: Annotated[
        str | None,
        SOUND(
            help="Test on a speaker who is not trained on; `each` tests every one in turn.",
            metavar="SPEAKER",
        ),
    ] = None,
    pattern: Annotated[
        str | None,
        SOUND(help="What files are called: '{label}/{speaker}_{index}'.", metavar="PATTERN"),
    ] = None,
    seconds: Annotated[
        float | None, SOUND(help="How much of each recording is heard; nearly all unless given.")
    ] = None,
    rate: Annotated[
        int | None, SOUND(help="Samples a second; the recordings' own unless given.")
    ] = None,
    date: Annotated[str | None, SERIES(help="The column of dates.", metavar="COLUMN")] = None,
    horizon: Annotated[int | None, SERIES(help="How many steps are forecast.")] = None,
    season: Annotated[
        int | None, SERIES(help="Steps of a season, 1 for none; found unless given.")
    ] = None,
    level: Annotated[
        float | None, SERIES(help="The share of values that intervals should hold: 0.9.")
    ] = None,
    past: Annotated[
        str | None,
        SERIES(
            help="Further columns to learn from, of which the past is known.", metavar="COLUMNS"
        ),
    ] = None,
    known: Annotated[
        str | None, SERIES(help="Further columns that are known in advance.", metavar="COLUMNS")
    ] = None,
    every: Annotated[
        str | None, SERIES(help="Gather rows into steps: day, 15min, month.", metavar="STEP")
    ] = None,
    gather: Annotated[
        str | None, SERIES(help="How rows are gathered: mean, sum, last.", metavar="HOW")
    ] = None,
    day_first: Annotated[
        bool | None, SERIES("--day-first/--month-first", help="What 01/02/2024 is.")
    ] = None,
    only: Annotated[
        str | None,
        SERIES(help="One of several series in a file: store=north.", metavar="COLUMN=VALUE"),
    ] = None,
    implicit: Annotated[
        bool | None,
        RATINGS(
            "--implicit/--points", help="Rank what users met, or predict the points they gave."
        ),
    ] = None,
    tokenizer: Annotated[
        str | None,
        TEXT(help="characters, bytes, bpe, or a folder with a tokenizer.json.", metavar="KIND"),
    ] = None,
    vocabulary: Annotated[int | None, TEXT(help="How many tokens bpe learns.")] = None,
    lines: Annotated[
        bool | None, TEXT("--lines/--running", help="Each line is a text, or all are one.")
    ] = None,
    evaluations: Annotated[
        int | None, TEXT(help="How often held-out text is evaluated on the way.")
    ] = None,
    samples: Annotated[
        int | None, TEXT(help="How many texts are shown after each evaluation.")
    ] = None,
    balanced: Annotated[
        bool | None, TEXT("--balanced", help="Rare classes of texts count as much.")
    ] = None,
    base: Annotated[
        Path | None,
        TUNING(
            "--from", help="Teach this trained model to answer the prompts of DATA.", metavar="RUN"
        ),
    ] = None,
    lora: Annotated[
        int | None, TUNING(help="Learn adapters of this rank alone.", metavar="RANK")
    ] = None,
    merge: Annotated[
        bool | None, TUNING("--merge", help="Write the model with its adapters in it, too.")
    ] = None,
    test: Annotated[
        str | None,
        TUNING(
            help="What is tested on: a folder of pictures, a file of prompts; a part of DATA "
            "unless given.",
            metavar="PATH",
        ),
    ] = None,
    kernel: Annotated[str | None, MACHINES(help="linear, polynomial, rbf.", metavar="NAME")] = None,
    c: Annotated[
        float | None, MACHINES("--c", help="The cost of an example beyond its margin.")
    ] = None,
    recurrent: Annotated[
        bool | None, ENVIRONMENTS("--recurrent/--forward", help="Whether a policy remembers.")
    ] = None,
    population: Annotated[int | None, ENVIRONMENTS(help="Candidates of a generation.")] = None,
    sigma: Annotated[
        float | None, ENVIRONMENTS(help="How widely the first weights are spread.")
    ] = None,
    least: Annotated[
        float | None, ENVIRONMENTS(help="A step never falls below this share of sigma.")
    ] = None,
    generations: Annotated[int | None, ENVIRONMENTS(help="When to give up looking.")] = None,
    episodes: Annotated[
        int | None, ENVIRONMENTS(help="Episodes in which a candidate or an agent is tried.")
    ] = None,
    limit: Annotated[int | None, ENVIRONMENTS(help="Steps of an episode at most.")] = None,
    fitness: Annotated[
        str | None, ENVIRONMENTS(help="reward, or for poles gruau, which wants calm.")
    ] = None,
    goal: Annotated[
        float | None, ENVIRONMENTS(help="The fitness, or mean reward, that is enough.")
    ] = None,
    copies: Annotated[
        int | None, ENVIRONMENTS(help="Copies of the environment that are acted in together.")
    ] = None,
    rollout: Annotated[
        int | None, ENVIRONMENTS(help="Steps that each copy takes in a round.")
    ] = None,
    lam: Annotated[
        float | None,
        ENVIRONMENTS(help="λ of the advantages: 0 trusts what is expected, 1 what happens."),
    ] = None,
    epsilon: Annotated[
        float | None,
        ENVIRONMENTS(
            help="How far ppo moves from the policy that acted: 0.2; of dqn, the share of actions "
            "that are drawn in the end: 0.05."
        ),
    ] = None,
    explore: Annotated[
        int | None, ENVIRONMENTS(help="Steps in which ever fewer of dqn's actions are drawn.")
    ] = None,
    updates: Annotated[
        int | None, ENVIRONMENTS(help="Minibatches of remembered steps in a round of dqn.")
    ] = None,
    memory: Annotated[int | None, ENVIRONMENTS(help="How many steps dqn remembers.")] = None,
    target_every: Annotated[
        int | None, ENVIRONMENTS(help="Updates after which dqn's targets come from a new network.")
    ] = None,
    double: Annotated[
        bool | None, ENVIRONMENTS("--double/--single", help="Targets of double DQN, or of 2015's.")
    ] = None,
    dueling: Annotated[
        bool | None, ENVIRONMENTS("--dueling/--plain", help="Whether dqn has two heads.")
    ] = None,
    entropy: Annotated[
        float | None, ENVIRONMENTS(help="How much it counts that actions stay varied.")
    ] = None,
    spread: Annotated[
        float | None, ENVIRONMENTS(help="How widely continuous actions are drawn at first.")
    ] = None,
    iterations: Annotated[
        int | None, GAMES(help="How often games are played and learned from.")
    ] = None,
    games: Annotated[int | None, GAMES(help="Games of an iteration.")] = None,
    simulations: Annotated[int | None, GAMES(help="Of the search, for each move.")] = None,
    out: Annotated[
        Path | None, RUN(help="The run's folder; runs/NAME-MODEL unless given.", metavar="RUN")
    ] = None,
    resume: Annotated[bool, RUN("--resume", help="Go on with an earlier run.")] = False,
    threads: Annotated[int | None, RUN(help="Worker threads; one per core unless given.")] = None,
    json: Annotated[bool, RUN("--json", help="Print one JSON object.")] = False,
) -> None:
    """Train a network on DATA and test it; options that are not given are chosen to suit DATA."""
    given = {
        FROM.get(name, name): value
        for name, value in command.params.items()
        if value is not None and name not in ALWAYS
    }
    families.train(families.Request(tuple(data), given, out, resume, threads, json))


def narrowed(line: Mapping[str, Any]) -> Shown:
    """What help shows beside a model, or beside DATA that says which; everything beside neither."""
    given = {FROM.get(name, name): value for name, value in line.items()}
    try:
        model = families.named(given.pop("data", ()), given)
    except DataError:
        model = None  # what is wrong with DATA is said when it is trained on
    if model is None:
        return Shown(f"{ALL}\n\n{table(families.overview())}")
    has = families.MODELS[model].options(model)
    names = {each for each in signature(train).parameters if FROM.get(each, each) in has}
    return Shown(f"These are the options of {model} alone.", {*names, *ALWAYS})
