"""`kj.vmap`: a function of one example as a function of many at once.

The function is called once, with tensors that have the shapes of one example and no values; its
graph then gets a further axis (`kedja/autodiff/batch.py`). Nothing loops, and what no example
changes is computed once. Next: `matrices.py`.
"""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import wraps
from typing import Any, NamedTuple

import numpy as np

from kedja.autodiff import batch
from kedja.front import ambient, tree
from kedja.front.tensor import Tensor, as_tensor, from_node
from kedja.front.transforms import settled
from kedja.ground.errors import ShapeError, TracingError, UsageError
from kedja.ir.graph import Node, apply, locating, variable
from kedja.ir.op import Type

ARRAYS = (Tensor, np.ndarray, np.generic, bool, int, float)
SHARED = "in_axes=None for what all examples share"
BOUND = "pass what all examples share by position, with in_axes=None, or bind it with partial"


def vmap(
    f: Callable[..., Any],
    in_axes: Any = 0,
    out_axes: Any = 0,
    *,
    axis_size: int | None = None,
) -> Callable[..., Any]:
    """A function that maps `f` over an axis of its arguments, all examples at once.

    `in_axes` says which axis of a positional argument counts the examples: a whole number, None
    (all share it), a tuple with an entry for each argument, or containers like the arguments with
    entries at their places. Keyword arguments are mapped over axis 0.
    `out_axes` says likewise where the axis stands in what is returned; None is for what is the same
    for all examples. `axis_size` is the number of examples, where no argument tells it.

    It composes with grad, jvp, vjp, jit, scan and itself. `f` is traced: it must not look at
    values (`if` on a tensor is a TracingError; use `kj.where` or `kj.cond`).

    Raises ShapeError where an argument does not have its axis or sizes differ, UsageError where
    `in_axes` does not fit the arguments or maps none of them.

    >>> import kedja as kj
    >>> x = kj.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    >>> kj.vmap(kj.sum)(x).tolist()
    [3.0, 7.0, 11.0]
    >>> kj.vmap(lambda a, b: a @ b, in_axes=(0, None))(x, x[0]).tolist()
    [5.0, 11.0, 17.0]

    The gradient of each example's own loss, of the structure of the model, with a leading axis:

    >>> def loss(model, x, y):
    ...     return kj.sum((model(x) - y) ** 2)
    >>> model, y = kj.nn.Linear(2, 1), kj.zeros((3, 1))
    >>> each = kj.vmap(kj.grad(loss), in_axes=(None, 0, 0))(model, x, y)
    >>> each.weight.shape
    (3, 1, 2)
    """
    named = _parameter_names(f)

    @wraps(f, updated=())
    def mapped(*args: Any, **kwargs: Any) -> Any:
        leaves: dict[Node, Node] = {}
        with locating():
            given, structure = _taken(args, kwargs, in_axes, named)
            size = _size(given, axis_size)
            inside = [_one_of(each, leaves) for each in given]
        result = _traced(f, tree.unflatten(structure, inside))
        with locating():
            return settled(_stacked(result, out_axes, leaves, size))

    return mapped


def _traced(f: Callable[..., Any], call: Any) -> Any:
    args, kwargs = call
    with ambient.tracing():
        return f(*args, **kwargs)


# -------------------------------------------------------------------------------- arguments


class _Given(NamedTuple):
    """A leaf of the arguments: what errors call it, its value, and the axis that is mapped."""

    name: str
    value: Any
    axis: int | None
    shared: str  # what to do where all examples share it

    def __str__(self) -> str:
        kind = as_tensor(self.value).node.type if isinstance(self.value, ARRAYS) else self.value
        return f"{self.name}, {kind}"


def _taken(
    args: tuple[Any, ...], kwargs: dict[str, Any], in_axes: Any, named: Sequence[str]
) -> tuple[list[_Given], tree.Structure]:
    """All leaves of the arguments, and the structure that puts them together again."""
    values, structure = tree.flatten((args, kwargs))
    positional, keyword = structure.children
    axes = [*_argument_axes(in_axes, positional), *([0] * keyword.leaves)]
    fixes = [*([SHARED] * positional.leaves), *([BOUND] * keyword.leaves)]
    names = _leaf_names(args, kwargs, named)
    return [_Given(*each) for each in zip(names, values, axes, fixes, strict=True)], structure


