"""Layers that multiply by a matrix: Linear, Bilinear, Maxout, Rosenblatt's Perceptron.

Not here: activations (`activations.py`), initialisers (`init.py`), Flatten (`shapes.py`).
Next: `containers.py`.
Dimensions: C features in, H features out, K pieces.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from kedja.front import random
from kedja.front.tensor import Tensor, as_tensor
from kedja.ground.dtypes import int64
from kedja.ground.errors import ShapeError, UsageError
from kedja.nn import init
from kedja.nn.activation_functions import maxout
from kedja.nn.checks import require_positive
from kedja.nn.module import Module, layer_error

# ---------------------------------------------------------------------------------- Linear


def linear(x: Any, weight: Any, bias: Any = None) -> Tensor:
    """y = x Wᵀ + b. Shapes: x (…, C), `weight` (H, C), `bias` (H,) → y (…, H)."""
    product: Tensor = as_tensor(x) @ as_tensor(weight).T  # (…, H)
    return product if bias is None else product + bias


class Linear(Module):
    """y = x Wᵀ + b.

    Shapes: x (…, C) → y (…, H); `weight` (H, C), `bias` (H,) or None, named and laid out as in
    PyTorch. Unless `init` is given, both start uniform in ±1/√C, as in PyTorch; `init(key,
    shape)` draws the weight, and the bias is then 0. Without a key, the next one of the default
    sequence is taken (`kj.random.seed`). Raises ShapeError where the last axis of x is not C.

    >>> layer = Linear(4, 5, key=random.key(0))
    >>> layer.num_parameters
    25
    >>> layer([[1.0, 2.0, 3.0, 4.0]]).shape
    (1, 5)
    """

    weight: Tensor
    bias: Tensor | None

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        key: Tensor | None = None,
        init: init.Initializer | None = None,
    ) -> None:
        require_positive(type(self).__name__, in_features=in_features, out_features=out_features)
        self.weight, self.bias = _drawn(in_features, out_features, bias, key, init)

    @property
    def in_features(self) -> int:
        """C, the extent of the input's last axis."""
        return self.weight.shape[1]

    @property
    def out_features(self) -> int:
        """H, the extent of the output's last axis."""
        return self.weight.shape[0]

    def __call__(self, x: Any) -> Tensor:
        """x (…, C) → (…, H)."""
        x = as_tensor(x)
        require_features(self, x, self.in_features)
        return linear(x, self.weight, self.bias)

    def extra_repr(self) -> str:
        """The extents, as PyTorch prints them."""
        size = f"in_features={self.in_features}, out_features={self.out_features}"
        return f"{size}, bias={self.bias is not None}"


def _drawn(
    columns: int, rows: int, bias: bool, key: Tensor | None, initializer: init.Initializer | None
) -> tuple[Tensor, Tensor | None]:
    """A weight (rows, columns) and a bias (rows,)."""
    for_weight, for_bias = random.split(random.next_key() if key is None else key)
    if initializer is not None:
        weight = initializer(for_weight, (rows, columns))
        return weight, init.zeros(None, (rows,), weight.dtype) if bias else None
    bound = 1 / math.sqrt(columns)
    weight = init.uniform(for_weight, (rows, columns), -bound, bound)
    return weight, init.uniform(for_bias, (rows,), -bound, bound) if bias else None


def require_features(layer: Module, x: Tensor, count: int) -> None:
    """Raise ShapeError, naming the layer, unless the last axis of x has `count` elements."""
    if x.shape and x.shape[-1] == count:
        return
    expected = f"expects inputs with {count} features in the last axis"
    raise layer_error(layer, f"{expected}, got shape {list(x.shape)}", _features_fix(x, count))


def _features_fix(x: Tensor, count: int) -> str:
    """What makes an input of the wrong shape fit, as far as the numbers tell."""
    if x.ndim > 2 and math.prod(x.shape[1:]) == count:
        return "flatten the pictures first: nn.Flatten()"
    if x.ndim > 1 and x.size == count:
        return "flatten it first: x.reshape(-1)"
    if x.ndim == 2 and x.shape[0] == count:
        return "examples are rows, features are columns: x.T"
    if not x.shape:
        return "give at least one axis: x.reshape(1)"
    return f"make the layer with in_features={x.shape[-1]}, or give it other inputs"


# -------------------------------------------------------------------------------- Bilinear


