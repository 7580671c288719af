"""`kj.einsum`: products of several arrays, summed over the indices that the result leaves out.

Read as NumPy reads it (`...`, repeated indices, results left implicit). Two arrays at a time are
multiplied, in the order of fewest multiplications; each pair becomes one matrix product between
transposes, or an elementwise product where nothing is summed over. Here an index is called a label.
Next: `linalg.py`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any, NamedTuple

from kedja.front import arithmetic
from kedja.front import tensor as front
from kedja.ground.dtypes import promote
from kedja.ground.errors import ShapeError, UsageError
from kedja.ir.graph import locating

if TYPE_CHECKING:
    from kedja.front.tensor import Tensor

LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
SEARCHED = 6  # up to so many arrays every order is compared, beyond the cheapest next pair is taken


class Term(NamedTuple):
    """An array with a label for each axis, no label twice."""

    labels: tuple[str, ...]
    x: Tensor


def einsum(subscripts: str, *operands: Any) -> Tensor:
    """The sum of products that the subscripts describe: "ij,jk->ik" is the matrix product.

    Without `->` the result has the labels that stand once, in alphabetical order; `...` stands for
    any number of axes, which are broadcast. Raises UsageError for subscripts that cannot be read,
    ShapeError where axes of one label differ in extent.

    >>> einsum("ij,j->i", [[1, 2], [3, 4]], [1, 1]).tolist()
    [3, 7]
    >>> einsum("ii", [[1, 2], [3, 4]]).item()
    5
    """
    with locating():
        tensors = [front.as_tensor(each) for each in operands]
        inputs, output = read(subscripts, [each.ndim for each in tensors])
        dtype = promote(*(each.dtype for each in tensors))
        terms = [
            without_repetition(labels, arithmetic.cast(each, dtype), subscripts)
            for labels, each in zip(inputs, tensors, strict=True)
        ]
        extents = _extents(terms, subscripts)
        result = _product(terms, output, extents)
        missing = [label for label in output if label not in result.labels]
        wide = _with_axes(result, missing)
        x = transposed(wide, output).x
        return arithmetic.broadcast(x, [extents[label] for label in output])


# --------------------------------------------------------------------------------- reading


def read(text: str, ranks: Sequence[int]) -> tuple[list[tuple[str, ...]], tuple[str, ...]]:
    """The labels of each operand and of the result; `...` as labels of their own."""
    left, arrow, right = text.replace(" ", "").partition("->")
    given = left.split(",")
    if len(given) != len(ranks):
        raise UsageError(
            f"einsum {text!r} of {len(ranks)} arrays", fix=f"it describes {len(given)} arrays"
        )
    inputs = [_labels(each, rank, text) for each, rank in zip(given, ranks, strict=True)]
    dots = max((sum(not _is_letter(label) for label in labels) for labels in inputs), default=0)
    if arrow:
        return inputs, _output(right, dots, inputs, text)
    counts = Counter(label for labels in inputs for label in labels)
    once = sorted(label for label, n in counts.items() if n == 1 and _is_letter(label))
    return inputs, (*_dots(dots), *once)


def _is_letter(label: str) -> bool:
    return label in LETTERS


def _dots(count: int) -> tuple[str, ...]:
    """Labels for the axes of `...`, counted from the last."""
    return tuple(f".{place}" for place in range(count, 0, -1))


def _labels(text: str, rank: int, whole: str) -> tuple[str, ...]:
    before, dots, after = text.partition("...")
    wrong = [label for label in before + after if not _is_letter(label)]
    if wrong:
        raise UsageError(f"einsum {whole!r}: {wrong[0]!r} is no label", fix="letters and ...")
    count = rank - len(before) - len(after)
    if count < 0 or (count and not dots):
        raise ShapeError(
            f"einsum {whole!r}: {text!r} for an array with {rank} axes", fix="one label for each"
        )
    return (*before, *_dots(count), *after)


def _output(text: str, dots: int, inputs: Sequence[tuple[str, ...]], whole: str) -> tuple[str, ...]:
    before, marker, after = text.partition("...")
    labels = (*before, *(_dots(dots) if marker else ()), *after)
    known = {label for each in inputs for label in each}
    for label, count in Counter(labels).items():
        if label not in known:
            raise UsageError(f"einsum {whole!r}: no array has {label!r}", fix="name it there")
        if count > 1:
            raise UsageError(f"einsum {whole!r}: the result has {label!r} twice", fix="once only")
    return labels


# ------------------------------------------------------------------------------ single arrays


def without_repetition(labels: Sequence[str], x: Tensor, whole: str) -> Term:
    """The diagonal along axes of one label: every (n + 1)-th element of both axes as one."""
    left = list(labels)
    while len(set(left)) < len(left):
        label = next(each for each, count in Counter(left).items() if count > 1)
        first = left.index(label)
        second = left.index(label, first + 1)
        x = _diagonal(x, first, second, label, whole)
        del left[second], left[first]
        left.append(label)
    return Term(tuple(left), x)


def _diagonal(x: Tensor, first: int, second: int, label: str, whole: str) -> Tensor:
    n = x.shape[first]
    if x.shape[second] != n:
        raise ShapeError(
            f"einsum {whole!r}: {label!r} is {n} and {x.shape[second]} in one array",
            fix="axes of one label must be equal",
        )
    others = [axis for axis in range(x.ndim) if axis not in (first, second)]
    kept = [x.shape[axis] for axis in others]
    square = arithmetic.transpose(x, [*others, first, second])
    line = arithmetic.reshape(square, (*kept, n * n))
    return line[..., :: n + 1] if n else line


def _extents(terms: Sequence[Term], whole: str) -> dict[str, int]:
    """The extent of each label; 1 gives way to any other."""
    found: dict[str, int] = {}
    for term in terms:
        for label, extent in zip(term.labels, term.x.shape, strict=True):
            known = found.setdefault(label, extent)
            if 1 not in (known, extent) and known != extent:
                name = "..." if label.startswith(".") else repr(label)
                raise ShapeError(
                    f"einsum {whole!r}: {name} is {known} in one array and {extent} in another",
                    fix="axes of one label must be equal, or 1",
                )
            found[label] = extent if known == 1 else known
    return found


def transposed(term: Term, labels: Sequence[str]) -> Term:
    """The axes in the order of these labels."""
    if term.labels == tuple(labels):
        return term
    order = [term.labels.index(label) for label in labels]
    return Term(tuple(labels), arithmetic.transpose(term.x, order))


def _with_axes(term: Term, labels: Sequence[str]) -> Term:
    """Axes of extent 1 in front."""
    shape = (*(1 for _ in labels), *term.x.shape)
    return Term((*labels, *term.labels), arithmetic.reshape(term.x, shape)) if labels else term


def summed(term: Term, kept: set[str]) -> Term:
    """The sum over the labels that nobody needs."""
    axes = tuple(i for i, label in enumerate(term.labels) if label not in kept)
    if not axes:
        return term
    left = tuple(label for label in term.labels if label in kept)
    return Term(left, arithmetic.call("sum", term.x, axes=axes))


# ------------------------------------------------------------------------------------ pairs


def _product(terms: Sequence[Term], output: Sequence[str], extents: dict[str, int]) -> Term:
    """All arrays multiplied, two at a time."""
    left = [_narrowed(term, extents) for term in terms]
    for first, second in best_order([set(term.labels) for term in left], set(output), extents):
        b, a = left.pop(second), left.pop(first)
        needed = set(output).union(*(term.labels for term in left))
        left.append(_pair(a, b, needed))
    (last,) = left
    return summed(last, set(output))


def _narrowed(term: Term, extents: dict[str, int]) -> Term:
    """Without the axes of 1 that are broadcast over another extent."""
    kept = [
        (label, n)
        for label, n in zip(term.labels, term.x.shape, strict=True)
        if n == extents[label]
    ]
    labels, shape = [label for label, _ in kept], [n for _, n in kept]
    return term if len(kept) == term.x.ndim else Term(tuple(labels), term.x.reshape(shape))


def _pair(a: Term, b: Term, needed: set[str]) -> Term:
    """The product of two arrays, summed over what nobody else needs."""
    a, b = summed(a, needed | set(b.labels)), summed(b, needed | set(a.labels))
    both = [label for label in a.labels if label in b.labels]
    batch = [label for label in both if label in needed]
    inner = [label for label in both if label not in needed]
    rows = [label for label in a.labels if label not in both]
    columns = [label for label in b.labels if label not in both]
    if not inner or not (rows or columns):
        return _elementwise(a, b, batch, rows, columns, inner)
    left = transposed(a, [*batch, *rows, *inner]).x
    right = transposed(b, [*batch, *inner, *columns]).x
    sizes = [left.shape[i] for i in range(len(batch) + len(rows))]
    inner_size = math.prod(left.shape[len(sizes) :])
    outer, last = sizes[: len(batch)], list(right.shape[len(batch) + len(inner) :])
    left = left.reshape(*outer, math.prod(sizes[len(batch) :]), inner_size)
    right = right.reshape(*outer, inner_size, math.prod(last))
    made = arithmetic.matmul(left, right)
    return Term((*batch, *rows, *columns), made.reshape(*sizes, *last))


def _elementwise(
    a: Term, b: Term, batch: list[str], rows: list[str], columns: list[str], inner: list[str]
) -> Term:
    """Products of single elements, and their sum along `inner` where both have the same labels."""
    order = [*batch, *rows, *columns, *inner]
    wide = [
        transposed(_with_axes(term, [label for label in order if label not in term.labels]), order)
        for term in (a, b)
    ]
    made = Term(tuple(order), arithmetic.binary("multiply", wide[0].x, wide[1].x))
    return summed(made, {*batch, *rows, *columns})


# ------------------------------------------------------------------------------------ order

Pairs = list[tuple[int, int]]


def best_order(labels: Sequence[set[str]], output: set[str], extents: dict[str, int]) -> Pairs:
    """Which two of those that are left are multiplied next; the product goes to the end."""
    if len(labels) <= SEARCHED:
        return _cheapest(list(labels), output, extents)[1]
    left, order = list(labels), []
    while len(left) > 1:
        pair = min(combinations(range(len(left)), 2), key=lambda p: _cost(left, p, extents))
        order.append(pair)
        left = _after(left, pair, output)
    return order


def _cost(left: Sequence[set[str]], pair: tuple[int, int], extents: dict[str, int]) -> int:
    """The multiplications of one pair."""
    return math.prod(extents[label] for label in left[pair[0]] | left[pair[1]])


def _after(left: Sequence[set[str]], pair: tuple[int, int], output: set[str]) -> list[set[str]]:
    rest = [each for place, each in enumerate(left) if place not in pair]
    needed = output.union(*rest)
    return [*rest, (left[pair[0]] | left[pair[1]]) & needed]


def _cheapest(left: list[set[str]], output: set[str], extents: dict[str, int]) -> tuple[int, Pairs]:
    """The fewest multiplications, and the order that needs them."""
    if len(left) == 1:
        return 0, []
    found = []
    for pair in combinations(range(len(left)), 2):
        cost, order = _cheapest(_after(left, pair, output), output, extents)
        found.append((cost + _cost(left, pair, extents), [pair, *order]))
    return min(found, key=lambda each: each[0])
