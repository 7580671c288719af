"""RNN, GRU and LSTM over whole sequences, in one direction or both, as one scan each.

Dimensions: L steps, N sequences, C numbers in, H of the state, D directions.
Source of the equations: the definitions of the operators in ONNX. Next: `control.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from kedja.front import functions
from kedja.front.arithmetic import cast
from kedja.front.control import scan
from kedja.front.tensor import Tensor
from kedja.ground.dtypes import int64
from kedja.io.onnx.call import Call, Value
from kedja.io.onnx.operators import activations as act
from kedja.io.onnx.plan import Operator, Rule
from kedja.nn import functional

State = tuple[Tensor, ...]
Function = Callable[[Tensor], Tensor]


class Kind(NamedTuple):
    """One of the three: how many gates, which activations by default, and one step."""

    gates: int
    usual: tuple[str, ...]
    step: Callable[..., State]


class Cell(NamedTuple):
    """What one direction computes with."""

    w: Tensor  # (gates·H, C)
    r: Tensor  # (gates·H, H)
    wb: Value  # (gates·H,)
    rb: Value
    peepholes: Value  # (3·H,)
    functions: tuple[Function, ...]
    options: Any


class Options(NamedTuple):
    """The attributes that change the equations."""

    clip: float | None
    before_reset: bool
    input_forget: bool


# ------------------------------------------------------------------------------- activations

# The activations by name, with the usual values of alpha and beta.
ACTIVATIONS: dict[str, tuple[Any, tuple[float, ...]]] = {
    "relu": (functions.relu, ()),
    "tanh": (functions.tanh, ()),
    "sigmoid": (functions.sigmoid, ()),
    "softsign": (functional.softsign, ()),
    "softplus": (functions.softplus, ()),
    "affine": (act.affine, (1.0, 0.0)),
    "leakyrelu": (act.leaky_relu, (0.01,)),
    "thresholdedrelu": (act.thresholded_relu, (1.0,)),
    "scaledtanh": (act.scaled_tanh, (1.0, 1.0)),
    "hardsigmoid": (act.hard_sigmoid, (0.2, 0.5)),
    "elu": (act.elu, (1.0,)),
}


def activations(call: Call, usual: Sequence[str], directions: int) -> list[tuple[Function, ...]]:
    """The activations of each direction, with their numbers."""
    names = call.get("activations") or tuple(usual) * directions
    alphas, betas = list(call.get("activation_alpha", ())), list(call.get("activation_beta", ()))
    found = [_activation(call, name, alphas, betas) for name in names]
    count = len(usual)
    return [tuple(found[place * count : (place + 1) * count]) for place in range(directions)]


def _activation(call: Call, name: str, alphas: list[float], betas: list[float]) -> Function:
    """One activation; it takes the next of the numbers if it needs some."""
    if name.lower() not in ACTIVATIONS:
        call.refuse(f"the activation {name!r}")
    function, usual = ACTIVATIONS[name.lower()]
    lists = (alphas, betas)[: len(usual)]
    given = [each.pop(0) if each else number for each, number in zip(lists, usual, strict=True)]
    return lambda x: function(x, *given)


def clipped(x: Tensor, options: Options) -> Tensor:
    """x within ±clip, if that is said."""
    return x if options.clip is None else functions.clip(x, -options.clip, options.clip)


# ------------------------------------------------------------------------------------- steps


def affine(x: Tensor, weight: Tensor, bias: Value) -> Tensor:
    """x Wᵀ + b."""
    product: Tensor = x @ weight.T
    return product if bias is None else product + bias


def parts(x: Tensor, count: int) -> list[Tensor]:
    """The last axis in equal parts."""
    width = x.shape[-1] // count
    return [x[..., place * width : (place + 1) * width] for place in range(count)]


def rnn_step(cell: Cell, gates: Tensor, state: State) -> State:
    """h ← f(W x + R h + b)."""
    total = gates + affine(state[0], cell.r, cell.rb)
    return (cell.functions[0](clipped(total, cell.options)),)


def gru_step(cell: Cell, gates: Tensor, state: State) -> State:
    """z, r = f(…); h' = g(W x + r·(R h)…); h ← (1 − z)·h' + z·h."""
    (h,), (f, g) = state, cell.functions
    xz, xr, xh = parts(gates, 3)
    if cell.options.before_reset:
        hz, hr, hh = parts(affine(h, cell.r, cell.rb), 3)
    else:
        rows = 2 * h.shape[-1]
        hz, hr = parts(affine(h, cell.r[:rows], None if cell.rb is None else cell.rb[:rows]), 2)
    z = f(clipped(xz + hz, cell.options))
    r = f(clipped(xr + hr, cell.options))
    if cell.options.before_reset:
        inner = r * hh
    else:
        inner = affine(r * h, cell.r[rows:], None if cell.rb is None else cell.rb[rows:])
    new = g(clipped(xh + inner, cell.options))
    return ((1 - z) * new + z * h,)


def lstm_step(cell: Cell, gates: Tensor, state: State) -> State:
    """i, o, f = f(…); c ← f·c + i·g(…); h ← o·h(c), with peepholes from c if there are any."""
    (h, c), (f, g, k) = state, cell.functions
    i, o, forget, new = parts(gates + affine(h, cell.r, cell.rb), 4)
    peep = [None] * 3 if cell.peepholes is None else parts(cell.peepholes, 3)
    i = f(clipped(i if peep[0] is None else i + peep[0] * c, cell.options))
    if cell.options.input_forget:
        forget = 1 - i
    else:
        forget = f(clipped(forget if peep[2] is None else forget + peep[2] * c, cell.options))
    c = forget * c + i * g(clipped(new, cell.options))
    o = f(clipped(o if peep[1] is None else o + peep[1] * c, cell.options))
    return o * k(c), c


KINDS = {
    "RNN": Kind(1, ("Tanh",), rnn_step),
    "GRU": Kind(3, ("Sigmoid", "Tanh"), gru_step),
    "LSTM": Kind(4, ("Sigmoid", "Tanh", "Tanh"), lstm_step),
}
DIRECTIONS = {"forward": (False,), "reverse": (True,), "bidirectional": (False, True)}


# ------------------------------------------------------------------------------ whole sequences


def sequence(name: str) -> Rule:
    """The rule of one of the three."""
    kind = KINDS[name]

    def rule(
        call: Call,
        x: Tensor,
        w: Tensor,
        r: Tensor,
        b: Value = None,
        lengths: Value = None,
        *states: Value,
    ) -> tuple[Tensor, ...]:
        directions = DIRECTIONS[call.choice("direction", "forward", tuple(DIRECTIONS))]
        batch_first = bool(call.get("layout", 0))
        x = functions.swapaxes(x, 0, 1) if batch_first else x  # (L N C)
        count = 2 if name == "LSTM" else 1
        starts = _starts(x, r, states[:count], count, batch_first)
        peepholes = states[2] if len(states) > 2 else None
        cells = _cells(call, kind, (w, r, b, peepholes), len(directions))
        found = [
            _pass(kind, cells[place], x, tuple(each[place] for each in starts), lengths, backwards)
            for place, backwards in enumerate(directions)
        ]
        outputs = functions.stack([each for each, _ in found], 1)  # (L D N H)
        last = [functions.stack(each, 0) for each in zip(*(last for _, last in found), strict=True)]
        if batch_first:
            outputs = functions.permute_dims(outputs, (2, 0, 1, 3))
            last = [functions.swapaxes(each, 0, 1) for each in last]
        return outputs, *last

    return rule


def _starts(
    x: Tensor, r: Tensor, given: Sequence[Value], count: int, batch_first: bool
) -> list[Tensor]:
    """The first states (D, N, H), zeros unless given."""
    zeros = functions.zeros((r.shape[0], x.shape[1], r.shape[-1]), x.dtype)
    states = [*given, *[None] * (count - len(given))]
    return [
        zeros if each is None else functions.swapaxes(each, 0, 1) if batch_first else each
        for each in states
    ]


def _cells(call: Call, kind: Kind, arrays: Sequence[Value], directions: int) -> list[Cell]:
    w, r, b, peepholes = arrays
    if w.shape[0] != directions:
        call.wrong(f"weights of {w.shape[0]} directions for {directions}")
    options = Options(
        call.get("clip"),
        bool(call.get("linear_before_reset", 0)),
        bool(call.get("input_forget", 0)),
    )
    chosen = activations(call, kind.usual, directions)
    rows = w.shape[1]
    return [
        Cell(
            w[place],
            r[place],
            None if b is None else b[place][:rows],
            None if b is None else b[place][rows:],
            None if peepholes is None else peepholes[place],
            chosen[place],
            options,
        )
        for place in range(directions)
    ]


def _pass(
    kind: Kind, cell: Cell, x: Tensor, start: State, lengths: Value, backwards: bool
) -> tuple[Tensor, State]:
    """One direction: the outputs (L, N, H) and the last state.

    Beyond the length of a sequence its state stays as it is, and its output is 0.
    """
    gates = affine(x, cell.w, cell.wb)  # (L N gates·H)
    if lengths is None:
        last, outputs = scan(
            lambda state, now: _twice(kind.step(cell, now, state)), start, gates, reverse=backwards
        )
        return outputs, last
    steps = functions.arange(x.shape[0])

    def step(state: State, now: tuple[Tensor, Tensor]) -> tuple[State, Tensor]:
        values, place = now
        inside = functions.reshape(functions.less(place, cast(lengths, int64)), (-1, 1))
        after = kind.step(cell, values, state)
        kept = tuple(functions.where(inside, *pair) for pair in zip(after, state, strict=True))
        return kept, functions.where(inside, after[0], 0)

    last, outputs = scan(step, start, (gates, steps), reverse=backwards)
    return outputs, last


def _twice(state: State) -> tuple[State, Tensor]:
    return state, state[0]


OPERATORS = tuple(Operator(name, sequence(name)) for name in KINDS)
