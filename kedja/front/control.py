"""Functions with functions inside: scan, while_loop, fori_loop, cond, checkpoint.

Each traces its functions once into closed graphs, whose arguments are trees of tensors; what a
function uses from outside becomes an argument too, so that gradients reach it. Not here:
derivatives of one's own (`custom.py`). Next: `jit.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, NamedTuple

import numpy as np

from kedja.front import ambient, tree
from kedja.front.tensor import Tensor, as_tensor, from_node
from kedja.ground.dtypes import bool_
from kedja.ground.errors import ShapeError, TracingError, UsageError
from kedja.ir.graph import Graph, Node, apply, locating, parts, topological
from kedja.ir.graph import variable as new_variable
from kedja.ir.op import Type
from kedja.ops.inner import closed, dependent

ARRAYS = (Tensor, np.ndarray, np.generic, bool, int, float)


class Body(NamedTuple):
    """A function as a closed graph: its own inputs, then what it uses from outside."""

    inputs: list[Node]
    outputs: list[Node]
    structure: tree.Structure
    tracks: bool

    @property
    def outside(self) -> list[Node]:
        """The nodes from outside that the function uses: the largest that do not depend on it."""
        return outside(self.inputs, self.outputs)

    def closed_over(self, constants: Sequence[Node]) -> Graph:
        """The graph whose further inputs stand for `constants`."""
        return closed([*self.inputs, *constants], self.outputs)


def outside(inputs: Sequence[Node], outputs: Sequence[Node]) -> list[Node]:
    """Nodes on which a graph depends, beside its inputs, and that do not depend on these."""
    inside = dependent(outputs, inputs)
    found: dict[Node, None] = {}
    for node in topological(outputs, leaves=set(inputs)):
        if node in inside:
            found.update(dict.fromkeys(each for each in node.inputs if each not in inside))
    found.update(dict.fromkeys(node for node in outputs if node not in inside))
    return [node for node in found if node.op.name not in ("full", "iota")]


def traced(
    f: Callable[..., Any],
    types: Sequence[Type],
    rebuild: Callable[..., Any],
    *,
    once: bool = False,
) -> Body:
    """Call a function with tensors that have types but no values; `once`: it is no loop."""
    inputs = [new_variable(f"x{place}", each) for place, each in enumerate(types)]
    with ambient.tracing(open=once):
        result = f(*rebuild([from_node(node) for node in inputs]))
    leaves, structure = tree.flatten(result)
    tensors = [_returned(leaf) for leaf in leaves]
    tracks = any(each.tracks for each in tensors)
    return Body(inputs, [each.node for each in tensors], structure, tracks)


def _returned(leaf: Any) -> Tensor:
    if not isinstance(leaf, ARRAYS):
        raise TracingError(
            f"a traced function returned {type(leaf).__name__}",
            fix="return tensors, in lists, tuples, dicts or modules",
        )
    return as_tensor(leaf)


def _tensors(given: Any) -> tuple[list[Tensor], tree.Structure]:
    leaves, structure = tree.flatten(given)
    wrong = next((leaf for leaf in leaves if not isinstance(leaf, ARRAYS)), None)
    if wrong is not None:
        raise UsageError(
            f"{type(wrong).__name__} among the values of a loop or branch",
            fix="tensors, arrays and numbers, in lists, tuples, dicts or modules",
        )
    return [as_tensor(leaf) for leaf in leaves], structure


def _types(tensors: Sequence[Tensor]) -> list[Type]:
    return [each.node.type for each in tensors]


def _results(node: Node, tracks: bool) -> list[Tensor]:
    return [from_node(each, tracks) for each in parts(node)]


# ------------------------------------------------------------------------------------- scan


def scan(
    f: Callable[[Any, Any], tuple[Any, Any]],
    init: Any,
    xs: Any = None,
    length: int | None = None,
    *,
    reverse: bool = False,
) -> tuple[Any, Any]:
    """A loop of a fixed number of steps: `carry, y = f(carry, x)` for each x along axis 0.

    Returns the last carry and the ys, stacked along a new axis 0. `init` and `xs` are trees of
    tensors; the carry keeps its structure, shapes and dtypes. Without `xs`, `length` says how many
    steps there are. `reverse` goes from the last x to the first. The loop is compiled once,
    however many steps it has; all transformations go through it.

    Raises UsageError or ShapeError where lengths differ or a step changes the carry's types.

    >>> import kedja as kj
    >>> total, sums = kj.scan(lambda c, x: (c + x, c + x), 0.0, kj.tensor([1.0, 2.0, 3.0]))
    >>> total.item(), sums.tolist()
    (6.0, [1.0, 3.0, 6.0])
    """
    with locating():
        carry, carry_structure = _tensors(init)
        sequences, structure = _tensors(xs)
        steps = _length(sequences, length)
    n, m = len(carry), len(sequences)

    def rebuild(tensors: list[Tensor]) -> Any:
        slices = tree.unflatten(structure, tensors[n:])
        return tree.unflatten(carry_structure, tensors[:n]), slices

    slices = [Type(each.shape[1:], each.dtype) for each in sequences]
    body = traced(lambda c, x: _pair(f(c, x)), [*_types(carry), *slices], rebuild)
    with locating():
        _require_carry(body, carry_structure, carry)
        node, tracks = _loop(
            "scan",
            [*carry, *sequences],
            body,
            carries=n,
            sequences=m,
            length=steps,
            reverse=bool(reverse),
        )
    found = _results(node, tracks)
    last, ys = tree.unflatten(body.structure, found)
    return last, ys


def _pair(result: Any) -> tuple[Any, Any]:
    if not (isinstance(result, tuple) and len(result) == 2):
        raise UsageError(
            f"the step of a scan returned {type(result).__name__}",
            fix="return a pair: the new carry, and the y of this step (or None)",
        )
    return result


def _length(sequences: Sequence[Tensor], length: int | None) -> int:
    flat = [each for each in sequences if not each.ndim]
    if flat:
        raise ShapeError("scan over a scalar", fix="every array of xs has the steps as axis 0")
    lengths = {each.shape[0] for each in sequences} | ({length} if length is not None else set())
    if not lengths:
        raise UsageError("scan without xs and without length", fix="give the number of steps")
    if len(lengths) > 1:
        raise ShapeError(
            f"scan over arrays of {sorted(lengths)} steps", fix="axis 0 of all must be equal"
        )
    (steps,) = lengths
    if steps < 0:
        raise UsageError(f"scan of length {steps}")
    return steps


def _require_carry(body: Body, structure: tree.Structure, carry: Sequence[Tensor]) -> None:
    pair = body.structure.children
    if pair[0] != structure:
        raise UsageError(
            "a step returned a carry of another structure than it was given",
            fix="return the same nesting of lists, tuples, dicts and modules",
        )
    _require_types(carry, body.outputs[: len(carry)])


def _loop(name: str, given: Sequence[Tensor], body: Body, **attrs: Any) -> tuple[Node, bool]:
    """The node of an op with one body, and whether its results keep their history."""
    constants = body.outside
    inputs = [*(each.node for each in given), *constants]
    tracks = body.tracks or any(each.tracks for each in given)
    return apply(name, *inputs, body=body.closed_over(constants), **attrs), tracks


# ------------------------------------------------------------------------ while_loop, fori_loop


def while_loop(cond_fun: Callable[[Any], Any], body_fun: Callable[[Any], Any], init: Any) -> Any:
    """`carry = body_fun(carry)` as long as `cond_fun(carry)` holds; returns the last carry.

    The number of steps may depend on the data, also inside `jit`; forward mode goes through it,
    reverse mode needs `scan`, whose number of steps is fixed.

    >>> import kedja as kj
    >>> kj.while_loop(lambda x: x < 100, lambda x: x * 2, 3).item()
    192
    """
    with locating():
        carry, structure = _tensors(init)

    def rebuild(tensors: list[Tensor]) -> Any:
        return (tree.unflatten(structure, tensors),)

    body = traced(body_fun, _types(carry), rebuild)
    condition = traced(cond_fun, _types(carry), rebuild)
    with locating():
        if body.structure != structure:
            raise UsageError("a step returned a carry of another structure than it was given")
        _require_types(carry, body.outputs)
        _require_truth(condition)
        constants = list(dict.fromkeys([*condition.outside, *body.outside]))
        node = apply(
            "while_loop",
            *(each.node for each in carry),
            *constants,
            condition=condition.closed_over(constants),
            body=body.closed_over(constants),
            carries=len(carry),
        )
    tracks = body.tracks or any(each.tracks for each in carry)
    return tree.unflatten(structure, _results(node, tracks))


def _require_types(carry: Sequence[Tensor], outputs: Sequence[Node]) -> None:
    for place, (old, new) in enumerate(zip(carry, outputs, strict=True)):
        if old.node.type != new.type:
            raise ShapeError(
                f"a step turns leaf {place} of its carry from {old.node.type} into {new.type}",
                fix="cast or reshape it: every leaf of the carry keeps its shape and dtype",
            )


def _require_truth(condition: Body) -> None:
    if [node.type for node in condition.outputs] != [Type((), bool_)]:
        raise ShapeError(
            f"the condition of a loop gives {', '.join(str(n.type) for n in condition.outputs)}",
            fix="one truth value, as `x < 3` of a scalar: reduce it with kj.any or kj.all",
        )


def fori_loop(lower: int, upper: int, body_fun: Callable[[Any, Any], Any], init: Any) -> Any:
    """`carry = body_fun(i, carry)` for i from `lower` to `upper − 1`: a scan over these numbers.

    >>> import kedja as kj
    >>> kj.fori_loop(1, 5, lambda i, product: product * i, 1).item()
    24
    """
    if upper <= lower:
        return tree.map(as_tensor, init)
    numbers = Tensor(np.arange(lower, upper, dtype=np.int64))
    last, _ = scan(lambda carry, i: (body_fun(i, carry), None), init, numbers)
    return last


# ------------------------------------------------------------------------------------- cond


def cond(
    chosen: Any, true_fun: Callable[..., Any], false_fun: Callable[..., Any], *args: Any
) -> Any:
    """`true_fun(*args)` where a truth value holds, else `false_fun(*args)`: one of them is run.

    Both are traced and must return the same structure, shapes and dtypes. Under `vmap` with a
    batched choice both are computed and one is taken, example by example.

    >>> import kedja as kj
    >>> kj.cond(kj.tensor(True), lambda x: x + 1, lambda x: x - 1, 3).item()
    4
    """
    with locating():
        truth = as_tensor(chosen)
        if truth.shape != ():
            raise ShapeError(
                f"cond of {truth.node.type}", fix="one truth value; kj.where chooses by element"
            )
        operands, structure = _tensors(args)

    def rebuild(tensors: list[Tensor]) -> Any:
        return tree.unflatten(structure, tensors)

    yes, no = (traced(f, _types(operands), rebuild, once=True) for f in (true_fun, false_fun))
    with locating():
        _require_alike(yes, no)
        constants = list(dict.fromkeys([*yes.outside, *no.outside]))
        node = apply(
            "cond",
            truth.astype(bool_).node,
            *(each.node for each in operands),
            *constants,
            yes=yes.closed_over(constants),
            no=no.closed_over(constants),
        )
    tracks = yes.tracks or no.tracks or any(each.tracks for each in operands)
    return tree.unflatten(yes.structure, _results(node, tracks))


def _require_alike(yes: Body, no: Body) -> None:
    theirs = [[str(node.type) for node in body.outputs] for body in (yes, no)]
    if yes.structure != no.structure or theirs[0] != theirs[1]:
        raise ShapeError(
            f"the branches of cond return {', '.join(theirs[0])} and {', '.join(theirs[1])}",
            fix="both must return the same structure, shapes and dtypes",
        )


# ------------------------------------------------------------------------------- checkpoint


def checkpoint(f: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, whose inner values are computed again on the way back instead of kept.

    Saves memory for time: with it around each of the layers of a deep network, a training step
    keeps the values between the layers only. Usable as a decorator; `f` takes and returns trees.

    Source: T. Chen et al.: Training deep nets with sublinear memory cost (2016).

    >>> import kedja as kj
    >>> kj.grad(kj.checkpoint(lambda x: kj.sin(kj.sin(x))))(0.0).item()
    1.0
    """

    @wraps(f)
    def checkpointed(*args: Any, **kwargs: Any) -> Any:
        leaves, structure = tree.flatten((args, kwargs))
        places = [place for place, leaf in enumerate(leaves) if isinstance(leaf, ARRAYS)]
        given = [as_tensor(leaves[place]) for place in places]

        def rebuild(tensors: list[Tensor]) -> Any:
            filled = list(leaves)
            for place, each in zip(places, tensors, strict=True):
                filled[place] = each
            return tree.unflatten(structure, filled)

        body = traced(lambda a, k: f(*a, **k), _types(given), rebuild, once=True)
        node, tracks = _loop("checkpoint", given, body)
        return tree.unflatten(body.structure, _results(node, tracks))

    return checkpointed
