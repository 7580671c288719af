"""Functions of functions: grad, value_and_grad, jvp, vjp. All of them compose.

They build graphs and compute nothing: a gradient is a tensor like any other, which can be
differentiated again, compiled, printed and explained. Next: `jit.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import Any, TypeVar

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
    value does not depend on a leaf, its gradient is zero.

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
            copies, structures, moved = _copied(args, places)
        flat = [node for group in copies for node in group]
        with _following(flat):
            result = f(*moved, **kwargs)
        value, aux = result if has_aux else (result, None)
        with locating():
            output = _scalar_node(value)
        trees = _regrouped(_gradients([output], None, flat), copies, structures)
        answer = trees[0] if isinstance(argnums, int) else tuple(trees)
        return _settled((((value, aux) if has_aux else value), answer))

    return both


@contextmanager
def _following(copies: Sequence[Node]) -> Iterator[None]:
    """While the function runs, what depends on these copies keeps its history."""
    followed.update(copies)
    try:
        yield
    finally:
        followed.difference_update(copies)


def _settled(results: T) -> T:
    """The results, which keep their history only for leaves and transformations outside."""
    tensors = [leaf for leaf in tree.leaves(results) if isinstance(leaf, Tensor)]
    tracks = bool(marked or followed) and any(
        node in marked or node in followed for node in topological(arithmetic.nodes(tensors))
    )
    for each in tensors:
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


def _copied(
    args: Sequence[Any], places: Sequence[int]
) -> tuple[list[list[Node]], list[tree.Structure], list[Any]]:
    """The arguments with fresh copies of the differentiated leaves, and these copies."""
    moved, copies, structures = list(args), [], []
    for place in places:
        if not -len(args) <= place < len(args):
            raise UsageError(f"argnums {place} of a call with {len(args)} arguments")
        leaves, structure = tree.flatten(args[place])
        nodes = [apply("copy", _differentiable(leaf).node) for leaf in leaves]
        fresh = [from_node(node, tracks=True) for node in nodes]
        moved[place] = tree.unflatten(structure, fresh)
        copies.append(nodes)
        structures.append(structure)
    return copies, structures, moved


def _differentiable(leaf: Any) -> Tensor:
    tensor = as_tensor(leaf)
    if not is_float(tensor.dtype):
        raise DtypeError(
            f"a gradient with respect to {tensor.dtype.name}",
            fix="differentiate with respect to floats; choose other argnums",
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


def _regrouped(
    tensors: Sequence[Tensor], copies: list[list[Node]], structures: list[tree.Structure]
) -> list[Any]:
    remaining = iter(tensors)
    return [
        tree.unflatten(structure, [next(remaining) for _ in group])
        for group, structure in zip(copies, structures, strict=True)
    ]


def jvp(f: Function, primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """f(primals) and J·tangents, both of the structure that f returns (forward mode).

    >>> import kedja as kj
    >>> value, tangent = kj.jvp(kj.sin, (0.0,), (1.0,))
    >>> tangent.item()
    1.0
    """
    with locating():
        copies, _, moved = _copied(primals, range(len(primals)))
        given = [as_tensor(leaf) for leaf in tree.leaves(tuple(tangents))]
        flat = [node for group in copies for node in group]
        _require_fit("tangents", given, flat)
    with _following(flat):
        outputs, structure = tree.flatten(f(*moved))
    pairs = dict(zip(flat, arithmetic.nodes(given), strict=True))
    moved_outputs = forward.jvp([as_tensor(each).node for each in outputs], pairs)
    tangent = tree.unflatten(structure, [from_node(node) for node in moved_outputs])
    return _settled((tree.unflatten(structure, outputs), tangent))


def vjp(f: Function, *primals: Any) -> tuple[Any, Function]:
    """f(primals), and the function that takes a cotangent g to Jᵀ·g for each primal.

    >>> import kedja as kj
    >>> value, pull = kj.vjp(lambda a, b: a * b, 2.0, 5.0)
    >>> [each.item() for each in pull(1.0)]
    [5.0, 2.0]
    """
    with locating():
        copies, structures, moved = _copied(primals, range(len(primals)))
    flat = [node for group in copies for node in group]
    with _following(flat):
        value = f(*moved)
    outputs = [as_tensor(each).node for each in tree.leaves(value)]

    def pull(cotangents: Any) -> tuple[Any, ...]:
        given = [as_tensor(leaf) for leaf in tree.leaves(cotangents)]
        with locating():
            _require_fit("cotangents", given, outputs)
        tensors = _gradients(outputs, arithmetic.nodes(given), flat)
        return _settled(tuple(_regrouped(tensors, copies, structures)))

    return _settled(value), pull


def _require_fit(what: str, given: Sequence[Tensor], nodes: Sequence[Node]) -> None:
    theirs, ours = [each.node.type for each in given], [node.type for node in nodes]
    if theirs != ours:
        raise UsageError(
            f"{what} {', '.join(map(str, theirs))} for {', '.join(map(str, ours))}",
            fix=f"{what} have the shapes and dtypes of what they belong to",
        )
