"""Sums and products in the form in which they are printed: a printing aid, not a simplifier.

An expression is a sum of terms, each a number times powers of atoms; an atom is any text that is
not taken apart. So `x * 1 + 0` prints as `x`, `--x` as `x`, `x + x` as `2 * x`. Nothing is
multiplied out. Not here: what a graph computes, which this never changes (`rewrite.py` and the
compiler's passes do that). Next: `formula.py`.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import NamedTuple

from kedja.ir.values import exact

SUM, PRODUCT, NEGATIVE, POWER, WHOLE = 4, 5, 6, 7, 9  # precedences, as in the records of the ops
LARGEST_POWER = 16  # a number is raised to at most this power; higher ones stay as they are


class Text(NamedTuple):
    """A printed expression and the precedence of its outermost sign."""

    text: str
    precedence: int = WHOLE

    def within(self, least: int) -> str:
        """The text, in parentheses where it binds less tightly than `least`."""
        return self.text if self.precedence >= least else f"({self.text})"


class Term(NamedTuple):
    """A number times powers of atoms, in the order in which they appeared."""

    number: Fraction
    powers: tuple[tuple[Text, Fraction], ...]


class Sum(NamedTuple):
    """A sum of terms; no term is zero, no two have the same powers. Empty means 0."""

    terms: tuple[Term, ...]

    @property
    def number(self) -> Fraction | None:
        """The value, where it is a number."""
        if not self.terms:
            return Fraction(0)
        only = self.terms[0]
        return only.number if len(self.terms) == 1 and not only.powers else None


def number(value: Fraction | int) -> Sum:
    """A number."""
    return total([Term(Fraction(value), ())])


def atom(text: Text) -> Sum:
    """A text that is not taken apart."""
    return Sum((Term(Fraction(1), ((text, Fraction(1)),)),))


def total(terms: Iterable[Term]) -> Sum:
    """The sum of terms, those with the same powers taken together."""
    found: dict[frozenset[tuple[Text, Fraction]], Term] = {}
    for term in terms:
        key = frozenset(term.powers)
        before = found[key].number if key in found else Fraction(0)
        powers = found[key].powers if key in found else term.powers
        found[key] = Term(before + term.number, powers)
    return Sum(tuple(term for term in found.values() if term.number))


def add(a: Sum, b: Sum) -> Sum:
    """a + b."""
    return total((*a.terms, *b.terms))


def scale(a: Sum, factor: Fraction) -> Sum:
    """A number times a."""
    return total(Term(term.number * factor, term.powers) for term in a.terms)


def multiply(a: Sum, b: Sum) -> Sum:
    """a·b; a sum of several terms stays together as one factor."""
    for one, other in ((a, b), (b, a)):
        if one.number is not None:
            return scale(other, one.number)
    first, second = _single(a), _single(b)
    return Sum((Term(first.number * second.number, _joined(first.powers + second.powers)),))


def power(a: Sum, exponent: Fraction) -> Sum:
    """a to the power of a number."""
    if exponent == 0:
        return number(1)
    term = _single(a)
    whole = exponent.denominator == 1 and abs(exponent) <= LARGEST_POWER
    if not whole or (term.number == 0 and exponent < 0):
        return Sum((Term(Fraction(1), ((written(a), exponent),)),))
    powers = tuple((base, each * exponent) for base, each in term.powers)
    return Sum((Term(term.number ** int(exponent), powers),))


def _single(a: Sum) -> Term:
    """One term that means the same."""
    if not a.terms:
        return Term(Fraction(0), ())
    return a.terms[0] if len(a.terms) == 1 else Term(Fraction(1), ((written(a), Fraction(1)),))


def _joined(powers: Iterable[tuple[Text, Fraction]]) -> tuple[tuple[Text, Fraction], ...]:
    """Powers of the same atom taken together."""
    found: dict[Text, Fraction] = {}
    for base, exponent in powers:
        found[base] = found.get(base, Fraction(0)) + exponent
    return tuple((base, exponent) for base, exponent in found.items() if exponent)


# -------------------------------------------------------------------------------- printing


def written(a: Sum) -> Text:
    """The sum as text, a positive term first where there is one.

    >>> x = atom(Text("x"))
    >>> written(add(scale(x, Fraction(-2)), number(1))).text
    '1 - 2 * x'
    """
    if not a.terms:
        return Text("0")
    terms = sorted(a.terms, key=lambda term: term.number < 0) if a.terms[0].number < 0 else a.terms
    first, *rest = terms
    if not rest:
        return _signed(first)
    parts = [_signed(first).text]
    for term in rest:
        parts += ["-" if term.number < 0 else "+", _unsigned(term).within(PRODUCT)]
    return Text(" ".join(parts), SUM)


def _signed(term: Term) -> Text:
    if term.number >= 0:
        return _unsigned(term)
    body = _unsigned(term)
    return Text(f"-{body.within(PRODUCT)}", PRODUCT if body.precedence <= PRODUCT else NEGATIVE)


def _unsigned(term: Term) -> Text:
    """The term without its sign: numbers first, what is divided by last."""
    above, below = _fraction(abs(term.number))
    above += [_raised(base, each) for base, each in term.powers if each > 0]
    below += [_raised(base, -each) for base, each in term.powers if each < 0]
    if not below:
        return _product(above)
    under = _product(below).within(POWER)
    return Text(f"{_product(above).within(PRODUCT)} / {under}", PRODUCT)


def _fraction(value: Fraction) -> tuple[list[Text], list[Text]]:
    """A number as factors above and below the line; nothing where it is 1."""
    if value == 1:
        return [], []
    decimal = _decimal(value)
    if value.denominator == 1 or len(decimal) <= DECIMAL or value.denominator > LARGEST_BELOW:
        return [Text(decimal)], []
    above = [] if value.numerator == 1 else [Text(str(value.numerator))]
    return above, [Text(str(value.denominator))]


DECIMAL = 6  # a number whose decimal is at most so long is not written as a fraction
LARGEST_BELOW = 1_000_000
DIGITS = 12  # of a number that is no short decimal


def _decimal(value: Fraction) -> str:
    """The number as a decimal, to twelve digits where all of them would be more."""
    try:
        text = exact(float(value))
    except OverflowError:
        return "inf"
    return text if len(text) <= DIGITS + 2 else exact(float(f"{float(value):.{DIGITS}g}"))


def _raised(base: Text, exponent: Fraction) -> Text:
    if exponent == 1:
        return base
    return Text(f"{base.within(POWER + 1)} ** {_decimal(exponent)}", POWER)


def _product(factors: list[Text]) -> Text:
    if not factors:
        return Text("1")
    if len(factors) == 1:
        return factors[0]
    return Text(" * ".join(each.within(PRODUCT + 1) for each in factors), PRODUCT)
