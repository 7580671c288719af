"""`kedja train FOLDER|mnist|drawn-shapes --model clip`: pictures and captions in one space.

FOLDER holds pictures and a list of captions; digits are captioned by their labels, shapes are
drawn. Not here: what all runs have in common (`task.py`), the training
(`kedja/train/contrastive.py`), the data (`kedja/data/captioned.py`). Next: `pictures.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from kedja import optim
from kedja.cli import runs, task
from kedja.cli.asked import Asked
from kedja.cli.families import Request
from kedja.cli.options import sizes
from kedja.cli.output import note, now_and_then, say
from kedja.data import captioned, learned, picture_files
from kedja.data.captioned import Captioned
from kedja.data.pictures import parse_size
from kedja.data.words import Words, words_of
from kedja.front.tables import plain
from kedja.ground.errors import UsageError
from kedja.io import photos
from kedja.models.clip import Clip, cosines, shares_of
from kedja.train import contrastive as training
from kedja.train.history import History
from kedja.views import figures
from kedja.views.matches import plot_chosen, plot_found

Array = np.ndarray[Any, np.dtype[Any]]

BEST_CAPTIONS, BEST_PICTURES = 5, 10  # are shown where nobody named which to choose from
EXAMPLES = 5  # words, where none is known
TABLE = ("picture", "caption", "cosine", "share")

USUAL = {
    "model": "clip",
    "depth": 1,
    "width": 64,
    "layers": 0,
    "batch": training.BATCH,
    "lr": training.RATE,
    "weight_decay": training.DECAY,
    "seed": 0,
}


def train(request: Request) -> None:
    """Train two encoders on captioned pictures and let them find each other."""
    earlier = request.earlier
    recorded: Mapping[str, Any] = {} if earlier is None else runs.recipe_of(earlier)
    options = {**USUAL, **recorded, **request.given}
    found = _load(request.data, options)
    config = training.config_for(found, training.vocabulary(found.train))
    usual = {
        **USUAL,
        "size": "x".join(map(str, found.shape[1:])),
        "widths": ",".join(map(str, config.widths)),
        "epochs": training.usual_epochs(len(found.train), options["batch"]),
    }
    task.run(request, usual, partial(_prepare, found))


def _load(given: Sequence[str], options: Mapping[str, Any]) -> Captioned:
    if len(given) > 1:
        raise UsageError(f"{len(given)} data sets: {', '.join(given)}", fix="give one")
    of_folder = captioned.are_in(given[0]) and given[0] != captioned.NAME
    size = parse_size(options["size"]) if of_folder and "size" in options else None
    told = now_and_then("read", "pictures")
    return captioned.load(given[0], seed=options["seed"], size=size, progress=told)


def _prepare(found: Captioned, data: tuple[str, ...], made: task.Options) -> task.Prepared:
    tokenizer = training.vocabulary(found.train)
    config = training.config_for(
        found,
        tokenizer,
        widths=sizes(made["widths"], "--widths"),
        depth=made["depth"],
        width=made["width"],
        layers=made["layers"],
    )

    def fit(**options: Any) -> History:
        rate = optim.AdamW(made["lr"], weight_decay=made["weight_decay"])
        return training.fit_clip(
            found,
            config=config,
            tokenizer=tokenizer,
            optimizer=rate,
            validation=found.test if learned.is_alone() else None,
            **options,
        )[0]

    return task.Prepared(
        Clip(config),
        tokenizer,
        (*found.describe(), *_cut(found, tokenizer, config.context)),
        fit,
        partial(_figures, found, tokenizer),
        _told,
        'PICTURE.png --text "a caption" --text "another"',
    )


def _cut(found: Captioned, tokenizer: Words, context: int) -> list[str]:
    """A note of captions that are longer than what is read of them."""
    both = (*found.train.captions, *found.test.captions)
    count = sum(len(tokenizer.encode(caption)) > context for caption in dict.fromkeys(both))
    return [f"{count:,} captions are read as far as {context} words"] if count else []


# ------------------------------------------------------------------------------- figures


def _figures(found: Captioned, tokenizer: Any, model: Any) -> dict[str, Any]:
    """How pictures and captions of the test find each other, and the choice where it is known."""
    reached = training.evaluate_retrieval(model, found.test, tokenizer, found.answers)._asdict()
    if found.answers is not None:
        reached["zero_shot"] = training.zero_shot(model, found, tokenizer)
        reached["choices"] = len(found.asked)
    return reached


def _told(results: Mapping[str, Any]) -> list[str]:
    lines = [
        f"{results['pictures']:,} held-out pictures find a caption of theirs among "
        f"{results['captions']:,} first in {results['caption_at_1']:.1%}, among five in "
        f"{results['caption_at_5']:.1%}; captions a picture in {results['picture_at_1']:.1%} and "
        f"{results['picture_at_5']:.1%}; by chance first {results['chance']:.1%}"
    ]
    if "zero_shot" in results:
        lines.append(
            f"the right one of {results['choices']} captions is chosen for "
            f"{results['zero_shot']:.2%} of the pictures, by chance {1 / results['choices']:.1%}"
        )
    return lines


# -------------------------------------------------------------------------------- asking


class Asking(NamedTuple):
    """Pictures with their names, and captions; whether either came from the run's own data."""

    names: Sequence[str]
    pictures: Array
    captions: Sequence[str]
    own_pictures: bool
    own_captions: bool


