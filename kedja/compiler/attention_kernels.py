"""Attention's kernels: which of its values are computed together, and where its operands stand.

Output and sums of one attention are one kernel, so are the gradients of one. Operands are read
through strides; what is no such view is kept as it is. Not here: tiles and tasks
(`attention_plan.py`). Next: `kernels.py`, which calls this.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from kedja.compiler.attention_plan import AttentionShape, View
from kedja.compiler.indices import Affine, Space, Variable, of
from kedja.compiler.matmul_pairs import is_widened
from kedja.ground.dtypes import float32
from kedja.ir.graph import Node
from kedja.ir.op import Kernel, Reindex

SPACE = Space()
OPERANDS = ("queries", "keys", "values", "output", "sums", "cotangent")  # in the ops' order
GRADIENTS = {"query": "d_queries", "key": "d_keys", "value": "d_values"}
BACKWARD = ("attention_gradient", "attention_joint_gradient")
InMemory = Callable[[Node], bool]


def is_attention(node: Node) -> bool:
    """Whether a node is computed by one of these kernels."""
    return isinstance(node.op.lowering, Kernel) and node.op.lowering.name.startswith("attention")


# ------------------------------------------------------------------------------------ views


@dataclass(frozen=True)
class Operand:
    """A value in memory, and how it is read or written there."""

    base: Node
    view: View


def base_of(node: Node, in_memory: InMemory) -> Node:
    """The value whose memory an operand is a view of; the operand itself where it is none."""
    base = node
    while is_move(base) and not in_memory(base):
        base = base.inputs[0]
    return base if base is node or view_of(node, base) is not None else node


def bases_of(attention: Node, in_memory: InMemory) -> list[Node]:
    """What the kernel of a node of attention reads: views of it, but sums as they are."""
    named = zip(OPERANDS, attention.inputs, strict=False)
    return [node if name == "sums" else base_of(node, in_memory) for name, node in named]


def is_move(node: Node) -> bool:
    """Whether a node is one value at other places."""
    moves = isinstance(node.op.lowering, Reindex) and len(node.inputs) == 1
    return moves and node.op.name not in ("pad", "unwindows")


def view_of(node: Node, base: Node) -> View | None:
    """A moved value as rows in its base; None where they are not contiguous or run backwards."""
    variables = tuple(Variable(f"i{n}", extent) for n, extent in enumerate(node.shape))
    index: tuple[Affine, ...] = tuple(of(each) for each in variables)
    while node is not base:
        rule = node.op.lowering
        assert isinstance(rule, Reindex)
        ((_, index, _),) = rule.index(SPACE, node, index)
        (node,) = node.inputs
    place = SPACE.linearise(index, node.shape)
    found = [place.coefficient(each) for each in variables]
    if any(step is None or step < 0 for step in found) or place.variables - set(variables):
        return None
    *lead, row, last = (step or 0 for step in found)
    if last != 1 and variables[-1].extent > 1:
        return None
    return View(place.offset, tuple(lead), row)


def _of_rows(node: Node, heads_last: bool = False) -> View:
    """A whole value of contiguous rows; `heads_last` where the axes −3 and −2 are exchanged."""
    steps = _steps(node.shape)
    if heads_last:
        return View(0, (*steps[:-3], steps[-2]), steps[-3])
    return View(0, steps[:-2], steps[-2])


def _of_numbers(node: Node) -> View:
    """A whole value with one number for each row."""
    steps = _steps(node.shape)
    return View(0, steps[:-1], 1)


def _steps(shape: Sequence[int]) -> tuple[int, ...]:
    steps, step = [], 1
    for extent in reversed(shape):
        steps.append(step)
        step *= extent
    return tuple(reversed(steps))


# ---------------------------------------------------------------------------------- kernels


@dataclass(frozen=True, eq=False)
class AttentionKernel:
    """One attention, or its gradient: named operands, some of them written."""

    shape: AttentionShape
    given: Mapping[str, Operand]
    made: Mapping[str, Operand]
    backward: bool
    layer: str  # for which it is computed, and whether on the way back, as labels name it

    @property
    def writes(self) -> list[Node]:
        """The kept values that it computes."""
        return list(dict.fromkeys(each.base for each in self.made.values()))

    @cached_property
    def reads(self) -> list[Node]:
        """The values in memory that it reads."""
        return list(dict.fromkeys(each.base for each in self.given.values()))

    @property
    def operands(self) -> dict[str, Operand]:
        """All of them, in the order of the function's arguments."""
        return {**self.given, **self.made}

    @property
    def flops(self) -> int:
        """Two products on the way there, five on the way back, and some operations a score."""
        shape = self.shape
        if not self.backward:
            widths = (shape.width + shape.out) if "output" in self.made else shape.width
        else:
            widths = 3 * shape.width + 2 * shape.out
        return shape.heads * shape.scores * (2 * widths + 4)

    @property
    def label(self) -> str:
        """What the profile calls it."""
        shape, name = self.shape, "attention_gradient" if self.backward else "attention"
        kind = " causal" if shape.causal else ""
        return f"{name} {shape.heads}x{shape.rows}x{shape.keys}x{shape.width}{kind}{self.layer}"


