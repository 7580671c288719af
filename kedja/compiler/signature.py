"""A loop nest as text: what `KEDJA_DEBUG=4` prints, and what makes two kernels equal.

Values in memory are written as the numbers of the kernel's arguments, so kernels that differ only
in the values they work on have the same text. Next: `codegen.py`.
"""

from __future__ import annotations

from collections.abc import Mapping

from kedja.compiler.indices import Affine, Atom, Lookup, Quotient, Remainder, Variable
from kedja.compiler.loops import (
    Apply,
    Choose,
    Expr,
    Fold,
    Guards,
    Load,
    Nest,
    Number,
    Place,
    Result,
    walk,
)
from kedja.ir.graph import Node

Numbering = Mapping[Node, int]


def signature(nest: Nest, numbering: Numbering) -> str:
    """The nest, one line for each loop, value and store."""
    return _Writer(numbering).nest(nest)


class _Writer:
    """Numbers expressions in the order of a walk."""

    def __init__(self, numbering: Numbering) -> None:
        self.numbering = numbering
        self.names: dict[Expr, str] = {}
        self.lookups: dict[Lookup, Expr] = {}

    def nest(self, nest: Nest) -> str:
        """All lines."""
        lines = [f"for {v.name} in {v.extent}" for v in nest.variables]
        for expr in walk([store.value for store in nest.stores]):
            self.lookups.update(getattr(expr, "lookups", ()))
            self.names[expr] = f"%{len(self.names)}"
            lines.append(f"  {self.names[expr]}:{expr.dtype.name} = {self.expr(expr)}")
        for store in nest.stores:
            target = self.numbering.get(store.node, -1)
            kind = store.node.dtype.name
            place = self.index(store.offset)
            lines.append(f"  arg{target}:{kind}[{place}] = {self.names[store.value]}")
        return "\n".join(lines)

    def expr(self, expr: Expr) -> str:
        """One value."""
        match expr:
            case Number():
                return value_text(expr.value)
            case Place():
                return f"place({self.index(expr.index)})"
            case Load():
                size = expr.node.type.size
                guards = self.guards(expr.guards)
                return f"arg{self.numbering[expr.node]}<{size}>[{self.index(expr.offset)}]{guards}"
            case Apply():
                args = ", ".join(self.names[arg] for arg in expr.args)
                attrs = "".join(f" {k}={v}" for k, v in sorted(expr.attrs.items()))
                return f"{expr.op.name}({args}){attrs}"
            case Choose():
                parts = (f"{self.names[e]}{self.guards(g)}" for g, e in expr.alternatives)
                return f"choose({', '.join(parts)} else {value_text(expr.fill)})"
            case Fold():
                over = ", ".join(f"{v.name} in {v.extent}" for v in expr.over)
                return f"{expr.op.name} over {over} of {self.names[expr.body]}"
            case Result():
                return f"result[{self.index(expr.index)}]"
        return "?"

    def guards(self, guards: Guards) -> str:
        """The conditions of a read."""
        texts = (f"{g.low} <= {self.index(g.place)} < {g.high}" for g in guards)
        return f" if {' and '.join(texts)}" if guards else ""

    def index(self, e: Affine) -> str:
        """An index expression."""
        parts = [f"{self.atom(a)}*{c}" if c != 1 else self.atom(a) for a, c in e.terms]
        if e.offset or not parts:
            parts.append(str(e.offset))
        return " + ".join(parts)

    def atom(self, atom: Atom) -> str:
        """One atom of it."""
        match atom:
            case Variable(name):
                return name
            case Quotient(of, by):
                return f"({self.index(of)})//{by}"
            case Remainder(of, by):
                return f"({self.index(of)})%{by}"
            case Lookup(_, _, extent):
                return f"lookup<{extent}>({self.names[self.lookups[atom]]})"


def value_text(value: object) -> str:
    """A constant, exactly."""
    return value.hex() if isinstance(value, float) else repr(value)
