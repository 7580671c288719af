"""Matrices of derivatives: Jacobians, Hessians and products with them, of functions of trees.

Each is vjp or jvp for all rows or columns at once, batched as by `vmap`, not a loop. They are
tensors like others and can be differentiated again. Not here: gradients of scalars and single
products with a Jacobian (`transforms.py`). Next: `jit.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, Literal

from kedja.autodiff import forward, reverse
from kedja.autodiff.batch import batch
from kedja.front import tree
from kedja.front.batching import ARRAYS, moved
from kedja.front.tensor import Tensor, as_tensor, from_node
from kedja.front.transforms import Argument, copied, following, grad, jvp, settled
from kedja.ground.dtypes import int64, is_float
from kedja.ground.errors import GradientError, UsageError
from kedja.ground.suggest import did_you_mean
from kedja.ir.graph import Node, apply, full, locating, variable

Function = Callable[..., Any]
Argnums = int | Sequence[int]
Mode = Literal["auto", "forward", "reverse"]
MODES = ("auto", "forward", "reverse")


def jacobian(
    f: Function, argnums: Argnums = 0, *, mode: Mode = "auto", has_aux: bool = False
) -> Function:
    """The Jacobian ∂f_i/∂x_j of a function of any structure, for some of its arguments.

    The result has the structure of what f returns; in place of each of its leaves (of shape `out`)
    stands the structure of the argument (a tuple of them if `argnums` is a sequence), whose leaves
    have the shape `(*out, *in)`. Forward mode computes all columns at once, reverse mode all rows;
    "auto" takes the one with fewer. With `has_aux`, f returns a pair, of which only the first is
    differentiated, and the result is `(jacobian, aux)`.

    Raises GradientError where f returns no floats, DtypeError where an argument is none.

    >>> import kedja as kj
    >>> kj.jacobian(lambda x: x * x)(kj.tensor([1.0, 2.0])).tolist()
    [[2.0, 0.0], [0.0, 4.0]]
    """
    if mode not in MODES:
        raise UsageError(f"jacobian in mode {mode!r}", fix=did_you_mean(mode, MODES))

    @wraps(f, updated=())
    def matrix(*args: Any, **kwargs: Any) -> Any:
        places = (argnums,) if isinstance(argnums, int) else tuple(argnums)
        with locating():
            arguments, inside = copied(args, places)
        inputs = [node for each in arguments for node in each.copies]
        with following(inputs):
            result = f(*inside, **kwargs)
        value, aux = result if has_aux else (result, None)
        with locating():
            leaves, structure = tree.flatten(value)
            outputs = [_float_node(leaf) for leaf in leaves]
            blocks = _blocks(outputs, inputs, mode)
        rows = [_in_structure(y, mine, arguments) for y, mine in zip(outputs, blocks, strict=True)]
        filled = [row[0] if isinstance(argnums, int) else tuple(row) for row in rows]
        found = tree.unflatten(structure, filled)
        return settled((found, aux) if has_aux else found)

    return matrix


def jacrev(f: Function, argnums: Argnums = 0, *, has_aux: bool = False) -> Function:
    """`jacobian` in reverse mode: for functions with fewer outputs than inputs. JAX's name.

    >>> import kedja as kj
    >>> kj.jacrev(lambda x: kj.stack([x[0] * x[1], x[0]]))(kj.tensor([2.0, 3.0])).tolist()
    [[3.0, 2.0], [1.0, 0.0]]
    """
    return jacobian(f, argnums, mode="reverse", has_aux=has_aux)


def jacfwd(f: Function, argnums: Argnums = 0, *, has_aux: bool = False) -> Function:
    """`jacobian` in forward mode: for functions with fewer inputs than outputs. JAX's name.

    >>> import kedja as kj
    >>> kj.jacfwd(lambda t: kj.stack([t * t, kj.sin(t)]))(0.0).tolist()
    [0.0, 1.0]
    """
    return jacobian(f, argnums, mode="forward", has_aux=has_aux)


def hessian(f: Function, argnums: Argnums = 0, *, has_aux: bool = False) -> Function:
    """The matrix ∂²f/∂x_i∂x_j of second derivatives: forward mode over reverse mode.

    In place of each leaf of what f returns (usually a scalar) stands the structure of the argument,
    and in place of each of its leaves that structure again, with shapes `(*out, *in, *in)`.

    >>> import kedja as kj
    >>> kj.hessian(lambda x: x[0] ** 2 * x[1])(kj.tensor([3.0, 5.0])).tolist()
    [[10.0, 6.0], [6.0, 0.0]]
    """
    return jacfwd(jacrev(f, argnums, has_aux=has_aux), argnums, has_aux=has_aux)


def hvp(f: Function, primals: Sequence[Any], tangents: Sequence[Any]) -> Any:
    """The Hessian of a scalar function times a vector, H·t, at about twice the cost of a gradient.

    The matrix is never there: it is the tangent of the gradient. For one primal the product has its
    structure; for several it is a tuple with one for each.

    Source: B. Pearlmutter: Fast exact multiplication by the Hessian, 1994.

    >>> import kedja as kj
    >>> x, t = kj.tensor([3.0, 5.0]), kj.tensor([1.0, 0.0])
    >>> kj.hvp(lambda x: x[0] ** 2 * x[1], (x,), (t,)).tolist()
    [10.0, 6.0]
    """
    argnums = 0 if len(primals) == 1 else tuple(range(len(primals)))
    return jvp(grad(f, argnums), primals, tangents)[1]


# ----------------------------------------------------------------------------------- blocks

Block = list[Node]  # for one output: its derivative by each input, of shape (*out, *in)


def _float_node(leaf: Any) -> Node:
    tensor = as_tensor(leaf) if isinstance(leaf, ARRAYS) else None
    if tensor is None or not is_float(tensor.dtype):
        kind = type(leaf).__name__ if tensor is None else str(tensor.node.type)
        raise GradientError(
            f"the function of a Jacobian returned {kind}",
            fix="return float tensors; with has_aux=True the second of a pair may be anything",
        )
    return tensor.node


def _blocks(outputs: Sequence[Node], inputs: Sequence[Node], mode: str) -> list[Block]:
    if mode == "auto":
        rows, columns = (sum(n.type.size for n in nodes) for nodes in (outputs, inputs))
        mode = "forward" if columns < rows else "reverse"
    if mode == "reverse":
        return [_rows(output, inputs) for output in outputs]
    by_input = [_columns(outputs, each) for each in inputs]
    return [[columns[place] for columns in by_input] for place in range(len(outputs))]


def _rows(output: Node, inputs: Sequence[Node]) -> Block:
    """Reverse mode from each element of the output at once."""
    size, shape = output.type.size, output.shape
    if size == 1:
        found = reverse.vjp([output], [full(1, shape, output.dtype)], inputs)
    else:
        g = variable("g", output.type)
        single = reverse.vjp([output], [g], inputs)
        there = [each for each in single if each is not None]
        rows = iter(batch(there, {g: _basis(output)}, size))
        found = [None if each is None else next(rows) for each in single]
    wanted = [(*shape, *each.shape) for each in inputs]
    return [
        full(0, target, each.dtype) if rows is None else apply("reshape", rows, shape=target)
        for rows, each, target in zip(found, inputs, wanted, strict=True)
    ]


def _columns(outputs: Sequence[Node], x: Node) -> list[Node]:
    """Forward mode along each element of an input at once: a block for each output."""
    size, ranks = x.type.size, [len(y.shape) for y in outputs]
    if size == 1:
        found = forward.jvp(outputs, {x: full(1, x.shape, x.dtype)})
    else:
        t = variable("t", x.type)
        columns = batch(forward.jvp(outputs, {x: t}), {t: _basis(x)}, size)
        found = [moved(each, 0, rank) for each, rank in zip(columns, ranks, strict=True)]
    return [
        apply("reshape", each, shape=(*y.shape, *x.shape))
        for each, y in zip(found, outputs, strict=True)
    ]


def _basis(node: Node) -> Node:
    """1 at one place and 0 at all others, for each place of a node: (n, *shape)."""
    n = node.type.size
    row, column = (apply("iota", shape=(n, n), axis=axis, dtype=int64) for axis in (0, 1))
    ones = apply("cast", apply("equal", row, column), dtype=node.dtype)
    return apply("reshape", ones, shape=(n, *node.shape))


def _in_structure(output: Node, block: Block, arguments: Sequence[Argument]) -> list[Any]:
    """The derivatives of one output as trees like the arguments, zeros at fixed leaves."""
    nodes = iter(block)

    def fixed(leaf: Any) -> Tensor:
        like = as_tensor(leaf).node
        return from_node(full(0, (*output.shape, *like.shape), like.dtype))

    return [each.filled([from_node(next(nodes)) for _ in each.copies], fixed) for each in arguments]
