"""Loop nests of equal structure are made once: the others are copies on other values.

A network of equal layers has the same few expressions again and again. What an expression is made
of down to the values in memory (ops, attributes, types, which value stands where) is found in a
walk over its nodes, which takes a fraction of the time that lowering takes. Nests that read
indices from memory are made anew, since these stand inside their index expressions.
Next: `kernels.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence

from kedja.compiler.loops import Apply, Choose, Expr, Fold, Load, Nest, Store
from kedja.ir.graph import Node
from kedja.ir.rewrite import frozen


class Templates:
    """The nests made so far, by the structure of what they compute."""

    def __init__(self) -> None:
        self._known: dict[Hashable, tuple[list[Node], Nest | None]] = {}

    def nest(
        self,
        kind: str,
        roots: Sequence[Node],
        in_memory: Callable[[Node], bool],
        make: Callable[[], Nest],
        result: Node | None = None,
    ) -> Nest:
        """The nest that `make` makes of the roots, or a copy of one of the same structure.

        `kind` tells apart what different makers make; `result` is the product in whose epilogue
        the nest stands.
        """
        structure = _Structure(in_memory, result)
        if not all(map(structure.add_root, roots)):
            return make()
        key = (kind, tuple(structure.rows))
        if key not in self._known:
            nest = make()
            self._known[key] = structure.values, None if _looks_up(nest) else nest
            return nest
        values, template = self._known[key]
        if template is None:
            return make()
        return renamed(template, dict(zip(values, structure.values, strict=True)))


class _Structure:
    """Rows that are equal for equal expressions, and the values that they are about."""

    def __init__(self, in_memory: Callable[[Node], bool], result: Node | None) -> None:
        self.rows: list[Hashable] = []
        self.values: list[Node] = []
        self._in_memory = in_memory
        self._result = result
        self._numbers: dict[Node, int] = {}

    def add_root(self, root: Node) -> bool:
        """Enter a value that is stored; False where it was read before it is computed."""
        if root in self._numbers:
            return False
        self._enter(root, ("stored", self._computed(root)), is_value=True)
        return True

    def _number(self, node: Node) -> int:
        if node not in self._numbers:
            if self._in_memory(node) and node is not self._result:
                self._enter(node, (node.type,), is_value=True)
            else:
                self._enter(node, self._computed(node), is_value=False)
        return self._numbers[node]

    def _computed(self, node: Node) -> Hashable:
        if node is self._result:
            return "result", node.type
        attrs = tuple([(name, frozen(value)) for name, value in node.attrs.items()])
        return node.op, node.type, attrs, tuple([self._number(each) for each in node.inputs])

    def _enter(self, node: Node, row: Hashable, *, is_value: bool) -> None:
        self._numbers[node] = len(self.rows)
        self.rows.append((row, is_value))  # what is stored is told apart
        if is_value:
            self.values.append(node)


def _looks_up(nest: Nest) -> bool:
    return any(getattr(expr, "lookups", ()) for expr in nest.exprs)


def renamed(nest: Nest, names: Mapping[Node, Node]) -> Nest:
    """The same loops on other values in memory."""
    known: dict[Expr, Expr] = {}
    for expr in nest.exprs:
        known[expr] = _copied(expr, names, known)
    stores = [Store(names.get(s.node, s.node), s.offset, known[s.value]) for s in nest.stores]
    return Nest(nest.variables, tuple(stores), nest.like or nest, tuple(known.values()))


def _copied(expr: Expr, names: Mapping[Node, Node], known: Mapping[Expr, Expr]) -> Expr:
    match expr:
        case Load():
            return Load(expr.dtype, names.get(expr.node, expr.node), expr.offset, expr.guards)
        case Apply():
            args = tuple([known[arg] for arg in expr.args])
            return Apply(expr.dtype, expr.op, expr.attrs, args)
        case Choose():
            parts = tuple([(guards, known[part]) for guards, part in expr.alternatives])
            return Choose(expr.dtype, parts, expr.fill)
        case Fold():
            return Fold(expr.dtype, expr.op, expr.over, known[expr.body])
        case _:
            return expr
