"""Copies that turn a value round, in an order in which each line of the cache is met once.

Where neighbours of the result lie far apart in what is read (the weights of a convolution brought
from (O C K) into (K C O)), every gather touches as many lines as it has lanes, and by the time the
next place of those lines is wanted they are gone. So the last variable is cut into blocks, whose
loop goes outside, and the others run in the order in which the value that is read lies.
Not here: gathers themselves (`llvm_values.py`). Next: `schedule.py`.
"""

from __future__ import annotations

from collections.abc import Callable

from kedja.compiler.indices import Affine, Variable, of
from kedja.compiler.loops import SPACE, Fold, Load, Lowering, Nest, Store, walk
from kedja.ir.graph import Node

LANES = 16  # the lines that one block of the last variable touches
FAR = 8  # elements from lane to lane from which on few lanes share a line
LARGE = 1 << 13  # elements of a value that does not stay in the first-level cache


def turned(nest: Nest, in_memory: Callable[[Node], bool]) -> list[Nest]:
    """The nest with its loops in the order of what it reads, where its lanes would step far.

    Copies of one value that are turned differently become nests of their own.
    """
    apart = [Nest(nest.variables, (store,)) for store in nest.stores]
    far = [_far(each) for each in apart]
    copies = len(apart) == 1 or all(isinstance(s.value, Load) for s in nest.stores)
    if not copies or not any(far):
        return [nest]
    return [
        each if load is None else _in_order_of(load, each, in_memory)
        for each, load in zip(apart, far, strict=True)
    ]


def _in_order_of(far: Load, nest: Nest, in_memory: Callable[[Node], bool]) -> Nest:
    """Blocks of lanes outside, then the variables from the longest step in memory down."""
    store, last = nest.stores[0], nest.variables[-1]
    block, inside = Variable("block", last.extent // LANES), Variable("lane", LANES)
    steps = {each: far.offset.coefficient(each) or 0 for each in nest.variables[:-1]}
    middle = sorted(steps, key=lambda each: -abs(steps[each]))
    flat = _replaced(store.offset, last, of(block) * LANES + of(inside))
    index = SPACE.delinearise(flat, store.node.shape)
    value = Lowering(in_memory).computed(store.node, index)
    variables = tuple(each for each in (block, *middle) if each.extent > 1)
    return Nest((*variables, inside), (Store(store.node, flat, value),))


def _far(nest: Nest) -> Load | None:
    """The read whose lanes step far, in a nest that stores one large value."""
    if len(nest.variables) < 2 or nest.points < LARGE:
        return None
    last = nest.variables[-1]
    if last.extent % LANES or any(isinstance(e, Fold) for e in walk([nest.stores[0].value])):
        return None
    steps = [(load, load.offset.coefficient(last)) for load in nest.loads]
    plain = all(
        load.offset.coefficient(v) is not None for load in nest.loads for v in nest.variables
    )
    if not plain:
        return None
    return next((load for load, step in steps if step is not None and abs(step) >= FAR), None)


def _replaced(e: Affine, variable: Variable, by: Affine) -> Affine:
    """The expression with another one in a variable's place."""
    step = e.coefficient(variable)
    assert step is not None
    rest = Affine(tuple((a, c) for a, c in e.terms if a != variable), e.offset)
    return rest + by * step
