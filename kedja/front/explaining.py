"""Finding what an explanation says: the rows, their values going forward, their gradients back.

The rows are the lines of an outline (`kedja/ir/outline.py`). Each graph, that of the whole and
those inside ops, is one scene: its values and gradients are computed together, by the interpreter.
Next: `explanation.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from kedja.autodiff import reverse
from kedja.front.gates import gate
from kedja.front.inner_steps import is_loop, step_inside
from kedja.front.named import Subject, chosen
from kedja.front.rows import Row
from kedja.ground.dtypes import is_float
from kedja.ground.errors import GradientError, UsageError
from kedja.interpret import reference
from kedja.ir import labels
from kedja.ir.fold import is_inline, is_leaf
from kedja.ir.formula import step
from kedja.ir.frame import Frame, Inner
from kedja.ir.graph import Node, constant, full, origin
from kedja.ir.inside import everything
from kedja.ir.names import letters
from kedja.ir.op import Bundle, Leaf
from kedja.ir.outline import Line, flat, is_small, outline
from kedja.ir.picture import covered
from kedja.ir.runs import Run
from kedja.ir.values import summary

Gradients = dict[Node, Any]  # a node, or for several outputs the list of theirs with None for zero


class Options(NamedTuple):
    """How deep modules are opened, which are opened beyond that, which step of loops is shown."""

    depth: int | None = None
    expand: tuple[str, ...] = ()
    step: int | None = None


class Found(NamedTuple):
    """The rows, what the output is called and its value, and the gradients by the variables."""

    rows: list[Row]
    frame: Frame
    lines: list[Line]
    value: np.ndarray
    gradients: dict[str, np.ndarray | None]


def explained(subject: Subject, wrt: Any, options: Options) -> Found:
    """Values of all that is shown, and gradients of what lies between variables and output."""
    output = subject.output()
    variables = _variables(subject, wrt)
    _require_loop(output, options.step)
    frame = Frame([output], subject.names, subject.weights, subject.counts)
    lines = _lines(frame, options)
    frame.rename(_names(lines, frame, output))
    scene = _Scene(frame, lines, options.step or 0)
    try:
        scene.differentiate([output], [_seed(output)], list(variables.values()))
    except GradientError:
        if wrt is not None:  # else the values are worth showing without gradients
            raise
    extra = [output, *(scene.gradients[v] for v in variables.values() if v in scene.gradients)]
    values = scene.evaluate(subject.values, extra)
    return Found(
        scene.rows(lines),
        frame,
        lines,
        values[output],
        {name: scene.gradient(node) for name, node in variables.items()},
    )


def _variables(subject: Subject, wrt: Any) -> dict[str, Node]:
    """The chosen leaves; by default also what modules inside have learned."""
    found = chosen(subject, wrt)
    if wrt is None and subject.inputs:
        learned = [node for node, mark in subject.weights.items() if mark]
        found |= {subject.names[node]: node for node in learned if node in subject.names}
    return found


def _require_loop(output: Node, step: int | None) -> None:
    if step is not None and not any(is_loop(node) for node in everything([output])):
        raise UsageError(f"step={step} of a computation without loops", fix="leave step= out")


def _seed(output: Node) -> Node | None:
    """A gradient of one; None where the output is no float scalar, and so has no gradient."""
    if output.type.size != 1 or not is_float(output.dtype):
        return None
    return full(1, output.shape, output.dtype)


# ------------------------------------------------------------------------------ lines and names


def _lines(frame: Frame, options: Options) -> list[Line]:
    if options.depth is None and not options.expand and is_small(frame):
        return [line for line in flat(frame) if _has_row(line)]
    return outline(frame, options.depth, options.expand)


def _has_row(line: Line) -> bool:
    """Numbers and short unnamed arrays stand in the formulas; they get no row of their own."""
    line.inside = [_trimmed(each) for each in line.inside]
    node, frame = line.what, line.frame
    written = isinstance(node, Node) and node.op.name in ("full", "constant")
    return not written or node in frame.names or node in frame.outputs


def _trimmed(line: Line) -> Line:
    line.inside = [each for each in line.inside if _has_row(each)]
    return line


def _names(
    lines: Sequence[Line], frame: Frame, output: Node | None, around: Iterable[str] = ()
) -> dict[Node, str]:
    """Leaves by their own names, modules by their paths, the output f, all else a, b, c …

    Inside an op, the letters are others than those `around` it.
    """
    found = {node: name for node, name in frame.names.items() if is_leaf(node)}
    free = letters([*found.values(), *around])
    shown = [line for line in walked(lines) if line.frame is frame]
    for line in shown:
        if not isinstance(line.what, Node | Inner):
            found |= _block_names(line, found)
    for line in shown:
        node = line.what
        if not isinstance(node, Node) or node in found or (is_inline(node) and not line.whole):
            continue
        final = node is output and "f" not in found.values()
        found[node] = "f" if final else next(free)
    return found


def _block_names(line: Line, taken: Mapping[Node, str]) -> dict[Node, str]:
    """What a module gives has its path; where it gives several values, they are numbered."""
    block = labels.last_of(line)
    outputs = [node for node in labels.given(block, line.frame) if node not in taken]
    path = f"{block.layer or block.kind or 'layer'}{labels.way(block)}"
    path = _unused(path, taken.values())
    if len(outputs) == 1:
        return {outputs[0]: path}
    return {node: f"{path}[{place}]" for place, node in enumerate(outputs)}


def _unused(path: str, taken: Iterable[str]) -> str:
    known = set(taken)
    number = 2
    found = path
    while found in known or f"{found}[0]" in known:
        found = f"{path} ({number})"
        number += 1
    return found


def walked(lines: Iterable[Line]) -> Iterator[Line]:
    """All lines, those inside others after them."""
    for line in lines:
        yield line
        yield from walked(line.inside)


# -------------------------------------------------------------------------------------- scenes


class _Scene:
    """One graph: which of its nodes are shown, their gradients as graphs, and the values of all."""

    def __init__(
        self, frame: Frame, lines: Sequence[Line], step: int, around: Sequence[str] = ()
    ) -> None:
        self.frame = frame
        self.lines = [line for line in walked(lines) if line.frame is frame]
        self.gradients: Gradients = {}
        self._step = step
        self._around = around
        self._shares: dict[Node, list[tuple[str, Node]]] = {}
        self._values: dict[Node, Any] = {}

    # ---------------------------------------------------------------------------- computing

    def differentiate(
        self, outputs: Sequence[Node], gs: Sequence[Node | None], wrt: Sequence[Node]
    ) -> None:
        """Find the gradients of all nodes between the variables and the outputs, as graphs."""
        pairs = [(o, g) for o, g in zip(outputs, gs, strict=True) if g is not None]
        if not pairs:
            return
        self.gradients = reverse.backward([o for o, _ in pairs], [g for _, g in pairs], wrt)
        self._share()

    def _share(self) -> None:
        """What each use of a node gives to its gradient."""
        users = _users(self.frame)
        names = self._labels()
        for line in self.lines:
            if isinstance(line.what, Node):
                self._shares[line.what] = _shares(line.what, users, self.gradients, names)

    def _labels(self) -> dict[Node, str]:
        """What stands for each node in the rows: its own name, or that of the module around it."""
        found: dict[Node, str] = {}
        for line in self.lines:  # the innermost last
            if isinstance(line.what, Node):
                found[line.what] = self.frame.shown_names[line.what]
            elif not isinstance(line.what, Inner):
                found |= dict.fromkeys(covered(line), labels.label(line))
        return found

    def evaluate(self, bound: Mapping[Node, Any], extra: Sequence[Node]) -> Mapping[Node, Any]:
        """Compute the values of all that is shown, and of some nodes more."""
        wanted = dict.fromkeys([*extra, *self._wanted()])
        self._values = dict(zip(wanted, reference.run(list(wanted), bound), strict=True))
        return self._values

    def _wanted(self) -> Iterator[Node]:
        for line in self.lines:
            for node in self._nodes(line):
                yield node
                yield from _flat(self.gradients.get(node))
            for inner in line.inside:
                if isinstance(inner.what, Inner) and inner.open:
                    yield from inner.what.owner.inputs
        for shares in self._shares.values():
            yield from (g for _, g in shares)

    def _nodes(self, line: Line) -> list[Node]:
        """The nodes whose values and gradients a line needs."""
        if isinstance(line.what, Node):
            return [line.what]
        if isinstance(line.what, Inner):
            return []
        outputs = labels.given(labels.last_of(line), self.frame)
        return [*outputs, *self._learned(line)]

    def _learned(self, line: Line) -> list[Node]:
        """The arrays of a closed module whose gradients are known."""
        blocks = line.what.blocks if isinstance(line.what, Run) else [labels.block_of(line)]
        inputs = dict.fromkeys(node for block in blocks for node in block.inputs)
        return [n for n in inputs if self.frame.weights.get(n) and n in self.gradients]

    # ------------------------------------------------------------------------------- values

    def gradient(self, node: Node) -> Any:
        """The gradient of a node as an array; None where none was computed."""
        g = self.gradients.get(node)
        if isinstance(g, list):
            return tuple(None if each is None else self._values[each] for each in g)
        return None if g is None else self._values[g]

    def rows(self, lines: Iterable[Line]) -> list[Row]:
        """The rows of some lines, with those inside them."""
        return [self._row(line) for line in lines]

    def _row(self, line: Line) -> Row:
        if isinstance(line.what, Node):
            return self._of_node(line, line.what)
        return self._of_block(line)

    def _of_node(self, line: Line, node: Node) -> Row:
        names = self._inputs_named(node)
        return Row(
            self.frame.shown_names[node],
            node.op.name,
            "" if isinstance(node.op.lowering, Leaf) else step(node, names),
            self._values[node],
            self.gradient(node),
            gate(node, {**names, node: self.frame.shown_names[node]}),
            [(name, self._values[g]) for name, g in self._shares.get(node, ())],
            node,
            [row for each in line.inside for row in self._inside(each)],
            line,
        )

    def _inputs_named(self, node: Node) -> dict[Node, str]:
        """The names of the inputs that are not written out as numbers."""
        names = self.frame.shown_names
        return {
            each: names[each]
            for each in node.inputs
            if each in self.frame.called or each in self.frame.names or is_inline(each)
            if each.op.name != "full" or each in self.frame.called
        }

    def _of_block(self, line: Line) -> Row:
        block, names = labels.block_of(line), self.frame.shown_names
        outputs = labels.given(labels.last_of(line), self.frame)
        taken = [names[node] for node in labels.taken(block, self.frame)]
        kind = block.kind or "layer"
        many = f"{len(line.what.blocks)} × " if isinstance(line.what, Run) else ""
        return Row(
            labels.label(line),
            "module",
            f"{many}{kind}({labels.listed(taken)})",
            _alone([self._values[node] for node in outputs]),
            _alone([self.gradient(node) for node in outputs]),
            self._of_weights(line),
            [],
            outputs[0],
            self.rows(line.inside),
            line,
        )

    def _of_weights(self, line: Line) -> str:
        """How large the gradient of a module's arrays is, where these are not shown."""
        found = [] if line.open else [self.gradient(node) for node in self._learned(line)]
        if not found:
            return ""
        norm = np.sqrt(sum(float(np.sum(np.square(g, dtype=np.float64))) for g in found))
        count = sum(g.size for g in found)
        return f"the gradient of its {count:,} parameters has the norm {summary(np.asarray(norm))}"

    # --------------------------------------------------------------------------- graphs inside

    def _inside(self, line: Line) -> list[Row]:
        """The rows of a graph inside a node, at one of its steps."""
        inner = line.what
        assert isinstance(inner, Inner)
        owner = inner.owner
        if not line.open:
            return []
        inputs = [self._values[each] for each in owner.inputs]
        g = self.gradient(owner)
        gs = None if g is None else list(g)
        found = step_inside(owner, inner.name, inner.graph, inputs, gs, self._step)
        if found is None:
            return [_title(inner, "not taken", [], line)]
        known = self.frame.called.values()
        inner.frame.rename(_names(line.inside, inner.frame, None, [*self._around, *known]))
        scene = _Scene(inner.frame, line.inside, self._step, [*self._around, *known])
        arriving = found.cotangents or [None] * len(inner.graph.outputs)
        cotangents = [None if g is None else constant(g) for g in arriving]
        outputs = inner.graph.outputs
        scene.differentiate(outputs, cotangents, self._moving(inner))
        bound = dict(zip(inner.graph.inputs, found.inputs, strict=True))
        scene.evaluate(bound, [])
        return [_title(inner, found.title, scene.rows(line.inside), line)]

    def _moving(self, inner: Inner) -> list[Node]:
        """The inputs of a graph inside whose gradients are wanted: the carry, and what has one."""
        carries = inner.owner.attrs.get("carries", 0)
        outside = inner.owner.inputs[-len(inner.graph.inputs) :] if inner.graph.inputs else ()
        return [
            node
            for place, (node, given) in enumerate(zip(inner.graph.inputs, outside, strict=True))
            if is_float(node.dtype) and (place < carries or given in self.gradients)
        ]


