"""kedja: networks as graphs that a person can read, and compiled code that trains them fast.

`import kedja as kj`. Everything public is named here and loaded when it is first used, so that
importing stays cheap. The map of the house is `docs/architecture.md`.
"""

from __future__ import annotations

import importlib
from typing import Any

from kedja.version import __version__

_MODULES = {
    "nn": "kedja.nn",
    "optim": "kedja.optim",
    "data": "kedja.data",
    "io": "kedja.io",
    "train": "kedja.train",
    "random": "kedja.front.random",
    "tree": "kedja.front.tree",
}
_NAMES = {
    "kedja.ground.dtypes": "bool_ uint8 uint32 int32 int64 float32 float64",
    "kedja.ground.flags": "flags scope",
    "kedja.front.tensor": "Tensor",
    "kedja.front.transforms": "grad value_and_grad jvp vjp",
    "kedja.front.jit": "jit",
    "kedja.front.control": "scan while_loop fori_loop cond checkpoint",
    "kedja.front.custom": "custom_vjp custom_jvp",
    "kedja.front.loop": "Loop",
    "kedja.front.explain": "derive explain show",
    "kedja.train": "fit Trainer",
    "kedja.front.arithmetic": "where",
    "kedja.front.functions": """
        tensor asarray full zeros ones zeros_like ones_like arange linspace eye
        negative abs sign sqrt exp expm1 log log1p log2 log10 sin cos tan asin acos atan sinh cosh
        tanh asinh acosh atanh sigmoid softplus erf relu floor ceil round trunc isnan isinf
        isfinite logical_not silu gelu square clip
        add subtract multiply divide maximum minimum atan2 remainder floor_divide equal not_equal
        less less_equal greater greater_equal bitwise_and bitwise_or bitwise_xor left_shift
        right_shift pow matmul stop_gradient
        sum mean max min any all var std logsumexp softmax log_softmax argmax argmin
        reshape permute_dims matrix_transpose broadcast_to flip expand_dims squeeze pad concat
        stack take take_along_axis scatter_add one_hot cross_entropy_each astype""",
}
_HOME = {name: module for module, names in _NAMES.items() for name in names.split()}

__all__ = ["__version__", *sorted([*_MODULES, *_HOME])]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        value = importlib.import_module(_MODULES[name])
    elif name in _HOME:
        value = getattr(importlib.import_module(_HOME[name]), name)
    else:
        raise AttributeError(f"module 'kedja' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
