"""Names that people bring along from PyTorch and Keras, and what stands here instead.

Not here: names that are misspelled (`suggest.py`). Next: `suggest.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DEVICE = 'there is one device; kj.jit(f, backend="xla") runs on a GPU where JAX sees one'
MODULE = {
    "forward": "call the module itself, model(x); its method is __call__",
    "train": "with kj.nn.training(key) as state: y = model(x); model = state.updated(model)",
    "eval": "a plain call, model(x), is inference",
    "predict": "a plain call, model(x), is inference",
    "fit": "kj.fit(model, x, y, loss=…, optimizer=…)",
    "zero_grad": "kj.grad gives gradients back, none are kept",
    "requires_grad_": "model.freeze() and model.unfreeze() give changed copies",
    **dict.fromkeys(("to", "cuda", "cpu"), DEVICE),
}
OPTIMIZER = {
    "step": "model, state = opt.update(model, grads, state)",
    "zero_grad": "kj.grad gives gradients back, none are kept",
    "state_dict": "the state is what init and update give back, a tree of tensors",
    "param_groups": "kj.optim.Groups gives each group of parameters an optimiser of its own",
}
TENSOR = {
    "view": "x.reshape(…)",
    "dim": "x.ndim",
    "data": "x.detach()",
    "clone": "a tensor is never changed, so x itself will do",
    "contiguous": "x itself: how it lies in memory is kedja's affair",
    "long": "x.astype(kj.int64)",
    "float": "x.astype(kj.float32)",
    "zero_": "x.grad = None clears a gradient; tensors themselves are never changed",
    **dict.fromkeys(("cuda", "cpu"), DEVICE),
}


def absent(thing: Any, name: str, instead: Mapping[str, str]) -> AttributeError:
    """The error for an attribute that is not there, with what stands here instead.

    >>> raise absent(1.5, "step", OPTIMIZER)
    Traceback (most recent call last):
        ...
    AttributeError: float has no 'step': model, state = opt.update(model, grads, state)
    """
    what = f"{type(thing).__name__} has no {name!r}"
    return AttributeError(f"{what}: {instead[name]}" if name in instead else what, name=name)
