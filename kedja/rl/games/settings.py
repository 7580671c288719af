"""How self-play goes on: its sizes, and what suits each game.

Not here: what is done with them (`self_play.py`). Next: `self_play.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from kedja.ground.errors import UsageError
from kedja.ground.suggest import did_you_mean
from kedja.rl.games.rules import Game


@dataclass(frozen=True)
class Settings:
    """One iteration plays `games` at once, then learns in `steps` from the last `window` of them.

    Each move is searched `simulations` times, with Dirichlet noise of parameter `alpha` at the
    root; the first `varied` moves are drawn by their visits, later ones are the most visited. Each
    game begins with 0 to `openings` random moves. Values are learned from the outcome and, for the
    share `mix`, from what the search found. The network has `channels`, `blocks`, `hidden` units;
    it learns by AdamW, whose rate falls from `lr` to 0 along a cosine.
    """

    iterations: int = 30
    games: int = 128
    simulations: int = 32
    steps: int = 60
    batch: int = 256
    lr: float = 2e-3
    weight_decay: float = 1e-4
    window: int = 8
    channels: int = 32
    blocks: int = 2
    hidden: int = 64
    alpha: float = 0.5
    varied: int = 64
    openings: int = 4
    mix: float = 0.5

    def __post_init__(self) -> None:
        for name, least in _LEAST.items():
            if not getattr(self, name) >= least:
                raise UsageError(f"{name} is {getattr(self, name)}", fix=f"{least} or more")
        if not (self.lr > 0 and self.alpha > 0):
            raise UsageError(f"lr {self.lr}, alpha {self.alpha}", fix="numbers above 0")
        if not 0 <= self.mix <= 1:
            raise UsageError(f"mix is {self.mix}", fix="a share from 0 to 1")

    @property
    def sizes(self) -> dict[str, int]:
        """The sizes of the network."""
        return {"channels": self.channels, "blocks": self.blocks, "hidden": self.hidden}

    def to_json(self) -> dict[str, Any]:
        """All of them by name."""
        return asdict(self)


_ONES = ("iterations", "games", "simulations", "steps", "batch", "window", "channels", "hidden")
_LEAST = {
    **dict.fromkeys(_ONES, 1),
    **dict.fromkeys(("blocks", "varied", "openings", "weight_decay"), 0),
}
USUAL = {
    "tic-tac-toe": Settings(),
    "connect-four": Settings(
        iterations=50, games=256, simulations=32, steps=120, window=12, varied=12
    ),
}


def settings_for(game: Game, given: Mapping[str, Any]) -> Settings:
    """What suits a game, with what is given instead; UsageError for a name that there is not."""
    known = [field.name for field in fields(Settings)]
    for name in given:
        if name not in known:
            raise UsageError(f"self_play has no {name!r}", fix=did_you_mean(name, known))
    usual = USUAL.get(game.name, USUAL["connect-four"])
    return replace(usual, **{name: each for name, each in given.items() if each is not None})
