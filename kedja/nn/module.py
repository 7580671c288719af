"""`Module`: a layer or a network, as a callable dataclass and a pytree.

Not here: the layers (`linear.py`, `activations.py`), how fields are sorted into arrays and the
rest (`fields.py`), how results of compiled functions become modules (`making.py`), how buffers
change (`state.py`), training (`kedja/train`).
Next: `containers.py`.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial, wraps
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    ClassVar,
    Self,
    TypeVar,
    cast,
    dataclass_transform,
    get_args,
)

import numpy as np

from kedja.front import tree
from kedja.front.changes import changes
from kedja.front.tensor import Tensor, as_tensor, from_node, from_value
from kedja.ground.dtypes import as_dtype, is_float
from kedja.ground.errors import ShapeError, UsageError
from kedja.ground.suggest import did_you_mean
from kedja.ir.graph import Layer, provenance, scope
from kedja.nn import fields, making, state, weights
from kedja.nn.at import At

# The annotation of a field whose arrays are part of the model but are not learned.
Buffer = Annotated[Tensor, "buffer"]

T = TypeVar("T", bound="Module")
Watcher = Callable[[Layer, "Module", Any], None]

_running: ContextVar[_Call | None] = ContextVar("kedja_module", default=None)
_watcher: ContextVar[Watcher | None] = ContextVar("kedja_watcher", default=None)


@dataclass_transform(eq_default=False)
class Module(making.Base):
    """The base of layers and networks.

    A subclass names its fields by annotation and defines `__call__`; it becomes a dataclass
    unless it has an `__init__` of its own. Fields that hold arrays or modules (also in lists,
    tuples and dicts) are what gradients, optimisers and checkpoints see; all other fields are
    static. Modules are not changed after they are made: `replace` gives a changed copy.

    Arrays in a field annotated `nn.Buffer` (or `nn.Buffer | None`) are buffers: inputs of compiled
    functions and part of checkpoints like the others, but neither differentiated nor changed by
    optimisers. Layers change them by `nn.record`. An array that stands at two places of a module
    is tied: one parameter, whose gradient is the sum over both.

    >>> import kedja as kj
    >>> class Line(Module):
    ...     slope: kj.Tensor
    ...     offset: kj.Tensor
    ...     def __call__(self, x):
    ...         return self.slope * x + self.offset
    >>> line = Line(kj.tensor(2.0), kj.tensor(1.0))
    >>> line(3.0).item()
    7.0
    >>> kj.grad(lambda model: model(3.0))(line).slope.item()
    3.0
    """

    __slots__ = ()

    _inline: ClassVar[str] = ""  # the field whose children are named without its own name
    _buffers: ClassVar[frozenset[str]] = frozenset()  # the fields that are annotated as buffers
    _made_by_dataclass: ClassVar[bool] = True

    def __init_subclass__(cls, init: bool = True, **options: Any) -> None:
        """`init=False` tells type checkers that the class is made as its base is."""
        super().__init_subclass__(**options)
        _require_free_names(cls)
        cls._buffers = cls._buffers | _declared_buffers(cls)
        if "__init__" in cls.__dict__:
            cls._made_by_dataclass = False
        if cls._made_by_dataclass:
            dataclass(eq=False, repr=False)(cls)
        if "__call__" in cls.__dict__:
            cls.__call__ = _entering(cls.__call__)  # type: ignore[method-assign]
        put_together, keeping = partial(_put_together, cls), partial(making.later, cls)
        maker = partial(making.maker, cls)
        tree.register(cls, _take_apart, put_together, ties=True, maker=maker, keeping=keeping)

    if not TYPE_CHECKING:

        @property
        def __dict__(self) -> dict[str, Any]:
            """The fields, made before anybody sees them."""
            making.make(self)
            return making.fields_of(self)

    def __setattr__(self, name: str, value: Any) -> None:
        making.make(self)
        object.__setattr__(self, name, value)
        _is_changed(self)

    def __delattr__(self, name: str) -> None:
        making.make(self)
        object.__delattr__(self, name)
        _is_changed(self)

    def __getstate__(self) -> dict[str, Any]:
        """What is copied and pickled: the fields."""
        return {**vars(self)}

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes."""
        raise UsageError(f"{type(self).__name__} has no __call__", fix="define it in the class")

    # ---------------------------------------------------------------- what is inside

    def parameters(self) -> list[tuple[str, Tensor]]:
        """What is learned: every array but the buffers, with its dotted path (`layers.0.weight`).

        Frozen parameters are among them; a tied one stands once, under its first path.
        """
        return [(path, leaf) for path, leaf, buffer in self._arrays() if not buffer]

    def buffers(self) -> list[tuple[str, Tensor]]:
        """What is not learned but belongs to the model, as running statistics, with its path."""
        return [(path, leaf) for path, leaf, buffer in self._arrays() if buffer]

    def _arrays(self) -> list[tuple[str, Tensor, bool]]:
        free = self.unfreeze()
        learned = tree.trainable(tree.flatten(free)[1])
        pairs = zip(tree.paths(free), learned, strict=True)
        return [(path, as_tensor(leaf), not mark) for (path, leaf), mark in pairs]

    @property
    def num_parameters(self) -> int:
        """How many numbers are learned: the sizes of all parameters together."""
        return sum(each.size for _, each in self.parameters())

    def children(self) -> list[tuple[str, Module]]:
        """The modules directly inside this one, with their names."""
        parts = _take_apart(self)
        pairs = zip(parts.names, parts.children, strict=True)
        return [(name, child) for name, child in pairs if isinstance(child, Module)]

    def modules(self) -> Iterator[tuple[str, Module]]:
        """This module (whose path is empty) and all inside it, with dotted paths."""
        yield "", self
        for name, child in self.children():
            for path, module in child.modules():
                yield (f"{name}.{path}" if name and path else name or path), module

    # ---------------------------------------------------------------- changed copies

    def replace(self, **changes: Any) -> Self:
        """A copy with some fields changed.

        Raises UsageError for a field that the module does not have.
        """
        for name in changes:
            if name not in vars(self):
                raise UsageError(
                    f"{type(self).__name__} has no field {name!r}",
                    fix=did_you_mean(name, vars(self)),
                )
        copy = object.__new__(type(self))
        vars(copy).update(vars(self) | changes)
        return copy

    def at(self, path: str) -> At[Self]:
        """The place of a layer or an array inside, by its dotted path, to change what stands there.

        >>> from kedja import nn
        >>> net = nn.Sequential(nn.Linear(4, 5), nn.ReLU())
        >>> net.at("1").set(nn.Tanh())[1]
        Tanh()
        >>> net.at("0").replace(bias=None)[0]
        Linear(in_features=4, out_features=5, bias=False)
        """
        return At(self, path)

    def freeze(self) -> Self:
        """A copy in which nothing changes in training: no parameter is learned, no buffer recorded.

        The mark goes to all modules inside; those that are put in later do not have it, and
        `net.freeze().at("head").unfreeze()` learns the head alone.
        """
        return _marked(self, frozen=True)

    def unfreeze(self) -> Self:
        """A copy without the marks of `freeze`, here and in all modules inside."""
        return _marked(self, frozen=False)

    @property
    def is_frozen(self) -> bool:
        """Whether this module itself is marked by `freeze`."""
        return "_frozen" in vars(self)

    def copy(self) -> Self:
        """A copy with arrays of its own: beside the original in one network, it is not tied to it.

        >>> from kedja import nn
        >>> layer = nn.Linear(2, 2)
        >>> [nn.Sequential(layer, each).num_parameters for each in (layer, layer.copy())]
        [6, 12]
        """
        fresh: Self = tree.map(_fresh, self)
        return fresh

    def astype(self, dtype: Any) -> Self:
        """A copy whose float arrays have another float dtype."""
        kind = as_dtype(dtype)

        def converted(leaf: Any) -> Tensor:
            tensor = as_tensor(leaf)
            return tensor.astype(kind) if is_float(tensor.dtype) else tensor

        copy: Self = tree.map(converted, self)
        return copy

    def state_dict(self) -> dict[str, np.ndarray]:
        """Every array by its dotted path, buffers too; the names are those of PyTorch.

        A tied array stands under each of its paths.
        """
        return {path: as_tensor(leaf).numpy() for path, leaf in tree.places(self)}

    def load_state_dict(self, state: Mapping[str, Any]) -> Self:
        """A copy with the arrays of a `state_dict` (NumPy's, kedja's or PyTorch's), in own dtypes.

        Of the names of a tied array one is enough. Raises UsageError, listing what is missing,
        unexpected, or of another shape or kind.
        """
        copy: Self = weights.loaded(self, state)
        return copy

    # ---------------------------------------------------------------- printing

    def extra_repr(self) -> str:
        """What stands in the brackets when the module is printed: its fields without modules."""
        inline = type(self)._inline
        texts = (_texts(name, value, inline) for name, value in vars(self).items())
        return ", ".join(text for each in texts for text in each)

    def __repr__(self) -> str:
        head, inner = f"{type(self).__name__}(", self.children()
        if not inner:
            return f"{head}{self.extra_repr()})"
        own = [self.extra_repr()] if self.extra_repr() else []
        lines = own + [f"({name}): {child!r}" for name, child in inner]
        body = "\n".join(lines).replace("\n", "\n  ")
        return f"{head}\n  {body}\n)"


