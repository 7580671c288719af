"""Convolutions as functions of tensors: `nn.functional.conv2d` and its like.

Names and arguments are those of `torch.nn.functional`. Not here: `kj.conv`, the same over any
number of axes (`kedja/front/convolution.py`), layers (`conv.py`). Next: `conv.py`.
Dimensions: N examples, C channels in, O out, G groups, K places in the kernel, S and P places in
and out along each spatial axis.
"""

from __future__ import annotations

from typing import Any

from kedja.front.convolution import conv, conv_transpose
from kedja.front.tensor import Tensor, as_tensor
from kedja.ground.errors import ShapeError
from kedja.ir.graph import locating


def conv1d(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """`kj.conv` over one spatial axis: x (N, C, S), `weight` (O, C/G, K) → (N, O, P)."""
    _require_axes("conv1d", weight, 1)
    return conv(x, weight, bias, stride, padding, dilation, groups)


def conv2d(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """`kj.conv` over two spatial axes: x (N, C, S, S), `weight` (O, C/G, K, K) → (N, O, P, P)."""
    _require_axes("conv2d", weight, 2)
    return conv(x, weight, bias, stride, padding, dilation, groups)


def conv3d(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """`kj.conv` over three spatial axes: x (N, C, S, S, S), `weight` (O, C/G, K, K, K)."""
    _require_axes("conv3d", weight, 3)
    return conv(x, weight, bias, stride, padding, dilation, groups)


def conv_transpose1d(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Tensor:
    """`kj.conv_transpose` over one spatial axis: x (N, C, S), `weight` (C, O/G, K) → (N, O, P)."""
    _require_axes("conv_transpose1d", weight, 1)
    return conv_transpose(x, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose2d(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Tensor:
    """`kj.conv_transpose` over two spatial axes: x (N, C, S, S), `weight` (C, O/G, K, K)."""
    _require_axes("conv_transpose2d", weight, 2)
    return conv_transpose(x, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose3d(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Tensor:
    """`kj.conv_transpose` over three axes: x (N, C, S, S, S), `weight` (C, O/G, K, K, K)."""
    _require_axes("conv_transpose3d", weight, 3)
    return conv_transpose(x, weight, bias, stride, padding, output_padding, groups, dilation)


def _require_axes(name: str, weight: Any, count: int) -> None:
    shape = as_tensor(weight).shape
    with locating():
        if len(shape) != count + 2:
            raise ShapeError(
                f"{name} with a weight of shape {list(shape)}",
                fix=f"the weight has {count} spatial ax{'is' if count == 1 else 'es'} behind two",
            )
