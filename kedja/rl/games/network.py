"""The network that judges boards: how likely each move is the best one, and who wins.

Not here: the search that it guides (`search.py`), how it learns (`learning.py`).
Next: `search.py`.
Source: D. Silver et al.: A general reinforcement learning algorithm that masters chess, shogi and
Go through self-play (2018); its sizes are ours.
Dimensions: B boards, R rows, C columns, W channels, A moves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

import kedja as kj
from kedja import Tensor, nn
from kedja.front.jit import jit
from kedja.models import registry
from kedja.rl.games.rules import Array, Game, Position

PLANES = 3
LEAST = 8  # rows of a batch that is compiled


@dataclass(frozen=True)
class BoardNetConfig:
    """The game, `channels` of the residual `blocks`, and the `hidden` units below the value."""

    model_type: ClassVar[str] = "board-net"

    game: str
    rows: int
    columns: int
    line: int
    gravity: bool
    channels: int = 32
    blocks: int = 2
    hidden: int = 64

    @property
    def rules(self) -> Game:
        """The game that is played."""
        return Game(self.game, self.rows, self.columns, self.line, self.gravity)


def config_for(game: Game, **sizes: int) -> BoardNetConfig:
    """The configuration of a network for a game."""
    return BoardNetConfig(game.name, game.rows, game.columns, game.line, game.gravity, **sizes)


class Block(nn.Module):
    """relu(x + conv(relu(conv(x))))."""

    first: nn.Conv2d
    second: nn.Conv2d

    def __init__(self, channels: int) -> None:
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def __call__(self, x: Tensor) -> Tensor:
        """x (B, W, R, C) → the same shape."""
        return kj.relu(x + self.second(kj.relu(self.first(x))))


class BoardNet(nn.Module):
    """Convolutions over the board; one head says what to play, the other who wins.

    >>> from kedja.rl.games.rules import TIC_TAC_TOE
    >>> net = BoardNet(config_for(TIC_TAC_TOE, channels=4, blocks=1, hidden=8))
    >>> policy, value = net(kj.tensor(TIC_TAC_TOE.planes(TIC_TAC_TOE.start(5))))
    >>> policy.shape, value.shape
    ((5, 9), (5,))
    """

    config: BoardNetConfig
    stem: nn.Conv2d
    blocks: list[Block]
    policy: nn.Linear
    hidden: nn.Linear
    value: nn.Linear

    def __init__(self, config: BoardNetConfig) -> None:
        self.config = config
        cells = config.rows * config.columns
        self.stem = nn.Conv2d(PLANES, config.channels, 3, padding=1)
        self.blocks = [Block(config.channels) for _ in range(config.blocks)]
        self.policy = nn.Linear(config.channels * cells, config.rules.actions)
        self.hidden = nn.Linear(config.channels * cells, config.hidden)
        self.value = nn.Linear(config.hidden, 1)

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, 3, R, C) → logits of the moves (B, A), the expected outcome in (−1, 1), (B,)."""
        x = kj.relu(self.stem(x))  # (B, W, R, C)
        for block in self.blocks:
            x = block(x)
        x = x.reshape(x.shape[0], -1)  # (B, W·R·C)
        value = self.value(kj.relu(self.hidden(x)))  # (B, 1)
        return self.policy(x), kj.tanh(value[:, 0])


registry.add(BoardNetConfig.model_type, BoardNetConfig, BoardNet)


class Judgement(NamedTuple):
    """The chance of each legal move to be the best one (N, A), and the expected outcome (N,)."""

    policy: Array
    value: Array


class Judge:
    """A network as a function of boards: N of them in one call of one compiled program.

    Programs are made for batches of 8, 16, 32 … rows; smaller ones are filled up.
    """

    def __init__(self, network: BoardNet) -> None:
        self.network = network
        self.game = network.config.rules
        self._called = jit(_called)

    def __call__(self, boards: Position) -> Judgement:
        """Judge N boards, each for its side to move."""
        planes = self.game.planes(boards)
        count = len(planes)
        size = max(LEAST, 1 << (count - 1).bit_length())
        padded = np.zeros((size, *planes.shape[1:]), np.float32)
        padded[:count] = planes
        logits, value = self._called(self.network, padded)
        policy = softmax(logits.numpy()[:count], self.game.legal(boards))
        return Judgement(policy, value.numpy()[:count])


def _called(network: BoardNet, planes: Any) -> Any:
    return network(planes)


def softmax(logits: Array, legal: Array) -> Array:
    """Softmax over the legal moves, (N, A); 0 for all where no move is legal."""
    masked = np.where(legal, logits, -np.inf)
    top = masked.max(axis=-1, keepdims=True)
    powers = np.exp(masked - np.where(np.isfinite(top), top, 0))
    found: Array = powers / np.maximum(powers.sum(axis=-1, keepdims=True), 1e-30)
    return found
