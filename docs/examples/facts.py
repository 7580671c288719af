"""Facts that stood in the text alone: pre-training, fine-tuning on questions, asking about others.

    python docs/examples/facts.py            # some minutes on two cores
    python docs/examples/facts.py --people 40 --steps 300   # a small one, that learns little

Half of the people of a made-up world (`kedja/data/facts.py`) are asked about in fine-tuning. The
other half stand in the running text alone; about them the models are asked. Three models:
pre-trained and tuned by adapters, pre-trained and tuned in all weights, and tuned without having
read anything, which can only guess.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import kedja as kj
from kedja.data import facts
from kedja.data.bpe import BPE
from kedja.data.corpus import Corpus
from kedja.data.facts import World
from kedja.models import GPT2, GPT2Config, lora
from kedja.train.answers import Tuned, fit_answers
from kedja.train.language import decaying, fit_language

VOCABULARY, CONTEXT = 600, 64
LAYERS, HEADS, WIDTH = 3, 4, 96
BATCH, RATE = 16, 2e-3
RANK, EPOCHS = 8, 39

# How each model is tuned: as `kedja train QUESTIONS --from RUN` does it, with `--lora 8` and
# without.
TUNING: dict[str, dict[str, Any]] = {
    "pre-trained, adapters": {"epochs": EPOCHS},
    "pre-trained, all weights": {"epochs": EPOCHS},
    "not pre-trained": {"epochs": EPOCHS, "optimizer": "adamw", "lr": 2e-3},
}


class Row(NamedTuple):
    """What one model answered to the questions about people that it was never asked about."""

    name: str
    before: float
    after: float
    loss: float
    seconds: float


def main(arguments: Sequence[str] | None = None) -> list[Row]:
    """Train, ask, and print a table."""
    parser = argparse.ArgumentParser(description="Facts that stood in the text alone.")
    parser.add_argument("--people", type=int, default=200)
    parser.add_argument("--copies", type=int, default=30, help="wordings of each person's facts")
    parser.add_argument("--steps", type=int, default=6000, help="updates of pre-training")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    made = facts.world(given.people, seed=given.seed)
    text = made.text(given.copies, seed=given.seed)
    tokenizer = BPE.of(text, VOCABULARY)
    start = fresh(tokenizer, given.seed)
    began = time.perf_counter()
    model = pretrained(start, Corpus.of(text, tokenizer), given.steps, given.seed)
    print(f"pre-training: {given.steps:,} updates in {time.perf_counter() - began:.0f} s")
    adapted = lora.adapt(model, RANK, key=kj.random.key(given.seed))
    runs = zip(TUNING, (adapted, model, start), strict=True)
    found = [asked(name, each, tokenizer, made, given.seed) for name, each in runs]
    show(found)
    return found


def fresh(tokenizer: BPE, seed: int) -> GPT2:
    """A small GPT that knows nothing yet."""
    kj.random.seed(seed)
    return GPT2(GPT2Config(tokenizer.size, CONTEXT, WIDTH, LAYERS, HEADS, dropout=0.0))


def pretrained(model: GPT2, text: Corpus, steps: int, seed: int) -> Any:
    """The model after reading: every window of the text predicts its next tokens."""
    history = fit_language(
        model,
        text,
        steps=steps,
        batch_size=BATCH,
        optimizer=decaying(RATE, steps),
        seed=seed,
        progress=False,
    )
    return history.model


def asked(name: str, model: Any, tokenizer: BPE, made: World, seed: int) -> Row:
    """Fine-tune on the questions about half of the people, and ask about the others."""
    began = time.perf_counter()
    learn, ask = (facts.questions(people) for people in (made.asked, made.others))
    tuned: Tuned = fit_answers(
        model, tokenizer, learn, ask, seed=seed, progress=False, **TUNING[name]
    )
    seconds = time.perf_counter() - began
    after = tuned.after
    return Row(name, tuned.before["exact_match"], after["exact_match"], after["loss"], seconds)


def show(found: Sequence[Row]) -> None:
    """A table for people."""
    print(f"{'exact match, people not asked about':36} {'before':>8} {'after':>8} {'loss':>8}")
    for row in found:
        print(f"{row.name:36} {row.before:8.1%} {row.after:8.1%} {row.loss:8.3f}")
    print(f"{'chance':36} {facts.CHANCE:17.1%}")


if __name__ == "__main__":
    main()
