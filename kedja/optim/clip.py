"""Gradients held in bounds before an update: by their norm, or number by number.

As functions of a tree of gradients, and as optimisers around another one. Next: `accumulate.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kedja.front import functions
from kedja.front.tensor import Tensor, as_tensor
from kedja.ground.dtypes import is_half, promote
from kedja.ground.errors import UsageError
from kedja.optim.base import UNBOUNDED, State, Wrapper, exchanged, require_range, scalar, trained

SMALL = 1e-6  # is added to the norm, as in PyTorch


def global_norm(grads: Any, norm_type: float = 2.0) -> Tensor:
    """(Σ|g|ᵖ)^(1/p) over all numbers of a tree, p = `norm_type`; the largest |g| where p is ∞.

    >>> global_norm({"a": as_tensor([3.0, 0.0]), "b": as_tensor(4.0)}).item()
    5.0
    """
    leaves = [as_tensor(leaf) for _, leaf in trained(grads)]
    if not leaves:
        return Tensor(0.0)
    wide = [g.astype("float32") if is_half(g.dtype) else g for g in leaves]
    dtype = promote(*(g.dtype for g in wide))
    if norm_type == UNBOUNDED:
        peaks = [functions.max(functions.abs(g)).astype(dtype) for g in wide if g.size]
        return functions.max(functions.stack(peaks)) if peaks else functions.zeros((), dtype)
    total: Any = functions.zeros((), dtype)
    for g in wide:
        total = total + functions.sum(_powered(g, norm_type)).astype(dtype)
    return functions.sqrt(total) if norm_type == 2 else total ** (1 / norm_type)


def _powered(g: Tensor, norm_type: float) -> Tensor:
    return functions.square(g) if norm_type == 2 else functions.abs(g) ** norm_type


def clip_grad_norm(grads: Any, max_norm: float, norm_type: float = 2.0) -> tuple[Any, Tensor]:
    """The gradients, scaled down by one factor where their norm is above `max_norm`; and the norm.

    The factor is min(1, max_norm/(norm + 10⁻⁶)), as in PyTorch.
    Source: R. Pascanu et al.: On the difficulty of training recurrent neural networks (2012).
    """
    _require_norm(max_norm, norm_type)
    norm = global_norm(grads, norm_type)
    factor = functions.minimum(max_norm / (norm + SMALL), 1.0)
    leaves = [as_tensor(leaf) for _, leaf in trained(grads)]
    return exchanged(grads, [g * scalar(factor, g) for g in leaves]), norm


def clip_grad_value(grads: Any, clip_value: float) -> Any:
    """The gradients with every number held between −clip_value and clip_value."""
    require_range("clip_grad_value", "clip_value", clip_value, 0, UNBOUNDED)
    leaves = [as_tensor(leaf) for _, leaf in trained(grads)]
    return exchanged(grads, [functions.clip(g, -clip_value, clip_value) for g in leaves])


def _require_norm(max_norm: float, norm_type: float) -> None:
    require_range("clip_grad_norm", "max_norm", max_norm, 0, UNBOUNDED)
    if not norm_type > 0:
        raise UsageError(f"clip_grad_norm with norm_type={norm_type!r}", fix="2, or any above 0")


@dataclass(frozen=True)
class _Clipped(Wrapper):
    def init(self, params: Any) -> State:
        """The state inside."""
        return {"inner": self.inner.init(params)}

    def update(self, params: Any, grads: Any, state: State) -> tuple[Any, State]:
        """The update inside, from gradients in bounds."""
        moved, inner = self.inner.update(params, self.clipped(grads), state["inner"])
        return moved, {"inner": inner}

    def clipped(self, grads: Any) -> Any:
        """The gradients in bounds."""
        return grads


@dataclass(frozen=True)
class ClipNorm(_Clipped):
    """`clip_grad_norm` before each update: the norm is that of all gradients together.

    >>> from kedja.optim.sgd import SGD
    >>> opt, w = ClipNorm(SGD(1.0), max_norm=1.0), as_tensor([0.0, 0.0])
    >>> [round(each, 3) for each in opt.update(w, as_tensor([30.0, 40.0]), opt.init(w))[0].tolist()]
    [-0.6, -0.8]
    """

    max_norm: float = 1.0
    norm_type: float = 2.0

    def __post_init__(self) -> None:
        super().__post_init__()
        _require_norm(self.max_norm, self.norm_type)

    def clipped(self, grads: Any) -> Any:
        """See `clip_grad_norm`."""
        return clip_grad_norm(grads, self.max_norm, self.norm_type)[0]


@dataclass(frozen=True)
class ClipValue(_Clipped):
    """`clip_grad_value` before each update."""

    clip_value: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require_range("ClipValue", "clip_value", self.clip_value, 0, UNBOUNDED)

    def clipped(self, grads: Any) -> Any:
        """See `clip_grad_value`."""
        return clip_grad_value(grads, self.clip_value)
