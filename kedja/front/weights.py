"""Which leaves of a graph are the arrays of modules, and what these are called.

A module is known by its `state_dict`; this floor knows no class of it. Not here: what is done with
the arrays' names (`named.py`). Next: `named.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from kedja.front import tree
from kedja.front.tensor import Tensor
from kedja.ir.fold import chain, is_leaf
from kedja.ir.graph import Layer, Node

Learned = list[bool | None]  # for each leaf: learned, fixed, or (None) not in a module


def learned(structure: tree.Structure) -> Learned:
    """For each leaf of a tree whether it is learned, fixed, or no array of a module."""
    return [
        mark if inside else None
        for mark, inside in zip(tree.trainable(structure), _inside(structure, False), strict=True)
    ]


def _inside(structure: tree.Structure, inside: bool) -> Iterator[bool]:
    """For each leaf whether it stands below a module."""
    if structure.kind is None:
        if not structure.is_tied:
            yield inside
        return
    for child in structure.children:
        yield from _inside(child, inside or is_module(structure.kind))


def is_module(kind: Any) -> bool:
    """Whether an object, or a class, is a module."""
    return hasattr(kind, "state_dict")


class Array(NamedTuple):
    """An array of a module: its path, itself, and whether it is learned."""

    path: str
    tensor: Tensor
    learned: bool


def arrays(module: Any) -> Iterator[Array]:
    """The arrays of a module, but for those that were given up."""
    marks = tree.trainable(tree.flatten(module)[1])
    for (path, leaf), mark in zip(tree.paths(module), marks, strict=True):
        if isinstance(leaf, Tensor) and not leaf.is_given_up:
            yield Array(path, leaf, mark)


def called(order: Iterable[Node]) -> Iterator[Array]:
    """The arrays of the modules that were called on the way to some nodes, while they are alive."""
    met: set[int] = set()
    for layer in _layers(order):
        module = layer.module()
        if module is None or id(module) in met:
            continue
        met.add(id(module))
        for each in arrays(module):
            yield each._replace(path=f"{layer}.{each.path}") if layer else each


def computed(arrays: Iterable[Array]) -> dict[Node, Node]:
    """Fresh arrays may be graphs still (of random numbers): they are computed, then leaves."""
    found: dict[Node, Node] = {}
    for each in arrays:
        old = each.tensor.node
        if not is_leaf(old) and each.tensor.is_known and not each.tensor.tracks:
            each.tensor.numpy()  # which forgets how it was computed
            found[old] = each.tensor.node
    return found


def counted(order: Iterable[Node]) -> dict[int, int]:
    """How many numbers each call of a module learns, by the identity of its layer.

    Modules that are not alive any more are left out: their arrays are inputs of a trace.
    """
    found: dict[int, int] = {}
    for layer in _layers(order):
        module = layer.module()
        if module is not None:
            found[id(layer)] = sum(each.tensor.size for each in arrays(module) if each.learned)
    return found


def _layers(order: Iterable[Node]) -> Iterator[Layer]:
    """Each layer once, those around it first."""
    met: set[int] = set()
    for node in order:
        if isinstance(node.scope, Layer) and id(node.scope) not in met:
            for layer in chain(node.scope):
                if isinstance(layer, Layer) and id(layer) not in met:
                    met.add(id(layer))
                    yield layer


def marked(nodes: Sequence[Node], marks: Sequence[bool | None]) -> dict[Node, bool]:
    """The nodes that are arrays of modules, and whether they are learned."""
    return {node: mark for node, mark in zip(nodes, marks, strict=True) if mark is not None}
