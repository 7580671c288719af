"""Carries that are only added to are taken out of a scan: one product over all its steps.

    for t: W̄ ← W̄ + A_tᵀ B_t     becomes     W̄ + Aᵀ B,   A and B the rows of all steps
    for t: b̄ ← b̄ + Σ g_t        becomes     b̄ + Σ_t Σ g_t

The gradient of weights that every step of a recurrent network uses is such a carry: 64 products
over 32 rows become one over 2048, and nothing of the weights' size is read and written in each
step. What the products need of each step is stacked, where it is not already. Sums are made in
another order. Why here: the graph is simplified, so that such a carry is seen. Next: `widen.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from kedja.compiler.fuse import is_flow
from kedja.ir.graph import (
    Graph,
    Node,
    apply,
    consumers,
    origin,
    parts,
    rebuild,
    topological,
    transform,
)
from kedja.ops.inner import dependent

Stacks = Callable[[Node], Node]  # a value of the body -> its values of all steps
Sum = Callable[[Stacks], Node]


def sums_taken_out(outputs: Sequence[Node]) -> list[Node]:
    """The same graph with scans that carry fewer sums."""
    if not any(is_flow(node) for node in topological(outputs)):
        return list(outputs)
    made: dict[Node, list[Node]] = {}

    def visit(node: Node, inputs: tuple[Node, ...]) -> Node:
        if node.op.name == "part" and inputs[0] in made:
            place: int = node.attrs["place"]
            return made[inputs[0]][place]
        new = rebuild(node, inputs)
        if node.op.name != "scan":
            return new
        with origin(node):
            scan, found = _Scan(new).result()
        made[scan] = found
        return scan

    return transform(outputs, visit)


class _Scan:
    """One scan while its sums are looked for."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.body: Graph = node.attrs["body"]
        self.carries: int = node.attrs["carries"]
        self.sequences: int = node.attrs["sequences"]
        self.users = consumers(topological(self.body.outputs))
        changing = self.body.inputs[: self.carries + self.sequences]
        self.changing = dependent(self.body.outputs, changing)
        self.wanted: dict[Node, None] = {}  # values that must be stacked

    def result(self) -> tuple[Node, list[Node]]:
        """The new scan, and what stands for each part of the old one."""
        taken = {}
        for place in range(self.carries):
            total = self._sum_of(place)
            if total is not None:
                taken[place] = total
        if not taken:
            return self.node, parts(self.node)
        return self._without(taken)

    def _without(self, taken: dict[int, Sum]) -> tuple[Node, list[Node]]:
        n, given = self.carries, self.node.inputs
        kept = [place for place in range(n) if place not in taken]
        old = self.body.outputs
        stored = [each for each in self.wanted if not self._is_there(each)]
        inputs = [self.body.inputs[place] for place in kept] + list(self.body.inputs[n:])
        body = Graph(tuple(inputs), (*(old[place] for place in kept), *old[n:], *stored))
        attrs = {**self.node.attrs, "body": body, "carries": len(kept)}
        scan = apply("scan", *(given[place] for place in kept), *given[n:], **attrs)
        found = parts(scan)
        ys = dict(zip((*old[n:], *stored), found[len(kept) :], strict=True))
        xs = dict(zip(self.body.inputs[n:], given[n:], strict=True))

        def stack(value: Node) -> Node:
            return xs[value] if value in xs else ys[value]

        carries = dict(zip(kept, found, strict=False))
        for place, total in taken.items():
            carries[place] = given[place] + total(stack)
        rest = found[len(kept) : len(kept) + len(old) - n]
        return scan, [*(carries[place] for place in range(n)), *rest]

    def _is_there(self, value: Node) -> bool:
        sequences = self.body.inputs[self.carries : self.carries + self.sequences]
        return value in sequences or value in self.body.outputs[self.carries :]

    # --- what is added

    def _sum_of(self, place: int) -> Sum | None:
        """The sum over all steps of what is added to a carry; None if it is used otherwise."""
        carry, after = self.body.inputs[place], self.body.outputs[place]
        depending = dependent(self.body.outputs, [carry])
        terms = []
        while after is not carry:
            through = [each for each in after.inputs if each in depending]
            if after.op.name != "add" or len(through) != 1 or self._uses(after) != 1:
                return None
            terms += [each for each in after.inputs if each not in depending]
            (after,) = through
        return self._all(terms) if terms and self._uses(carry) == 1 else None

    def _uses(self, node: Node) -> int:
        return len(self.users.get(node, ())) + self.body.outputs.count(node)

    def _all(self, terms: Sequence[Node]) -> Sum | None:
        wanted = dict(self.wanted)
        found = [self._summed(each) for each in terms]
        sums = [each for each in found if each is not None]
        if len(sums) < len(found):
            self.wanted = wanted
            return None

        def total(stack: Stacks) -> Node:
            first, *others = (each(stack) for each in sums)
            for other in others:
                first = first + other
            return first

        return total

    def _summed(self, term: Node) -> Sum | None:
        """How to sum a term over all steps; None where that does not pay."""
        if self._is_there(term) or term in self.wanted:
            return self._plain(term)
        match term.op.name:
            case "matmul":
                return self._product(term)
            case "add":
                return self._all(term.inputs)
            case "sum":
                return self._folded(term)
            case "transpose" | "reshape":
                return self._moved(term)
        return None

    def _moved(self, term: Node) -> Sum | None:
        total = self._summed(term.inputs[0])
        attrs = term.attrs
        return None if total is None else lambda stack: apply(term.op.name, total(stack), **attrs)

    def _product(self, term: Node) -> Sum | None:
        """Σ_t A_t B_t: the rows of all A_tᵀ against those of all B_t."""
        a, b = term.inputs
        (m, k), n = a.shape[-2:], b.shape[-1]
        if len(term.shape) != 2 or k * (m + n) > 2 * m * n or a.op.name != "transpose":
            return None
        rows = (a.inputs[0], b)
        if not all(each in self.changing for each in rows):
            return None
        self.wanted.update(dict.fromkeys(rows))

        def total(stack: Stacks) -> Node:
            left, right = (_rows(stack(each)) for each in rows)
            return apply("matmul", apply("transpose", left, axes=(1, 0)), right)

        return total

    def _folded(self, term: Node) -> Sum | None:
        """Σ_t Σ g_t in one reduction."""
        (x,) = term.inputs
        axes = (0, *(axis + 1 for axis in term.attrs["axes"]))
        if not self._is_there(x) and x not in self.wanted:
            return None
        self.wanted[x] = None
        return lambda stack: apply("sum", stack(x), axes=axes)

    def _plain(self, term: Node) -> Sum:
        """Σ_t g_t, where g_t is there for all steps."""
        self.wanted[term] = None
        return lambda stack: apply("sum", stack(term), axes=(0,))


def _rows(stacked: Node) -> Node:
    """(L, k, m) as (L·k, m)."""
    length, rows, columns = stacked.shape
    return apply("reshape", stacked, shape=(length * rows, columns))
