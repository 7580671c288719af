"""A network for tables: numbers in pieces, categories as vectors, then a multilayer perceptron.

A plain network bends a column's numbers slowly; most columns of real tables matter in steps. So
each number x becomes how far it has come through each of the pieces between the edges e₀ < e₁ < …:

    z_t = clip((x − e_{t−1}) / (e_t − e_{t−1}), 0, 1)

(the first and the last go one piece's width beyond the edges), and each category a learned vector.
Strong weight decay makes such a network the equal of boosted trees on many tables.
Source: Y. Gorishniy, I. Rubachev, A. Babenko: On embeddings for numerical features in tabular deep
learning (2022), section 3.2.

Not here: how columns become numbers (`kedja/data/prepare.py`), training (`kedja/train/tables.py`).
Dimensions: B rows, F inputs, P pieces of all columns together, C outputs.
Next: `kedja/train/tables.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np

import kedja as kj
from kedja import Tensor, nn
from kedja.data.prepare import Coded, Dated, Numeric, TablePreparation
from kedja.ground.errors import UsageError
from kedja.models import registry

Array = np.ndarray[Any, np.dtype[Any]]
# Edges of a column of numbers; none, for numbers that stay as they are; how many categories.
Input = tuple[float, ...] | int

WIDEST = 32  # numbers of a category's vector, at most


@dataclass(frozen=True)
class TabularConfig:
    """What each input is, and the sizes.

    `inputs` has for each column of numbers its edges, increasing (or none: it is taken as it is),
    and for each column of category numbers how many there are. `outputs` are the classes, or 1.
    """

    model_type: ClassVar[str] = "tabular"

    inputs: tuple[Input, ...]
    outputs: int = 1
    hidden: tuple[int, ...] = (256, 128)
    activation: str = "relu"
    dropout: float = 0.1

    def __post_init__(self) -> None:
        inputs = tuple(i if isinstance(i, int) else tuple(map(float, i)) for i in self.inputs)
        object.__setattr__(self, "inputs", inputs)  # JSON has lists
        object.__setattr__(self, "hidden", tuple(map(int, self.hidden)))
        for place, each in enumerate(inputs):
            if isinstance(each, tuple) and any(a >= b for a, b in pairwise(each)):
                raise UsageError(f"edges of input {place} do not increase: {each}")


class TabularMLP(nn.Module):
    """y = mlp(pieces of the numbers, vectors of the categories).

    Shapes: (B, F), categories as their numbers among the others → (B, C).

    >>> kj.random.seed(0)
    >>> tiny = TabularMLP(TabularConfig(((0.0, 1.0, 2.0), 3), hidden=(4,)))
    >>> tiny(kj.tensor([[0.5, 2.0], [1.5, 0.0]])).shape
    (2, 1)
    >>> tiny.encoded(kj.tensor([[1.5, 0.0]]))[:, :2].tolist()
    [[1.0, 0.5]]
    """

    config: TabularConfig
    source: nn.Buffer
    low: nn.Buffer
    scale: nn.Buffer
    floor: nn.Buffer
    top: nn.Buffer
    embeddings: list[nn.Embedding]
    layers: nn.Sequential

    def __init__(self, config: TabularConfig, *, key: Tensor | None = None) -> None:
        key = kj.random.next_key() if key is None else key
        own, *keys = kj.random.split(key, 1 + len(config.inputs))
        self.config = config
        source, low, scale, floor, top = _pieces(config.inputs)
        self.source = kj.tensor(source, kj.int32)
        self.low, self.scale = kj.tensor(low, kj.float32), kj.tensor(scale, kj.float32)
        self.floor, self.top = kj.tensor(floor, kj.float32), kj.tensor(top, kj.float32)
        counts = zip(config.inputs, keys, strict=True)
        self.embeddings = [_vectors(n, each) for n, each in counts if isinstance(n, int)]
        width = len(source) + sum(each.embedding_dim for each in self.embeddings)
        sizes = [width, *config.hidden, config.outputs]
        self.layers = _dropping(nn.mlp(sizes, config.activation, key=own), config.dropout)

    def __call__(self, x: Tensor) -> Tensor:
        """(B, F) → (B, C)."""
        answer: Tensor = self.layers(self.encoded(x))
        return answer

    def encoded(self, x: Tensor) -> Tensor:
        """What the perceptron sees: the pieces, then the categories' vectors, (B, P + …)."""
        parts = []
        if self.source.shape[0]:
            taken = kj.take(x, self.source, axis=1)  # (B, P)
            parts.append(kj.clip((taken - self.low) * self.scale, self.floor, self.top))
        places = [place for place, n in enumerate(self.config.inputs) if isinstance(n, int)]
        for place, table in zip(places, self.embeddings, strict=True):
            parts.append(table(x[:, place].astype(kj.int32)))  # (B, D)
        return parts[0] if len(parts) == 1 else kj.concat(parts, axis=1)


def _pieces(inputs: Sequence[Input]) -> tuple[list[Any], ...]:
    """The column, start, 1/width and bounds of every piece."""
    found: list[tuple[int, float, float, float, float]] = []
    for place, edges in enumerate(inputs):
        if isinstance(edges, int):
            continue
        if len(edges) < 2:
            found.append((place, 0.0, 1.0, -np.inf, np.inf))
            continue
        last = len(edges) - 2
        for t, (a, b) in enumerate(pairwise(edges)):
            bounds = (-1.0 if t == 0 else 0.0, 2.0 if t == last else 1.0)
            found.append((place, a, 1 / (b - a), *bounds))
    columns = zip(*found, strict=True)
    return tuple(map(list, columns)) if found else ([], [], [], [], [])


def _vectors(count: int, key: Tensor) -> nn.Embedding:
    """A vector for each category; how long follows from how many there are."""
    width = min(WIDEST, round(1.6 * count**0.56))
    return nn.Embedding(count, width, key=key, init=_small)


def _small(key: Tensor, shape: Sequence[int]) -> Tensor:
    return kj.random.normal(key, shape) * 0.5


def _dropping(layers: nn.Sequential, share: float) -> nn.Sequential:
    """The same layers with dropout after each activation."""
    if not share:
        return layers
    linear = [isinstance(each, nn.Linear) for each in layers]
    apart = ([each] if is_linear else [each, nn.Dropout(share)] for each, is_linear in
             zip(layers, linear, strict=True))  # fmt: skip
    return nn.Sequential(*(each for few in apart for each in few))


def inputs_of(preparation: TablePreparation) -> tuple[Input, ...]:
    """What the network is told of each input that a preparation makes of a table's columns."""
    found: list[Input] = []
    for column in preparation.columns:
        if isinstance(column, Coded):
            found.append(len(column.categories) + 1)
            continue
        for part in column.parts if isinstance(column, Dated) else [column]:
            first: Input = part.edges if isinstance(part, Numeric) else ()
            found += [first, *[()] * (len(part.features) - 1)]
    return tuple(found)


registry.add(TabularConfig.model_type, TabularConfig, TabularMLP)
