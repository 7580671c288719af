"""Immutable nodes: an op applied to nodes, with type, attributes and the user's source line.

Not here: what the ops mean (`kedja/ops`), and tensors that users hold (`kedja/front`).
Next: `verify.py`, `rewrite.py`, `show.py`.
"""

from __future__ import annotations

import contextlib
import linecache
import sys
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, MappingProxyType
from typing import Any, NamedTuple, cast
from weakref import ref

import numpy as np

from kedja.ground.dtypes import float32, is_half, of_scalar
from kedja.ground.errors import DtypeError, KedjaError, ShapeError
from kedja.ir.op import Bundle, Op, Shape, Type, lookup

Scalar = bool | int | float

_PACKAGE = str(Path(__file__).resolve().parent.parent)
_INTERNAL = (_PACKAGE, contextlib.__file__)  # frames that are never the user's
_COMMANDS = str(Path(_PACKAGE) / "cli")  # behind these frames there is no user's line


class Source(NamedTuple):
    """Where the user wrote the line that made a node."""

    file: str
    line: int
    function: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"

    @property
    def text(self) -> str:
        """The line itself, stripped; empty where the file is not readable."""
        return linecache.getline(self.file, self.line).strip()


def user_source() -> Source | None:
    """The innermost frame outside kedja; None where there is none, or a command was given."""
    frame: FrameType | None = sys._getframe(1)
    known = _whose
    while frame is not None:
        file = frame.f_code.co_filename
        whose = known.get(file) or _found(file)
        if whose == "user":
            return Source(file, frame.f_lineno, frame.f_code.co_name)
        if whose == "command":
            return None
        frame = frame.f_back
    return None


_whose: dict[str, str] = {}  # by files: every node asks for some thirty frames


def _found(file: str) -> str:
    if not file.startswith(_INTERNAL):
        whose = "user"
    else:
        whose = "command" if file.startswith(_COMMANDS) else "kedja"
    _whose[file] = whose
    return whose


class Layer(str):
    """One call of a layer: the text is its path, `h.0.attn`; that of an outermost network is empty.

    `outer` is the call inside which it stands, `kind` the class of the module, `module` gives the
    module itself as long as somebody else holds it.
    """

    __slots__ = ("kind", "module", "outer")

    outer: Layer | None
    kind: str
    module: Callable[[], Any]

    @classmethod
    def within(cls, outer: str, name: str, module: Any = None) -> Layer:
        """The call of a layer of that name inside another one."""
        found = cls(f"{outer}.{name}" if outer and name else outer or name)
        found.outer = outer if isinstance(outer, Layer) else None
        found.kind = "" if module is None else type(module).__name__
        found.module = _nothing if module is None else ref(module)
        return found


def _nothing() -> None:
    """The module of a scope that belongs to none."""


class _Origin(NamedTuple):
    """What nodes that are made now belong to, their `back`, and whether this is a way back."""

    node: Node
    back: int
    returning: bool


_scope: ContextVar[str] = ContextVar("kedja_scope", default="")
_origin: ContextVar[_Origin | None] = ContextVar("kedja_origin", default=None)


@contextmanager
def scope(name: str, module: Any = None) -> Iterator[Layer]:
    """Name the layer inside which nodes are made: scopes nest with a dot, `layers.0`."""
    layer = Layer.within(_scope.get(), name, module)
    token = _scope.set(layer)
    try:
        yield layer
    finally:
        _scope.reset(token)


class origin:  # noqa: N801  a context, of which each step of a trace opens some
    """Nodes made inside belong to `node` (its derivative, its expansion): its line, its layer.

    `back` says that they are made on the way back through it, and so is all that is made inside.
    """

    __slots__ = ("_made", "_token")

    def __init__(self, node: Node, *, back: bool = False) -> None:
        outer = _origin.get()
        on_the_way = outer is not None and outer.returning
        count = outer.back if outer is not None and on_the_way else node.back + back
        self._made = _Origin(node, count, on_the_way or back)

    def __enter__(self) -> None:
        self._token = _origin.set(self._made)

    def __exit__(self, *_: object) -> None:
        _origin.reset(self._token)


def provenance() -> tuple[Source | None, str]:
    """The source line and the layer of a node that is made now."""
    found = _origin.get()
    if found is not None:
        return found.node.source, found.node.scope
    return user_source(), _scope.get()


def _back() -> int:
    """How often reverse mode has gone through what a node that is made now belongs to."""
    found = _origin.get()
    return 0 if found is None else found.back


