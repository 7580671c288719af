"""DQN: the worth of each action, learned by a network from remembered steps.

Start at `network.py`; then `memory.py`, `updates.py`, `dqn.py`. Not here: policies that are learned
directly (`../gradients`), networks found by evolution (`../evolution`).
"""
