"""L-BFGS: Newton's method with a curvature that is guessed from the last gradients.

It takes the loss itself where others take gradients, because one update looks at several points:

    params, state = opt.update(params, loss, state)

Not here: the search along a direction (`line_search.py`). Next: `line_search.py`.

Letters: p parameters, g gradient, d direction, t step, s = t d the last move, y the change of the
gradient over it, H the inverse of the curvature, n how many numbers the parameters have, k how
many moves are remembered.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from kedja.front.jit import Compiled, jit
from kedja.front.tensor import Tensor, as_tensor, from_value
from kedja.front.transforms import value_and_grad
from kedja.ground.dtypes import int64
from kedja.ground.errors import TracingError, UsageError
from kedja.optim.base import (
    UNBOUNDED,
    Optimizer,
    Rate,
    State,
    at,
    exchanged,
    marked_like,
    matching,
    require_count,
    require_float,
    require_range,
    require_rate,
    trained,
)
from kedja.optim.line_search import Array, Trial, strong_wolfe

SMALLEST_CURVATURE = 1e-10  # a move whose y·s is not above is not remembered

_graded: WeakKeyDictionary[Any, Compiled] = WeakKeyDictionary()


@dataclass(frozen=True)
class LBFGS(Optimizer):
    """The limited-memory method of Broyden, Fletcher, Goldfarb and Shanno, as in PyTorch.

    `loss(params)` is a scalar; `update(params, loss, state, *rest)` calls `loss(params, *rest)`.
    One update makes up to `max_iter` moves p ← p + t d with d = −H g, where H follows from the last
    `history_size` pairs (s, y) by the two-loop recursion. t is `lr` (smaller for the very first
    move), or with `line_search_fn="strong_wolfe"` what the search finds from there; prefer it.

    It stops early after `max_eval` looks at the loss (5/4 max_iter unless given), when no number of
    g is above `tolerance_grad`, or when a move or the change of the loss is below
    `tolerance_change`. state["loss"] is the loss at the parameters that the update was given,
    state["evaluations"] how often it was looked at in all.

    It decides on values: `update` runs in Python, not inside `jit`. Give a loss that went through
    `kj.jit`, and its value and gradient are compiled. Meant for losses over all examples.
    Raises UsageError for options out of range, TracingError inside `jit`.
    Sources: D. Liu, J. Nocedal: On the limited memory BFGS method for large scale optimization
    (1989); J. Nocedal, S. Wright: Numerical optimization (2006), chapters 3 and 7.

    >>> import kedja as kj
    >>> loss = lambda w: kj.sum((1 - w[:-1]) ** 2 + 100 * (w[1:] - w[:-1] ** 2) ** 2)  # Rosenbrock
    >>> opt, w = LBFGS(line_search_fn="strong_wolfe", max_iter=50), kj.tensor([-1.5, 2.0])
    >>> w, state = opt.update(w, loss, opt.init(w))
    >>> [round(each, 3) for each in w.tolist()]
    [1.0, 1.0]
    """

    lr: Rate = 1.0
    max_iter: int = 20
    max_eval: int | None = None
    tolerance_grad: float = 1e-7
    tolerance_change: float = 1e-9
    history_size: int = 100
    line_search_fn: str | None = None

    def __post_init__(self) -> None:
        require_rate("LBFGS", self.lr)
        for option in ("tolerance_grad", "tolerance_change"):
            require_range("LBFGS", option, getattr(self, option), 0, UNBOUNDED)
        for option in ("max_iter", "history_size"):
            require_count("LBFGS", option, getattr(self, option))
        if self.max_eval is not None:
            require_count("LBFGS", "max_eval", self.max_eval)
        if self.line_search_fn not in (None, "strong_wolfe"):
            fix = "'strong_wolfe', or None"
            raise UsageError(f"LBFGS with line_search_fn={self.line_search_fn!r}", fix=fix)

    def init(self, params: Any) -> State:
        """No move yet."""
        for path, leaf in trained(params):
            require_float(path, as_tensor(leaf))
        flat = _flat([leaf for _, leaf in trained(params)])
        none, scalar = np.zeros((0, flat.size), flat.dtype), np.zeros((), flat.dtype)
        arrays = {
            "changes": none,  # y (k, n)
            "curvature": scalar,  # what H starts from
            "direction": np.zeros_like(flat),
            "gradient": np.zeros_like(flat),
            "loss": scalar,
            "moves": none,  # s (k, n)
            "stride": scalar,  # t
        }
        counts = {"step": Tensor(0, int64), "evaluations": Tensor(0, int64)}
        return {**{name: from_value(each) for name, each in arrays.items()}, **counts}

    def update(self, params: Any, grads: Any, state: State, *rest: Any) -> tuple[Any, State]:
        """Up to `max_iter` moves; `grads` is the loss as a function. See the class."""
        if not callable(grads):
            raise UsageError(
                f"L-BFGS was given {type(grads).__name__} for the loss",
                fix="give the loss as a function: opt.update(params, loss, state)",
            )
        _require_known(params)
        problem = _Problem(params, grads, rest)
        moved = _Search(self, problem, state).run()
        return problem.params, moved


class _Problem:
    """The loss as a function of a flat vector, at the point where the search stands."""

    def __init__(self, params: Any, loss: Callable[..., Any], rest: Sequence[Any]) -> None:
        self.params = params
        self._leaves = [as_tensor(leaf) for _, leaf in trained(params)]
        self._rest = rest
        self._graded = graded(loss)
        self.x = _flat(self._leaves)

    def at(self, x: Array) -> tuple[float, Array]:
        """The loss and its gradient."""
        params = self._unflat(x)
        value, grads = self._graded(params, *self._rest)
        return float(value), _flat(matching(params, grads), x.dtype)

    def move(self, x: Array) -> None:
        """Go to another point."""
        self.x = x
        self.params = self._unflat(x)

    def _unflat(self, x: Array) -> Any:
        ends = np.cumsum([each.size for each in self._leaves])[:-1]
        pieces = zip(np.split(x, ends), self._leaves, strict=True)
        new = [from_value(part.reshape(p.shape).astype(p.dtype)) for part, p in pieces]
        marks = zip(self._leaves, new, strict=True)
        kept = [marked_like(old, each) if old.requires_grad else each for old, each in marks]
        return exchanged(self.params, kept)


class _Search:
    """One update: moves until one of the reasons to stop."""

    def __init__(self, opt: LBFGS, problem: _Problem, state: State) -> None:
        self.opt = opt
        self.problem = problem
        self.state = state
        self.made = int(as_tensor(state["step"]))
        self.rate = float(at(opt.lr, as_tensor(state["step"])))
        self.most = opt.max_iter * 5 // 4 if opt.max_eval is None else opt.max_eval
        self.looks = 0
        self.d, self.t = _array(state["direction"]), float(_array(state["stride"]))
        self.before = _array(state["gradient"])
        self.curvature = float(_array(state["curvature"]))
        self.changes, self.moves = list(_array(state["changes"])), list(_array(state["moves"]))

    def run(self) -> State:
        """The new state; the problem stands at the new point."""
        loss, g = self._look(self.problem.x)
        first = loss
        is_flat = np.abs(g).max(initial=0.0) <= self.opt.tolerance_grad
        for count in range(0 if is_flat else self.opt.max_iter):
            self._turn(g)
            slope = float(np.dot(g, self.d))
            if slope > -self.opt.tolerance_change:
                break
            old = loss
            loss, g = self._move(loss, g, slope, is_last=count + 1 == self.opt.max_iter)
            if self._is_over(count + 1, old, loss, g):
                break
        return self._state(first)

    def _look(self, x: Array) -> tuple[float, Array]:
        self.looks += 1
        return self.problem.at(x)

    def _turn(self, g: Array) -> None:
        """The next direction and the first guess of the step."""
        self.made += 1
        if self.made == 1:
            self.d, self.curvature = -g, 1.0
            self.t = min(1.0, 1.0 / float(np.abs(g).sum())) * self.rate
        else:
            self._remember(g - self.before, self.d * self.t)
            self.d = direction(g, self.changes, self.moves, self.curvature)
            self.t = self.rate
        self.before = g

    def _remember(self, y: Array, s: Array) -> None:
        ys = float(np.dot(y, s))
        if not ys > SMALLEST_CURVATURE:
            return
        if len(self.changes) == self.opt.history_size:
            del self.changes[0], self.moves[0]
        self.changes.append(y)
        self.moves.append(s)
        self.curvature = ys / float(np.dot(y, y))

    def _move(self, loss: float, g: Array, slope: float, *, is_last: bool) -> tuple[float, Array]:
        """Go along the direction; the loss and the gradient there, as far as they are known."""
        start = self.problem.x
        if self.opt.line_search_fn is not None:
            loss, g = self._searched(Trial(0.0, loss, g, slope))
        self.problem.move(start + self.t * self.d)
        if self.opt.line_search_fn is None and not is_last:
            loss, g = self._look(self.problem.x)
        return loss, g

    def _searched(self, start: Trial) -> tuple[float, Array]:
        x = self.problem.x

        def look(t: float) -> Trial:
            f, g = self.problem.at(x + t * self.d)
            return Trial(t, f, g, float(np.dot(g, self.d)))

        size = float(np.abs(self.d).max())
        left = self.most - self.looks
        found, looks = strong_wolfe(look, start, self.t, size, self.opt.tolerance_change, left)
        self.looks += looks
        self.t = float(found.t)
        return found.f, found.g

    def _is_over(self, count: int, old: float, loss: float, g: Array) -> bool:
        return bool(
            count == self.opt.max_iter
            or self.looks >= self.most
            or np.abs(g).max() <= self.opt.tolerance_grad
            or np.abs(self.d * self.t).max() <= self.opt.tolerance_change
            or abs(loss - old) < self.opt.tolerance_change
        )

    def _state(self, loss: float) -> State:
        dtype, size = self.d.dtype, self.d.size
        arrays = {
            "changes": np.reshape(self.changes, (-1, size)),
            "curvature": np.asarray(self.curvature),
            "direction": self.d,
            "gradient": self.before,
            "loss": np.asarray(loss),
            "moves": np.reshape(self.moves, (-1, size)),
            "stride": np.asarray(self.t),
        }
        found = {name: from_value(each.astype(dtype)) for name, each in arrays.items()}
        looks = as_tensor(self.state["evaluations"]) + self.looks
        return {**found, "step": Tensor(self.made, int64), "evaluations": Tensor(looks.numpy())}


def direction(
    g: Array, changes: Sequence[Array], moves: Sequence[Array], curvature: float
) -> Array:
    """−H g by the two-loop recursion: Nocedal and Wright, algorithm 7.4."""
    q = -g
    pairs = [(y, s, 1.0 / float(np.dot(y, s))) for y, s in zip(changes, moves, strict=True)]
    shares = []
    for y, s, inverse in reversed(pairs):
        shares.append(float(np.dot(s, q)) * inverse)
        q = q - shares[-1] * y
    r: Array = q * g.dtype.type(curvature)
    for (y, s, inverse), share in zip(pairs, reversed(shares), strict=True):
        r += (share - float(np.dot(y, r)) * inverse) * s
    return r


def graded(loss: Callable[..., Any]) -> Callable[..., Any]:
    """Value and gradient of a loss; compiled where the loss is."""
    if not isinstance(loss, Compiled):
        return value_and_grad(loss)
    if loss not in _graded:
        _graded[loss] = jit(value_and_grad(loss.__wrapped__))  # type: ignore[attr-defined]
    return _graded[loss]


def _flat(leaves: Sequence[Any], dtype: Any = None) -> Array:
    """All numbers in one vector (n,)."""
    arrays = [_array(each).reshape(-1) for each in leaves]
    return np.concatenate(arrays or [np.zeros(0, np.float32)], dtype=dtype)


def _array(given: Any) -> Array:
    found: Array = as_tensor(given).numpy()
    return found


def _require_known(params: Any) -> None:
    if not all(as_tensor(leaf).is_known for _, leaf in trained(params)):
        raise TracingError(
            "L-BFGS decides on values, which are not there inside jit or fit",
            fix="call update outside, with a loss that went through kj.jit",
        )
