"""Programs that are cut: compiled parts, and between them what NumPy or other programs compute.

A node's stage is the number of cuts before it. Each stage is a compiled program of its own; what
later stages or the ops between need of it are its outputs. Values that only stand elsewhere in
another one (reshapes, slices …) are not handed on: the stage that needs them computes them again.
Not here: the ops between (`inner.py`). Next: `codegen.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from kedja.compiler.inline import is_hosted
from kedja.compiler.inner import Compile, Runner, runner
from kedja.compiler.simplify import simplify
from kedja.interpret.stepping import Advanced, advance
from kedja.ir.graph import Node, substitute, topological, variable
from kedja.ir.op import Leaf, Reindex

Values = dict[Node, Any]


class Stage(NamedTuple):
    """A compiled program with the nodes that it takes and gives, and what runs after it."""

    program: Any
    inputs: tuple[Node, ...]
    outputs: tuple[Node, ...]
    between: tuple[tuple[Node, Runner], ...]


class Cuts:
    """The stage of every node, and the values that pass from one stage to another."""

    def __init__(self, outputs: Sequence[Node]) -> None:
        self.order = topological(outputs)
        self.stage: dict[Node, int] = {}
        self.handed: dict[Node, None] = {}  # values that leave the program that computes them
        for node in self.order:
            self.stage[node] = self._first(node)
        for node in self.order:
            if is_hosted(node):
                self.handed.update(dict.fromkeys(node.inputs))
            else:
                self._cross(node)
        self.handed.update(dict.fromkeys(outputs))
        self.count = 1 + max(self.stage.values(), default=0)

    def _first(self, node: Node) -> int:
        """The stage of a node: after all ops between that it needs, beside what it is a part of."""
        if node.op.name == "part":
            return self.stage[node.inputs[0]]
        return max((self.stage[each] + is_hosted(each) for each in node.inputs), default=0)

    def _cross(self, node: Node) -> None:
        """Note what a node needs of earlier stages."""
        todo = [each for each in node.inputs if self.stage[each] < self.stage[node]]
        while todo:
            each = todo.pop()
            if is_moved(each):
                todo.extend(each.inputs)
            else:
                self.handed[each] = None

    def given(self, node: Node, stage: int) -> bool:
        """Whether a node comes to a stage from outside."""
        if node.op.name == "input" or is_hosted(node):
            return True
        return self.stage[node] < stage and not is_moved(node)


def is_moved(node: Node) -> bool:
    """Whether a value is a leaf, or another one's elements at other places."""
    if isinstance(node.op.lowering, Leaf):
        return node.op.name != "input"
    return isinstance(node.op.lowering, Reindex) and len(node.inputs) == 1


def stages_of(outputs: Sequence[Node], compile: Compile) -> list[Stage]:
    """The stages of a graph, in order."""
    cuts = Cuts(outputs)
    made = []
    for number in range(cuts.count):
        mine = [n for n in cuts.handed if cuts.stage[n] == number and _is_computed(n)]
        between = [n for n in cuts.order if is_hosted(n) and cuts.stage[n] == number]
        runners = tuple((node, runner(node, compile)) for node in between)
        made.append(_stage(cuts, number, mine, runners, compile))
    return made


def _is_computed(node: Node) -> bool:
    return node.op.name not in ("input", "constant") and not is_hosted(node)


def _stage(
    cuts: Cuts,
    number: int,
    outputs: Sequence[Node],
    between: tuple[tuple[Node, Runner], ...],
    compile: Compile,
) -> Stage:
    given: dict[Node, Node] = {}
    todo, seen = list(outputs), set(outputs)
    while todo:
        node = todo.pop()
        if cuts.given(node, number) and node not in outputs:
            given[node] = variable(f"x{len(given)}", node.type)
            continue
        new = [each for each in node.inputs if each not in seen]
        seen.update(new)
        todo.extend(new)
    program = None
    if outputs:
        program = compile(substitute(outputs, given), list(given.values()))
    return Stage(program, tuple(given), tuple(outputs), between)


class Staged:
    """A graph in stages, with the interface of one compiled program."""

    def __init__(
        self,
        outputs: Sequence[Node],
        inputs: Sequence[Node],
        carry: Mapping[int, int],
        watch: int | None,
        compile: Compile,
    ) -> None:
        self._inputs = tuple(inputs)
        self._outputs = tuple(simplify(outputs))
        self._carry = dict(carry)
        self._watch = watch
        self.stages = stages_of(self._outputs, compile)

    def __call__(self, *arrays: np.ndarray) -> list[np.ndarray]:
        """The outputs, as new arrays; carried ones are written over the inputs they replace."""
        found = self._run(arrays)
        for place, home in self._carry.items():
            np.copyto(arrays[home], found[place])
        return [value for place, value in enumerate(found) if place not in self._carry]

    def _run(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        values: Values = dict(zip(self._inputs, arrays, strict=True))
        for stage in self.stages:
            if stage.program is not None:
                found = stage.program(*(values[node] for node in stage.inputs))
                values.update(zip(stage.outputs, found, strict=True))
            for node, run in stage.between:
                values[node] = run([_value(values, each) for each in node.inputs])
        return self._as_outputs(values)

    def _as_outputs(self, values: Values) -> list[np.ndarray]:
        """The outputs' values, none of them twice and none of them an input's array."""
        seen = {id(values[node]) for node in self._inputs}
        result = []
        for node in self._outputs:
            value = np.ascontiguousarray(_value(values, node))
            value = value.reshape(node.shape)
            if id(value) in seen or value.base is not None or not value.flags.writeable:
                value = value.copy()
            seen.add(id(value))
            result.append(value)
        return result

    def advance(
        self,
        state: Sequence[np.ndarray],
        fixed: Sequence[np.ndarray],
        steps: int,
        *,
        progress: Callable[[int], None] | None = None,
        cancellable: bool = False,
    ) -> Advanced:
        """Run steps that update `state` in place: (whole steps done, status, what interrupted)."""
        order = [place for place, _ in sorted(self._carry.items(), key=lambda pair: pair[1])]
        watch = None if self._watch is None else order.index(self._watch)

        def step() -> list[np.ndarray]:
            found = self._run([*state, *fixed])
            return [found[place] for place in order]

        return advance(state, step, steps, watch, progress)


def _value(values: Values, node: Node) -> Any:
    return node.attrs["value"] if node.op.name == "constant" else values[node]
