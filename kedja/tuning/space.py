"""Over which options of a model is searched, and where they make sense.

| model                  | rate                | width and depth           | else             |
|------------------------|---------------------|---------------------------|------------------|
| mlp                    | 0.0003 … 0.03       | 16 … 256, 1 … 3 layers    |                  |
| linear                 | 0.001 … 0.3         |                           |                  |
| gpt                    | 0.0003 … 0.01       | 32 … 256, 1 … 4 layers    | dropout to 0.3   |
| rnn, lstm, gru         | 0.0005 … 0.02       | 32 … 256, 1 … 3 layers    | dropout to 0.3   |
| text-classifier        | 0.0005 … 0.05       | 16 … 128                  | dropout to 0.5   |
| cnn                    | 0.0003 … 0.01       | 8 … 64, 1 … 2 layers      | dropout to 0.5   |
| resnet                 | 0.0003 … 0.01       | 8 … 32, 1 … 3 blocks      |                  |
| spectrogram-cnn        | 0.0005 … 0.02       | 8 … 32                    | dropout to 0.5   |
| clip                   | 0.0001 … 0.003      | 32 … 128                  | decay to 1       |
| factors                | 0.001 … 0.1         | 2 … 32                    | decay to 3       |
| two-tower              | 0.001 … 0.1         | 2 … 32                    | decay to 30      |
| autoregression         | 0.0001 … 0.01       |                           | decay to 1       |
| series-lstm            | 0.0005 … 0.02       | 8 … 64, 1 … 2 layers      | dropout to 0.3   |
| series-transformer     | 0.0003 … 0.01       | 8 … 64, 1 … 3 layers      | dropout to 0.3   |

Rates are searched by their logarithm. `depth` is the number of layers; of networks for pictures it
is that of each stage, and `width` that of the first stage. Not here: the search (`searching.py`).
Next: `searching.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from kedja.ground.errors import UsageError


@dataclass(frozen=True)
class Span:
    """All numbers from `low` to `high`; `whole` ones, multiples of `step`."""

    low: float
    high: float
    log: bool = False
    whole: bool = False
    step: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.high or (self.log and self.low <= 0):
            what = f"from {self.low:g} to {self.high:g}"
            raise UsageError(what, fix="the smaller number first, none below 0: 0.001:0.1")


@dataclass(frozen=True)
class Choice:
    """One of some values."""

    values: tuple[Any, ...]


Space = Mapping[str, Span | Choice]


def _rate(low: float, high: float) -> Span:
    return Span(low, high, log=True)


def _layers(high: int) -> Span:
    return Span(1, high, whole=True)


_WIDE = Choice((32, 64, 128, 256))
_NARROW = Choice((8, 16, 32, 64))
_CODES = Choice((2, 4, 8, 16, 32))
_DROPOUT, _HALF = Span(0.0, 0.3), Span(0.0, 0.5)
_RECURRENT: Space = {
    "lr": _rate(5e-4, 2e-2),
    "width": _WIDE,
    "depth": _layers(3),
    "dropout": _DROPOUT,
}
SPACES: dict[str, Space] = {
    "mlp": {"lr": _rate(3e-4, 3e-2), "width": Choice((16, 32, 64, 128, 256)), "depth": _layers(3)},
    "linear": {"lr": _rate(1e-3, 0.3)},
    "gpt": {"lr": _rate(3e-4, 1e-2), "width": _WIDE, "depth": _layers(4), "dropout": _DROPOUT},
    **dict.fromkeys(("rnn", "lstm", "gru"), _RECURRENT),
    "text-classifier": {
        "lr": _rate(5e-4, 5e-2),
        "width": Choice((16, 32, 64, 128)),
        "dropout": _HALF,
    },
    "cnn": {"lr": _rate(3e-4, 1e-2), "width": _NARROW, "depth": _layers(2), "dropout": _HALF},
    "resnet": {"lr": _rate(3e-4, 1e-2), "width": Choice((8, 16, 32)), "depth": _layers(3)},
    "spectrogram-cnn": {
        "lr": _rate(5e-4, 2e-2),
        "width": Choice((8, 16, 32)),
        "dropout": _HALF,
    },
    "clip": {
        "lr": _rate(1e-4, 3e-3),
        "width": Choice((32, 64, 128)),
        "weight_decay": _rate(1e-3, 1.0),
    },
    "factors": {"lr": _rate(1e-3, 0.1), "width": _CODES, "weight_decay": _rate(1e-2, 3.0)},
    "two-tower": {"lr": _rate(1e-3, 0.1), "width": _CODES, "weight_decay": _rate(1e-1, 30.0)},
    "autoregression": {"lr": _rate(1e-4, 1e-2), "weight_decay": _rate(1e-4, 1.0)},
    "series-lstm": {
        "lr": _rate(5e-4, 2e-2),
        "width": _NARROW,
        "depth": _layers(2),
        "dropout": _DROPOUT,
    },
    "series-transformer": {
        "lr": _rate(3e-4, 1e-2),
        "width": _NARROW,
        "depth": _layers(3),
        "dropout": _DROPOUT,
    },
}


def space_for(model: str, given: Mapping[str, str | None]) -> Space:
    """The space of a model, with the spans `LOW:HIGH` that were given in place of the usual ones.

    >>> space_for("linear", {"lr": "0.01:0.1", "width": None})
    {'lr': Span(low=0.01, high=0.1, log=True, whole=False, step=1)}

    Raises UsageError for a model that is not tuned, for an option that it does not have, and for
    texts that are no span.
    """
    if model not in SPACES:
        what = f"the options of the model {model} are not searched"
        raise UsageError(what, fix=f"one of {', '.join(SPACES)}")
    found = dict(SPACES[model])
    for name, text in given.items():
        if text is None:
            continue
        if name not in found:
            what = f"the search for {model} has no --{name}"
            raise UsageError(what, fix=f"it has {', '.join('--' + each for each in found)}")
        found[name] = _given(name, text, found[name])
    return found


def _given(name: str, text: str, usual: Span | Choice) -> Span | Choice:
    """`LOW:HIGH`, or one number for no search at all; a choice keeps its values between them."""
    low, _, high = text.partition(":")
    try:
        ends = float(low), float(high or low)
    except ValueError:
        fix = f"two numbers: --{name} 0.001:0.1"
        raise UsageError(f"--{name} {text!r} is no span", fix=fix) from None
    if isinstance(usual, Span):
        if ends[0] > ends[1]:
            raise UsageError(f"--{name} {text}", fix="the smaller number first")
        return replace(usual, low=ends[0], high=ends[1])
    inside = [each for each in usual.values if ends[0] <= each <= ends[1]]
    values = sorted({int(ends[0]), *inside, int(ends[1])})
    if values[0] < 1 or ends[0] > ends[1]:
        raise UsageError(f"--{name} {text}", fix="whole numbers from 1, the smaller one first")
    return Choice(tuple(values))
