"""Nodes as formulas, from the template and the precedence in each op's record.

`formula` writes what stands in the graph, with as few parentheses as possible; with `simplify` it
writes derivatives: factors of one, terms of zero and double signs are left out. Broadcasts are left
out where NumPy's rules would make them. Next: `bodies.py`.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Iterable, Sequence, Set
from fractions import Fraction
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from kedja.ground.dtypes import is_float
from kedja.ir import algebra, bodies
from kedja.ir.algebra import NEGATIVE, POWER, PRODUCT, SUM, WHOLE, Sum, Text
from kedja.ir.bodies import Bodies
from kedja.ir.graph import Node, consumers, is_full, topological
from kedja.ir.names import Names, leaf_names, numbered
from kedja.ir.op import Bundle, Leaf, Pointwise, Shape
from kedja.ir.values import SHORT, exact

INLINE = 400  # a formula of more nodes than this names the parts that it uses twice,
LONGEST = 240  # and so does one of more characters
ASSOCIATIVE = {"add": ("add", "subtract"), "multiply": ("multiply", "divide")}
CLEAR = ("copy",)  # ops that are written as their input


class Written(NamedTuple):
    """Formulas, and the parts that they use by name (`where` is empty in all but long ones)."""

    formulas: list[str]
    where: list[tuple[str, str]]


# -------------------------------------------------------------------------------- formulas


def formula(node: Node, names: Names | None = None, *, simplify: bool = False) -> str:
    """One node as a formula, down to the named nodes and the leaves.

    >>> import kedja as kj
    >>> x = kj.tensor(2.0, name="x")
    >>> formula((1 / (1 - kj.exp(-x))).node)
    '1 / (1 - exp(-x))'
    """
    return written([node], names, simplify=simplify).formulas[0]


def written(
    outputs: Sequence[Node],
    names: Names | None = None,
    *,
    simplify: bool = False,
    inner: Bodies | None = None,
    taken: Iterable[str] = (),
) -> Written:
    """Several nodes as formulas. Long ones give names u1, u2 … to the parts used more than once.

    `inner` names the graphs inside ops, by default body1, body2 …, which are defined below; given
    names are defined elsewhere. `taken` are names that the parts must not have.
    """
    given = names or {}
    known = {node: name for node, name in given.items() if _is_leaf(node) or node not in outputs}
    order = topological(outputs, leaves=known)
    known = leaf_names(order, known)
    style = Style(simplify, bodies.named(outputs) if inner is None else inner)
    where = [] if inner is not None else defined(outputs, style)
    if _size(outputs, order, known) <= INLINE:
        writer = Writer(known, style)
        found = [writer.text(node).text for node in outputs]
        if max(map(len, found), default=0) <= LONGEST:
            return Written(found, where)
    parts = _with_names(outputs, order, known, style, set(taken))
    return Written(parts.formulas, [*parts.where, *where])


def defined(outputs: Sequence[Node], style: Style) -> list[tuple[str, str]]:
    """The graphs inside ops as functions: their heads and what they return."""

    def write(nodes: Sequence[Node], names: Names, inner: Bodies) -> list[str]:
        writer = Writer(leaf_names(topological(nodes), names), style)
        return [writer.text(node).text for node in nodes]

    return list(bodies.definitions(outputs, style.bodies, write))


class Style(NamedTuple):
    """How formulas are written: in the form of derivatives or not, and with which inner graphs."""

    simplify: bool = False
    bodies: Bodies = MappingProxyType({})


def whole(node: Node) -> str | None:
    """One node as a simplified formula of its own shape; None where that would be long."""
    found = written([node], simplify=True)
    if found.where:
        return None
    return Writer(leaf_names(topological([node])), Style(simplify=True)).whole(node)


def step(node: Node, names: Names) -> str:
    """One node in terms of its inputs' names; broadcasts are written out, numbers stay numbers."""
    known = {each: names[each] for each in node.inputs if each in names and not _is_number(each)}
    return Writer(known).step(node)


def _size(outputs: Sequence[Node], order: Sequence[Node], known: Names) -> int:
    """How many nodes the formulas would write, counted up to a bound."""
    sizes: dict[Node, int] = {}
    for node in order:
        below = 0 if node in known else sum(sizes[each] for each in node.inputs)
        sizes[node] = min(1 + below, INLINE + 1)
    return sum(sizes[node] for node in outputs)


