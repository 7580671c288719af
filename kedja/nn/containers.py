"""Layers made of layers: Sequential, lists and dicts of modules and parameters, plain functions.

A module may hold layers in plain lists, tuples and dicts as well; these classes give them PyTorch's
names. Next: `activations.py`.
"""

from __future__ import annotations

from collections.abc import Callable, ItemsView, Iterable, Iterator, KeysView, Mapping, ValuesView
from typing import Any, ClassVar, Generic, TypeVar, overload

from kedja.front.tensor import Tensor, as_tensor
from kedja.ground.errors import OutOfRangeError, UsageError
from kedja.nn.module import Module

T = TypeVar("T")


class Lambda(Module):
    """y = f(x) for a function without parameters of its own.

    >>> from kedja.nn import functional
    >>> Lambda(functional.relu)
    Lambda(function=relu)
    """

    function: Callable[..., Any]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """What the function gives."""
        return self.function(*args, **kwargs)


class Sequential(Module):
    """y = fₙ(… f₂(f₁(x))): layers and plain functions, one after the other.

    The layers are named by their places, as in PyTorch: `0.weight`; one dict instead of them gives
    other names. `net[0]` is a layer, and `net[:2]` a Sequential. Raises UsageError for something
    that cannot be called.

    >>> from kedja.nn import Linear, ReLU
    >>> net = Sequential(Linear(4, 5), ReLU(), Linear(5, 2))
    >>> net
    Sequential(
      (0): Linear(in_features=4, out_features=5, bias=True)
      (1): ReLU()
      (2): Linear(in_features=5, out_features=2, bias=True)
    )
    >>> [name for name, _ in net.parameters()]
    ['0.weight', '0.bias', '2.weight', '2.bias']
    """

    _inline: ClassVar[str] = "layers"
    layers: tuple[Module, ...] | dict[str, Module]

    def __init__(self, *layers: Callable[..., Any] | Mapping[str, Callable[..., Any]]) -> None:
        if len(layers) == 1 and isinstance(layers[0], Mapping):
            named = layers[0].items()
            self.layers = {name: _as_module(name, each) for name, each in named}
        else:
            self.layers = tuple(_as_module(place, each) for place, each in enumerate(layers))

    def __call__(self, x: Any) -> Any:
        """x through all layers."""
        for layer in self:
            x = layer(x)
        return x

    def __len__(self) -> int:
        return len(self.layers)

    def __iter__(self) -> Iterator[Module]:
        return iter(self.layers.values() if isinstance(self.layers, dict) else self.layers)

    @overload
    def __getitem__(self, place: int) -> Module: ...
    @overload
    def __getitem__(self, place: slice) -> Sequential: ...
    def __getitem__(self, place: int | slice) -> Module:
        if isinstance(place, slice) and isinstance(self.layers, dict):
            return Sequential(dict(list(self.layers.items())[place]))
        if isinstance(place, int) and not -len(self) <= place < len(self):
            raise OutOfRangeError(
                f"layer {place} of a Sequential of {len(self)}", fix=f"0 to {len(self) - 1}"
            )
        found = tuple(self)[place]
        return found if isinstance(found, Module) else Sequential(*found)


def _as_module(place: int | str, layer: Any) -> Module:
    if isinstance(layer, Module):
        return layer
    if isinstance(layer, type) or not callable(layer):
        shown = f"the class {layer.__name__}" if isinstance(layer, type) else repr(layer)
        raise UsageError(
            f"layer {place} of Sequential is {shown}",
            fix="give modules and functions: Sequential(nn.Linear(4, 2), nn.ReLU())",
        )
    return Lambda(layer)


# ------------------------------------------------------------------------- lists and dicts


class _List(Module, Generic[T]):
    """What the lists have in common: their elements, named by their places."""

    _inline: ClassVar[str] = "_elements"

    def __init__(self, elements: Iterable[Any] = ()) -> None:
        self._elements = tuple(self._checked(place, each) for place, each in enumerate(elements))

    def _checked(self, place: int | str, element: Any) -> Any:
        return element

    def __len__(self) -> int:
        return len(self._elements)

    def __iter__(self) -> Iterator[T]:
        return iter(self._elements)

    def __getitem__(self, place: Any) -> Any:
        found = self._elements[place]
        return type(self)(found) if isinstance(place, slice) else found

    def __add__(self, more: Iterable[Any]) -> Any:
        return type(self)([*self, *more])


class _Dict(Module, Generic[T]):
    """What the dicts have in common: their values, named by their keys, in the order given."""

    _inline: ClassVar[str] = "_elements"

    def __init__(self, elements: Mapping[str, Any] | None = None) -> None:
        given = (elements or {}).items()
        self._elements = {key: self._checked(key, each) for key, each in given}

    def _checked(self, place: int | str, element: Any) -> Any:
        return element

    def __len__(self) -> int:
        return len(self._elements)

    def __iter__(self) -> Iterator[str]:
        return iter(self._elements)

    def __contains__(self, key: object) -> bool:
        return key in self._elements

    def __getitem__(self, key: str) -> T:
        found: T = self._elements[key]
        return found

    def keys(self) -> KeysView[str]:
        """The names."""
        return self._elements.keys()

    def values(self) -> ValuesView[T]:
        """What stands under the names."""
        return self._elements.values()

    def items(self) -> ItemsView[str, T]:
        """Names and what stands under them."""
        return self._elements.items()


class ModuleList(_List[Module], init=False):
    """Modules in a list: `0.weight`, `1.weight` … A list `+` others is a longer one.

    >>> from kedja.nn import Linear
    >>> layers = ModuleList([Linear(2, 2) for _ in range(3)])
    >>> len(layers), layers[0].num_parameters, len(layers[1:])
    (3, 6, 2)
    """

    def _checked(self, place: int | str, element: Any) -> Module:
        return _as_module(place, element)


class ModuleDict(_Dict[Module], init=False):
    """Modules by name: `name.weight`.

    >>> from kedja.nn import Linear
    >>> heads = ModuleDict({"mean": Linear(2, 1), "scale": Linear(2, 1)})
    >>> [name for name, _ in heads.parameters()]
    ['mean.weight', 'mean.bias', 'scale.weight', 'scale.bias']
    """

    def _checked(self, place: int | str, element: Any) -> Module:
        return _as_module(place, element)


class ParameterList(_List[Tensor], init=False):
    """Arrays in a list: `0`, `1` …

    >>> [name for name, _ in ParameterList([[1.0], [2.0]]).parameters()]
    ['0', '1']
    """

    def _checked(self, place: int | str, element: Any) -> Tensor:
        return as_tensor(element)


class ParameterDict(_Dict[Tensor], init=False):
    """Arrays by name.

    >>> ParameterDict({"scale": 2.0})["scale"].item()
    2.0
    """

    def _checked(self, place: int | str, element: Any) -> Tensor:
        return as_tensor(element)
