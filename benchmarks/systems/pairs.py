"""Pictures and captions: digits captioned, and shapes whose pairs were never seen together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.systems.results import Chosen, Result
from kedja.data import captioned, shapes
from kedja.data.captioned import Captioned
from kedja.data.tokens import Tokenizer
from kedja.inspection.groups import bootstrap
from kedja.models.clip import choose
from kedja.train import contrastive
from kedja.views import figures
from kedja.views.matches import plot_chosen

Array = np.ndarray[Any, np.dtype[Any]]

TITLE = "Image–text pairs: choosing a caption without a label"
SEEDS = (0, 1, 2)
EPOCHS = {"digits": 2, "shapes": 6}
NEW_WORDING = "a photo of the digit {}"  # of its words, training has "the digit" and "a" alone
SHOWN = 8


def run(chosen: Chosen) -> Iterator[Result]:
    """Digits of MNIST (scikit-learn's where that is not at hand), then drawn shapes."""
    seeds = SEEDS[:1] if chosen.quick else SEEDS
    yield from _digits(seeds, chosen)
    yield from _shapes(seeds, chosen)


@dataclass(frozen=True)
class Trained:
    """Captioned pictures, and the two encoders that learned from them."""

    given: Captioned
    model: Any
    tokenizer: Tokenizer

    def right(self, asked: Sequence[str], pictures: Array, answers: Array) -> Array:
        """For each picture whether the right one of the captions asked is chosen: bool (N,)."""
        shares = choose(self.model, pictures, asked, self.tokenizer)
        found: Array = shares.argmax(1) == answers
        return found


def _trained(given: Captioned, epochs: int, seed: int, chosen: Chosen) -> Trained:
    history, tokenizer = contrastive.fit_clip(
        given,
        epochs=1 if chosen.quick else epochs,
        seed=seed,
        threads=chosen.threads,
        progress=False,
    )
    return Trained(given, history.model, tokenizer)


# ----------------------------------------------------------------------------------- digits


def _digits(seeds: Sequence[int], chosen: Chosen) -> Iterator[Result]:
    where = None if chosen.data is None else chosen.data / "mnist"
    data = str(where) if where is not None and where.is_dir() else "digits"
    wordings = {
        "as in training, *a seven*": captioned.DIGIT_TEMPLATES[0],
        "new to it, *a photo of the digit seven*": NEW_WORDING,
    }
    reached: dict[str, list[float]] = {name: [] for name in wordings}
    for seed in seeds:
        given = captioned.load(data, seed=seed)
        trained = _trained(given, EPOCHS["digits"], seed, chosen)
        for name, wording in wordings.items():
            asked = [wording.format(word) for word in captioned.WORDS]
            right = trained.right(asked, given.test.pictures, _answers(given))
            reached[name].append(float(right.mean()))
    counts = f"{len(given.train):,} captioned pictures learned, {len(given.test):,} others asked"
    for name, shares in reached.items():
        yield Result(
            f"the right one of 10 captions for a digit, their wording {name}",
            f"{min(shares):.2%} to {max(shares):.2%} in {len(seeds)} seeds",
            "≥ 95 %",
            min(shares) >= 0.95,
            "by chance 10 %",
            f"{given.name}: {counts}; labels are known through captions alone",
        )


def _answers(given: Captioned) -> Array:
    assert given.answers is not None
    return given.answers


# ----------------------------------------------------------------------------------- shapes


def _shapes(seeds: Sequence[int], chosen: Chosen) -> Iterator[Result]:
    """Each seed draws other pictures and keeps other pairs out of training."""
    sizes = (400, 100) if chosen.quick else (captioned.DRAWN, captioned.DRAWN_TEST)
    found, of_pairs, known = [], [], []
    for seed in seeds:
        trained = _trained(captioned.drawn(*sizes, seed=seed), EPOCHS["shapes"], seed, chosen)
        found.append(trained)
        of_pairs.append(_by_pair(trained))
        known.append(_of_known(trained, seed, sizes[1]))
    means = [float(shares.mean()) for shares in of_pairs]
    pairs = np.concatenate(of_pairs)
    low, high = bootstrap(pairs)
    choices = len(found[0].given.asked)
    alone = 1 / len(shapes.COLOURS)
    drawn = "" if chosen.pictures is None else _drawn(found[0], chosen.pictures)
    yield Result(
        f"the right one of {choices} captions for a colour and a shape never seen together",
        f"{np.mean(means):.1%} (95 % interval over {len(pairs)} new pairs {low:.1%} to "
        f"{high:.1%}; seeds {', '.join(f'{mean:.1%}' for mean in means)})",
        "interval above 50 %",
        low > 0.5,
        f"by chance {1 / choices:.1%}; who knows the colour for certain and guesses the shape, or "
        f"the other way round, {alone:.1%}; who knows the pairs of training by heart 0 %; for "
        f"new pictures of pairs seen in training {np.mean(known):.1%}",
        f"each seed keeps 16 other pairs of 64 out of training{drawn}",
    )
    yield _retrieved(found)


def _by_pair(trained: Trained) -> Array:
    """For each new pair the share of its pictures for which it is chosen among all."""
    answers = _answers(trained.given)
    right = trained.right(trained.given.asked, trained.given.test.pictures, answers)
    return np.array([right[answers == pair].mean() for pair in np.unique(answers)])


def _of_known(trained: Trained, seed: int, count: int) -> float:
    """The same share for new pictures of pairs that were seen."""
    new, every = shapes.unseen(seed=seed), shapes.pairs()
    known = [pair for pair in every if pair not in new]
    pictures, what = shapes.draw(count, 1000 + seed, known)
    answers = np.array([every.index((each.colour, each.shape)) for each in what])
    return float(trained.right(trained.given.asked, pictures, answers).mean())


def _retrieved(found: Sequence[Trained]) -> Result:
    """Both ways among the new pairs."""
    rows = [
        contrastive.evaluate_retrieval(
            each.model, each.given.test, each.tokenizer, each.given.answers
        )
        for each in found
    ]
    first = [
        np.mean([getattr(row, name) for row in rows]) for name in contrastive.Retrieval._fields
    ]
    at = dict(zip(contrastive.Retrieval._fields, first, strict=True))
    return Result(
        "retrieval both ways among the 16 new pairs",
        f"a picture finds its caption first {at['caption_at_1']:.1%}, among five "
        f"{at['caption_at_5']:.1%}; a caption a picture of its own {at['picture_at_1']:.1%}, "
        f"{at['picture_at_5']:.1%}",
        baseline=f"by chance {at['chance']:.1%}",
    )


def _drawn(trained: Trained, folder: Path) -> str:
    """Some new pairs with the captions chosen, as a file; words that name it."""
    given = trained.given
    _, places = np.unique(_answers(given), return_index=True)
    places = places[:: max(1, len(places) // SHOWN)][:SHOWN]
    pictures, answers = given.test.pictures[places], _answers(given)[places]
    shares = choose(trained.model, pictures, given.asked, trained.tokenizer)
    best = [(row, int(each)) for row in range(len(places)) for each in np.argsort(-shares[row])]
    figure = plot_chosen(pictures, given.asked, best, shares, answers.tolist())
    file = folder / "caption-choices.png"
    figures.save(figure, file, dpi=80)
    return f"; [some of them](images/{file.name})"
