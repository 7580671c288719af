"""Board games learned by self-play: rules, players, search, the network, and the loop.

In the order in which it is read: `rules.py` (m,n,k games as pure functions), `minimax.py`
(perfect players and alpha-beta), `network.py`, `search.py`, `players.py`, `matches.py`,
`settings.py`, `playing.py`, `learning.py`, `self_play.py`, `kept.py`, `telling.py`, `showing.py`.
Not here: environments of one agent (`../environments`). Next: `rules.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kedja.ground import lazy

if TYPE_CHECKING:
    from kedja.rl.games.matches import Match, Score, against_all, match
    from kedja.rl.games.minimax import AlphaBeta, Exact
    from kedja.rl.games.network import BoardNet, BoardNetConfig
    from kedja.rl.games.players import Learned, player_of
    from kedja.rl.games.rules import CONNECT_FOUR, TIC_TAC_TOE, Game, Position, played
    from kedja.rl.games.settings import Settings
    from kedja.rl.games.showing import Opinion, drawn, opinion

__all__ = [
    "CONNECT_FOUR",
    "TIC_TAC_TOE",
    "AlphaBeta",
    "BoardNet",
    "BoardNetConfig",
    "Exact",
    "Game",
    "Learned",
    "Match",
    "Opinion",
    "Position",
    "Score",
    "Settings",
    "against_all",
    "drawn",
    "match",
    "opinion",
    "played",
    "player_of",
]

_FILES = {
    "matches": "Match Score against_all match",
    "minimax": "AlphaBeta Exact",
    "network": "BoardNet BoardNetConfig",
    "players": "Learned player_of",
    "rules": "CONNECT_FOUR TIC_TAC_TOE Game Position played",
    "settings": "Settings",
    "showing": "Opinion drawn opinion",
}
__getattr__ = lazy.names("kedja.rl.games", _FILES)