def _title(inner: Inner, title: str, rows: list[Row], line: Line) -> Row:
    return Row(inner.name, "graph", inner.head, None, None, title, [], inner.owner, rows, line)


def _alone(values: list[Any]) -> Any:
    """The one value, or all as a tuple; None where there is none at all."""
    if len(values) == 1:
        return values[0]
    return None if all(value is None for value in values) else tuple(values)


def _flat(g: Any) -> Iterator[Node]:
    if isinstance(g, list):
        yield from (each for each in g if each is not None)
    elif g is not None:
        yield g


# --------------------------------------------------------------------------------------- shares


def _users(frame: Frame) -> dict[Node, list[Node]]:
    """The nodes that use each node, once each."""
    found: dict[Node, list[Node]] = {}
    for node in frame.order:
        for each in dict.fromkeys(node.inputs):
            found.setdefault(each, []).append(node)
    return found


def _shares(
    node: Node,
    users: Mapping[Node, Sequence[Node]],
    gradients: Gradients,
    names: Mapping[Node, str],
) -> list[tuple[str, Node]]:
    """What each use of a node gives to its gradient, where there are several uses."""
    uses = [user for user in users.get(node, ()) if user in gradients]
    count = sum(user.inputs.count(node) for user in uses)
    if node not in gradients or count < 2 or isinstance(node.type, Bundle):
        return []
    found = []
    for user in uses:
        wanted = [each is node for each in user.inputs]
        with origin(user, back=True):
            back = reverse.input_cotangents(user, gradients[user], wanted)
        pairs = zip(back, wanted, strict=True)
        found += [(names.get(user, user.op.name), g) for g, use in pairs if use and g is not None]
    return found
