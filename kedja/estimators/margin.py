"""The problem of a linear support-vector machine, solved to a proven accuracy.

    P(w) = ½‖w‖² + Σᵢ cᵢ ℓ(mᵢ),   mᵢ = yᵢ w·xᵢ

with ℓ(m) = max(0, 1 − m) or its square. For every α in the box of its dual, D(α) ≤ min P, so that
P(w) − D(α) bounds the error; it is what ends the work.

| ℓ             | dual D(α), with v = Σᵢ αᵢ yᵢ xᵢ | box        |
|---------------|---------------------------------|------------|
| hinge         | Σ αᵢ − ½‖v‖²                    | 0 ≤ αᵢ ≤ cᵢ |
| squared hinge | Σ (αᵢ − αᵢ²/4cᵢ) − ½‖v‖²        | 0 ≤ αᵢ      |

Both losses are met as one: a ramp of slope s up to the height c, which is (with s = 2c and no
upper end) the squared hinge, and for the hinge its Moreau envelope, shifted by α/s: minimised over
w, it gives the next α, the method of multipliers. A few rounds reach any accuracy, since s grows.
Each round is minimised by Newton's method on kedja's gradients and Hessians: the function is
piecewise quadratic, so that the method ends after finitely many steps.

Not here: scikit-learn's interface (`svm.py`).
Sources: S. Keerthi, D. DeCoste: A modified finite Newton method for fast solution of large scale
linear SVMs (2005); R. Rockafellar: Augmented Lagrangians and applications of the proximal point
algorithm in convex programming (1976).
Letters: N examples, D features; x (N, D), y (N,) of ±1, c (N,), w (D,), α (N,). Next: `svm.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import kedja as kj
from kedja import Tensor

Array = np.ndarray[Any, np.dtype[Any]]
LOSSES = ("hinge", "squared_hinge")

# Hessians of so many features are made whole; beyond, products with them solve for the step.
DENSE = 1000
GROWTH = 4.0  # of the slope, where a round brought the gap down too little
ENOUGH = 0.25
ROUNDS = 200
STALE = 5  # rounds that bring nothing: rounding is reached
FLAT = 1e-13  # of the size of the terms of a gradient: rounding


class Solution(NamedTuple):
    """The best w (D,), P(w), P(w) − D(α), the Newton steps in all, whether the gap was reached."""

    w: Array
    objective: float
    gap: float
    steps: int
    converged: bool


# ------------------------------------------------------------------- what is minimised


def ramp(u: Tensor, slope: Tensor, top: Tensor) -> Tensor:
    """The convex function whose derivative is clip(slope·u, 0, top): zero, parabola, line."""
    inside = kj.clip(u, 0.0, top / slope)
    return 0.5 * slope * kj.square(inside) + top * kj.maximum(u - top / slope, 0.0)


def smooth(w: Tensor, x: Tensor, y: Tensor, shift: Tensor, slope: Tensor, top: Tensor) -> Tensor:
    """½‖w‖² + Σ ramp(1 − yᵢ w·xᵢ + shiftᵢ)."""
    return 0.5 * kj.sum(w * w) + kj.sum(ramp(1.0 - y * (x @ w) + shift, slope, top))


_value_and_grad = kj.jit(kj.value_and_grad(smooth))
_value = kj.jit(smooth)


def _curvature(w: Tensor, x: Tensor, y: Tensor, *ramps: Tensor) -> Tensor:
    return kj.hessian(lambda at: smooth(at, x, y, *ramps))(w)


def _along(v: Tensor, w: Tensor, x: Tensor, y: Tensor, *ramps: Tensor) -> Tensor:
    found: Tensor = kj.hvp(lambda at: smooth(at, x, y, *ramps), (w,), (v,))
    return found


_hessian = kj.jit(_curvature)
_product = kj.jit(_along)


# ------------------------------------------------------------------------------ rounds


def solve(x: Array, y: Array, c: Array, loss: str, tol: float, most: int) -> Solution:
    """The widest margin of the rows x (N, D), float64, with signs y and costs c (N,).

    Ends where the gap is at most `tol` of P(w), or after `most` Newton steps.
    """
    hinge = loss == "hinge"
    slope = _first_slope(x, c) if hinge else 2 * c
    top = c if hinge else np.full_like(c, 1e100)
    w, alpha = np.zeros(x.shape[1]), np.zeros(len(x))
    steps, stale, before = 0, 0, np.inf
    best = Solution(w, np.inf, np.inf, 0, False)
    for _ in range(ROUNDS):
        shift = alpha / slope if hinge else np.zeros_like(c)
        w, taken = _newton(w, (x, y, shift, slope, top), most - steps)
        steps += taken
        alpha = np.clip(slope * (1 - y * (x @ w) + shift), 0, top)
        objective, gap = _judged(w, alpha, x, y, c, hinge)
        stale = 0 if gap < best.gap else stale + 1
        if gap <= best.gap:
            best = Solution(w, objective, gap, steps, gap <= tol * max(objective, 1e-300))
        if best.converged or steps >= most or stale > STALE:
            break
        if gap > ENOUGH * before:
            slope = slope * GROWTH if hinge else slope
        before = gap
    return best._replace(steps=steps)


def _first_slope(x: Array, c: Array) -> Array:
    """A slope at which a row alone would settle in one step."""
    size = float(np.mean(np.sum(x * x, axis=1))) or 1.0
    return np.full_like(c, 1.0 / size)


def _judged(
    w: Array, alpha: Array, x: Array, y: Array, c: Array, hinge: bool
) -> tuple[float, float]:
    """P(w) and P(w) − D(α)."""
    short = np.maximum(1 - y * (x @ w), 0)
    primal = 0.5 * float(w @ w) + float(c @ (short if hinge else short**2))
    v = x.T @ (alpha * y)
    paid = np.zeros_like(c) if hinge else np.divide(alpha**2, 4 * c, where=c > 0, out=c * 0)
    dual = float(np.sum(alpha - paid)) - 0.5 * float(v @ v)
    return primal, primal - dual


# ---------------------------------------------------------------------- Newton's method


def _newton(w: Array, given: tuple[Array, ...], most: int) -> tuple[Array, int]:
    """The minimum of `smooth` from w on, and the steps that it took."""
    data = tuple(kj.asarray(each) for each in given)
    for step in range(most):
        value, slope = (each.numpy() for each in _value_and_grad(kj.asarray(w), *data))
        if np.abs(slope).max() <= FLAT * (1 + np.abs(w).max() + _largest(given)):
            return w, step
        move = -_inverse(w, slope, data)
        length = _length(w, move, float(value), float(slope @ move), data)
        if length == 0:
            return w, step
        w = w + length * move
    return w, most


def _largest(given: tuple[Array, ...]) -> float:
    """How large the terms of the gradient are: Σ sᵢ|xᵢ|, at most."""
    x, slope, top = given[0], given[3], given[4]
    return float((np.minimum(slope, top) @ np.abs(x)).max())


def _inverse(w: Array, slope: Array, data: tuple[Tensor, ...]) -> Array:
    """H⁻¹ g, by H itself where it is small enough, else by products with it."""
    if len(w) > DENSE:
        return _conjugate(lambda v: _product(kj.asarray(v), kj.asarray(w), *data).numpy(), slope)
    found: Array = np.linalg.solve(_hessian(kj.asarray(w), *data).numpy(), slope)
    return found


def _conjugate(product: Callable[[Array], Array], g: Array, accuracy: float = 1e-6) -> Array:
    """H⁻¹ g by conjugate gradients, to a part of |g|. Source: M. Hestenes, E. Stiefel (1952)."""
    answer, rest = np.zeros_like(g), g.copy()
    way, size = rest.copy(), float(g @ g)
    goal = accuracy**2 * size
    for _ in range(2 * len(g)):
        along = product(way)
        length = size / float(way @ along)
        answer += length * way
        rest -= length * along
        now = float(rest @ rest)
        if now <= goal:
            break
        way = rest + (now / size) * way
        size = now
    return answer


def _length(w: Array, move: Array, value: float, slope: float, data: tuple[Tensor, ...]) -> float:
    """How far to go: 1, or half of it again and again until the value falls enough (Armijo).

    0 where rounding hides any fall.
    """
    length = 1.0
    while length > 1e-10:
        if float(_value(kj.asarray(w + length * move), *data)) <= value + 1e-4 * length * slope:
            return length
        length /= 2
    return 0.0
