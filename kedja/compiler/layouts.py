"""Layouts: convolutions and what follows them keep the channels last inside a program.

A convolution over (N C S) is computed as a product of strided views over (N S C), whose result
stands with the channels last. The transpose that would bring it back is not made: each value has
a *home*, the value that is stored and the order in which its axes are seen, and elementwise ops,
sums, pads, slices and pooling move on to the stored values, until something wants the axes in
their own order. So neighbouring layers stay channels-last, and what is done element by element
runs along the channels.
Why here: gradients are taken, composites opened except those that this pass knows by name; what it
makes is simplified once more. Next: `layouts_forms.py`, the convolutions and windows themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from kedja.compiler.layouts_forms import convolved, convolves, pooled, pools, unpooled
from kedja.ir.graph import Node, apply, full, is_full, origin, rebuild, topological
from kedja.ir.op import Fold, Pointwise, Shape
from kedja.ops.movement import inverse

Ints = tuple[int, ...]

KNOWN = frozenset(("convolution", "window_max", "window_put"))  # left as they are until here
PADS = ("low", "high", "interior")
SLICES = ("starts", "stops", "steps")


def is_plain(order: Ints) -> bool:
    """Whether an order of axes is their own."""
    return order == tuple(range(len(order)))


def placed(each: Sequence[int], order: Ints) -> Ints:
    """Numbers given for each axis, in the order of the stored axes."""
    return tuple(each[axis] for axis in inverse(order))


class Home(NamedTuple):
    """A value as the transpose of the one that is stored: axis i of it is stored axis order[i]."""

    stored: Node
    order: Ints

    @property
    def is_plain(self) -> bool:
        """Whether the stored value is the value itself."""
        return is_plain(self.order)


def plain(node: Node) -> Home:
    """The home of a value that is stored as it is."""
    return Home(node, tuple(range(len(node.shape) if hasattr(node.type, "shape") else 0)))


def has_layouts(outputs: Sequence[Node]) -> bool:
    """Whether there is anything for this pass to do."""
    return any(node.op.name in KNOWN for node in topological(outputs))


def channels_last(outputs: Sequence[Node]) -> list[Node]:
    """The same values, convolved and pooled with the channels last."""
    return Layouts().run(outputs)


class Layouts:
    """One run over a graph, inputs before users."""

    def __init__(self) -> None:
        self.home: dict[Node, Home] = {}
        self._arranged: dict[tuple[Node, Ints], Node] = {}

    def run(self, outputs: Sequence[Node]) -> list[Node]:
        """The outputs, each in the order of its own axes."""
        for node in topological(outputs):
            with origin(node):
                self.home[node] = self._home(node)
        return [self.value(node) for node in outputs]

    # --- values in the order in which somebody wants them

    def value(self, node: Node) -> Node:
        """A value with its axes in their own order."""
        stored, order = self.home[node]
        return self._turned(stored, order)

    def arranged(self, node: Node, order: Ints) -> Node:
        """A value with its axes in another order."""
        stored, seen = self.home[node]
        return self._turned(stored, tuple(seen[axis] for axis in order))

    def _turned(self, stored: Node, order: Ints) -> Node:
        if is_plain(order):
            return stored
        key = (stored, order)
        if key not in self._arranged:
            self._arranged[key] = _transposed(stored, order)
        return self._arranged[key]

    # --- where a value is stored

    def _home(self, node: Node) -> Home:
        if node.op.name == "convolution" and convolves(node):
            return Home(*convolved(node, self.arranged))
        moved = [each for each in node.inputs if not self.home[each].is_plain]
        rule = self._rule(node) if moved else None
        if rule is not None:
            return rule(node)
        return plain(rebuild(node, [self.value(each) for each in node.inputs]))

    def _rule(self, node: Node) -> Callable[[Node], Home] | None:
        if isinstance(node.op.lowering, Pointwise):
            return self._pointwise
        if isinstance(node.op.lowering, Fold):
            return self._fold
        if node.op.name in ("window_max", "window_put"):
            return self._windows if pools(node) else None
        return {
            "transpose": self._transpose,
            "pad": self._pad,
            "slice": self._slice,
            "broadcast": self._broadcast,
            "concatenate": self._concatenate,
        }.get(node.op.name)

    def _alike(self, node: Node) -> tuple[list[Node], Ints]:
        """The inputs stored in one order: that of the first whose order is not its own."""
        order = next(self.home[x].order for x in node.inputs if not self.home[x].is_plain)
        return [self.arranged(x, inverse(order)) for x in node.inputs], order

    def _pointwise(self, node: Node) -> Home:
        inputs, order = self._alike(node)
        return Home(apply(node.op.name, *inputs, **node.attrs), order)

    def _concatenate(self, node: Node) -> Home:
        inputs, order = self._alike(node)
        return Home(apply("concatenate", *inputs, axis=order[node.attrs["axis"]]), order)

    def _transpose(self, node: Node) -> Home:
        stored, order = self.home[node.inputs[0]]
        return Home(stored, tuple(order[axis] for axis in node.attrs["axes"]))

    def _fold(self, node: Node) -> Home:
        stored, order = self.home[node.inputs[0]]
        axes = node.attrs["axes"]
        gone = tuple(sorted(order[axis] for axis in axes))
        left = [order[axis] for axis in range(len(order)) if axis not in axes]
        seen = tuple(sorted(left).index(axis) for axis in left)
        return Home(apply(node.op.name, stored, **{**node.attrs, "axes": gone}), seen)

    def _pad(self, node: Node) -> Home:
        stored, order = self.home[node.inputs[0]]
        widths = {name: placed(node.attrs[name], order) for name in PADS}
        return Home(apply("pad", stored, **widths, value=node.attrs["value"]), order)

    def _slice(self, node: Node) -> Home:
        stored, order = self.home[node.inputs[0]]
        return Home(
            apply("slice", stored, **{n: placed(node.attrs[n], order) for n in SLICES}), order
        )

    def _broadcast(self, node: Node) -> Home:
        stored, order = self.home[node.inputs[0]]
        if len(node.shape) != len(order):
            return plain(rebuild(node, [self.value(node.inputs[0])]))
        return Home(apply("broadcast", stored, shape=placed(node.shape, order)), order)

    def _windows(self, node: Node) -> Home:
        (x, *rest), order = self._alike(node)
        axes = order[len(order) - len(node.attrs["kernel"]) :]
        made = unpooled(x, rest[0], node.attrs, axes) if rest else pooled(x, node.attrs, axes)
        return Home(made, order)


def _transposed(node: Node, order: Ints) -> Node:
    """A transpose, made of what is smaller where a value is repeated."""
    shape = tuple(node.shape[axis] for axis in order)
    if is_full(node):
        return full(node.attrs["value"], shape, node.dtype)
    if node.op.name == "broadcast":
        (x,) = node.inputs
        lifted = apply("reshape", x, shape=_lifted(x.shape, len(order)))
        return apply("broadcast", _transposed(lifted, order), shape=shape)
    return apply("transpose", node, axes=order)


def _lifted(shape: Shape, rank: int) -> Shape:
    return (*(1,) * (rank - len(shape)), *shape)
