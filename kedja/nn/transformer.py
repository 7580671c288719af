"""Transformers: attention and a small network for each place, in layers, encoder and decoder.

Not here: attention itself (`attention.py`), positions (`positions.py`). Next: `recurrent.py`.
Dimensions: N sequences, T places of the target, S places of the source, E numbers for each place,
F numbers inside the small network.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from kedja.front import functions, random, tree
from kedja.front.arithmetic import where
from kedja.front.tensor import Tensor, as_tensor
from kedja.ground.errors import UsageError
from kedja.nn import init
from kedja.nn.activation_functions import gelu, relu
from kedja.nn.attention import MINUS_INFINITY, MultiheadAttention, causal
from kedja.nn.cache import KVCache
from kedja.nn.checks import require_positive
from kedja.nn.dropout import Dropout
from kedja.nn.linear import Linear
from kedja.nn.module import Module
from kedja.nn.norm import LayerNorm

Activation = str | Callable[[Any], Tensor]

_ACTIVATIONS: dict[str, Callable[[Any], Tensor]] = {"relu": relu, "gelu": gelu}


def _activation(given: Activation) -> Callable[[Any], Tensor]:
    if callable(given):
        return given
    if given not in _ACTIVATIONS:
        raise UsageError(f"activation {given!r}", fix="'relu', 'gelu', or a function of a tensor")
    return _ACTIVATIONS[given]


# ------------------------------------------------------------------------------ the layers


class _Layer(Module):
    """What both layers have in common: the small network, the norms, the dropouts."""

    self_attn: MultiheadAttention
    linear1: Linear
    dropout: Dropout
    linear2: Linear
    norm1: LayerNorm
    norm2: LayerNorm
    dropout1: Dropout
    dropout2: Dropout
    norm_first: bool
    activation: Callable[[Any], Tensor]

    def _make(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int,
        dropout: float,
        activation: Activation,
        layer_norm_eps: float,
        bias: bool,
        batch_first: bool,
        key: Tensor | None,
        crossed: bool,
    ) -> None:
        """Sets the fields in PyTorch's order, in which `state_dict` names them."""
        require_positive(type(self).__name__, dim_feedforward=dim_feedforward)
        keys = random.split(random.next_key() if key is None else key, 4)

        def attention(key: Tensor) -> MultiheadAttention:
            options: dict[str, Any] = {"bias": bias, "batch_first": batch_first, "key": key}
            return MultiheadAttention(d_model, nhead, dropout, **options)

        self.self_attn = attention(keys[0])
        if crossed:
            self.multihead_attn = attention(keys[1])
        self.linear1 = Linear(d_model, dim_feedforward, bias, key=keys[2])
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias, key=keys[3])
        for number in range(1, 4 if crossed else 3):
            setattr(self, f"norm{number}", LayerNorm(d_model, layer_norm_eps, bias=bias))
        for number in range(1, 4 if crossed else 3):
            setattr(self, f"dropout{number}", Dropout(dropout))
        self.activation = _activation(activation)

    def _wrapped(self, x: Tensor, norm: Module, block: Callable[[Tensor], Tensor]) -> Tensor:
        """x + block(norm(x)), or norm(x + block(x))."""
        if self.norm_first:
            return x + block(norm(x))
        y: Tensor = norm(x + block(x))
        return y

    def _feed_forward(self, x: Tensor) -> Tensor:
        hidden = self.dropout(self.activation(self.linear1(x)))  # (… F)
        y: Tensor = self.linear2(hidden)
        return y