def predict(asked: Asked) -> None:
    """Which caption fits each picture, or which pictures fit each caption best."""
    if asked.explain:
        raise UsageError("clip has no --explain", fix="leave it out")
    if not asked.files and not asked.given:
        fix = 'PICTURE.png … --text "a caption" …, or one of both'
        raise UsageError("pictures or captions are needed", fix=fix)
    if asked.plot is not None:
        figures.require(asked.plot)
    tell_unknown(asked.given, asked.words)
    asking = _asking(asked)
    angles = cosines(asked.model, asking.pictures, asking.captions, asked.tokenizer)
    shares = shares_of(asked.model, angles)
    searched = asking.own_pictures or len(asking.captions) == 1
    chosen = list(_found(asking, angles) if searched else _chosen(asking, angles))
    if asked.plot is not None:
        figures.save(_drawn(asking, chosen, shares, searched), asked.plot)
    rows: list[dict[str, Any]] = [
        {
            "file": asking.names[place],
            "caption": asking.captions[number],
            "cosine": float(angles[place, number]),
            "share": float(shares[place, number]),
        }
        for place, number in chosen
    ]
    if asked.json:
        asked.tell(rows)
        return
    shown = TABLE[:-1] if len(asking.captions) == 1 else TABLE  # of one caption all is its share
    cells = [
        [row["file"], row["caption"], f"{row['cosine']:.3f}", f"{row['share']:.1%}"][: len(shown)]
        for row in rows
    ]
    say(plain(shown, cells, shown[2:]))


def _drawn(asking: Asking, chosen: Sequence[tuple[int, int]], shares: Array, searched: bool) -> Any:
    if searched:
        return plot_found(asking.pictures, asking.captions, chosen)
    return plot_chosen(asking.pictures, asking.captions, chosen, shares)


def tell_unknown(texts: Sequence[str], known: Words) -> None:
    """A note of words that are not `known`; UsageError for texts of nothing else."""
    for text in texts:
        words = list(words_of(text))
        strange = [word for word in words if word not in known]
        if len(strange) == len(words):
            what = f"--text {text!r}: none of its words stands in the captions learned from"
            raise UsageError(what, fix=f"words such as {', '.join(known.words[:EXAMPLES])}")
        if strange:
            note(f"--text {text!r}: unknown are {', '.join(strange)}")


def _asking(asked: Asked) -> Asking:
    """What is given, and for what is not, what the run was trained and tested on."""
    names, found = _pictures(asked)
    captions: Sequence[str] = asked.given
    if not names or not captions:
        data = loaded(asked.run)
        if not captions:
            captions = known(data)
            note(f"among the {len(captions):,} captions of {data.name}")
        if not names:
            names, found = _of_data(data)
            note(f"among the {len(names):,} pictures of {data.name}")
    return Asking(names, found, captions, _several(asked.files), not asked.given)


def loaded(run: Path) -> Captioned:
    """The data of a run, divided as they were for it."""
    return _load(runs.sources_of(run), runs.recipe_of(run))


def known(data: Captioned) -> list[str]:
    """The different captions of the training and the test, as they come."""
    return list(dict.fromkeys((*data.train.captions, *data.test.captions)))


def _several(files: Sequence[Path]) -> bool:
    """Whether pictures are not named one by one."""
    return not files or any(file.is_dir() for file in files)


def _of_data(data: Captioned) -> tuple[list[str], Array]:
    """The files of a folder; where pictures are no files, those of the test by number."""
    if not data.test.files:
        return [f"test picture {place}" for place in range(len(data.test))], data.test.pictures
    both = dict(zip(data.train.files, data.train.pictures, strict=True))
    both |= dict(zip(data.test.files, data.test.pictures, strict=True))
    return list(both), np.stack(list(both.values()))


def _pictures(asked: Asked) -> tuple[list[str], Array]:
    """The pictures of files and folders, each once."""
    if not asked.files:
        return [], np.zeros(0, np.uint8)
    files = list(dict.fromkeys(asked.below(picture_files.pictures_in)))
    found = asked.each(files, partial(photos.read, shape=asked.model.config.shape))
    return [str(file) for file, _ in found], np.stack([pixels for _, pixels in found])


def _chosen(asking: Asking, angles: Array) -> Iterator[tuple[int, int]]:
    """Each picture's captions, the best first: all that are given, or the best of the data's."""
    most = BEST_CAPTIONS if asking.own_captions else None
    for place, row in enumerate(angles):
        for number in np.argsort(-row, kind="stable")[:most].tolist():
            yield place, number


def _found(asking: Asking, angles: Array) -> Iterator[tuple[int, int]]:
    """Each caption's pictures, the best first: all that are named, or the best of a folder."""
    most = BEST_PICTURES if asking.own_pictures else None
    for number, column in enumerate(angles.T):
        for place in np.argsort(-column, kind="stable")[:most].tolist():
            yield place, number
