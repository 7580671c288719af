"""A function traced for export: at several batch sizes, in inference, with names for its weights.

Next: `kedja/io/onnx/exporting.py`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from kedja.front import tree
from kedja.front.jit import Traced, trace
from kedja.front.tensor import Tensor, as_tensor
from kedja.ground.errors import ShapeError, UsageError
from kedja.io.onnx.writing.extents import STATIC, Sizes
from kedja.ir.graph import Node
from kedja.ir.op import Type
from kedja.nn.module import Module
from kedja.nn.state import inference

# The batch sizes that are compared; primes, so that no other extent is mistaken for one of them.
BATCHES = (11, 13, 17)


@dataclass(frozen=True)
class Example:
    """The arguments of a function, taken apart; `batch` names the batch axis of each, or None."""

    leaves: list[Tensor]
    structure: tree.Structure
    names: list[str]
    batch: list[int | None]

    def types(self, size: int | None) -> list[Type]:
        """What the function is traced with, for a batch size."""
        pairs = zip(self.leaves, self.batch, strict=True)
        return [_sized(each, axis, size) for each, axis in pairs]


def _sized(leaf: Tensor, axis: int | None, size: int | None) -> Type:
    shape = list(leaf.shape)
    if axis is not None and size is not None:
        shape[axis] = size
    return Type(tuple(shape), leaf.dtype)


def example_of(
    inputs: Any, dynamic: bool | int | Sequence[int | None], names: Sequence[str] | None
) -> Example:
    """The example inputs: one array, or a tuple of arguments; names follow the places."""
    arguments = inputs if isinstance(inputs, tuple) else (inputs,)
    leaves, structure = tree.flatten(arguments)
    tensors = [as_tensor(leaf) for leaf in leaves]
    paths = [path for path, _ in tree.paths(arguments)]
    found = _input_names(paths, len(arguments)) if names is None else list(names)
    if len(found) != len(tensors) or len(set(found)) != len(found):
        raise UsageError(
            f"input_names={list(names or ())} for {len(tensors)} arrays",
            fix="a name of its own for each array among the example inputs",
        )
    return Example(tensors, structure, found, _batch_axes(tensors, dynamic))


def _input_names(paths: Sequence[str], count: int) -> list[str]:
    """`input`, or `input_0`, `input_1` …; what stands inside a container adds its path."""
    found = []
    for path in paths:
        place, _, below = path.partition(".")
        name = "input" if count == 1 else f"input_{place}"
        found.append(f"{name}.{below}" if below else name)
    return found


def _batch_axes(
    leaves: Sequence[Tensor], dynamic: bool | int | Sequence[int | None]
) -> list[int | None]:
    """The batch axis of each input; with True or a number those of the first one's extent."""
    if dynamic is False:
        return [None] * len(leaves)
    if isinstance(dynamic, (bool, int)):
        axis = 0 if dynamic is True else int(dynamic)
        if not leaves or leaves[0].ndim <= axis:
            raise ShapeError(
                f"a first input of shape {[list(x.shape) for x in leaves[:1]]} without a batch "
                f"axis {axis}",
                fix="dynamic_batch=False, or the batch axis of each input",
            )
        size = leaves[0].shape[axis]
        return [axis if x.ndim > axis and x.shape[axis] == size else None for x in leaves]
    axes = list(dynamic)
    wrong = [n for n, x in zip(axes, leaves, strict=False) if n is not None and not 0 <= n < x.ndim]
    if len(axes) != len(leaves) or wrong:
        raise UsageError(
            f"dynamic_batch={axes} for {len(leaves)} inputs",
            fix="the batch axis of each input, or None for those without",
        )
    return axes


# ------------------------------------------------------------------------------------ tracing


@dataclass(frozen=True)
class Traces:
    """One function traced at all sizes, and the names of its weights."""

    sizes: Sizes
    graphs: list[Traced]
    labels: dict[Node, str]


def traced(function: Callable[..., Any], example: Example) -> Traces:
    """Trace a function at several batch sizes, or once where no input has a batch."""
    labels = weight_names(function)
    sizes: tuple[int, ...] = BATCHES
    if all(axis is None for axis in example.batch):
        sizes = (0,)
    graphs = [_traced(function, example, size) for size in sizes]
    if len({graph.structure for graph in graphs}) > 1:
        raise UsageError("the function returns something else for other batch sizes", fix=STATIC)
    return Traces(Sizes(sizes), graphs, labels)


def _traced(function: Callable[..., Any], example: Example, size: int) -> Traced:
    def rebuild(fresh: Sequence[Tensor]) -> Any:
        return tree.unflatten(example.structure, list(fresh)), {}

    with inference():
        return trace(function, example.types(size or None), rebuild)


def weight_names(function: Callable[..., Any]) -> dict[Node, str]:
    """The names of a module's arrays, as its `state_dict` has them.

    For a function, those of the modules that it refers to; where there are several, behind the
    names of these.
    """
    if isinstance(function, Module):
        return _labels(function, "")
    found = _modules(function)
    prefixes = {name: f"{name}." if len(found) > 1 else "" for name in found}
    return {
        node: label
        for name, module in found.items()
        for node, label in _labels(module, prefixes[name]).items()
    }


def _modules(function: Callable[..., Any]) -> dict[str, Module]:
    """The modules among the variables that a function takes from around it."""
    function = inspect.unwrap(function)  # what a compiled function compiles
    if not inspect.isfunction(function):
        owner = getattr(function, "__self__", None)
        return {"self": owner} if isinstance(owner, Module) else {}
    around = inspect.getclosurevars(function)
    values = {**around.globals, **around.nonlocals}
    return {name: value for name, value in values.items() if isinstance(value, Module)}


def _labels(module: Module, prefix: str) -> dict[Node, str]:
    labels: dict[Node, str] = {}
    for path, leaf in tree.places(module):
        tensor = as_tensor(leaf)
        if isinstance(leaf, Tensor) and not leaf.requires_grad:
            leaf.numpy()  # what is still to be computed becomes an array with a node of its own
        if tensor.node.op.name == "constant":
            labels.setdefault(tensor.node, f"{prefix}{path}")
    return labels