def _require_free_names(cls: type[Module]) -> None:
    """Fields must not hide the methods that make a class a module."""
    for name in inspect.get_annotations(cls):
        if not name.startswith("_") and hasattr(Module, name):
            fix = f"call it something else: {name!r} is a method of every module"
            raise UsageError(f"{cls.__name__} has a field {name!r}", fix=fix)


def _declared_buffers(cls: type[Module]) -> set[str]:
    found = inspect.get_annotations(cls).items()
    return {name for name, annotation in found if _is_buffer(annotation)}


def _is_buffer(annotation: Any) -> bool:
    """Whether an annotation names Buffer; it is a text where annotations are not evaluated."""
    if isinstance(annotation, str):
        return re.search(r"\bBuffer\b", annotation) is not None
    return annotation is Buffer or any(_is_buffer(part) for part in get_args(annotation))


# ------------------------------------------------------------------------------ as a pytree


LOOKED_AT = tree.Parts((), (), None)  # of modules that are taken apart anew each time


def _is_changed(module: Module) -> None:
    """A field was set: what was found before is wrong, if anybody has looked."""
    if getattr(module, "_parts", None) is not None:
        object.__setattr__(module, "_parts", None)
        changes.of_modules()


def _take_apart(module: Module) -> tree.Parts:
    known: tree.Parts | None = getattr(module, "_parts", None)
    if known is not None and known is not LOOKED_AT:
        return known
    object.__setattr__(module, "_parts", LOOKED_AT)  # before the fields are, for other threads
    names, children, static, buffers = fields.split(
        vars(module).items(), Module, module._inline, module._buffers
    )
    if module.is_frozen:  # modules inside have marks of their own
        pairs = zip(children, buffers, strict=True)
        buffers = tuple(mark or not isinstance(child, Module) for child, mark in pairs)
    open = fields.open_containers(vars(module).values()) if fields.can_change(static) else ()
    parts = tree.Parts(names, children, static, buffers if any(buffers) else (), tuple(open))
    if not open:
        object.__setattr__(module, "_parts", parts)
    return parts


