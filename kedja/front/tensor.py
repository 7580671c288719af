"""`kj.Tensor`: a node of the graph with the operators of Python, lazy and immutable.

Nothing is computed until a value is looked at (`numpy()`, `item()`, `print`, `if`). Not here: the
operators (`operators.py`), the methods by name (`methods.py`), indices (`index.py`, `at.py`), and
what evaluation does (`evaluate.py`). Next: `operators.py`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any
from weakref import WeakValueDictionary

import numpy as np

from kedja.front import (
    ambient,
    arithmetic,
    at,
    dlpack,
    evaluate,
    given,
    index,
    methods,
    namespace,
    operators,
)
from kedja.front.blocks import Block, Place, whole
from kedja.front.changes import changes
from kedja.front.device import CPU, require_cpu
from kedja.front.later import Later
from kedja.ground.dtypes import DType, is_float, is_integer, of_scalar
from kedja.ground.errors import (
    DtypeError,
    GradientError,
    TracingError,
    UsageError,
)
from kedja.ir.graph import Node, constant, full, locating, topological

marked: WeakValueDictionary[Node, Tensor] = WeakValueDictionary()  # leaves that want a gradient
followed: set[Node] = set()  # the inputs of the transformations (grad, jvp …) that are running


class Tensor(operators.Operators, methods.Methods):
    """An array of one dtype that is never changed, and knows how it was computed.

    `kj.tensor` makes one. Nothing is computed until a value is looked at: `numpy()` gives the array
    (read-only), `item()` the number of a tensor of one, `print` and `if` look, too. Operators,
    indices and methods are NumPy's; instead of `x[i] = v`, `x.at[i].set(v)` gives a changed copy.

    `requires_grad` marks a leaf whose gradient `loss.backward()` adds into `.grad`. `name` is
    what printed formulas call it.
    """

    __slots__ = (
        "__weakref__", "_block", "_freed", "_made", "_place", "_value", "grad", "tracks"
    )  # fmt: skip
    __array_priority__ = 1000  # NumPy's operators give way to ours

    _made: Node | Later | None  # None: a leaf of the value, made when it is first needed
    _value: np.ndarray | None  # None: not computed, or not looked at since it lies in `_block`
    _block: Block | None
    _place: Place | None  # where in its block
    _freed: bool
    grad: Tensor | None
    tracks: bool

    def __init__(
        self, data: Any, dtype: Any = None, *, requires_grad: bool = False, name: str = ""
    ) -> None:
        with locating():
            value = given.to_array(data, dtype)
        self._set(constant(value, name), value)
        if requires_grad:
            self.requires_grad_()

    def _set(
        self, node: Node | Later | None, value: np.ndarray | None, tracks: bool = False
    ) -> None:
        self._made = node
        self._value = value
        self._block = None
        self._place = None
        self._freed = False
        self.grad = None
        self.tracks = tracks

    def forget(self, *, freed: bool = False) -> None:
        """Keep the value and forget how it was computed; `freed` says that `backward` did it."""
        self._made = None
        self._freed = freed

    def give_up(self, *, counted: bool = True) -> None:
        """Hold neither a value nor its history any more (`kj.jit(f, donate=…)`).

        Who gives up many tensors counts the change once by itself.
        """
        self._made = self._value = self._block = self._place = None
        if counted:
            changes.of_tensors()

    @property
    def is_freed(self) -> bool:
        """Whether `backward()` freed the history; the value is still there."""
        return self._freed

    @property
    def is_given_up(self) -> bool:
        """Whether it was donated to a compiled function: it has neither a value nor a history."""
        return self._made is None and not self.is_computed

    # ------------------------------------------------------------------ what it is

    @property
    def node(self) -> Node:
        """The node of the graph that this tensor stands for."""
        made = self._made
        if made.__class__ is not Node:
            made = self._made = self._leaf()
        return made  # type: ignore[return-value]  # faster than isinstance, which mypy knows

    def _leaf(self) -> Node:
        if not self.is_computed:
            raise UsageError(
                "this tensor was given up to a function compiled with donate=",
                fix="use what that function returned, or do not donate the argument",
            )
        return constant(self.numpy())

    @property
    def shape(self) -> tuple[int, ...]:
        """The extents of the axes."""
        if self._value is not None:
            return self._value.shape
        made = self._made
        if made.__class__ is Node or isinstance(made, Later):
            return made.shape  # type: ignore[union-attr]  # as in `node`
        return self.node.shape if self._place is None else self._place.kind.shape

    @property
    def dtype(self) -> DType:
        """The element type."""
        if self._value is not None:
            return self._value.dtype
        made = self._made
        if made.__class__ is Node or isinstance(made, Later):
            return made.dtype  # type: ignore[union-attr]  # as in `node`
        return self.node.dtype if self._place is None else self._place.kind.dtype

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    @property
    def T(self) -> Tensor:  # noqa: N802  the standard's name
        """The transpose of a matrix (of the last two axes, were there more)."""
        return self.mT

    @property
    def mT(self) -> Tensor:  # noqa: N802  the standard's name
        """The last two axes exchanged."""
        return arithmetic.swap_last_axes(self)

    @property
    def requires_grad(self) -> bool:
        """Whether this is a leaf into whose `.grad` a backward pass adds."""
        return self._made in marked

    def requires_grad_(self) -> Tensor:
        """Mark this tensor as a leaf whose gradient is wanted, and return it."""
        with locating():
            self._require_leaf()
        self.numpy()
        marked[self.node] = self
        self.tracks = True
        changes.of_tensors()
        return self

    def _require_leaf(self) -> None:
        if not is_float(self.dtype):
            raise DtypeError(
                f"a gradient of {self.dtype.name}",
                fix="only floats have gradients: write 2.0 for 2, or astype",
            )
        if self.tracks and self.node not in marked:
            raise GradientError(
                "requires_grad on the result of a computation", fix="use t.detach() first"
            )

    def detach(self) -> Tensor:
        """The same value without its history."""
        return from_value(self.numpy()) if self.is_known else arithmetic.stop_gradient(self)

    # ------------------------------------------------------------------ looking at the value

    @property
    def is_computed(self) -> bool:
        """Whether a value is there, or will be when it is looked at."""
        if self._value is not None or self._block is not None:
            return True
        return isinstance(self._made, Later)

    @property
    def is_known(self) -> bool:
        """Whether a value is there, or could be computed now (false inside a trace)."""
        return self.is_computed or not evaluate.is_traced(self.node)

    def numpy(self) -> np.ndarray:
        """The value as a NumPy array, which cannot be written to."""
        if self._value is None:
            if self._block is not None and self._place is not None:
                self._value = self._place.view(self._block)
                return self._value
            if isinstance(self._made, Later):
                self._value = self._made.value().view()
            else:
                self._require_value("numpy()", "use kedja's own functions inside")
                self._value = evaluate.value(self.node).view()
            self._value.setflags(write=False)
            if not self.tracks:
                self.forget()  # drops the inputs: loops do not grow a graph
        return self._value

    def item(self) -> Any:
        """The one element as a Python number."""
        return self.numpy().item()

    def tolist(self) -> Any:
        """The value as nested lists of Python numbers."""
        return self.numpy().tolist()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        self._require_no_gradient("a function of NumPy")
        value = self.numpy()
        return value.astype(dtype) if dtype is not None else value.copy() if copy else value

    def __float__(self) -> float:
        self._require_no_gradient("float(), or a function of math,")
        return float(self._scalar("float"))

    def __int__(self) -> int:
        return int(self._scalar("int"))

    def __complex__(self) -> complex:
        return complex(self._scalar("complex"))

    def __index__(self) -> int:
        if not is_integer(self.dtype):
            raise DtypeError(f"an index of {self.dtype.name}", fix="indices are whole numbers")
        return int(self._scalar("an index"))

    def __bool__(self) -> bool:
        return bool(self._scalar("if"))

    def _require_value(self, purpose: str, instead: str) -> None:
        """Raise TracingError inside a trace, and for what leaked out of one that has ended."""
        if self.is_known:
            return
        where = str(self.node.source) if self.node.source else None
        if ambient.traces():
            raise TracingError(
                f"{purpose} needs a value, but {self.node.type} has none while it is traced",
                where=where,
                fix=f"{instead}, or take this line out of the jit, vmap or scan",
            )
        raise TracingError(
            f"{purpose} of {self.node.type}, which leaked out of a jit, vmap or scan that is over",
            where=where,
            fix="return it from the function instead of keeping it outside",
        )

    def _require_no_gradient(self, purpose: str) -> None:
        """Raise GradientError where `grad` is running and would not see what becomes of this."""
        if not followed or not is_float(self.dtype):
            return
        if followed.isdisjoint(topological([self.node])):
            return
        with locating():
            raise GradientError(
                f"{purpose} of a tensor that is differentiated: the gradient would not see it",
                fix="use kedja's function, such as kj.exp; .item() and .numpy() give a constant",
            )

    def _scalar(self, purpose: str) -> Any:
        self._require_value(purpose, "use kj.where instead of `if`")
        if self.size != 1:
            raise TracingError(
                f"{purpose} of {self.size} elements", fix="reduce it first: any, all"
            )
        return self.numpy().reshape(())[()]

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("a scalar has no length")
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))

    def __format__(self, spec: str) -> str:
        """One element as a number is formatted, `f"{loss:.3f}"`; anything else as it is printed."""
        return (
            format(self.item(), spec) if spec and self.is_known and self.size == 1 else repr(self)
        )

    def __repr__(self) -> str:
        if not self.is_known:
            return f"Tensor({self.node.type}, traced)"
        body = np.array2string(self.numpy(), separator=", ", prefix="Tensor(")
        suffix = ", requires_grad=True" if self.requires_grad else ""
        return f"Tensor({body}, {self.dtype.name}{suffix})"

    # ------------------------------------------------------------------ gradients

    def backward(self, gradient: Any = None, *, retain: bool = False) -> None:
        """Add ∂self/∂leaf into `.grad` of every leaf that requires it, and free the history.

        `self` must be a scalar unless `gradient` (of the same shape) is given. Raises
        GradientError where no leaf is reached, or when the history was freed by an earlier call
        (`retain=True` keeps it).
        """
        with locating():
            evaluate.backward(self, gradient, retain)

    # ------------------------------------------------------------------ parts

    def __getitem__(self, key: Any) -> Tensor:
        return index.get(self, key)

    def __setitem__(self, key: Any, value: Any) -> None:
        with locating():
            at.refuse()

    @property
    def at(self) -> at.At:
        """New tensors with some elements changed: `t.at[key].set(v)`, `.add(v)` …"""
        return at.At(self)

    # ------------------------------------------------------------------ copies

    def __copy__(self) -> Tensor:
        if self._block is not None:
            self.numpy()  # memory at which two look is not handed on (`inheriting.py`)
        fresh = Tensor.__new__(Tensor)
        fresh._set(self._made, self._value, self.tracks)
        fresh._block, fresh._place = self._block, self._place
        fresh._freed, fresh.grad = self._freed, self.grad
        return fresh

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        """A leaf of its own where this one requires a gradient; else as `copy`: graphs are
        immutable."""
        if not self.requires_grad:
            return self.__copy__()
        fresh = restored(self.numpy(), True, self.node.attrs.get("name", ""))
        fresh.grad = None if self.grad is None else self.grad.__deepcopy__(memo)
        memo[id(self)] = fresh
        return fresh

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled as a plain array: without history, without code, without `.grad`."""
        name = self.node.attrs.get("name", "") if self.requires_grad else ""
        return restored, (self.numpy(), self.requires_grad, name)

    # ------------------------------------------------------------------ other libraries

    @property
    def device(self) -> str:
        """Where the values are: "cpu"."""
        return CPU

    def to_device(self, device: Any, /, *, stream: Any = None) -> Tensor:
        """This tensor; "cpu" is the one device there is."""
        with locating():
            require_cpu(device)
        return self

    def __array_namespace__(self, *, api_version: str | None = None) -> Any:
        return namespace.namespace(api_version)

    def __dlpack__(
        self,
        *,
        stream: Any = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> Any:
        return dlpack.exported(self.numpy(), stream, max_version, dl_device, copy)

    def __dlpack_device__(self) -> tuple[int, int]:
        return dlpack.CPU


def restored(value: np.ndarray, requires_grad: bool, name: str) -> Tensor:
    """A tensor from what its pickle or its deep copy holds."""
    if not (requires_grad or name):
        return from_value(value)
    value.setflags(write=False)
    tensor = Tensor.__new__(Tensor)
    tensor._set(constant(value, name), value)
    return tensor.requires_grad_() if requires_grad else tensor


def from_node(node: Node, tracks: bool = False) -> Tensor:
    """The tensor of a node, with a value only when it is looked at."""
    tensor = Tensor.__new__(Tensor)
    tensor._set(node, None, tracks)
    return tensor


def from_later(later: Later) -> Tensor:
    """A tensor of a value that is computed when somebody looks."""
    tensor = Tensor.__new__(Tensor)
    tensor._set(later, None)
    return tensor


def from_value(value: np.ndarray) -> Tensor:
    """A tensor of an array at hand, which is not copied and cannot be written to through it."""
    value = value.view()
    value.setflags(write=False)
    tensor = Tensor.__new__(Tensor)
    tensor._set(None, value)
    return tensor


def from_block(block: Block, place: Place) -> Tensor:
    """A tensor of what lies in a block, which nobody has looked at yet."""
    tensor = Tensor.__new__(Tensor)
    tensor._made = None
    tensor._value = None
    tensor._block = block
    tensor._place = place
    tensor._freed = False
    tensor.grad = None
    tensor.tracks = False
    return tensor


def placed(tensor: Tensor) -> Place | None:
    """The place of a tensor's value, computed if it can be; None where there is none.

    An array in pieces is copied once: later calls find it in one.
    """
    if tensor._place is None and not tensor.tracks and tensor.is_known:
        value = tensor.numpy()
        if not value.flags.c_contiguous:
            value = np.array(value, order="C").view()
            value.setflags(write=False)
            tensor._value = value
        tensor._block = value, value.ctypes.data
        tensor._place = whole(value.shape, value.dtype)
    return tensor._place


def as_tensor(data: Any, like: Tensor | None = None) -> Tensor:
    """A tensor as it is; scalars in the dtype that they take beside `like`; arrays wrapped.

    Tensors in lists are joined, with their history.
    """
    if isinstance(data, Tensor):
        return data
    if given.holds_tensors(data):
        return given.joined(data)
    if isinstance(data, (bool, int, float)) and like is not None:
        return from_node(full(data, (), of_scalar(data, like.dtype)))
    return Tensor(data)
