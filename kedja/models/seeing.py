"""What in a picture a network looks at, and what it would like to see.

    saliency      max over channels of |∂ logit_c / ∂ pixel|
    occlusion     p(c | picture) − p(c | picture with a grey square at this place)
    ideal input   x ← m + (1 − decay)(x + rate·∇logit_c/rms(∇logit_c) − m), m the mean picture

Sources: K. Simonyan, A. Vedaldi, A. Zisserman: Deep inside convolutional networks (2014);
M. Zeiler, R. Fergus: Visualizing and understanding convolutional networks (2014); J. Yosinski et
al.: Understanding neural networks through deep visualization (2015), whose blur and shifts keep
the ideal input smooth. Not here: drawing (`kedja/views/pictures.py`). Next: `kedja/views`.
Dimensions: B pictures, C channels, H W height and width.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import kedja as kj
from kedja import Tensor
from kedja.ground.errors import ShapeError, UsageError
from kedja.ground.suggest import did_you_mean
from kedja.models.pictures import PictureNet, logits, probabilities, standardised, unit

Array = np.ndarray[Any, np.dtype[Any]]

STEPS, RATE, DECAY = 200, 0.03, 0.05
BLUR_EVERY, SHIFT = 4, 0.1  # steps; of the picture's shorter side
WEIGHTS = (0.2, 0.6, 0.2)  # of the blur, along each axis
GREY = 127


def number_of(model: PictureNet, label: str | int) -> int:
    """The number of a class that is given by name or number; UsageError for others."""
    classes = tuple(model.config.classes)
    if isinstance(label, int):
        if not 0 <= label < len(classes):
            raise UsageError(f"class {label}", fix=f"a number from 0 to {len(classes) - 1}")
        return label
    if label not in classes:
        raise UsageError(f"there is no class {label!r}", fix=did_you_mean(label, classes))
    return classes.index(label)


def saliency(model: PictureNet, pictures: Any, label: str | int | None = None) -> Array:
    """How much the class's logit would change with each pixel: float32 (B, H, W).

    `pictures` are bytes (B, H, W) or (B, H, W, C); the class is that which the network gives to
    each, unless `label` says another. Raises ShapeError for pictures of another shape.
    """
    x = unit(kj.asarray(_checked(model, pictures)))
    classes = _classes(model, pictures, label)

    def chosen(x: Tensor) -> Tensor:
        found = model(standardised(model.config, x))  # (B, classes)
        return kj.sum(kj.take_along_axis(found, kj.tensor(classes[:, None]), axis=1))

    slopes = np.abs(kj.grad(chosen)(x).numpy())
    found: Array = slopes if slopes.ndim == 3 else slopes.max(-1)
    return found


def occlusion(
    model: PictureNet,
    picture: Any,
    label: str | int | None = None,
    *,
    patch: int | None = None,
    stride: int = 1,
) -> Array:
    """How much of the class's probability a grey square takes away at each place: float64 (H, W).

    Of a network with one class alone, it is how much of the logit. The square has sides of a
    quarter of the picture unless `patch` says else, and stands at every `stride`th pixel; a pixel
    shows the mean of the squares that covered it.
    """
    one = _checked(model, np.asarray(picture)[None])[0]
    height, width = one.shape[:2]
    side = max(2, min(height, width) // 4) if patch is None else patch
    if not 0 < side <= min(height, width) or stride < 1:
        what = f"patches of {side} pixels, every {stride}"
        raise UsageError(what, fix=f"sides from 1 to {min(height, width)}, a stride from 1")
    number = int(_classes(model, one[None], label)[0])
    places = [
        (top, left)
        for top in _starts(height, side, stride)
        for left in _starts(width, side, stride)
    ]
    hidden = np.repeat(one[None], len(places), axis=0)
    for row, (top, left) in enumerate(places):
        hidden[row, top : top + side, left : left + side] = GREY
    worth = probabilities if len(model.config.classes) > 1 else logits
    lost = worth(model, one[None])[0, number] - worth(model, hidden)[:, number]
    return _spread(places, lost, side, (height, width))


def _starts(extent: int, side: int, stride: int) -> list[int]:
    """Where squares begin, the last one at the edge."""
    return sorted({*range(0, extent - side + 1, stride), extent - side})


def _spread(places: list[tuple[int, int]], lost: Array, side: int, shape: Any) -> Array:
    total, count = np.zeros(shape), np.zeros(shape)
    for (top, left), value in zip(places, lost.tolist(), strict=True):
        total[top : top + side, left : left + side] += value
        count[top : top + side, left : left + side] += 1
    found: Array = total / np.maximum(count, 1)
    return found


def ideal_input(
    model: PictureNet,
    label: str | int,
    *,
    steps: int = STEPS,
    rate: float = RATE,
    decay: float = DECAY,
    seed: int = 0,
) -> Array:
    """The picture that a network takes most of all for a class: float32 from 0 to 1, (H, W[, C]).

    From the training's mean with a little noise, each step goes uphill after a shift by chance,
    and every fourth blurs. A step changes pixels by `rate` (the root of the mean square) and then
    leaves of what lies beyond the mean a share of 1 − `decay`: both mean the same for pictures of
    any size and for logits on any scale.
    """
    if steps < 1:
        raise UsageError(f"{steps} steps", fix="give 1 or more")
    number, config = number_of(model, label), model.config
    draws = np.random.Generator(np.random.Philox(seed))
    middle = np.array(config.mean if config.shape[0] > 1 else config.mean[0], np.float32)
    x = (middle + 0.05 * draws.standard_normal(config.stored)).astype(np.float32)
    most = max(1, round(SHIFT * min(config.shape[1:])))
    length = rate * float(np.sqrt(x.size))
    uphill = kj.jit(kj.grad(_score(model, number)))
    for step in range(steps):
        shift = tuple(int(each) for each in draws.integers(-most, most + 1, 2))
        slope = uphill(kj.tensor(np.roll(x, shift, (0, 1)))).numpy()
        slope = np.roll(slope, (-shift[0], -shift[1]), (0, 1))
        moved = x + length * slope / max(float(np.linalg.norm(slope)), 1e-12)
        x = np.clip(middle + (1 - decay) * (moved - middle), 0, 1)
        if step % BLUR_EVERY == BLUR_EVERY - 1 and step < steps - BLUR_EVERY:
            x = _blurred(x)
    found: Array = x.astype(np.float32)
    return found


def _score(model: PictureNet, number: int) -> Callable[[Tensor], Tensor]:
    def score(x: Tensor) -> Tensor:
        return model(standardised(model.config, kj.expand_dims(x, 0)))[0, number]

    return score


def _blurred(x: Array) -> Array:
    for axis in (0, 1):
        before, after = np.roll(x, 1, axis), np.roll(x, -1, axis)
        x = WEIGHTS[0] * before + WEIGHTS[1] * x + WEIGHTS[2] * after
    return x


def _checked(model: PictureNet, pictures: Any) -> Array:
    given = np.asarray(pictures)
    if given.shape[1:] != model.config.stored:
        what = f"pictures of shape {list(given.shape[1:])}, expected {list(model.config.stored)}"
        raise ShapeError(what, fix="read them by kedja.io.photos.read(file, model.config.shape)")
    return given


def _classes(model: PictureNet, pictures: Any, label: str | int | None) -> Array:
    if label is not None:
        return np.full(len(pictures), number_of(model, label), np.int64)
    found: Array = probabilities(model, np.asarray(pictures)).argmax(1)
    return found