def bilinear(x1: Any, x2: Any, weight: Any, bias: Any = None) -> Tensor:
    """y_h = Σ_ij x1_i W_hij x2_j + b_h.

    Shapes: x1 (…, I), x2 (…, J), `weight` (H, I, J), `bias` (H,) → y (…, H).
    """
    first, second, weight = as_tensor(x1), as_tensor(x2), as_tensor(weight)
    rows, i, j = weight.shape
    turned = weight.transpose(1, 0, 2).reshape(i, rows * j)  # (I, H·J)
    half = (first @ turned).reshape(*first.shape[:-1], rows, j)  # (…, H, J)
    product: Tensor = (half * second.reshape(*second.shape[:-1], 1, j)).sum(-1)  # (…, H)
    return product if bias is None else product + bias


class Bilinear(Module):
    """y_h = x1ᵀ W_h x2 + b_h: linear in both of two inputs.

    Shapes: x1 (…, I), x2 (…, J) with the same leading axes → y (…, H); `weight` (H, I, J), `bias`
    (H,) or None. Both start uniform in ±1/√I, as in PyTorch. Raises ShapeError where the last axes
    are not I and J, or the others differ.

    >>> Bilinear(3, 4, 5)(np.ones((2, 3)), np.ones((2, 4))).shape
    (2, 5)
    """

    weight: Tensor
    bias: Tensor | None

    def __init__(
        self,
        in1_features: int,
        in2_features: int,
        out_features: int,
        bias: bool = True,
        *,
        key: Tensor | None = None,
    ) -> None:
        extents = {"in1_features": in1_features, "in2_features": in2_features}
        require_positive("Bilinear", **extents, out_features=out_features)
        for_weight, for_bias = random.split(random.next_key() if key is None else key)
        bound = 1 / math.sqrt(in1_features)
        shape = (out_features, in1_features, in2_features)
        self.weight = init.uniform(for_weight, shape, -bound, bound)
        self.bias = init.uniform(for_bias, shape[:1], -bound, bound) if bias else None

    @property
    def in1_features(self) -> int:
        """I, the extent of the first input's last axis."""
        return self.weight.shape[1]

    @property
    def in2_features(self) -> int:
        """J, the extent of the second input's last axis."""
        return self.weight.shape[2]

    @property
    def out_features(self) -> int:
        """H, the extent of the output's last axis."""
        return self.weight.shape[0]

    def __call__(self, x1: Any, x2: Any) -> Tensor:
        """x1 (…, I), x2 (…, J) → (…, H)."""
        x1, x2 = as_tensor(x1), as_tensor(x2)
        require_features(self, x1, self.in1_features)
        require_features(self, x2, self.in2_features)
        if x1.shape[:-1] != x2.shape[:-1]:
            what = f"expects inputs of equal length, got {list(x1.shape)} and {list(x2.shape)}"
            raise layer_error(self, what, "all axes but the last are the same in both")
        return bilinear(x1, x2, self.weight, self.bias)

    def extra_repr(self) -> str:
        """The extents, as PyTorch prints them."""
        size = f"in1_features={self.in1_features}, in2_features={self.in2_features}"
        return f"{size}, out_features={self.out_features}, bias={self.bias is not None}"


# ---------------------------------------------------------------------------------- Maxout


class Maxout(Module):
    """y_h = max over k of (x·W_hk + b_hk): a layer that learns its own convex activation.

    Shapes: x (…, C) → y (…, H); `weight` (H·K, C) and `bias` (H·K,), the K pieces of one output
    side by side. Both start as Linear's. Raises ShapeError where the last axis of x is not C.
    Source: I. Goodfellow et al.: Maxout networks (2013).

    >>> Maxout(3, 2, pieces=4)([[1.0, 2.0, 3.0]]).shape
    (1, 2)
    """

    weight: Tensor
    bias: Tensor | None
    pieces: int

    def __init__(
        self,
        in_features: int,
        out_features: int,
        pieces: int = 2,
        bias: bool = True,
        *,
        key: Tensor | None = None,
        init: init.Initializer | None = None,
    ) -> None:
        extents = {"in_features": in_features, "out_features": out_features, "pieces": pieces}
        require_positive(type(self).__name__, **extents)
        self.weight, self.bias = _drawn(in_features, out_features * pieces, bias, key, init)
        self.pieces = pieces

    @property
    def in_features(self) -> int:
        """C, the extent of the input's last axis."""
        return self.weight.shape[1]

    @property
    def out_features(self) -> int:
        """H, the extent of the output's last axis."""
        return self.weight.shape[0] // self.pieces

    def __call__(self, x: Any) -> Tensor:
        """x (…, C) → (…, H)."""
        x = as_tensor(x)
        require_features(self, x, self.in_features)
        sums = linear(x, self.weight, self.bias)  # (…, H·K)
        return maxout(sums, self.pieces)  # (…, H)

    def extra_repr(self) -> str:
        """The extents."""
        size = f"in_features={self.in_features}, out_features={self.out_features}"
        return f"{size}, pieces={self.pieces}, bias={self.bias is not None}"


