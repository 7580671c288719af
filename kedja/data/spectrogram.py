"""Log-mel spectrograms: how loud each band of frequencies is, moment by moment, as a picture.

Computed once, on the host, and kept as arrays. Not here: files of sound (`sound.py`), the network
that looks at the pictures (`kedja/models/spectrogram_cnn.py`). Next: `sound.py`.
Dimensions: L samples, W samples of a window, F frames, K frequencies (W/2 + 1), M bands of mel.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from kedja.ground.errors import MissingExtra, ShapeError, UsageError

Array = np.ndarray[Any, np.dtype[Any]]

WINDOW_SECONDS, HOP_SECONDS = 0.032, 0.016
DECIBELS = 80.0
BREAK, STEEPNESS = 700.0, 2595.0  # of the mel scale, as HTK has it


# ------------------------------------------------------------------------------- frequencies


def hann(size: int) -> Array:
    """The periodic Hann window w[n] = ½ − ½ cos(2πn/W), float64 (W,).

    Source: F. Harris: On the use of windows for harmonic analysis with the discrete Fourier
    transform (1978).
    """
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)


def stft(wave: Array, window: int, hop: int) -> Array:
    """The short-time Fourier transform of a wave (L,), complex128 (F, K).

    X[f, k] = Σₙ w[n] · x[f·hop + n] · exp(−2πi·k·n/W), where w is Hann's window. There are
    F = 1 + ⌊(L − W)/hop⌋ frames, the last samples that fill none are left out, and a wave shorter
    than a window is filled up with zeros. Frequency k is k·rate/W hertz.
    Raises ShapeError for a wave that is not of one axis, UsageError for sizes below 1.
    Source: J. Allen: Short term spectral analysis, synthesis, and modification by discrete Fourier
    transform (1977).

    >>> stft(np.ones(8), window=4, hop=2).real.round(6).tolist()
    [[2.0, -1.0, 0.0], [2.0, -1.0, 0.0], [2.0, -1.0, 0.0]]
    """
    if wave.ndim != 1:
        raise ShapeError(f"a wave of shape {list(wave.shape)}", fix="give one channel: (L,)")
    if window < 1 or hop < 1:
        raise UsageError(f"window {window}, hop {hop}", fix="give 1 sample or more")
    if len(wave) < window:
        wave = np.pad(wave, (0, window - len(wave)))
    framed = np.lib.stride_tricks.sliding_window_view(wave, window)[::hop]  # (F, W)
    return np.fft.rfft(framed * hann(window))


def power(wave: Array, window: int, hop: int) -> Array:
    """|X|² of the short-time Fourier transform, float64 (F, K). Raises as `stft` does."""
    found = stft(wave, window, hop)
    squares: Array = found.real**2 + found.imag**2
    return squares


# ---------------------------------------------------------------------------------------- mel


def mel(hertz: Any) -> Any:
    """The mel scale as HTK has it: m = 2595 · log₁₀(1 + f/700), on which 1,000 Hz is 1,000.

    Equal steps on it sound about equally large. (Slaney's scale, linear below 1,000 Hz, is
    another one.) Source: D. O'Shaughnessy: Speech communication (1987); S. Young et al.: The HTK
    book (2006), section 5.4.

    >>> round(mel(1000.0))
    1000
    """
    return STEEPNESS * np.log10(1 + np.asarray(hertz) / BREAK)


def hertz(mels: Any) -> Any:
    """The inverse of `mel`: f = 700 · (10^(m/2595) − 1)."""
    return BREAK * (10 ** (np.asarray(mels) / STEEPNESS) - 1)


@lru_cache(maxsize=8)
def mel_filters(bands: int, rate: int, window: int) -> Array:
    """The weight of each frequency in each band, float64 (M, K): triangles of height 1.

    The corners c₀ < … < c_{M+1} stand in equal steps of mel from 0 Hz to half the rate; band m
    rises from c_m to 1 at c_{m+1}, and falls to 0 at c_{m+2}. Raises UsageError where a band has no
    frequency in it, because the window is too short for so many bands.
    """
    corners = hertz(np.linspace(0, mel(rate / 2), bands + 2))
    found = np.arange(window // 2 + 1) * (rate / window)  # (K,)
    low, top, high = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    weights: Array = np.maximum(
        0, np.minimum((found - low) / (top - low), (high - found) / (high - top))
    )
    empty = np.flatnonzero(weights.sum(1) == 0)
    if len(empty):
        what = f"band {empty[0] + 1} of {bands} lies between the frequencies of a window of "
        raise UsageError(f"{what}{window} samples", fix="fewer bands, or a longer window")
    weights.flags.writeable = False  # it is kept, and given to others
    return weights


@dataclass(frozen=True)
class LogMel:
    """A wave (L,) at `rate` as a picture, float32 (F, M): 1 is its loudest point, 0 is silence.

    P = |STFT|² · filtersᵀ is the power of each frame in each band, and

        y = max(0, 1 + 10 log₁₀(P / max P) / 80)

    so that a recording that is louder as a whole gives the same picture, and all that is 80 dB
    below its loudest point is 0. Short waves are filled up with zeros behind; long ones are cut.

    >>> picture = LogMel(rate=8000, window=256, hop=128, bands=40, frames=61)
    >>> tone = np.sin(2 * np.pi * 1000 * np.arange(8000) / 8000)
    >>> picture(tone).shape, int(picture(tone)[30].argmax())
    ((61, 40), 18)
    """

    rate: int
    window: int
    hop: int
    bands: int
    frames: int

    @property
    def samples(self) -> int:
        """L, how many samples are looked at."""
        return self.window + (self.frames - 1) * self.hop

    def __call__(self, wave: Array) -> Array:
        """The picture of a wave at this rate."""
        whole = np.zeros(self.samples)
        cut = wave[: self.samples]
        whole[: len(cut)] = cut
        filters = mel_filters(self.bands, self.rate, self.window)
        found = power(whole, self.window, self.hop) @ filters.T  # (F, M)
        loudest = found.max()
        if loudest == 0:
            return np.zeros(found.shape, np.float32)
        quietest = 10 ** (-DECIBELS / 10)
        level: Array = 10 * np.log10(np.maximum(found / loudest, quietest))
        return (1 + level / DECIBELS).astype(np.float32)


def log_mel(rate: int, seconds: float, bands: int = 40) -> LogMel:
    """Pictures of so many seconds, with windows of 32 ms in steps of 16 ms.

    Raises UsageError where the rate is too low for so many bands.
    """
    window, hop = round(WINDOW_SECONDS * rate), round(HOP_SECONDS * rate)
    frames = 1 + max(0, -(-(round(seconds * rate) - window) // hop))
    mel_filters(bands, rate, window)
    return LogMel(rate, window, hop, bands, frames)


# ------------------------------------------------------------------------------------ picture


def plot(picture: Array, shape: LogMel, ax: Any = None) -> Any:
    """Draw a picture (F, M) over seconds and hertz; gives the axes. Needs matplotlib."""
    ax = _axes() if ax is None else ax
    frames, bands = picture.shape
    seconds = frames * shape.hop / shape.rate
    ax.imshow(picture.T, origin="lower", aspect="auto", extent=(0, seconds, 0, bands), vmin=0)
    corners = hertz(np.linspace(0, mel(shape.rate / 2), bands + 2))[1:-1]
    ticks = np.linspace(0, bands - 1, 5).astype(int)
    ax.set_yticks(ticks + 0.5, [f"{corners[each]:,.0f}" for each in ticks])
    ax.set_xlabel("seconds")
    ax.set_ylabel("hertz")
    return ax


def _axes() -> Any:
    """Axes of a figure of its own, which no window shows: `ax.figure.savefig(file)` keeps it."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg  # an extra
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtra("matplotlib", "plots", "drawing a spectrogram") from None
    figure = Figure(figsize=(6, 3), layout="constrained")
    FigureCanvasAgg(figure)
    return figure.subplots()
