"""When what runs: values of nodes outside `jit`, and `loss.backward()`.

A graph that is looked at runs in the interpreter at once; with the flag `tier="compile"` it is
compiled first. What compiles is our own compiler for CPUs, or XLA (the flag `backend`).
Next: `jit.py`.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

from kedja.autodiff.reverse import vjp
from kedja.front import given
from kedja.front import tensor as front
from kedja.ground.errors import GradientError, ShapeError
from kedja.ground.flags import flags, process_flags
from kedja.ground.report import TIMINGS
from kedja.interpret import reference
from kedja.ir.graph import Node, constant, topological

if TYPE_CHECKING:
    from kedja.front.tensor import Tensor

COMPILERS = {"cpu": "kedja.compiler.pipeline", "xla": "kedja.xla.program"}

_traced: WeakKeyDictionary[Node, bool] = WeakKeyDictionary()


def is_traced(node: Node) -> bool:
    """Whether a node depends on an input that has no value yet."""
    if node not in _traced:
        for each in topological([node], leaves=_traced):
            if each not in _traced:
                below = any(_traced[other] for other in each.inputs)
                _traced[each] = below or each.op.name == "input"
    return _traced[node]


def value(node: Node) -> np.ndarray:
    """The value of one node."""
    return values([node])[0]


def values(nodes: Sequence[Node]) -> list[np.ndarray]:
    """The values of several nodes, computed together."""
    if flags().tier == "compile" and not any(is_traced(node) for node in nodes):
        found: list[np.ndarray] = compiler().compile_and_run(nodes)
        return found
    return reference.run(nodes)


def compiler(backend: str | None = None) -> Any:
    """The compiler of a backend, by default the flag's; loaded when it is first needed.

    So importing kedja stays cheap. Both offer `compile` and `compile_and_run`.
    """
    if process_flags().debug >= TIMINGS:
        importlib.import_module("kedja.front.profile").profile_for_debugging()
    return importlib.import_module(COMPILERS[backend or flags().backend])


def backward(loss: Tensor, gradient: Any, retain: bool) -> None:
    """See `Tensor.backward`."""
    if loss.is_freed:
        raise GradientError(
            "the history of this tensor was freed by an earlier backward()",
            fix="compute the loss again, or call the first backward(retain=True)",
        )
    order = topological([loss.node])
    leaves = [node for node in order if node in front.marked]
    if not (leaves or loss.tracks):  # leaves that nobody holds any more are no mistake
        raise GradientError(
            "no tensor that requires a gradient leads to this one",
            fix="make the parameters with requires_grad=True",
        )
    start = _start(loss, gradient)
    grads = vjp([loss.node], [start], leaves)
    reached = [(leaf, g) for leaf, g in zip(leaves, grads, strict=True) if g is not None]
    found = values([loss.node, *(g for _, g in reached)])
    for (leaf, _), each in zip(reached, found[1:], strict=True):
        _accumulate(front.marked[leaf], each)
    loss._value = found[0]
    if not retain:
        _free(loss)


def _start(loss: Tensor, gradient: Any) -> Node:
    if gradient is None:
        if loss.size != 1:
            raise GradientError(
                f"backward() of shape {list(loss.shape)}",
                fix="reduce it to a scalar first (sum, mean), or pass the gradient",
            )
        return constant(np.ones(loss.shape, loss.dtype))
    array = given.to_array(gradient, loss.dtype)
    if array.shape != loss.shape:
        raise ShapeError(f"a gradient of shape {list(array.shape)} for {list(loss.shape)}")
    return constant(array)


def _accumulate(leaf: Tensor, g: np.ndarray) -> None:
    leaf.grad = front.from_value(g if leaf.grad is None else leaf.grad.numpy() + g)


def _free(loss: Tensor) -> None:
    """The loss keeps its value and forgets how it was computed."""
    assert loss._value is not None
    loss.forget(freed=True)
    loss.tracks = False
