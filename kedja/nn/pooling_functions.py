"""Pooling as functions of tensors: `nn.functional.max_pool2d` and its like.

Names and arguments are those of `torch.nn.functional`. Not here: `kj.max_pool`, the same over any
number of axes (`kedja/front/pooling.py`), layers (`pooling.py`). Next: `pooling.py`.
Dimensions: N examples, C channels, S and P places in and out along each spatial axis.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from kedja.front import pooling
from kedja.front.spatial import LAYOUTS, batched, unbatched
from kedja.front.tensor import Tensor, as_tensor
from kedja.ground.errors import ShapeError
from kedja.ir.graph import locating

Numbers = int | Sequence[int]

# -------------------------------------------------------------------------------- functions


def _over(count: int, function: Callable[..., Any], x: Any, *args: Any) -> Any:
    """A function of pooling over `count` spatial axes, with or without N in front."""
    x = as_tensor(x)
    with locating():
        if x.ndim not in (count + 1, count + 2):
            layout = LAYOUTS[count]
            raise ShapeError(
                f"{function.__name__}{count}d of shape {list(x.shape)}",
                fix=f"the axes are (N, {layout}) or ({layout})",
            )
        x, single = batched(x, count + 2)
        found = function(x, *args)
        if isinstance(found, tuple):
            return tuple(unbatched(each, single) for each in found)
        return unbatched(found, single)


def max_pool1d(
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """`kj.max_pool` over one spatial axis: x (N, C, S) or (C, S)."""
    args = (kernel_size, stride, padding, dilation, ceil_mode, return_indices)
    return _over(1, pooling.max_pool, x, *args)


def max_pool2d(
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """`kj.max_pool` over two spatial axes: x (N, C, S, S) or (C, S, S)."""
    args = (kernel_size, stride, padding, dilation, ceil_mode, return_indices)
    return _over(2, pooling.max_pool, x, *args)


def max_pool3d(
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """`kj.max_pool` over three spatial axes: x (N, C, S, S, S) or (C, S, S, S)."""
    args = (kernel_size, stride, padding, dilation, ceil_mode, return_indices)
    return _over(3, pooling.max_pool, x, *args)


def max_unpool1d(
    x: Any,
    indices: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    output_size: Any = None,
) -> Tensor:
    """`kj.max_unpool` over one spatial axis: x (N, C, S) or (C, S)."""
    places, _ = batched(as_tensor(indices), 3)
    args = (places, kernel_size, stride, padding, output_size)
    unpooled: Tensor = _over(1, pooling.max_unpool, x, *args)
    return unpooled


def max_unpool2d(
    x: Any,
    indices: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    output_size: Any = None,
) -> Tensor:
    """`kj.max_unpool` over two spatial axes: x (N, C, S, S) or (C, S, S)."""
    places, _ = batched(as_tensor(indices), 4)
    args = (places, kernel_size, stride, padding, output_size)
    unpooled: Tensor = _over(2, pooling.max_unpool, x, *args)
    return unpooled


def max_unpool3d(
    x: Any,
    indices: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    output_size: Any = None,
) -> Tensor:
    """`kj.max_unpool` over three spatial axes: x (N, C, S, S, S) or (C, S, S, S)."""
    places, _ = batched(as_tensor(indices), 5)
    args = (places, kernel_size, stride, padding, output_size)
    unpooled: Tensor = _over(3, pooling.max_unpool, x, *args)
    return unpooled


def avg_pool1d(
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """`kj.avg_pool` over one spatial axis: x (N, C, S) or (C, S)."""
    args = (kernel_size, stride, padding, ceil_mode, count_include_pad)
    pooled: Tensor = _over(1, pooling.avg_pool, x, *args)
    return pooled


def avg_pool2d(
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """`kj.avg_pool` over two spatial axes: x (N, C, S, S) or (C, S, S)."""
    args = (kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)
    pooled: Tensor = _over(2, pooling.avg_pool, x, *args)
    return pooled


def avg_pool3d(
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """`kj.avg_pool` over three spatial axes: x (N, C, S, S, S) or (C, S, S, S)."""
    args = (kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)
    pooled: Tensor = _over(3, pooling.avg_pool, x, *args)
    return pooled


def lp_pool1d(
    x: Any, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False
) -> Tensor:
    """`kj.lp_pool` over one spatial axis: x (N, C, S) or (C, S)."""
    pooled: Tensor = _over(1, pooling.lp_pool, x, norm_type, kernel_size, stride, ceil_mode)
    return pooled


def lp_pool2d(
    x: Any, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False
) -> Tensor:
    """`kj.lp_pool` over two spatial axes: x (N, C, S, S) or (C, S, S)."""
    pooled: Tensor = _over(2, pooling.lp_pool, x, norm_type, kernel_size, stride, ceil_mode)
    return pooled


def lp_pool3d(
    x: Any, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False
) -> Tensor:
    """`kj.lp_pool` over three spatial axes: x (N, C, S, S, S) or (C, S, S, S)."""
    pooled: Tensor = _over(3, pooling.lp_pool, x, norm_type, kernel_size, stride, ceil_mode)
    return pooled


def adaptive_avg_pool1d(x: Any, output_size: Any) -> Tensor:
    """`kj.adaptive_avg_pool` over one spatial axis: x (N, C, S) or (C, S)."""
    pooled: Tensor = _over(1, pooling.adaptive_avg_pool, x, output_size)
    return pooled


def adaptive_avg_pool2d(x: Any, output_size: Any) -> Tensor:
    """`kj.adaptive_avg_pool` over two spatial axes: x (N, C, S, S) or (C, S, S)."""
    pooled: Tensor = _over(2, pooling.adaptive_avg_pool, x, output_size)
    return pooled


def adaptive_avg_pool3d(x: Any, output_size: Any) -> Tensor:
    """`kj.adaptive_avg_pool` over three spatial axes: x (N, C, S, S, S) or (C, S, S, S)."""
    pooled: Tensor = _over(3, pooling.adaptive_avg_pool, x, output_size)
    return pooled


def adaptive_max_pool1d(x: Any, output_size: Any, return_indices: bool = False) -> Any:
    """`kj.adaptive_max_pool` over one spatial axis: x (N, C, S) or (C, S)."""
    return _over(1, pooling.adaptive_max_pool, x, output_size, return_indices)


def adaptive_max_pool2d(x: Any, output_size: Any, return_indices: bool = False) -> Any:
    """`kj.adaptive_max_pool` over two spatial axes: x (N, C, S, S) or (C, S, S)."""
    return _over(2, pooling.adaptive_max_pool, x, output_size, return_indices)


def adaptive_max_pool3d(x: Any, output_size: Any, return_indices: bool = False) -> Any:
    """`kj.adaptive_max_pool` over three spatial axes: x (N, C, S, S, S) or (C, S, S, S)."""
    return _over(3, pooling.adaptive_max_pool, x, output_size, return_indices)