class TransformerEncoderLayer(_Layer):
    """x ← norm1(x + attention(x)); x ← norm2(x + W₂ act(W₁ x + b₁) + b₂).

    With `norm_first` x ← x + attention(norm1(x)) and so on. Shapes: x (S, N, E), or (N, S, E) with
    `batch_first`, or (S, E) → the same, E = `d_model`; fields and parameters named as PyTorch's:
    `self_attn`, `linear1`, `linear2`, `norm1`, `norm2`. `activation` is "relu", "gelu" or a
    function. Dropout after attention, inside and after the small network, in training.
    Source: A. Vaswani et al.: Attention is all you need (2017).

    >>> import kedja as kj
    >>> TransformerEncoderLayer(8, 2, 16)(kj.ones((5, 3, 8))).shape
    (5, 3, 8)
    """

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Activation = relu,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        *,
        key: Tensor | None = None,
    ) -> None:
        self._make(
            d_model,
            nhead,
            dim_feedforward,
            dropout,
            activation,
            layer_norm_eps,
            bias,
            batch_first,
            key,
            crossed=False,
        )
        self.norm_first = norm_first

    def __call__(
        self,
        src: Any,
        src_mask: Any = None,
        src_key_padding_mask: Any = None,
        is_causal: bool = False,
    ) -> Tensor:
        """x → the same shape; masks as those of `MultiheadAttention`."""

        def attended(x: Tensor) -> Tensor:
            y, _ = self.self_attn(
                x, x, x, src_key_padding_mask, False, src_mask, is_causal=is_causal
            )
            return self.dropout1(y)

        x = self._wrapped(as_tensor(src), self.norm1, attended)
        return self._wrapped(x, self.norm2, lambda y: self.dropout2(self._feed_forward(y)))

    def decode(self, x: Any, cache: KVCache) -> tuple[Tensor, KVCache]:
        """The next places of a sequence, causally: what `is_causal` gives for the whole of it."""
        kept = []

        def attended(x: Tensor) -> Tensor:
            y, after = self.self_attn.decode(x, cache)
            kept.append(after)
            return self.dropout1(y)

        x = self._wrapped(as_tensor(x), self.norm1, attended)
        y = self._wrapped(x, self.norm2, lambda y: self.dropout2(self._feed_forward(y)))
        return y, kept[0]

    def new_cache(self, batch: int, capacity: int) -> KVCache:
        """An empty cache for `decode`."""
        return self.self_attn.new_cache(batch, capacity)


class TransformerDecoderLayer(_Layer):
    """As the encoder's layer, with attention to a memory between: norm2(x + attention(x, memory)).

    Shapes: tgt (T, N, E), memory (S, N, E), batches first with `batch_first` → as tgt; parameters
    named as PyTorch's: `self_attn`, `multihead_attn`, `linear1`, `linear2`, `norm1` … `norm3`.
    Source: A. Vaswani et al.: Attention is all you need (2017).

    >>> import kedja as kj
    >>> layer = TransformerDecoderLayer(8, 2, 16)
    >>> layer(kj.ones((4, 3, 8)), kj.ones((5, 3, 8)), tgt_is_causal=True).shape
    (4, 3, 8)
    """

    multihead_attn: MultiheadAttention
    norm3: LayerNorm
    dropout3: Dropout

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Activation = relu,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        *,
        key: Tensor | None = None,
    ) -> None:
        self._make(
            d_model,
            nhead,
            dim_feedforward,
            dropout,
            activation,
            layer_norm_eps,
            bias,
            batch_first,
            key,
            crossed=True,
        )
        self.norm_first = norm_first

    def __call__(
        self,
        tgt: Any,
        memory: Any,
        tgt_mask: Any = None,
        memory_mask: Any = None,
        tgt_key_padding_mask: Any = None,
        memory_key_padding_mask: Any = None,
        tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
    ) -> Tensor:
        """tgt, memory → as tgt; masks as those of `MultiheadAttention`."""

        def attended(x: Tensor) -> Tensor:
            y, _ = self.self_attn(
                x, x, x, tgt_key_padding_mask, False, tgt_mask, is_causal=tgt_is_causal
            )
            return self.dropout1(y)

        x = self._wrapped(as_tensor(tgt), self.norm1, attended)
        return self._finished(x, memory, memory_key_padding_mask, memory_mask, memory_is_causal)

    def _finished(
        self, x: Tensor, memory: Any, padding: Any, mask: Any = None, is_causal: bool = False
    ) -> Tensor:
        """What follows self-attention."""

        def recalled(x: Tensor) -> Tensor:
            y, _ = self.multihead_attn(x, memory, memory, padding, False, mask, is_causal=is_causal)
            return self.dropout2(y)

        x = self._wrapped(x, self.norm2, recalled)
        return self._wrapped(x, self.norm3, lambda y: self.dropout3(self._feed_forward(y)))

    def decode(
        self, x: Any, memory: Any, cache: KVCache, memory_key_padding_mask: Any = None
    ) -> tuple[Tensor, KVCache]:
        """The next places of a target, causally: what `tgt_is_causal` gives for the whole of it."""
        kept = []

        def attended(x: Tensor) -> Tensor:
            y, after = self.self_attn.decode(x, cache)
            kept.append(after)
            return self.dropout1(y)

        x = self._wrapped(as_tensor(x), self.norm1, attended)
        return self._finished(x, memory, memory_key_padding_mask), kept[0]

    def new_cache(self, batch: int, capacity: int) -> KVCache:
        """An empty cache for `decode`."""
        return self.self_attn.new_cache(batch, capacity)


