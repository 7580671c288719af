"""Rows of the table: reductions, movement, indices, sorting, creation.

Next: `rows_linalg.py`.
"""

from __future__ import annotations

from typing import Any

import kedja as kj
from tests.oracles.comparison import Row, same


def axis_of_a_scalar(s: Any) -> bool:
    """PyTorch lets a scalar have an axis 0."""
    named = any(key in s.kwargs for key in ("dim", "dims"))
    return getattr(s.input, "ndim", 1) == 0 and bool(s.args or named)


SCALARS = {"an axis of a scalar": axis_of_a_scalar}


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


def sorter(f: Any) -> Row:
    return Row(lambda x, dim=-1, descending=False, stable=False: f(x, dim, descending), SCALARS)


def quantile(x, q, dim=None, keepdim=False, interpolation="linear"):
    return kj.quantile(x, q, dim, keepdim, method=interpolation)


def diff(x, n=1, dim=-1, prepend=None, append=None):
    return kj.diff(x, dim, n, prepend=prepend, append=append)


def split(x, sizes, dim=0):
    """PyTorch names sizes, NumPy places."""
    steps = [sizes] * (x.shape[dim] // sizes) if isinstance(sizes, int) else sizes
    return kj.split(x, [sum(steps[: i + 1]) for i in range(len(steps))][:-1], dim)


# fmt: off
ROWS = {
    "sum": reduction(kj.sum),
    "prod": reduction(kj.prod),
    "mean": reduction(kj.mean),
    "amax": reduction(kj.max),
    "amin": reduction(kj.min),
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
    "var": spread(kj.var),
    "std": spread(kj.std),
    "var.unbiased": spread(kj.var),
    "std.unbiased": spread(kj.std),
    "quantile": Row(quantile, SCALARS),
    **same(kj, "cumsum cumprod cummax cummin"),
    "logcumsumexp": Row(kj.logcumsumexp, double=True, why="PyTorch's gradient at 10000"),
    "diff": Row(diff),

    # ------------------------------------------------------------------------- movement
    **same(kj, "broadcast_to broadcast_shapes flatten reshape roll stack unsqueeze permute tile"),
    "cat": Row(lambda arrays, dim=0: kj.cat(arrays, dim)),
    "broadcast_tensors": Row(kj.broadcast_arrays),
    "view": Row(kj.reshape),
    "flip": Row(lambda x, dims: kj.flip(x, dims)),
    "movedim": Row(kj.moveaxis),
    "transpose": Row(kj.swapaxes, SCALARS),
    "repeat": Row(kj.tile),
    "repeat_interleave": Row(lambda x, repeats, dim=None, output_size=None: kj.repeat(x, repeats, dim)),
    "unbind": Row(kj.unstack),
    "squeeze": Row(kj.squeeze),
    "squeeze.multiple": Row(kj.squeeze),
    "split": Row(split),
    "split.list_args": Row(split),
    "split_with_sizes": Row(split),
    "T": Row(lambda x: x.T),
    "mT": Row(lambda x: x.mT),
    "tril": Row(lambda x, k=0: kj.tril(x, k=k)),
    "triu": Row(lambda x, k=0: kj.triu(x, k=k)),
    "meshgrid.variadic_tensors": Row(kj.meshgrid),
    "meshgrid.list_of_tensors": Row(lambda arrays, indexing: kj.meshgrid(*arrays, indexing=indexing)),
    "constant_pad_nd": Row(lambda x, pad, value=0: kj.nn.functional.pad(x, pad, value=value)),

    # -------------------------------------------------------------------------- indices
    "__getitem__": Row(kj.Tensor.__getitem__),
    "take": Row(lambda x, places: kj.take(kj.flatten(x), places)),
    "take_along_dim": Row(lambda x, places, dim: kj.take_along_axis(x, places, dim)),
    "index_select": Row(lambda x, dim, places: kj.take(x, places, dim)),
    "index_add": Row(lambda x, dim, places, y: kj.scatter_add(x, places, y, dim)),
    "select": Row(lambda x, dim, place: kj.take(x, kj.asarray(place), dim)),
    "argwhere": Row(kj.argwhere),
    "nonzero": Row(lambda x, as_tuple: kj.nonzero(x) if as_tuple else kj.argwhere(x)),
    "nn.functional.one_hot": Row(kj.one_hot),

    # -------------------------------------------------------------------------- sorting
    "sort": sorter(lambda *a: (kj.sort(*a), kj.argsort(*a))),
    "argsort": sorter(kj.argsort),
    "topk": Row(lambda x, k, dim=-1, largest=True, sorted=True: kj.top_k(x, k, dim, largest)),
    "searchsorted": Row(kj.searchsorted),
    "bincount": Row(kj.bincount),
    "histogram": Row(kj.histogram),
    "unique": Row(kj.unique_values),

    # ------------------------------------------------------------------------- creation
    **same(kj, "zeros ones full zeros_like ones_like full_like eye"),
    "arange": Row(kj.arange),
    "linspace": Row(kj.linspace),
    "clone": Row(kj.asarray),
    "to": Row(kj.astype),
}
# fmt: on
