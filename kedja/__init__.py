"""kedja: networks as graphs that a person can read, and compiled code that trains them fast.

`import kedja as kj`. Everything public is named here and loaded when it is first used, so that
importing stays cheap. The map of the house is `docs/architecture.md`.
"""

from __future__ import annotations

import importlib
from typing import Any

from kedja.ground.suggest import did_you_mean
from kedja.version import __version__

_MODULES = {
    "nn": "kedja.nn",
    "optim": "kedja.optim",
    "data": "kedja.data",
    "io": "kedja.io",
    "models": "kedja.models",
    "estimators": "kedja.estimators",
    "train": "kedja.train",
    "inspection": "kedja.inspection",
    "rl": "kedja.rl",
    "tuning": "kedja.tuning",
    "views": "kedja.views",
    "linalg": "kedja.front.linalg",
    "random": "kedja.front.random",
    "tree": "kedja.front.tree",
}
_NAMES = {
    "kedja.ground.dtypes": """
        bool_ int8 int16 int32 int64 uint8 uint16 uint32 uint64
        float16 bfloat16 float32 float64""",
    "kedja.ground.flags": "flags scope",
    "kedja.front.tensor": "Tensor",
    "kedja.front.transforms": "grad value_and_grad jvp vjp",
    "kedja.front.batching": "vmap",
    "kedja.front.matrices": "jacobian jacfwd jacrev hessian hvp",
    "kedja.front.jit": "jit",
    "kedja.front.control": "scan while_loop fori_loop cond checkpoint",
    "kedja.front.custom": "custom_vjp custom_jvp",
    "kedja.front.loop": "Loop",
    "kedja.front.profile": "profile",
    "kedja.front.explain": "derive explain show",
    "kedja.nn.summaries": "summary",
    "kedja.train": "fit Trainer",
    "kedja.nn.precision": "mixed_precision",
    "kedja.front.arithmetic": "where matmul",
    "kedja.front.creation": """
        tensor asarray from_dlpack full zeros ones empty full_like zeros_like ones_like empty_like
        arange linspace logspace eye tril triu tril_indices triu_indices meshgrid""",
    "kedja.front.elementwise": """
        negative positive abs sign sqrt square reciprocal exp expm1 log log1p log2 log10
        sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh
        sigmoid softplus erf relu silu floor ceil round trunc isnan isinf isfinite signbit
        logical_not logical_and logical_or logical_xor
        bitwise_invert bitwise_and bitwise_or bitwise_xor bitwise_left_shift bitwise_right_shift
        left_shift right_shift
        add subtract multiply divide pow maximum minimum atan2 hypot logaddexp copysign nextafter
        remainder floor_divide equal not_equal less less_equal greater greater_equal
        clip astype stop_gradient""",
    "kedja.front.reductions": """
        sum prod mean max min any all var std argmax argmin diff""",
    "kedja.front.movement": """
        reshape flatten permute_dims matrix_transpose moveaxis swapaxes expand_dims squeeze
        broadcast_to broadcast_arrays broadcast_shapes repeat tile flip roll pad concat stack
        unstack split""",
    "kedja.front.selection": "take take_along_axis scatter_add one_hot",
    "kedja.front.products": "vecdot tensordot",
    "kedja.front.matrix_products": "cross kron outer addmm",
    "kedja.front.sorting": """
        sort argsort top_k searchsorted quantile median count_nonzero bincount histogram
        unique unique_all unique_counts unique_inverse unique_values nonzero argwhere""",
    "kedja.front.einsum": "einsum",
    "kedja.front.neural": "gelu softmax log_softmax logsumexp cross_entropy_each",
    "kedja.front.cumulative": """
        cumulative_sum cumulative_prod cumulative_max cumulative_min cumulative_logsumexp
        cumsum cumprod cummax cummin""",
    "kedja.front.convolution": "conv conv_transpose",
    "kedja.front.pooling": """
        max_pool max_unpool avg_pool lp_pool adaptive_avg_pool adaptive_max_pool""",
    "kedja.front.resampling": "interpolate pixel_shuffle pixel_unshuffle channel_shuffle",
    "kedja.front.shortcuts": """
        rsqrt exp2 frac sinc logit deg2rad rad2deg isposinf isneginf nan_to_num fmod fmax fmin
        xlogy heaviside lerp isclose allclose isin nansum nanmean trapezoid cov corrcoef""",
    "kedja.front.arrangement": """
        atleast_1d atleast_2d atleast_3d unflatten hstack vstack dstack column_stack chunk
        array_split narrow fliplr flipud rot90 diag diag_embed diagonal trace index_select gather
        masked_fill masked_select unravel_index dot inner mm bmm mv block_diag""",
    "kedja.front.kinds": "result_type can_cast isdtype finfo iinfo",
    "kedja.front.namespace": """
        e pi inf nan newaxis __array_api_version__ __array_namespace_info__""",
}
_HOME = {name: module for module, names in _NAMES.items() for name in names.split()}
_OTHER_NAMES = {  # the same by the names of NumPy and PyTorch
    "bool": "bool_",
    "cat": "concat",
    "concatenate": "concat",
    "ravel": "flatten",
    "permute": "permute_dims",
    "movedim": "moveaxis",
    "swapdims": "swapaxes",
    "unsqueeze": "expand_dims",
    "unbind": "unstack",
    "tensor_split": "array_split",
    "topk": "top_k",
    "clamp": "clip",
    "bitwise_not": "bitwise_invert",
    "invert": "bitwise_invert",
    "power": "pow",
    "sub": "subtract",
    "mul": "multiply",
    "div": "divide",
    "true_divide": "divide",
    "neg": "negative",
    "absolute": "abs",
    "fix": "trunc",
    "rint": "round",
    "mod": "remainder",
    "eq": "equal",
    "ne": "not_equal",
    "lt": "less",
    "le": "less_equal",
    "gt": "greater",
    "ge": "greater_equal",
    "amax": "max",
    "amin": "min",
    "logcumsumexp": "cumulative_logsumexp",
    **{f"arc{name}": f"a{name}" for name in ("sin", "cos", "tan", "tan2", "sinh", "cosh", "tanh")},
}
_LEFT_OUT = {
    **dict.fromkeys(("complex64", "complex128", "real", "imag", "conj"), "has no complex numbers"),
    "fft": "has no Fourier transforms, since it has no complex numbers; use numpy.fft outside",
}

__all__ = ["__version__", *sorted([*_MODULES, *_HOME, *_OTHER_NAMES])]


def __getattr__(name: str) -> Any:
    if name in _LEFT_OUT:
        raise AttributeError(f"kedja.{name}: kedja {_LEFT_OUT[name]}")
    if name in _MODULES:
        value = importlib.import_module(_MODULES[name])
    elif name in _OTHER_NAMES:
        value = __getattr__(_OTHER_NAMES[name])
    elif name in _HOME:
        value = getattr(importlib.import_module(_HOME[name]), name)
    else:
        close = did_you_mean(name, __all__, otherwise="dir(kedja) lists all names")
        raise AttributeError(f"module 'kedja' has no attribute {name!r}: {close}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