# ------------------------------------------------------------------------------ the stacks


class TransformerEncoder(Module):
    """`num_layers` copies of a layer, one after the other, and a norm at the end if one is given.

    The copies start with the layer's weights and are then trained apart, as in PyTorch, whose
    `enable_nested_tensor` and `mask_check` are taken and mean nothing here.
    Shapes: as the layer's. Parameters: `layers.0.self_attn.in_proj_weight` …, `norm.weight`.

    >>> import kedja as kj
    >>> encoder = TransformerEncoder(TransformerEncoderLayer(8, 2, 16), 2)
    >>> encoder(kj.ones((5, 3, 8))).shape
    (5, 3, 8)
    """

    layers: tuple[TransformerEncoderLayer, ...]
    norm: Module | None

    def __init__(
        self,
        encoder_layer: TransformerEncoderLayer,
        num_layers: int,
        norm: Module | None = None,
        enable_nested_tensor: bool = True,
        mask_check: bool = True,
    ) -> None:
        require_positive("TransformerEncoder", num_layers=num_layers)
        self.layers = tuple(encoder_layer.copy() for _ in range(num_layers))
        self.norm = norm

    def __call__(
        self,
        src: Any,
        mask: Any = None,
        src_key_padding_mask: Any = None,
        is_causal: bool = False,
    ) -> Tensor:
        """x → the same shape; masks as those of `MultiheadAttention`."""
        x = as_tensor(src)
        for layer in self.layers:
            x = layer(x, mask, src_key_padding_mask, is_causal)
        return x if self.norm is None else self.norm(x)

    def decode(self, x: Any, caches: Sequence[KVCache]) -> tuple[Tensor, list[KVCache]]:
        """The next places of a sequence, causally, with a cache for each layer."""
        x, after = as_tensor(x), []
        for layer, cache in zip(self.layers, caches, strict=True):
            x, cache = layer.decode(x, cache)
            after.append(cache)
        return (x if self.norm is None else self.norm(x)), after

    def new_caches(self, batch: int, capacity: int) -> list[KVCache]:
        """An empty cache for each layer."""
        return [layer.new_cache(batch, capacity) for layer in self.layers]


class TransformerDecoder(Module):
    """As `TransformerEncoder`, of decoder layers: each attends to the same memory.

    >>> import kedja as kj
    >>> decoder = TransformerDecoder(TransformerDecoderLayer(8, 2, 16), 2)
    >>> decoder(kj.ones((4, 3, 8)), kj.ones((5, 3, 8))).shape
    (4, 3, 8)
    """

    layers: tuple[TransformerDecoderLayer, ...]
    norm: Module | None

    def __init__(
        self,
        decoder_layer: TransformerDecoderLayer,
        num_layers: int,
        norm: Module | None = None,
    ) -> None:
        require_positive("TransformerDecoder", num_layers=num_layers)
        self.layers = tuple(decoder_layer.copy() for _ in range(num_layers))
        self.norm = norm

    def __call__(self, tgt: Any, memory: Any, *masks: Any, **options: Any) -> Tensor:
        """tgt, memory → as tgt; masks and options as those of the layer."""
        x = as_tensor(tgt)
        for layer in self.layers:
            x = layer(x, memory, *masks, **options)
        return x if self.norm is None else self.norm(x)

    def decode(
        self,
        x: Any,
        memory: Any,
        caches: Sequence[KVCache],
        memory_key_padding_mask: Any = None,
    ) -> tuple[Tensor, list[KVCache]]:
        """The next places of a target, causally, with a cache for each layer."""
        x, after = as_tensor(x), []
        for layer, cache in zip(self.layers, caches, strict=True):
            x, cache = layer.decode(x, memory, cache, memory_key_padding_mask)
            after.append(cache)
        return (x if self.norm is None else self.norm(x)), after

    def new_caches(self, batch: int, capacity: int) -> list[KVCache]:
        """An empty cache for each layer."""
        return [layer.new_cache(batch, capacity) for layer in self.layers]


