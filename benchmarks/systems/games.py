"""Board games learned by self-play. Next: `results.py`."""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.systems.results import Chosen, Result
from kedja.ground.flags import scope
from kedja.rl.games.learning import Learner
from kedja.rl.games.matches import Match, Score, against_all, match
from kedja.rl.games.players import Learned, player_of
from kedja.rl.games.rules import played
from kedja.rl.games.self_play import SelfPlay, self_play
from kedja.rl.games.showing import opinion
from kedja.views import figures
from kedja.views.boards import plot_board

TITLE = "Board games: learned by self-play, against perfect, random and alpha-beta players"
SEEDS = (0, 1, 2, 3, 4)
SIMULATIONS = 100
OPENINGS = 4
QUICK: dict[str, Any] = {
    "iterations": 1,
    "games": 4,
    "simulations": 4,
    "steps": 2,
    "channels": 4,
    "blocks": 1,
}


def run(chosen: Chosen) -> Iterator[Result]:
    """Tic-tac-toe over five seeds, proven line by line, then Connect Four."""
    with scope(threads=chosen.threads):
        yield from _tic_tac_toe(chosen)
        yield from _connect_four(chosen)


def _learned(game: str, seed: int, chosen: Chosen) -> SelfPlay:
    return self_play(game, seed=seed, progress=False, **(QUICK if chosen.quick else {}))


# ----------------------------------------------------------------------------- tic-tac-toe


def _tic_tac_toe(chosen: Chosen) -> Iterator[Result]:
    found = [_learned("tic-tac-toe", seed, chosen) for seed in SEEDS[: 1 if chosen.quick else 5]]
    longest = max(each.seconds for each in found)
    before = against_all(found[0].game, _untrained(found[0])).both
    for name, simulations in (("network and search", SIMULATIONS), ("network alone", 0)):
        proofs = [against_all(each.game, each.player(simulations)).both for each in found]
        losses = [each.losses for each in proofs]
        least = min(each.games for each in proofs)
        yield Result(
            f"tic-tac-toe, {name}: lines of play that are lost",
            ", ".join(map(str, losses)),
            "0 in each seed",
            not any(losses),
            f"before it learned {before.losses:,} of {before.games:,}",
            f"{len(found)} seeds, every reply in both colours, {least:,} lines at least, "
            f"{longest:.0f} s at most",
        )
        few = 4 if chosen.quick else 0
        yield _draws(name, [_met(each, simulations, "perfect", few or 20) for each in found])
        yield from _wins(name, [_met(each, simulations, "random", few or 400) for each in found])


def _untrained(found: SelfPlay) -> Learned:
    return Learned(Learner(found.game, found.settings, SEEDS[0]).network, 0)


def _met(found: SelfPlay, simulations: int, name: str, games: int, openings: int = 0) -> Match:
    player, opponent = found.player(simulations), player_of(name, found.game)
    return match(found.game, player, opponent, games, openings=openings, seed=1000)


def _draws(name: str, found: list[Match]) -> Result:
    total = _together([each.both for each in found])
    what = f"tic-tac-toe, {name}: draws against the perfect player"
    return Result(what, f"{total.draws} of {total.games}", "all", total.draws == total.games)


def _wins(name: str, found: list[Match]) -> Iterator[Result]:
    for order, scores in (
        ("first", [m.first for m in found]),
        ("second", [m.second for m in found]),
    ):
        total = _together(scores)
        what = f"tic-tac-toe, {name}: against random moves, as the {order}"
        yield Result(what, _figure(total), "no loss", total.losses == 0)


def _together(scores: list[Score]) -> Score:
    return functools.reduce(operator.add, scores)


def _figure(score: Score) -> str:
    low, high = score.won
    return (
        f"{score.wins / score.games:.1%} won ({low:.1%} to {high:.1%}), "
        f"{score.draws} drawn, {score.losses} lost of {score.games}"
    )


# ----------------------------------------------------------------------------- Connect Four


DEEP = 400  # simulations: what is learned once can be searched with as long as one likes
RIVALS = (("random", 200, 0.99), ("depth-2", 100, 0.5), ("depth-4", 100, 0.5))


def _connect_four(chosen: Chosen) -> Iterator[Result]:
    found = _learned("connect-four", 0, chosen)
    settings = found.settings
    about = (
        f"{settings.iterations} iterations of {settings.games} games, {found.seconds:.0f} s; "
        f"pairs of games from {OPENINGS} random moves, colours exchanged"
    )
    for simulations in (DEEP, SIMULATIONS, 0):
        name = f"{simulations} simulations" if simulations else "network alone"
        for rival, games, least in RIVALS:
            count = 4 if chosen.quick else games
            score = _met(found, simulations, rival, count, OPENINGS).both
            goal = least if simulations else 0
            yield Result(
                f"Connect Four, {name}: against {rival}",
                _figure(score),
                f"≥ {goal:.0%} won" if goal else "",
                score.wins / score.games >= goal if goal else None,
                "",
                about,
            )
    if chosen.pictures is not None:
        yield _picture(found, chosen.pictures)


def _picture(found: SelfPlay, folder: Path) -> Result:
    """What is thought of the board after 4, 4, 4, 3, 5."""
    board = played(found.game, [3, 3, 3, 2, 4])
    thought = opinion(found.player(SIMULATIONS), board)
    folder.mkdir(parents=True, exist_ok=True)
    figures.save(plot_board(found.game, board, thought).figure, folder / "connect-four.png", 80)
    return Result("Connect Four, an opinion", "[board](images/connect-four.png)")
