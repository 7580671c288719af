"""Mixed precision: weights in float32, products in bfloat16.

    model = kj.mixed_precision(model)              # or kj.fit(…, precision="bfloat16")

Not here: the switch itself (`kedja/front/precision.py`); what it does to a loss curve is shown in
`docs/precision.md`. Next: `builders.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import wraps
from typing import Any, ClassVar, TypeVar

from kedja.front.precision import products_in
from kedja.ground.dtypes import DType, as_dtype, float16, is_float
from kedja.ground.errors import UsageError
from kedja.nn.module import Module

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Policy:
    """What is computed in which dtype: products in `compute`, everything else as it is stored.

    Matrix products, convolutions and the products of attention round their inputs to `compute`, add
    up in float32, round once and give the dtype of their inputs; so do the products of the
    gradients. Parameters, sums, norms, softmax, losses and the optimiser stay in the parameters'
    dtype, so that small updates are not lost. "float32" changes nothing. float16 is refused: its
    small gradients vanish without loss scaling, which is left out.

    A policy works inside `with policy.scope():`, and around functions and modules. Source:
    P. Micikevicius et al.: Mixed precision training (2017); D. Kalamkar et al.: A study of bfloat16
    for deep learning training (2019).

    >>> import kedja as kj
    >>> with Policy("bfloat16").scope():
    ...     y = kj.tensor([[1.001]]) @ kj.tensor([[1.0]])
    >>> y
    Tensor([[1.]], float32)
    """

    compute: str = "bfloat16"

    def __post_init__(self) -> None:
        kind = as_dtype(self.compute)
        if kind == float16:
            raise UsageError(
                "products in float16 need loss scaling, which kedja leaves out",
                fix="use bfloat16, whose range is that of float32",
            )
        if not is_float(kind):
            raise UsageError(f"products in {kind.name}", fix="'bfloat16', or 'float32'")
        object.__setattr__(self, "compute", kind.name)

    @property
    def dtype(self) -> DType:
        """The dtype of products."""
        return as_dtype(self.compute)

    def scope(self) -> AbstractContextManager[None]:
        """Inside, products are computed by this policy."""
        return products_in(self.dtype)

    def around(self, function: F) -> F:
        """The function with its products computed by this policy."""

        @wraps(function)
        def mixed(*args: Any, **kwargs: Any) -> Any:
            with self.scope():
                return function(*args, **kwargs)

        return mixed  # type: ignore[return-value]


class MixedPrecision(Module):
    """A module whose products are computed by a policy; see `mixed_precision`.

    Its parameters have the names that they have in the module, so that weights go both ways.
    """

    _inline: ClassVar[str] = "model"

    model: Any
    policy: Policy = Policy()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """As the module."""
        with self.policy.scope():
            return self.model(*args, **kwargs)


def mixed_precision(model: Any, compute: str = "bfloat16") -> Any:
    """A module, or any function of tensors, whose products are computed in `compute`.

    Parameters stay as they are (float32): gradients, `jit`, optimisers, `fit` and checkpoints go on
    as before. A module gives a `MixedPrecision`, whose `model` is the module itself. See `Policy`.

    >>> import kedja as kj
    >>> net = mixed_precision(kj.nn.Linear(2, 1))
    >>> sorted(net.state_dict()), net([[1.0, 2.0]]).dtype == kj.float32
    (['bias', 'weight'], True)
    """
    policy = Policy(compute)
    if isinstance(model, Module):
        return MixedPrecision(model, policy)
    if not callable(model):
        raise UsageError(f"mixed_precision of {type(model).__name__}", fix="a module or a function")
    return policy.around(model)
