"""`kj.jit`: a Python function traced once for each kind of arguments, compiled, then run natively.

Tracing calls the function with tensors that have types but no values; what it returns is a graph.
Not here: what the compiler does with it (`kedja/compiler/pipeline.py`). Next: `explain.py`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import update_wrapper
from typing import Any

import numpy as np

from kedja.front import ambient, evaluate, tree
from kedja.front.tensor import Tensor, as_tensor, from_node, from_value
from kedja.ground.dtypes import as_dtype
from kedja.ground.errors import TracingError, UsageError
from kedja.ground.flags import flags
from kedja.ground.report import TIMINGS, report
from kedja.interpret import reference
from kedja.ir.graph import Node, topological, variable
from kedja.ir.op import Type

ARRAYS = (Tensor, np.ndarray, bool, int, float)


class Traced:
    """A function as a graph: its inputs, its outputs, and how the outputs fit together.

    It is `open` where it uses tensors from outside that are traced or differentiated there.
    """

    def __init__(
        self, inputs: list[Node], outputs: list[Node], structure: tree.Structure, tracks: bool
    ) -> None:
        self.inputs = inputs
        self.outputs = outputs
        self.structure = structure
        own = set(inputs)
        foreign = (n.op.name == "input" and n not in own for n in topological(outputs))
        self.open = tracks or any(foreign)


def trace(f: Callable[..., Any], types: Sequence[Type], rebuild: Callable[..., Any]) -> Traced:
    """Call `f(*rebuild(tensors))` with value-less tensors of these types."""
    inputs = [variable(f"x{i}", each) for i, each in enumerate(types)]
    args, kwargs = rebuild([from_node(node) for node in inputs])
    with ambient.tracing():
        leaves, structure = tree.flatten(f(*args, **kwargs))
    tracks = any(isinstance(leaf, Tensor) and leaf.tracks for leaf in leaves)
    return Traced(inputs, [_output(leaf) for leaf in leaves], structure, tracks)


def without_value(name: str, shape: Sequence[int], dtype: np.dtype) -> Tensor:
    """A tensor that has a type but no value, as functions meet it while they are traced."""
    return from_node(variable(name, Type(tuple(shape), dtype)))


def _output(leaf: Any) -> Node:
    if not isinstance(leaf, ARRAYS):
        raise TracingError(
            f"a compiled function returned {type(leaf).__name__}",
            fix="return tensors, in lists, tuples, dicts or modules",
        )
    return as_tensor(leaf).node


def _argument(leaf: Any) -> Tensor:
    """An argument as a tensor; arrays are not copied, since they are used at once."""
    if isinstance(leaf, np.ndarray) and as_dtype(leaf.dtype) == leaf.dtype:
        return from_value(leaf)
    return as_tensor(leaf)


class Compiled:
    """What `jit` returns: callable as the function itself."""

    def __init__(self, f: Callable[..., Any]) -> None:
        self._f = f
        self._programs: dict[Any, tuple[Traced, Any]] = {}
        self.compile_seconds = 0.0
        update_wrapper(self, f, updated=())  # f may be compiled itself, with attributes like ours

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        leaves, structure = tree.flatten((args, kwargs))
        dynamic = [place for place, leaf in enumerate(leaves) if isinstance(leaf, ARRAYS)]
        tensors = [_argument(leaves[place]) for place in dynamic]
        if any(each.tracks or not each.is_known for each in tensors):
            return self._f(*args, **kwargs)  # inside another trace: part of its graph
        key = self._key(structure, leaves, dynamic, tensors)
        if key not in self._programs:
            self._programs[key] = self._build(structure, leaves, dynamic, tensors)
        traced, program = self._programs[key]
        if traced.open:
            del self._programs[key]
            return self._f(*args, **kwargs)
        values = [each.numpy() for each in tensors]
        found = self._run(traced, program, values)
        return tree.unflatten(traced.structure, [from_value(value) for value in found])

    def _key(
        self,
        structure: tree.Structure,
        leaves: Sequence[Any],
        dynamic: Sequence[int],
        tensors: Sequence[Tensor],
    ) -> Any:
        places = set(dynamic)
        static = tuple(leaf for place, leaf in enumerate(leaves) if place not in places)
        try:
            hash(static)
        except TypeError:
            wrong = next(each for each in static if type(each).__hash__ is None)
            raise UsageError(
                f"an argument of type {type(wrong).__name__} in a compiled function",
                fix="pass arrays, containers of arrays, or hashable values",
            ) from None
        types = tuple((each.shape, each.dtype) for each in tensors)
        return structure, static, types, flags().tier, ambient.current_mode()

    def _build(
        self,
        structure: tree.Structure,
        leaves: Sequence[Any],
        dynamic: Sequence[int],
        tensors: Sequence[Tensor],
    ) -> tuple[Traced, Any]:
        start = time.perf_counter()

        def rebuild(fresh: Sequence[Tensor]) -> Any:
            filled = list(leaves)
            for place, each in zip(dynamic, fresh, strict=True):
                filled[place] = each
            return tree.unflatten(structure, filled)

        traced = trace(self._f, [each.node.type for each in tensors], rebuild)
        program = None
        if flags().tier != "interpret" and not traced.open:
            program = evaluate.compiler().compile(traced.outputs, traced.inputs)
        seconds = time.perf_counter() - start
        self.compile_seconds += seconds
        name = getattr(self._f, "__qualname__", type(self._f).__name__)  # modules have none
        report(TIMINGS, lambda: f"jit {name}: {self._why(tensors)}, {seconds:.3f} s")
        return traced, program

    def _why(self, tensors: Sequence[Tensor]) -> str:
        """Why the function is traced, and for arguments of which kinds."""
        why = "arguments of another kind" if self._programs else "first call"
        return f"{why} ({', '.join(str(each.node.type) for each in tensors)})"

    def _run(self, traced: Traced, program: Any, values: list[np.ndarray]) -> list[np.ndarray]:
        if program is None:
            bound = dict(zip(traced.inputs, values, strict=True))
            return [value.copy() for value in reference.run(traced.outputs, bound)]
        found: list[np.ndarray] = program(*values)
        return found


def jit(f: Callable[..., Any]) -> Compiled:
    """Compile a function of tensors; usable as a decorator.

    Arrays and numbers among the arguments (in any nesting of containers and modules) are inputs
    of the compiled program; other arguments must be hashable and lead to a program of their own
    for each value, as do arrays of other shapes and dtypes. A Python number is an input too: a
    float32 or int64 scalar inside. A function that closes over tensors that require a gradient is
    not compiled: it runs as it is.

    >>> import kedja as kj
    >>> @kj.jit
    ... def f(x):
    ...     return kj.sum(x * x)
    >>> f(kj.tensor([1.0, 2.0])).item()
    5.0
    """
    return Compiled(f)
