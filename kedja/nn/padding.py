"""Layers that pad: constants, mirror images, edges or the other end around the spatial axes.

Not here: the same as a function (`nn.functional.pad`, in `kedja/front/borders.py`).
Next: `resample.py`. Dimensions: N examples, C channels, S and P places in and out along each
spatial axis.
"""

from __future__ import annotations

from typing import Any, ClassVar

from kedja.front.borders import pad
from kedja.front.spatial import LAYOUTS, Ints, numbers
from kedja.front.tensor import Tensor, as_tensor
from kedja.nn.conv import Numbers
from kedja.nn.module import Module, layer_error

# --------------------------------------------------------------------------- what is shared


class _Pad(Module):
    """P = S + before + behind along each of `_axes` spatial axes.

    `padding` is one number for all sides, or (before, behind) for the last axis, then for the one
    before it, and so on, as in PyTorch; negative numbers crop.
    """

    padding: Ints

    _axes: ClassVar[int] = 0
    _mode: ClassVar[str] = "constant"

    def __init__(self, padding: Numbers) -> None:
        name = type(self).__name__
        self.padding = numbers(name, "padding", padding, 2 * self._axes, low=-(2**62))

    def __call__(self, x: Any) -> Tensor:
        """x (N, C, *S) or (C, *S) → (N, C, *P) or (C, *P)."""
        return self._padded(x, None)

    def _padded(self, x: Any, value: float | None) -> Tensor:
        x = as_tensor(x)
        layout = LAYOUTS[self._axes]
        if x.ndim not in (self._axes + 1, self._axes + 2):
            what = f"expects inputs (N, {layout}) or ({layout}), got shape {list(x.shape)}"
            raise layer_error(self, what, f"the input has {self._axes + 2} axes, or one less")
        return pad(x, self.padding, self._mode, value)

    def extra_repr(self) -> str:
        """The widths, as PyTorch prints them."""
        return f"{self.padding}"


# ------------------------------------------------------------------------------ ConstantPad


class _ConstantPad(_Pad):
    """A constant around the spatial axes; see `ConstantPad2d`."""

    value: float

    def __init__(self, padding: Numbers, value: float) -> None:
        super().__init__(padding)
        self.value = value

    def __call__(self, x: Any) -> Tensor:
        """x (N, C, *S) or (C, *S) → (N, C, *P) or (C, *P)."""
        return self._padded(x, self.value)

    def extra_repr(self) -> str:
        """The widths and the value, as PyTorch prints them."""
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(_ConstantPad, init=False):
    """`value` around one spatial axis.

    Shapes: x (N, C, L) or (C, L) → (N, C, P) or (C, P).

    >>> ConstantPad1d(1, 9)([[1, 2, 3]]).tolist()
    [[9, 1, 2, 3, 9]]
    """

    _axes: ClassVar[int] = 1


class ConstantPad2d(_ConstantPad, init=False):
    """`value` around two spatial axes.

    Shapes: x (N, C, H, W) or (C, H, W) → (N, C, P, P) or (C, P, P).

    >>> import kedja as kj
    >>> ConstantPad2d(1, 0.5)(kj.ones((2, 3, 4, 4))).shape
    (2, 3, 6, 6)
    """

    _axes: ClassVar[int] = 2


class ConstantPad3d(_ConstantPad, init=False):
    """`value` around three spatial axes.

    Shapes: x (N, C, D, H, W) or (C, D, H, W) → (N, C, P, P, P) or (C, P, P, P).

    >>> import kedja as kj
    >>> ConstantPad3d(1, 0.5)(kj.ones((2, 3, 4, 4, 4))).shape
    (2, 3, 6, 6, 6)
    """

    _axes: ClassVar[int] = 3


# --------------------------------------------------------------------------------- ZeroPad


class ZeroPad1d(_Pad, init=False):
    """Zeros around one spatial axis.

    Shapes: x (N, C, L) or (C, L) → (N, C, P) or (C, P).

    >>> ZeroPad1d(1)([[1, 2, 3]]).tolist()
    [[0, 1, 2, 3, 0]]
    """

    _axes: ClassVar[int] = 1


class ZeroPad2d(_Pad, init=False):
    """Zeros around two spatial axes.

    Shapes: x (N, C, H, W) or (C, H, W) → (N, C, P, P) or (C, P, P).

    >>> import kedja as kj
    >>> ZeroPad2d(1)(kj.ones((2, 3, 4, 4))).shape
    (2, 3, 6, 6)
    """

    _axes: ClassVar[int] = 2


class ZeroPad3d(_Pad, init=False):
    """Zeros around three spatial axes.

    Shapes: x (N, C, D, H, W) or (C, D, H, W) → (N, C, P, P, P) or (C, P, P, P).

    >>> import kedja as kj
    >>> ZeroPad3d(1)(kj.ones((2, 3, 4, 4, 4))).shape
    (2, 3, 6, 6, 6)
    """

    _axes: ClassVar[int] = 3


