"""Forecasters of a series: linear autoregression, an LSTM, a causal transformer, with one face.

All three read the past of a target and what is known in advance, and say for each of the H coming
steps the mean, and how far below and above it two quantiles lie. They speak of the distance to the
level that the series has now, the mean of its last season (of its last value where it has none), so
that a series may wander off from where it was trained; untrained they forecast that level.
`margins` (H,) of a model widen low and high until they hold as often as they should; `seen` is all
that it looks at.
Sources: the level is that of A. Zeng et al.: Are transformers effective for time series
forecasting? (2023); autoregression G. U. Yule (1927); the others S. Hochreiter and J. Schmidhuber
(1997) and A. Vaswani et al. (2017). Not here: training and testing (`kedja/train/forecasting.py`).
Next: `kedja/data/series.py`.
Dimensions: B windows, T past steps, H coming steps, P columns of which only the past is known (the
target first), K columns known in advance, C channels, 3 answers: mean, low, high.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import kedja as kj
from kedja import Tensor, nn
from kedja.data import seasons
from kedja.data.spacing import Spacing
from kedja.ground.errors import UsageError
from kedja.models import registry

ANSWERS = 3


@dataclass(frozen=True)
class ForecasterConfig:
    """Sizes T and H, the season, the columns, and how a series becomes inputs.

    `columns` begin with the target; the last `known` of them are known in advance, and so are the
    waves of the `periods`. `means` and `scales` are those of the columns in the training part.
    `level` is the share of values that should lie between low and high.
    """

    past: int
    horizon: int
    season: int
    columns: tuple[str, ...]
    known: int
    periods: tuple[float, ...]
    means: tuple[float, ...]
    scales: tuple[float, ...]
    spacing: Spacing
    level: float = 0.9
    width: int = 32
    layers: int = 1
    heads: int = 4
    dropout: float = 0.0

    def __post_init__(self) -> None:
        for name in ("columns", "periods", "means", "scales"):
            object.__setattr__(self, name, tuple(getattr(self, name)))  # JSON has lists
        object.__setattr__(self, "spacing", Spacing(*self.spacing))
        if min(self.past, self.horizon) < 1:
            what = f"a past of {self.past} and a horizon of {self.horizon} steps"
            raise UsageError(what, fix="give 1 or more")
        if not 0 < self.level < 1:
            raise UsageError(f"level is {self.level}", fix="a share between 0 and 1, such as 0.9")

    @property
    def lagged(self) -> int:
        """P, how many columns are known from the past alone."""
        return len(self.columns) - self.known

    @property
    def advance(self) -> int:
        """K, how many are known in advance, the waves of the seasons among them."""
        return self.known + seasons.width(self.periods)

    @property
    def quantiles(self) -> tuple[float, float]:
        """Which quantiles low and high are."""
        return (1 - self.level) / 2, (1 + self.level) / 2


class AutoregressionConfig(ForecasterConfig):
    """That of `Autoregression`; it has no width, layers, heads or dropout."""

    model_type: ClassVar[str] = "autoregression"


class SeriesLSTMConfig(ForecasterConfig):
    """That of `SeriesLSTM`; it has no heads."""

    model_type: ClassVar[str] = "series-lstm"


class SeriesTransformerConfig(ForecasterConfig):
    """That of `SeriesTransformer`."""

    model_type: ClassVar[str] = "series-transformer"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.width % self.heads:
            what = f"a width of {self.width} in {self.heads} heads"
            raise UsageError(what, fix="heads that divide the width")


class Seen(NamedTuple):
    """What a forecaster may look at: past (B, T, P) from the level, what is known of all steps
    (B, T + H, K), and the level (B, 1, 1)."""

    past: Tensor
    advance: Tensor
    level: Tensor


def seen(x: Tensor, config: ForecasterConfig) -> Seen:
    """x (B, T + H, P + K) without what the last H steps have of the P columns."""
    t, p = config.past, config.lagged
    past, advance = x[:, :t, :p], x[:, :, p:]
    level = kj.mean(past[:, t - min(t, config.season) :, :1], 1, keepdims=True)
    past = kj.concat([past[:, :, :1] - level, past[:, :, 1:]], axis=2)
    return Seen(past, advance, level)


def sequence(past: Tensor, advance: Tensor) -> Tensor:
    """Both as one: (B, T + H, P + K + 1), zeros where nothing is known, 1 for coming steps."""
    b, t, p = past.shape
    h = advance.shape[1] - t
    whole = kj.concat([past, kj.zeros((b, h, p), past.dtype)], axis=1)  # (B, T + H, P)
    coming = kj.concat([kj.zeros((b, t, 1)), kj.ones((b, h, 1))], axis=1).astype(past.dtype)
    return kj.concat([whole, advance, coming], axis=2)


def answers(mean: Tensor, spread: Tensor, level: Tensor) -> Tensor:
    """mean (B, H, 1), spread (B, H, 2) and level (B, 1, 1) → mean, low and high (B, H, 3).

    Low and high learn how far they are from the mean; the mean does not learn to please them.
    """
    return kj.concat([mean, kj.stop_gradient(mean) + spread], axis=2) + level


class Autoregression(nn.Module):
    """mean(t + h) = level + Σ over lags and columns W[h] past + Σ known[h] advance(t + h) + b[h].

    How far low and high are from it follows in the same way from what is known of a step in
    advance, not from the past.

    >>> sizes = dict(past=6, horizon=2, season=1, columns=("y",), known=0, periods=())
    >>> model = Autoregression(AutoregressionConfig(**sizes, means=(0,), scales=(1,), spacing=DAY))
    >>> model(kj.ones((5, 8, 1))).shape
    (5, 2, 3)
    """

    config: ForecasterConfig
    margins: nn.Buffer
    past: nn.Linear
    known: Tensor
    apart: Tensor
    spread: Tensor

    def __init__(self, config: ForecasterConfig) -> None:
        self.config, self.margins = config, kj.zeros(config.horizon)
        self.past = nn.Linear(config.past * len(config.columns), config.horizon, init=nn.init.zeros)
        self.known = kj.zeros((config.horizon, config.advance))
        self.spread = kj.zeros((config.horizon, 2))
        self.apart = kj.zeros((config.advance, 2))

    def __call__(self, x: Tensor) -> Tensor:
        """x (B, T + H, P + K), standardised → (B, H, 3)."""
        past, advance, level = seen(x, self.config)
        t, given = self.config.past, self.config.known
        past = kj.concat([past, advance[:, :t, :given]], axis=2)  # (B, T, all columns)
        known = advance[:, t:]  # (B, H, K)
        mean = self.past(past.reshape(past.shape[0], -1)) + kj.sum(known * self.known, 2)
        return answers(kj.expand_dims(mean, 2), self.spread + known @ self.apart, level)


class SeriesLSTM(nn.Module):
    """An LSTM goes through the past and on through the coming steps, whose states are the answers.

    >>> sizes = dict(past=6, horizon=2, season=1, columns=("y",), known=0, periods=(7.0,))
    >>> model = SeriesLSTM(SeriesLSTMConfig(**sizes, means=(0,), scales=(1,), spacing=DAY))
    >>> model(kj.ones((5, 8, 7))).shape
    (5, 2, 3)
    """

    config: ForecasterConfig
    margins: nn.Buffer
    lstm: nn.LSTM
    head: nn.Linear

    def __init__(self, config: ForecasterConfig) -> None:
        self.config, self.margins = config, kj.zeros(config.horizon)
        inputs = config.lagged + config.advance + 1
        between = config.dropout if config.layers > 1 else 0.0
        self.lstm = nn.LSTM(inputs, config.width, config.layers, batch_first=True, dropout=between)
        self.head = nn.Linear(config.width, ANSWERS, init=nn.init.zeros)

    def __call__(self, x: Tensor) -> Tensor:
        """x (B, T + H, P + K), standardised → (B, H, 3): a matrix on each of the last H states."""
        past, advance, level = seen(x, self.config)
        y, _ = self.lstm(sequence(past, advance))  # (B, T + H, C)
        y = self.head(y[:, self.config.past :])  # (B, H, 3)
        return answers(y[..., :1], y[..., 1:], level)


class SeriesTransformer(nn.Module):
    """Blocks of attention in which a step looks at itself and those before, past and coming.

    >>> sizes = dict(past=6, horizon=2, season=1, columns=("y",), known=0, periods=(7.0,))
    >>> given = SeriesTransformerConfig(**sizes, means=(0,), scales=(1,), spacing=DAY, width=8)
    >>> SeriesTransformer(given)(kj.ones((5, 8, 7))).shape
    (5, 2, 3)
    """

    config: ForecasterConfig
    margins: nn.Buffer
    embedding: nn.Linear
    positions: Tensor
    blocks: nn.TransformerEncoder
    head: nn.Linear

    def __init__(self, config: ForecasterConfig) -> None:
        self.config, self.margins = config, kj.zeros(config.horizon)
        width, length = config.width, config.past + config.horizon
        self.embedding = nn.Linear(config.lagged + config.advance + 1, width)
        self.positions = nn.init.normal(kj.random.next_key(), (length, width), 0.0, 0.1)
        block = nn.TransformerEncoderLayer(
            width, config.heads, 4 * width, config.dropout, batch_first=True, norm_first=True
        )
        self.blocks = nn.TransformerEncoder(block, config.layers, nn.LayerNorm(width))
        self.head = nn.Linear(width, ANSWERS, init=nn.init.zeros)

    def __call__(self, x: Tensor) -> Tensor:
        """x (B, T + H, P + K), standardised → (B, H, 3): a matrix on each of the last H places."""
        past, advance, level = seen(x, self.config)
        y = self.embedding(sequence(past, advance)) + self.positions  # (B, T + H, C)
        y = self.head(self.blocks(y, is_causal=True)[:, self.config.past :])  # (B, H, 3)
        return answers(y[..., :1], y[..., 1:], level)


DAY = Spacing("fixed", 86_400_000_000)
Forecaster = Autoregression | SeriesLSTM | SeriesTransformer
FORECASTERS: dict[str, tuple[type[ForecasterConfig], Callable[..., Forecaster]]] = {
    AutoregressionConfig.model_type: (AutoregressionConfig, Autoregression),
    SeriesLSTMConfig.model_type: (SeriesLSTMConfig, SeriesLSTM),
    SeriesTransformerConfig.model_type: (SeriesTransformerConfig, SeriesTransformer),
}
for _name, (_config, _model) in FORECASTERS.items():
    registry.add(_name, _config, _model)
