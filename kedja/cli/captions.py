"""`kedja train FOLDER|mnist|drawn-shapes --model clip`: pictures and captions in one space.

FOLDER holds pictures and a list of captions; digits are captioned by their labels, shapes are
drawn. Not here: what all runs have in common (`task.py`), the training
(`kedja/train/contrastive.py`), the data (`kedja/data/captioned.py`). Next: `pictures.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from kedja import optim
from kedja.cli import runs, task
from kedja.cli.asked import Asked
from kedja.cli.families import Request
from kedja.cli.options import sizes
from kedja.cli.output import say, say_json
from kedja.data import captioned
from kedja.data.captioned import Captioned
from kedja.data.pictures import parse_size
from kedja.front.tables import plain
from kedja.ground.errors import UsageError
from kedja.io import photos
from kedja.models.clip import Clip, caption_vectors, choose, picture_vectors
from kedja.train import contrastive as training
from kedja.train.history import History

USUAL = {
    "model": "clip",
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
    recorded: Mapping[str, Any] = {} if earlier is None else runs.read(earlier, _recipe)
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


def _recipe(content: Any) -> dict[str, Any]:
    return dict(content["recipe"])


def _load(given: Sequence[str], options: Mapping[str, Any]) -> Captioned:
    if len(given) > 1:
        raise UsageError(f"{len(given)} data sets: {', '.join(given)}", fix="give one")
    of_folder = captioned.are_in(given[0]) and given[0] != captioned.NAME
    size = parse_size(options["size"]) if of_folder and "size" in options else None
    return captioned.load(given[0], seed=options["seed"], size=size)


def _prepare(found: Captioned, data: tuple[str, ...], made: task.Options) -> task.Prepared:
    tokenizer = training.vocabulary(found.train)
    config = training.config_for(
        found,
        tokenizer,
        widths=sizes(made["widths"], "--widths"),
        width=made["width"],
        layers=made["layers"],
    )

    def fit(**options: Any) -> History:
        rate = optim.AdamW(made["lr"], weight_decay=made["weight_decay"])
        return training.fit_clip(
            found, config=config, tokenizer=tokenizer, optimizer=rate, **options
        )[0]

    return task.Prepared(
        Clip(config),
        tokenizer,
        found.describe(),
        fit,
        partial(_figures, found, tokenizer),
        _told,
        'PICTURE.png --text "a caption" --text "another"',
    )


# ------------------------------------------------------------------------------- figures


def _figures(found: Captioned, tokenizer: Any, model: Any) -> dict[str, Any]:
    """How pictures and captions of the test find each other, and the choice where it is known."""
    figures = training.evaluate_retrieval(model, found.test, tokenizer)._asdict()
    if found.answers is not None:
        figures["zero_shot"] = training.zero_shot(model, found, tokenizer)
        figures["choices"] = len(found.asked)
    return figures


def _told(results: Mapping[str, Any]) -> list[str]:
    lines = [
        f"of {results['pairs']:,} held-out pairs, pictures find their caption first in "
        f"{results['caption_at_1']:.1%} (among five {results['caption_at_5']:.1%}), captions a "
        f"picture in {results['picture_at_1']:.1%} ({results['picture_at_5']:.1%}), by chance "
        f"{results['chance']:.1%}"
    ]
    if "zero_shot" in results:
        lines.append(
            f"the right one of {results['choices']} captions is chosen for "
            f"{results['zero_shot']:.2%} of the pictures, by chance {1 / results['choices']:.1%}"
        )
    return lines


# -------------------------------------------------------------------------------- asking


def predict(asked: Asked) -> None:
    """Which caption fits each picture; with one caption, which picture fits it best."""
    asked.require_plain("clip")
    if not asked.files or not asked.given:
        fix = 'PICTURE.png … --text "a caption" …'
        raise UsageError("pictures and captions are needed", fix=fix)
    shape = asked.model.config.shape
    given = np.stack([photos.read(file, shape) for file in asked.files])
    shares = choose(asked.model, given, asked.given, asked.tokenizer)
    angles = _angles(asked, given)
    rows = list(_rows(asked, shares, angles))
    if asked.json:
        say_json({"run": str(asked.run), "predictions": rows})
        return
    if len(asked.given) == 1:
        rows.sort(key=lambda row: -row["cosine"])
    cells = [
        [row["file"], row["caption"], f"{row['cosine']:.3f}", f"{row['share']:.1%}"] for row in rows
    ]
    say(plain(("picture", "caption", "cosine", "share"), cells, ("cosine", "share")))


def _angles(asked: Asked, given: Any) -> Any:
    u = picture_vectors(asked.model, given)
    return u @ caption_vectors(asked.model, asked.given, asked.tokenizer).T


def _rows(asked: Asked, shares: Any, angles: Any) -> Iterator[dict[str, Any]]:
    """Each picture's captions, the best first."""
    for place, file in enumerate(asked.files):
        for number in np.argsort(-shares[place], kind="stable").tolist():
            yield {
                "file": str(file),
                "caption": asked.given[number],
                "cosine": float(angles[place, number]),
                "share": float(shares[place, number]),
            }
