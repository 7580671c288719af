"""Listening to attention: who looks at whom, in any network that attends.

Not here: attention itself (`attention.py`), pictures of it (`kedja/models/looking.py`).
Next: `attention.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

from kedja.front.tensor import Tensor


class Look(NamedTuple):
    """One call of attention: where it stands in the network, and its two tables.

    `scores` are q kᵀ·scale before any mask, `weights` the softmax of what the mask leaves of them:
    both (…, H, L, S), computed when they are looked at.
    """

    layer: str
    scores: Tensor
    weights: Tensor


_heard: ContextVar[list[Look] | None] = ContextVar("kedja_looks", default=None)


@contextmanager
def looking() -> Iterator[list[Look]]:
    """Inside, every attention leaves a `Look` in the list that is given, in the order of calls.

    Call the model as it is: a compiled function that was traced before is not heard.

    >>> import kedja as kj
    >>> x = kj.ones((1, 3, 2))
    >>> with kj.nn.looking() as looks:
    ...     y = kj.nn.functional.scaled_dot_product_attention(x, x, x, is_causal=True)
    >>> looks[0].weights[0, 1].tolist()
    [0.5, 0.5, 0.0]
    """
    heard: list[Look] = []
    token = _heard.set(heard)
    try:
        yield heard
    finally:
        _heard.reset(token)


def is_looked_at() -> bool:
    """Whether somebody listens, so that the weights are needed."""
    return _heard.get() is not None


def looked_at(scores: Tensor, weights: Tensor) -> None:
    """Tell the listener, if there is one."""
    heard = _heard.get()
    if heard is not None:
        heard.append(Look(weights.node.scope, scores, weights))