def _with_names(
    outputs: Sequence[Node], order: Sequence[Node], known: Names, style: Style, taken: Set[str]
) -> Written:
    named, where = {**known}, []
    for node in _shared(outputs, order, known):
        text = Writer(named, style).text(node)
        if text.precedence == WHOLE and len(text.text) <= SHORT:
            continue  # a number or a name: as short as a name for it would be
        named[node] = numbered("u", {*named.values(), *taken})
        where.append((named[node], text.text))
    writer = Writer(named, style)
    return Written([writer.text(node).text for node in outputs], where)


def _shared(outputs: Sequence[Node], order: Sequence[Node], known: Names) -> list[Node]:
    """The nodes with several users that are not leaves, in the order of evaluation."""
    users = consumers(order)
    fixed = {*known, *outputs}
    return [node for node in order if len(users[node]) > 1 and node.inputs and node not in fixed]


def _is_leaf(node: Node) -> bool:
    return isinstance(node.op.lowering, Leaf)


def _is_number(node: Node) -> bool:
    """Whether a node is written as a number: one scalar everywhere, without a name."""
    if node.op.name == "full":
        return True
    return node.op.name == "constant" and node.type.size == 1 and not node.attrs.get("name")


class _Part(NamedTuple):
    """A formula on its way up: what it says, and the shape that NumPy would give it."""

    content: Text | Sum
    shape: Shape

    @property
    def text(self) -> Text:
        """The content as text."""
        return self.content if isinstance(self.content, Text) else algebra.written(self.content)

    @property
    def sum(self) -> Sum:
        """The content as a sum."""
        return self.content if isinstance(self.content, Sum) else algebra.atom(self.content)

    @property
    def number(self) -> Fraction | None:
        """The value, where it is a number."""
        return self.content.number if isinstance(self.content, Sum) else None


class Writer:
    """Writes nodes as formulas in terms of the named ones; see the module's text."""

    def __init__(self, names: Names, style: Style | None = None) -> None:
        self._names = names
        self._simplify, self._bodies = style or Style()
        self._done: dict[Node, _Part] = {
            node: _Part(Text(name), _shape(node)) for node, name in names.items()
        }

    def text(self, node: Node) -> Text:
        """A node's own formula (its name only where it is a leaf)."""
        if node in self._names and not _is_leaf(node):
            return self._own(node).text
        return self._part(node).text

    def whole(self, node: Node) -> str:
        """A node's formula with its own broadcast written out."""
        return _as_wide(self._part(node), node).text.text

    def step(self, node: Node) -> str:
        """A node's template filled in, whatever the op."""
        if node.op.name in ("full", "constant"):
            return self._constant(node).text.text
        return self._by_template(node, [self._part(each) for each in node.inputs]).text.text

    def _own(self, node: Node) -> _Part:
        return self._combine(node, [self._part(each) for each in node.inputs])

    def _part(self, node: Node) -> _Part:
        for each in topological([node], leaves=self._done):
            if each not in self._done:
                parts = [self._done[below] for below in each.inputs]
                self._done[each] = self._combine(each, parts)
        return self._done[node]

    def _combine(self, node: Node, parts: list[_Part]) -> _Part:
        name = node.op.name
        if name in ("full", "constant"):
            return self._constant(node)
        if name in CLEAR:
            return parts[0]
        if name in ("broadcast", "reshape") and _is_left_out(node, parts[0]):
            return parts[0]
        if name == "reshape":
            product = self._vector_product(node)
            if product is not None:
                return product
        if name == "transpose" and _swaps_last(node):
            return _Part(
                Text(f"{_as_wide(parts[0], node.inputs[0]).text.within(WHOLE)}.T"), node.shape
            )
        if self._simplify:
            simple = _simplified(node, parts)
            if simple is not None:
                return simple
        return self._by_template(node, parts)

    def _vector_product(self, node: Node) -> _Part | None:
        """`x @ w` where a vector was made a column (or a row) for the sake of a product."""
        product = node.inputs[0]
        while product.op.name == "reshape" and product not in self._names:
            product = product.inputs[0]
        if product.op.name != "matmul" or product in self._names:
            return None
        vectors = [None if each in self._names else _vector(each) for each in product.inputs]
        shape = [n for n, v in zip(product.shape[-2:], vectors, strict=True) if v is None]
        if vectors == [None, None] or (*product.shape[:-2], *shape) != node.shape:
            return None
        a, b = (each or old for each, old in zip(vectors, product.inputs, strict=True))
        left = _as_wide(self._part(a), a).text.within(PRODUCT)
        right = _as_wide(self._part(b), b).text.within(PRODUCT + 1)
        return _Part(Text(f"{left} @ {right}", PRODUCT), node.shape)

    def _constant(self, node: Node) -> _Part:
        value = node.attrs["value"]
        if isinstance(value, np.ndarray) and value.size > 1:
            listed = ", ".join(exact(each) for each in value.ravel())
            return _Part(Text(f"[{listed}]"), node.shape)
        scalar = value.reshape(-1)[0] if isinstance(value, np.ndarray) and value.size else value
        text = exact(scalar) if np.size(scalar) else "[]"
        rational = _rational(text) if self._simplify else None
        if rational is not None:
            return _Part(algebra.number(rational), ())
        return _Part(Text(text, NEGATIVE if text.startswith("-") else WHOLE), ())

    def _by_template(self, node: Node, parts: list[_Part]) -> _Part:
        if _is_elementwise(node):
            parts, shape = _filled(node, parts)
        else:
            wide = zip(parts, node.inputs, strict=True)
            parts, shape = [_as_wide(part, each) for part, each in wide], _shape(node)
        texts = _within(node, [part.text for part in parts])
        inner = bodies.call(node, texts, self._bodies)
        if inner is not None:
            return _Part(Text(inner), shape)
        return _Part(Text(_filled_in(node, texts), node.op.precedence), shape)


