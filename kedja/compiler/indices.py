"""Affine index expressions: where an element stands, in terms of the loops' variables.

    i·3 + j + 4      sums of atoms with whole coefficients; an atom is
    Variable         a loop's index
    Quotient         ⌊e/n⌋ of another expression       Remainder   e mod n
    Lookup           an index that is read from memory (take), held inside its axis

Not here: the loops (`loops.py`). `Space` is what the index rules of `kedja/ops` are handed.
Next: `loops.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from kedja.ir.graph import Node


@dataclass(frozen=True)
class Variable:
    """The index of a loop from 0 to extent − 1."""

    name: str
    extent: int


@dataclass(frozen=True)
class Quotient:
    """⌊of/by⌋, for an expression that is never negative where it is used."""

    of: Affine
    by: int


@dataclass(frozen=True)
class Remainder:
    """of mod by, likewise."""

    of: Affine
    by: int


@dataclass(frozen=True)
class Lookup:
    """The element of an integer node at an index, held inside 0 … extent − 1."""

    node: Node
    index: tuple[Affine, ...]
    extent: int


Atom = Variable | Quotient | Remainder | Lookup


@dataclass(frozen=True)
class Affine:
    """Σ coefficient·atom + offset."""

    terms: tuple[tuple[Atom, int], ...] = ()
    offset: int = 0

    def __add__(self, other: Affine | int) -> Affine:
        if isinstance(other, int):
            return Affine(self.terms, self.offset + other)
        return total([*self.terms, *other.terms], self.offset + other.offset)

    def __mul__(self, factor: int) -> Affine:
        if factor == 0:
            return Affine()
        return Affine(tuple((a, c * factor) for a, c in self.terms), self.offset * factor)

    @cached_property
    def variables(self) -> frozenset[Variable]:
        """Every loop variable that it depends on, also inside atoms."""
        found: set[Variable] = set()
        for atom, _ in self.terms:
            found |= variables(atom)
        return frozenset(found)

    def coefficient(self, variable: Variable) -> int | None:
        """The step along a variable; None where the dependence is not linear."""
        step = 0
        for atom, coefficient in self.terms:
            if atom == variable:
                step = coefficient
            elif not isinstance(atom, Variable) and variable in variables(atom):
                return None
        return step

    def bounds(self) -> tuple[int, int]:
        """The smallest and the largest value, if every atom takes all of its values."""
        low = high = self.offset
        for atom, coefficient in self.terms:
            a, b = (coefficient * bound for bound in atom_bounds(atom))
            low, high = low + min(a, b), high + max(a, b)
        return low, high

    def __str__(self) -> str:
        parts = [f"{_name(a)}*{c}" if c != 1 else _name(a) for a, c in self.terms]
        if self.offset or not parts:
            parts.append(str(self.offset))
        return " + ".join(parts)


def _name(atom: Atom) -> str:
    match atom:
        case Variable(name):
            return name
        case Quotient(of, by):
            return f"({of})//{by}"
        case Remainder(of, by):
            return f"({of})%{by}"
        case Lookup(_, index, extent):
            return f"lookup<{extent}>[{', '.join(map(str, index))}]"


def variables(atom: Atom) -> frozenset[Variable]:
    """The loop variables inside an atom."""
    match atom:
        case Variable():
            return frozenset((atom,))
        case Quotient(of) | Remainder(of):
            return of.variables
        case Lookup(_, index):
            return frozenset().union(*(each.variables for each in index))


def atom_bounds(atom: Atom) -> tuple[int, int]:
    """The smallest and the largest value of an atom."""
    match atom:
        case Variable(_, extent) | Lookup(_, _, extent):
            return 0, max(0, extent - 1)
        case Quotient(of, by):
            low, high = of.bounds()
            return low // by, high // by
        case Remainder(of, by):
            return 0, min(by - 1, max(0, of.bounds()[1]))


def total(terms: Sequence[tuple[Atom, int]], offset: int) -> Affine:
    """The sum of terms, with like atoms joined and n·⌊e/n⌋ + e mod n put together to e."""
    sums: dict[Atom, int] = {}
    for atom, coefficient in terms:
        sums[atom] = sums.get(atom, 0) + coefficient
    for atom in list(sums):
        if isinstance(atom, Remainder) and sums.get(atom):
            quotient = _quotient_beside(atom)
            factor = sums[atom]
            if sums.get(quotient) == factor * atom.by:
                del sums[atom], sums[quotient]
                rest = [(a, c) for a, c in sums.items() if c]
                return total([*rest, *(atom.of * factor).terms], offset + atom.of.offset * factor)
    kept = sorted(((a, c) for a, c in sums.items() if c), key=lambda term: _name(term[0]))
    return Affine(tuple(kept), offset)


def _quotient_beside(atom: Remainder) -> Quotient:
    """⌊e/n⌋ for e mod n; where e is ⌊d/m⌋ itself, that is ⌊d/(m·n)⌋."""
    inner = _only_quotient(atom.of)
    if inner is not None:
        return Quotient(inner.of, inner.by * atom.by)
    return Quotient(atom.of, atom.by)


def _only_quotient(e: Affine) -> Quotient | None:
    """The quotient that an expression is, if it is nothing else."""
    atom = e.terms[0][0] if len(e.terms) == 1 else None
    return atom if isinstance(atom, Quotient) and e == Affine(((atom, 1),)) else None


def of(variable: Variable) -> Affine:
    """A variable as an expression; 0 where its loop runs once."""
    return Affine(((variable, 1),)) if variable.extent != 1 else Affine()


def strides(shape: Sequence[int]) -> tuple[int, ...]:
    """The steps of a contiguous row-major array, in elements."""
    steps, step = [], 1
    for extent in reversed(shape):
        steps.append(step)
        step *= extent
    return tuple(reversed(steps))


class Space:
    """The arithmetic that the index rules of the ops are written with."""

    def constant(self, value: int) -> Affine:
        """A known index."""
        return Affine((), value)

    def linearise(self, index: Sequence[Affine], shape: Sequence[int]) -> Affine:
        """The place in row-major order."""
        terms: list[tuple[Atom, int]] = []
        offset = 0
        for each, step in zip(index, strides(shape), strict=True):
            scaled = each * step
            terms.extend(scaled.terms)
            offset += scaled.offset
        return total(terms, offset)

    def delinearise(self, flat: Affine, shape: Sequence[int]) -> tuple[Affine, ...]:
        """The index of a place in row-major order."""
        index = []
        for extent, step in zip(shape, strides(shape), strict=True):
            place = self.div(flat, step) if step else Affine()
            index.append(self.mod(place, extent) if extent else Affine())
        return tuple(index)

    def div(self, e: Affine, by: int) -> Affine:
        """⌊e/by⌋, as simple as the ranges allow."""
        if by == 1:
            return e
        if (inner := _only_quotient(e)) is not None:  # ⌊⌊d/m⌋/n⌋ is ⌊d/(m·n)⌋
            return self.div(inner.of, inner.by * by)
        whole, rest = _divided(e, by)
        low, high = rest.bounds()
        if low >= 0 and high < by:
            return whole
        if (apart := _apart(e, by)) is not None:  # ⌊(g·a + b)/by⌋ with b < g is ⌊a/(by/g)⌋
            factor, whole, _ = apart
            return self.div(whole, by // factor)
        if not whole.terms and not whole.offset:
            return Affine(((Quotient(e, by), 1),))
        if low >= 0:
            return whole + Affine(((Quotient(rest, by), 1),))
        return Affine(((Quotient(e, by), 1),))

    def mod(self, e: Affine, by: int) -> Affine:
        """e mod by, likewise."""
        low, high = e.bounds()
        if low >= 0 and high < by:
            return e
        _, rest = _divided(e, by)
        low, high = rest.bounds()
        if low >= 0 and high < by:
            return rest
        rest = rest if low >= 0 else e  # machine code takes remainders of numbers from 0 on
        if (apart := _apart(rest, by)) is not None:
            factor, whole, below = apart
            return self.mod(whole, by // factor) * factor + below
        return Affine(((Remainder(rest, by), 1),))

    def value(self, node: Node, index: Sequence[Affine], extent: int) -> Affine:
        """An index that is read from an integer node."""
        return Affine(((Lookup(node, tuple(index), extent), 1),))


def _apart(e: Affine, by: int) -> tuple[int, Affine, Affine] | None:
    """e as g·a + b with 0 ≤ b < g, for the largest such g that divides `by`; None without one.

    This makes equal places equal expressions, however the loops were merged.
    """
    for factor in sorted({math.gcd(c, by) for _, c in e.terms} - {1, by}, reverse=True):
        whole, rest = _divided(e, factor)
        low, high = rest.bounds()
        if low >= 0 and high < factor:
            return factor, whole, rest
    return None


def _divided(e: Affine, by: int) -> tuple[Affine, Affine]:
    """e as by·whole + rest, where whole takes every term that `by` divides."""
    whole = [(a, c // by) for a, c in e.terms if c % by == 0]
    rest = [(a, c) for a, c in e.terms if c % by != 0]
    return Affine(tuple(whole), e.offset // by), Affine(tuple(rest), e.offset % by)
