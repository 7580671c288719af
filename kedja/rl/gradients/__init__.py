"""Agents that learn by gradients of what they expect to earn.

`methods.py` has their options, `losses.py` what is minimised, `advantages.py` what an action was
worth, `actor_critic.py` the network, `learner.py` the rounds. Not here: what a
user calls (`../learning.py`). Next: `methods.py`.
"""

from kedja.rl.gradients.actor_critic import ActorCritic, ActorCriticConfig
from kedja.rl.gradients.methods import A2C, PPO, Reinforce

__all__ = ["A2C", "PPO", "ActorCritic", "ActorCriticConfig", "Reinforce"]
