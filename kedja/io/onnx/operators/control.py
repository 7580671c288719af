"""If, Loop and Scan: branches and loops of graphs inside.

What is known decides at once: a branch whose condition is known is the only one that runs, and a
loop whose condition is known runs step by step, also while a graph is traced. Else they become
`kj.cond` and `kj.while_loop`. Not here: sequences (`sequences.py`). Next: `sequences.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kedja.front import control, functions
from kedja.front.evaluate import values
from kedja.front.tensor import Tensor, from_value
from kedja.ground.errors import ShapeError, TracingError, UsageError
from kedja.io.onnx.call import Call, Value, is_known, tensor_of
from kedja.io.onnx.plan import Operator, Plan, Port

# Loops of more steps than this, whose steps are alike, become one scan while a graph is traced.
UNROLLED = 16

# ---------------------------------------------------------------------------------- branches


def branch(call: Call, condition: Tensor) -> tuple[Value, ...]:
    """The outputs of one of two graphs."""
    yes, no = call.need("then_branch"), call.need("else_branch")
    flag = functions.reshape(condition, ())
    if is_known(flag):
        return tuple(call.run(yes if flag.item() else no, ()))
    found: list[Value] = control.cond(flag, lambda: _tensors(call, yes), lambda: _tensors(call, no))
    return tuple(found)


def _tensors(call: Call, plan: Plan) -> list[Value]:
    found = call.run(plan, ())
    if not all(isinstance(each, Tensor) for each in found):
        call.refuse("sequences in branches whose condition is traced")
    return found


# ------------------------------------------------------------------------------------- loops


def loop(
    call: Call, most: Value = None, condition: Value = None, *carry: Value
) -> tuple[Value, ...]:
    """A body run while a condition holds, at most so many times; scan outputs are stacked."""
    body = call.need("body")
    count = None if most is None else call.integer(most, "the trip count")
    if condition is None or is_known(condition):
        return tuple(_stepwise(call, body, count, condition, list(carry)))
    return tuple(_traced_loop(call, body, count, condition, list(carry), 0))


def _stepwise(
    call: Call, body: Plan, count: int | None, condition: Value, carry: list[Value]
) -> list[Value]:
    """Step by step, while the condition is known."""
    ports = body.outputs[1 + len(carry) :]
    stacked: list[list[Tensor]] = [[] for _ in ports]
    going = condition is None or bool(call.array(condition, "the condition").reshape(()))
    step = 0
    while going and (count is None or step < count):
        if step == 1 and count is not None and count > UNROLLED and not is_known(*carry):
            rest = _alike(call, body, count, carry)
            if rest is not None:
                carry, ys = rest
                return [*carry, *map(_before, stacked, ys)]
        number = tensor_of(np.asarray(step, np.int64))
        again, *found = call.run(body, (number, tensor_of(np.asarray(True)), *carry))
        carry = settled(found[: len(carry)])
        for line, each in zip(stacked, found[len(carry) :], strict=True):
            line.append(each)
        step += 1
        if not is_known(again):
            return _traced_loop(call, body, count, again, carry, step)
        going = bool(again.item())
    return [*carry, *map(_stacked, stacked, ports)]


class _Different(Exception):
    """A step that is not like the others."""


def _alike(
    call: Call, body: Plan, count: int, carry: list[Value]
) -> tuple[list[Value], list[Tensor]] | None:
    """All steps but the first as one scan; None where they are not all alike."""
    if not all(isinstance(each, Tensor) for each in carry):
        return None

    def step(state: list[Value], number: Tensor) -> tuple[list[Value], list[Value]]:
        again, *found = call.run(body, (number, tensor_of(np.asarray(True)), *state))
        if not (is_known(again) and again.item()):
            raise _Different
        return found[: len(state)], found[len(state) :]

    try:
        last, ys = control.scan(step, carry, functions.arange(1, count))
    except (_Different, TracingError, ShapeError, UsageError):
        return None
    return list(last), list(ys)


def _before(line: Sequence[Tensor], rest: Tensor) -> Tensor:
    """What the first step gave, before what the others gave."""
    return functions.concat([functions.stack(line, 0), rest], 0)


def settled(found: Sequence[Value]) -> list[Value]:
    """Values computed now where they can be, so that a long loop does not grow a long graph."""
    ready = {
        place: each.node
        for place, each in enumerate(found)
        if isinstance(each, Tensor) and each.is_known and not each.tracks
    }
    known = dict(zip(ready, values(list(ready.values())), strict=True))
    return [from_value(known[i]) if i in known else each for i, each in enumerate(found)]


def _stacked(line: Sequence[Tensor], port: Port) -> Tensor:
    if line:
        return functions.stack(line, 0)
    shape = [n if isinstance(n, int) else 0 for n in port.shape or ()]
    return functions.zeros((0, *shape), port.dtype)


def _traced_loop(
    call: Call, body: Plan, count: int | None, condition: Tensor, carry: list[Value], first: int
) -> list[Value]:
    """A loop whose condition has no value yet, from a step on."""
    if len(body.outputs) > 1 + len(carry):
        call.refuse("outputs of each step and a condition that is traced: their number is unknown")

    def going(state: tuple[Any, ...]) -> Tensor:
        step, flag, *_ = state
        return flag if count is None else functions.logical_and(flag, functions.less(step, count))

    def once(state: tuple[Any, ...]) -> tuple[Any, ...]:
        step, flag, *held = state
        again, *found = call.run(body, (step, flag, *held))
        return step + 1, functions.reshape(again, ()), *found

    number = tensor_of(np.asarray(first, np.int64))
    start = number, functions.reshape(condition, ()), *carry
    return list(control.while_loop(going, once, start))[2:]


# -------------------------------------------------------------------------------------- scan


def scan(call: Call, *given: Value) -> tuple[Value, ...]:
    """A body run along axes of some inputs, with a state from step to step."""
    if call.version < 9:
        return _scan_of_batch(call, *given)
    count = call.need("num_scan_inputs")
    states, xs = list(given[: len(given) - count]), list(given[len(given) - count :])
    body = call.need("body")
    ins = _facts(call, "scan_input_axes", "scan_input_directions", count)
    outs = _facts(
        call, "scan_output_axes", "scan_output_directions", len(body.outputs) - len(states)
    )
    lines = [_line(x, axis, turned) for x, (axis, turned) in zip(xs, ins, strict=True)]
    last, found = _scanned(call, body, states, lines)
    ys = [_unline(y, axis, turned) for y, (axis, turned) in zip(found, outs, strict=True)]
    return (*last, *ys)


def _facts(call: Call, axes: str, directions: str, count: int) -> list[tuple[int, int]]:
    zeros = (0,) * count
    pairs = zip(call.get(axes) or zeros, call.get(directions) or zeros, strict=True)
    return list(pairs)


def _line(x: Tensor, axis: int, turned: int) -> Tensor:
    x = functions.moveaxis(x, axis, 0)
    return functions.flip(x, 0) if turned else x


def _unline(y: Tensor, axis: int, turned: int) -> Tensor:
    y = functions.flip(y, 0) if turned else y
    return functions.moveaxis(y, 0, axis)


def _scanned(
    call: Call, body: Plan, states: list[Value], xs: list[Tensor]
) -> tuple[list[Value], list[Tensor]]:
    def step(state: list[Value], now: list[Tensor]) -> tuple[list[Value], list[Value]]:
        found = call.run(body, (*state, *now))
        return found[: len(states)], found[len(states) :]

    last, ys = control.scan(step, states, xs)
    return list(last), list(ys)


def _scan_of_batch(call: Call, lengths: Value, *given: Value) -> tuple[Value, ...]:
    """The form of version 8: a batch in front of everything, each example scanned by itself."""
    if lengths is not None:
        call.refuse("sequence_lens")
    count, body = call.need("num_scan_inputs"), call.need("body")
    directions = call.get("directions") or (0,) * count
    results = []
    for example in range(given[0].shape[0]):
        mine = [each[example] for each in given]
        states, xs = mine[: len(mine) - count], mine[len(mine) - count :]
        lines = [_line(x, 0, turned) for x, turned in zip(xs, directions, strict=True)]
        last, ys = _scanned(call, body, states, lines)
        results.append([*last, *ys])
    return tuple(functions.stack(each, 0) for each in zip(*results, strict=True))


# fmt: off
OPERATORS = (
    Operator("If",   branch),
    Operator("Loop", loop, known=(0,)),
    Operator("Scan", scan),
)
# fmt: on
