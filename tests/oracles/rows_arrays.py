"""Rows of the table: reductions, movement, indices, sorting, creation.

Next: `rows_linalg.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import kedja as kj
from tests.oracles.comparison import Row, same


def axis_of_a_scalar(s: Any) -> bool:
    """PyTorch lets a scalar have an axis 0."""
    x = s.input[0] if isinstance(s.input, (list, tuple)) and s.input else s.input
    named = any(key in s.kwargs for key in ("dim", "dims"))
    return getattr(x, "ndim", 1) == 0 and bool(s.args or named)


def is_scalar(s: Any) -> bool:
    return s.input.ndim == 0


SCALARS = {"an axis of a scalar": axis_of_a_scalar}
NO_AXIS = {"an axis of a scalar": is_scalar}


# ------------------------------------------------------------------------------ reductions


def reduction(f: Any) -> Row:
    """A reduction with PyTorch's names of its options."""
    return Row(lambda x, dim=None, keepdim=False, **o: f(x, dim, keepdim, **o), SCALARS)


def spread(f: Any) -> Row:
    """Variance or deviation: `unbiased` is a correction of 1 or 0."""

    def ours(x, dim=None, unbiased=True, *, keepdim=False, correction=None):
        if isinstance(dim, bool):
            dim, unbiased = None, dim
        wanted = int(unbiased) if correction is None else correction
        return f(x, dim, wanted, keepdim)

    return Row(ours)


def extremes(values: Any, places: Any) -> Row:
    """PyTorch's max and min along an axis give values and places."""

    def ours(x, dim, keepdim=False):
        return values(x, dim, keepdim), places(x, dim, keepdim)

    return Row(ours, SCALARS)


def quantile(x, q, dim=None, keepdim=False, interpolation="linear"):
    return kj.quantile(x, q, dim, keepdim, method=interpolation)


def trapezoid(y, x=None, *, dim=-1, dx=1.0):
    return kj.trapezoid(y, x, dx, dim)


def diff(x, n=1, dim=-1, prepend=None, append=None):
    return kj.diff(x, dim, n, prepend=prepend, append=append)


REDUCTIONS = {
    "sum": reduction(kj.sum),
    "prod": reduction(kj.prod),
    "mean": reduction(kj.mean),
    "amax": reduction(kj.amax),
    "amin": reduction(kj.amin),
    "max.reduction_no_dim": reduction(kj.max),
    "min.reduction_no_dim": reduction(kj.min),
    "max.reduction_with_dim": extremes(kj.max, kj.argmax),
    "min.reduction_with_dim": extremes(kj.min, kj.argmin),
    "all": reduction(kj.all),
    "any": reduction(kj.any),
    "argmax": reduction(kj.argmax),
    "argmin": reduction(kj.argmin),
    "count_nonzero": reduction(kj.count_nonzero),
    "logsumexp": reduction(kj.logsumexp),
    "nansum": reduction(kj.nansum),
    "nanmean": reduction(kj.nanmean),
    "var": spread(kj.var),
    "std": spread(kj.std),
    "var.unbiased": spread(kj.var),
    "std.unbiased": spread(kj.std),
    "quantile": Row(quantile, SCALARS),
    **same(kj, "cumsum cumprod cummax cummin corrcoef"),
    "cov": Row(kj.cov, double=True, why="gradients of the weights are differences of hundreds"),
    "trapezoid": Row(trapezoid),
    "trapz": Row(trapezoid),
    "logcumsumexp": Row(
        kj.logcumsumexp,
        double=True,
        why="beside 10000, PyTorch's own gradient in float32 is off by 0.07 %, ours by 0.00001 %",
    ),
    "diff": Row(diff),
}

# -------------------------------------------------------------------------------- movement


def split(x, sizes, dim=0):
    """PyTorch names sizes, NumPy places."""
    extent = x.shape[dim]
    if isinstance(sizes, int):
        return kj.split(x, list(range(sizes, extent, sizes)), dim)
    return kj.split(x, [sum(sizes[: i + 1]) for i in range(len(sizes) - 1)], dim)


def whole(x):
    """PyTorch takes tensors for numbers of parts."""
    return x.tolist() if isinstance(x, kj.Tensor) else x


def repeat_interleave(x, repeats, dim=None, output_size=None):
    return kj.repeat(x, repeats, dim)


def squeezes_what_is_longer(s: Any) -> bool:
    """PyTorch leaves an axis that is longer than 1 as it is; NumPy and kedja refuse."""
    dims = s.args[0] if s.args else ()
    dims = (dims,) if isinstance(dims, int) else dims
    return any(s.input.ndim and s.input.shape[each] != 1 for each in dims)


def skips_an_empty_vector(s: Any) -> bool:
    return any(each.shape == (0,) for each in s.input) and any(each.ndim > 1 for each in s.input)


def is_list(s: Any) -> bool:
    return isinstance(s.input, (list, tuple))


SQUEEZED = {**SCALARS, "an axis longer than 1": squeezes_what_is_longer}

