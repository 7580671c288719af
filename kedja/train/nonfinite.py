"""The error of a run whose loss became NaN or infinite: the step, where it began, what may help.

Not here: how the node is found (`kedja/front/blame.py`). Next: `checkpoint.py`.

The loop stops before the bad step. If the way back from the loss ends at a parameter, that was
spoiled by the update before, which is reached by replaying the steps from the start of the last
call: they give the same bits. Where weights and optimiser are too large for being remembered from
there, the parameter is all that is told.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

import numpy as np

from kedja.front import tree
from kedja.ground.errors import NonFiniteError
from kedja.train.stepper import Stepper

if TYPE_CHECKING:
    from kedja.front.blame import Blame

_RATE = "lower the learning rate"

# What the op itself suggests, beside a learning rate that is too high.
_FIXES = {
    "log": "a logarithm of 0 or less: use a loss on logits, or add a small number",
    "log2": "a logarithm of 0 or less: add a small number",
    "log10": "a logarithm of 0 or less: add a small number",
    "log1p": "a logarithm of 0 or less: hold the argument above -1",
    "divide": "a division by 0, maybe in a derivative, as of a root at 0: add a small number",
    "sqrt": "a root of a negative number: hold its argument above 0",
    "pow": "a power that is not real or too large: hold its argument in bounds",
    "exp": f"an exponential above the largest float: {_RATE}, or scale the inputs",
}


def explain(stepper: Stepper) -> NonFiniteError:
    """The error for a run that stands before a step whose loss is not finite, and stays there."""
    bad = stepper.step  # counted from 0
    found = _blame(stepper, "loss")
    if found is None:
        return NonFiniteError(
            f"the loss became NaN or infinite in {_place(stepper, bad)}; the interpreter, which "
            "rounds a little differently, finds it finite",
            fix=_RATE,
        )
    what = f"the loss became {found.became} in {_place(stepper, bad)}"
    carried = [path for path, _ in tree.paths(stepper.carry)]
    if found.given in carried and bad > stepper.call_start:
        if not stepper.remembers:
            what += f", after an update that made {found.given} not finite"
            return NonFiniteError(what, fix=_RATE)
        stepper.rewind(bad - 1)
        earlier = _blame(stepper, found.given)
        stepper.rewind(bad)
        if earlier is not None:
            what += f", after an update that made {found.given} {earlier.became}"
            found = earlier
    return _given_so(what, found.given, stepper) if found.given else _error(what, found)


def _blame(stepper: Stepper, name: str) -> Blame | None:
    """Why a leaf of the carry is not finite after the next step."""
    carried = [path for path, _ in tree.paths(stepper.carry)]
    fixed = [path.removeprefix("data.") for path, _ in tree.paths(stepper.fixed)]
    blame = importlib.import_module("kedja.front.blame").blame  # few runs need to print formulas
    found: Blame | None = blame(stepper.last, carried.index(name), [*carried, *fixed])
    return found


def _error(what: str, found: Blame) -> NonFiniteError:
    lines = [what, f"first value that is not finite: {found.formula}"]
    lines += [f"  {text}" for text in found.inputs]
    lines += [f"layer: {found.layer}"] if found.layer else []
    lines += [f"line: {found.line}"] if found.line else []
    fix = _FIXES.get(found.op, f"{_RATE}, or scale the inputs")
    return NonFiniteError("\n  ".join(lines), where=found.where or None, fix=fix)


def _given_so(what: str, name: str, stepper: Stepper) -> NonFiniteError:
    """The error where data, or weights from before the run, hold the value already."""
    given = stepper.fixed["data"]
    if name not in given:
        return NonFiniteError(f"{what}: {name} was not finite before", fix=_RATE)
    row = int(np.argwhere(~np.isfinite(given[name].numpy()))[0][0])
    return NonFiniteError(
        f"{what}: row {row} of {name} holds a value that is not finite",
        fix="leave such rows out, or fill the missing values",
    )


def _place(stepper: Stepper, bad: int) -> str:
    epoch, step = divmod(bad, stepper.steps)
    return f"step {bad + 1:,} (epoch {epoch + 1}, step {step + 1} of {stepper.steps})"
