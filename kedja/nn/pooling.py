"""Layers that pool: the largest or the mean of each window, over one, two and three spatial axes.

Not here: the same as functions (`pooling_functions.py`), the mathematics
(`kedja/front/pooling.py`). Next: `resample.py`. Dimensions: N examples, C channels, S and P places
in and out along each spatial axis, K places in the window.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from kedja.front import pooling
from kedja.front.spatial import LAYOUTS, batched, unbatched
from kedja.front.tensor import Tensor, as_tensor
from kedja.nn.conv import Numbers
from kedja.nn.module import Module, layer_error

# --------------------------------------------------------------------------- what is shared


class _Pool(Module):
    """A layer without weights over `_axes` spatial axes."""

    _axes: ClassVar[int] = 0

    def _pooled(self, function: Callable[..., Any], x: Any, *args: Any) -> Any:
        """The function of x (N, C, …), also where x came without N."""
        x = as_tensor(x)
        count = self._axes
        if x.ndim not in (count + 1, count + 2):
            layout = LAYOUTS[count]
            what = f"expects inputs (N, {layout}) or ({layout}), got shape {list(x.shape)}"
            raise layer_error(self, what, f"the input has {count + 2} axes, or {count + 1}")
        x, single = batched(x, count + 2)
        found = function(x, *args)
        if isinstance(found, tuple):
            return tuple(unbatched(each, single) for each in found)
        return unbatched(found, single)


# ---------------------------------------------------------------------------------- MaxPool


class _MaxPool(_Pool):
    """The largest element of each window; see `MaxPool2d`."""

    kernel_size: Numbers
    stride: Numbers | None = None
    padding: Numbers = 0
    dilation: Numbers = 1
    return_indices: bool = False
    ceil_mode: bool = False

    def __call__(self, x: Any) -> Any:
        """x (N, C, *S) or (C, *S) → (N, C, *P) or (C, *P), with indices if they are asked for."""
        args = (self.kernel_size, self.stride, self.padding, self.dilation)
        return self._pooled(pooling.max_pool, x, *args, self.ceil_mode, self.return_indices)


class MaxPool1d(_MaxPool):
    """The largest element of each window over one spatial axis; all else as `MaxPool2d`.

    Shapes: x (N, C, L) or (C, L) → (N, C, P) or (C, P).

    >>> MaxPool1d(2)([[1.0, 3.0, 2.0, 5.0]]).tolist()
    [[3.0, 5.0]]
    """

    _axes: ClassVar[int] = 1


class MaxPool2d(_MaxPool):
    """The largest element of each window; the gradient goes to the first of several.

    Shapes: x (N, C, H, W) or (C, H, W) → (N, C, P, P) or (C, P, P), with
    P = ⌊(S + 2·padding − dilation·(K − 1) − 1)/stride⌋ + 1, or ⌈…⌉ with `ceil_mode`. The stride is
    the window unless given. With `return_indices` also the places of the maxima in the flattened
    plane. Raises ShapeError where the windows do not fit. Source: M. Ranzato et al.: Unsupervised
    learning of invariant feature hierarchies (2007).

    >>> MaxPool2d(2)([[[1.0, 2.0], [4.0, 3.0]]]).tolist()
    [[[4.0]]]
    """

    _axes: ClassVar[int] = 2


class MaxPool3d(_MaxPool):
    """The largest element of each window over three spatial axes; all else as `MaxPool2d`.

    Shapes: x (N, C, D, H, W) or (C, D, H, W) → (N, C, P, P, P) or (C, P, P, P).

    >>> import kedja as kj
    >>> MaxPool3d(3, stride=2)(kj.zeros((1, 2, 7, 9, 9))).shape
    (1, 2, 3, 4, 4)
    """

    _axes: ClassVar[int] = 3


# -------------------------------------------------------------------------------- MaxUnpool


class _MaxUnpool(_Pool):
    """The maxima put back where they were; see `MaxUnpool2d`."""

    kernel_size: Numbers
    stride: Numbers | None = None
    padding: Numbers = 0

    def __call__(self, x: Any, indices: Any, output_size: Any = None) -> Tensor:
        """x and `indices` (N, C, *P) or (C, *P) → (N, C, *S) or (C, *S)."""
        places, _ = batched(as_tensor(indices), self._axes + 2)
        args = (places, self.kernel_size, self.stride, self.padding, output_size)
        unpooled: Tensor = self._pooled(pooling.max_unpool, x, *args)
        return unpooled


class MaxUnpool1d(_MaxUnpool):
    """The maxima put back where `MaxPool1d` found them; all else as `MaxUnpool2d`.

    Shapes: x and indices (N, C, P) or (C, P) → (N, C, L) or (C, L).

    >>> values, indices = MaxPool1d(2, return_indices=True)([[1.0, 3.0, 5.0, 2.0]])
    >>> MaxUnpool1d(2)(values, indices).tolist()
    [[0.0, 3.0, 5.0, 0.0]]
    """

    _axes: ClassVar[int] = 1


class MaxUnpool2d(_MaxUnpool):
    """The maxima put back where `MaxPool2d` found them (`return_indices=True`), 0 elsewhere.

    Shapes: x and indices (N, C, P, P) or (C, P, P) → (N, C, H, W) or (C, H, W), with
    S = (P − 1)·stride − 2·padding + K, or the spatial extents of `output_size`. Source: M. Zeiler,
    R. Fergus: Visualizing and understanding convolutional networks (2013).

    >>> import kedja as kj
    >>> values, indices = MaxPool2d(2, return_indices=True)(kj.ones((1, 3, 5, 4)))
    >>> MaxUnpool2d(2)(values, indices, output_size=(5, 4)).shape
    (1, 3, 5, 4)
    """

    _axes: ClassVar[int] = 2


class MaxUnpool3d(_MaxUnpool):
    """The maxima put back where `MaxPool3d` found them; all else as `MaxUnpool2d`.

    Shapes: x and indices (N, C, P, P, P) or (C, P, P, P) → (N, C, D, H, W) or (C, D, H, W).

    >>> import kedja as kj
    >>> values, indices = MaxPool3d(2, return_indices=True)(kj.ones((1, 3, 4, 4, 4)))
    >>> MaxUnpool3d(2)(values, indices).shape
    (1, 3, 4, 4, 4)
    """

    _axes: ClassVar[int] = 3


# ---------------------------------------------------------------------------------- AvgPool


class AvgPool1d(_Pool):
    """The mean of each window over one spatial axis; all else as `AvgPool2d`.

    Shapes: x (N, C, L) or (C, L) → (N, C, P) or (C, P).

    >>> AvgPool1d(2)([[1.0, 3.0, 2.0, 6.0]]).tolist()
    [[2.0, 4.0]]
    """

    kernel_size: Numbers
    stride: Numbers | None = None
    padding: Numbers = 0
    ceil_mode: bool = False
    count_include_pad: bool = True

    _axes: ClassVar[int] = 1

    def __call__(self, x: Any) -> Tensor:
        """x (N, C, L) or (C, L) → (N, C, P) or (C, P)."""
        args = (self.kernel_size, self.stride, self.padding, self.ceil_mode)
        pooled: Tensor = self._pooled(pooling.avg_pool, x, *args, self.count_include_pad)
        return pooled


class _AvgPool(_Pool):
    """The mean of each window; see `AvgPool2d`."""

    kernel_size: Numbers
    stride: Numbers | None = None
    padding: Numbers = 0
    ceil_mode: bool = False
    count_include_pad: bool = True
    divisor_override: int | None = None

    def __call__(self, x: Any) -> Tensor:
        """x (N, C, *S) or (C, *S) → (N, C, *P) or (C, *P)."""
        args = (self.kernel_size, self.stride, self.padding, self.ceil_mode)
        counted = (self.count_include_pad, self.divisor_override)
        pooled: Tensor = self._pooled(pooling.avg_pool, x, *args, *counted)
        return pooled


class AvgPool2d(_AvgPool):
    """The mean of each window.

    Shapes: x (N, C, H, W) or (C, H, W) → (N, C, P, P) or (C, P, P), P as in `MaxPool2d`. Padding
    counts as zeros, or not at all without `count_include_pad`; `divisor_override` replaces the
    number of elements. Raises ShapeError where the windows do not fit. Source: Y. LeCun et al.:
    Gradient-based learning applied to document recognition (1998).

    >>> AvgPool2d(2)([[[1.0, 2.0], [4.0, 3.0]]]).tolist()
    [[[2.5]]]
    """

    _axes: ClassVar[int] = 2


class AvgPool3d(_AvgPool):
    """The mean of each window over three spatial axes; all else as `AvgPool2d`.

    Shapes: x (N, C, D, H, W) or (C, D, H, W) → (N, C, P, P, P) or (C, P, P, P).

    >>> import kedja as kj
    >>> AvgPool3d(2)(kj.ones((1, 2, 4, 4, 4))).shape
    (1, 2, 2, 2, 2)
    """

    _axes: ClassVar[int] = 3


# ----------------------------------------------------------------------------------- LPPool


class _LPPool(_Pool):
    """(Σ x^p)^(1/p) over each window; see `LPPool2d`."""

    norm_type: float
    kernel_size: Numbers
    stride: Numbers | None = None
    ceil_mode: bool = False

    def __call__(self, x: Any) -> Tensor:
        """x (N, C, *S) or (C, *S) → (N, C, *P) or (C, *P)."""
        args = (self.norm_type, self.kernel_size, self.stride, self.ceil_mode)
        pooled: Tensor = self._pooled(pooling.lp_pool, x, *args)
        return pooled


class LPPool1d(_LPPool):
    """(Σ x^p)^(1/p) over each window of one spatial axis; all else as `LPPool2d`.

    Shapes: x (N, C, L) or (C, L) → (N, C, P) or (C, P).

    >>> LPPool1d(2, 2)([[3.0, 4.0]]).tolist()
    [[5.0]]
    """

    _axes: ClassVar[int] = 1


class LPPool2d(_LPPool):
    """(Σ x^p)^(1/p) over each window, p = `norm_type`; NaN where an odd power sums below 0.

    Shapes: x (N, C, H, W) or (C, H, W) → (N, C, P, P) or (C, P, P), P as in `MaxPool2d`. Source:
    P. Sermanet et al.: Convolutional neural networks applied to house numbers digit classification
    (2012).

    >>> LPPool2d(1, 2)([[[1.0, 2.0], [4.0, 3.0]]]).tolist()
    [[[10.0]]]
    """

    _axes: ClassVar[int] = 2


class LPPool3d(_LPPool):
    """(Σ x^p)^(1/p) over each window of three spatial axes; all else as `LPPool2d`.

    Shapes: x (N, C, D, H, W) or (C, D, H, W) → (N, C, P, P, P) or (C, P, P, P).

    >>> import kedja as kj
    >>> LPPool3d(2, 2)(kj.ones((1, 2, 4, 4, 4))).shape
    (1, 2, 2, 2, 2)
    """

    _axes: ClassVar[int] = 3


# -------------------------------------------------------------------------- AdaptiveAvgPool


class _AdaptiveAvgPool(_Pool):
    """The mean over a given number of cells; see `AdaptiveAvgPool2d`."""

    output_size: Any

    def __call__(self, x: Any) -> Tensor:
        """x (N, C, *S) or (C, *S) → (N, C, *output_size) or (C, *output_size)."""
        pooled: Tensor = self._pooled(pooling.adaptive_avg_pool, x, self.output_size)
        return pooled


class AdaptiveAvgPool1d(_AdaptiveAvgPool):
    """The mean over `output_size` cells of one spatial axis; all else as `AdaptiveAvgPool2d`.

    Shapes: x (N, C, L) or (C, L) → (N, C, output_size) or (C, output_size).

    >>> AdaptiveAvgPool1d(2)([[1.0, 2.0, 3.0]]).tolist()
    [[1.5, 2.5]]
    """

    _axes: ClassVar[int] = 1


class AdaptiveAvgPool2d(_AdaptiveAvgPool):
    """The mean over `output_size` cells along each axis, whatever the extents of the input.

    Shapes: x (N, C, H, W) or (C, H, W) → (N, C, *output_size) or (C, *output_size); None keeps an
    extent. Cell p has the elements from ⌊p·S/P⌋ to ⌈(p + 1)·S/P⌉. Source (one cell): M. Lin et al.:
    Network in network (2013).

    >>> import kedja as kj
    >>> AdaptiveAvgPool2d((1, None))(kj.ones((2, 3, 8, 5))).shape
    (2, 3, 1, 5)
    """

    _axes: ClassVar[int] = 2


class AdaptiveAvgPool3d(_AdaptiveAvgPool):
    """The mean over `output_size` cells along each of three axes; all else as `AdaptiveAvgPool2d`.

    Shapes: x (N, C, D, H, W) or (C, D, H, W) → (N, C, *output_size) or (C, *output_size).

    >>> import kedja as kj
    >>> AdaptiveAvgPool3d(1)(kj.ones((2, 3, 8, 5, 5))).shape
    (2, 3, 1, 1, 1)
    """

    _axes: ClassVar[int] = 3


# -------------------------------------------------------------------------- AdaptiveMaxPool


class _AdaptiveMaxPool(_Pool):
    """The largest element of a given number of cells; see `AdaptiveMaxPool2d`."""

    output_size: Any
    return_indices: bool = False

    def __call__(self, x: Any) -> Any:
        """x (N, C, *S) or (C, *S) → (N, C, *output_size) or (C, *output_size)."""
        args = (self.output_size, self.return_indices)
        return self._pooled(pooling.adaptive_max_pool, x, *args)


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """The largest of `output_size` cells of one spatial axis; all else as `AdaptiveMaxPool2d`.

    Shapes: x (N, C, L) or (C, L) → (N, C, output_size) or (C, output_size).

    >>> AdaptiveMaxPool1d(2)([[1.0, 4.0, 3.0]]).tolist()
    [[4.0, 4.0]]
    """

    _axes: ClassVar[int] = 1


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """The largest of `output_size` cells along each axis, whatever the extents of the input.

    Shapes: x (N, C, H, W) or (C, H, W) → (N, C, *output_size) or (C, *output_size); the cells are
    those of `AdaptiveAvgPool2d`. With `return_indices` also the places of the maxima in the
    flattened plane. The gradient goes to the first of several.

    >>> import kedja as kj
    >>> AdaptiveMaxPool2d(2)(kj.ones((2, 3, 8, 5))).shape
    (2, 3, 2, 2)
    """

    _axes: ClassVar[int] = 2


class AdaptiveMaxPool3d(_AdaptiveMaxPool):
    """The largest of `output_size` cells along each of three axes; all else as `AdaptiveMaxPool2d`.

    Shapes: x (N, C, D, H, W) or (C, D, H, W) → (N, C, *output_size) or (C, *output_size).

    >>> import kedja as kj
    >>> AdaptiveMaxPool3d(1)(kj.ones((2, 3, 8, 5, 5))).shape
    (2, 3, 1, 1, 1)
    """

    _axes: ClassVar[int] = 3
