"""Optimisers: pure functions from parameters, gradients and state to new parameters and state.

Start at `base.py` (the protocol); then the rules: `sgd.py`, `adam.py`, `nadam.py`, `rmsprop.py`,
`adagrad.py`, `adafactor.py`, `lion.py`, `muon.py`, `lbfgs.py`; the rates: `schedules.py`,
`cycles.py`, `plateau.py`; and what goes around them: `clip.py`, `accumulate.py`, `groups.py`.
Not here: the training loop (`kedja/train`).
"""

from kedja.optim.accumulate import EMA, Accumulate
from kedja.optim.adafactor import Adafactor
from kedja.optim.adagrad import Adadelta, Adagrad, Rprop
from kedja.optim.adam import Adam, Adamax, AdamW
from kedja.optim.base import Leafwise, Optimizer, State, Wrapper
from kedja.optim.clip import ClipNorm, ClipValue, clip_grad_norm, clip_grad_value, global_norm
from kedja.optim.cycles import (
    SCHEDULES,
    ChainedLR,
    CosineAnnealingWarmRestarts,
    OneCycle,
    OneCycleLR,
    SequentialLR,
    schedule,
)
from kedja.optim.groups import Frozen, Groups, no_decay
from kedja.optim.lbfgs import LBFGS
from kedja.optim.lion import Lion
from kedja.optim.muon import Muon
from kedja.optim.nadam import NAdam, RAdam
from kedja.optim.names import OPTIMIZERS, optimizer
from kedja.optim.plateau import OnPlateau, ReduceLROnPlateau
from kedja.optim.rmsprop import RMSprop
from kedja.optim.schedules import (
    ConstantLR,
    CosineAnnealingLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    MultiStepLR,
    PolynomialLR,
    Schedule,
    StepLR,
    WarmupCosineLR,
)
from kedja.optim.sgd import ASGD, SGD, GradientDescent

__all__ = [
    "ASGD",
    "EMA",
    "LBFGS",
    "OPTIMIZERS",
    "SCHEDULES",
    "SGD",
    "Accumulate",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "ChainedLR",
    "ClipNorm",
    "ClipValue",
    "ConstantLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "ExponentialLR",
    "Frozen",
    "GradientDescent",
    "Groups",
    "LambdaLR",
    "Leafwise",
    "LinearLR",
    "Lion",
    "MultiStepLR",
    "Muon",
    "NAdam",
    "OnPlateau",
    "OneCycle",
    "OneCycleLR",
    "Optimizer",
    "PolynomialLR",
    "RAdam",
    "RMSprop",
    "ReduceLROnPlateau",
    "Rprop",
    "Schedule",
    "SequentialLR",
    "State",
    "StepLR",
    "WarmupCosineLR",
    "Wrapper",
    "clip_grad_norm",
    "clip_grad_value",
    "global_norm",
    "no_decay",
    "optimizer",
    "schedule",
]