def attention_kernels(nodes: Sequence[Node], in_memory: InMemory) -> list[AttentionKernel]:
    """The kernels of all kept nodes of attention, in the order of the first of each."""
    groups: dict[tuple[object, ...], list[Node]] = {}
    for node in nodes:
        groups.setdefault(_key(node, groups), []).append(node)
    return [_kernel(group, in_memory) for group in groups.values()]


def _key(node: Node, groups: Mapping[tuple[object, ...], list[Node]]) -> tuple[object, ...]:
    """What nodes of one kernel have in common.

    Sums that come before the output in the graph's order are computed apart: the values might
    depend on them.
    """
    shared = (node.attrs["scale"], node.attrs["causal"])
    if node.op.name in BACKWARD:
        return ("backward", *node.inputs, *shared)
    if node.op.name != "attention_logsumexp":
        return ("forward", *node.inputs, *shared)
    for key, group in groups.items():
        if key[0] == "forward" and key[1:3] == node.inputs and key[-2:] == shared:
            alone = not any(each.op.name == "attention_logsumexp" for each in group)
            if alone:
                return key
    return ("sums", *node.inputs, *shared)


def _kernel(group: Sequence[Node], in_memory: InMemory) -> AttentionKernel:
    first = group[0]
    backward = first.op.name in BACKWARD
    given = {
        name: Operand(*_placed(name, node, in_memory))
        for name, node in zip(OPERANDS, first.inputs, strict=False)
    }
    made = {name: operand for node in group for name, operand in _written(node)}
    order = ("output", "sums", *GRADIENTS.values())
    made = {name: made[name] for name in order if name in made}
    layer = f" @ {first.scope}{' (back)' if first.back else ''}" if first.scope else ""
    return AttentionKernel(_shape(first), given, made, backward, layer)


def _placed(name: str, node: Node, in_memory: InMemory) -> tuple[Node, View]:
    if name == "sums":
        return node, _of_numbers(node)
    base = base_of(node, in_memory)
    view = view_of(node, base)
    assert view is not None
    return base, view


def _written(node: Node) -> list[tuple[str, Operand]]:
    if node.op.name == "attention_joint_gradient":
        views = joint_views(node.shape)
        pairs = zip(GRADIENTS.values(), views, strict=True)
        return [(name, Operand(node, view)) for name, view in pairs]
    if node.op.name == "attention_gradient":
        return [(GRADIENTS[node.attrs["of"]], Operand(node, _of_rows(node)))]
    if node.op.name == "attention_logsumexp":
        return [("sums", Operand(node, _of_numbers(node)))]
    return [("output", Operand(node, _of_rows(node, node.op.name == "attention_by_rows")))]


def joint_views(shape: Sequence[int]) -> list[View]:
    """Queries, keys and values (…, H, L, D) in a joint value (…, L, 3, H, D)."""
    *lead, row, part, head, _ = _steps(shape)
    return [View(place * part, (*lead, head), row) for place in range(3)]


def _shape(node: Node) -> AttentionShape:
    q, k = node.inputs[:2]
    v = node.inputs[2] if len(node.inputs) > 2 else k
    return AttentionShape(
        q.shape[:-2], q.shape[-2], k.shape[-2], q.shape[-1], v.shape[-1], q.dtype,
        node.attrs["scale"], node.attrs["causal"], _rounded(node),
    )  # fmt: skip


def _rounded(node: Node) -> tuple[str, ...]:
    """Whether keys and queries, and values and cotangents, are bfloat16 that was widened."""
    named = dict(zip(OPERANDS, node.inputs, strict=False))
    wide = {name for name, each in named.items() if is_widened(each)}
    pairs = {"keys": {"queries", "keys"}, "values": {"values", "cotangent"}}
    positive = node.attrs["scale"] > 0  # the largest score is then that of the largest product
    single = node.dtype == float32
    return tuple(name for name, both in pairs.items() if single and positive and both <= wide)
