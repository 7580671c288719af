"""What the nodes of a graph are called in formulas and tables.

Not here: formulas (`formula.py`). Next: `formula.py`.
"""

from __future__ import annotations

import itertools
import string
from collections.abc import Iterable, Iterator, Mapping

from kedja.ir.graph import Node
from kedja.ir.values import SHORT

MEANINGFUL = "defglo"  # differentials, Euler's number, the function, gradients; l and o are 1 and 0

Names = Mapping[Node, str]


def leaf_names(order: Iterable[Node], given: Names | None = None) -> dict[Node, str]:
    """A name of its own for each input and each array; scalar constants are written as numbers."""
    found = dict(given or {})
    taken = set(found.values())
    for node in order:
        if node in found or not _wants_name(node):
            continue
        wished = str(node.attrs.get("name", ""))
        if not wished.isprintable():
            wished = repr(wished)
        found[node] = _free(wished, taken) if wished else numbered("t", taken)
        taken.add(found[node])
    return found


def _wants_name(node: Node) -> bool:
    if node.op.name == "input":
        return True
    if node.op.name != "constant":
        return False
    return bool(node.attrs.get("name")) or node.type.size > SHORT or len(node.shape) > 1


def _free(wished: str, taken: set[str]) -> str:
    """The wished name, numbered where another node has it already."""
    return wished if wished not in taken else numbered(f"{wished}_", taken, start=2)


def numbered(stem: str, taken: set[str], start: int = 1) -> str:
    """The stem with the first number, from `start` on, that makes it a name of its own."""
    return next(f"{stem}{i}" for i in itertools.count(start) if f"{stem}{i}" not in taken)


def letters(taken: Iterable[str]) -> Iterator[str]:
    """a, b, c … z, a1, b1 … without those that are taken, and without `MEANINGFUL`."""
    used = {*taken, *MEANINGFUL}
    for round_ in itertools.count():
        for letter in string.ascii_lowercase:
            name = f"{letter}{round_ or ''}"
            if name not in used:
                yield name
