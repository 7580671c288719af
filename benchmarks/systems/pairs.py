"""Pictures and captions: digits captioned, and shapes whose pairs were never seen together."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.systems.results import Chosen, Result
from kedja.data import captioned
from kedja.data.captioned import Captioned
from kedja.train import contrastive

TITLE = "Image–text pairs: choosing a caption without a label"
EPOCHS = {"digits": 4, "shapes": 20}


def run(chosen: Chosen) -> Iterator[Result]:
    """Digits of MNIST (scikit-learn's where that is not at hand), then drawn shapes."""
    where = None if chosen.data is None else chosen.data / "mnist"
    digits = captioned.load(str(where) if where is not None and where.is_dir() else "digits")
    share, _ = _trained(digits, 1 if chosen.quick else EPOCHS["digits"], chosen)
    about = f"{digits.name}, trained on {len(digits.train):,} captions without labels"
    yield Result(
        "the right one of 10 captions for a digit",
        f"{share:.2%}",
        "≥ 95 %",
        share >= 0.95,
        "by chance 10 %",
        about,
    )
    sizes = (400, 100) if chosen.quick else (captioned.DRAWN, captioned.DRAWN_TEST)
    shapes = captioned.drawn(*sizes)
    share, found = _trained(shapes, 1 if chosen.quick else EPOCHS["shapes"], chosen)
    chance = 1 / len(shapes.asked)
    yield Result(
        "the right one of 64 captions for colour and shape never seen together",
        f"{share:.1%}",
        "well above chance",
        share > 10 * chance,
        f"by chance {chance:.1%}",
        shapes.notes[0],
    )
    yield Result(
        "the same among the 16 new pairs, both ways",
        f"captions {found.caption_at_1:.1%}, pictures {found.picture_at_1:.1%}",
        baseline=f"by chance {found.chance:.1%}",
    )


def _trained(given: Captioned, epochs: int, chosen: Chosen) -> tuple[float, contrastive.Retrieval]:
    tokenizer = contrastive.vocabulary(given.train)
    history, _ = contrastive.fit_clip(
        given, tokenizer=tokenizer, epochs=epochs, threads=chosen.threads, progress=False
    )
    model = history.model
    found = contrastive.evaluate_retrieval(model, given.test, tokenizer)
    return contrastive.zero_shot(model, given, tokenizer), found
