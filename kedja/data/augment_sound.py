"""Augmentation of sound: each spectrogram a little different in every epoch, drawn in the step.

A recording that is said faster, by a shorter throat, into another microphone or in a noisier room
is still the same word. Not here: spectrograms (`spectrogram.py`), pictures (`augment.py`).
Next: `changes.py`.
Dimensions: B recordings, F frames, M bands.

The random numbers come from the key of `nn.training`: the same seed gives the same changes, with
any number of threads, interrupted or not. Outside of training nothing is changed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

import kedja.front.functions as kj
from kedja import nn
from kedja.data.changes import parsed, require_within, written
from kedja.data.spectrogram import BREAK, DECIBELS, STEEPNESS, hertz, mel
from kedja.front import random
from kedja.front.tensor import Tensor
from kedja.ground.dtypes import float32, int32

# The rows of the uniform numbers that each recording draws: where, how fast, how high …
SHIFT, STRETCH, WARP, TILT, NOISE, FRAMES_FROM, FRAMES, BANDS_FROM, BANDS = range(9)
KNEE = 0.6  # of the highest frequency: what lies above is not scaled, but leads up to it


@dataclass(frozen=True)
class AugmentSound:
    """By how much spectrograms are changed; each number is the largest change, 0 for none.

    - `shift`: in time, in shares of the picture; what comes in is silence (0).
    - `stretch`: 0.1 is from 0.9 to 1.1 times as slow.
    - `warp`: 0.1 is frequencies from 0.9 to 1.1 times as high, as a throat is shorter or longer (N.
      Jaitly, G. Hinton: Vocal tract length perturbation, 2013).
    - `tilt`: decibels by which the highest band is louder or softer than the lowest, as another
      microphone has it.
    - `noise`: decibels of an even noise in which softer parts drown, from silence (80 dB below the
      loudest point) up.
    - `frame_mask`, `band_mask`: how much of time and of the bands a stretch covers that is silenced
      (D. Park et al.: SpecAugment, 2019).
    """

    shift: float = 0.0
    stretch: float = 0.0
    warp: float = 0.0
    tilt: float = 0.0
    noise: float = 0.0
    frame_mask: float = 0.0
    band_mask: float = 0.0

    def __post_init__(self) -> None:
        shares = {"shift": 1, "stretch": 0.5, "warp": 0.5, "frame_mask": 1, "band_mask": 1}
        require_within(self, {**shares, "tilt": DECIBELS, "noise": DECIBELS})

    def __str__(self) -> str:
        return written(self)

    def __call__(self, x: Tensor, rate: int) -> Tensor:
        """x (B, F, M) of waves at `rate`, from 0 to 1 → the same; in training alone changed.

        Raises UsageError where `nn.training` has no key.
        """
        if self == AugmentSound() or not nn.is_training():
            return x
        u = random.uniform(nn.next_key(), (9, x.shape[0]))
        x = self._warped(x, u[WARP], rate)
        x = self._timed(x, u[SHIFT], u[STRETCH])
        x = self._disturbed(x, u[TILT], u[NOISE])
        x = masked(x, u[FRAMES] * self.frame_mask, u[FRAMES_FROM], 1) if self.frame_mask else x
        return masked(x, u[BANDS] * self.band_mask, u[BANDS_FROM], 2) if self.band_mask else x

    def _warped(self, x: Tensor, u: Tensor, rate: int) -> Tensor:
        """Each band is what stood at so many times its frequency, between two bands their mean."""
        if not self.warp:
            return x
        bands = x.shape[2]
        place = warped_places(1 + self.warp * (2 * u - 1), bands, rate)  # (B, M)
        j = kj.arange(bands).astype(float32)
        share = kj.maximum(0.0, 1 - abs(kj.expand_dims(place, 1) - j.reshape(1, -1, 1)))
        return x @ share  # (B, F, M) (B, M, M)

    def _timed(self, x: Tensor, shift: Tensor, stretch: Tensor) -> Tensor:
        """Moved by whole frames, or, where it is stretched too, to places between them."""
        if not self.shift and not self.stretch:
            return x
        frames = x.shape[1]
        by = kj.round((2 * shift - 1) * (self.shift * frames)).reshape(-1, 1)
        place = kj.arange(frames).astype(float32).reshape(1, -1) - by  # (B, F)
        if not self.stretch:
            return _frames(x, place.astype(int32))
        place = place / (1 + self.stretch * (2 * stretch - 1)).reshape(-1, 1)
        before = kj.floor(place)
        share = kj.expand_dims(place - before, 2)  # (B, F, 1) of the frame behind
        first, then = _frames(x, before.astype(int32)), _frames(x, before.astype(int32) + 1)
        return first + (then - first) * share

    def _disturbed(self, x: Tensor, tilt: Tensor, noise: Tensor) -> Tensor:
        """Another microphone, then another room."""
        if self.tilt:
            slope = kj.arange(x.shape[2]).astype(float32) / max(1, x.shape[2] - 1) - 0.5  # (M,)
            more = _each((2 * tilt - 1) * (self.tilt / DECIBELS)) * slope
            x = kj.where(x > 0, kj.clip(x + more, 0.0, 1.0), x)
        if self.noise:
            x = kj.maximum(x, _each(noise * (self.noise / DECIBELS)))
        return x


def warped_places(times: Tensor, bands: int, rate: int) -> Tensor:
    """Where each band's frequency, so many times (B,) as high, lies among the bands: (B, M).

    Up to a knee all frequencies are multiplied; from there on a straight line leads to half the
    rate, which stays where it is.
    """
    top = rate / 2
    high = float(mel(top))
    f = hertz(np.linspace(0, high, bands + 2))[1:-1].astype(np.float32)  # (M,)
    times = times.reshape(-1, 1)
    reached = KNEE * top * kj.minimum(times, 1.0)  # (B, 1), what the knee becomes
    slope = (top - reached) / (top - reached / times)
    found = kj.where(times * f <= reached, times * f, top - slope * (top - f))  # (B, M)
    mels = (STEEPNESS / math.log(10)) * kj.log(1 + found / BREAK)
    return kj.clip(mels * ((bands + 1) / high) - 1, 0.0, bands - 1.0)


def masked(x: Tensor, share: Tensor, start: Tensor, axis: int) -> Tensor:
    """Pictures (B, F, M) with one stretch of an axis, a `share` (B,) of it, made silent."""
    size = x.shape[axis]
    width = share.reshape(-1, 1) * size
    begin = start.reshape(-1, 1) * (size - width)
    place = kj.arange(size).astype(x.dtype).reshape(1, -1)
    kept = ((place < begin) | (place >= begin + width)).astype(x.dtype)  # (B, size)
    return x * kj.expand_dims(kept, 3 - axis)


def parse(text: str) -> AugmentSound:
    """What `str` of an `AugmentSound` gives, back: `shift=0.1,warp=0.1`, or `none`.

    Raises UsageError for anything else.

    >>> str(parse("warp=0.1, shift=0.2"))
    'shift=0.2,warp=0.1'
    """
    return parsed(text, AugmentSound)


def _frames(x: Tensor, place: Tensor) -> Tensor:
    """The frames at these places (B, F), int32; silence outside of the picture."""
    count, frames, bands = x.shape
    inside = (place >= 0) & (place < frames)
    first = kj.arange(count).astype(int32).reshape(-1, 1) * frames
    rows = kj.clip(place, 0, frames - 1) + first
    found = kj.take(x.reshape(count * frames, bands), rows, axis=0)  # (B, F, M)
    return kj.where(kj.expand_dims(inside, 2), found, 0)


def _each(values: Tensor) -> Tensor:
    """(B,) → (B, 1, 1)."""
    return values.reshape(-1, 1, 1)