def _argument_axes(in_axes: Any, positional: tree.Structure) -> list[int | None]:
    if isinstance(in_axes, list):
        in_axes = tuple(in_axes)
    if isinstance(in_axes, tuple) and len(in_axes) != len(positional.children):
        raise UsageError(
            f"in_axes has {len(in_axes)} entries for {len(positional.children)} arguments",
            fix="one entry for each positional argument; keyword arguments are mapped over axis 0",
        )
    if not isinstance(in_axes, tuple) and not _is_axis(in_axes):
        raise UsageError(
            f"in_axes is a {type(in_axes).__name__}",
            fix="a whole number, None, or a tuple with one entry for each positional argument",
        )
    return list(axes_of(in_axes, positional, "in_axes"))


def _parameter_names(f: Callable[..., Any]) -> list[str]:
    """What the function calls its positional arguments, as far as it can be asked."""
    try:
        parameters = inspect.signature(f).parameters.values()
    except (TypeError, ValueError):  # some built-in functions cannot
        return []
    simple = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [each.name for each in parameters if each.kind in simple]


def _leaf_names(
    args: tuple[Any, ...], kwargs: dict[str, Any], named: Sequence[str]
) -> Iterator[str]:
    """`x`, or `model.weight`, for each leaf of the arguments."""
    for path, _ in tree.paths((args, kwargs)):
        kind, place, *below = path.split(".")
        first = place
        if kind == "0":
            number = int(place)
            first = named[number] if number < len(named) else f"argument {number}"
        yield ".".join([first, *below])


def _size(given: Sequence[_Given], axis_size: int | None) -> int:
    """The number of examples, on which all mapped arguments agree."""
    mapped = [each for each in given if each.axis is not None]
    if not mapped and axis_size is None:
        raise UsageError(
            "vmap without an argument that is mapped: in_axes is None for all of them",
            fix="in_axes=0 for at least one, or give the number of examples as axis_size",
        )
    sizes = [_extent(each) for each in mapped]
    wanted = sizes[0] if axis_size is None else operator.index(axis_size)
    for each, size in zip(mapped, sizes, strict=True):
        if size != wanted:
            other = f"axis_size is {wanted}" if axis_size is not None else _counts(mapped[0])
            raise ShapeError(
                f"vmap over different numbers of examples: {other}, {_counts(each)}",
                fix=f"mapped axes of one size, or {each.shared}",
            )
    return wanted


def _counts(each: _Given) -> str:
    return f"{_extent(each)} along axis {each.axis} of {each}"


def _extent(each: _Given) -> int:
    """The extent of the mapped axis, once it is known to exist."""
    if not isinstance(each.value, ARRAYS):
        raise UsageError(
            f"vmap maps {each.name}, which is a {type(each.value).__name__}",
            fix=f"arrays have axes to map; {each.shared}",
        )
    shape, axis = as_tensor(each.value).shape, each.axis
    assert axis is not None
    if not -len(shape) <= axis < len(shape):
        many = f"{len(shape)} axes" if len(shape) != 1 else "one axis"
        has = many if shape else "none: it is a scalar"
        raise ShapeError(
            f"vmap maps axis {axis} of {each}, which has {has}",
            fix=f"an axis that is there, or {each.shared}",
        )
    return shape[axis]


def _one_of(each: _Given, leaves: dict[Node, Node]) -> Any:
    """One example's tensor without its value, noted with its batched node; the rest as it is."""
    if each.axis is None:
        return each.value
    tensor = as_tensor(each.value)
    wide = moved(tensor.node, each.axis % tensor.ndim, 0)
    one = variable(each.name, Type(wide.shape[1:], wide.dtype))
    leaves[one] = wide
    return from_node(one, tensor.tracks)


# ---------------------------------------------------------------------------------- results


