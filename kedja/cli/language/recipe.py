"""Which sizes and options suit a text and a machine, for models that predict the next token.

The largest row whose data and time suffice is taken. Its time is estimated from its flops, six for
each weight and token, at a rate for each core that small products reach on an ordinary processor.

| gpt, from so many tokens | layers, heads, width | context, batch | updates |
|--------------------------|----------------------|----------------|---------|
| any                      | 2, 4, 64             | 32, 32         | 1,000   |
| 50 thousand              | 4, 4, 64             | 64, 32         | 2,000   |
| 500 thousand             | 4, 4, 128            | 64, 12         | 2,000   |
| 5 million                | 6, 6, 384            | 256, 8         | 5,000   |
| 100 million              | 12, 12, 768          | 512, 16        | 20,000  |

The third is nanoGPT's recipe for a CPU. A recurrent network has one or two layers of the same
width. Text that is seen more often than three times is learned with dropout, and the weights of
the best evaluation are kept; four without a better one end the training. Not here: the training
(`decoder.py`). Next: `decoder.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, NamedTuple

from kedja.cli.recipes import other_option
from kedja.ground.errors import UsageError

CORE_FLOPS = 50e9  # a second, of one core
BUDGET_SECONDS = 600.0

FEW_PASSES = 3.0
PATIENCE = 4
DROPOUTS = (
    (FEW_PASSES, 0.0),
    (30.0, 0.1),
    (float("inf"), 0.2),
)  # up to so many times through the text


class Size(NamedTuple):
    """A row of the table: from how many tokens on, and what is then taken."""

    tokens: float
    layers: int
    heads: int
    width: int
    context: int
    batch: int
    steps: int


SIZES = (
    Size(0, 2, 4, 64, 32, 32, 1000),
    Size(5e4, 4, 4, 64, 64, 32, 2000),
    Size(5e5, 4, 4, 128, 64, 12, 2000),
    Size(5e6, 6, 6, 384, 256, 8, 5000),
    Size(1e8, 12, 12, 768, 512, 16, 20_000),
)


@dataclass(frozen=True)
class Recipe:
    """All options that shape a run."""

    model: str
    layers: int
    heads: int | None
    width: int
    context: int
    dropout: float
    batch: int
    steps: int
    evaluations: int
    lr: float
    warmup: int
    weight_decay: float
    clip: float
    seed: int
    lines: bool
    tokenizer: str | None = None
    vocabulary: int | None = None
    accumulate: int = 1
    ema: float | None = None
    precision: str | None = None
    patience: int | None = None

    def to_json(self) -> dict[str, Any]:
        """A dictionary of JSON's types."""
        return asdict(self)

    @property
    def text(self) -> str:
        """The recipe in one line."""
        heads = "" if self.heads is None else f"{self.heads} heads, "
        shape = f"{self.layers} layers, {heads}{self.width} wide, context {self.context}"
        pace = f"batch {self.batch}, {self.steps:,} updates, rate {self.lr:g}"
        return ", ".join([f"{self.model}: {shape}", pace, *self._further(), f"seed {self.seed}"])

    def _further(self) -> list[str]:
        parts = {
            f"dropout {self.dropout:g}": self.dropout,
            f"updates from {self.accumulate} batches": self.accumulate != 1,
            f"average with decay {self.ema}": self.ema is not None,
            f"the best of {self.evaluations} evaluations": self.patience is not None,
            f"products in {self.precision}": self.precision is not None,
        }
        return [text for text, given in parts.items() if given]


class Text(NamedTuple):
    """What a choice depends on: tokens to train on and how many kinds of them there are; of a list,
    how many tokens its longest and its mean line have (of running text 0).
    """

    tokens: int
    vocabulary: int
    longest: int = 0
    mean: float = 0.0

    @property
    def lines(self) -> bool:
        """Whether it is a list."""
        return self.longest > 0


def recipe(model: str, text: Text, cores: int, given: Mapping[str, Any]) -> Recipe:
    """The options that the user gave, and suitable ones for the rest."""
    start = _usual(model, text, cores)
    chosen = {name: value for name, value in given.items() if name != "model"}
    made = replace(start, **chosen)
    if "lr" not in given:
        made = replace(made, lr=_rate(made))
    if "dropout" not in given:
        made = replace(made, dropout=_dropout(made, text))
    if "patience" not in given and passes(made, text) > FEW_PASSES:
        made = replace(made, patience=PATIENCE)
    if "warmup" not in given:
        made = replace(made, warmup=min(100, made.steps // 20))
    _require(made)
    return made


def _usual(model: str, text: Text, cores: int) -> Recipe:
    fitting = [each for each in SIZES if _fits(model, each, text, cores)]
    size = fitting[-1] if fitting else SIZES[0]
    recurrent = model != "gpt"
    return Recipe(
        model=model,
        layers=max(1, size.layers // 2) if recurrent else size.layers,
        heads=None if recurrent else size.heads,
        width=size.width,
        context=min(size.context, text.longest) if text.longest else size.context,
        dropout=0.0,
        batch=size.batch,
        steps=size.steps,
        evaluations=8,
        lr=0.0,
        warmup=0,
        weight_decay=0.1,
        clip=1.0,
        seed=0,
        lines=text.lines,
    )


def _fits(model: str, size: Size, text: Text, cores: int) -> bool:
    enough = text.tokens >= size.tokens
    places = size.context * size.batch * size.steps
    return (
        enough and seconds(weights(size.layers, size.width, text), places, cores) < BUDGET_SECONDS
    )


def weights(layers: int, width: int, text: Text) -> int:
    """About how many weights a model has that take part in products."""
    return 12 * layers * width * width + text.vocabulary * width


def seconds(weights: int, places: int, cores: int) -> float:
    """About how long so many places take in training."""
    return 6.0 * weights * places / (CORE_FLOPS * cores)


def estimate(made: Recipe, text: Text, cores: int) -> float:
    """About how many seconds a recipe takes."""
    places = made.context * made.batch * made.steps * made.accumulate
    return seconds(weights(made.layers, made.width, text), places, cores)


def _rate(made: Recipe) -> float:
    """Wider models want smaller steps; recurrent ones bear larger ones."""
    rate = 1e-3 if made.width <= 128 else 5e-4
    return rate if made.model == "gpt" else 2 * rate


def passes(made: Recipe, text: Text) -> float:
    """How often a run goes through its text."""
    seen = min(made.context, text.mean or made.context)  # of an example
    return made.steps * made.accumulate * made.batch * seen / max(1, text.tokens)


def _dropout(made: Recipe, text: Text) -> float:
    return next(amount for most, amount in DROPOUTS if passes(made, text) <= most)


def _require(made: Recipe) -> None:
    if made.heads is not None and made.width % made.heads:
        raise UsageError(
            f"--width {made.width} in --heads {made.heads}", fix="heads that divide the width"
        )


def require_unchanged(made: Recipe, given: Mapping[str, Any]) -> None:
    """Raise UsageError for an option that differs from that of the run which goes on."""
    for field in fields(Recipe):
        value, before = given.get(field.name), getattr(made, field.name)
        if value is not None and value != before:
            raise other_option(field.name, value, before)
