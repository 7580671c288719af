"""Agents: environments, the physics below them, and what learns to act in them.

Needs the extra `rl` (gymnasium, cmaes), which board games do not; importing this package loads
neither. The environments stand in `environments/`, their physics in `physics.py`, evolution in
`evolution/`, learning by gradients in `gradients/`, board games in `games/`. Not here: networks for
other ends (`kedja/models`). Next: `physics.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kedja.ground import lazy

if TYPE_CHECKING:
    from kedja.rl.environments import make, register
    from kedja.rl.evolution.evolve import Evolution, evolve
    from kedja.rl.fleet import ride
    from kedja.rl.games.self_play import SelfPlay, self_play
    from kedja.rl.gradients.actor_critic import ActorCritic, ActorCriticConfig
    from kedja.rl.gradients.methods import A2C, PPO, Gradients, Reinforce
    from kedja.rl.learning import Learning, learn
    from kedja.rl.playing import agent_of, play
    from kedja.rl.policies import Policy, PolicyConfig
    from kedja.rl.q_learning.dqn import DQN
    from kedja.rl.rendering import write_gif

__all__ = [
    "A2C",
    "DQN",
    "PPO",
    "ActorCritic",
    "ActorCriticConfig",
    "Evolution",
    "Gradients",
    "Learning",
    "Policy",
    "PolicyConfig",
    "Reinforce",
    "SelfPlay",
    "agent_of",
    "evolve",
    "learn",
    "make",
    "play",
    "register",
    "ride",
    "self_play",
    "write_gif",
]

_FILES = {
    "environments": "make register",
    "evolution.evolve": "Evolution evolve",
    "fleet": "ride",
    "games.self_play": "SelfPlay self_play",
    "gradients.actor_critic": "ActorCritic ActorCriticConfig",
    "gradients.methods": "A2C Gradients PPO Reinforce",
    "learning": "Learning learn",
    "playing": "agent_of play",
    "policies": "Policy PolicyConfig",
    "q_learning.dqn": "DQN",
    "rendering": "write_gif",
}
__getattr__ = lazy.names("kedja.rl", _FILES)
