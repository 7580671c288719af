"""The Op record: all that a primitive means, in one place, and the one table of ops.

Not here: the ops themselves (`kedja/ops`), and how they are tiled, vectorised and placed in
memory (`kedja/compiler`). Next: `graph.py`.

An op's derivative is one of
    Partials      y = f(x0, x1 …) element by element: the graphs ∂y/∂x_i
    Linear        linear in all its differentiable inputs together: one transpose for each input
    Multilinear   linear in each input alone (products): one transpose for each input
    Forward       a rule for the tangent that is linear in it; reverse mode transposes that rule
    Inner         rules of its own for both modes, which are handed the differentiator
    ByExpansion   a composite: differentiate the subgraph that it names
    NoDerivative  none exists, with the reason
its batching rule, by which `vmap` gives it a further axis in front, one of
    Leading       it takes the further axis as it is, once every input has it
    Shifted       the same, with attributes that count axes moved on by one
    BatchRule     a rule of its own
    ByExpansion   a composite: batch the subgraph that it names
    NotBatched    a leaf
and its lowering, from which the compiler builds loops, one of
    Pointwise     each output element from the input elements at the same index
    Reindex       each output element is one input element at another index
    Fold          a reduction over axes: identity, combination of two values
    Kernel        a loop nest of its own, known to the compiler by name
    ByExpansion   a composite: lower the subgraph, or match its name
    Leaf          inputs and constants
    OnHost        run by NumPy between the compiled parts, with the reason
    OwnProgram    graphs inside: programs of their own, run between the compiled parts

An op with several outputs has a `Bundle` of types; the op `part` picks one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from kedja.ground.errors import UsageError, VerificationError

if TYPE_CHECKING:
    from kedja.ir.graph import Node

Shape = tuple[int, ...]
Rule = Callable[..., Any]


class Type(NamedTuple):
    """The shape and the dtype of a value."""

    shape: Shape
    dtype: np.dtype

    def __str__(self) -> str:
        return f"{self.dtype.name}[{', '.join(map(str, self.shape))}]"

    @property
    def size(self) -> int:
        """The number of elements."""
        total = 1
        for extent in self.shape:
            total *= extent
        return total

    @property
    def nbytes(self) -> int:
        """The bytes that the value takes in memory."""
        return self.size * self.dtype.itemsize


class Bundle(NamedTuple):
    """The types of an op with several outputs."""

    parts: tuple[Type, ...]

    def __str__(self) -> str:
        return f"({', '.join(map(str, self.parts))})"


# ------------------------------------------------------------------------------- derivatives


@dataclass(frozen=True)
class Partials:
    """`rules[i](y, *xs)` is the graph of ∂y/∂x_i; None where the partial is zero everywhere."""

    rules: tuple[Rule | None, ...]


@dataclass(frozen=True)
class Linear:
    """`transposes[i](g, node)` is the cotangent of input i; None where it takes no gradient.

    A single rule serves any number of inputs and is called as `rule(g, node, i)`.
    `tangent(node, tangents)` is needed only where the op is affine rather than linear.
    """

    transposes: tuple[Rule | None, ...] | Rule
    tangent: Rule | None = None


@dataclass(frozen=True)
class Multilinear:
    """As `Linear`, for ops that are linear in each input while the others are held fixed."""

    transposes: tuple[Rule | None, ...]


@dataclass(frozen=True)
class Forward:
    """`rule(node, tangents)` is the output's tangent; `tangents[i]` is None where it is zero.

    For an op with several outputs it is a list, with None for a tangent of zero. Where the rule
    applies the op itself to tangents (solve), transposing it would never end: then `transposes`
    are given too, as those of `Linear`.
    """

    rule: Rule
    transposes: tuple[Rule | None, ...] | None = None


@dataclass(frozen=True)
class Inner:
    """For ops with graphs inside, or with an op of its own as gradient.

    `d` has the functions `jvp` and `vjp` of the differentiator.
    `forward(d, node, tangents)` is the list of the outputs' tangents; `reverse(d, node, gs,
    wanted)` that of the inputs' cotangents, given those of the outputs (None stands for zero). An
    op with one output is given and gives one instead of lists of one.
    """

    forward: Rule
    reverse: Rule


@dataclass(frozen=True)
class NoDerivative:
    """The op has no derivative; `reason` says why. Its output counts as constant."""

    reason: str


@dataclass(frozen=True)
class ByExpansion:
    """The op is a name for the subgraph that `Op.expand` builds."""


Derivative = Partials | Linear | Multilinear | Forward | Inner | NoDerivative | ByExpansion

# ---------------------------------------------------------------------------------- batching


@dataclass(frozen=True)
class Leading:
    """A further leading axis changes nothing, once every input has it."""


@dataclass(frozen=True)
class Shifted:
    """As `Leading`, with new attributes: `attrs(node, size)` for a leading axis of `size`."""

    attrs: Rule


@dataclass(frozen=True)
class BatchRule:
    """`rule(b, node, inputs, batched, size)` is the node with a leading axis of `size`.

    `inputs` are the new inputs; `batched[i]` says whether input i has the leading axis. At least
    one has. `b.front(x, size)` repeats a node along a new leading axis; `b.graph(graph, batched,
    size)` is a graph whose inputs have it where `batched` says so, and all its outputs. An op with
    several outputs may give a list of them instead of one node.
    """

    rule: Rule


@dataclass(frozen=True)
class NotBatched:
    """A leaf: no input of it can have a leading axis."""


Batching = Leading | Shifted | BatchRule | NotBatched | ByExpansion

# --------------------------------------------------------------------------------- lowerings


@dataclass(frozen=True)
class Pointwise:
    """`emit(e, *xs)` builds the output element with the scalar emitter `e` it is handed."""

    emit: Rule


@dataclass(frozen=True)
class Reindex:
    """`index(space, node, out_index)` gives, for each input, where its element is found.

    The answer is a list of `(input number, index, guards)`; where no guard holds, the element
    is `space.fill(node)`.
    """

    index: Rule


@dataclass(frozen=True)
class Fold:
    """`identity(dtype)` is the start value; `combine(e, a, b)` joins two partial results."""

    identity: Callable[[np.dtype], Any]
    combine: Rule


@dataclass(frozen=True)
class Kernel:
    """A loop nest of its own, which the compiler knows by `name`.

    `combine(e, a, b)` is what a scatter makes of an element and of the update that meets it.
    """

    name: str
    combine: Rule | None = None


@dataclass(frozen=True)
class Leaf:
    """A value that is given, not computed."""


@dataclass(frozen=True)
class OnHost:
    """Run by NumPy between compiled parts, for `reason`."""

    reason: str


@dataclass(frozen=True)
class OwnProgram:
    """Graphs inside are programs of their own; `kedja/compiler/inner.py` knows the op by name."""


Lowering = Pointwise | Reindex | Fold | Kernel | Leaf | OnHost | OwnProgram | ByExpansion

# -------------------------------------------------------------------------------- the record


@dataclass(frozen=True)
class Case:
    """One sample call of an op: arrays for its inputs and values for its attributes."""

    inputs: tuple[np.ndarray, ...]
    attrs: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Op:
    """A primitive of the graph. A facet that is missing is an error when the record is made."""

    name: str
    type: Callable[..., Any]  # (*input types, **attrs) -> type of the output, or their Bundle
    numpy: Callable[..., Any]  # (*arrays, **attrs) -> array (several: a tuple): the op's meaning
    derivative: Derivative
    lowering: Lowering
    formula: str  # "{0} + {1}"; attributes by name: "sum({0}, {axes})"
    sample: Callable[[np.random.Generator], Sequence[Case]]
    dtypes: tuple[np.dtype, ...]  # what the first input may be
    precedence: int = 9  # of the formula's outermost sign; 9 never needs parentheses
    flops: float = 1.0  # floating-point operations for each element of the output
    gate: str = ""  # the op in one phrase on the way back: "multiply swaps"
    expand: Callable[..., Node] | None = None  # for composites: (*nodes, **attrs) -> node
    batch: Batching | None = None  # under vmap
    xla: Rule | ByExpansion | None = None  # (x, *values, **attrs): x.np is jax.numpy, x.lax jax.lax
    family: str = ""

    def __post_init__(self) -> None:
        facets = (self.derivative, self.lowering, self.batch, self.xla)
        composite = any(isinstance(each, ByExpansion) for each in facets)
        may = composite or isinstance(self.lowering, Kernel)  # which may not take everything
        if (composite and self.expand is None) or (self.expand is not None and not may):
            raise VerificationError(f"op {self.name}: ByExpansion and `expand` go together")
        for facet in ("type", "numpy", "sample", "formula", "dtypes", "batch", "xla"):
            if getattr(self, facet) in (None, "", ()):
                raise VerificationError(f"op {self.name}: the facet {facet} is missing")

    def __repr__(self) -> str:
        return f"Op({self.name})"


TABLE: dict[str, Op] = {}


def register(ops: Sequence[Op], family: str) -> None:
    """Enter the ops of one family into the table; a name may be entered once."""
    for op in ops:
        if op.name in TABLE:
            raise VerificationError(f"op {op.name} is registered twice")
        object.__setattr__(op, "family", family)
        TABLE[op.name] = op


def lookup(name: str) -> Op:
    """The op of that name."""
    if name not in TABLE:
        raise UsageError(f"there is no op named {name!r}", fix="`kedja op` lists them")
    return TABLE[name]