def _put_together(cls: type[Module], static: Any, children: Sequence[Any]) -> Module:
    module = object.__new__(cls)
    vars(module).update(fields.join(static, children))
    return module


def _marked(module: T, frozen: bool) -> T:
    """A copy of a module and of all inside, with or without the mark of `freeze`."""
    parts = _take_apart(module)
    inner = [_marked(each, frozen) if isinstance(each, Module) else each for each in parts.children]
    copy = _put_together(type(module), parts.static, inner)
    vars(copy).pop("_frozen", None)
    vars(copy).update({"_frozen": True} if frozen else {})
    return cast(T, copy)


def _fresh(leaf: Any) -> Tensor:
    tensor = as_tensor(leaf)
    return from_value(tensor.numpy()) if tensor.is_known else from_node(tensor.node, tensor.tracks)


# ------------------------------------------------------------------------------ as a layer


def _entering(call: Callable[..., Any]) -> Callable[..., Any]:
    """The call of a layer, in which nodes and errors know the layer's name."""

    @wraps(call)
    def named(self: Module, *args: Any, **kwargs: Any) -> Any:
        state.note_call()
        outer = _running.get()
        if outer is not None and outer.module is self:  # super().__call__(…)
            return call(self, *args, **kwargs)
        token = _running.set(_Call(self))
        try:
            with _scope(outer, self) as layer:
                result = call(self, *args, **kwargs)
        finally:
            _running.reset(token)
        watcher = _watcher.get()
        if watcher is not None:
            watcher(layer, self, result)
        return result

    return named