class Transformer(Module):
    """An encoder of the source, and a decoder of the target that attends to its answer.

    Shapes: src (S, N, E), tgt (T, N, E), batches first with `batch_first` → as tgt. Parameters:
    `encoder.layers.0…`, `encoder.norm`, `decoder…`, as PyTorch's. Matrices start Xavier-uniform.
    Source: A. Vaswani et al.: Attention is all you need (2017).

    >>> import kedja as kj
    >>> Transformer(8, 2, 1, 1, 16)(kj.ones((5, 3, 8)), kj.ones((4, 3, 8))).shape
    (4, 3, 8)
    """

    encoder: Module
    decoder: Module

    def __init__(
        self,
        d_model: int = 512,
        nhead: int = 8,
        num_encoder_layers: int = 6,
        num_decoder_layers: int = 6,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Activation = relu,
        custom_encoder: Module | None = None,
        custom_decoder: Module | None = None,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        *,
        key: Tensor | None = None,
    ) -> None:
        keys = random.split(random.next_key() if key is None else key, 4)
        shape = (d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps)
        options = (*shape, batch_first, norm_first, bias)
        norms = [LayerNorm(d_model, layer_norm_eps, bias=bias) for _ in range(2)]
        first = TransformerEncoderLayer(*options, key=keys[0])
        second = TransformerDecoderLayer(*options, key=keys[1])
        encoder = TransformerEncoder(first, num_encoder_layers, norms[0])
        decoder = TransformerDecoder(second, num_decoder_layers, norms[1])
        self.encoder = custom_encoder or _xavier(encoder, keys[2])
        self.decoder = custom_decoder or _xavier(decoder, keys[3])
        self.d_model, self.nhead, self.batch_first = d_model, nhead, batch_first

    def __call__(
        self,
        src: Any,
        tgt: Any,
        src_mask: Any = None,
        tgt_mask: Any = None,
        memory_mask: Any = None,
        src_key_padding_mask: Any = None,
        tgt_key_padding_mask: Any = None,
        memory_key_padding_mask: Any = None,
        src_is_causal: bool = False,
        tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
    ) -> Tensor:
        """src, tgt → as tgt; masks as those of `MultiheadAttention`."""
        memory = self.encoder(src, src_mask, src_key_padding_mask, src_is_causal)
        y: Tensor = self.decoder(
            tgt,
            memory,
            tgt_mask,
            memory_mask,
            tgt_key_padding_mask,
            memory_key_padding_mask,
            tgt_is_causal=tgt_is_causal,
            memory_is_causal=memory_is_causal,
        )
        return y

    @staticmethod
    def generate_square_subsequent_mask(size: int) -> Tensor:
        """The float mask (size, size) that lets each place attend to itself and those before."""
        return where(causal(size, size), functions.zeros((size, size)), MINUS_INFINITY)


def _xavier(stack: Module, key: Tensor) -> Module:
    """The stack with all matrices drawn anew, each for itself."""
    leaves, structure = tree.flatten(stack)
    keys = random.split(key, len(leaves))
    drawn = [
        init.xavier_uniform(each, leaf.shape) if leaf.ndim > 1 else leaf
        for each, leaf in zip(keys, leaves, strict=True)
    ]
    found: Module = tree.unflatten(structure, drawn)
    return found
