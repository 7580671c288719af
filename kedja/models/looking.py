"""Who looks at whom: the weights of every attention in a network on one text.

Not here: how they are overheard (`kedja/nn/looks.py`), how they are drawn (`heat.py`).
Next: `heat.py`. Dimensions: H heads, L queries, S keys.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

import kedja as kj
from kedja import nn
from kedja.front import tables
from kedja.ground.errors import DataError, UsageError
from kedja.models import heat

Array = np.ndarray[Any, np.dtype[Any]]

HEADER = ("layer", "head", "itself", "before", "first", "reach", "bits", "strongest")
NUMBERS = ("head", "itself", "before", "first", "reach", "bits")


class Map(NamedTuple):
    """One head: `weights` (L, S), each row a distribution over the keys, and the same `unmasked`.

    `unmasked` is the softmax of the same scores without the mask: where the queries would look if
    they saw what comes after them.
    """

    layer: str
    head: int
    weights: Array
    unmasked: Array

    @property
    def is_masked(self) -> bool:
        """Whether a mask changed anything."""
        return not np.allclose(self.weights, self.unmasked, atol=1e-6)

    @property
    def bits(self) -> float:
        """The mean entropy of the rows, −Σ w log₂ w: 0 where each query looks at one key."""
        positive = np.where(self.weights > 0, self.weights, 1.0)
        return float(-(self.weights * np.log2(positive)).sum(-1).mean())

    @property
    def reach(self) -> float:
        """How far away a query looks, in tokens, in the mean."""
        rows, columns = np.indices(self.weights.shape)
        return float((self.weights * abs(rows - columns)).sum(-1).mean())

    def share(self, offset: int) -> float:
        """The mean weight on the key `offset` places further, over the queries that have one."""
        return float(np.diagonal(self.weights, offset).mean()) if len(self.weights) > 1 else 1.0

    @property
    def strongest(self) -> tuple[int, int]:
        """The query and the other key with the largest weight; the first pair where there is none.

        Looks at itself and at the first key are left out: most heads rest there.
        """
        others = np.array(self.weights)
        np.fill_diagonal(others, -1.0)
        others[:, 0] = -1.0
        row, column = np.unravel_index(int(others.argmax()), others.shape)
        return int(row), int(column)


@dataclass(frozen=True)
class Attention:
    """The maps of a network on one text; prints as a table, shows itself as a picture.

    `queries` and `keys` are the texts of the tokens; they are the same in self-attention.
    """

    queries: tuple[str, ...]
    keys: tuple[str, ...]
    maps: tuple[Map, ...]

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers' paths in the order in which they are called."""
        return tuple(dict.fromkeys(each.layer for each in self.maps))

    def of(self, layer: int | None = None, head: int | None = None) -> Attention:
        """The maps of one layer (counted from 0), of one head, or of both. Raises UsageError."""
        layers, heads = self.layers, 1 + max(each.head for each in self.maps)
        for what, given, count in (("layer", layer, len(layers)), ("head", head, heads)):
            if given is not None and not 0 <= given < count:
                raise UsageError(f"there is no {what} {given}", fix=f"a number below {count}")
        kept = (m for m in self.maps if layer is None or m.layer == layers[layer])
        return replace(self, maps=tuple(m for m in kept if head is None or m.head == head))

    def rows(self) -> list[tuple[str, ...]]:
        """A row for each head; shares in per cent."""
        return [tuple(self._row(each)) for each in self.maps]

    def _row(self, of: Map) -> Iterator[str]:
        yield from (of.layer, str(of.head))
        yield from (f"{of.share(0):.0%}", f"{of.share(-1):.0%}", f"{of.weights[:, 0].mean():.0%}")
        yield from (f"{of.reach:.1f}", f"{of.bits:.2f}")
        query, key = of.strongest
        pair = f"{heat.shown(self.queries[query])} → {heat.shown(self.keys[key])}"
        yield f"{pair} {of.weights[query, key]:.0%}"

    def table(self) -> str:
        """The heads as a table: how much each looks at itself, at the token before, how far."""
        return tables.rendered(HEADER, self.rows(), numbers=NUMBERS)

    def text(self, unmasked: bool = False) -> str:
        """Each map as characters, dark where the weight is large; with the unmasked one beside."""
        return "\n\n".join(self._drawn(each, unmasked) for each in self.maps)

    def _drawn(self, of: Map, unmasked: bool) -> str:
        both = unmasked and of.is_masked
        panels = [of.weights, of.unmasked] if both else [of.weights]
        titles = ("masked", "without the mask") if both else ("",)
        head = f"{of.layer}, head {of.head}"
        return head + "\n" + heat.text(self.queries, self.keys, panels, titles)

    def svg(self, unmasked: bool = False) -> str:
        """A picture: a row of panels for each layer, a panel for each head."""
        grid = [self._panels(layer, unmasked) for layer in self.layers]
        return heat.svg(self.queries, self.keys, grid)

    def _panels(self, layer: str, unmasked: bool) -> list[heat.Panel]:
        panels = []
        for each in (m for m in self.maps if m.layer == layer):
            title = f"{layer}, head {each.head}"
            panels.append(heat.Panel(title, each.weights))
            if unmasked and each.is_masked:
                panels.append(heat.Panel(f"{title}, without the mask", each.unmasked))
        return panels

    def data(self) -> dict[str, Any]:
        """The maps as JSON's types."""
        maps = [
            {
                "layer": each.layer,
                "head": each.head,
                "weights": each.weights.round(6).tolist(),
                "unmasked": each.unmasked.round(6).tolist(),
            }
            for each in self.maps
        ]
        return {"queries": list(self.queries), "keys": list(self.keys), "maps": maps}

    def __str__(self) -> str:
        return self.table()

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/plain": self.table(), "image/svg+xml": self.svg()}


def attention(
    model: Callable[..., Any], *inputs: Any, queries: Sequence[str], keys: Sequence[str] = ()
) -> Attention:
    """What every head of a network looks at when it is called with these inputs.

    The inputs are one example: tokens (1, T). `queries` are the texts of its tokens, `keys` those
    that are looked at, where they are others: in an encoder–decoder, the maps of which both fit are
    given. Raises UsageError where nothing in the network attends, DataError where no map fits the
    texts.

    >>> model = kj.models.GPT2(kj.models.GPT2Config(11, 8, 12, 2, 3))
    >>> found = attention(model, kj.tensor([[1, 2, 3]]), queries="abc")
    >>> len(found.maps), found.layers
    (6, ('h.0.attn', 'h.1.attn'))
    >>> found.maps[0].weights[0].tolist()
    [1.0, 0.0, 0.0]
    """
    with nn.looking() as looks:
        model(*inputs)
    if not looks:
        raise UsageError("nothing in this model attends", fix="give one with attention layers")
    wanted = (len(queries), len(keys or queries))
    maps = [each for look in looks for each in _heads(look) if each.weights.shape == wanted]
    if not maps:
        raise DataError(f"no attention of {wanted[0]} queries to {wanted[1]} keys")
    return Attention(tuple(queries), tuple(keys or queries), tuple(maps))


def _heads(look: nn.Look) -> Iterator[Map]:
    """The maps of one call, of its first example."""
    weights = _as_heads(look.weights)  # (H L S)
    unmasked = _as_heads(kj.softmax(look.scores, -1))
    for head, pair in enumerate(zip(weights, unmasked, strict=True)):
        yield Map(look.layer, head, *pair)


def _as_heads(x: kj.Tensor) -> Array:
    array: Array = x.numpy().astype(np.float64)
    return array.reshape(-1, *array.shape[-3:])[0] if array.ndim > 2 else array[None]
