"""The functions that are also methods of tensors: t.sum(), t.reshape(2, 3), t.exp() …

Names and meanings are those of the functions; `permute` and `unsqueeze` are PyTorch's names. Not
here: what a tensor is (`tensor.py`), its operators (`operators.py`). Next: `tensor.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, SupportsIndex

from kedja.front import (
    arithmetic,
    cumulative,
    elementwise,
    movement,
    neural,
    reductions,
    sorting,
)
from kedja.front.device import require_cpu
from kedja.ground.absent import TENSOR, absent
from kedja.ground.dtypes import as_dtype
from kedja.ground.errors import UsageError
from kedja.ir.graph import locating

if TYPE_CHECKING:
    from kedja.front.tensor import Tensor


def _elementwise(name: str) -> Callable[[Any], Tensor]:
    function: Callable[[Any], Tensor] = getattr(elementwise, name)

    def method(self: Any) -> Tensor:
        return function(self)

    method.__name__, method.__doc__ = name, function.__doc__
    return method


def _require_none(out: Any) -> None:
    """NumPy hands `out` over in np.sum(x), which calls x.sum()."""
    if out is not None:
        raise UsageError("out=: nothing is written into an array", fix="use what is returned")


class Methods:
    """What makes `Tensor` answer to names."""

    __slots__ = ()

    if not TYPE_CHECKING:  # to which a class with this method would have every attribute

        def __getattr__(self, name: str) -> Any:
            """Called for what is not there."""
            raise absent(self, name, TENSOR)

    abs = _elementwise("abs")
    sign = _elementwise("sign")
    square = _elementwise("square")
    sqrt = _elementwise("sqrt")
    exp = _elementwise("exp")
    log = _elementwise("log")
    sin = _elementwise("sin")
    cos = _elementwise("cos")
    tanh = _elementwise("tanh")
    sigmoid = _elementwise("sigmoid")
    relu = _elementwise("relu")
    floor = _elementwise("floor")
    ceil = _elementwise("ceil")
    isnan = _elementwise("isnan")
    isfinite = _elementwise("isfinite")

    def round(self, decimals: int = 0) -> Tensor:
        """The nearest whole number, the even one of two; or the nearest with so many decimals."""
        return elementwise.round(self, decimals)

    def astype(self: Any, dtype: Any, *, copy: bool = True, device: Any = None) -> Tensor:
        """The values in another dtype. A tensor cannot be written to: `copy` changes nothing."""
        with locating():
            require_cpu(device)
            return arithmetic.cast(self, as_dtype(dtype))

    def clip(self, min: Any = None, max: Any = None) -> Tensor:
        """Held between two bounds."""
        return elementwise.clip(self, min, max)

    # ------------------------------------------------------------------ reductions

    def sum(
        self, axis: Any = None, keepdims: bool = False, *, dtype: Any = None, out: None = None
    ) -> Tensor:
        """Σ over some axes or all."""
        _require_none(out)
        return reductions.sum(self, axis, keepdims, dtype=dtype)

    def prod(
        self, axis: Any = None, keepdims: bool = False, *, dtype: Any = None, out: None = None
    ) -> Tensor:
        """The product over some axes or all."""
        _require_none(out)
        return reductions.prod(self, axis, keepdims, dtype=dtype)

    def mean(
        self, axis: Any = None, keepdims: bool = False, *, dtype: Any = None, out: None = None
    ) -> Tensor:
        """The mean over some axes or all."""
        _require_none(out)
        x = self if dtype is None else self.astype(dtype)
        return arithmetic.mean(x, axis, keepdims)

    def var(self, axis: Any = None, correction: float = 0, keepdims: bool = False) -> Tensor:
        """Σ(x − mean)²/(n − correction) over some axes or all."""
        return reductions.var(self, axis, correction, keepdims)

    def std(self, axis: Any = None, correction: float = 0, keepdims: bool = False) -> Tensor:
        """The square root of `var`."""
        return reductions.std(self, axis, correction, keepdims)

    def max(self, axis: Any = None, keepdims: bool = False, *, out: None = None) -> Tensor:
        """The largest element over some axes or all."""
        _require_none(out)
        return arithmetic.reduce("max", self, axis, keepdims)

    def min(self, axis: Any = None, keepdims: bool = False, *, out: None = None) -> Tensor:
        """The smallest element over some axes or all."""
        _require_none(out)
        return arithmetic.reduce("min", self, axis, keepdims)

    def any(self, axis: Any = None, keepdims: bool = False, *, out: None = None) -> Tensor:
        """Whether any element is true, over some axes or all."""
        _require_none(out)
        return arithmetic.reduce("any", self, axis, keepdims)

    def all(self, axis: Any = None, keepdims: bool = False, *, out: None = None) -> Tensor:
        """Whether all elements are true, over some axes or all."""
        _require_none(out)
        return arithmetic.reduce("all", self, axis, keepdims)

    def argmax(self, axis: int | None = None, keepdims: bool = False) -> Tensor:
        """The place of the largest element along an axis, or in row-major order."""
        return reductions.argmax(self, axis, keepdims)

    def argmin(self, axis: int | None = None, keepdims: bool = False) -> Tensor:
        """The place of the smallest element along an axis, or in row-major order."""
        return reductions.argmin(self, axis, keepdims)

    def softmax(self, axis: Any = -1) -> Tensor:
        """e^x / Σ e^x along an axis."""
        return neural.softmax(self, axis)

    # ------------------------------------------------------------------ along an axis

    def cumsum(self, axis: int | None = None, dtype: Any = None) -> Tensor:
        """The sums of the elements so far, along an axis or of all in row-major order."""
        return cumulative.cumsum(self, axis, dtype)

    def cumprod(self, axis: int | None = None, dtype: Any = None) -> Tensor:
        """The products of the elements so far, along an axis or of all in row-major order."""
        return cumulative.cumprod(self, axis, dtype)

    def sort(self, axis: int = -1, descending: bool = False) -> Tensor:
        """The elements in order along an axis: a new tensor."""
        return sorting.sort(self, axis=axis, descending=descending)

    def argsort(self, axis: int = -1, descending: bool = False) -> Tensor:
        """The places of the elements in order along an axis."""
        return sorting.argsort(self, axis=axis, descending=descending)

    def nonzero(self) -> tuple[Tensor, ...]:
        """The places of the elements that are not 0, one array for each axis."""
        return sorting.nonzero(self)

    # ------------------------------------------------------------------ movement

    def reshape(self, *shape: Any) -> Tensor:
        """The same elements in row-major order under another shape; one extent may be −1."""
        return arithmetic.reshape(self, _variadic(shape))

    def flatten(self, start_dim: int = 0, end_dim: int = -1) -> Tensor:
        """The axes from `start_dim` to `end_dim` (both included) as one."""
        return movement.flatten(self, start_dim, end_dim)

    def transpose(self, *axes: Any) -> Tensor:
        """The axes in another order; without arguments in reverse."""
        return arithmetic.transpose(self, _variadic(axes) or None)

    def permute(self, *axes: Any) -> Tensor:
        """The axes in another order."""
        return arithmetic.transpose(self, _variadic(axes))

    def swapaxes(self, axis1: int, axis2: int) -> Tensor:
        """Two axes exchanged."""
        return movement.swapaxes(self, axis1, axis2)

    def squeeze(self, axis: Any = None) -> Tensor:
        """Axes of extent 1 dropped."""
        return movement.squeeze(self, axis)

    def unsqueeze(self, axis: int) -> Tensor:
        """A new axis of extent 1."""
        return movement.expand_dims(self, axis)


def _variadic(given: tuple[Any, ...]) -> Sequence[int]:
    """`(2, 3)` from both `f(2, 3)` and `f((2, 3))`; `f(None)` is `f()`."""
    if given == (None,):
        return ()
    if len(given) == 1 and not isinstance(given[0], SupportsIndex):
        return tuple(given[0])
    return given
