"""`kedja train FILE… --model gpt|rnn|lstm|gru`: a model that predicts the next token.

Not here: which options suit which text (`recipe.py`), what the files are (`texts.py`), the training
itself (`kedja/train/language.py`). Next: `kedja/cli/generate.py`.

The run's folder is a model's folder (`kj.models.load` reads it): `config.json` and `tokenizer.json`
stand there from the start, `model.safetensors` from the end; before, the checkpoint has the
weights. `run.json` is as `runs.py` says.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kedja import models
from kedja.cli import runs
from kedja.cli.families import Request
from kedja.cli.language import texts
from kedja.cli.language.recipe import Recipe, Text, estimate, recipe, require_unchanged
from kedja.cli.output import note, say, say_json
from kedja.data import tokenizer as tokenizers
from kedja.data.corpus import Corpus
from kedja.data.tokens import Tokenizer
from kedja.front import random
from kedja.models import folder as folders
from kedja.train import EarlyStopping, checkpoint, language
from kedja.train.history import Epoch, History

SAMPLES = {True: 5, False: 1}  # for lists, for running text
SAMPLE_TOKENS = 200


@dataclass(frozen=True)
class Job:
    """A run that is about to begin or to go on."""

    folder: Path
    data: tuple[str, ...]
    recipe: Recipe
    train: Corpus
    held: Corpus

    @property
    def tags(self) -> list[str]:
        """The tokens that ask for one of several lists."""
        return texts.tags(self.data, self.recipe.lines)

    def record(self, results: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The content of `run.json`."""
        source = {"source": list(self.data)}
        return {"data": source, "recipe": self.recipe.to_json(), "results": results}


def train(request: Request) -> None:
    """Train a model on the texts of DATA and evaluate it on what is held out of them."""
    given = dict(request.given)
    samples = given.pop("samples", None)
    job = _start(request, given)
    with runs.resumable(runs.command(job.data, job.folder), job.folder):
        history = _trained(job, request, samples)
        results = _results(job, history)
        folders.save(job.folder, history.model, job.train.tokenizer)
        runs.write(job.folder, job.record(results))
    if request.json:
        say_json(results)
    else:
        say(summary(results))


# ------------------------------------------------------------------------------- the start


def _start(request: Request, given: Mapping[str, Any]) -> Job:
    """The run's folder, its options and its text; what was recognised and chosen is printed."""
    folder = request.resumed()
    job = _fresh(request, given) if folder is None else _continued(folder, request, given)
    runs.write(job.folder, job.record())
    lines = texts.describe(job.data, job.train, job.held)
    seconds = estimate(job.recipe, _text(job.train), _cores(request.threads))
    about = f"some {seconds:,.0f} s" if seconds >= 1 else "a second"
    for line in (*lines, job.recipe.text, f"{about} on this machine", f"run: {job.folder}"):
        note(line)
    return job


def _fresh(request: Request, given: Mapping[str, Any]) -> Job:
    files = request.data
    lines = given["lines"] if "lines" in given else texts.is_list(files)
    tokenizer = _tokenizer(files, lines, given)
    train, held = _divided(files, tokenizer, lines, given.get("seed", 0))
    model = given.get("model", "gpt")
    made = recipe(model, _text(train), _cores(request.threads), {**given, "lines": lines})
    for part in (train, held):
        language.drawn(part, made.context, 1)  # too little text is told before there is a folder
    folder = runs.fresh(request.out, "-".join(Path(file).stem for file in files[:2]), model)
    job = Job(folder, files, made, train, held)
    folders.describe(folder, network(made, tokenizer.size), tokenizer)
    return job


def _continued(folder: Path, request: Request, given: Mapping[str, Any]) -> Job:
    made = runs.read(folder, lambda content: Recipe(**content["recipe"]))
    files = runs.sources_of(folder)
    runs.require_same_data(folder, request.data, files)
    require_unchanged(made, given)
    tokenizer = tokenizers.load(folder)
    return Job(folder, files, made, *_divided(files, tokenizer, made.lines, made.seed))


def _tokenizer(files: tuple[str, ...], lines: bool, given: Mapping[str, Any]) -> Tokenizer:
    specials = [texts.END, *texts.tags(files, lines)] if lines else []
    return texts.tokenizer(files, given.get("tokenizer"), given.get("vocabulary"), specials)


def _divided(
    files: tuple[str, ...], tokenizer: Tokenizer, lines: bool, seed: int
) -> tuple[Corpus, Corpus]:
    whole = Corpus.read(files, tokenizer, lines=lines, tags=texts.tags(files, lines))
    return whole.split(seed=seed)


def _text(train: Corpus) -> Text:
    """What the choice of sizes depends on."""
    about = Text(len(train), train.tokenizer.size)
    if train.documents is None:
        return about
    sizes = train.documents[:, 1] - train.documents[:, 0] - 1
    return about._replace(longest=int(sizes.max()), mean=float(sizes.mean()))


