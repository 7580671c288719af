"""Optimisers: pure functions from parameters, gradients and state to new parameters and state.

Start at `base.py` (the protocol); then `sgd.py`, `adam.py`, `rmsprop.py`, `names.py`. Not here:
the training loop (`kedja/train`).
"""

from kedja.optim.adam import Adam, AdamW
from kedja.optim.base import Optimizer, State
from kedja.optim.names import OPTIMIZERS, optimizer
from kedja.optim.rmsprop import RMSprop
from kedja.optim.sgd import SGD, GradientDescent

__all__ = [
    "OPTIMIZERS",
    "SGD",
    "Adam",
    "AdamW",
    "GradientDescent",
    "Optimizer",
    "RMSprop",
    "State",
    "optimizer",
]
