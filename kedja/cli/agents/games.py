"""`kedja train tic-tac-toe`: a board game learned by self-play, tested, and kept.

The run's folder is a model's folder (`config.json`, `model.safetensors`), with `run.json` and what
it goes on with (`learning.safetensors`) beside. Not here: the learning (`kedja/rl/games`), games
against what was learned (`table.py`). Next: `table.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kedja.cli import runs
from kedja.cli.agents.table import scores, share
from kedja.cli.families import Request
from kedja.cli.output import note, say, say_json
from kedja.ground.errors import Interrupted, UsageError
from kedja.ground.flags import scope
from kedja.models import folder as folders
from kedja.rl.games.matches import Match, against_all, match
from kedja.rl.games.minimax import CELLS
from kedja.rl.games.network import BoardNet, config_for
from kedja.rl.games.players import SIMULATIONS, player_of
from kedja.rl.games.rules import Game, game_of
from kedja.rl.games.self_play import SelfPlay, self_play
from kedja.rl.games.settings import Settings, settings_for

Options = dict[str, Any]

MODEL = "alpha-zero"
TEST_SEED = 1_000_000  # far from the seeds that were trained with
TEST_GAMES = {"random": 100, "depth-2": 40, "depth-4": 40}
OPENINGS = 4  # moves at random with which a test game of Connect Four begins
NAMES = {"width": "channels", "layers": "blocks"}  # options under their usual names


def train(request: Request) -> None:
    """Learn by self-play; test; keep the network."""
    if len(request.data) != 1:
        raise UsageError("several games", fix="name one, such as tic-tac-toe")
    game, earlier = game_of(request.data[0]), request.resumed()
    if earlier is None:
        made = {"model": MODEL, "seed": 0, **request.given}
        settings = _settings(game, made)
        folder = runs.fresh(request.out, game.name, MODEL)
        folders.describe(folder, BoardNet(config_for(game, **settings.sizes)))
    else:
        folder, made = earlier, runs.continued(earlier, request.data, request.given)
        settings = _settings(game, made)
    runs.keep(folder, request.data, made, None)
    for line in _about(game, settings, made, folder):
        note(line)
    again = runs.command(request.data, folder)
    with scope(**({} if request.threads is None else {"threads": request.threads})):
        with runs.resumable(again, folder):
            found = _learned(game, settings, made, folder, request)
            folders.save(folder, found.network)
        with runs.resumable(again, folder, runs.tested(folder)):
            results = _results(game, made, found, folder)
            runs.keep(folder, request.data, made, results)
    if request.json:
        say_json(results)
    else:
        say("\n".join(_summary(results)))


def _settings(game: Game, made: Options) -> Settings:
    others = {NAMES.get(name, name): each for name, each in made.items()}
    return settings_for(game, {k: v for k, v in others.items() if k not in ("model", "seed")})


def _about(game: Game, settings: Settings, made: Options, folder: Path) -> list[str]:
    network = BoardNet(config_for(game, **settings.sizes))
    falls = ", stones fall" if game.gravity else ""
    return [
        f"{game.name}: {game.columns} × {game.rows} cells, a line of {game.line} wins{falls}",
        f"{MODEL}: {settings.blocks} blocks of {settings.channels} channels, "
        f"{network.num_parameters:,} weights, seed {made['seed']}",
        f"{settings.iterations} iterations of {settings.games} games by {settings.simulations} "
        f"simulations a move, and {settings.steps} updates",
        f"run: {folder}",
    ]


def _learned(
    game: Game, settings: Settings, made: Options, folder: Path, request: Request
) -> SelfPlay:
    try:
        return self_play(
            game,
            seed=made["seed"],
            checkpoint=folder,
            resume=request.resume,
            **settings.to_json(),
        )
    except Interrupted as error:
        if isinstance(error.history, SelfPlay):
            folders.save(folder, error.history.network)  # so that it can be played meanwhile
        raise


# ------------------------------------------------------------------------------- what it reached


def _results(game: Game, made: Options, found: SelfPlay, folder: Path) -> Options:
    """What `--json` prints."""
    last = found.curve[-1]
    return {
        "data": [game.name],
        **made,
        "parameters": found.network.num_parameters,
        "positions": sum(each.examples for each in found.curve),
        "policy_loss": last.policy_loss,
        "value_loss": last.value_loss,
        "train_seconds": found.seconds,
        "matches": [scores(each) for each in _tested(game, found)],
        "run": str(folder),
    }


def _tested(game: Game, found: SelfPlay) -> list[Match]:
    """Against every reply where they can be counted, else against chance and alpha-beta."""
    players = [found.player(0), found.player(SIMULATIONS)]
    if game.rows * game.columns <= CELLS:
        chance = player_of("random", game)
        proofs = [against_all(game, each) for each in players]
        return [*proofs, match(game, players[1], chance, TEST_GAMES["random"], seed=TEST_SEED)]
    return [
        match(game, player, player_of(name, game), games, openings=OPENINGS, seed=TEST_SEED)
        for player in players
        for name, games in TEST_GAMES.items()
    ]


def _summary(results: Mapping[str, Any]) -> list[str]:
    """The results for people, one fact a line."""
    return [
        f"{results['model']} learned {results['data'][0]} from {results['positions']:,} positions",
        *(_told(each) for each in results["matches"]),
        f"{results['parameters']:,} weights, {results['train_seconds']:.1f} s",
        f"run: {results['run']}",
        f"next: kedja play {results['run']}",
    ]


def _told(found: Mapping[str, Any]) -> str:
    both = found["both"]
    head = f"{found['player']} against {found['opponent']}: {both['wins']:,} won, "
    return f"{head}{both['draws']:,} drawn, {both['losses']:,} lost ({share(found, both)})"
