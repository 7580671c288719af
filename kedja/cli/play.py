"""`kedja play`: episodes of a trained agent, or a board game against what was learned.

Which agent a run holds is known to the module of its family, whose `agent(run, environment)` is
called. Not here: training (`agents/`), the games (`agents/table.py`). Next: `agents/evolution.py`.
"""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from kedja.cli import families, runs
from kedja.cli.agents import table
from kedja.cli.help import panel
from kedja.cli.output import note, say, say_json
from kedja.ground.errors import UsageError
from kedja.rl import playing
from kedja.rl.environments import library, make
from kedja.rl.rendering import require_gif, write_gif

EPISODES, GAMES, RUN = map(panel, ("Environments", "Board games", "Run"))
ACTING = ("episodes", "gif", "every", "limit")  # options of environments, those of board games
SITTING = ("against", "games", "openings", "simulations", "opinion", "second", "moves", "plot")


class Acting(NamedTuple):
    """What the command line asks for of episodes."""

    episodes: int
    gif: Path | None
    every: int
    limit: int | None
    seed: int
    json: bool


def play(
    command: typer.Context,
    run: Annotated[Path, typer.Argument(help="The folder of a run of `kedja train ENVIRONMENT`.")],
    episodes: Annotated[int, EPISODES(help="How many episodes are played.", min=1)] = 1,
    gif: Annotated[
        Path | None, EPISODES(help="Write the episodes as an animation.", metavar="FILE")
    ] = None,
    every: Annotated[int, EPISODES(help="Steps between two pictures of the animation.", min=1)] = 2,
    limit: Annotated[int | None, EPISODES(help="Steps of an episode at most.", min=1)] = None,
    against: Annotated[
        str | None,
        GAMES(
            help="Whom it plays instead of you: random, perfect, depth-4, or all replies.",
            metavar="PLAYER",
        ),
    ] = None,
    games: Annotated[int, GAMES(help="Games of a match, half of them begun by each.", min=2)] = 100,
    openings: Annotated[
        int | None, GAMES(help="Random moves that begin each game of a match.", min=0)
    ] = None,
    simulations: Annotated[
        int | None, GAMES(help="Of the search; 0 for the network alone.", min=0)
    ] = None,
    opinion: Annotated[
        bool, GAMES("--opinion", help="Show what the network thinks before its moves.")
    ] = False,
    second: Annotated[bool, GAMES("--second", help="Let the network begin.")] = False,
    moves: Annotated[
        str | None,
        GAMES(help="Moves that were made before you sit down: 4,4,3.", metavar="NUMBERS"),
    ] = None,
    plot: Annotated[
        Path | None,
        GAMES(help="Draw the board after --moves and what is thought of it.", metavar="FILE"),
    ] = None,
    seed: Annotated[
        int, RUN(help="Episode i starts from seed + i; a match is drawn from it.", min=0)
    ] = 0,
    json: Annotated[
        bool, RUN("--json", help="Print one JSON object; of a board game, what is thought.")
    ] = False,
) -> None:
    """Let a trained agent act, and count what it earns; or play a board game against it."""
    model = runs.model_of(run)
    family = _family(run, model)
    if family.sits:
        _require_none(command, ACTING, f"{model} plays a board game")
        wish = table.Wish(
            against, games, openings, simulations, opinion, second, moves, plot, seed, json
        )
        table.sit_down(run, wish)
    else:
        _require_none(command, SITTING, f"{model} acts in an environment")
        _act(run, family, Acting(episodes, gif, every, limit, seed, json))


def _family(run: Path, model: str) -> families.Family:
    """The family of a run's model; UsageError where it neither acts nor plays."""
    family = families.MODELS.get(model)
    if family is None or not (family.plays or family.sits):
        what = f"{run} is a run of the model {model}, which does not act"
        raise UsageError(what, fix="name a run on an environment: kedja train kedja/TwoPoles-v0")
    return family


def _act(run: Path, family: families.Family, wish: Acting) -> None:
    """Play episodes, tell what they earned, and draw them where that is wished."""
    name = runs.sources_of(run)[0]
    if wish.gif is not None:
        require_gif(wish.gif)
        os.environ.setdefault("SDL_VIDEODRIVER", "dummy")  # pictures need no screen
    options: dict[str, Any] = {} if wish.limit is None else {"max_episode_steps": wish.limit}
    try:
        env = make(name, render_mode="rgb_array" if wish.gif else None, **options)
        agent = importlib.import_module(family.module).agent(run, env)
        _tell_unended(run)
        every = wish.every if wish.gif else 0
        found = playing.play(env, agent, wish.episodes, seed=wish.seed, every=every)
    except library().error.DependencyNotInstalled as error:
        raise UsageError(f"{name} cannot be drawn: {error}", fix="leave --gif out") from error
    if wish.gif is not None:
        fps = env.metadata.get("render_fps") or 25
        write_gif(wish.gif, [each for one in found for each in one.pictures], wish.every / fps)
        note(f"wrote {wish.gif}")
    if wish.json:
        say_json({"run": str(run), "environment": name, **_json(found)})
    else:
        say("\n".join(_lines(found)))


def _tell_unended(run: Path) -> None:
    """A note where a run was interrupted and not gone on with."""
    if runs.read(run, lambda content: content.get("results")) is None:
        again = runs.command(runs.sources_of(run), run)
        note(f"the run has not ended: its best policy so far acts; go on with: {again}")


def _require_none(command: typer.Context, names: tuple[str, ...], what: str) -> None:
    """Raise UsageError where an option was given that does not belong to what is played."""
    for name in names:
        source = command.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            raise UsageError(f"{what}, which has no --{name}", fix="leave it out")


def _json(found: list[playing.Episode]) -> dict[str, Any]:
    rows = [{"reward": e.reward, "steps": e.steps, "terminated": e.terminated} for e in found]
    return {"mean_reward": playing.mean_reward(found), "episodes": rows}


def _lines(found: list[playing.Episode]) -> list[str]:
    rows = [
        f"episode {number}: reward {each.reward:.6g} in {each.steps:,} steps, "
        f"{'ended' if each.terminated else 'cut off'}"
        for number, each in enumerate(found, 1)
    ]
    mean = f"mean reward {playing.mean_reward(found):.6g}"
    return [*rows, mean] if len(found) > 1 else rows