def _rational(text: str) -> Fraction | None:
    """A finite number exactly as it is written; None for inf, nan, True and False."""
    try:
        return Fraction(text)
    except ValueError:
        return None


# ------------------------------------------------------------------------------ broadcasts


def _is_elementwise(node: Node) -> bool:
    return isinstance(node.op.lowering, Pointwise) and bool(node.inputs)


def _is_left_out(node: Node, part: _Part) -> bool:
    """Whether NumPy's rules would broadcast by themselves, or the reshape is of one element."""
    if node.op.name == "broadcast":
        return True
    return part.shape == node.shape or (node.type.size == 1 and part.shape == ())


def _filled(node: Node, parts: list[_Part]) -> tuple[list[_Part], Shape]:
    """The parts of an elementwise op, and the shape in which NumPy would let them meet."""
    if all(part.shape == () for part in parts):
        return parts, ()
    return parts, tuple(np.broadcast_shapes(*(part.shape for part in parts)))


def _vector(node: Node) -> Node | None:
    """The vector of which a matrix of one row or one column was made."""
    if node.op.name != "reshape" or len(node.inputs[0].shape) != 1:
        return None
    return node.inputs[0] if len(node.shape) == 2 and 1 in node.shape else None


def _swaps_last(node: Node) -> bool:
    """Whether a transpose exchanges the last two axes, which is written `.T`."""
    rank = len(node.shape)
    return rank > 1 and node.attrs["axes"] == (*range(rank - 2), rank - 1, rank - 2)


def _shape(node: Node) -> Shape:
    """A node's shape; none where it has several outputs."""
    return () if isinstance(node.type, Bundle) else node.shape


def _as_wide(part: _Part, node: Node) -> _Part:
    """The part with its broadcast written out, for ops that see the shape."""
    if isinstance(node.type, Bundle):
        return part
    if part.shape == node.shape or (part.shape == () and node.type.size == 1):
        return part
    return _Part(Text(f"broadcast({part.text.text}, {attribute(node.shape)})"), node.shape)


# ------------------------------------------------------------------------------- templates


def _within(node: Node, texts: list[Text]) -> list[str]:
    """The inputs' texts, in parentheses where the op's sign binds more tightly than theirs."""
    own = node.op.precedence
    if own == WHOLE:
        return [each.text for each in texts]
    if len(texts) == 1:
        return [texts[0].within(own + 1)]
    return [_left(own, texts[0]), *(_right(node, place, texts[place]) for place in (1,))]


