"""Functions with derivatives of one's own: `custom_vjp` and `custom_jvp`, as JAX names them.

The function itself computes values; the rule that is given beside it is traced where a derivative
is taken, and takes the place of the function's own. Not here: rules of ops (`kedja/ops`).
Next: `jit.py`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import update_wrapper
from typing import Any

from kedja.front import tree
from kedja.front.control import ARRAYS, Body, traced
from kedja.front.tensor import Tensor, as_tensor, followed, from_node, marked
from kedja.ground.errors import GradientError, ShapeError, UsageError
from kedja.ir.graph import Node, apply, locating, parts, topological
from kedja.ops.control import Own

Function = Callable[..., Any]


class _Custom:
    """What both decorators share: the call, in which the function becomes one node."""

    rule = ""  # the method that gives the rule
    __name__: str

    def __init__(self, f: Function, nondiff_argnums: Sequence[int] = ()) -> None:
        self._f = f
        self._static = tuple(nondiff_argnums)
        update_wrapper(self, f, updated=())

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        with locating():
            given = _positional(self._f, args, kwargs)
            self._require_rule()
        moving = [arg for place, arg in enumerate(given) if place not in self._static]
        leaves, structure = tree.flatten(moving)
        tensors = [_tensor(leaf) for leaf in leaves]

        def rebuild(fresh: list[Tensor]) -> Any:
            return self._merged(given, tree.unflatten(structure, fresh))

        body = traced(self._f, [each.node.type for each in tensors], rebuild, once=True)
        with locating():
            _require_closed(body, self.__name__)
        constants = body.outside
        own = self._own(given, structure, body, len(tensors))
        node = apply(
            "custom",
            *(each.node for each in tensors),
            *constants,
            body=body.closed_over(constants),
            own=own,
        )
        tracks = body.tracks or any(each.tracks for each in tensors)
        return tree.unflatten(body.structure, [from_node(each, tracks) for each in parts(node)])

    def _merged(self, given: Sequence[Any], moving: Sequence[Any]) -> list[Any]:
        remaining = iter(moving)
        return [
            arg if place in self._static else next(remaining) for place, arg in enumerate(given)
        ]

    def _statics(self, given: Sequence[Any]) -> list[Any]:
        return [given[place] for place in self._static]

    def _require_rule(self) -> None:
        raise UsageError(f"{self.__name__} has no derivative rule", fix=f"give it with {self.rule}")

    def _own(self, given: Any, structure: tree.Structure, body: Body, count: int) -> Own:
        raise UsageError(f"{self.__name__} has no derivative rule")


def _positional(f: Function, args: Sequence[Any], kwargs: dict[str, Any]) -> list[Any]:
    """All arguments by their places, defaults filled in."""
    bound = inspect.signature(f).bind(*args, **kwargs)
    bound.apply_defaults()
    if bound.kwargs:
        raise UsageError(
            f"keyword-only arguments {', '.join(bound.kwargs)} of a function with its own rule",
            fix="make them positional, so that the rule has a place for each",
        )
    return list(bound.args)


def _tensor(leaf: Any) -> Tensor:
    if not isinstance(leaf, ARRAYS):
        raise UsageError(
            f"{type(leaf).__name__} as an argument that is differentiated",
            fix="name its place in nondiff_argnums",
        )
    return as_tensor(leaf)


def _require_closed(body: Body, name: str) -> None:
    """The rule knows the arguments alone: nothing else may need a gradient."""
    for node in topological(body.outside):
        if node in marked or node in followed:
            raise GradientError(
                f"{name} uses a tensor from outside that is being differentiated",
                fix="make it an argument, so that the rule has a cotangent for it",
            )


def _nodes(value: Any, like: Sequence[Node], what: str) -> list[Node]:
    """The leaves of what a rule returned; None stands for zeros."""
    found = []
    leaves = list(value)
    if len(leaves) != len(like):
        raise UsageError(f"{what}: {len(leaves)} leaves where {len(like)} are wanted")
    for leaf, node in zip(leaves, like, strict=True):
        tensor = as_tensor(leaf)
        if tensor.node.type != node.type:
            raise ShapeError(
                f"{what} is {tensor.node.type} where {node.type} is wanted",
                fix="a derivative has the shape and dtype of what it belongs to",
            )
        found.append(tensor.node)
    return found


def _zeros_for_none(tree_of: Any, structure: tree.Structure, like: Sequence[Node]) -> list[Any]:
    """The leaves of a tree shaped like the arguments, where whole arguments may be None."""
    leaves: list[Any] = []
    for child, value in zip(structure.children, tree_of, strict=True):
        mine = like[len(leaves) : len(leaves) + child.leaves]
        if value is None:
            leaves += [
                from_node(apply("full", value=0, shape=n.shape, dtype=n.dtype)) for n in mine
            ]
        else:
            leaves += tree.leaves(value)
    return leaves


class custom_vjp(_Custom):  # noqa: N801  JAX's name
    """A function whose reverse mode the user gives: `f.defvjp(fwd, bwd)`.

    `fwd(*args)` returns `(value, residuals)`; `bwd(residuals, cotangent)` returns a tuple with a
    cotangent for each argument (None for zero). Arguments whose places stand in
    `nondiff_argnums` are fixed values; `bwd` gets them first. Forward mode is refused.

    >>> import kedja as kj
    >>> @kj.custom_vjp
    ... def clipped(x):
    ...     return x
    >>> clipped.defvjp(lambda x: (x, None), lambda _, g: (kj.clip(g, -1.0, 1.0),))
    >>> kj.grad(lambda x: 5.0 * clipped(x))(2.0).item()
    1.0
    """

    rule = "defvjp"
    _pair: tuple[Function, Function] | None = None

    def defvjp(self, fwd: Function, bwd: Function) -> None:
        """The rule: values with residuals, and cotangents from them."""
        self._pair = (fwd, bwd)

    def _require_rule(self) -> None:
        if self._pair is None:
            super()._require_rule()

    def _own(self, given: Any, structure: tree.Structure, body: Body, count: int) -> Own:
        assert self._pair is not None
        fwd, bwd = self._pair

        def reverse(inputs: list[Node], gs: list[Node]) -> list[Node]:
            args = tree.unflatten(structure, [from_node(each) for each in inputs[:count]])
            _, residuals = fwd(*self._merged(given, args))
            g = tree.unflatten(body.structure, [from_node(each) for each in gs])
            found = bwd(*self._statics(given), residuals, g)
            if not isinstance(found, tuple) or len(found) != len(args):
                raise UsageError(
                    f"the reverse rule of {self.__name__} returned {type(found).__name__}",
                    fix=f"a tuple of {len(args)} cotangents, one for each argument",
                )
            mine = inputs[:count]
            leaves = _zeros_for_none(found, structure, mine)
            zeros = [_zero(each) for each in inputs[count:]]
            return [*_nodes(leaves, mine, f"a cotangent of {self.__name__}"), *zeros]

        return Own(self.__name__, reverse=reverse)


def _zero(node: Node) -> Node:
    return apply("full", value=0, shape=node.shape, dtype=node.dtype)


class custom_jvp(_Custom):  # noqa: N801  JAX's name
    """A function whose forward mode the user gives: `f.defjvp(rule)`; reverse mode transposes it.

    `rule(primals, tangents)` returns `(value, tangent)`; the tangent is linear in `tangents`.
    Arguments whose places stand in `nondiff_argnums` come first.

    >>> import kedja as kj
    >>> @kj.custom_jvp
    ... def double(x):
    ...     return x + x
    >>> double.defjvp(lambda primals, tangents: (double(*primals), 3.0 * tangents[0]))
    >>> kj.grad(double)(1.0).item()
    3.0
    """

    rule = "defjvp"
    _rule: Function | None = None

    def defjvp(self, rule: Function) -> None:
        """The rule: value and tangent from both."""
        self._rule = rule

    def _require_rule(self) -> None:
        if self._rule is None:
            super()._require_rule()

    def _own(self, given: Any, structure: tree.Structure, body: Body, count: int) -> Own:
        assert self._rule is not None
        rule = self._rule

        def forward(inputs: list[Node], tangents: list[Node]) -> list[Node]:
            pair = (
                tuple(tree.unflatten(structure, [from_node(each) for each in nodes[:count]]))
                for nodes in (inputs, tangents)
            )
            _, moved = rule(*self._statics(given), *pair)
            return _nodes(tree.leaves(moved), body.outputs, f"the tangent of {self.__name__}")

        return Own(self.__name__, forward=forward)
