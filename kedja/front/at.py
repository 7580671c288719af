"""`t.at[key]`: new tensors with some elements changed. A tensor itself cannot be written to.

    t.at[key].set(v)        t with v at the elements that the key names
    .add(v) .subtract(v) .multiply(v) .divide(v) .min(v) .max(v)
                            the same with what is there already; an element that the key names
                            several times takes all updates, in their order
    .power(v) .apply(f)     the same once for each element, however often it is named
    .get()                  t[key]

Every key of `t[key]` will do, and everything is differentiable with respect to t and v. A mask
without a value (inside `jit`) will do where v broadcasts over the elements that it chooses.
The names are JAX's. Next: `evaluate.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import numpy as np

from kedja.front import arithmetic, index
from kedja.front import tensor as front
from kedja.front.index import Lines, is_whole, lines_of, sliced
from kedja.front.index_key import Plan, known_mask, plan_of
from kedja.ground.dtypes import bool_, is_float, is_integer
from kedja.ground.errors import DtypeError, ImmutableError, ShapeError
from kedja.ir.graph import full, locating

if TYPE_CHECKING:
    from kedja.front.tensor import Tensor

Combine = Callable[[Any, Any], Any]


def refuse() -> NoReturn:
    """What `t[key] = value` is answered with."""
    raise ImmutableError(
        "a tensor cannot be written to", fix="t = t.at[key].set(value) makes a changed one"
    )


class At:
    """What `t.at` is."""

    __slots__ = ("_x",)

    def __init__(self, x: Tensor) -> None:
        self._x = x

    def __getitem__(self, key: Any) -> Places:
        return Places(self._x, key)


class Places:
    """What `t.at[key]` is: the elements that a key names; see the module's text."""

    __slots__ = ("_key", "_x")

    def __init__(self, x: Tensor, key: Any) -> None:
        self._x = x
        self._key = key

    def get(self) -> Tensor:
        """t[key]."""
        return index.get(self._x, self._key)

    def set(self, values: Any) -> Tensor:
        """t with these values there; of several for one element the last."""
        return self._changed(SET, values)

    def add(self, values: Any) -> Tensor:
        """t with these values added there."""
        return self._changed(ADD, values)

    def subtract(self, values: Any) -> Tensor:
        """t with these values subtracted there."""
        return self._changed(SUBTRACT, values)

    def multiply(self, values: Any) -> Tensor:
        """t with the elements there multiplied by these values."""
        return self._changed(MULTIPLY, values)

    def divide(self, values: Any) -> Tensor:
        """t with the elements there, which must be floats, divided by these values."""
        with locating():
            if not is_float(self._x.dtype):
                raise DtypeError(f"at[…].divide on {self._x.dtype.name}", fix="cast it to a float")
        return self._changed(DIVIDE, values)

    def min(self, values: Any) -> Tensor:
        """t with the smaller of what is there and these values."""
        return self._changed(MIN, values)

    def max(self, values: Any) -> Tensor:
        """t with the larger of what is there and these values."""
        return self._changed(MAX, values)

    def power(self, values: Any) -> Tensor:
        """t with the elements there raised to these values."""
        return self.apply(lambda old: arithmetic.power(old, values))

    def apply(self, function: Callable[[Tensor], Tensor]) -> Tensor:
        """t with the elements there replaced by `function` of them, which keeps their shape."""
        with locating():
            mask = _traced_mask(self._key)
        if mask is None:
            old = self.get()
            return self.set(_of_shape(function(old), old.shape))
        with locating():
            chosen = _spread_mask(mask, self._x)
            one = front.from_node(full(1, (), self._x.dtype))
            safe = arithmetic.where(chosen, self._x, one)  # so that no NaN is differentiated
            changed = _fitting(_of_shape(function(safe), safe.shape), self._x)
            return arithmetic.where(chosen, changed, self._x)

    # ------------------------------------------------------------------ how

    def _changed(self, mode: Mode, values: Any) -> Tensor:
        with locating():
            new = _fitting(values, self._x)
            mask = _sole_mask(self._key)
            if mask is not None:
                wide = _beside_mask(mask, new, self._x)
                if wide is not None:
                    chosen = _spread_mask(mask, self._x)
                    return arithmetic.where(chosen, mode.combine(self._x, wide), self._x)
                known_mask(mask)
            return _scattered(self._x, plan_of(self._x.shape, self._key), mode, new)


class Mode(NamedTuple):
    """How old and new values meet: on elements that are named once, and as a scatter op."""

    combine: Combine
    scatter: str
    turned: Combine  # what the scatter op takes in place of the new values


def _op(name: str) -> Combine:
    return lambda old, new: arithmetic.binary(name, old, new)


def _same(old: Any, new: Any) -> Any:
    return new


SET = Mode(_same, "set", _same)
ADD = Mode(_op("add"), "add", _same)
SUBTRACT = Mode(_op("subtract"), "add", lambda _, new: arithmetic.unary("negative", new))
MULTIPLY = Mode(_op("multiply"), "multiply", _same)
DIVIDE = Mode(_op("divide"), "multiply", lambda _, new: arithmetic.binary("divide", 1, new))
MIN = Mode(_op("minimum"), "min", _same)
MAX = Mode(_op("maximum"), "max", _same)