MOVEMENT = {
    **same(
        kj,
        "broadcast_to broadcast_shapes flatten reshape roll stack unsqueeze permute tile ravel "
        "unflatten hstack vstack dstack column_stack chunk "
        "fliplr flipud rot90 diag block_diag unbind movedim",
    ),
    "cat": Row(
        lambda arrays, dim=0: kj.cat(arrays, dim),
        {"an empty vector, left out": skips_an_empty_vector},
    ),
    **same(kj, "atleast_1d atleast_2d atleast_3d", {"several arrays at once": is_list}),
    "diag_embed": Row(
        kj.diag_embed, {"other axes than the last two": lambda s: "dim1" in s.kwargs}
    ),
    "broadcast_tensors": Row(kj.broadcast_arrays),
    "view": Row(kj.reshape),
    "flip": Row(lambda x, dims: kj.flip(x, dims)),
    "transpose": Row(kj.swapaxes, SCALARS),
    "repeat": Row(kj.tile),
    "repeat_interleave": Row(repeat_interleave),
    "narrow": Row(kj.narrow),
    "squeeze": Row(kj.squeeze, SQUEEZED),
    "squeeze.multiple": Row(kj.squeeze, SQUEEZED),
    "split": Row(split),
    "split.list_args": Row(split),
    "split_with_sizes": Row(split),
    "diagonal": Row(lambda x, offset=0, dim1=0, dim2=1: kj.diagonal(x, offset, dim1, dim2)),
    "tensor_split": Row(lambda x, parts, dim=0: kj.tensor_split(x, whole(parts), dim)),
    "T": Row(lambda x: x.T),
    "mT": Row(lambda x: x.mT),
    "tril": Row(lambda x, k=0: kj.tril(x, k=k)),
    "triu": Row(lambda x, k=0: kj.triu(x, k=k)),
    "meshgrid.variadic_tensors": Row(kj.meshgrid),
    "meshgrid.list_of_tensors": Row(lambda xs, indexing: kj.meshgrid(*xs, indexing=indexing)),
}

# --------------------------------------------------------------------------------- indices


def fewer_axes(s: Any) -> bool:
    """PyTorch's gather takes an index without elements of any shape."""
    return s.input.ndim != s.args[1].ndim


def take_along(x, places, dim=None):
    if dim is None:
        return kj.take_along_axis(kj.flatten(x), kj.flatten(places), 0)
    return kj.take_along_axis(x, places, dim)


def index_add(x, dim, places, y, *, alpha=1):
    return kj.scatter_add(x, places, alpha * y, dim)


INDICES = {
    "__getitem__": Row(lambda x, key: x[key]),
    "take": Row(lambda x, places: kj.take(kj.flatten(x), places)),
    "take_along_dim": Row(take_along),
    "gather": Row(kj.gather, {**NO_AXIS, "other axes in an empty index": fewer_axes}),
    "index_select": Row(kj.index_select, NO_AXIS),
    "index_add": Row(index_add, NO_AXIS),
    "select": Row(lambda x, dim, place: kj.take(x, kj.asarray(place), dim)),
    "masked_fill": Row(kj.masked_fill),
    "masked_select": Row(kj.masked_select),
    "unravel_index": Row(kj.unravel_index),
    "argwhere": Row(kj.argwhere),
    "nonzero": Row(lambda x, as_tuple: kj.nonzero(x) if as_tuple else kj.argwhere(x), NO_AXIS),
    "nn.functional.one_hot": Row(
        lambda x, num_classes: kj.one_hot(x, num_classes, kj.int64),
        {"the number of classes found in the data": lambda s: s.kwargs["num_classes"] == -1},
    ),
}

# --------------------------------------------------------------------------------- sorting


def sort(x, dim=-1, descending=False, stable=False):
    return kj.sort(x, dim, descending), kj.argsort(x, dim, descending)


def argsort(x, dim=-1, descending=False, stable=False):
    return kj.argsort(x, dim, descending)


def top_k(x, k, dim=-1, largest=True, sorted=True):
    return kj.topk(x, k, dim, largest)


def searchsorted(edges, x, *, right=False, side=None, sorter=None, out_int32=False):
    return kj.searchsorted(edges, x, side=side or ("right" if right else "left"), sorter=sorter)


def histogram(x, bins, *, range=None, weight=None, density=False):
    return kj.histogram(x, bins, range, weight, density)


def unique(x, sorted=True, return_inverse=False, return_counts=False, dim=None):
    return kj.unique(x, return_inverse=return_inverse, return_counts=return_counts)


NARROW_PLACES = {"places in int32": lambda s: s.kwargs.get("out_int32", False)}
SORTING = {
    "sort": Row(sort, NO_AXIS),
    "argsort": Row(argsort, NO_AXIS),
    "topk": Row(top_k, NO_AXIS),
    "searchsorted": Row(searchsorted, NARROW_PLACES),
    "bincount": Row(
        kj.bincount, dtypes=False, why="sums of integer weights stay integers, as in JAX"
    ),
    "histogram": Row(histogram, dtypes=False, why="counts are whole numbers, as in NumPy"),
    "unique": Row(unique, {"unique rows": lambda s: s.kwargs.get("dim") is not None}),
}

# -------------------------------------------------------------------------------- creation


def cast(x, *others, memory_format=None):
    """`Tensor.to` with a dtype among all else."""
    return kj.astype(x, next(each for each in others if isinstance(each, np.dtype)))


CREATION = {
    **same(kj, "zeros ones full zeros_like ones_like full_like"),
    "eye": Row(kj.eye),
    "arange": Row(lambda start, end=None, step=1, **o: kj.arange(start, end, step, **o)),
    "linspace": Row(kj.linspace),
    "linspace.tensor_overload": Row(kj.linspace),
    "logspace": Row(kj.logspace),
    "logspace.tensor_overload": Row(kj.logspace),
    "tril_indices": Row(lambda m, n, offset=0, **o: kj.tril_indices(m, n, k=offset)),
    "triu_indices": Row(lambda m, n, offset=0, **o: kj.triu_indices(m, n, k=offset)),
    "clone": Row(kj.asarray),
    "item": Row(lambda x: x.item()),
    "to": Row(cast, {"the dtype of another tensor": lambda s: hasattr(s.args[0], "grad")}),
}
ROWS = {**REDUCTIONS, **MOVEMENT, **INDICES, **SORTING, **CREATION}
