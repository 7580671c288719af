"""Recurrent networks over whole sequences: RNN, LSTM, GRU, in layers and both directions.

Not here: one step (`recurrent_cells.py`). Sequences of different lengths in one batch are padded by
the caller (there is no `PackedSequence`). Next: `losses`.
Dimensions: L steps, N sequences, C numbers in, H numbers of the state, P of the projected state
(P = H without projection), D directions (1 or 2), K layers.
"""

from __future__ import annotations

from typing import Any, ClassVar

from kedja.front import functions, random
from kedja.front.arithmetic import concatenate
from kedja.front.control import scan
from kedja.front.tensor import Tensor
from kedja.ground.errors import UsageError
from kedja.nn.activation_functions import floating
from kedja.nn.checks import require_positive, require_probability
from kedja.nn.dropout import dropout as drop
from kedja.nn.linear import linear
from kedja.nn.module import Module, layer_error
from kedja.nn.recurrent_cells import GATES, STEPS, State, drawn, elman_mode


class _Recurrent(Module):
    """What the three have in common: arrays for each layer and direction, and the loop."""

    _states: ClassVar[int] = 1

    def _make(
        self,
        mode: str,
        input_size: int,
        hidden_size: int,
        num_layers: int,
        bias: bool,
        batch_first: bool,
        dropout: float,
        bidirectional: bool,
        proj_size: int,
        key: Tensor | None,
    ) -> None:
        name = type(self).__name__
        sizes = {"input_size": input_size, "hidden_size": hidden_size, "num_layers": num_layers}
        require_positive(name, **sizes)
        require_probability(name, dropout)
        if not 0 <= proj_size < hidden_size:
            raise UsageError(
                f"{name} with proj_size={proj_size}", fix="0, or less than hidden_size"
            )
        self.mode, self.input_size, self.hidden_size = mode, input_size, hidden_size
        self.num_layers, self.bias, self.batch_first = num_layers, bias, batch_first
        self.dropout, self.bidirectional, self.proj_size = dropout, bidirectional, proj_size
        arrays = drawn(random.next_key() if key is None else key, self._shapes(), hidden_size)
        for each, array in arrays.items():
            setattr(self, each, array)

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        """Every array's shape, under PyTorch's names and in its order."""
        rows, out = GATES[self.mode] * self.hidden_size, self._out
        shapes: dict[str, tuple[int, ...]] = {}
        for layer in range(self.num_layers):
            columns = self.input_size if layer == 0 else out * len(self._directions)
            for tail in (f"l{layer}{each}" for each in self._directions):
                shapes[f"weight_ih_{tail}"] = (rows, columns)
                shapes[f"weight_hh_{tail}"] = (rows, out)
                if self.bias:
                    shapes |= {f"bias_ih_{tail}": (rows,), f"bias_hh_{tail}": (rows,)}
                if self.proj_size:
                    shapes[f"weight_hr_{tail}"] = (out, self.hidden_size)
        return shapes

    @property
    def _out(self) -> int:
        """P, the extent of what a step gives."""
        return self.proj_size or self.hidden_size

    @property
    def _directions(self) -> tuple[str, ...]:
        return ("", "_reverse") if self.bidirectional else ("",)

    # ------------------------------------------------------------------------- the loop

    def _run(self, x: Any, state: Any) -> tuple[Tensor, State]:
        """The output, and the last states stacked over layers and directions."""
        x = floating(x)
        self._require_fit(x)
        alone = x.ndim == 2
        swapped = self.batch_first and not alone
        x = x[:, None] if alone else x.transpose(1, 0, 2) if swapped else x  # (L N C)
        starts = self._starts(x, state, alone)
        lasts: list[State] = []
        for layer in range(self.num_layers):
            x = drop(x, self.dropout) if layer else x
            pieces = []
            for place, direction in enumerate(self._directions):
                start = starts[layer * len(self._directions) + place]
                piece, last = self._pass(x, start, f"l{layer}{direction}", bool(place))
                pieces.append(piece)
                lasts.append(last)
            x = pieces[0] if len(pieces) == 1 else concatenate(pieces, -1)  # (L N D·P)
        ends = tuple(functions.stack(each) for each in zip(*lasts, strict=True))  # (D·K N P)
        if alone:
            return x[:, 0], tuple(each[:, 0] for each in ends)
        return (x.transpose(1, 0, 2) if swapped else x), ends

    def _pass(self, x: Tensor, start: State, tail: str, reverse: bool) -> tuple[Tensor, State]:
        """One layer in one direction: (L N C) → (L N P), and its last state."""
        w_hh, b_hh = self._array("weight_hh", tail), self._array("bias_hh", tail)
        projection = [self._array("weight_hr", tail)] if self.proj_size else []
        gates = linear(x, self._array("weight_ih", tail), self._array("bias_ih", tail))

        def step(state: State, now: Tensor) -> tuple[State, Tensor]:
            after = STEPS[self.mode](now, state, w_hh, b_hh, *projection)
            return after, after[0]

        last, outputs = scan(step, start, gates, reverse=reverse)
        return outputs, last

    def _array(self, name: str, tail: str) -> Any:
        return getattr(self, f"{name}_{tail}", None)

    def _starts(self, x: Tensor, state: Any, alone: bool) -> list[State]:
        """The first state of each layer and direction; zeros where none is given."""
        count = self.num_layers * len(self._directions)
        widths = (self._out, self.hidden_size)[: self._states]
        shapes = [(count, x.shape[1], width) for width in widths]
        if state is None:
            given = [functions.zeros(shape, x.dtype) for shape in shapes]
        else:
            given = [floating(each) for each in (state if self._states > 1 else (state,))]
            given = [each[:, None] for each in given] if alone else given
        if [each.shape for each in given] != shapes:
            shown = " and ".join(str(list(each.shape)) for each in given)
            what = f"expects a state of {' and '.join(str(list(s)) for s in shapes)}, got {shown}"
            raise layer_error(self, what, "(layers · directions, N, H), also with batch_first")
        return [tuple(each[place] for each in given) for place in range(count)]

    def _require_fit(self, x: Tensor) -> None:
        if x.ndim in (2, 3) and x.shape[-1] == self.input_size:
            return
        layout = "(N, L, C)" if self.batch_first else "(L, N, C)"
        what = f"expects {layout} or (L, C) with C={self.input_size}, got shape {list(x.shape)}"
        raise layer_error(self, what, "the last axis has input_size numbers")

    def extra_repr(self) -> str:
        """The extents, and the options that are not as usual, as PyTorch prints them."""
        usual = {
            "proj_size": 0,
            "num_layers": 1,
            "bias": True,
            "batch_first": False,
            "dropout": 0.0,
            "bidirectional": False,
        }
        others = [f"{k}={getattr(self, k)}" for k, v in usual.items() if getattr(self, k) != v]
        return ", ".join([f"{self.input_size}, {self.hidden_size}", *others])