# --------------------------------------------------------------------------- ReflectionPad


class ReflectionPad1d(_Pad, init=False):
    """The mirror image around one spatial axis.

    Shapes: x (N, C, L) or (C, L) → (N, C, P) or (C, P). The outer element, at
    which it is mirrored, stands once, so that at most S − 1 elements fit on each side.

    >>> ReflectionPad1d(2)([[1, 2, 3]]).tolist()
    [[3, 2, 1, 2, 3, 2, 1]]
    """

    _axes: ClassVar[int] = 1
    _mode: ClassVar[str] = "reflect"


class ReflectionPad2d(_Pad, init=False):
    """The mirror image around two spatial axes.

    Shapes: x (N, C, H, W) or (C, H, W) → (N, C, P, P) or (C, P, P). The outer element, at
    which it is mirrored, stands once, so that at most S − 1 elements fit on each side.

    >>> import kedja as kj
    >>> ReflectionPad2d(1)(kj.ones((2, 3, 4, 4))).shape
    (2, 3, 6, 6)
    """

    _axes: ClassVar[int] = 2
    _mode: ClassVar[str] = "reflect"


class ReflectionPad3d(_Pad, init=False):
    """The mirror image around three spatial axes.

    Shapes: x (N, C, D, H, W) or (C, D, H, W) → (N, C, P, P, P) or (C, P, P, P). The outer
    element, at which it is mirrored, stands once: at most S − 1 elements fit on each side.

    >>> import kedja as kj
    >>> ReflectionPad3d(1)(kj.ones((2, 3, 4, 4, 4))).shape
    (2, 3, 6, 6, 6)
    """

    _axes: ClassVar[int] = 3
    _mode: ClassVar[str] = "reflect"


# -------------------------------------------------------------------------- ReplicationPad


class ReplicationPad1d(_Pad, init=False):
    """The outer element again and again around one spatial axis.

    Shapes: x (N, C, L) or (C, L) → (N, C, P) or (C, P).

    >>> ReplicationPad1d((2, 1))([[1, 2, 3]]).tolist()
    [[1, 1, 1, 2, 3, 3]]
    """

    _axes: ClassVar[int] = 1
    _mode: ClassVar[str] = "replicate"


class ReplicationPad2d(_Pad, init=False):
    """The outer element again and again around two spatial axes.

    Shapes: x (N, C, H, W) or (C, H, W) → (N, C, P, P) or (C, P, P).

    >>> import kedja as kj
    >>> ReplicationPad2d(1)(kj.ones((2, 3, 4, 4))).shape
    (2, 3, 6, 6)
    """

    _axes: ClassVar[int] = 2
    _mode: ClassVar[str] = "replicate"


class ReplicationPad3d(_Pad, init=False):
    """The outer element again and again around three spatial axes.

    Shapes: x (N, C, D, H, W) or (C, D, H, W) → (N, C, P, P, P) or (C, P, P, P).

    >>> import kedja as kj
    >>> ReplicationPad3d(1)(kj.ones((2, 3, 4, 4, 4))).shape
    (2, 3, 6, 6, 6)
    """

    _axes: ClassVar[int] = 3
    _mode: ClassVar[str] = "replicate"


# ----------------------------------------------------------------------------- CircularPad


class CircularPad1d(_Pad, init=False):
    """The other end around one spatial axis.

    Shapes: x (N, C, L) or (C, L) → (N, C, P) or (C, P). At most S elements fit
    on each side.

    >>> CircularPad1d(1)([[1, 2, 3]]).tolist()
    [[3, 1, 2, 3, 1]]
    """

    _axes: ClassVar[int] = 1
    _mode: ClassVar[str] = "circular"


class CircularPad2d(_Pad, init=False):
    """The other end around two spatial axes.

    Shapes: x (N, C, H, W) or (C, H, W) → (N, C, P, P) or (C, P, P). At most S elements fit
    on each side.

    >>> import kedja as kj
    >>> CircularPad2d(1)(kj.ones((2, 3, 4, 4))).shape
    (2, 3, 6, 6)
    """

    _axes: ClassVar[int] = 2
    _mode: ClassVar[str] = "circular"


class CircularPad3d(_Pad, init=False):
    """The other end around three spatial axes.

    Shapes: x (N, C, D, H, W) or (C, D, H, W) → (N, C, P, P, P) or (C, P, P, P). At most S
    elements fit on each side.

    >>> import kedja as kj
    >>> CircularPad3d(1)(kj.ones((2, 3, 4, 4, 4))).shape
    (2, 3, 6, 6, 6)
    """

    _axes: ClassVar[int] = 3
    _mode: ClassVar[str] = "circular"
