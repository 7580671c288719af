"""Layers made of layers: Sequential, and Lambda for plain functions. Next: `activations.py`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar, overload

from kedja.ground.errors import UsageError
from kedja.nn.module import Module


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

    The layers are named by their places, as in PyTorch: `0.weight`. `net[0]` is a layer, and
    `net[:2]` a Sequential. Raises UsageError for something that cannot be called.

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
    layers: tuple[Module, ...]

    def __init__(self, *layers: Callable[..., Any]) -> None:
        self.layers = tuple(_as_module(place, each) for place, each in enumerate(layers))

    def __call__(self, x: Any) -> Any:
        """x through all layers."""
        for layer in self.layers:
            x = layer(x)
        return x

    def __len__(self) -> int:
        return len(self.layers)

    def __iter__(self) -> Iterator[Module]:
        return iter(self.layers)

    @overload
    def __getitem__(self, place: int) -> Module: ...
    @overload
    def __getitem__(self, place: slice) -> Sequential: ...
    def __getitem__(self, place: int | slice) -> Module:
        found = self.layers[place]
        return found if isinstance(found, Module) else Sequential(*found)


def _as_module(place: int, layer: Any) -> Module:
    if isinstance(layer, Module):
        return layer
    if isinstance(layer, type) or not callable(layer):
        shown = f"the class {layer.__name__}" if isinstance(layer, type) else repr(layer)
        raise UsageError(
            f"layer {place} of Sequential is {shown}",
            fix="give modules and functions: Sequential(nn.Linear(4, 2), nn.ReLU())",
        )
    return Lambda(layer)
