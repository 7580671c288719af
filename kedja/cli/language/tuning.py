"""`kedja train FILE --from RUN`: a trained model learns to answer prompts.

FILE has a line `<sentence> | <answer>` for each prompt, or is JSON Lines with `prompt` and
`answer`. Before and after, the model is asked prompts that it does not learn from: those of
`--test`, else a tenth of FILE.

The run's folder is a model's folder. With `--lora R` it holds adapters beside the model of RUN
(`adapter_config.json`, `adapter_model.safetensors`), which `kj.models.load` adds into the weights;
`--merge` writes the whole model, too. Not here: the training itself (`kedja/train/answers.py`).
Next: `kedja/models/lora.py`.
"""

from __future__ import annotations

import math
import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from kedja import models
from kedja.cli import runs
from kedja.cli.families import Request
from kedja.cli.output import note, say, say_json
from kedja.cli.recipes import other_option
from kedja.data import prompts as promptfile
from kedja.data.prompts import Prompt
from kedja.data.tokens import Tokenizer
from kedja.front import random
from kedja.ground.errors import UsageError
from kedja.models import folder as folders
from kedja.models import lora
from kedja.train import answers, checkpoint
from kedja.train.answers import Tuned

MODEL = "tuned"
HELD = 0.1  # of the prompts, where no others are given
UPDATES = 500  # are made at least, and at most so many passes
PASSES = 40
SHOWN = 3  # answers that are printed
KINDS = (models.GPT2, models.RecurrentLM)


@dataclass(frozen=True)
class Recipe:
    """All options that shape a run."""

    model: str
    base: str
    test: str | None
    lora: int | None
    merge: bool
    optimizer: str
    epochs: int
    batch: int
    lr: float
    clip: float
    seed: int
    accumulate: int = 1
    warmup: int | None = None
    ema: float | None = None
    precision: str | None = None

    @property
    def text(self) -> str:
        """The recipe in one line."""
        what = "all weights" if self.lora is None else f"adapters of rank {self.lora}"
        pace = f"batch {self.batch}, {self.epochs} epochs, rate {self.lr:g}"
        return f"{what} of {self.base}: {self.optimizer}, {pace}, seed {self.seed}"


