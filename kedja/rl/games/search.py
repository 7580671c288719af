"""Monte Carlo tree search guided by a network, for many boards at once.

Each simulation walks from every root to a position that its tree does not hold yet, has all of
those judged by one call, and adds what they are worth to the moves on the way. A walk takes the
move with the largest

    Q + c · P · √(visits of the position) / (1 + visits of the move)

with Q the mean worth of the move so far (before the first visit what the position was judged to
be worth), P the network's chance. What the rules alone say is not asked of the network: where a
side can win at once, it does, and the position is worth 1. Not here: the network (`network.py`),
games by search (`playing.py`). Next: `players.py`.
Sources: L. Kocsis, C. Szepesvári: Bandit based Monte-Carlo planning (2006); D. Silver et al.: A
general reinforcement learning algorithm that masters chess, shogi and Go (2018).
Dimensions: N trees, M positions of each, A moves, D moves of the longest walk.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from kedja.rl.games.network import Judgement
from kedja.rl.games.rules import Array, Game, Position, picked, put

EXPLORATION = 1.5
SHARE = 0.25  # of the noise among the chances at the root

Judged = Callable[[Position], Judgement]


@dataclass(frozen=True)
class Noise:
    """Dirichlet noise that makes self-play try moves: its parameter, and who draws it."""

    alpha: float
    generator: np.random.Generator


class Found(NamedTuple):
    """What a search found of N boards, each for its side to move.

    `visits` of each move (N, A), the mean `worth` of each (0 where never visited), the `policy`
    and the `judged` value of the network, and the `value` (N,) after the search.
    """

    visits: Array
    worth: Array
    policy: Array
    judged: Array
    value: Array


def search(
    game: Game,
    judge: Judged,
    boards: Position,
    simulations: int,
    *,
    exploration: float = EXPLORATION,
    noise: Noise | None = None,
) -> Found:
    """Search N boards of unfinished games, each `simulations` times."""
    trees = Trees(game, boards, simulations + 1)
    first = judge(boards)
    legal, winning = game.legal(boards), game.winning(boards)
    moves = np.where(winning.any(axis=-1, keepdims=True), winning, legal)
    trees.settle(np.arange(trees.count), 0, _noised(first.policy, legal, noise), moves)
    trees.value[:, 0] = first.value
    for number in range(1, simulations + 1):
        walk = trees.walk(exploration)
        trees.grow(walk, number, judge)
    return trees.found(first)


def _noised(policy: Array, legal: Array, noise: Noise | None) -> Array:
    if noise is None:
        return policy
    drawn = noise.generator.standard_gamma(noise.alpha, size=policy.shape) * legal
    share = drawn / np.maximum(drawn.sum(axis=-1, keepdims=True), 1e-30)
    mixed: Array = (1 - SHARE) * policy + SHARE * share
    return mixed


class Walk(NamedTuple):
    """The positions and moves of each walk (D, N), with how many of them are real (N,)."""

    nodes: Array
    moves: Array
    lengths: Array


class Trees:
    """N trees in arrays: what is known of each position, and of each move from it."""

    def __init__(self, game: Game, roots: Position, size: int) -> None:
        self.game, self.count = game, len(roots.mine)
        shape = (self.count, size)
        self.boards = Position(np.zeros(shape, np.uint64), np.zeros(shape, np.uint64))
        put(self.boards, (slice(None), 0), roots)
        self.known = np.zeros(shape, bool)  # what it is worth is known by the rules
        self.value = np.zeros(shape, np.float32)
        self.children = np.full((*shape, game.actions), -1, np.int32)
        self.policy = np.zeros((*shape, game.actions), np.float32)
        self.visits = np.zeros((*shape, game.actions), np.float32)
        self.total = np.zeros((*shape, game.actions), np.float32)

    def settle(self, trees: Array, node: int, policy: Array, moves: Array) -> None:
        """Keep the chances of these moves from a position of some trees; −1 marks all others."""
        self.policy[trees, node] = np.where(moves, policy, -1)

    # ---------------------------------------------------------------------------- one walk

    def walk(self, exploration: float) -> Walk:
        """Walk down all trees until each has left its tree or come to where the rules end it."""
        nodes, moves = [], []
        lengths = np.zeros(self.count, np.int64)
        trees, here = np.arange(self.count), np.zeros(self.count, np.int32)
        while len(trees):
            chosen = self._chosen(trees, here, exploration)
            nodes.append(_wide(self.count, trees, here))
            moves.append(_wide(self.count, trees, chosen))
            lengths[trees] += 1
            child = self.children[trees, here, chosen]
            inside = child >= 0
            inside[inside] = ~self.known[trees[inside], child[inside]]
            trees, here = trees[inside], child[inside]
        return Walk(np.stack(nodes), np.stack(moves), lengths)

    def _chosen(self, trees: Array, here: Array, exploration: float) -> Array:
        visits = self.visits[trees, here]  # (n, A)
        policy = self.policy[trees, here]
        unknown = self.value[trees, here][:, None]
        worth = np.where(visits > 0, self.total[trees, here] / np.maximum(visits, 1), unknown)
        root = np.sqrt(visits.sum(axis=-1, keepdims=True) + 1)
        score = worth + exploration * policy * root / (1 + visits)
        chosen: Array = np.where(policy < 0, -np.inf, score).argmax(axis=-1)
        return chosen

    # -------------------------------------------------------------------------- what it adds

    def grow(self, walk: Walk, node: int, judge: Judged) -> None:
        """Add the positions that the walks came to, and what they are worth to the moves."""
        last = walk.lengths - 1
        trees = np.arange(self.count)
        here, move = walk.nodes[last, trees], walk.moves[last, trees]
        child = self.children[trees, here, move]
        fresh = np.flatnonzero(child < 0)
        if len(fresh):
            self._add(fresh, here[fresh], move[fresh], node, judge)
            child[fresh] = node
        self._tell(walk, self.value[trees, child])

    def _add(self, trees: Array, here: Array, move: Array, node: int, judge: Judged) -> None:
        boards = self.game.after(picked(self.boards, (trees, here)), move)
        put(self.boards, (trees, node), boards)
        self.children[trees, here, move] = node
        lost, over = self.game.lost(boards), self.game.over(boards)
        won = ~over & self.game.winning(boards).any(axis=-1)
        self.known[trees, node] = over | won
        self.value[trees, node] = won.astype(np.float32) - lost
        going = np.flatnonzero(~(over | won))
        if len(going):
            left = picked(boards, going)
            judged = judge(left)
            self.value[trees[going], node] = judged.value
            self.settle(trees[going], node, judged.policy, self.game.legal(left))

    def _tell(self, walk: Walk, value: Array) -> None:
        """Add the values of the last positions to all moves of the walks, sides taking turns."""
        for depth in range(len(walk.nodes)):
            trees = np.flatnonzero(walk.lengths > depth)
            at = (trees, walk.nodes[depth, trees], walk.moves[depth, trees])
            sign = np.where((walk.lengths[trees] - depth) % 2 == 1, -1, 1)
            self.visits[at] += 1
            self.total[at] += sign * value[trees]

    def found(self, first: Judgement) -> Found:
        """What the search knows of the roots."""
        visits, total = self.visits[:, 0], self.total[:, 0]
        worth = total / np.maximum(visits, 1)
        count = visits.sum(axis=-1)
        value = (total.sum(axis=-1) + first.value) / (count + 1)
        return Found(visits, worth, first.policy, first.value, value)


def _wide(count: int, trees: Array, values: Array) -> Array:
    """Values of some trees as those of all, 0 for the others."""
    wide = np.zeros(count, np.int64)
    wide[trees] = values
    return wide
