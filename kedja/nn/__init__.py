"""Networks: layers as callable pytrees, activations, losses, initialisers.

Start at `module.py` (what a layer is) and `linear.py`; then `containers.py`, `functional.py`,
`activations.py`, `losses.py`, `init.py`, `builders.py`. Not here: optimisers (`kedja/optim`) and
the training loop (`kedja/train`).
"""

from kedja.nn import functional, init
from kedja.nn.activations import (
    ACTIVATIONS,
    ELU,
    GELU,
    SELU,
    Identity,
    LeakyReLU,
    LogSoftmax,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
    activation,
    activation_name,
)
from kedja.nn.builders import Description, Row, describe, mlp
from kedja.nn.containers import Lambda, Sequential
from kedja.nn.linear import Fitted, Flatten, Linear, Maxout, Perceptron
from kedja.nn.losses import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    mse_loss,
    nll_loss,
    squared_error,
)
from kedja.nn.module import Module, layer_error

__all__ = [
    "ACTIVATIONS",
    "ELU",
    "GELU",
    "SELU",
    "Description",
    "Fitted",
    "Flatten",
    "Identity",
    "Lambda",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "Maxout",
    "Module",
    "Perceptron",
    "ReLU",
    "Row",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Tanh",
    "activation",
    "activation_name",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "describe",
    "functional",
    "init",
    "layer_error",
    "mlp",
    "mse_loss",
    "nll_loss",
    "squared_error",
]