def _of_shape(found: Any, shape: tuple[int, ...]) -> Any:
    if np.shape(found) != shape:
        raise ShapeError(
            f"at[…].apply: the function made shape {list(np.shape(found))} of {list(shape)}",
            fix="it must keep the shape",
        )
    return found


def _fitting(values: Any, x: Tensor) -> Tensor:
    """Values in the dtype of what they are written into, unless they would lose their kind."""
    new = front.as_tensor(values, x)
    kept = new.dtype == bool_ or is_float(x.dtype)
    if kept or (is_integer(new.dtype) and is_integer(x.dtype)):
        return arithmetic.cast(new, x.dtype)
    raise DtypeError(
        f"values of {new.dtype.name} for a tensor of {x.dtype.name}",
        fix="cast one of them with astype",
    )


# ---------------------------------------------------------------------- slices and arrays


def _scattered(x: Tensor, plan: Plan, mode: Mode, new: Tensor) -> Tensor:
    """x with the values at the elements of a key."""
    part = sliced(x, plan)
    if not plan.arrays:
        values = arithmetic.reshape(_over(new, plan.shape), plan.region)
        return _put(x, plan, mode.combine(part, values))
    lines = lines_of(plan)
    kept = arithmetic.reshape(part, plan.shape)
    return _put(x, plan, arithmetic.reshape(_into_lines(kept, lines, mode, new), plan.region))


def _into_lines(x: Tensor, lines: Lines, mode: Mode, new: Tensor) -> Tensor:
    flat = lines.flat(x)
    before, after = flat.shape[: lines.axis], flat.shape[lines.axis + 1 :]
    values = _over(new, (*before, *lines.places.shape, *after))
    if values.size == 0:
        return x
    name, turned = f"scatter_{mode.scatter}", mode.turned(flat, values)
    return lines.back(arithmetic.call(name, flat, lines.places, turned, axis=lines.axis))


def _over(values: Tensor, shape: Sequence[int]) -> Tensor:
    """The values repeated over the elements that a key names; extra axes of 1 in front go."""
    while values.ndim > len(shape) and values.shape[0] == 1:
        values = arithmetic.reshape(values, values.shape[1:])
    index.require_fit("values", values.shape, shape)
    return arithmetic.broadcast(values, shape)


def _put(x: Tensor, plan: Plan, part: Tensor) -> Tensor:
    """x with a part in place of what the slices of a key keep."""
    if plan.flips:
        part = arithmetic.call("flip", part, axes=plan.flips)
    if is_whole(plan, x.shape):
        return part
    if part.size == 0:
        return x
    steps = [step for _, _, step in plan.ranges]
    ends = [range(*each)[-1] + 1 for each in plan.ranges]
    borders = {
        "low": tuple(start for start, _, _ in plan.ranges),
        "high": tuple(n - end for n, end in zip(x.shape, ends, strict=True)),
        "interior": tuple(step - 1 for step in steps),
    }
    inside = front.from_node(full(True, part.shape, bool_))
    chosen = arithmetic.call("pad", inside, **borders, value=False)
    return arithmetic.call("where", chosen, arithmetic.call("pad", part, **borders, value=0), x)


# ----------------------------------------------------------------------------------- masks


def _sole_mask(key: Any) -> Tensor | None:
    """The mask that is a whole key."""
    (part,) = key if isinstance(key, tuple) and len(key) == 1 else (key,)
    if isinstance(part, (tuple, bool)) or part is None or part is Ellipsis:
        return None
    if not (isinstance(part, (front.Tensor, list)) or hasattr(part, "__array__")):
        return None
    mask = front.as_tensor(part)
    return mask if mask.dtype == bool_ and mask.ndim else None


def _traced_mask(key: Any) -> Tensor | None:
    mask = _sole_mask(key)
    return mask if mask is not None and not mask.is_known else None


def _spread_mask(mask: Tensor, x: Tensor) -> Tensor:
    """The mask over the axes of x that it does not have."""
    if mask.shape != x.shape[: mask.ndim]:
        raise ShapeError(
            f"a mask of shape {list(mask.shape)} for a tensor of shape {list(x.shape)}",
            fix="a mask has the extents of the axes that it stands for",
        )
    tall = arithmetic.reshape(mask, (*mask.shape, *(1,) * (x.ndim - mask.ndim)))
    return arithmetic.broadcast(tall, x.shape)


def _beside_mask(mask: Tensor, new: Tensor, x: Tensor) -> Tensor | None:
    """The values over all of x, where they do not depend on which elements the mask chooses."""
    rest = x.shape[mask.ndim :]
    shape = new.shape
    if len(shape) == len(rest) + 1 and shape[0] == 1:
        shape = shape[1:]
    if len(shape) > len(rest):
        return None
    index.require_fit("values", shape, rest)
    return arithmetic.broadcast(arithmetic.reshape(new, shape), x.shape)