# ------------------------------------------------------------------------------ Perceptron


class Fitted(NamedTuple):
    """What `Perceptron.fit` returns: the trained perceptron, and its mistakes in each epoch."""

    model: Perceptron
    mistakes: list[int]


class Perceptron(Module):
    """y = 1 where w·x + b > 0, else 0: the unit of 1958, with its own learning rule.

    Shapes: x (…, C) → y (…), whole numbers; `weight` (C,) and `bias` () start at 0. The step has
    no useful gradient, so it learns by `fit` alone. Source: F. Rosenblatt: The perceptron, a
    probabilistic model for information storage and organization in the brain (1958).

    >>> x, either = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 1]
    >>> model, mistakes = Perceptron(2).fit(x, either, epochs=10)
    >>> mistakes
    [1, 2, 1, 0]
    >>> model(x)
    Tensor([0, 1, 1, 1], int64)
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, in_features: int) -> None:
        require_positive(type(self).__name__, in_features=in_features)
        self.weight = init.zeros(None, (in_features,))
        self.bias = init.zeros(None, ())

    @property
    def in_features(self) -> int:
        """C, the extent of the input's last axis."""
        return self.weight.shape[0]

    def __call__(self, x: Any) -> Tensor:
        """x (…, C) → 0 or 1 for each example."""
        x = as_tensor(x).astype(self.weight.dtype)
        require_features(self, x, self.in_features)
        sums: Tensor = x @ self.weight + self.bias
        return (sums > 0).astype(int64)

    def fit(self, x: Any, y: Any, epochs: int = 100, *, rate: float = 1.0) -> Fitted:
        """w ← w + rate·(y − ŷ)·x for one example after the other, at most `epochs` times over.

        It stops after an epoch without a mistake, which comes after finitely many if a plane
        separates the classes. x (B, C); y (B,), of 0 and 1. Raises ShapeError, UsageError.
        """
        inputs, answers = as_tensor(x), as_tensor(y)
        require_features(self, inputs, self.in_features)
        _require_answers(inputs, answers)
        examples = inputs.numpy().astype(np.float64)  # (B, C)
        w, b = self.weight.numpy().astype(np.float64), float(self.bias.numpy())
        mistakes: list[int] = []
        while len(mistakes) < epochs and 0 not in mistakes:
            w, b, count = _epoch(w, b, examples, answers.numpy(), rate)
            mistakes.append(count)
        dtype = self.weight.dtype
        return Fitted(self.replace(weight=Tensor(w, dtype), bias=Tensor(b, dtype)), mistakes)

    def extra_repr(self) -> str:
        """The extent."""
        return f"in_features={self.in_features}"


def _require_answers(x: Tensor, y: Tensor) -> None:
    if x.ndim != 2 or y.shape != x.shape[:1]:
        raise ShapeError(
            f"Perceptron.fit of inputs {list(x.shape)} and answers {list(y.shape)}",
            fix="inputs are a table (examples, features), answers one number for each example",
        )
    if not np.isin(y.numpy(), (0, 1)).all():
        raise UsageError("Perceptron.fit with answers other than 0 and 1", fix="use 0 and 1")


def _epoch(
    w: np.ndarray, b: float, examples: np.ndarray, answers: np.ndarray, rate: float
) -> tuple[np.ndarray, float, int]:
    """One pass over the examples: the new weights, and how many examples were wrong."""
    mistakes = 0
    for x, y in zip(examples, answers, strict=True):
        error = float(y) - float(w @ x + b > 0)
        if error:
            w, b = w + rate * error * x, b + rate * error
            mistakes += 1
    return w, b, mistakes
