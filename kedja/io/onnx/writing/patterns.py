"""Groups of ops that ONNX has as one operator: means, norms, layers with their bias, poolings.

Each pattern looks at the last op of its group and gives a choice, or None where it does not fit;
then the ops are written one by one, with the same meaning. Next: `rules.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from kedja.ground.dtypes import float32, float64
from kedja.io.onnx.writing import reduce, spatial
from kedja.io.onnx.writing.selection import Choice, Context, Name
from kedja.ir.graph import Node
from kedja.ops.reduce import kept_shape

Pattern = Callable[[Context, Node], Choice | None]

REDUCTIONS = {
    "sum": "ReduceSum",
    "prod": "ReduceProd",
    "max": "ReduceMax",
    "min": "ReduceMin",
    "logsumexp": "ReduceLogSumExp",
}


def is_alone(context: Context, node: Node) -> bool:
    """Whether one node alone takes this one."""
    return context.alignment.users[node] <= 1


def unrepeated(node: Node) -> Node:
    """What a node repeats."""
    while node.op.name == "broadcast":
        node = node.inputs[0]
    return node


def either(node: Node, op: str) -> tuple[Node, Node] | None:
    """The operand of that op, and the other one."""
    a, b = node.inputs
    if a.op.name == op:
        return a, b
    return (b, a) if b.op.name == op else None


# ------------------------------------------------------------------------------------- means


class Mean(NamedTuple):
    """A mean of x over some axes, which are kept or dropped."""

    x: Node
    axes: tuple[int, ...]
    kept: bool


def mean_of(context: Context, node: Node) -> Mean | None:
    """The mean that a division is."""
    if node.op.name != "divide":
        return None
    total, number = node.inputs
    kept = total.op.name == "reshape"
    source = total.inputs[0] if kept else total
    if source.op.name != "sum":
        return None
    x, axes = source.inputs[0], source.attrs["axes"]
    twins = zip(context.alignment.twins(x), context.alignment.twins(number), strict=True)
    if number.op.name != "full" or not all(_counts(*pair, axes) for pair in twins):
        return None
    if kept and total.shape != kept_shape(x.shape, axes):
        return None
    return Mean(x, axes, kept)


def _counts(x: Node, number: Node, axes: tuple[int, ...]) -> bool:
    return bool(number.attrs["value"] == math.prod(x.shape[axis] for axis in axes))


def mean(context: Context, node: Node) -> Choice | None:
    """ReduceMean."""
    found = mean_of(context, node)
    if found is None or pooled(context, node) is not None:
        return None
    axes, keepdims = list(found.axes), int(found.kept)

    def emit(c: Context, x: Name) -> Name:
        return c.writer.add("ReduceMean", [x, c.writer.ints(axes)], keepdims=keepdims)

    return Choice((found.x,), emit)


def kept_axes(context: Context, node: Node) -> Choice | None:
    """A reduction that keeps its axes."""
    source = node.inputs[0]
    if source.op.name not in REDUCTIONS or not is_alone(context, source):
        return None
    if node.shape != kept_shape(source.inputs[0].shape, source.attrs["axes"]):
        return None
    return reduce.reduced(REDUCTIONS[source.op.name], source, keepdims=1)


# ------------------------------------------------------------------------------------- norms


class Normed(NamedTuple):
    """(x − mean)/√(var + epsilon), with the nodes that mean and variance come from."""

    x: Node
    mean: Node
    var: Node
    epsilon: float


def normed(context: Context, node: Node) -> Normed | None:
    """The normalisation that a division is."""
    apart, root = node.inputs[0], unrepeated(node.inputs[1])
    if apart.op.name != "subtract" or root.op.name != "sqrt":
        return None
    spread = root.inputs[0]
    if spread.op.name != "add" or spread.inputs[1].op.name != "full":
        return None
    epsilon = context.scalar(spread.inputs[1])
    if epsilon is None:
        return None
    x, middle = apart.inputs
    return Normed(x, unrepeated(middle), spread.inputs[0], float(epsilon))


class Scaled(NamedTuple):
    """value·weight + bias."""

    value: Node
    weight: Node
    bias: Node | None


def scaled(node: Node, name: str) -> Scaled | None:
    """The scaling of what an op of that name gives that a sum or a product is."""
    bias = None
    if node.op.name == "add":
        found = either(node, "multiply")
        if found is None:
            return None
        node, bias = found[0], unrepeated(found[1])
    if node.op.name != "multiply":
        return None
    found = either(node, name)
    return None if found is None else Scaled(found[0], unrepeated(found[1]), bias)


def layer_norm(context: Context, node: Node) -> Choice | None:
    """LayerNormalization over the last axes."""
    scale = scaled(node, "standardize")
    if scale is None:
        return None
    (x,), axes = scale.value.inputs, scale.value.attrs["axes"]
    rank = len(x.shape)
    first = rank - len(axes)
    arrays = [scale.weight] if scale.bias is None else [scale.weight, scale.bias]
    shapes = all(each.shape == x.shape[first:] for each in arrays)
    if not shapes or axes != tuple(range(first, rank)):
        return None
    given = {"axis": first - rank, "epsilon": scale.value.attrs["epsilon"]}
    inputs = (x, *arrays)
    return Choice(inputs, lambda c, *names: c.writer.add("LayerNormalization", names, **given))


def batch_norm(context: Context, node: Node) -> Choice | None:
    """BatchNormalization by running statistics."""
    scale = scaled(node, "divide")
    norm = None if scale is None else normed(context, scale.value)
    if scale is None or norm is None or scale.bias is None or len(norm.x.shape) < 2:
        return None
    found = [channels(each, norm.x) for each in (scale.weight, scale.bias, norm.mean, norm.var)]
    arrays = [each for each in found if each is not None]
    if len(arrays) < 4 or node.dtype not in (float32, float64):
        return None
    epsilon = norm.epsilon

    def emit(c: Context, *names: Name) -> Name:
        return c.writer.add("BatchNormalization", names, epsilon=epsilon)

    return Choice((norm.x, *arrays), emit)


def channels(node: Node, x: Node) -> Node | None:
    """The line of numbers, one for each channel of x, that a node is in another shape."""
    tail = (1,) * (len(x.shape) - 2)
    if node.op.name == "reshape" and node.shape in ((1, x.shape[1], *tail), (x.shape[1], *tail)):
        source = node.inputs[0]
        return source if source.shape == x.shape[1:2] else None
    return node if not tail and node.shape == x.shape[1:2] else None


def rms_norm(context: Context, node: Node) -> Choice | None:
    """RMSNormalization, which ONNX has since version 23."""
    scale = scaled(node, "divide")
    if scale is None or scale.bias is not None or context.opset < 23:
        return None
    x, root = scale.value.inputs[0], unrepeated(scale.value.inputs[1])
    if root.op.name != "sqrt" or root.inputs[0].op.name != "add":
        return None
    spread, small = root.inputs[0].inputs
    epsilon, square = context.scalar(small), mean_of(context, spread)
    if epsilon is None or square is None or not square.kept:
        return None
    rank = len(x.shape)
    first = rank - len(square.axes)
    is_square = square.x.op.name == "multiply" and square.x.inputs == (x, x)
    if not is_square or square.axes != tuple(range(first, rank)):
        return None
    if scale.weight.shape != x.shape[first:]:
        return None
    given = {"axis": first - rank, "epsilon": float(epsilon)}
    inputs = (x, scale.weight)
    return Choice(inputs, lambda c, *names: c.writer.add("RMSNormalization", names, **given))


def instance_norm(context: Context, node: Node) -> Choice | None:
    """InstanceNormalization: the mean of each example and channel, with a scale and a bias."""
    scale = scaled(node, "standardize")
    if scale is None or scale.bias is None or node.dtype != float32:
        return None
    (x,), axes = scale.value.inputs, scale.value.attrs["axes"]
    arrays = [channels(each, x) for each in (scale.weight, scale.bias)]
    if len(x.shape) < 3 or axes != tuple(range(2, len(x.shape))) or None in arrays:
        return None
    epsilon = scale.value.attrs["epsilon"]
    inputs = (x, *(each for each in arrays if each is not None))

    def emit(c: Context, *names: Name) -> Name:
        return c.writer.add("InstanceNormalization", names, epsilon=epsilon)

    return Choice(inputs, emit)


# --------------------------------------------------------------------------------- attention


def attention(context: Context, node: Node) -> Choice | None:
    """Attention with a mask of truth or none, which ONNX has since version 23."""
    weights, v = node.inputs
    if context.opset < 23 or len(node.shape) != 4 or weights.op.name != "softmax":
        return None
    scores, mask = weights.inputs[0], None
    if scores.op.name == "where" and context.scalar(scores.inputs[2]) == -math.inf:
        mask, scores = unrepeated(scores.inputs[0]), scores.inputs[1]
    if weights.attrs["axes"] != (3,) or scores.op.name != "matmul":
        return None
    scaled_q, turned = scores.inputs
    if scaled_q.op.name != "multiply" or turned.op.name != "transpose":
        return None
    scale = context.scalar(scaled_q.inputs[1])
    if scale is None or turned.attrs["axes"] != (0, 1, 3, 2):
        return None
    inputs = [scaled_q.inputs[0], turned.inputs[0], v, *([] if mask is None else [mask])]
    given = {"scale": float(scale)}
    return Choice(tuple(inputs), lambda c, *names: c.writer.add("Attention", names, **given))


# ------------------------------------------------------------------------ layers and their bias


def convolution_and_bias(context: Context, node: Node) -> Choice | None:
    """Conv and ConvTranspose with a bias."""
    found = either(node, "convolution")
    if found is None or not is_alone(context, found[0]):
        return None
    bias = channels(unrepeated(found[1]), node)
    return None if bias is None else spatial.convolution(context, found[0], bias)


def product_and_bias(context: Context, node: Node) -> Choice | None:
    """Gemm: a product of matrices with a bias."""
    found = either(node, "matmul")
    if found is None or len(node.shape) != 2 or node.dtype not in (float32, float64):
        return None
    product, bias = found[0], unrepeated(found[1])
    if bias.shape != node.shape[1:] or not is_alone(context, product):
        return None
    x, w = product.inputs
    turned = int(w.op.name == "transpose") or None
    inputs = (x, w.inputs[0] if turned else w, bias)
    return Choice(inputs, lambda c, *names: c.writer.add("Gemm", names, transB=turned))


def product_of_rows(context: Context, node: Node) -> Choice | None:
    """A product of many rows by a matrix, with the axes of the rows as they were."""
    product = node.inputs[0]
    if product.op.name != "matmul" or len(product.shape) != 2 or not is_alone(context, product):
        return None
    rows, w = product.inputs
    if rows.op.name != "reshape" or len(rows.inputs[0].shape) < 2:
        return None
    x = rows.inputs[0]
    if node.shape != (*x.shape[:-1], w.shape[-1]) or x.shape[-1] != rows.shape[-1]:
        return None
    return Choice((x, w), lambda c, *names: c.writer.add("MatMul", names))


# ----------------------------------------------------------------------------------- pooling


def pooled(context: Context, node: Node) -> Choice | None:
    """AveragePool."""
    if node.op.name != "divide":
        return None
    found = spatial.pooled_mean(context, node.inputs[0])
    if found is None:
        return None
    size = math.prod(node.inputs[0].inputs[0].attrs["kernel"])
    return found if context.scalar(node.inputs[1]) == size else None


PATTERNS: dict[str, tuple[Pattern, ...]] = {
    "add": (layer_norm, batch_norm, instance_norm, convolution_and_bias, product_and_bias),
    "multiply": (layer_norm, rms_norm),
    "matmul": (attention,),
    "divide": (pooled, mean),
    "reshape": (kept_axes, product_of_rows),
    "sum": (spatial.summed,),
}