def _stacked(result: Any, out_axes: Any, leaves: Mapping[Node, Node], size: int) -> Any:
    """What the function returned, with the axis of the examples where `out_axes` wants it."""
    found, structure = tree.flatten(result)
    names = [path for path, _ in tree.paths(result)]
    axes = axes_of(out_axes, structure, "out_axes")
    tensors = [_returned(leaf) for leaf in found]
    values = batch.values([each.node for each in tensors], leaves, size)
    stacked = [
        _placed(tensor, value, axis, size, name)
        for tensor, value, axis, name in zip(tensors, values, axes, names, strict=True)
    ]
    return tree.unflatten(structure, stacked)


def _returned(leaf: Any) -> Tensor:
    if not isinstance(leaf, ARRAYS):
        raise TracingError(
            f"a function under vmap returned {type(leaf).__name__}",
            fix="return tensors, in lists, tuples, dicts or modules",
        )
    return as_tensor(leaf)


def _placed(tensor: Tensor, value: batch.Value, axis: int | None, size: int, name: str) -> Tensor:
    called = f"the result {name}" if name else "the result"
    if axis is None:
        if value.leading:
            raise UsageError(
                f"out_axes is None for {called}, which differs between the examples",
                fix="out_axes=0 stacks it; reduce it inside the function if it should be one",
            )
        return tensor
    rank = tensor.ndim + 1
    if not -rank <= axis < rank:
        raise ShapeError(
            f"out_axes is {axis} for {called}, which has {rank} axes with that of the examples",
            fix=f"an axis from {-rank} to {rank - 1}",
        )
    wide = batch.front(value.node, size, value.leading)
    return from_node(moved(wide, 0, axis % rank), tensor.tracks)


def moved(node: Node, source: int, target: int) -> Node:
    """One axis moved to another place, all others in their order."""
    if source == target:
        return node
    order = [axis for axis in range(len(node.shape)) if axis != source]
    order.insert(target, source)
    return apply("transpose", node, axes=tuple(order))


# -------------------------------------------------------------------------- prefixes of trees


def axes_of(prefix: Any, structure: tree.Structure, what: str) -> Iterator[int | None]:
    """An axis (or None) for each leaf of a tree, from entries that may stand for whole branches."""
    if _is_axis(prefix):
        axis = None if prefix is None else operator.index(prefix)
        yield from [axis] * structure.leaves
        return
    if not structure.leaves:
        return
    if type(prefix) is not structure.kind:
        raise UsageError(
            f"{what} has {_article(type(prefix))} where the value has {_article(structure.kind)}",
            fix="a whole number or None, or a container like the value with these at its places",
        )
    for name, child in zip(structure.names, structure.children, strict=True):
        yield from axes_of(_entry(prefix, name, structure, what), child, what)


def _is_axis(entry: Any) -> bool:
    whole = isinstance(entry, (int, np.integer)) and not isinstance(entry, bool)
    return entry is None or whole


def _article(kind: type | None) -> str:
    return "a leaf" if kind is None else f"a {kind.__name__}"


def _entry(prefix: Any, name: str, structure: tree.Structure, what: str) -> Any:
    """The entry for one place of a container; a module's places are found by their paths."""
    if isinstance(prefix, (dict, list, tuple)):
        children = _children(prefix)
        if len(children) == len(structure.children) and name in children:
            return children[name]
    else:
        keys = name.split(".")
        for start in (vars(prefix), *vars(prefix).values()):  # one field may be named without name
            try:
                return _follow(start, keys)
            except (LookupError, TypeError):
                continue
    raise UsageError(
        f"{what} does not say what to do with {name}: it has other places than the value",
        fix="the same keys and lengths as the value, or one entry for all of it",
    )


def _children(container: Any) -> dict[str, Any]:
    if isinstance(container, dict):
        return {str(key): value for key, value in container.items()}
    names = getattr(container, "_fields", range(len(container)))
    return {str(name): value for name, value in zip(names, container, strict=True)}


def _follow(start: Any, keys: Sequence[str]) -> Any:
    for key in keys:
        start = _children(start)[key]
    return start
