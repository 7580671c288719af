"""What is legal in a graph: rules with names, checked after every pass under tests.

A violation is a bug of kedja, not of the user, whose mistakes are found when a node is made. The
stages are "graph" (as traced, differentiated and simplified), "lowered" (composites expanded) and
"widened" (half dtypes computed in float32).
Not here: shapes and dtypes that fit together (each op's own type rule). Next: `rewrite.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from string import Formatter
from types import MappingProxyType
from typing import Any
from weakref import WeakSet

import numpy as np

from kedja.ground.dtypes import ALL, is_half
from kedja.ground.errors import KedjaError, UsageError, VerificationError
from kedja.ir.graph import Graph, Node, Source, topological
from kedja.ir.inside import graphs, is_closed
from kedja.ir.op import TABLE, Bundle, ByExpansion, Fold, Kernel, Pointwise, Type

Rule = Callable[[Node], str | None]  # what is wrong with a node; None where nothing is
STAGES = ("graph", "lowered", "widened")
# Elementwise, or with a kernel, but they compute nothing.
MOVES_HALF = (
    "cast", "copy", "stop_gradient", "where", "scatter_set", "scatter_set_along_axis",
)  # fmt: skip


def verify(outputs: Sequence[Node], *, stage: str = "graph") -> None:
    """Check every node that the outputs need against the rules of a stage.

    Raises VerificationError that names the node and the rule it breaks, UsageError for a stage
    that does not exist.
    """
    if stage not in STAGES:
        raise UsageError(f"stage {stage!r}", fix=f"one of {', '.join(STAGES)}")
    stages = STAGES[: STAGES.index(stage) + 1]
    rules = {name: rule for each in stages for name, rule in ADDED[each].items()}
    done: set[Node] = set()
    for node in topological(_nodes(outputs)):
        _require_order(node, done)
        for name, rule in rules.items():
            _require(name, node, rule(node))
        done.add(node)


def _nodes(outputs: Sequence[Node]) -> Sequence[Node]:
    for each in outputs:
        if not isinstance(each, Node):
            raise VerificationError(f"rule outputs: {type(each).__name__} is not a node")
    return outputs


def _require_order(node: Node, done: set[Node]) -> None:
    """In an order with inputs before users, an input that comes later lies on a cycle."""
    if not all(each in done for each in node.inputs):
        _require("acyclic", node, "it depends on itself")


def _require(name: str, node: Node, complaint: str | None) -> None:
    if complaint is None:
        return
    place = str(node.source) if isinstance(node.source, Source) else None
    layer = f" in layer {node.scope}" if node.scope else ""
    raise VerificationError(f"{node!r}{layer} breaks the rule {name}: {complaint}", where=place)


# ------------------------------------------------------------------------------- the rules


def own_record(node: Node) -> str | None:
    """The op is the table's own record, so that all that is known of it holds."""
    return None if TABLE.get(node.op.name) is node.op else "its op is not the table's record"


def arity(node: Node) -> str | None:
    """There are as many inputs as the op's formula has places for; `{*}` is any number."""
    if "{*}" in node.op.formula:
        return None
    fields = {name for _, name, _, _ in Formatter().parse(node.op.formula) if name}
    places = sum(1 for name in fields if name.isdigit())
    return None if places == len(node.inputs) else f"{len(node.inputs)} inputs for {places}"


def plain_attributes(node: Node) -> str | None:
    """Attributes are immutable and hashable; only a constant holds an array."""
    if not isinstance(node.attrs, MappingProxyType):
        return "its attributes can be changed"
    for name, value in node.attrs.items():
        array = isinstance(value, np.ndarray) and (node.op.name, name) == ("constant", "value")
        own = (node.op.name, name) == ("custom", "own")  # the user's derivative rules
        if not (array or own or _is_plain(value)):
            return f"the attribute {name} is of type {type(value).__name__}"
    return None


PLAIN = (bool, int, float, str, np.dtype, np.generic, type(None), Graph)


def _is_plain(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(_is_plain(each) for each in value)
    return isinstance(value, PLAIN)


def sound_type(node: Node) -> str | None:
    """The type is a tuple of whole extents from 0 on, and a dtype that kedja has."""
    kinds = node.type.parts if isinstance(node.type, Bundle) else (node.type,)
    return next((complaint for kind in kinds if (complaint := _unsound(kind))), None)


def _unsound(kind: Any) -> str | None:
    if not isinstance(kind, Type) or not isinstance(kind.shape, tuple):
        return f"{kind!r} is not a type"
    if not all(isinstance(n, int) and n >= 0 for n in kind.shape):
        return f"the shape {kind.shape} has extents that are not whole numbers from 0 on"
    return None if kind.dtype in ALL else f"kedja has no dtype {kind.dtype}"


def taken_dtype(node: Node) -> str | None:
    """The first input is of a dtype that the op claims to take."""
    if not node.inputs or isinstance(node.inputs[0].type, Bundle):
        return None
    if node.inputs[0].dtype in node.op.dtypes:
        return None
    return f"{node.op.name} does not take {node.inputs[0].dtype}"


def recorded_type(node: Node) -> str | None:
    """The recorded type is what the op's type rule gives for the inputs and attributes."""
    try:
        given = node.op.type(*(each.type for each in node.inputs), **node.attrs)
    except (KedjaError, TypeError, ValueError, LookupError) as error:
        return f"the op refuses its inputs or attributes ({error})"
    return None if given == node.type else f"{node.type} is recorded, the op gives {given}"


def sound_graphs(node: Node) -> str | None:
    """The graphs inside are closed, and their nodes keep these rules too."""
    for name, graph in graphs(node).items():
        if graph in _sound:
            continue
        if not is_closed(graph):
            return f"its graph {name} uses an input that is not its own"
        verify(graph.outputs)
        _sound.add(graph)
    return None


_sound: WeakSet[Graph] = WeakSet()  # graphs are immutable: once is enough


def known_origin(node: Node) -> str | None:
    """The user's line is a Source or unknown; the layer is a name or empty."""
    if node.source is not None and not isinstance(node.source, Source):
        return f"its source is of type {type(node.source).__name__}"
    return None if isinstance(node.scope, str) else "its layer is not a name"


def no_composite(node: Node) -> str | None:
    """Composites have been replaced by the subgraphs that they name."""
    opens = isinstance(node.op.lowering, ByExpansion)
    return f"{node.op.name} is a composite" if opens else None


def computes_half(node: Node) -> bool:
    """Whether a node computes on half values, rather than moves or casts them."""
    if not isinstance(node.op.lowering, Pointwise | Fold | Kernel) or node.op.name in MOVES_HALF:
        return False
    return any(is_half(each.dtype) for each in (node, *node.inputs))


def no_half_arithmetic(node: Node) -> str | None:
    """Half dtypes are cast and moved; float32 stands in for them in arithmetic."""
    return f"{node.op.name} computes on a half dtype" if computes_half(node) else None


RULES: dict[str, Rule] = {
    "own record": own_record,
    "arity": arity,
    "plain attributes": plain_attributes,
    "sound type": sound_type,
    "taken dtype": taken_dtype,
    "recorded type": recorded_type,
    "sound graphs": sound_graphs,
    "known origin": known_origin,
}
LOWERED: dict[str, Rule] = {"no composite": no_composite}
WIDENED: dict[str, Rule] = {"no half arithmetic": no_half_arithmetic}
ADDED = {"graph": RULES, "lowered": LOWERED, "widened": WIDENED}  # each has those before it too
