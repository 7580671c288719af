"""One step of recurrent networks: Elman's, LSTM, GRU; the cells, and the steps as functions.

Not here: whole sequences (`recurrent.py`). Next: `recurrent.py`.
Dimensions: N sequences, C numbers in, H numbers of the state, P of the projected state.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar

from kedja.front import functions, random
from kedja.front.tensor import Tensor
from kedja.ground.errors import UsageError
from kedja.nn import init
from kedja.nn.activation_functions import floating
from kedja.nn.checks import require_positive
from kedja.nn.linear import linear
from kedja.nn.module import Module, layer_error

# ---------------------------------------------------------------------------------- steps

State = tuple[Tensor, ...]  # (h,), or (h, c)


def elman_step(activation: Callable[[Any], Tensor]) -> Callable[..., State]:
    """h ← act(g + W_hh h + b_hh), g = W_ih x + b_ih."""

    def step(gates: Tensor, state: State, w_hh: Tensor, b_hh: Tensor | None) -> State:
        return (activation(gates + linear(state[0], w_hh, b_hh)),)

    return step


def lstm_step(
    gates: Tensor, state: State, w_hh: Tensor, b_hh: Tensor | None, w_hr: Tensor | None = None
) -> State:
    """i, f, o = σ(…), g = tanh(…); c ← f·c + i·g; h ← o·tanh c, projected by `w_hr` if given."""
    h, c = state
    i, f, g, o = _parts(gates + linear(h, w_hh, b_hh), 4)
    c = functions.sigmoid(f) * c + functions.sigmoid(i) * functions.tanh(g)
    h = functions.sigmoid(o) * functions.tanh(c)
    return (h if w_hr is None else linear(h, w_hr, None)), c


def gru_step(gates: Tensor, state: State, w_hh: Tensor, b_hh: Tensor | None) -> State:
    """r, z = σ(…); n = tanh(g_n + r·(W_hn h + b_hn)); h ← (1 − z)·n + z·h."""
    (h,) = state
    r, z, n = _parts(gates, 3)
    hr, hz, hn = _parts(linear(h, w_hh, b_hh), 3)
    r, z = functions.sigmoid(r + hr), functions.sigmoid(z + hz)
    n = functions.tanh(n + r * hn)
    return (n + z * (h - n),)


def _parts(gates: Tensor, count: int) -> list[Tensor]:
    """(N, count·H) as `count` arrays (N, H)."""
    width = gates.shape[-1] // count
    return [gates[..., i * width : (i + 1) * width] for i in range(count)]


STEPS: dict[str, Callable[..., State]] = {
    "RNN_TANH": elman_step(functions.tanh),
    "RNN_RELU": elman_step(functions.relu),
    "LSTM": lstm_step,
    "GRU": gru_step,
}
GATES = {"RNN_TANH": 1, "RNN_RELU": 1, "LSTM": 4, "GRU": 3}


def drawn(key: Tensor, shapes: dict[str, tuple[int, ...]], hidden: int) -> dict[str, Tensor]:
    """Arrays of these shapes, all uniform in ±1/√H, as PyTorch draws them."""
    bound = 1 / math.sqrt(hidden)
    keys = random.split(key, len(shapes))
    pairs = zip(keys, shapes.items(), strict=True)
    return {name: init.uniform(each, shape, -bound, bound) for each, (name, shape) in pairs}


def elman_mode(name: str, nonlinearity: str) -> str:
    """The name of Elman's step with tanh or relu; raises UsageError for others."""
    if nonlinearity not in ("tanh", "relu"):
        raise UsageError(f"{name} with nonlinearity={nonlinearity!r}", fix="'tanh' or 'relu'")
    return f"RNN_{nonlinearity.upper()}"


# ---------------------------------------------------------------------------------- cells


