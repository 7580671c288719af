"""Which arrays of a model are learned, which are held, and which must stay numbers.

An array whose value decides about a shape must be known while a graph is traced, so it can be no
input of a compiled function; it stays in the plan. Of the others, floats with axes are learned;
single numbers (an epsilon, a factor), statistics of batch norms and whole numbers are held.
Next: `running.py`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from kedja.ground.dtypes import is_float
from kedja.io.onnx.plan import Function, Operator, Plan, Step, inner_plans


class Roles(NamedTuple):
    """The names of a plan's arrays that are learned, and of those that are held."""

    weights: list[str]
    fixed: list[str]

    @property
    def taken(self) -> set[str]:
        """All that do not stay in the plan."""
        return {*self.weights, *self.fixed}


def roles(plan: Plan) -> Roles:
    """The roles of a plan's arrays."""
    known = needed(plan.steps)
    held = statistics(plan)
    found = Roles([], [])
    for name, array in plan.arrays.items():
        if name in known or (not is_float(array.dtype) and array.ndim < 2):
            continue
        learned = is_float(array.dtype) and array.ndim > 0 and name not in held
        (found.weights if learned else found.fixed).append(name)
    return found


def statistics(plan: Plan) -> set[str]:
    """The arrays that some operator takes as its statistics."""
    return {
        step.inputs[place]
        for step in plan.steps
        if isinstance(step.callee, Operator)
        for place in step.callee.statistics
        if place < len(step.inputs)
    }


def needed(steps: Iterable[Step], outputs: Iterable[str] = ()) -> set[str]:
    """The names whose values must be known, from `outputs` and the steps' own needs back."""
    known = set(outputs)
    for step in reversed(tuple(steps)):
        known |= _needs(step)
        if known.intersection(step.outputs) and not _is_by_type(step):
            known.update(step.inputs)
        for inner in inner_plans(step):
            known |= _from_outside(inner, step, known)
    return known - {""}


def _is_by_type(step: Step) -> bool:
    return isinstance(step.callee, Operator) and step.callee.by_type


def _needs(step: Step) -> set[str]:
    """The inputs that the operator itself must know."""
    if isinstance(step.callee, Operator):
        places: Iterable[int] = step.callee.known
    elif isinstance(step.callee, Function):
        names = step.callee.inputs
        inside = needed(step.callee.steps)
        places = [place for place, name in enumerate(names) if name in inside]
    else:
        places = ()  # its body is not written yet: whole numbers in a line stay known anyway
    return {step.inputs[place] for place in places if place < len(step.inputs)}


def _from_outside(inner: Plan, step: Step, known: set[str]) -> set[str]:
    """What a graph inside must know of the graph around it."""
    wanted = {each.name for each in inner.outputs} if known.intersection(step.outputs) else set()
    names = needed(inner.steps, wanted)
    own = {each.name for each in inner.inputs}
    found = names - own - {name for each in inner.steps for name in each.outputs}
    return found | (set(step.inputs) if names & own else set())
