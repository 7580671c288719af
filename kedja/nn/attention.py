"""Attention: each query takes a weighted mean of values, weighted by how well their keys fit.

Not here: the layers around it (`transformer.py`), positions (`positions.py`).
Next: `transformer.py`. Dimensions: N examples, H heads, L queries, S keys, E numbers of a vector,
D = E/H of a head.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from kedja.front import functions, random
from kedja.front.arithmetic import call, cast, concatenate, reshape, where
from kedja.front.tensor import Tensor, as_tensor
from kedja.ground.dtypes import bool_
from kedja.ground.errors import ShapeError, UsageError
from kedja.ir.graph import locating
from kedja.nn import init
from kedja.nn.activation_functions import floating
from kedja.nn.cache import KVCache
from kedja.nn.checks import require_positive, require_probability
from kedja.nn.dropout import dropout as drop
from kedja.nn.dropout import drops
from kedja.nn.linear import Linear
from kedja.nn.looks import is_looked_at, looked_at
from kedja.nn.module import Module, layer_error

MINUS_INFINITY = float("-inf")

# -------------------------------------------------------------------------------- functions


def scaled_dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """y = softmax(Q Kᵀ·scale + mask) V, scale = 1/√D unless given.

    Shapes: query (…, H, L, D), key (…, H, S, D), value (…, H, S, V) → (…, H, L, V). `attn_mask`
    broadcasts to (…, H, L, S): where it is a bool, a query attends where it holds; where it is a
    float, it is added. With `is_causal`, query i attends to the keys 0 … i. With `enable_gqa`, keys
    and values have fewer heads, each shared by a group of neighbouring queries' heads. A query that
    may attend to nothing gets 0. In training, weights are dropped with probability `dropout_p`.
    Without `attn_mask`, dropout and groups, compiled code never has the (L, S) weights in memory.
    Raises ShapeError where the shapes do not fit.
    Sources: A. Vaswani et al.: Attention is all you need (2017); J. Ainslie et al.: GQA (2023).

    >>> import kedja as kj
    >>> q = kj.ones((1, 3, 2))
    >>> v = kj.tensor([[[1.0], [3.0], [5.0]]])
    >>> scaled_dot_product_attention(q, q, v, is_causal=True).tolist()
    [[[1.0], [2.0], [3.0]]]
    """
    q, k, v = (floating(each) for each in (query, key, value))
    with locating():
        _require_attention(q, k, v, enable_gqa)
    factor = 1 / math.sqrt(q.shape[-1]) if scale is None else float(scale)
    groups = q.shape[-3] // k.shape[-3] if enable_gqa else 1
    hidden = attn_mask is None and groups == 1 and not drops(dropout_p) and not is_looked_at()
    if hidden and _is_plain(q, k, v):
        return call("attention", q, k, v, scale=factor, causal=bool(is_causal))
    lead, (length, width) = q.shape[:-2], q.shape[-2:]
    if groups > 1:  # the heads of a group are further queries of one head
        q = reshape(q, (*k.shape[:-2], groups * length, width))
    scores = (q * factor) @ k.mT  # (… H L S)
    scores = reshape(scores, (*lead, length, k.shape[-2])) if groups > 1 else scores
    weights = drop(attention_weights(scores, attn_mask, is_causal), dropout_p)
    if groups > 1:
        weights = reshape(weights, (*k.shape[:-2], groups * length, k.shape[-2]))
        return reshape(weights @ v, (*lead, length, v.shape[-1]))
    y: Tensor = weights @ v
    return y


def _is_plain(q: Tensor, k: Tensor, v: Tensor) -> bool:
    """Whether the op takes them as they are: one dtype, equal leading axes, at least one key."""
    same = q.dtype == k.dtype == v.dtype and q.shape[:-2] == k.shape[:-2] == v.shape[:-2]
    return same and k.shape[-2] > 0


def attention_weights(scores: Tensor, mask: Any, is_causal: bool) -> Tensor:
    """softmax(scores + mask) along the last axis; 0 where nothing may be attended to."""
    weights = _weights(scores, mask, is_causal)
    looked_at(scores, weights)
    return weights


def _weights(scores: Tensor, mask: Any, is_causal: bool) -> Tensor:
    if mask is None and not is_causal:
        return functions.softmax(scores)
    if is_causal:
        scores = where(causal(*scores.shape[-2:]), scores, MINUS_INFINITY)
    if mask is None:
        return functions.softmax(scores)
    scores = masked(scores, as_tensor(mask))
    none = functions.max(scores, -1, keepdims=True) == MINUS_INFINITY
    return where(none, 0.0, functions.softmax(where(none, 0.0, scores)))


def masked(scores: Tensor, mask: Tensor) -> Tensor:
    """Scores with −∞ where a bool mask does not hold, or with a float mask added."""
    if mask.dtype == bool_:
        return where(mask, scores, MINUS_INFINITY)
    return scores + cast(mask, scores.dtype)


def causal(queries: int, keys: int, offset: Any = 0) -> Tensor:
    """Where query i + offset may attend to key j: j ≤ i + offset. (L, S), bool."""
    row = reshape(functions.arange(queries), (-1, 1)) + offset
    y: Tensor = row >= reshape(functions.arange(keys), (1, -1))
    return y


def _require_attention(q: Tensor, k: Tensor, v: Tensor, grouped: bool) -> None:
    least = 3 if grouped else 2
    shapes = f"query {list(q.shape)}, key {list(k.shape)}, value {list(v.shape)}"
    if min(q.ndim, k.ndim, v.ndim) < least:
        raise ShapeError(f"attention of {shapes}", fix="at least (L, D), or (H, L, D) with groups")
    if q.shape[-1] != k.shape[-1]:
        raise ShapeError(f"attention of {shapes}", fix="queries and keys have equal last axes")
    if k.shape[-2] != v.shape[-2]:
        raise ShapeError(f"attention of {shapes}", fix="as many values as keys: axis −2")
    if grouped and (q.shape[-3] % k.shape[-3] or k.shape[-3] != v.shape[-3]):
        fix = "the heads of keys and values divide those of the queries: axis −3"
        raise ShapeError(f"attention of {shapes}", fix=fix)


# ---------------------------------------------------------------------- multi-head attention


class _Projected(NamedTuple):
    """Queries, keys and values of all heads: (N, H, L, D), (N, H, S, D), (N, H, S, D)."""

    query: Tensor
    key: Tensor
    value: Tensor


class MultiheadAttention(Module):
    """y = concat(head_1 … head_H) W_oᵀ + b_o, head_h = attention(q W_qᵀ, k W_kᵀ, v W_vᵀ) of part h.

    Shapes: query (L, N, E), key (S, N, E_k), value (S, N, E_v) → (L, N, E), batches first with
    `batch_first`, or without N; parameters named and laid out as PyTorch's: `in_proj_weight`
    (3·E, E), or `q_proj_weight` (E, E), `k_proj_weight` (E, kdim), `v_proj_weight` (E, vdim) where
    these differ; `in_proj_bias` (3·E,), `out_proj`; `bias_k`, `bias_v` (1, 1, E) with
    `add_bias_kv`: one more key and value; `add_zero_attn` adds a key and value of zeros.

    `dropout` is that of the weights, in training. Start: Xavier for the projections, 0 for biases.
    Source: A. Vaswani et al.: Attention is all you need (2017).

    >>> import kedja as kj
    >>> y, weights = MultiheadAttention(8, 2)(*[kj.ones((5, 3, 8))] * 3)
    >>> y.shape, weights.shape
    ((5, 3, 8), (3, 5, 5))
    """

    in_proj_weight: Tensor | None
    q_proj_weight: Tensor | None
    k_proj_weight: Tensor | None
    v_proj_weight: Tensor | None
    in_proj_bias: Tensor | None
    out_proj: Linear
    bias_k: Tensor | None
    bias_v: Tensor | None

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        *,
        key: Tensor | None = None,
    ) -> None:
        require_positive("MultiheadAttention", embed_dim=embed_dim, num_heads=num_heads)
        require_probability("MultiheadAttention", dropout)
        if embed_dim % num_heads:
            raise UsageError(
                f"MultiheadAttention of {embed_dim} numbers in {num_heads} heads",
                fix="num_heads divides embed_dim",
            )
        widths = (embed_dim, kdim or embed_dim, vdim or embed_dim)
        keys = random.split(random.next_key() if key is None else key, 6)
        self._draw(embed_dim, widths, keys)
        self.in_proj_bias = init.zeros(None, (3 * embed_dim,)) if bias else None
        row = (1, 1, embed_dim)
        self.bias_k = init.xavier_normal(keys[4], row) if add_bias_kv else None
        self.bias_v = init.xavier_normal(keys[5], row) if add_bias_kv else None
        out = Linear(embed_dim, embed_dim, bias, key=keys[3])
        self.out_proj = out.replace(bias=init.zeros(None, (embed_dim,))) if bias else out
        self.num_heads, self.dropout = num_heads, dropout
        self.add_zero_attn, self.batch_first = add_zero_attn, batch_first

    def _draw(self, width: int, widths: tuple[int, ...], keys: list[Tensor]) -> None:
        self.in_proj_weight = self.q_proj_weight = self.k_proj_weight = self.v_proj_weight = None
        if widths == (width,) * 3:
            self.in_proj_weight = init.xavier_uniform(keys[0], (3 * width, width))
            return
        drawn = [
            init.xavier_uniform(key, (width, each)) for key, each in zip(keys, widths, strict=False)
        ]
        self.q_proj_weight, self.k_proj_weight, self.v_proj_weight = drawn

    @property
    def embed_dim(self) -> int:
        """E, the extent of the queries' last axis."""
        return self.out_proj.in_features

    @property
    def head_dim(self) -> int:
        """D, the share of one head."""
        return self.embed_dim // self.num_heads

    def __call__(
        self,
        query: Any,
        key: Any,
        value: Any,
        key_padding_mask: Any = None,
        need_weights: bool = True,
        attn_mask: Any = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """The output, and with `need_weights` the weights (N, L, S), the mean over the heads.

        Without `average_attn_weights` they are (N, H, L, S). `key_padding_mask` (N, S) holds where
        a key is to be left out, and `attn_mask` (L, S) or (N·H, L, S) where a query must not attend
        to a key; floats are added. (In `scaled_dot_product_attention` a bool mask says the
        opposite.) `is_causal` adds the mask of `causal`.
        """
        first = floating(query)
        alone = first.ndim == 2
        q = k = v = self._batch_first(first, alone)  # (N L E)
        if not (query is key and key is value):
            k, v = (self._batch_first(floating(each), alone) for each in (key, value))
        self._require_fit(q, k, v)
        heads = self._extended(self._projected(q, k, v))
        free = attn_mask is None and key_padding_mask is None and k.shape[1] == heads.key.shape[-2]
        if free and not need_weights:
            return self._as_given(self._joined(self._mixed(heads, None, is_causal)), alone), None
        mask = self._mask(heads, attn_mask, key_padding_mask, is_causal, k.shape[1])
        y, weights = self._attended(heads, mask, need_weights)
        y = self._as_given(y, alone)
        if weights is None:
            return y, None
        weights = functions.mean(weights, 1) if average_attn_weights else weights
        return y, weights[0] if alone else weights

    def decode(self, x: Any, cache: KVCache) -> tuple[Tensor, KVCache]:
        """Causal self-attention of the next places of a sequence, with the keys kept of all before.

        x (L, N, E), or (N, L, E) with `batch_first` → the same, and the cache with L places more.
        Called piece by piece, it gives what one call on the whole sequence with `is_causal` gives.
        """
        inner = self._batch_first(floating(x), False)
        self._require_fit(inner, inner, inner)
        if self.bias_k is not None or self.add_zero_attn:
            raise UsageError("decode with add_bias_kv or add_zero_attn", fix="leave them out")
        q, k, v = self._projected(inner, inner, inner)
        cache = cache.append(k, v)
        heads = _Projected(q, cache.key, cache.value)
        y, _ = self._attended(heads, cache.mask(q.shape[-2]), need_weights=False)
        return self._as_given(y, False), cache

    def new_cache(self, batch: int, capacity: int) -> KVCache:
        """An empty cache for `decode`, for up to `capacity` places."""
        kind = self.out_proj.weight.dtype
        return KVCache.empty(batch, self.num_heads, capacity, self.head_dim, dtype=kind)

    # -------------------------------------------------------------------------- the parts

    def _batch_first(self, x: Tensor, alone: bool) -> Tensor:
        if alone:
            return x[None]
        return x if self.batch_first else x.transpose(1, 0, 2)

    def _as_given(self, y: Tensor, alone: bool) -> Tensor:
        if alone:
            return y[0]
        return y if self.batch_first else y.transpose(1, 0, 2)

    def _require_fit(self, q: Tensor, k: Tensor, v: Tensor) -> None:
        mine = [weight.shape[1] for weight in self._weights()]
        if [each.shape[-1] for each in (q, k, v)] != mine or k.shape[:2] != v.shape[:2]:
            raise layer_error(
                self,
                f"expects last axes {mine} and as many values as keys, got query {list(q.shape)}, "
                f"key {list(k.shape)}, value {list(v.shape)} (batch first)",
                "give all three in one layout: (L, N, E), or (N, L, E) with batch_first=True",
            )

    def _weights(self) -> list[Tensor]:
        if self.in_proj_weight is None:
            parts = (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight)
            return [each for each in parts if each is not None]
        width = self.embed_dim
        return [self.in_proj_weight[i * width : (i + 1) * width] for i in range(3)]

    def _projected(self, q: Tensor, k: Tensor, v: Tensor) -> _Projected:
        if self.in_proj_weight is not None and q is k and k is v:
            joint = q @ self.in_proj_weight.T  # (N L 3·E): one product for all three
            if self.in_proj_bias is not None:
                joint = joint + self.in_proj_bias
            width = self.embed_dim
            parts = [joint[..., i * width : (i + 1) * width] for i in range(3)]
            return _Projected(*(self._split(each) for each in parts))
        made = []
        for place, (x, weight) in enumerate(zip((q, k, v), self._weights(), strict=True)):
            product = x @ weight.T
            if self.in_proj_bias is not None:
                start = place * self.embed_dim
                product = product + self.in_proj_bias[start : start + self.embed_dim]
            made.append(self._split(product))
        return _Projected(*made)

    def _split(self, x: Tensor) -> Tensor:
        """(N L E) → (N H L D)."""
        parts = reshape(x, (*x.shape[:2], self.num_heads, self.head_dim))
        return parts.transpose(0, 2, 1, 3)

    def _extended(self, heads: _Projected) -> _Projected:
        """With the further keys and values of `add_bias_kv` and `add_zero_attn`."""
        q, k, v = heads
        if self.bias_k is not None:
            k, v = (
                _with_row(each, self._split(functions.broadcast_to(row, (k.shape[0], 1, row.size))))
                for each, row in ((k, as_tensor(self.bias_k)), (v, as_tensor(self.bias_v)))
            )
        if self.add_zero_attn:
            k, v = (_with_row(each, functions.zeros_like(each[:, :, :1])) for each in (k, v))
        return _Projected(q, k, v)

    def _mask(
        self, heads: _Projected, attn_mask: Any, padding: Any, is_causal: bool, keys: int
    ) -> Tensor | None:
        """Both masks as one float mask (…, L, S) that is added; None where there is none."""
        more = heads.key.shape[-2] - keys  # keys that were added, which all may attend to
        kind, masks = heads.query.dtype, []
        if is_causal and attn_mask is None:
            attn_mask = functions.logical_not(causal(heads.query.shape[-2], keys))
        if attn_mask is not None:
            mask = _additive(attn_mask, kind)
            if mask.ndim == 3:  # (N·H L S)
                mask = reshape(mask, (-1, self.num_heads, *mask.shape[1:]))
            masks.append(mask)
        if padding is not None:
            mask = _additive(padding, kind)
            masks.append(reshape(mask, (-1, 1, 1, mask.shape[-1])))  # (N 1 1 S)
        padded = [functions.pad(each, [(0, 0)] * (each.ndim - 1) + [(0, more)]) for each in masks]
        if not padded:
            return None
        return padded[0] if len(padded) == 1 else padded[0] + padded[1]

    def _attended(
        self, heads: _Projected, mask: Tensor | None, need_weights: bool
    ) -> tuple[Tensor, Tensor | None]:
        """The output (N L E), and the weights of all heads."""
        if need_weights:
            scores = (heads.query * (1 / math.sqrt(self.head_dim))) @ heads.key.mT
            weights = drop(attention_weights(scores, mask, is_causal=False), self.dropout)
            mixed = weights @ heads.value  # (N H L D)
        else:
            weights, mixed = None, self._mixed(heads, mask)
        return self._joined(mixed), weights

    def _mixed(self, heads: _Projected, mask: Tensor | None, is_causal: bool = False) -> Tensor:
        """The output of every head (N H L D)."""
        return scaled_dot_product_attention(*heads, mask, self.dropout, is_causal)

    def _joined(self, mixed: Tensor) -> Tensor:
        """The heads' outputs side by side, projected: (N L E)."""
        joined = mixed.transpose(0, 2, 1, 3)  # (N L H D)
        joined = reshape(joined, (*joined.shape[:2], self.embed_dim))
        return self.out_proj(joined)

    def extra_repr(self) -> str:
        """The extents."""
        return f"embed_dim={self.embed_dim}, num_heads={self.num_heads}"


def _with_row(x: Tensor, row: Tensor) -> Tensor:
    """(N H S D) and (N H 1 D) → (N H S+1 D)."""
    return concatenate([x, row], 2)


def _additive(mask: Any, dtype: Any) -> Tensor:
    """A mask to add: −∞ where a bool one holds."""
    mask = as_tensor(mask)
    if mask.dtype == bool_:
        zeros = functions.zeros(mask.shape, dtype)
        return where(mask, MINUS_INFINITY, zeros)
    return cast(mask, dtype)
