"""A network for tables: numbers in pieces, categories as vectors, then a multilayer perceptron.

A plain network bends a column's numbers slowly; most columns of real tables matter in steps. So
each number x becomes how far it has come through each of the pieces between the edges e₀ < e₁ < …:

    z_t = clip((x − e_{t−1}) / (e_t − e_{t−1}), 0, 1)

(the first and the last go one piece's width beyond the edges), and the pieces of a column a few
numbers, relu(Wᵀ z + b) with weights of its own: a bend or a step is learned once, not once for each
unit of the perceptron. Each category becomes a learned vector. With strong weight decay such a
network is the equal of boosted trees on many tables.
Source: Y. Gorishniy, I. Rubachev, A. Babenko: On embeddings for numerical features in tabular deep
learning (2022), section 3.2 and "Q-LR" in section 4.

Not here: how columns become numbers (`kedja/data/prepare.py`), training (`kedja/train/tables.py`).
Dimensions: B rows, F inputs, P pieces of all columns together, T of one, D numbers that they
become, C outputs.
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
# Where a piece begins, 1 / its length, and the bounds of z.
Piece = tuple[float, float, float, float]

WIDEST = 32  # numbers of a category's vector, at most


@dataclass(frozen=True)
class TabularConfig:
    """What each input is, and the sizes.

    `inputs` has for each column of numbers its edges, increasing (or none: it is taken as it is),
    and for each column of category numbers how many there are. `outputs` are the classes, or 1. The
    pieces of a column become `width` numbers, or (0) stay as they are.
    """

    model_type: ClassVar[str] = "tabular"

    inputs: tuple[Input, ...]
    outputs: int = 1
    hidden: tuple[int, ...] = (256, 128)
    activation: str = "relu"
    dropout: float = 0.1
    width: int = 0

    def __post_init__(self) -> None:
        inputs = tuple(i if isinstance(i, int) else tuple(map(float, i)) for i in self.inputs)
        object.__setattr__(self, "inputs", inputs)  # JSON has lists
        object.__setattr__(self, "hidden", tuple(map(int, self.hidden)))
        for place, each in enumerate(inputs):
            if isinstance(each, tuple) and any(a >= b for a, b in pairwise(each)):
                raise UsageError(f"edges of input {place} do not increase: {each}")


class Columns(nn.Module):
    """relu(W_fᵀ z_f + b_f) for each column f: (B, F, T) → (B, F, D)."""

    weight: Tensor  # (F, T, D)
    bias: Tensor  # (F, D)

    def __init__(self, counts: Sequence[int], width: int, key: Tensor) -> None:
        shape = (len(counts), max(counts), width)
        bound = kj.tensor(np.array(counts, np.float32) ** -0.5)[:, None, None]
        self.weight = (2.0 * kj.random.uniform(key, shape) - 1.0) * bound
        self.bias = kj.zeros((len(counts), width))

    def __call__(self, z: Tensor) -> Tensor:
        """z (B, F, T) → (B, F, D)."""
        return kj.relu(kj.einsum("bft,ftd->bfd", z, self.weight) + self.bias)


class TabularMLP(nn.Module):
    """y = mlp(what the pieces of the numbers became, vectors of the categories).

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
    columns: Columns | None
    embeddings: list[nn.Embedding]
    layers: nn.Sequential

    def __init__(self, config: TabularConfig, *, key: Tensor | None = None) -> None:
        key = kj.random.next_key() if key is None else key
        own, *keys = kj.random.split(key, 1 + len(config.inputs))
        self.config, self.columns = config, None
        source, pieces = _pieces(config.inputs)
        if config.width and pieces:
            lengths = [len(each) for each in pieces]
            self.columns = Columns(lengths, config.width, kj.random.fold_in(own, 1))
        self._keep(source, pieces)
        counts = zip(config.inputs, keys, strict=True)
        self.embeddings = [_vectors(n, each) for n, each in counts if isinstance(n, int)]
        width = config.width * len(source) or sum(map(len, pieces))
        width += sum(each.embedding_dim for each in self.embeddings)
        sizes = [width, *config.hidden, config.outputs]
        self.layers = _dropping(nn.mlp(sizes, config.activation, key=own), config.dropout)

    def _keep(self, source: Sequence[int], pieces: Sequence[Sequence[Piece]]) -> None:
        """The pieces as buffers: those of all columns in a row (P,), or column by column (F, T)."""
        if self.columns is None:
            source = [place for place, each in zip(source, pieces, strict=True) for _ in each]
            table = np.array([piece for each in pieces for piece in each]).reshape(-1, 4)
        else:
            table = np.zeros((len(pieces), max(map(len, pieces)), 4))
            for column, each in zip(table, pieces, strict=True):
                column[: len(each)] = each
        self.source = kj.tensor(source, kj.int32)
        self.low, self.scale, self.floor, self.top = (
            kj.tensor(table[..., place], kj.float32) for place in range(4)
        )

    def __call__(self, x: Tensor) -> Tensor:
        """(B, F) → (B, C)."""
        answer: Tensor = self.layers(self.encoded(x))
        return answer

    def encoded(self, x: Tensor) -> Tensor:
        """What the perceptron sees: the pieces, then the categories' vectors, (B, P + …)."""
        parts = []
        if self.source.shape[0]:
            parts.append(self._numbers(kj.take(x, self.source, axis=1)))
        places = [place for place, n in enumerate(self.config.inputs) if isinstance(n, int)]
        for place, table in zip(places, self.embeddings, strict=True):
            parts.append(table(x[:, place].astype(kj.int32)))  # (B, D)
        return parts[0] if len(parts) == 1 else kj.concat(parts, axis=1)

    def _numbers(self, taken: Tensor) -> Tensor:
        """The columns of numbers, (B, P) or (B, F), as the perceptron sees them."""
        if self.columns is None:
            return kj.clip((taken - self.low) * self.scale, self.floor, self.top)  # (B, P)
        each = kj.expand_dims(taken, 2)  # (B, F, 1)
        pieces = kj.clip((each - self.low) * self.scale, self.floor, self.top)  # (B, F, T)
        return self.columns(pieces).reshape(taken.shape[0], -1)  # (B, F · D)


def _pieces(inputs: Sequence[Input]) -> tuple[list[int], list[list[Piece]]]:
    """The columns of numbers, and the pieces of each."""
    found: dict[int, list[Piece]] = {}
    for place, edges in enumerate(inputs):
        if isinstance(edges, int):
            continue
        last = len(edges) - 2
        found[place] = [
            (a, 1 / (b - a), -1.0 if t == 0 else 0.0, 2.0 if t == last else 1.0)
            for t, (a, b) in enumerate(pairwise(edges))
        ] or [(0.0, 1.0, -np.inf, np.inf)]
    return list(found), list(found.values())


def _vectors(count: int, key: Tensor) -> nn.Embedding:
    """A vector for each category; how long follows from how many there are."""
    width = min(WIDEST, round(1.6 * count**0.56))
    return nn.Embedding(count, width, key=key, init=_small)


def _small(key: Tensor, shape: Sequence[int]) -> Tensor:
    """Small vectors, but 0 for the last: all texts that training has not met."""
    known = kj.random.normal(key, shape) * 0.5
    return known * kj.expand_dims(kj.arange(shape[0]) < shape[0] - 1, 1)


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
