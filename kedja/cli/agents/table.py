"""`kedja play` on a board game: a person against what was learned, or a match with figures.

Not here: learning (`games.py`), boards as text (`kedja/rl/games/showing.py`). Next: `games.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from kedja import models
from kedja.cli import runs
from kedja.cli.output import note, say, say_json
from kedja.ground.errors import Interrupted, UsageError
from kedja.models import folder as folders
from kedja.rl.games.matches import EVERY, Match, against_all, match
from kedja.rl.games.minimax import CELLS
from kedja.rl.games.network import BoardNet
from kedja.rl.games.players import SIMULATIONS, Learned, player_of
from kedja.rl.games.rules import Game, Position, played
from kedja.rl.games.showing import drawn, number_of, opinion, other, side
from kedja.views import figures
from kedja.views.boards import plot_board

ALL = "all"  # the opponent that plays every reply


class Wish(NamedTuple):
    """What the command line asks for of a game; None where an option was not given."""

    against: str | None
    games: int
    openings: int | None
    simulations: int | None
    opinion: bool
    second: bool
    moves: str | None
    plot: Path | None
    seed: int
    json: bool


def sit_down(run: Path, wish: Wish) -> None:
    """Play against the person at the terminal, or a match, or tell what is thought of a board."""
    if wish.plot is not None:
        figures.require(wish.plot)
    if not (run / folders.WEIGHTS).exists():
        raise runs.nothing_kept(run)
    network: BoardNet = models.load(run).model
    player = Learned(network, SIMULATIONS if wish.simulations is None else wish.simulations)
    if wish.against is not None:
        _report(run, _matched(player, wish), wish)
        return
    moves = _moves(wish.moves)
    board = played(player.game, [number - 1 for number in moves])
    if wish.json or wish.plot is not None:
        _tell(run, player, board, moves, wish)
        return
    _Table(player, wish.opinion).play(board, "o" if wish.second else "x")


def _moves(given: str | None) -> list[int]:
    """`4,4,3` as numbers; UsageError where they are none."""
    parts = [] if given is None else [each.strip() for each in given.split(",")]
    if not all(each.isdecimal() and int(each) > 0 for each in parts):
        raise UsageError(f"--moves {given!r}", fix="numbers of moves from 1, such as 4,4,3")
    return [int(each) for each in parts]


def _tell(run: Path, player: Learned, board: Position, moves: list[int], wish: Wish) -> None:
    """What the player thinks of a board: as text or JSON, and as a picture."""
    game = player.game
    if game.over(board):
        raise UsageError("the game is over after these moves", fix="leave the last one out")
    found = opinion(player, board)
    if wish.plot is not None:
        figures.save(plot_board(game, board, found).figure, wish.plot)
        note(f"wrote {wish.plot}")
    if wish.json:
        about = {"run": str(run), "after": moves, "side": side(board), "player": player.name}
        say_json({**about, **found.to_json()})
    else:
        say(f"{drawn(game, board)}\n\n{found}")


# -------------------------------------------------------------------------------- a match


def _matched(player: Learned, wish: Wish) -> Match:
    game = player.game
    if wish.against == ALL:
        if game.rows * game.columns > CELLS:
            raise UsageError(f"{game.name} has too many lines of play", fix="--against depth-4")
        return against_all(game, player)
    opponent = player_of(str(wish.against), game)
    usual = 0 if game.rows * game.columns <= CELLS else 4
    openings = usual if wish.openings is None else wish.openings
    return match(game, player, opponent, wish.games, openings=openings, seed=wish.seed)


def scores(found: Match) -> dict[str, Any]:
    """A match as JSON: the scores where the player began, where it did not, and of both."""
    sides = {"first": found.first, "second": found.second, "both": found.both}
    told = {
        name: {**asdict(each), "points": each.points, "won_interval": list(each.won)}
        for name, each in sides.items()
    }
    return {"player": found.player, "opponent": found.opponent, **told}


def share(found: Mapping[str, Any], score: Mapping[str, Any]) -> str:
    """The share of games that are won, with its interval; of lines of play there is none."""
    if found["opponent"] == EVERY:
        return "lines of play"
    games = score["wins"] + score["draws"] + score["losses"]
    low, high = score["won_interval"]
    return f"{score['wins'] / games:.1%} won, 95 % interval {low:.1%} to {high:.1%}"


def _report(run: Path, found: Match, wish: Wish) -> None:
    told = scores(found)
    if wish.json:
        say_json({"run": str(run), **told})
        return
    say(f"{found.player} against {found.opponent}")
    say(f"{'':<8}{'won':>9}{'drawn':>9}{'lost':>9}")
    for name in ("first", "second", "both"):
        row = told[name]
        counts = "".join(f"{row[each]:>9,}" for each in ("wins", "draws", "losses"))
        say(f"{name:<8}{counts}   {share(told, row)}")


# ------------------------------------------------------------------------ a person plays


class _Table:
    """The terminal as a board between a person and a player that learned."""

    def __init__(self, player: Learned, opinions: bool) -> None:
        self._player, self._opinions = player, opinions
        self._game: Game = player.game

    def play(self, board: Position, person: str) -> None:
        """One game from a board on; the person is `x`, who begins, or `o`."""
        say(f"you are {person}, {self._player.name} is {other(person)}")
        say("a number is a move, ? asks the network what it thinks, q ends the game")
        try:
            while not self._game.over(board):
                move = self._asked(board) if side(board) == person else self._answered(board)
                if move is None:
                    say("the game ends here")
                    return
                board = self._game.after(board, move)
        except KeyboardInterrupt:
            raise Interrupted("the game ends here") from None
        say(f"\n{drawn(self._game, board)}\n")
        say(self._outcome(board, person))

    def _asked(self, board: Position) -> int | None:
        """The person's move; None where the person leaves."""
        say(f"\n{drawn(self._game, board)}\n")
        legal = {str(number_of(move)): move for move in self._game.moves(board)}
        while True:
            try:
                given = input(f"your move ({side(board)}): ").strip().lower()
            except EOFError:
                say()
                return None
            if given in ("q", "quit", "exit"):
                return None
            if given == "?":
                say(str(opinion(self._player, board)))
            elif given in legal:
                return legal[given]
            else:
                say(f"{given!r} is no move here: give one of {', '.join(legal)}")

    def _answered(self, board: Position) -> int:
        boards = Position(*(np.array([each], np.uint64) for each in board))
        move = int(self._player(boards)[0])
        if self._opinions:
            say(f"\n{drawn(self._game, board)}\n")
            say(str(opinion(self._player, board)))
        say(f"{self._player.name} ({side(board)}) plays {number_of(move)}")
        return move

    def _outcome(self, board: Position, person: str) -> str:
        if not self._game.lost(board):
            return "a draw"
        return f"{self._player.name} wins" if side(board) == person else "you win"