class _Cell(Module):
    """What the cells have in common: PyTorch's four arrays, and one step."""

    weight_ih: Tensor
    weight_hh: Tensor
    bias_ih: Tensor | None
    bias_hh: Tensor | None

    _states: ClassVar[int] = 1

    def _make(
        self, mode: str, input_size: int, hidden_size: int, bias: bool, key: Tensor | None
    ) -> None:
        sizes = {"input_size": input_size, "hidden_size": hidden_size}
        require_positive(type(self).__name__, **sizes)
        rows = GATES[mode] * hidden_size
        shapes: dict[str, tuple[int, ...]] = {
            "weight_ih": (rows, input_size),
            "weight_hh": (rows, hidden_size),
        }
        if bias:
            shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
        arrays = drawn(random.next_key() if key is None else key, shapes, hidden_size)
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            setattr(self, name, arrays.get(name))
        self.mode, self.hidden_size = mode, hidden_size

    @property
    def input_size(self) -> int:
        """C, the extent of the input's last axis."""
        return self.weight_ih.shape[1]

    def _stepped(self, x: Any, state: Any) -> State:
        x = floating(x)
        if x.ndim not in (1, 2) or x.shape[-1] != self.input_size:
            what = f"expects (N, {self.input_size}) or ({self.input_size},), got {list(x.shape)}"
            raise layer_error(self, what, "one step of each sequence; nn.LSTM takes whole ones")
        given = self._given(x, state)
        gates = linear(x, self.weight_ih, self.bias_ih)
        return STEPS[self.mode](gates, given, self.weight_hh, self.bias_hh)

    def _given(self, x: Tensor, state: Any) -> State:
        shape = (*x.shape[:-1], self.hidden_size)
        if state is None:
            return tuple(functions.zeros(shape, x.dtype) for _ in range(self._states))
        found = tuple(floating(each) for each in (state if self._states > 1 else (state,)))
        for each in found:
            if each.shape != shape:
                what = f"expects a state of shape {list(shape)}, got {list(each.shape)}"
                raise layer_error(self, what, "one state for each sequence")
        return found

    def extra_repr(self) -> str:
        """The extents, as PyTorch prints them."""
        return f"{self.input_size}, {self.hidden_size}"


class RNNCell(_Cell):
    """h ← tanh(W_ih x + b_ih + W_hh h + b_hh), or relu with `nonlinearity="relu"`.

    Shapes: x (N, C) or (C,), h (N, H) or (H,), zeros unless given → h; `weight_ih` (H, C),
    `weight_hh` (H, H), `bias_ih`, `bias_hh` (H,). All start uniform in ±1/√H.
    Source: J. Elman: Finding structure in time (1990).

    >>> RNNCell(3, 4)([[1.0, 2.0, 3.0]]).shape
    (1, 4)
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        *,
        key: Tensor | None = None,
    ) -> None:
        mode = elman_mode("RNNCell", nonlinearity)
        self._make(mode, input_size, hidden_size, bias, key)

    def __call__(self, x: Any, hx: Any = None) -> Tensor:
        """x (N, C), h (N, H) → h."""
        return self._stepped(x, hx)[0]


class LSTMCell(_Cell):
    """i, f, o = σ(W x + b + W' h + b'), g = tanh(…); c ← f·c + i·g; h ← o·tanh c.

    Shapes: x (N, C) or (C,), the state (h, c) each (N, H) or (H,), zeros unless given → (h, c);
    `weight_ih` (4·H, C), `weight_hh` (4·H, H), `bias_ih`, `bias_hh` (4·H,), in the order i f g o.
    Source: S. Hochreiter, J. Schmidhuber: Long short-term memory (1997).

    >>> h, c = LSTMCell(3, 4)([[1.0, 2.0, 3.0]])
    >>> h.shape
    (1, 4)
    """

    _states: ClassVar[int] = 2

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, *, key: Tensor | None = None
    ) -> None:
        self._make("LSTM", input_size, hidden_size, bias, key)

    def __call__(self, x: Any, hx: Any = None) -> State:
        """x (N, C), (h, c) → (h, c)."""
        return self._stepped(x, hx)


class GRUCell(_Cell):
    """r, z = σ(W x + b + W' h + b'); n = tanh(W_n x + b_n + r·(W'_n h + b'_n)); h ← (1−z)·n + z·h.

    Shapes: x (N, C) or (C,), h (N, H) or (H,), zeros unless given → h; `weight_ih` (3·H, C),
    `weight_hh` (3·H, H), `bias_ih`, `bias_hh` (3·H,), in the order r z n.
    Source: K. Cho et al.: Learning phrase representations using RNN encoder–decoder (2014).

    >>> GRUCell(3, 4)([[1.0, 2.0, 3.0]]).shape
    (1, 4)
    """

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, *, key: Tensor | None = None
    ) -> None:
        self._make("GRU", input_size, hidden_size, bias, key)

    def __call__(self, x: Any, hx: Any = None) -> Tensor:
        """x (N, C), h (N, H) → h."""
        return self._stepped(x, hx)[0]