class Node:
    """An op applied to nodes. Immutable; two nodes are equal only if they are the same one."""

    __slots__ = ("__weakref__", "attrs", "back", "inputs", "op", "scope", "source", "type")

    op: Op
    inputs: tuple[Node, ...]
    attrs: Mapping[str, Any]
    type: Type
    source: Source | None
    scope: str
    back: int  # how often reverse mode went through its origin: 1 in a gradient, 0 in a value

    def __init__(
        self,
        op: Op,
        inputs: tuple[Node, ...],
        attrs: Mapping[str, Any],
        type: Type,
        source: Source | None,
        scope: str,
        back: int = 0,
    ) -> None:
        put = object.__setattr__
        put(self, "op", op)
        put(self, "inputs", inputs)
        put(self, "attrs", MappingProxyType(dict(attrs)))
        put(self, "type", type)
        put(self, "source", source)
        put(self, "scope", scope)
        put(self, "back", back)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"nodes are immutable: cannot set {name}")

    def __repr__(self) -> str:
        return f"<{self.op.name} {self.type}>"

    @property
    def shape(self) -> Shape:
        """The extents of the axes."""
        return self.type.shape

    @property
    def dtype(self) -> np.dtype:
        """The element type."""
        return self.type.dtype

    def __add__(self, other: Node | Scalar) -> Node:
        return apply("add", self, _beside(self, other))

    def __radd__(self, other: Scalar) -> Node:
        return apply("add", _beside(self, other), self)

    def __sub__(self, other: Node | Scalar) -> Node:
        return apply("subtract", self, _beside(self, other))

    def __rsub__(self, other: Scalar) -> Node:
        return apply("subtract", _beside(self, other), self)

    def __mul__(self, other: Node | Scalar) -> Node:
        return apply("multiply", self, _beside(self, other))

    def __rmul__(self, other: Scalar) -> Node:
        return apply("multiply", _beside(self, other), self)

    def __truediv__(self, other: Node | Scalar) -> Node:
        return apply("divide", self, _beside(self, other))

    def __rtruediv__(self, other: Scalar) -> Node:
        return apply("divide", _beside(self, other), self)

    def __neg__(self) -> Node:
        return apply("negative", self)


def _beside(node: Node, other: Node | Scalar) -> Node:
    return other if isinstance(other, Node) else full(other, node.shape, node.dtype)


# ----------------------------------------------------------------------------- making nodes


def apply(name: str, /, *inputs: Node, **attrs: Any) -> Node:
    """The node of an op applied to nodes.

    Raises ShapeError or DtypeError, naming the op, the layer and the user's line, when the
    inputs do not fit the op.
    """
    return make(lookup(name), inputs, attrs)


def make(op: Op, inputs: Sequence[Node], attrs: Mapping[str, Any]) -> Node:
    """As `apply`, for an Op record at hand."""
    source, layer = provenance()
    try:
        result = op.type(*(node.type for node in inputs), **attrs)
    except (ShapeError, DtypeError) as error:
        raise located(error, source, layer) from None
    return Node(op, tuple(inputs), attrs, result, source, layer, _back())


def located(error: KedjaError, source: Source | None, layer: str) -> KedjaError:
    """The same error with the user's line and the layer in front, where it has none yet."""
    if error.where is not None or source is None:
        return error
    place = f"{source}" + (f" (in layer {layer})" if layer else "")
    text = f"\n    {source.text}" if source.text else ""
    return type(error)(error.what + text, where=place, fix=error.fix)


class locating:  # noqa: N801  a context, which each function of the front opens
    """Errors that are raised inside name the user's line and the layer."""

    __slots__ = ()

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, where: object) -> None:
        if isinstance(error, KedjaError):
            raise located(error, *provenance()) from None


def rebuild(node: Node, inputs: Sequence[Node]) -> Node:
    """The same op on other inputs, with the source and layer of the original."""
    if tuple(inputs) == node.inputs:  # nodes are equal only to themselves
        return node
    result = node.op.type(*(each.type for each in inputs), **node.attrs)
    return Node(node.op, tuple(inputs), node.attrs, result, node.source, node.scope, node.back)


def constant(value: Any, name: str = "") -> Node:
    """A leaf that holds an array. The array is not copied and must not be changed after."""
    return apply("constant", value=np.asarray(value), name=name)


def variable(name: str, type: Type) -> Node:
    """A leaf whose value is given when the graph is run."""
    return apply("input", name=name, shape=type.shape, dtype=type.dtype)


def full(value: Scalar, shape: Shape, dtype: np.dtype | None = None) -> Node:
    """One scalar at every index of a shape."""
    return apply("full", value=value, shape=tuple(shape), dtype=dtype or of_scalar(value))


def zeros_like(node: Node) -> Node:
    """Zeros of a node's shape and dtype."""
    return full(0, node.shape, node.dtype)


def is_full(node: Node, value: Scalar | None = None) -> bool:
    """Whether a node is one scalar everywhere (and which one)."""
    if node.op.name != "full":
        return False
    return value is None or bool(node.attrs["value"] == value)


# ------------------------------------------------------------------------------------ walks


Walk = tuple[tuple[Node, ...], list[Node]]  # outputs, and every node that they need

_last_walk: ContextVar[list[Walk] | None] = ContextVar("kedja_last_walk", default=None)


