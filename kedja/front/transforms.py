"""Functions of functions: grad, value_and_grad, jvp, vjp. All of them compose.

They build graphs and compute nothing: a gradient is a tensor like any other, which can be
differentiated again, compiled, printed and explained. Next: `jit.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from itertools import islice
from typing import Any, NamedTuple, TypeVar

from kedja.autodiff import forward, reverse
from kedja.front import arithmetic, tree
from kedja.front.tensor import Tensor, as_tensor, followed, from_node, marked
from kedja.ground.dtypes import is_float
from kedja.ground.errors import DtypeError, GradientError, UsageError
from kedja.ir.graph import Node, apply, locating, topological, zeros_like

Function = Callable[..., Any]
T = TypeVar("T")


def grad(f: Function, argnums: int | Sequence[int] = 0, *, has_aux: bool = False) -> Function:
    """The gradient of a scalar function with respect to some of its arguments.

    The result has the structure of the argument (an array, a module, a nested dict …). Where the
    value does not depend on a leaf, its gradient is zero, as it is at fixed leaves (the buffers and
    frozen parameters of modules), which are not differentiated and may have any dtype. With
    `has_aux`, f returns a pair, of which the second is handed on: `(gradient, aux)`.

    `argnums` are places of positional arguments; several give a tuple of gradients. Raises
    GradientError where f does not return a scalar, DtypeError where an argument is no float.

    >>> import kedja as kj
    >>> kj.grad(lambda x: x**3)(2.0).item()
    12.0
    >>> kj.grad(kj.grad(lambda x: x**3))(2.0).item()
    12.0
    """
    both = value_and_grad(f, argnums, has_aux=has_aux)

    @wraps(f)
    def gradient(*args: Any, **kwargs: Any) -> Any:
        value, found = both(*args, **kwargs)
        return (found, value[1]) if has_aux else found

    return gradient


def value_and_grad(
    f: Function, argnums: int | Sequence[int] = 0, *, has_aux: bool = False
) -> Function:
    """As `grad`, returning `(value, gradient)`; with `has_aux`, `((value, aux), gradient)`.

    With `has_aux`, f returns a pair of which only the first is differentiated. Raises
    GradientError where f does not return a scalar, DtypeError where an argument is no float.
    """

    @wraps(f)
    def both(*args: Any, **kwargs: Any) -> Any:
        places = (argnums,) if isinstance(argnums, int) else tuple(argnums)
        with locating():
            given, moved = copied(args, places)
        flat = [node for each in given for node in each.copies]
        with following(flat):
            result = f(*moved, **kwargs)
        value, aux = result if has_aux else (result, None)
        with locating():
            output = _scalar_node(value)
        trees = _regrouped(_gradients([output], None, flat), given)
        answer = trees[0] if isinstance(argnums, int) else tuple(trees)
        return settled((((value, aux) if has_aux else value), answer))

    return both


@contextmanager
def following(copies: Sequence[Node]) -> Iterator[None]:
    """While the function runs, what depends on these copies keeps its history."""
    followed.update(copies)
    try:
        yield
    finally:
        followed.difference_update(copies)


def settled(results: T) -> T:
    """The results, which keep their history only for leaves and transformations outside."""
    tensors = [leaf for leaf in tree.leaves(results) if isinstance(leaf, Tensor)]
    tracks = bool(marked or followed) and any(
        node in marked or node in followed for node in topological(arithmetic.nodes(tensors))
    )
    for each in tensors:
        if each.node.inputs:  # a leaf that was returned as it is stays what it is
            each.tracks = tracks
    return results


def _gradients(
    outputs: Sequence[Node], cotangents: Sequence[Node] | None, wrt: Sequence[Node]
) -> list[Tensor]:
    """Reverse mode's answers (from a cotangent of one for a scalar), zeros where there are none."""
    if cotangents is None:
        found = reverse.gradient(outputs[0], wrt)
    else:
        found = reverse.vjp(outputs, cotangents, wrt)
    return [from_node(zeros_like(n) if g is None else g) for n, g in zip(wrt, found, strict=True)]


class Argument(NamedTuple):
    """An argument taken apart: its leaves, and fresh copies of those that are differentiated."""

    leaves: list[Any]
    structure: tree.Structure
    trainable: list[bool]
    copies: list[Node]

    def filled(self, tensors: Iterable[Any], fixed: Callable[[Any], Any]) -> Any:
        """A tree like the argument: these at the differentiated leaves, `fixed(leaf)` elsewhere."""
        given = iter(tensors)
        pairs = zip(self.leaves, self.trainable, strict=True)
        filled = [next(given) if wanted else fixed(leaf) for leaf, wanted in pairs]
        return tree.unflatten(self.structure, filled)