@dataclass(frozen=True)
class Job:
    """A run that is about to begin or to go on."""

    folder: Path
    data: tuple[str, ...]
    recipe: Recipe
    model: Any
    tokenizer: Tokenizer
    train: Sequence[Prompt]
    held: Sequence[Prompt]

    def record(self, results: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The content of `run.json`."""
        source = {"source": list(self.data)}
        return {"data": source, "recipe": asdict(self.recipe), "results": results}


def train(request: Request) -> None:
    """Teach the model of a run to answer the prompts of DATA, and ask it those held out."""
    job = _start(request, dict(request.given))
    with runs.resumable(runs.command(job.data, job.folder), job.folder):
        tuned = _trained(job, request)
        _keep(job, tuned.model)
        results = _results(job, tuned)
        runs.write(job.folder, job.record(results))
    _show(job, tuned.model)
    if request.json:
        say_json(results)
    else:
        say(summary(results))


# ------------------------------------------------------------------------------- the start


def _start(request: Request, given: Mapping[str, Any]) -> Job:
    folder = request.resumed()
    job = _fresh(request, given) if folder is None else _continued(folder, request, given)
    runs.write(job.folder, job.record())
    learned = {each.prompt for each in job.train}
    seen = sum(each.prompt in learned for each in job.held)
    if seen:
        note(f"note: {seen:,} of the prompts to be asked are learned, too")
    counts = f"{len(job.train):,} prompts to learn, {len(job.held):,} held out"
    for line in (f"{', '.join(job.data)}: {counts}", job.recipe.text, f"run: {job.folder}"):
        note(line)
    return job


def _fresh(request: Request, given: Mapping[str, Any]) -> Job:
    if "from" not in given:
        raise UsageError("--model tuned without --from", fix="--from RUN names a trained model")
    base, found = str(given["from"]), _loaded(str(given["from"]))
    train, held = _prompts(request.data, given.get("test"), given.get("seed", 0))
    made = _recipe(base, len(train), given)
    for part in (train, held):
        answers.rows(part, found.tokenizer, found.model.context)  # told before there is a folder
    model = _begun(found.model, made)
    made = _paced(made, model, given)
    folder = runs.fresh(request.out, Path(request.data[0]).stem, MODEL)
    folders.describe(folder, found.model, found.tokenizer)
    return Job(folder, request.data, made, model, found.tokenizer, train, held)


def _continued(folder: Path, request: Request, given: Mapping[str, Any]) -> Job:
    made = runs.read(folder, lambda content: Recipe(**content["recipe"]))
    runs.require_same_data(folder, request.data, runs.sources_of(folder))
    _require_unchanged(made, given)
    found = _loaded(made.base)
    train, held = _prompts(request.data, made.test, made.seed)
    model = _begun(found.model, made)
    return Job(folder, request.data, made, model, found.tokenizer, train, held)


def _loaded(base: str) -> Any:
    """Model and tokenizer of a run; UsageError for a model that does not write text."""
    found = models.load(base)
    if not isinstance(found.model, KINDS):
        what = f"{base} holds a {type(found.model).__name__}, which does not write text"
        raise UsageError(what, fix="name a run of gpt, rnn, lstm or gru, or the folder of a GPT-2")
    if found.tokenizer is None:
        raise UsageError(f"{base} has no tokenizer.json", fix="put the tokenizer's file there")
    return found


def _prompts(
    data: Sequence[str], test: str | None, seed: int
) -> tuple[Sequence[Prompt], Sequence[Prompt]]:
    given = [each for file in data for each in promptfile.read(file)]
    if test is None:
        return promptfile.divide(given, HELD, seed)
    return given, promptfile.read(test)


def _recipe(base: str, count: int, given: Mapping[str, Any]) -> Recipe:
    """The options that the user gave, and suitable ones for the rest."""
    batch = given.get("batch", 32)
    epochs = min(PASSES, math.ceil(UPDATES / math.ceil(count / batch)))
    rank = given.get("lora")
    if given.get("merge") and rank is None:
        raise UsageError("--merge without --lora", fix="leave it out: all weights are written")
    start = Recipe(
        model=MODEL,
        base=base,
        test=None,
        lora=rank,
        merge=False,
        optimizer="",
        epochs=epochs,
        batch=batch,
        lr=0.0,
        clip=1.0,
        seed=0,
    )
    return replace(start, **{name: value for name, value in given.items() if name != "from"})


def _paced(made: Recipe, model: Any, given: Mapping[str, Any]) -> Recipe:
    """With the optimizer that was given, or suits the model, and its rate."""
    name = str(given.get("optimizer", answers.usual_optimizer(model))).lower()
    usual = answers.usual_rate(model, name)
    return replace(made, optimizer=name, lr=given.get("lr", usual))


def _begun(model: Any, made: Recipe) -> Any:
    """The model as training starts from it."""
    if made.lora is None:
        return model
    return lora.adapt(model, made.lora, key=random.key(made.seed))


def _require_unchanged(made: Recipe, given: Mapping[str, Any]) -> None:
    """Raise UsageError for an option that differs from that of the run which goes on."""
    names = {"base": "from"}
    for field in fields(Recipe):
        name = names.get(field.name, field.name)
        value, before = given.get(name), getattr(made, field.name)
        if value is not None and value != before:
            raise other_option(name, value, before)


# ---------------------------------------------------------------------------- the training


def _trained(job: Job, request: Request) -> Tuned:
    made = job.recipe
    warmup: dict[str, Any] = {} if made.warmup is None else {"warmup": made.warmup}
    return answers.fit_answers(
        job.model,
        job.tokenizer,
        job.train,
        job.held,
        epochs=made.epochs,
        batch_size=made.batch,
        optimizer=made.optimizer,
        lr=made.lr,
        clip_norm=made.clip,
        resume=request.resume,
        accumulate=made.accumulate,
        ema=made.ema,
        precision=made.precision,
        seed=made.seed,
        threads=request.threads,
        checkpoint=job.folder,
        **warmup,
    )


def _keep(job: Job, model: Any) -> None:
    """Write what was learned: all weights, or the adapters, and with `--merge` both."""
    if job.recipe.lora is None:
        folders.save(job.folder, model, job.tokenizer)
        return
    lora.save(job.folder, model, base=os.path.relpath(job.recipe.base, job.folder))
    if job.recipe.merge:
        folders.save(job.folder, lora.merge(model), job.tokenizer)


# ----------------------------------------------------------------------------- the results


def _results(job: Job, tuned: Tuned) -> dict[str, Any]:
    """What `--json` prints."""
    history = tuned.history
    learned = lora.count(tuned.model) if job.recipe.lora else tuned.model.num_parameters
    recipe = asdict(job.recipe)
    recipe["from"] = recipe.pop("base")
    return {
        "task": "answers",
        "data": list(job.data),
        "train_prompts": len(job.train),
        "test_prompts": len(job.held),
        **recipe,
        "parameters": job.model.num_parameters,
        "learned_parameters": learned,
        "updates": history.steps // job.recipe.accumulate,
        "train_loss": history.train_loss,
        **{f"{name}_before": value for name, value in tuned.before.items()},
        **{f"{name}_after": value for name, value in tuned.after.items()},
        "compile_seconds": history.compile_seconds,
        "train_seconds": history.train_seconds,
        "checkpoint": str(checkpoint.path(job.folder)),
        "run": str(job.folder),
    }


def summary(results: Mapping[str, Any]) -> str:
    """The results for people, one fact a line."""
    first, last = results["exact_match_before"], results["exact_match_after"]
    lines = [
        f"exact match on {results['test_prompts']:,} held-out prompts: {first:.1%} before, "
        f"{last:.1%} after",
        f"loss of their answers: {results['loss_before']:.4f} nats per token before, "
        f"{results['loss_after']:.4f} after",
        f"{results['learned_parameters']:,} of {results['parameters']:,} parameters learned, "
        f"{results['updates']:,} updates",
        f"{results['train_seconds']:.2f} s of training, {results['compile_seconds']:.2f} s of "
        "compiling",
        f"run: {results['run']}",
        f"next: kedja generate {shlex.quote(results['run'])} --temperature 0 --prompt TEXT",
    ]
    return "\n".join(lines)


def _show(job: Job, model: Any) -> None:
    """What the model answers to some of the held-out prompts."""
    stop = answers.stop_text(job.tokenizer)
    for each in job.held[:SHOWN]:
        room = len(job.tokenizer.encode(each.answer)) + 8
        [sample] = models.generate(
            model, each.prompt, job.tokenizer, tokens=room, temperature=0, stop=stop or ()
        )
        right = "right" if sample.text.strip() == each.answer else f"right: {each.answer}"
        note(f"  {each.prompt} {sample.text.strip()} ({right})")