@contextmanager
def walks_remembered() -> Iterator[None]:
    """Inside, the last walk is kept: passes that change nothing walk over the same graph."""
    token = _last_walk.set([])
    try:
        yield
    finally:
        _last_walk.reset(token)


def topological(outputs: Iterable[Node], leaves: Iterable[Node] = ()) -> list[Node]:
    """Every node that the outputs need, inputs before users; nothing beyond `leaves`.

    Iterative, so that a graph of any depth can be walked; the order is deterministic.
    """
    stop = leaves if isinstance(leaves, (Set, Mapping)) else set(leaves)
    last = _last_walk.get()
    if stop or last is None:
        return _walked(outputs, stop)
    every = tuple(outputs)
    if not last or last[0][0] != every:
        last[:] = [(every, _walked(every, stop))]
    return last[0][1].copy()


def _walked(outputs: Iterable[Node], stop: Container[Node]) -> list[Node]:
    seen: set[Node] = set()
    order: list[Node] = []
    stack: list[Node | None] = list(outputs)
    stack.reverse()
    while stack:
        node = stack.pop()
        if node is None:  # all that the node beneath needs is there
            order.append(cast("Node", stack.pop()))
        elif node not in seen:
            seen.add(node)
            if not node.inputs or node in stop:
                order.append(node)
            else:
                stack += (node, None, *reversed(node.inputs))
    return order


def consumers(order: Iterable[Node]) -> dict[Node, list[Node]]:
    """For each node, the nodes that use it, in order; one that uses it twice stands twice."""
    users: dict[Node, list[Node]] = {}
    for node in order:
        users.setdefault(node, [])
        for each in node.inputs:
            users.setdefault(each, []).append(node)
    return users


def transform(
    outputs: Sequence[Node],
    visit: Callable[[Node, tuple[Node, ...]], Node],
    replaced: Mapping[Node, Node] | None = None,
) -> list[Node]:
    """Rebuild a graph from the leaves up: `visit(node, new inputs)` gives each new node.

    `replaced` maps nodes to their replacements beforehand; nothing beneath them is visited.
    """
    done: dict[Node, Node] = dict(replaced or {})
    for node in topological(outputs, leaves=done):
        if node not in done:
            done[node] = visit(node, tuple([done[each] for each in node.inputs]))
    return [done[node] for node in outputs]


def edited(outputs: Sequence[Node], edit: Callable[[Node], Node]) -> list[Node]:
    """The graph with each node replaced by what `edit` makes of it, from the leaves up.

    Where few are replaced, this takes a fraction of the time that `transform` takes.
    """
    moved: dict[Node, Node] = {}
    for node in topological(outputs):
        below = node
        if moved and any(map(moved.__contains__, node.inputs)):
            below = rebuild(node, tuple([moved.get(each, each) for each in node.inputs]))
        if (new := edit(below)) is not node:
            moved[node] = new
    return [moved.get(node, node) for node in outputs]


def substitute(outputs: Sequence[Node], replaced: Mapping[Node, Node]) -> list[Node]:
    """The same graph with some nodes replaced by others of the same type."""
    return transform(outputs, rebuild, replaced)


def expanded(node: Node, inputs: Sequence[Node] | None = None) -> Node:
    """The subgraph that a composite node names, on its own inputs or on others.

    Half dtypes are widened to float32 for the whole subgraph, whose result is rounded once.
    """
    assert node.op.expand is not None
    given = node.inputs if inputs is None else inputs
    with origin(node):
        wide = [apply("cast", x, dtype=float32) if is_half(x.dtype) else x for x in given]
        result = node.op.expand(*wide, **node.attrs)
        return result if result.dtype == node.dtype else apply("cast", result, dtype=node.dtype)


# --------------------------------------------------------------------- graphs as values of ops


@dataclass(frozen=True, eq=False)
class Graph:
    """A closed graph: what the body of a loop or of a branch computes from its inputs."""

    inputs: tuple[Node, ...]
    outputs: tuple[Node, ...]

    @property
    def input_types(self) -> tuple[Type, ...]:
        """What it takes."""
        return tuple(node.type for node in self.inputs)

    @property
    def output_types(self) -> tuple[Type, ...]:
        """What it gives."""
        return tuple(node.type for node in self.outputs)

    def __repr__(self) -> str:
        takes, gives = (", ".join(map(str, each)) for each in (self.input_types, self.output_types))
        return f"<graph ({takes}) -> ({gives})>"

    def inline(self, inputs: Sequence[Node]) -> list[Node]:
        """Its outputs as part of another graph, on these inputs."""
        return substitute(self.outputs, dict(zip(self.inputs, inputs, strict=True)))


def parts(node: Node) -> list[Node]:
    """The outputs of an op with several, one node each."""
    assert isinstance(node.type, Bundle)
    return [apply("part", node, place=place) for place in range(len(node.type.parts))]