def copied(args: Sequence[Any], places: Sequence[int]) -> tuple[list[Argument], list[Any]]:
    """The differentiated arguments taken apart, and all arguments with copies of their leaves."""
    moved, found = list(args), []
    for place in places:
        if not -len(args) <= place < len(args):
            raise UsageError(f"argnums {place} of a call with {len(args)} arguments")
        leaves, structure = tree.flatten(args[place])
        mask = tree.trainable(structure)
        wanted = [leaf for leaf, wanted in zip(leaves, mask, strict=True) if wanted]
        copies = [apply("copy", _differentiable(leaf).node) for leaf in wanted]
        argument = Argument(leaves, structure, mask, copies)
        moved[place] = argument.filled(
            (from_node(node, tracks=True) for node in copies), lambda leaf: leaf
        )
        found.append(argument)
    return found, moved


def _differentiable(leaf: Any) -> Tensor:
    tensor = as_tensor(leaf)
    if not is_float(tensor.dtype):
        raise DtypeError(
            f"a gradient with respect to {tensor.dtype.name}",
            fix="give floats, such as 2.0 for 2, or choose other argnums",
        )
    return tensor


def _scalar_node(value: Any) -> Node:
    if not isinstance(value, Tensor):
        raise GradientError(
            f"the function returned {type(value).__name__}, not a tensor",
            fix="return a scalar tensor",
        )
    if value.shape != () or not is_float(value.dtype):
        raise GradientError(
            f"the function returned {value.node.type}, not a float scalar",
            fix="reduce it with sum or mean before returning it",
        )
    return value.node


def _regrouped(tensors: Sequence[Tensor], given: Sequence[Argument]) -> list[Any]:
    """One tree for each argument, with zeros at its fixed leaves."""
    remaining = iter(tensors)
    return [each.filled(islice(remaining, len(each.copies)), _zero) for each in given]


def _zero(leaf: Any) -> Tensor:
    return from_node(zeros_like(as_tensor(leaf).node))


def jvp(f: Function, primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """f(primals) and J·tangents, both of the structure that f returns (forward mode).

    >>> import kedja as kj
    >>> value, tangent = kj.jvp(kj.sin, (0.0,), (1.0,))
    >>> tangent.item()
    1.0
    """
    with locating():
        arguments, moved = copied(primals, range(len(primals)))
        flat = [node for each in arguments for node in each.copies]
        given = _moving(arguments, tree.leaves(tuple(tangents)))
        _require_fit("tangents", given, flat)
    with following(flat):
        outputs, structure = tree.flatten(f(*moved))
    pairs = dict(zip(flat, arithmetic.nodes(given), strict=True))
    moved_outputs = forward.jvp([as_tensor(each).node for each in outputs], pairs)
    tangent = tree.unflatten(structure, [from_node(node) for node in moved_outputs])
    return settled((tree.unflatten(structure, outputs), tangent))


def vjp(f: Function, *primals: Any) -> tuple[Any, Function]:
    """f(primals), and the function that takes a cotangent g to Jᵀ·g for each primal.

    >>> import kedja as kj
    >>> value, pull = kj.vjp(lambda a, b: a * b, 2.0, 5.0)
    >>> [each.item() for each in pull(1.0)]
    [5.0, 2.0]
    """
    with locating():
        arguments, moved = copied(primals, range(len(primals)))
    flat = [node for each in arguments for node in each.copies]
    with following(flat):
        value = f(*moved)
    outputs = [as_tensor(each).node for each in tree.leaves(value)]

    def pull(cotangents: Any) -> tuple[Any, ...]:
        given = [as_tensor(leaf) for leaf in tree.leaves(cotangents)]
        with locating():
            _require_fit("cotangents", given, outputs)
        tensors = _gradients(outputs, arithmetic.nodes(given), flat)
        return settled(tuple(_regrouped(tensors, arguments)))

    return settled(value), pull


def _moving(arguments: Sequence[Argument], tangents: Sequence[Any]) -> list[Tensor]:
    """The tangents of the differentiated leaves; those of fixed leaves are not looked at."""
    mask = [wanted for each in arguments for wanted in each.trainable]
    if len(mask) != len(tangents):
        return [as_tensor(each) for each in tangents]  # an error, which `_require_fit` raises
    return [as_tensor(each) for each, wanted in zip(tangents, mask, strict=True) if wanted]


def _require_fit(what: str, given: Sequence[Tensor], nodes: Sequence[Node]) -> None:
    theirs, ours = [each.node.type for each in given], [node.type for node in nodes]
    if theirs != ours:
        raise UsageError(
            f"{what} {', '.join(map(str, theirs))} for {', '.join(map(str, ours))}",
            fix=f"{what} have the shapes and dtypes of what they belong to",
        )