@contextmanager
def watching(watcher: Watcher) -> Iterator[None]:
    """Inside, `watcher(layer, module, result)` hears of every call of a module when it ends."""
    token = _watcher.set(watcher)
    try:
        yield
    finally:
        _watcher.reset(token)


class _Call:
    """A module that is being called, and the names of those directly inside, once one is asked."""

    __slots__ = ("_children", "_names", "module")

    def __init__(self, module: Module) -> None:
        self.module = module
        self._children: list[tuple[str, Module]] | None = None
        self._names: dict[int, str] = {}

    def path(self, inner: Module) -> str:
        """The path of a module inside this one, else its class."""
        if self._children is None:
            self._children = self.module.children()
            self._names = {id(child): name for name, child in reversed(self._children)}
        found = self._names.get(id(inner))
        return _path(self.module, inner) if found is None else found


def _scope(outer: _Call | None, inner: Module) -> AbstractContextManager[Layer]:
    """The scope of a layer: its path within the module that calls it, else its class.

    An outermost network has no name: its layers have those that its `state_dict` gives them.
    """
    if outer is not None:
        return scope(outer.path(inner), inner)
    return scope("" if inner.children() else type(inner).__name__, inner)


def _path(outer: Module, inner: Module) -> str:
    for modules in (outer.children(), outer.modules()):
        for path, module in modules:
            if module is inner:
                return path
    return type(inner).__name__


def layer_error(module: Module, what: str, fix: str) -> ShapeError:
    """The error of a layer whose input does not fit: with the user's line, its path and class."""
    source, path = provenance()
    kind = type(module).__name__
    label = kind if path in ("", kind) else f"layer {path} ({kind})"
    line = f"\n    {source.text}" if source is not None and source.text else ""
    where = label if source is None else f"{source}, {label}"
    return ShapeError(what + line, where=where, fix=fix)


# ------------------------------------------------------------------------------ as text


def _texts(name: str, value: Any, inline: str) -> list[str]:
    """A field as text; nothing where it holds modules, which are printed on lines of their own."""
    if name == "_frozen":
        return []
    parts = fields.split([(name, value)], Module, inline)
    if any(isinstance(child, Module) for child in parts.children):
        return []
    if parts.children:
        pairs = zip(parts.names, parts.children, strict=True)
        return [f"{path}={as_tensor(array).node.type}" for path, array in pairs]
    return [f"{name}={value.__name__ if callable(value) else repr(value)}"]