class RNN(_Recurrent):
    """h_t = tanh(W_ih x_t + b_ih + W_hh h_(t−1) + b_hh), or relu; layer on layer.

    Shapes: x (L, N, C), (N, L, C) with `batch_first`, or (L, C); the first state `hx` (D·K, N, H),
    zeros unless given → the output (L, N, D·H) of the last layer and the last states (D·K, N, H).
    For layer k `weight_ih_lk` (H, C), `weight_hh_lk` (H, H), `bias_ih_lk`, `bias_hh_lk` (H,), with
    `_reverse` at the end for the other direction; all start uniform in ±1/√H. `dropout` lies
    between the layers, in training. Raises ShapeError where shapes do not fit.
    Source: J. Elman: Finding structure in time (1990).

    >>> import kedja as kj
    >>> y, h = RNN(3, 4)(kj.ones((5, 2, 3)))
    >>> y.shape, h.shape
    ((5, 2, 4), (1, 2, 4))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        key: Tensor | None = None,
    ) -> None:
        self._make(
            elman_mode("RNN", nonlinearity),
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            0,
            key,
        )

    def __call__(self, x: Any, hx: Any = None) -> tuple[Tensor, Tensor]:
        """x (L, N, C) → (L, N, D·H) and (D·K, N, H)."""
        output, (last,) = self._run(x, hx)
        return output, last


class LSTM(_Recurrent):
    """i, f, o = σ(W x_t + b + W' h + b'), g = tanh(…); c ← f·c + i·g; h ← o·tanh c; layer on layer.

    Shapes: x (L, N, C), (N, L, C) with `batch_first`, or (L, C); the first states `hx` = (h, c),
    h (D·K, N, P), c (D·K, N, H), zeros unless given → the output (L, N, D·P) of the last layer, and
    the last (h, c). With `proj_size` h ← W_hr (o·tanh c) of P numbers. `weight_ih_lk` (4·H, C),
    `weight_hh_lk` (4·H, P), `bias_ih_lk`, `bias_hh_lk` (4·H,), in the order i f g o, `weight_hr_lk`
    (P, H), with `_reverse` for the other direction; all start uniform in ±1/√H.
    Sources: S. Hochreiter, J. Schmidhuber: Long short-term memory (1997); H. Sak et al.: Long
    short-term memory based recurrent neural network architectures (2014), for the projection.

    >>> import kedja as kj
    >>> y, (h, c) = LSTM(3, 4, num_layers=2, bidirectional=True)(kj.ones((5, 2, 3)))
    >>> y.shape, h.shape, c.shape
    ((5, 2, 8), (4, 2, 4), (4, 2, 4))
    """

    _states: ClassVar[int] = 2

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        *,
        key: Tensor | None = None,
    ) -> None:
        self._make(
            "LSTM",
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            proj_size,
            key,
        )

    def __call__(self, x: Any, hx: Any = None) -> tuple[Tensor, State]:
        """x (L, N, C) → (L, N, D·P) and the last (h, c)."""
        return self._run(x, hx)


class GRU(_Recurrent):
    """r, z = σ(W x_t + b + W' h + b'); n = tanh(W x_t + b + r·(W' h + b')); h ← (1 − z)·n + z·h.

    Shapes: as `RNN`; `weight_ih_lk` (3·H, C), `weight_hh_lk` (3·H, H), `bias_ih_lk`, `bias_hh_lk`
    (3·H,), in the order r z n; all start uniform in ±1/√H.
    Source: K. Cho et al.: Learning phrase representations using RNN encoder–decoder (2014).

    >>> import kedja as kj
    >>> y, h = GRU(3, 4, batch_first=True)(kj.ones((2, 5, 3)))
    >>> y.shape, h.shape
    ((2, 5, 4), (1, 2, 4))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        key: Tensor | None = None,
    ) -> None:
        self._make(
            "GRU",
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            0,
            key,
        )

    def __call__(self, x: Any, hx: Any = None) -> tuple[Tensor, Tensor]:
        """x (L, N, C) → (L, N, D·H) and (D·K, N, H)."""
        output, (last,) = self._run(x, hx)
        return output, last