def _left(own: int, text: Text) -> str:
    """a - b - c means (a - b) - c; a ** b ** c does not, nor does a < b < c."""
    chained = own in (SUM, PRODUCT)
    return text.within(own if chained else own + 1)


def _right(node: Node, place: int, text: Text) -> str:
    own = node.op.precedence
    if own == POWER:
        return text.within(NEGATIVE)
    together = ASSOCIATIVE.get(node.op.name, ())
    free = text.precedence == own and _seen(node.inputs[place]).op.name in together
    return text.text if free and "%" not in text.text else text.within(own + 1)


def _seen(node: Node) -> Node:
    """The node whose formula stands for this one: broadcasts and copies are not written."""
    while node.op.name in (*CLEAR, "broadcast"):
        node = node.inputs[0]
    return node


def _filled_in(node: Node, texts: list[str]) -> str:
    """The op's template with inputs by number, attributes by name, `{*}` all inputs."""
    pieces = []
    for literal, field, _, _ in string.Formatter().parse(node.op.formula):
        pieces.append(literal)
        if field == "*":
            pieces.append(", ".join(texts))
        elif field is not None:
            pieces.append(texts[int(field)] if field.isdigit() else attribute(node.attrs[field]))
    return "".join(pieces)


def attribute(value: Any) -> str:
    """An attribute as text: a dtype by its name, numbers short, tuples in parentheses."""
    if isinstance(value, np.dtype):
        return value.name
    if isinstance(value, (tuple, list)):
        inside = ", ".join(attribute(each) for each in value)
        return f"({inside},)" if len(value) == 1 else f"({inside})"
    return exact(value) if isinstance(value, (int, float, np.generic)) else str(value)


# -------------------------------------------------------------------------- simple algebra


def _simplified(node: Node, parts: list[_Part]) -> _Part | None:
    """The node as a sum of products where that is what it is; None where it is not."""
    name = node.op.name
    if name == "cast":
        return _cast(node, parts[0])
    if name in ("equal", "where"):
        return _decided(node, parts)
    if name == "sum" and parts[0].number is not None:
        count = node.inputs[0].type.size // max(1, node.type.size)
        return _Part(algebra.scale(parts[0].sum, Fraction(count)), ())
    if name not in ARITHMETIC or not is_float(node.dtype):
        return None
    found = ARITHMETIC[name](*parts)
    return None if found is None else _Part(found, _filled(node, parts)[1])


def _cast(node: Node, part: _Part) -> _Part | None:
    """Between numbers nothing is written; a condition becomes `[condition]`, which is 1 or 0."""
    if node.inputs[0].dtype.kind != "b":
        return part
    if part.number is not None:
        return part
    return _Part(Text(f"[{part.text.text}]"), part.shape)


def _decided(node: Node, parts: list[_Part]) -> _Part | None:
    """A comparison of two numbers, and the branch that such a comparison takes."""
    first = parts[0].number
    if node.op.name == "where":
        if _guards(node, parts):
            return parts[2]
        return None if first is None else parts[1 if first else 2]
    second = parts[1].number
    if first is None or second is None:
        return None
    return _Part(algebra.number(int(first == second)), ())


def _guards(node: Node, parts: list[_Part]) -> bool:
    """Whether a branch only keeps a derivative finite: `where(y == 0, 1, …)` is written as `…`."""
    condition = node.inputs[0]
    return condition.op.name == "equal" and is_full(condition.inputs[1], 0) and parts[1].number == 1


def _difference(a: _Part, b: _Part) -> Sum:
    return algebra.add(a.sum, algebra.scale(b.sum, Fraction(-1)))


def _quotient(a: _Part, b: _Part) -> Sum:
    return algebra.multiply(a.sum, algebra.power(b.sum, Fraction(-1)))


def _power(a: _Part, b: _Part) -> Sum | None:
    return None if b.number is None else algebra.power(a.sum, b.number)


ARITHMETIC: dict[str, Callable[..., Sum | None]] = {
    "add": lambda a, b: algebra.add(a.sum, b.sum),
    "subtract": _difference,
    "multiply": lambda a, b: algebra.multiply(a.sum, b.sum),
    "divide": _quotient,
    "negative": lambda a: algebra.scale(a.sum, Fraction(-1)),
    "pow": _power,
}