def _cores(threads: int | None) -> int:
    available = getattr(os, "sched_getaffinity", None)
    return threads or (len(available(0)) if available else os.cpu_count() or 1)


def network(made: Recipe, vocabulary: int) -> Any:
    """The model of a recipe, its weights drawn by the recipe's seed."""
    random.seed(made.seed)
    if made.heads is None:
        return models.RecurrentLM(
            models.RecurrentConfig(vocabulary, made.width, made.layers, made.model, made.dropout)
        )
    config = models.GPT2Config(
        vocab_size=vocabulary,
        n_positions=made.context,
        n_embd=made.width,
        n_layer=made.layers,
        n_head=made.heads,
        dropout=made.dropout,
    )
    return models.GPT2(config)


# ---------------------------------------------------------------------------- the training


def _trained(job: Job, request: Request, samples: int | None) -> History:
    made = job.recipe
    optimizer = language.decaying(
        made.lr, made.steps, warmup=made.warmup, weight_decay=made.weight_decay
    )
    return language.fit_language(
        network(made, job.train.tokenizer.size),
        job.train,
        job.held,
        steps=made.steps,
        batch_size=made.batch,
        length=made.context,
        evaluations=made.evaluations,
        optimizer=optimizer,
        accumulate=made.accumulate,
        clip_norm=made.clip,
        early_stopping=None if made.patience is None else EarlyStopping(made.patience),
        resume=request.resume,
        ema=made.ema,
        precision=made.precision,
        seed=made.seed,
        threads=request.threads,
        checkpoint=job.folder,
        callbacks=[_sampler(job, SAMPLES[made.lines] if samples is None else samples)],
    )


def _sampler(job: Job, count: int) -> Callable[[Any, Any], None]:
    """What shows samples of the model after each evaluation, each list in turn."""
    prompts = job.tags or ([""] if job.recipe.lines else ["\n"])

    def show(row: Any, model: Any) -> None:
        for prompt in prompts if count else []:
            found = models.generate(
                model, prompt, job.train.tokenizer, tokens=SAMPLE_TOKENS, count=count,
                seed=row.number,
            )  # fmt: skip
            between = ", " if job.recipe.lines else "\n"
            note(f"  {prompt} {between.join(each.text.strip() for each in found)}".rstrip())

    return show


# ----------------------------------------------------------------------------- the results


def _results(job: Job, history: History) -> dict[str, Any]:
    """What `--json` prints."""
    best = _best(history, job.recipe)
    figures = best.validation
    return {
        "task": "language",
        "data": list(job.data),
        "tokens": job.train.tokenizer.size,
        "train_tokens": len(job.train),
        "test_tokens": len(job.held),
        **job.recipe.to_json(),
        "parameters": history.model.num_parameters,
        "updates": history.steps // job.recipe.accumulate,
        "best_update": best.number * history.steps // len(history.epochs) // job.recipe.accumulate,
        "train_loss": best.train_loss,
        "test_loss": figures["loss"],
        "test_bits_per_byte": figures.get("bits_per_byte"),
        "tags": job.tags,
        "compile_seconds": history.compile_seconds,
        "train_seconds": history.train_seconds,
        "steps_per_second": history.steps_per_second,
        "checkpoint": str(checkpoint.path(job.folder)),
        "run": str(job.folder),
    }


def _best(history: History, made: Recipe) -> Epoch:
    """The evaluation of the weights that are kept: the best one's, or the last one's."""
    if made.patience is None:
        return history.epochs[-1]
    return history.epochs[EarlyStopping(made.patience).best(history.epochs) - 1]


def summary(results: Mapping[str, Any]) -> str:
    """The results for people, one fact a line."""
    bits = results["test_bits_per_byte"]
    per_byte = "" if bits is None else f", {bits:.4f} bits per byte"
    prompt = shlex.quote(results["tags"][0]) if results["tags"] else "TEXT"
    ask = f" --prompt {prompt}" if results["tags"] or not results["lines"] else ""
    lines = [
        f"{results['model']} on {', '.join(results['data'])}",
        f"held-out text: {results['test_loss']:.4f} nats per token{per_byte}",
        f"training: {results['train_loss']:.4f} nats per token",
        f"{results['parameters']:,} parameters, {results['updates']:,} updates, the best after "
        f"{results['best_update']:,}",
        f"{results['train_seconds']:.2f} s of training, {results['compile_seconds']:.2f} s of "
        f"compiling, {results['steps_per_second']:,.0f} steps/s",
        f"run: {results['run']}",
        f"next: kedja generate {shlex.quote(results['run'])}{ask}",
    ]
    return "\n".join(lines)
