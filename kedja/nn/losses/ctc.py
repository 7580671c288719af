"""Connectionist temporal classification: a sequence of labels whose places are not known.

Letters: α log-probabilities of all ways so far. Dimensions: T steps, N examples, C classes (with
the blank), S labels at most, E = 2 S + 1 labels with blanks between them.
Next: `kedja/nn/recurrent.py`.
"""

from __future__ import annotations

from typing import Any

from kedja.front import functions
from kedja.front.arithmetic import where
from kedja.front.control import scan
from kedja.front.tensor import Tensor, as_tensor
from kedja.ground.dtypes import int64, is_integer
from kedja.ground.errors import DataError, DtypeError, ShapeError
from kedja.ir.graph import locating
from kedja.nn.losses.reduction import at_hand, reduced, require_reduction, wide
from kedja.nn.module import Module

NEVER = -1e30  # stands for log 0, so that no derivative is 0·∞


def ctc_loss(
    log_probabilities: Any,
    labels: Any,
    input_lengths: Any,
    label_lengths: Any,
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Tensor:
    """−log of the probability of all ways to say the labels, blanks and repetitions left out.

    Shapes: log_probabilities (T, N, C), labels (N, S) of any integer dtype, filled up with
    anything, lengths (N,); without the N for a single example. The mean divides each loss by the
    length of its labels first, as PyTorch's does. A sequence that is too short for its labels has
    the loss ∞, with `zero_infinity` 0, and no gradient. The gradient is that of the formula for any
    log_probabilities; PyTorch's is that for those which a log_softmax gives. Raises ShapeError,
    DtypeError, and DataError for given lengths that are too long.
    Source: A. Graves et al.: Connectionist temporal classification, labelling unsegmented sequence
    data with recurrent neural networks (2006).

    >>> half = [[[-0.6931472, -0.6931472]], [[-0.6931472, -0.6931472]]]  # two steps, two classes
    >>> round(ctc_loss(half, [[1]], [2], [1]).item(), 4)  # 3 ways of 4 say 1: 11, 01, 10
    0.2877
    """
    require_reduction(reduction)
    p, label = wide(log_probabilities), as_tensor(labels)
    steps, counts = (as_tensor(each).astype(int64) for each in (input_lengths, label_lengths))
    single = p.ndim == 2
    if single:
        p, label = functions.expand_dims(p, 1), functions.expand_dims(label, 0)
        steps, counts = steps.reshape(-1), counts.reshape(-1)
    _require_fit(p, label, steps, counts, blank)
    each = _losses(p, label.astype(int64), steps, counts, blank)
    each = where(each > -NEVER / 2, 0.0 if zero_infinity else float("inf"), each)
    if reduction == "mean":
        each = each / functions.maximum(counts, 1).astype(each.dtype)
    each = reduced(each, reduction)
    return each.reshape(()) if single else each


def _require_fit(p: Tensor, label: Tensor, steps: Tensor, counts: Tensor, blank: int) -> None:
    with locating():
        if not is_integer(label.dtype):
            raise DtypeError(f"ctc_loss with labels of {label.dtype.name}", fix="whole numbers")
        rows = p.shape[1:2]
        same = label.shape[:1] == steps.shape == counts.shape == rows
        if p.ndim != 3 or label.ndim != 2 or not same:
            raise ShapeError(
                f"ctc_loss of outputs {list(p.shape)}, labels {list(label.shape)} and lengths "
                f"{list(steps.shape)} and {list(counts.shape)}",
                fix="outputs (T, N, C), labels (N, S), both lengths (N,)",
            )
        _require_lengths("input", steps, 1, p.shape[0])
        _require_lengths("label", counts, 0, label.shape[1])
        if not 0 <= blank < p.shape[2]:
            raise DataError(f"ctc_loss with blank={blank} of {p.shape[2]} classes")


def _require_lengths(name: str, lengths: Tensor, low: int, high: int) -> None:
    values = at_hand(lengths)
    if values is not None and ((values < low) | (values > high)).any():
        fix = f"from {low} to {high}"
        raise DataError(f"ctc_loss with {name}_lengths {values.tolist()}", fix=fix)


def _losses(p: Tensor, label: Tensor, steps: Tensor, counts: Tensor, blank: int) -> Tensor:
    """Minus the log of each example's probability: (N,)."""
    extended = _extended(label, p.shape[2], blank)  # (N, E)
    said = functions.take_along_axis(
        p, functions.broadcast_to(extended, (p.shape[0], *extended.shape)), -1
    )  # (T, N, E)
    skips = (extended != blank) & (extended != _later(extended, 2, blank))
    place = functions.arange(extended.shape[1])
    start = where(place < 2, said[0], NEVER)

    def step(ways: Tensor, now: Any) -> tuple[Tensor, None]:
        gained, time = now
        skipped = where(skips, _later(ways, 2, NEVER), NEVER)
        found = _log_of_sum(ways, _later(ways, 1, NEVER), skipped) + gained
        found = functions.maximum(found, NEVER)
        return where((time < steps).reshape(-1, 1), found, ways), None

    times = functions.arange(1, p.shape[0])
    ways, _ = scan(step, start, (said[1:], times))
    last = (2 * counts).reshape(-1, 1)  # ends with the blank after the last label, or with it
    before = functions.take_along_axis(ways, functions.maximum(last - 1, 0), -1)
    before = where(last > 0, before, NEVER)
    total = _log_of_sum(functions.take_along_axis(ways, last, -1), before, before * 0 + NEVER)
    return -total.reshape(-1)


def _extended(label: Tensor, classes: int, blank: int) -> Tensor:
    """Labels with blanks around each: (N, E). What fills a row up may be no class."""
    safe = functions.clip(label, 0, classes - 1)
    blanks = functions.full_like(safe, blank)
    pairs = functions.stack([blanks, safe], axis=-1).reshape(label.shape[0], -1)  # (N, 2 S)
    return functions.concat([pairs, functions.full((label.shape[0], 1), blank, int64)], axis=1)


def _later(x: Tensor, by: int, fill: float) -> Tensor:
    """The columns moved to the right, with a number in the gap: (N, E)."""
    by = min(by, x.shape[1])
    gap = functions.full((x.shape[0], by), fill, x.dtype)
    return functions.concat([gap, x[:, : x.shape[1] - by]], axis=1)


def _log_of_sum(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """log(eᵃ + eᵇ + eᶜ)."""
    peak = functions.stop_gradient(functions.maximum(functions.maximum(a, b), c))
    powers = [functions.exp(each - peak) for each in (a, b, c)]
    return functions.log(powers[0] + powers[1] + powers[2]) + peak


class CTCLoss(Module):
    """Sequences whose places are not known; see `nn.ctc_loss`."""

    blank: int = 0
    reduction: str = "mean"
    zero_infinity: bool = False

    def __call__(
        self, log_probabilities: Any, labels: Any, input_lengths: Any, label_lengths: Any
    ) -> Tensor:
        """Log-probabilities (T, N, C), labels (N, S), lengths (N,) → a scalar, or (N,)."""
        return ctc_loss(
            log_probabilities,
            labels,
            input_lengths,
            label_lengths,
            self.blank,
            self.reduction,
            self.zero_infinity,
        )
